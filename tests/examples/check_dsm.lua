-- check_dsm.lua -- the quick run of examples/images/dsm.lua draws what is nearer to pictures than pixels one by one, and
-- its model is one that the others read.

local lu = require "luaunit"
local example = require "examples.example"
local T = {tearDown = example.clean}

function T.test_quick ()
  example.skip_if_slow()
  if not io.open "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz" then lu.skip "no dataset-fashion-mnist" end
  local out = example.run("examples/images/dsm.lua", "--quick")
  local losses = example.numbers(out, "of 392, by level:")           -- level, loss …
  for i = 2, 8, 2 do lu.assertTrue(losses[i] > 0 and losses[i] < 200, out) end
  local real, drawn = example.numbers(out, "training pictures")[1], example.numbers(out, "drawn by this model")[1]
  lu.assertTrue(real < 15 and drawn < .8 * example.numbers(out, "pixels drawn one by one")[1], out)
  for _, others in ipairs {"noise", "inverted", "pixels in another order"} do
    lu.assertTrue(example.numbers(out, "against " .. others)[1] > .95, out)
  end
  example.assert_picture "dsm.png"
end

return T
