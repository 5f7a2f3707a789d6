-- render.lua -- a figure's panels -> a canvas of pixels.
-- Invariant: a panel is drawn inside its cell only; data coordinates become pixels in one place (place).

local neap = require "neap"
local font = require "neap.plot.font"
local canvas = require "neap.plot.canvas"

local render = {}

-- Space around a panel's frame in pixels: left, right, top, bottom.
local MARGIN = {left = 44, right = 12, top = 26, bottom = 26}
local INK, FAINT = {.15, .15, .15}, {.45, .45, .45}

-- Round numbers between lo and hi, about n of them.
function render.ticks (lo, hi, n)
  local raw = (hi - lo) / n
  if not (raw > 0 and raw < math.huge) then return {} end
  local power = 10 ^ math.floor(math.log(raw, 10))
  local unit = 10 * power
  for _, m in ipairs {1, 2, 5} do
    if raw <= m * power * 1.0001 then unit = m * power break end
  end
  local out = {}
  for k = math.ceil(lo / unit - 1e-9), math.floor(hi / unit + 1e-9) do out[#out + 1] = k * unit end
  return out
end

local function label (v)
  return (("%.4g"):format(math.abs(v) < 1e-12 and 0 or v))
end

-- The frame of the panel in the cell whose corner is x, y, and the maps from data to pixels.
local function place (panel, x, y, size)
  local f = {x0 = x + MARGIN.left, y0 = y + MARGIN.top, x1 = x + MARGIN.left + size.width,
             y1 = y + MARGIN.top + size.height}
  if panel.bare then f.x0, f.x1 = x + 12, x + 12 + size.width end
  local xl, yl = panel.xlim, panel.ylim
  function f.x (v) return f.x0 + (v - xl[1]) / (xl[2] - xl[1]) * (f.x1 - f.x0) end
  function f.y (v) return f.y1 - (v - yl[1]) / (yl[2] - yl[1]) * (f.y1 - f.y0) end
  return f
end

local draw = {}

function draw.image (c, f, m)
  c:image(m.image, f.x0, f.y0, f.x1, f.y1)
end

-- Points outside the frame are left out.
function draw.points (c, f, m, panel)
  local x, y = m.x, m.y
  local inside = neap.logical_and(neap.logical_and(x:ge(panel.xlim[1]), x:le(panel.xlim[2])),
                                  neap.logical_and(y:ge(panel.ylim[1]), y:le(panel.ylim[2])))
  x, y = x[inside], y[inside]
  if x:numel() > 0 then c:discs(f.x(x), f.y(y), m.size, m.color, m.alpha) end
end

function draw.line (c, f, m, panel)
  local xs, ys = {}, {}
  local function flush ()
    if #xs > 1 then c:line(xs, ys, m.width, m.color, m.alpha) end
    xs, ys = {}, {}
  end
  for i = 1, #m.xs do
    local x, y = m.xs[i], m.ys[i]
    local shown = x >= panel.xlim[1] and x <= panel.xlim[2] and y >= panel.ylim[1] and y <= panel.ylim[2]
    if shown then xs[#xs + 1], ys[#ys + 1] = f.x(x), f.y(y) else flush() end
  end
  flush()
end

function draw.bars (c, f, m)
  for i, h in ipairs(m.heights) do
    c:rectangle(f.x(m.edges[i]) + .5, f.y(h), f.x(m.edges[i + 1]) - .5, f.y(0), m.color)
  end
end

local function frame (c, f)
  c:rectangle(f.x0 - 1, f.y0 - 1, f.x1 + 1, f.y0, FAINT)
  c:rectangle(f.x0 - 1, f.y1, f.x1 + 1, f.y1 + 1, FAINT)
  c:rectangle(f.x0 - 1, f.y0, f.x0, f.y1, FAINT)
  c:rectangle(f.x1, f.y0, f.x1 + 1, f.y1, FAINT)
end

local function axes (c, f, panel)
  for _, v in ipairs(render.ticks(panel.xlim[1], panel.xlim[2], 4)) do
    local text, x = label(v), f.x(v)
    c:rectangle(x - .5, f.y1 + 1, x + .5, f.y1 + 4, FAINT)
    c:text(text, x - font.measure(text) / 2, f.y1 + 7, FAINT, 1)
  end
  for _, v in ipairs(render.ticks(panel.ylim[1], panel.ylim[2], 4)) do
    local text, y = label(v), f.y(v)
    c:rectangle(f.x0 - 4, y - .5, f.x0 - 1, y + .5, FAINT)
    c:text(text, f.x0 - 7 - font.measure(text), y - 3, FAINT, 1)
  end
end

local function legend (c, f, panel)
  local row = 0
  for _, m in ipairs(panel.marks) do
    if m.label then
      local y = f.y0 + 6 + 12 * row
      c:rectangle(f.x0 + 6, y, f.x0 + 14, y + 7, m.color)
      c:text(m.label, f.x0 + 18, y, INK, 1)
      row = row + 1
    end
  end
end

local function draw_panel (c, panel, x, y, size)
  local f = place(panel, x, y, size)
  for _, m in ipairs(panel.marks) do draw[m.kind](c, f, m, panel) end
  frame(c, f)
  if not panel.bare then axes(c, f, panel) end
  legend(c, f, panel)
  if panel.title then
    local scale = font.measure(panel.title) * 2 <= size.width and 2 or 1
    c:text(panel.title, (f.x0 + f.x1 - font.measure(panel.title) * scale) / 2, f.y0 - 6 - 7 * scale, INK, scale)
  end
end

-- The cell of a panel, frame and margins.
function render.cell (figure)
  local bare = true
  for _, p in ipairs(figure.panels) do bare = bare and p.bare end
  return figure.size.width + (bare and 24 or MARGIN.left + MARGIN.right),
         figure.size.height + MARGIN.top + (bare and 12 or MARGIN.bottom)
end

-- figure -> floats [H, W, 3]
function render.pixels (figure)
  local w, h = render.cell(figure)
  local columns = math.min(figure.columns or #figure.panels, #figure.panels)
  local rows = (#figure.panels + columns - 1) // columns
  local c = canvas.new(w * columns, h * rows)
  for i, panel in ipairs(figure.panels) do
    draw_panel(c, panel, (i - 1) % columns * w, (i - 1) // columns * h, figure.size)
  end
  return c.pixels
end

return render
