-- check_images.lua -- the quick runs of the programs in examples/images that share a model of many noise levels: what
-- dsm.lua draws is nearer to pictures than pixels one by one, and its model fills halves and finds faults.

local lu = require "luaunit"
local example = require "examples.example"
local T = {tearDown = example.clean}

local function assert_draws (out)
  local losses = example.numbers(out, "of 392, by level:")           -- level, loss …
  for i = 2, 8, 2 do lu.assertTrue(losses[i] > 0 and losses[i] < 200, out) end
  local real, drawn = example.numbers(out, "training pictures")[1], example.numbers(out, "drawn by this model")[1]
  lu.assertTrue(real < 15 and drawn < .8 * example.numbers(out, "pixels drawn one by one")[1], out)
  for _, others in ipairs {"noise", "inverted", "pixels in another order"} do
    lu.assertTrue(example.numbers(out, "against " .. others)[1] > .95, out)
  end
  example.assert_picture "dsm.png"
end

local function assert_fillings (out)
  local n = example.numbers(out, "squared error of a hidden pixel: filled by the model once")
  -- once, how many, mean of these, by the mean picture, by noise
  lu.assertTrue(n[1] < n[5] and n[3] < n[1] and n[3] < .45, out)
  n = example.numbers(out, "squared error of a pixel with noise of")
  lu.assertTrue(n[3] < .5 * n[4] and n[3] < .15 * n[2], out)         -- σ, noisy, denoised, pixel by pixel
  example.assert_picture "inpainting.png"
  example.assert_picture "denoising.png"
end

local function assert_maps (out)
  lu.assertTrue(example.numbers(out, "pixels by occlusion")[1] > .8, out)
  lu.assertTrue(example.numbers(out, "pixels by gradient")[1] > .7, out)
  lu.assertTrue(example.numbers(out, "against the others: energy")[1] > .6, out)
  example.assert_picture "energy-map.png"
end

function T.test_quick ()
  example.skip_if_slow()
  example.skip_without_fashion()
  assert_draws(example.run("examples/images/dsm.lua", "--quick"))
  local model = "--quick '" .. example.file "dsm.safetensors" .. "'"
  assert_fillings(example.run("examples/images/inpainting.lua", model))
  assert_maps(example.run("examples/images/energy_map.lua", model))
end

return T
