-- check_resume.lua -- twenty random moments of a PCD run: test_checkpoint.lua in full.
local lu = require "luaunit"
local folder = require "files.folder"
local kill = require "train.kill"

local T = {tearDown = folder.clean}

function T.test_twenty_kills ()
  local want = kill.unbroken(3000)
  local got, kills = kill.broken(3000, 20, neap.rng(5))
  lu.assertEquals(kills, 20)
  lu.assertTrue(got == want, "the run that was killed is another one")
end

return T
