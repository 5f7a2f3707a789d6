-- motion_planner.lua -- a path as a sample from summed cost energies.
--
-- A path is 30 points in the plane.  Smoothness, obstacles and the goal are energies of it, written apart; their sum
-- is the planner.  Sampling instead of minimising gives many different good paths, and start and goal are held by
-- E:fix.

local N = 30
local start, goal = {-3, -3}, {3, 3}
local obstacles = {{-1, -1, 1.1}, {1.2, .4, .9}, {-.6, 1.9, .8}, {2, -1.8, .8}}        -- x, y, radius

-- x [B, N, 2] -> [B]
local function smoothness (x)
  local velocity = x[{{}, {2, N}}] - x[{{}, {1, N - 1}}]
  local acceleration = velocity[{{}, {2, N - 1}}] - velocity[{{}, {1, N - 2}}]
  return 2 * velocity:square():sum({2, 3}) + 40 * acceleration:square():sum({2, 3})
end

local centres = neap.tensor(obstacles)[{{}, {1, 2}}]
local radii = neap.tensor(obstacles)[{{}, 3}]
local function collision (x)
  local distance = (x:unsqueeze(3) - centres):square():sum(4):sqrt()          -- [B, N, obstacles]
  return (10 * (radii + .25 - distance)):softplus():sum({2, 3})
end

local event = {event = {N, 2}}
local E = neap.energy(smoothness, event) + 3 * neap.energy(collision, event)

-- The first and last points do not move.
local mask = neap.zeros(N, 2):gt(1)
mask[1], mask[N] = true, true
local line = neap.stack({neap.linspace(start[1], goal[1], N), neap.linspace(start[2], goal[2], N)}, 2)
E = E:fix(mask, line)

-- Cool down from bent random paths to temperature 0.1.
neap.seed(1)
local B = 64
local bend = neap.linspace(0, math.pi, N):sin():unsqueeze(2)
local x = line + bend * 2.5 * neap.randn(B, 1, 2)
local sampler = neap.sampler.hmc{step_size = .02, leapfrog_steps = 15}
for _, temperature in ipairs {3, 1, .5, .2, .1} do
  x = sampler:step(E / temperature, sampler:init(E / temperature, x), 60).x
end

-- How far each path stays from the obstacles, and which ways around there are.
local clearance = ((x:unsqueeze(3) - centres):square():sum(4):sqrt() - radii):amin({2, 3})
local free = clearance:gt(0)
local length = (x[{{}, {2, N}}] - x[{{}, {1, N - 1}}]):square():sum(3):sqrt():sum(2)
print(("%d of %d paths touch no obstacle"):format(free:to("int64"):sum():item(), B))
print(("least clearance of the free ones %.2f; shortest path %.2f, the straight line %.2f"):format(
  clearance[free]:amin():item(), length[free]:amin():item(), math.sqrt(72)))
local below = (x[{{}, {}, 1}] - x[{{}, {}, 2}]):mean(2):gt(0):to("int64"):sum():item()
print(("%d pass below the middle, %d above"):format(below, B - below))

local view = {xlim = {-5, 5}, ylim = {-5, 5}, width = 420, height = 420, title = "paths sampled from summed costs"}
local picture = neap.plot.line({start[1]}, {start[2]}, view)
for _, o in ipairs(obstacles) do
  local a = neap.linspace(0, 2 * math.pi, 60)
  picture:add(neap.plot.line(o[1] + o[3] * a:cos(), o[2] + o[3] * a:sin(), {color = "black", line_width = 3}))
end
for i = 1, 32 do
  if free[i]:item() then
    picture:add(neap.plot.line(x[i]:select(2, 1), x[i]:select(2, 2), {color = "blue", alpha = .5, line_width = 1}))
  end
end
picture:save "motion_planner.png"
print "picture: motion_planner.png"
