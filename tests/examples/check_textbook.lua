-- check_textbook.lua -- the quick run of examples/images/textbook.lua learns to tell pictures from what they are not.

local lu = require "luaunit"
local example = require "examples.example"
local T = {tearDown = example.clean}

function T.test_quick ()
  example.skip_if_slow()
  example.skip_without_fashion()
  local out = example.run("examples/images/textbook.lua", "--quick")
  lu.assertTrue(example.numbers(out, "against noise")[1] > .99, out)
  lu.assertTrue(example.numbers(out, "against inverted")[1] > .9, out)
  lu.assertTrue(example.numbers(out, "against pixels in another order")[2] > .9, out)
  lu.assertTrue(math.abs(example.numbers(out, "E of 1000 test pictures")[1]) < 1, out)
  local distances = example.numbers(out, "right): drawn")
  lu.assertTrue(distances[1] < 100 and distances[2] < 20, out)
  example.assert_picture "textbook.png"
  example.assert_picture "textbook-film.png"
end

return T
