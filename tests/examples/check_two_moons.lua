-- check_two_moons.lua -- the quicker half of examples/two_moons.lua comes near the truth.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}

function T.test_quick_methods ()
  local out, err, code = cli.run(("%s/neap examples/two_moons.lua nce ssm multi_dsm"):format(cli.quote(cli.build)))
  lu.assertEquals(code, 0, out .. err)
  for _, name in ipairs {"nce", "ssm", "multi_dsm"} do
    local fd, mmd, model, truth = out:match("\n" .. name .. " +([-%d.]+) +([-%d.]+) +([-%d.]+) +([-%d.]+)")
    lu.assertTrue(tonumber(fd) < .003 and tonumber(mmd) < .002, out)
    lu.assertAlmostEquals(tonumber(model), tonumber(truth), .05)
  end
end

return T
