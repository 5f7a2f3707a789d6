-- image.lua -- pictures and films: neap.image.save, load, grid and animate.
-- A picture is [H, W] (grey), [C, H, W] or [H, W, C] with C = 1 or 3; floats in 0..1, bytes in 0..255, or bools.

local neap = require "neap"
local options = require "neap.options"
local core = require("neap.core")._files
local error, shape_text = options.error, options.shape_text

local image = {}

-- Bytes: floats 0..1 become 0..255, what lies outside is held, NaN is black.
local function bytes (x)
  x = x:detach()
  if x.dtype == "uint8" then return x end
  if x.dtype == "int64" then return x:clamp(0, 255):to("uint8") end
  x = x.dtype == "bool" and x:to("float32") or x
  x = neap.where(x:isnan(), neap.zeros_like(x), x)
  return (x:clamp(0, 1) * 255):round():to("uint8")
end

-- [H, W] or [H, W, 3] of any layout; nil when x is no picture.
local function rows_first (x)
  if x.ndim == 2 then return x end
  if x.ndim ~= 3 then return nil end
  local s = x.shape
  if s[1] == 3 then return x:permute(2, 3, 1) end
  if s[1] == 1 then return x:squeeze(1) end
  if s[3] == 3 then return x end
  return s[3] == 1 and x:squeeze(3) or nil
end

local function check_path (fname, path)
  if type(path) == "string" and path:lower():match "%.png$" then return end
  error(("%s: path: a name that ends in .png expected, got %s"):format(fname, tostring(path)))
end

-- save("name.png", x)
function image.save (path, x)
  options.argument("image.save", "x", x, "tensor")
  check_path("image.save", path)
  local picture = rows_first(x)
  if not picture or x:numel() == 0 then
    error(("image.save: x: [H, W], [C, H, W] or [H, W, C] with C = 1 or 3 expected, got %s"):format(shape_text(x)))
  end
  core.save_png(path, bytes(picture))
end

-- load("name.png") -> floats in 0..1: [H, W] when grey, [3, H, W] when coloured.
function image.load (path)
  options.argument("image.load", "path", path, "string")
  local x = core.load_png(path)
  x = x:to(neap.default_dtype()) / 255
  return x.ndim == 3 and x:permute(3, 1, 2) or x
end

-- grid(x [, {columns =, padding = 2, value = 0.5}]): n pictures [N, H, W], [N, 1, H, W] or [N, 3, H, W] side by side,
-- row by row, `padding` pixels of `value` around each; columns: the root of N rounded up -> [H', W'] or [3, H', W'].
function image.grid (x, given)
  options.argument("image.grid", "x", x, "tensor")
  local o = options("image.grid", given, {columns = options.any "integer", padding = 2, value = .5})
  if x.dtype == "uint8" then x = x:to("float32") / 255 elseif x.dtype == "bool" then x = x:to("float32") end
  if x.ndim == 3 then x = x:unsqueeze(2) end
  if x.ndim ~= 4 or x:numel() == 0 or (x:size(2) ~= 1 and x:size(2) ~= 3) then
    error(("image.grid: x: [N, H, W] or [N, C, H, W] with C = 1 or 3 expected, got %s"):format(shape_text(x)))
  end
  local n, channels, h, w = table.unpack(x.shape)
  local columns = o.columns or math.ceil(math.sqrt(n))
  if columns < 1 or o.padding < 0 then error("image.grid: columns of at least 1 and padding of at least 0 expected") end
  local rows, p = (n + columns - 1) // columns, o.padding
  x = x:detach():pad({{0, rows * columns - n}, {0, 0}, {0, p}, {0, p}}, {value = o.value})
  x = x:reshape(rows, columns, channels, h + p, w + p):permute(3, 1, 4, 2, 5)
  x = x:reshape(channels, rows * (h + p), columns * (w + p)):pad({{0, 0}, {p, 0}, {p, 0}}, {value = o.value})
  return channels == 1 and x:squeeze(1) or x
end

-- One frame's picture [H, W] or [H, W, 3]: chains [N, C, H, W] side by side.
local function frame (x, o)
  return rows_first(x.ndim == 4 and image.grid(x, {columns = o.columns, padding = o.padding, value = o.value}) or x)
end

-- animate("name.png", x [, {fps = 10, columns =, padding = 2, value = 0.5}]): a film, an animated PNG.  x is frames
-- [T, H, W] or [T, C, H, W], or draws of chains [T, N, C, H, W], which each frame shows as image.grid does.
function image.animate (path, x, given)
  check_path("image.animate", path)
  options.argument("image.animate", "x", x, "tensor")
  local o = options("image.animate", given, {fps = 10., columns = options.any "integer", padding = 2, value = .5})
  local channels = x.ndim > 3 and x.shape[x.ndim - 2] or 1
  if x.ndim < 3 or x.ndim > 5 or x:numel() == 0 or (channels ~= 1 and channels ~= 3) then
    error(("image.animate: x: [T, H, W], [T, C, H, W] or [T, N, C, H, W] with C = 1 or 3 expected, got %s"):format(
      shape_text(x)))
  end
  if not (o.fps >= .02 and o.fps <= 1000) then
    error(("image.animate: fps: from 0.02 to 1000 frames a second expected, got %g"):format(o.fps))
  end
  local frames = {}
  for t = 1, x.shape[1] do frames[t] = bytes(frame(x:select(1, t), o)) end
  core.save_apng(path, neap.stack(frames, 1), math.floor(1000 / o.fps + .5))
end

return image
