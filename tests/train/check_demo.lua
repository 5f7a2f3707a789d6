-- The demo keeps its word: the figures it prints, and two pictures.
local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}
local build = os.getenv "NEAP_BUILD" or "build"

function T.test_demo ()
  if not io.open "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz" then lu.skip "no dataset-fashion-mnist" end
  local pipe = assert(io.popen(("'%s/neap' examples/demo.lua '%s' 2>&1"):format(build, folder.file "demo")))
  local out = pipe:read "a"
  lu.assertTrue(pipe:close(), out)
  local function figures (name)
    local rbm, pixels = out:match(name .. "%s+(%d%.%d+)%s+(%d%.%d+)")
    lu.assertNotNil(rbm, out)
    return tonumber(rbm), tonumber(pixels)
  end
  local rbm, pixels = figures "rows shuffled"
  lu.assertTrue(rbm >= .87)
  lu.assertAlmostEquals(pixels, .73, .02)
  lu.assertTrue(figures "noise of the same pixel means" >= .99)
  lu.assertTrue(figures "inverted" >= .99)
  lu.assertEquals(neap.image.load(folder.file "demo/rbm-samples.png").shape, {302, 302})
  -- five panels side by side, none of them empty
  local picture = neap.image.load(folder.file "demo/compose.png")
  lu.assertEquals(picture.shape, {3, 352, 5 * 356})
  for k = 0, 4 do
    local panel = picture[{{}, {27, 326}, {45 + 356 * k, 344 + 356 * k}}]
    lu.assertTrue(panel[2]:gt(.6):to("float32"):mean():item() > .005)
  end
end

return T
