-- planner.lua -- a motion planner whose paths are samples of summed cost energies.
--
-- A path is 40 points in the plane.  To be smooth, to stay clear of obstacles and to end at the goal are three
-- energies, written apart; their sum is the planner, and a sample of it is a path.  Sampling gives what minimising
-- cannot: the different ways around.  E:fix holds the start; the goal only pulls.  Sampling cools down (E /
-- temperature) from bent random paths.

local neap = require "neap"
neap.seed(1)

local N, PATHS = 40, 64
local start, goal = neap.tensor {-3, -3}, neap.tensor {3, 3}
local centres = neap.tensor {{-1, -1}, {1.2, .4}, {-.6, 1.9}, {2, -1.8}}
local radii = neap.tensor {1.1, .9, .8, .8}

-- A path that a robot can drive: short steps, slow turns.  x [B, N, 2] -> [B]
local smooth = neap.energy(function (x)
  local velocity = x:slice(2, 2) - x:slice(2, 1, -2)
  local acceleration = velocity:slice(2, 2) - velocity:slice(2, 1, -2)
  return 3 * velocity:square():sum({2, 3}) + 60 * acceleration:square():sum({2, 3})
end, {event = {N, 2}})

-- Distance of points [B, M, 2] to the nearest obstacle's edge, below 0 inside: [B, M, obstacles]
local function clearance (x)
  return (x:unsqueeze(3) - centres):square():sum(4):sqrt() - radii
end

-- High within 0.3 of an obstacle, and higher the deeper.
local clear = neap.energy(function (x)
  return 3 * (10 * (.3 - clearance(x))):softplus():sum({2, 3})
end, {event = {N, 2}})

local arrive = neap.energy(function (x)
  return 20 * (x:select(2, -1) - goal):square():sum(2)
end, {event = {N, 2}})

local at_start = neap.zeros(N, 2):to("bool")
at_start[1] = true
local line = start + neap.linspace(0, 1, N):unsqueeze(2) * (goal - start)
local E = (smooth + clear + arrive):fix(at_start, line)

-- First paths: the straight line, bent to a random side.
local bend = neap.linspace(0, math.pi, N):sin():unsqueeze(2)
local x = line + 2.5 * bend * neap.randn(PATHS, 1, 2)
for _, temperature in ipairs {3, 1, .3, .1, .03} do
  local cooled = E / temperature                               -- steeper the colder, so the steps are shorter
  local sampler = neap.sampler.hmc{step_size = .03 * math.sqrt(temperature), leapfrog_steps = 25}
  x = sampler:step(cooled, sampler:init(cooled, x), 60).x
end

-- Check the paths between their points too: ten places on each piece.
local pieces = {}
for k = 0, 9 do pieces[k + 1] = x:slice(2, 1, -2) * (1 - k / 10) + x:slice(2, 2) * (k / 10) end
local room = clearance(neap.cat(pieces, 2)):amin({2, 3})
local free = room:gt(0)
local miss = (x:select(2, -1) - goal):square():sum(2):sqrt()
local length = (x:slice(2, 2) - x:slice(2, 1, -2)):square():sum(3):sqrt():sum(2)
local count = free:to("int64"):sum():item()
local closest = room[free]:amin():item()
print(("%d of %d paths are clear of every obstacle, the closest by %.2f"):format(count, PATHS, closest))
print(("they end %.2f from the goal on average; lengths %.2f to %.2f, straight through the obstacles %.2f"):format(
  miss:mean():item(), length[free]:amin():item(), length[free]:amax():item(), math.sqrt(72)))
assert(count >= .9 * PATHS and miss:amax():item() < 1)

-- A path's way around is named by the side on which it passes each obstacle: where its point nearest to the centre
-- lies, seen in the direction from start to goal.
local ways, names = {}, {}
for i = 1, PATHS do
  if free[i]:item() then
    local side = {}
    for k = 1, #radii do
      local offset = x[i] - centres[k]
      local nearest = offset[offset:square():sum(2):argmin():item()]
      side[k] = nearest[2]:item() > nearest[1]:item() and "left" or "right"
    end
    local name = table.concat(side, ", ")
    if not ways[name] then names[#names + 1] = name end
    ways[name] = (ways[name] or 0) + 1
  end
end
table.sort(names)
print(("%d ways around, by the side on which the four obstacles are passed:"):format(#names))
for _, name in ipairs(names) do print(("  %2d  %s"):format(ways[name], name)) end
assert(#names >= 2)

local folder = arg[1] or "examples/out"
os.execute("mkdir -p '" .. folder .. "'")
local picture = neap.plot.scatter(neap.stack({start, goal}, 1), {
  title = "paths sampled from summed costs", size = 5, color = "red",
  xlim = {-4, 4}, ylim = {-4, 4}, width = 460, height = 460,
})
local turn = neap.linspace(0, 2 * math.pi, 80)
for k = 1, #radii do
  local edge_x, edge_y = centres[k][1] + radii[k] * turn:cos(), centres[k][2] + radii[k] * turn:sin()
  picture:add(neap.plot.line(edge_x, edge_y, {color = "black", line_width = 3}))
end
for i = 1, PATHS do
  local path_x, path_y = x[i]:select(2, 1), x[i]:select(2, 2)
  if free[i]:item() then
    picture:add(neap.plot.line(path_x, path_y, {color = "blue", alpha = .4, line_width = 1}))
  end
end
picture:save(folder .. "/planner.png")
print("picture: " .. folder .. "/planner.png")
