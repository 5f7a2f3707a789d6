-- canvas.lua -- a raster of pixels on which marks are laid, as tensors.
-- Invariant: marks of one call do not depend on their order: coverage at a pixel adds up (as −log of what shines
-- through) before the colour is laid over.  Pixels count from 0 at the upper left; the middle of a pixel is at a half.

local neap = require "neap"
local font = require "neap.plot.font"

local Canvas = {}
Canvas.__index = Canvas

local function new (width, height)
  return setmetatable({width = width, height = height, pixels = neap.ones(height, width, 3, {dtype = "float32"})},
                      Canvas)
end

-- Lays color over the pixels columns x, rows y (tensors of floats [n]) with opacity a (number or [n]).
function Canvas:stamp (x, y, color, a)
  local column, row = x:floor(), y:floor()
  local inside = neap.logical_and(neap.logical_and(column:ge(0), column:lt(self.width)),
                                  neap.logical_and(row:ge(0), row:lt(self.height)))
  local where = row * self.width + column + 1
  local cover = -(1 - neap.zeros_like(where) - a):clamp(1e-6, 1):log()
  cover = neap.where(inside, cover, neap.zeros_like(cover))
  local index = neap.where(inside, where, neap.ones_like(where)):to("int64")
  local total = neap.zeros(self.height * self.width, {dtype = "float64"}):scatter_add(1, index, cover)
  local opacity = (1 - (-total):exp()):to("float32"):reshape(self.height, self.width, 1)
  self.pixels = self.pixels * (1 - opacity) + opacity * neap.tensor(color, {dtype = "float32"})
end

-- Rows of x and columns of y paired: every point moved by every offset, as flat tensors.
local function spread (x, y, dx, dy)
  return (x:unsqueeze(2) + dx:unsqueeze(1)):flatten(), (y:unsqueeze(2) + dy:unsqueeze(1)):flatten()
end

-- Discs of radius r around the points x, y (float64 [n]), with smooth edges.
function Canvas:discs (x, y, r, color, alpha)
  local k = math.ceil(r + .5)
  local offsets = neap.arange(-k, k, {dtype = "float64"})
  local dx = offsets:unsqueeze(1):expand(2 * k + 1, 2 * k + 1):flatten()
  local dy = offsets:unsqueeze(2):expand(2 * k + 1, 2 * k + 1):flatten()
  local px, py = spread(x:floor() + .5, y:floor() + .5, dx, dy)
  local cx, cy = spread(x, y, dx * 0, dy * 0)
  local distance = ((px - cx):square() + (py - cy):square()):sqrt()
  self:stamp(px, py, color, (r + .5 - distance):clamp(0, 1) * alpha)
end

-- A line through the points of the arrays x, y.
function Canvas:line (x, y, width, color, alpha)
  local xs, ys = {}, {}
  for i = 1, #x - 1 do
    local n = math.max(1, math.ceil(math.max(math.abs(x[i + 1] - x[i]), math.abs(y[i + 1] - y[i]))))
    if n < 1e5 then
      for k = i == 1 and 0 or 1, n do
        xs[#xs + 1], ys[#ys + 1] = x[i] + (x[i + 1] - x[i]) * k / n, y[i] + (y[i + 1] - y[i]) * k / n
      end
    end
  end
  if #xs == 0 then return end
  self:discs(neap.tensor(xs, {dtype = "float64"}), neap.tensor(ys, {dtype = "float64"}), width / 2, color, alpha * .8)
end

-- Fills columns x0..x1 − 1 and rows y0..y1 − 1 with a colour.
function Canvas:rectangle (x0, y0, x1, y1, color)
  local function held (v, most) return math.max(0, math.min(most, math.floor(v + .5))) end
  x0, x1, y0, y1 = held(x0, self.width), held(x1, self.width), held(y0, self.height), held(y1, self.height)
  if x1 <= x0 or y1 <= y0 then return end
  self.pixels[{{y0 + 1, y1}, {x0 + 1, x1}}] = neap.tensor(color, {dtype = "float32"})
end

-- Pixels of image [h, w, 3] over the rectangle with the given corners (integers), nearest neighbour.
function Canvas:image (image, x0, y0, x1, y1)
  local function pick (n, from)
    return ((neap.arange(1, n, {dtype = "float64"}) - .5) * (from / n)):floor():clamp(0, from - 1):to("int64") + 1
  end
  local big = image:index_select(1, pick(y1 - y0, image:size(1))):index_select(2, pick(x1 - x0, image:size(2)))
  self.pixels[{{y0 + 1, y1}, {x0 + 1, x1}}] = big
end

-- A text whose upper left corner is at x, y; scale pixels to one of the font's.
function Canvas:text (text, x, y, color, scale)
  local xs, ys = font.pixels(text)
  if #xs == 0 then return end
  local px, py = {}, {}
  for i = 1, #xs do
    for a = 0, scale - 1 do
      for b = 0, scale - 1 do
        px[#px + 1] = math.floor(x) + xs[i] * scale + a + .5
        py[#py + 1] = math.floor(y) + ys[i] * scale + b + .5
      end
    end
  end
  self:stamp(neap.tensor(px, {dtype = "float64"}), neap.tensor(py, {dtype = "float64"}), color, 1)
end

return {new = new}
