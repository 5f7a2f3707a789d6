-- check_composition.lua -- the quick run of examples/images/composition.lua draws what and, or and not say.

local lu = require "luaunit"
local example = require "examples.example"
local T = {tearDown = example.clean}

function T.test_quick ()
  example.skip_if_slow()
  example.skip_without_fashion()
  local out = example.run("examples/images/composition.lua", "--quick")
  local function shares (name) return table.unpack(example.numbers(out, "\n" .. name .. "   "), 1, 3) end
  local trousers, _, light = shares "trousers and light"
  lu.assertTrue(trousers > .8 and light > .8, out)
  trousers, _, light = shares "trousers and dark"
  lu.assertTrue(trousers > .8 and light < .3, out)
  local boots
  trousers, boots = shares "trousers or boot"
  lu.assertTrue(trousers + boots > .8 and trousers > .1 and boots > .1, out)
  lu.assertTrue((shares "light, not trousers") < .5 * (shares "light "), out)
  example.assert_picture "composition.png"
end

return T
