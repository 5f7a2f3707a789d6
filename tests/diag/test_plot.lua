-- test_plot.lua -- what plots are given, and what they say of it.

local lu = require "luaunit"
local plot = neap.plot
local T = {}
local says = lu.assertErrorMsgContains

function T.test_traces_of_what_samplers_return ()
  local E = neap.energy.gaussian{mean = {0, 5}, cov = {{1, 0}, {0, 1}}}
  local draws = neap.sampler.mala{step_size = .3}:sample(E, {chains = 3, steps = 20, seed = 1})
  for coordinate = 1, 2 do
    local marks = plot.trace(draws, {coordinate = coordinate}).panels[1].marks
    lu.assertEquals(#marks, 3)
    for k = 1, 3 do lu.assertEquals(marks[k].ys, draws:select(2, k):select(2, coordinate):totable()) end
  end
  lu.assertEquals(plot.trace(draws).panels[1].marks[2].ys, draws:select(2, 2):select(2, 1):totable())
  lu.assertEquals(#plot.trace(draws:select(3, 1)).panels[1].marks, 3)
  lu.assertEquals(#plot.trace(neap.arange(1, 5)).panels[1].marks, 1)
  lu.assertEquals(plot.trace(neap.arange(1, 24):reshape(2, 3, 2, 2), {coordinate = 4}).panels[1].marks[1].ys, {4, 16})
  says("plot.trace: option 'coordinate': 1 to 2 expected for draws [20, 3, 2], got 3", plot.trace, draws,
       {coordinate = 3})
  says("plot.trace: draws: tensor [steps], [steps, chains] or [steps, chains, event...] expected, got nil", plot.trace)
end

-- ---- what figures hold ----

local function only_mark (figure)
  lu.assertEquals(#figure.panels, 1)
  lu.assertEquals(#figure.panels[1].marks, 1)
  return figure.panels[1].marks[1]
end

function T.test_curves_and_points ()
  local m = only_mark(plot.line({1, 2, 4}, {3, 5, -1}))
  lu.assertEquals({m.kind, m.xs, m.ys}, {"line", {1, 2, 4}, {3, 5, -1}})
  m = only_mark(plot.line{3, 5, -1})
  lu.assertEquals({m.xs, m.ys}, {{1, 2, 3}, {3, 5, -1}})
  m = only_mark(plot.scatter{{1, 2}, {3, 5}})
  lu.assertEquals({m.kind, m.x:totable(), m.y:totable()}, {"points", {1, 3}, {2, 5}})
end

function T.test_bars ()
  local m = only_mark(plot.hist({0, 0, 1, 3}, {bins = 3, density = false}))
  lu.assertEquals({m.kind, m.edges, m.heights}, {"bars", {0, 1, 2, 3}, {2, 1, 1}})
  lu.assertEquals(only_mark(plot.hist({0, 0, 1, 3}, {bins = 3})).heights, {.5, .25, .25})
end

-- the least value is dark violet, the largest yellow; rows are drawn upwards
local dark, bright = {.22, .05, .33}, {.99, .92, .2}

local function is_color (pixel, expected)
  for k, v in ipairs(expected) do lu.assertAlmostEquals(pixel[k]:item(), v, 1e-6) end
end

function T.test_areas ()
  local m = only_mark(plot.heatmap{{0, 1}, {2, 3}})
  lu.assertEquals({m.kind, m.image.shape}, {"image", {2, 2, 3}})
  is_color(m.image[2][1], dark)
  is_color(m.image[1][2], bright)
  local E = neap.energy.gaussian{mean = {0, 0}, std = 1}
  local density = only_mark(plot.energy(E, {points = 9})).image
  is_color(density[5][5], bright)
  is_color(density[1][1], dark)
  is_color(only_mark(plot.energy(E, {points = 9, kind = "energy"})).image[1][1], bright)
  local x = neap.rand(1, 2, 3)
  lu.assertEquals(only_mark(plot.images(x, {padding = 0})).image:select(3, 1):totable(), x[1]:totable())
end

-- a valley's slope is crossed half way up
function T.test_contours ()
  local m = only_mark(plot.contour({{0, 0}, {1, 1}}, {levels = {.5}}))
  lu.assertEquals({m.kind, m.xs, m.ys}, {"line", {2, 1}, {1.5, 1.5}})
end

function T.test_figures_are_put_together ()
  local f, g = plot.line{1, 2}, plot.scatter{{1, 2}}
  lu.assertTrue(f:add(g) == f)
  lu.assertEquals({f.panels[1].marks[1].kind, f.panels[1].marks[2].kind}, {"line", "points"})
  local both = plot.panels{f, g}
  lu.assertEquals({#both.panels, #both.panels[1].marks, #both.panels[2].marks}, {2, 2, 1})
end

-- A picture among white margins, and the same in the terminal, two rows in a line.
function T.test_pictures ()
  local x = neap.rand(1, 3, 4, 6)
  local f = plot.images(x, {padding = 0})
  local p = f:pixels():permute(3, 1, 2)
  lu.assertEquals(p.shape, {3, 42, 30})
  lu.assertTrue((p:slice(2, 27, 30):slice(3, 13, 18) - x[1]):abs():amax():item() < 1e-6)
  lu.assertEquals(p[{{}, {1, 10}, {}}]:amin():item(), 1)
  local lines, write = {}, io.write
  io.write = function (...) lines[#lines + 1] = table.concat{...} end
  local ok, shown = pcall(f.show, f, 30)
  io.write = write
  lu.assertTrue(ok and shown == f)
  local text = table.concat(lines)
  lu.assertEquals(select(2, text:gsub("▀", "")), 30 * 21)
  lu.assertEquals(select(2, text:gsub("\n", "")), 21)
  local c = (x[{1, {}, 1, 1}] * 255):round():to "int64":totable()
  lu.assertStrContains(text, ("8;2;%d;%d;%dm"):format(c[1], c[2], c[3]))
end

-- ---- what they say ----

function T.test_shapes_are_told ()
  says("plot.scatter: x: [N, 2] expected, got [10, 4, 2]", plot.scatter, neap.zeros(10, 4, 2))
  says("plot.scatter: x: [N, 2] expected, got [10, 3]", plot.scatter, neap.zeros(10, 3))
  says("plot.scatter: x: tensor [N, 2] expected, got nil", plot.scatter)
  says("plot.hist: x: [N] expected, got [3, 3]", plot.hist, neap.zeros(3, 3))
  says("plot.heatmap: z: [rows, columns] expected, got [2]", plot.heatmap, {1, 2})
end

function T.test_options_are_checked ()
  says("plot.scatter: option 'size': a positive number expected, got -1", plot.scatter, {{1, 2}}, {size = -1})
  says("plot.line: option 'width': a positive number expected, got 0", plot.line, {1, 2}, {width = 0})
  says("plot.scatter: option 'alpha': a number in [0, 1] expected, got 2", plot.scatter, {{1, 2}}, {alpha = 2})
  says("plot.contour: option 'levels': number expected, got string", plot.contour, {{1, 2}, {3, 4}}, {levels = {"a"}})
end

function T.test_energies_over_the_plane ()
  says("plot.energy: E: an energy over the plane, of event [2], expected, got event [3]", plot.energy,
       neap.energy.rosenbrock{dim = 3})
  says("plot.energy: E: energy or callable expected, got nil", plot.energy)
  says("plot.energy: option 'samples': [N, 2] expected, got [4, 3]", plot.energy, neap.energy.banana{},
       {samples = neap.zeros(4, 3)})
  lu.assertEquals(#plot.energy(neap.energy.double_well{}, {points = 8}).panels[1].marks, 1)
  lu.assertEquals(plot.energy(function (x) return x:sum(2) end, {points = 8}).panels[1].marks[1].image.shape, {8, 8, 3})
end

function T.test_figures ()
  local f = plot.line{1, 2}
  lu.assertEquals(tostring(f), 'figure of 1 panel, 320 x 320 pixels each: save("name.png" or "name.svg"), show()')
  says("plot: add: a figure expected, got integer", f.add, f, 3)
  says("plot.panels: element 2: a figure expected, got integer", plot.panels, {f, 3})
  says("plot.panels: an array of figures expected, got one figure", plot.panels, f)
end

return T
