local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}

local function fails (pattern, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, ".*" .. pattern .. ".*")
end

function T.test_grey_and_colour_round_trip ()
  local x = neap.arange(0, 255):reshape(16, 16) / 255
  neap.image.save(folder.file "g.png", x)
  local y = neap.image.load(folder.file "g.png")
  lu.assertEquals(y.shape, {16, 16})
  lu.assertEquals((y * 255):round():totable(), (x * 255):round():totable())
  local c = neap.stack({x, 1 - x, x * 0}, 1)
  neap.image.save(folder.file "c.png", c)
  neap.image.save(folder.file "d.png", c:permute(2, 3, 1))
  local a, b = neap.image.load(folder.file "c.png"), neap.image.load(folder.file "d.png")
  lu.assertEquals(a.shape, {3, 16, 16})
  lu.assertEquals((a * 255):round():totable(), (c * 255):round():totable())
  lu.assertEquals(a:totable(), b:totable())
end

function T.test_values_outside_are_held_and_nan_is_black ()
  neap.image.save(folder.file "x.png", neap.tensor {{-1, .5, 2, 0 / 0}})
  lu.assertEquals((neap.image.load(folder.file "x.png") * 255):round():totable(), {{0, 128, 255, 0}})
  neap.image.save(folder.file "x.png", neap.tensor {{1, -1}}:gt(0))
  lu.assertEquals(neap.image.load(folder.file "x.png"):totable(), {{1, 0}})
end

function T.test_grid ()
  local g = neap.image.grid(neap.arange(1, 3):reshape(3, 1, 1), {columns = 2, padding = 1, value = 0})
  lu.assertEquals(g:totable(), {{0, 0, 0, 0, 0}, {0, 1, 0, 2, 0}, {0, 0, 0, 0, 0}, {0, 3, 0, 0, 0}, {0, 0, 0, 0, 0}})
  lu.assertEquals(neap.image.grid(neap.zeros(5, 3, 4, 6), {padding = 2}).shape, {3, 2 * 6 + 2, 3 * 8 + 2})
  lu.assertEquals(neap.image.grid(neap.zeros(4, 1, 2, 2), {padding = 0}).shape, {4, 4})
end

function T.test_errors ()
  fails("x: tensor expected, got table", neap.image.save, folder.file "x.png", {})
  fails("ends in .png", neap.image.save, folder.file "x.jpg", neap.zeros(2, 2))
  fails("got %[2, 2, 2%]", neap.image.save, folder.file "x.png", neap.zeros(2, 2, 2))
  fails("got %[0, 2%]", neap.image.save, folder.file "x.png", neap.zeros(0, 2))
  fails("unknown option 'colums' %(did you mean 'columns'%?%)", neap.image.grid, neap.zeros(1, 2, 2), {colums = 1})
  fails("got %[2, 2%]", neap.image.grid, neap.zeros(2, 2))
  fails("absent.png: cannot open", neap.image.load, folder.file "absent.png")
  fails("not a PNG", neap.image.load, folder.write("x.png", "no picture at all, not at all"))
  neap.image.save(folder.file "y.png", neap.rand(64, 64))
  local bytes = folder.read "y.png"
  fails("PNG", neap.image.load, folder.write("x.png", bytes:sub(1, #bytes // 2)))
  fails("PNG", neap.image.load, folder.write("x.png", bytes:sub(1, 60) .. "\0\0\0\0" .. bytes:sub(65)))
end

-- ---- films ----

local SIGNATURE = "\137PNG\r\n\26\n"

local function chunk (kind, data)
  return string.pack(">I4", #data) .. kind .. data .. string.pack(">I4", neap.core._files.crc(kind .. data))
end

-- The chunks of a file as {kind, data}; their checksums hold.
local function chunks (bytes)
  local out, at = {}, 9
  lu.assertEquals(bytes:sub(1, 8), SIGNATURE)
  while at <= #bytes do
    local n = string.unpack(">I4", bytes, at)
    local kind, data = bytes:sub(at + 4, at + 7), bytes:sub(at + 8, at + 7 + n)
    lu.assertEquals(bytes:sub(at, at + 11 + n), chunk(kind, data))
    out[#out + 1], at = {kind, data}, at + 12 + n
  end
  return out
end

-- The pictures of a film, and the chunks with all that decoders go by.
local function film (name)
  local header, frames, numbers, list = nil, {}, {}, chunks(folder.read(name))
  for _, c in ipairs(list) do
    local kind, data = table.unpack(c)
    if kind == "IHDR" then header = chunk(kind, data)
    elseif kind == "fcTL" then numbers[#numbers + 1], frames[#frames + 1] = string.unpack(">I4", data), ""
    elseif kind == "IDAT" then frames[#frames] = frames[#frames] .. data
    elseif kind == "fdAT" then
      numbers[#numbers + 1], frames[#frames] = string.unpack(">I4", data), frames[#frames] .. data:sub(5)
    end
  end
  for i, data in ipairs(frames) do
    folder.write("frame.png", SIGNATURE .. header .. chunk("IDAT", data) .. chunk("IEND", ""))
    frames[i] = neap.image.load(folder.file "frame.png")
  end
  return frames, numbers, list
end

local function equal (a, b)
  lu.assertEquals(a.shape, b.shape)
  lu.assertTrue((a - b):abs():max():item() < 1 / 500)
end

function T.test_film_of_pictures ()
  for _, shape in ipairs {{5, 6, 7}, {3, 1, 6, 7}, {4, 3, 20, 30}, {1, 2, 2}} do
    local x = neap.rand(shape)
    neap.image.animate(folder.file "f.png", x, {fps = 25})
    local frames, numbers, list = film "f.png"
    lu.assertEquals(#frames, shape[1])
    for i, n in ipairs(numbers) do lu.assertEquals(n, i - 1) end
    lu.assertEquals({list[2][1], string.unpack(">I4I4", list[2][2])}, {"acTL", shape[1], 0, 9})
    lu.assertEquals(list[#list][1], "IEND")
    for t, f in ipairs(frames) do
      local expected = x:select(1, t)
      equal(f, expected.ndim == 3 and shape[2] == 1 and expected:squeeze(1) or expected)
    end
    for _, c in ipairs(list) do
      if c[1] == "fcTL" then
        local _, w, h, left, top, n, d = string.unpack(">I4I4I4I4I4I2I2", c[2])
        lu.assertEquals({w, h, left, top, n / d}, {shape[#shape], shape[#shape - 1], 0, 0, .04})
      end
    end
    equal(neap.image.load(folder.file "f.png"), frames[1])         -- what others see
  end
end

function T.test_film_of_chains ()
  local x, how = neap.rand(4, 6, 1, 3, 5), {columns = 3, padding = 1, value = 0}
  neap.image.animate(folder.file "f.png", x, how)
  for t, f in ipairs((film "f.png")) do equal(f, neap.image.grid(x:select(1, t), how)) end
end

function T.test_film_errors ()
  fails("path: a name that ends in .png expected, got x.gif", neap.image.animate, "x.gif", neap.zeros(2, 2, 2))
  fails("%[T, N, C, H, W%] with C = 1 or 3 expected, got %[2, 2%]", neap.image.animate, "x.png", neap.zeros(2, 2))
  fails("got %[2, 4, 2, 2%]", neap.image.animate, "x.png", neap.zeros(2, 4, 2, 2))
  fails("got %[0, 2, 2%]", neap.image.animate, "x.png", neap.zeros(0, 2, 2))
  fails("fps: from 0.02 to 1000 frames a second expected", neap.image.animate, "x.png", neap.zeros(1, 2, 2), {fps = 0})
  fails("nowhere", neap.image.animate, folder.file "nowhere/x.png", neap.zeros(1, 2, 2))
end

function T.test_plots_are_pictures_of_their_size ()
  local f = neap.plot.scatter(neap.randn(50, 2), {width = 100, height = 80, title = "x"})
  f:add(neap.plot.line({-1, 0, 1}, {0, 1, 0}))
  lu.assertTrue(f:save(folder.file "p.png") == f)
  local x = neap.image.load(folder.file "p.png")
  lu.assertEquals(x.shape, {3, 80 + 52, 100 + 56})
  lu.assertTrue(x:amin():item() < .3 and x:mean():item() > .8)
  f:save(folder.file "p.svg")
  local svg = folder.read "p.svg"
  lu.assertEquals(select(2, svg:gsub("<circle", "")), 50)
  lu.assertStrContains(svg, "<polyline")
  local two = neap.plot.panels {neap.plot.hist(neap.randn(100)), neap.plot.heatmap(neap.rand(3, 4))}
  lu.assertEquals(two:pixels().shape, {372, 752, 3})
  lu.assertEquals(#neap.plot.contour(neap.tensor {{0, 0, 0}, {0, 1, 0}, {0, 0, 0}}, {levels = {.5}}).panels[1].marks, 4)
end

return T
