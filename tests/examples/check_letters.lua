-- check_letters.lua -- examples/letters.lua runs as it stands; it ends with an error where samples are off.

local lu = require "luaunit"
local example = require "examples.example"
local T = {}

function T.test_letters ()
  local out = example.run "examples/letters.lua"
  local n = example.numbers(out, "given the others:")
  lu.assertTrue(n[1] < .7 * n[2], out)
  lu.assertTrue(example.numbers(out, "Gibbs with gradients")[1] < example.numbers(out, "independent letters")[1] / 2)
end

return T
