-- svg.lua -- a figure's panels -> SVG text, with the same places as the raster of render.lua.
-- Pictures (heat maps) are embedded as PNG; everything else stays lines, circles and text.

local neap = require "neap"
local render = require "neap.plot.render"

local LEFT, TOP = 44, 26
local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64 (s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = s:byte(i, i + 2)
    local v = a << 16 | (b or 0) << 8 | (c or 0)
    for k = 0, 3 do
      local d = v >> (18 - 6 * k) & 63
      out[#out + 1] = (k == 2 and not b or k == 3 and not c) and "=" or DIGITS:sub(d + 1, d + 1)
    end
  end
  return table.concat(out)
end

-- The bytes of a picture [h, w, 3] as PNG.
local function png (image)
  local path = os.tmpname()
  os.remove(path)
  neap.image.save(path .. ".png", image)
  local f = assert(io.open(path .. ".png", "rb"))
  local bytes = f:read "a"
  f:close()
  os.remove(path .. ".png")
  return bytes
end

local function byte (v) return math.floor(v * 255 + .5) end
local function rgb (c) return ("rgb(%d,%d,%d)"):format(byte(c[1]), byte(c[2]), byte(c[3])) end
local function escape (s) return (s:gsub("[&<>\"]", {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
                                                     ['"'] = "&quot;"})) end

local draw = {}

function draw.image (put, f, m)
  put('<image x="%g" y="%g" width="%g" height="%g" preserveAspectRatio="none" style="image-rendering:pixelated" ' ..
      'href="data:image/png;base64,%s"/>', f.x0, f.y0, f.w, f.h, base64(png(m.image)))
end

function draw.points (put, f, m)
  local x, y = m.x:totable(), m.y:totable()
  put('<g fill="%s" fill-opacity="%g">', rgb(m.color), m.alpha)
  for i = 1, #x do put('<circle cx="%.2f" cy="%.2f" r="%g"/>', f.x(x[i]), f.y(y[i]), m.size) end
  put "</g>"
end

function draw.line (put, f, m)
  local at = {}
  for i = 1, #m.xs do
    if m.xs[i] == m.xs[i] and m.ys[i] == m.ys[i] then at[#at + 1] = ("%.2f,%.2f"):format(f.x(m.xs[i]), f.y(m.ys[i])) end
  end
  put('<polyline fill="none" stroke="%s" stroke-opacity="%g" stroke-width="%g" points="%s"/>', rgb(m.color), m.alpha,
      m.width,
      table.concat(at, " "))
end

function draw.bars (put, f, m)
  for i, h in ipairs(m.heights) do
    put('<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"/>', f.x(m.edges[i]), f.y(h),
        f.x(m.edges[i + 1]) - f.x(m.edges[i]) - .5, f.y(0) - f.y(h), rgb(m.color))
  end
end

local function text (put, s, x, y, anchor, size)
  put('<text x="%.2f" y="%.2f" text-anchor="%s" font-size="%d">%s</text>', x, y, anchor, size, escape(s))
end

local function axes (put, f, panel)
  for _, v in ipairs(render.ticks(panel.xlim[1], panel.xlim[2], 4)) do
    text(put, ("%.4g"):format(v), f.x(v), f.y0 + f.h + 15, "middle", 10)
  end
  for _, v in ipairs(render.ticks(panel.ylim[1], panel.ylim[2], 4)) do
    text(put, ("%.4g"):format(v), f.x0 - 5, f.y(v) + 3, "end", 10)
  end
end

local function frame_of (panel, x, y, size)
  local f = {x0 = x + (panel.bare and 12 or LEFT), y0 = y + TOP, w = size.width, h = size.height}
  function f.x (v) return f.x0 + (v - panel.xlim[1]) / (panel.xlim[2] - panel.xlim[1]) * f.w end
  function f.y (v) return f.y0 + f.h - (v - panel.ylim[1]) / (panel.ylim[2] - panel.ylim[1]) * f.h end
  return f
end

local function draw_panel (put, panel, x, y, size, id)
  local f, row = frame_of(panel, x, y, size), 0
  put('<clipPath id="p%d"><rect x="%g" y="%g" width="%g" height="%g"/></clipPath><g clip-path="url(#p%d)">', id, f.x0,
      f.y0, f.w, f.h, id)
  for _, m in ipairs(panel.marks) do draw[m.kind](put, f, m) end
  put('</g><rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="#777"/>', f.x0, f.y0, f.w, f.h)
  if not panel.bare then axes(put, f, panel) end
  for _, m in ipairs(panel.marks) do
    if m.label then
      put('<rect x="%g" y="%g" width="8" height="8" fill="%s"/>', f.x0 + 6, f.y0 + 6 + 13 * row, rgb(m.color))
      text(put, m.label, f.x0 + 18, f.y0 + 14 + 13 * row, "start", 10)
      row = row + 1
    end
  end
  if panel.title then text(put, panel.title, f.x0 + f.w / 2, f.y0 - 8, "middle", 14) end
end

-- figure -> the text of an SVG file
return function (figure)
  local w, h = render.cell(figure)
  local columns = math.min(figure.columns or #figure.panels, #figure.panels)
  local rows = (#figure.panels + columns - 1) // columns
  local out = {}
  local function put (s, ...) out[#out + 1] = select("#", ...) > 0 and s:format(...) or s end
  put('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">', w * columns, h * rows)
  put '<rect width="100%" height="100%" fill="white"/>'
  for i, panel in ipairs(figure.panels) do
    draw_panel(put, panel, (i - 1) % columns * w, (i - 1) // columns * h, figure.size, i)
  end
  put "</svg>"
  return table.concat(out, "\n") .. "\n"
end
