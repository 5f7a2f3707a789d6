-- check_jem.lua -- the quick run of examples/images/jem.lua classifies, is calibrated, and knows what is no picture.

local lu = require "luaunit"
local example = require "examples.example"
local numbers = example.numbers
local T = {tearDown = example.clean}

function T.test_quick ()
  example.skip_if_slow()
  example.skip_without_fashion()
  local out = example.run("examples/images/jem.lua", "--quick")
  for _, name in ipairs {"classifier", "JEM"} do
    local line = assert(out:match(name .. " +([%d.]+ %% of 10000 test pictures right[^\n]+)"), out)
    local right, _, ece, _, scaled = table.unpack(numbers(line, ""))
    lu.assertTrue(right > 75, out)
    lu.assertTrue(scaled < .03 and scaled < ece + .005, out)
  end
  lu.assertTrue(numbers(out, "against noise")[1] > .99, out)
  lu.assertTrue(numbers(out, "against inverted")[1] > .9, out)
  lu.assertTrue(numbers(out, "against pixels in another order")[1] > .9, out)
  lu.assertTrue(numbers(out, "the other network takes")[1] > 60, out)
  example.assert_picture "jem.png"
end

return T
