-- plot.lua -- pictures of samples, curves and energies: every function gives a figure with :save("x.png" | "x.svg")
-- and :show().
-- Figures are put side by side by neap.plot.panels{…}.  Marks of several calls share a panel with figure:add(other).
-- Invariant: a figure holds plain marks in data coordinates; render.lua and svg.lua turn them into pixels and text.

local neap = require "neap"
local options = require "neap.options"
local color = require "neap.plot.color"
local error = options.error
local any = options.any

local plot = {}
local Figure = {__name = "neap.plot"}
Figure.__index = Figure

-- x as float64; form says what is expected, as in "[N, 2]": a number stands for a size that must be so
local function tensor (fname, name, x, form)
  local sizes = {}
  for size in form:gmatch "[^%[%], ]+" do sizes[#sizes + 1] = tonumber(size) or false end
  if type(x) == "table" then x = neap.tensor(x, {dtype = "float64"}) end
  if not neap.is_tensor(x) then
    error(("%s: %s: tensor %s expected, got %s"):format(fname, name, form, options.type_of(x)))
  end
  local fits = x.ndim == #sizes
  for i, size in ipairs(x.shape) do fits = fits and (not sizes[i] or sizes[i] == size) end
  if not fits then error(("%s: %s: %s expected, got %s"):format(fname, name, form, options.shape_text(x))) end
  return x:detach():to "float64"
end

-- options of a plot: its own and those that every plot has
local function read (fname, given, more)
  local known = {title = any "string", xlim = any "table", ylim = any "table", width = 320, height = 320,
                 label = any "string", color = any("string", "table")}
  for k, v in pairs(more or {}) do known[k] = v end
  local o = options(fname, given, known)
  options.range(fname, o, "positive", "width", "height", "size", "line_width")
  options.range(fname, o, "in [0, 1]", "alpha")
  return o
end

-- Limits that hold all finite values, a little wider.
local function limits (x, margin)
  x = x[x:isfinite()]
  if x:numel() == 0 then return {0, 1} end
  local lo, hi = x:amin():item(), x:amax():item()
  local wider = hi > lo and (hi - lo) * margin or .5
  return {lo - wider, hi + wider}
end

local function figure (o, marks, xlim, ylim, bare)
  local panel = {marks = marks, title = o.title, xlim = o.xlim or xlim, ylim = o.ylim or ylim, bare = bare}
  for _, name in ipairs {"xlim", "ylim"} do
    local l = panel[name]
    if type(l[1]) ~= "number" or type(l[2]) ~= "number" or not (l[1] < l[2]) then
      error(("plot: option '%s': two numbers {low, high} expected"):format(name))
    end
  end
  return setmetatable({panels = {panel}, size = {width = o.width, height = o.height}}, Figure)
end

local function check_figure (name, f)
  if getmetatable(f) ~= Figure then error(("%s: a figure expected, got %s"):format(name, options.type_of(f))) end
end

function Figure:__tostring ()
  return ("figure of %d panel%s, %d x %d pixels each: save(\"name.png\" or \"name.svg\"), show()"):format(#self.panels,
    #self.panels == 1 and "" or "s", self.size.width, self.size.height)
end

-- Lays the marks of another figure's first panel over this one's, in this one's limits.
function Figure:add (other)
  check_figure("plot: add", self)
  check_figure("plot: add", other)
  local marks = self.panels[1].marks
  for _, m in ipairs(other.panels[1].marks) do
    if m.automatic then m.color = color.of(nil, #marks + 1) end
    marks[#marks + 1] = m
  end
  return self
end

function Figure:pixels () return require "neap.plot.render".pixels(self) end

-- save("name.png" | "name.svg")
function Figure:save (path)
  check_figure("plot: save", self)
  local ending = type(path) == "string" and path:lower():match "%.(%w+)$"
  if ending == "png" then
    neap.image.save(path, self:pixels())
  elseif ending == "svg" then
    local text = require "neap.plot.svg"(self)
    local f, message = io.open(path, "wb")
    if not f then error("plot: cannot write " .. message) end
    f:write(text)
    f:close()
  else
    error("plot: save: a name that ends in .png or .svg expected, got " .. tostring(path))
  end
  return self
end

-- Draws the figure into the terminal with coloured half blocks, `columns` characters wide.
function Figure:show (columns)
  check_figure("plot: show", self)
  if columns then options.integer("plot: show", "columns", columns, 1) end
  local x = self:pixels():permute(3, 1, 2)
  local w = columns or tonumber(os.getenv "COLUMNS") or 80
  local h = math.floor(x:size(2) * w / x:size(3)) // 2 * 2
  local function pick (n, from) return ((neap.arange(1, n,
    {dtype = "float64"}) - .5) * (from / n)):floor():to("int64") + 1 end
  local bytes = (x:index_select(2, pick(h, x:size(2))):index_select(3,
    pick(w, x:size(3))) * 255):round():to("int64"):totable()
  for row = 1, h - 1, 2 do
    for column = 1, w do
      local function at (k, r) return bytes[k][r][column] end
      io.write(("\27[38;2;%d;%d;%dm\27[48;2;%d;%d;%dm▀"):format(at(1, row), at(2, row), at(3, row), at(1, row + 1),
        at(2, row + 1), at(3, row + 1)))
    end
    io.write "\27[0m\n"
  end
  return self
end

-- panels({figure, …} [, {columns =}]): the panels of all figures in one picture, with the first one's size.
function plot.panels (figures, given)
  local o = options("plot.panels", given, {columns = any "integer"})
  if type(figures) ~= "table" or #figures == 0 then
    error("plot.panels: an array of figures expected, got " ..
          (getmetatable(figures) == Figure and "one figure" or options.type_of(figures)))
  end
  for i, f in ipairs(figures) do check_figure(("plot.panels: element %d"):format(i), f) end
  local out = setmetatable({panels = {}, size = figures[1].size, columns = o.columns}, Figure)
  for _, f in ipairs(figures) do
    for _, p in ipairs(f.panels) do out.panels[#out.panels + 1] = p end
  end
  return out
end

-- scatter(x [N, 2] [, {size = 1.5, alpha = 0.6, …}])
function plot.scatter (x, given)
  x = tensor("plot.scatter", "x", x, "[N, 2]")
  local o = read("plot.scatter", given, {size = 1.5, alpha = .6})
  local a, b = x:select(2, 1), x:select(2, 2)
  local mark = {kind = "points", x = a, y = b, size = o.size, alpha = o.alpha, color = color.of(o.color, 1),
                label = o.label,
                automatic = o.color == nil}
  return figure(o, {mark}, limits(a, .05), limits(b, .05))
end

-- line(y [N]) or line(x, y [, {line_width = 1.5, …}]): tensors or arrays; other options as for scatter
function plot.line (x, y, given)
  if type(y) == "table" and #y == 0 or y == nil then
    given, y = y, tensor("plot.line", "y", x, "[N]")
    x = neap.arange(1, #y, {dtype = "float64"})
  end
  x, y = tensor("plot.line", "x", x, "[N]"), tensor("plot.line", "y", y, "[N]")
  if #x ~= #y then error(("plot.line: x and y have %d and %d points"):format(#x, #y)) end
  local o = read("plot.line", given, {line_width = 1.5, alpha = 1.})
  local mark = {kind = "line", xs = x:totable(), ys = y:totable(), width = o.line_width, alpha = o.alpha,
                color = color.of(o.color, 1),
                label = o.label, automatic = o.color == nil}
  return figure(o, {mark}, limits(x, 0), limits(y, .05))
end

-- draws [steps], [steps, chains] or [steps, chains, event…] -> [steps, chains] of one coordinate
local function chains_of (draws, coordinate)
  local form = "[steps], [steps, chains] or [steps, chains, event...]"
  if type(draws) == "table" then draws = neap.tensor(draws, {dtype = "float64"}) end
  if not neap.is_tensor(draws) then
    error(("plot.trace: draws: tensor %s expected, got %s"):format(form, options.type_of(draws)))
  end
  if draws.ndim == 0 or draws:numel() == 0 then
    error(("plot.trace: draws: %s expected, got %s"):format(form, options.shape_text(draws)))
  end
  if draws.ndim == 1 then draws = draws:unsqueeze(2) end
  local flat = draws:detach():to "float64":reshape(draws:size(1), draws:size(2), -1)
  if coordinate < 1 or coordinate > flat:size(3) then
    error(("plot.trace: option 'coordinate': 1 to %d expected for draws %s, got %d"):format(flat:size(3),
      options.shape_text(draws), coordinate))
  end
  return flat:select(3, coordinate)
end

-- trace(draws [steps], [steps, chains] or [steps, chains, event…] [, {coordinate = 1}]): one line for each chain,
-- of that coordinate of the event
function plot.trace (draws, given)
  local o = read("plot.trace", given, {alpha = .8, coordinate = 1})
  draws = chains_of(draws, o.coordinate)
  local marks, xs = {}, neap.arange(1, draws:size(1), {dtype = "float64"})
  for k = 1, draws:size(2) do
    marks[k] = {kind = "line", xs = xs:totable(), ys = draws:select(2, k):totable(), width = 1, alpha = o.alpha,
                color = color.of(o.color, k)}
  end
  return figure(o, marks, limits(xs, 0), limits(draws:flatten(), .05))
end

-- hist(x [N] [, {bins = 40, density = true}])
function plot.hist (x, given)
  x = tensor("plot.hist", "x", x, "[N]")
  local o = read("plot.hist", given, {bins = 40, density = true})
  if o.bins < 1 then error("plot.hist: option 'bins': at least 1 expected") end
  local l = o.xlim or limits(x, 0)
  local width = (l[2] - l[1]) / o.bins
  x = x[neap.logical_and(x:ge(l[1]), x:le(l[2]))]
  local bin = ((x - l[1]) / width):floor():clamp(0, o.bins - 1):to("int64") + 1
  local heights = neap.zeros(o.bins, {dtype = "float64"}):scatter_add(1, bin, neap.ones_like(x))
  if o.density then heights = heights / (math.max(1, x:numel()) * width) end
  local edges = neap.linspace(l[1], l[2], o.bins + 1, {dtype = "float64"}):totable()
  local mark = {kind = "bars", edges = edges, heights = heights:totable(), color = color.of(o.color, 1),
                label = o.label}
  return figure(o, {mark}, l, {0, math.max(heights:amax():item() * 1.05, 1e-12)})
end

-- heatmap(z [rows, columns] [, {xlim =, ylim =, low =, high =}]): the first row is drawn at the bottom
function plot.heatmap (z, given)
  z = tensor("plot.heatmap", "z", z, "[rows, columns]")
  local o = read("plot.heatmap", given, {low = any "number", high = any "number"})
  local l = limits(z:flatten(), 0)
  local low, high = o.low or l[1], o.high or l[2]
  local image = color.map(((z - low) / math.max(high - low, 1e-300))):to("float32"):flip(1)
  return figure(o, {{kind = "image", image = image}}, {.5, z:size(2) + .5}, {.5, z:size(1) + .5})
end

-- f over a grid of points within xlim and ylim -> [points, points], row by row from below
local function over_grid (f, xlim, ylim, points)
  local x = neap.linspace(xlim[1], xlim[2], points):unsqueeze(1):expand(points, points)
  local y = neap.linspace(ylim[1], ylim[2], points):unsqueeze(2):expand(points, points)
  return f(neap.stack({x:flatten(), y:flatten()}, 2)):detach():to("float64"):reshape(points, points)
end

-- Some energies take x of other shapes than their event's.
local function check_plane (E)
  options.argument("plot.energy", "E", E, "energy", "callable")
  local event = options.type_of(E) == "energy" and E.event
  if not event or event == {2} or pcall(E, neap.zeros(1, 2)) then return end
  error(("plot.energy: E: an energy over the plane, of event [2], expected, got event %s"):format(event))
end

-- energy(E [, {xlim =, ylim =, points = 160, samples = [N, 2], kind = "density" | "energy", size =, alpha =}]): the
-- density exp(−E), or E itself, of an energy over the plane, with samples on it.
function plot.energy (E, given)
  local o = read("plot.energy", given, {points = 160, samples = any(), kind = "density", size = 1.,
                                                 alpha = .5})
  if o.kind ~= "density" and o.kind ~= "energy" then
    error(("plot.energy: option 'kind': \"density\" or \"energy\" expected, got \"%s\""):format(o.kind))
  end
  check_plane(E)
  local xlim, ylim = o.xlim or {-3, 3}, o.ylim or {-3, 3}
  local e = over_grid(function (x) return E(x) end, xlim, ylim, o.points)
  local z = o.kind == "energy" and e or (e:amin() - e):exp()
  local image = color.map((z - z:amin()) / (z:amax() - z:amin()):clamp(1e-300, nil)):to("float32"):flip(1)
  local marks = {{kind = "image", image = image}}
  if o.samples then
    local x = tensor("plot.energy", "option 'samples'", o.samples, "[N, 2]")
    marks[2] = {kind = "points", x = x:select(2, 1), y = x:select(2, 2), size = o.size, alpha = o.alpha,
                color = color.of(o.color or "white")}
  end
  return figure(o, marks, xlim, ylim)
end

-- Where z crosses a level between grid points: one short line for each cell it passes through.
local function crossings (z, level, xlim, ylim)
  local rows, columns, lines = #z, #z[1], {}
  local function px (j) return xlim[1] + (j - 1) / (columns - 1) * (xlim[2] - xlim[1]) end
  local function py (i) return ylim[1] + (i - 1) / (rows - 1) * (ylim[2] - ylim[1]) end
  local function edge (out, i, j, k, l)
    local a, b = z[i][j], z[k][l]
    if (a < level) == (b < level) then return end
    local t = (level - a) / (b - a)
    out[#out + 1] = {px(j) + t * (px(l) - px(j)), py(i) + t * (py(k) - py(i))}
  end
  for i = 1, rows - 1 do
    for j = 1, columns - 1 do
      local p = {}
      edge(p, i, j, i, j + 1); edge(p, i, j + 1, i + 1, j + 1); edge(p, i + 1, j + 1, i + 1, j); edge(p, i + 1, j, i, j)
      for k = 1, #p - 1, 2 do lines[#lines + 1] = {xs = {p[k][1], p[k + 1][1]}, ys = {p[k][2], p[k + 1][2]}} end
    end
  end
  return lines
end

-- contour(z [rows, columns] [, {levels = 8 | {…}, xlim =, ylim =}]): lines of equal height; the first row is at the
-- bottom
function plot.contour (z, given)
  z = tensor("plot.contour", "z", z, "[rows, columns]")
  local o = read("plot.contour", given, {levels = any("integer", "table"), line_width = 1.})
  if z:size(1) < 2 or z:size(2) < 2 then error("plot.contour: z: at least 2 × 2 values expected") end
  local l = limits(z:flatten(), 0)
  local levels = o.levels or 8
  if type(levels) == "number" then
    local n = levels
    levels = {}
    for k = 1, n do levels[k] = l[1] + (l[2] - l[1]) * k / (n + 1) end
  end
  local xlim, ylim, marks, rows = o.xlim or {1, z:size(2)}, o.ylim or {1, z:size(1)}, {}, z:totable()
  for _, level in ipairs(levels) do
    options.argument("plot.contour", "option 'levels'", level, "number")
    local shade = color.map(neap.tensor((level - l[1]) / math.max(l[2] - l[1], 1e-300))):totable()
    for _, m in ipairs(crossings(rows, level, xlim, ylim)) do
      m.kind, m.width, m.alpha, m.color = "line", o.line_width, 1, o.color and color.of(o.color) or shade
      marks[#marks + 1] = m
    end
  end
  return figure(o, marks, xlim, ylim)
end

-- images(x [, {columns =, padding =}]): pictures side by side, as image.grid
function plot.images (x, given)
  local o = read("plot.images", given, {columns = any "integer", padding = 2})
  local grid = neap.image.grid(x, {columns = o.columns, padding = o.padding})
  if grid.ndim == 2 then grid = grid:unsqueeze(1):expand(3, grid:size(1), grid:size(2)) end
  o.width, o.height = grid:size(3), grid:size(2)
  return figure(o, {{kind = "image", image = grid:permute(2, 3, 1):to("float32")}}, {0, o.width}, {0, o.height}, true)
end

return plot
