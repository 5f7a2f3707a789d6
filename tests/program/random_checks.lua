-- random_checks.lua -- random functions (random.lua) as programs: through neap.compile with and without gradients,
-- through neap.scan, and as a sampler's energy.  float64, so that what differs by more than 1e-9 is wrong and no
-- rounding.
-- Reference: the function itself; for a sampler the same energy made to look at a value, which runs op by op.

local lu = require "luaunit"
local compare = require "program.compare"
local random = require "program.random"
local M = {}

local f64 = {dtype = "float64"}
local NEAR = 1e-9 / 2 ^ -53

local function near (got, want, what)
  local e = compare.apart(got, want, 1)
  lu.assertTrue(e < NEAR, ("%s: %.1g apart"):format(what, e * 2 ^ -53))
end

local function same_bits (run, what)
  lu.assertTrue(compare.same_for_threads(run), what .. ": the same bits on any number of threads")
end

-- f with the random stream it draws from set back
local function restarted (p, f)
  return function (...)
    p.rng:set_state(neap.rng(5):state())
    return table.pack(f(...))
  end
end

local function batch (rows)
  local rng = neap.rng(rows)
  return rng:normal({rows, 3}, f64), rng:normal({rows, 2}, f64)
end

-- the gradients of Σ .7 o + ½ o² over all values
local function gradient_of (f)
  return neap.grad(function (x, y)
    local s = 0
    for _, o in ipairs{f(x, y)} do s = s + (o * .7 + o * o * .5):sum() end
    return s
  end, {1, 2})
end

-- ---- the checks, each of one seed ----------------------------------------------------------------------------------

local checks = {}

local function compiled (p, f, what)
  local g, calls = compare.compiled(f)
  local run, want_of = restarted(p, g), restarted(p, f)
  for _, rows in ipairs{70, 1, 2, 3, 130} do
    local x, y = batch(rows)
    local want, here = want_of(x, y), ("%s, %d rows, %s"):format(what, rows, p.text)
    near(run(x, y), want, here)
    calls()
    near(run(x, y), want, here)
    lu.assertEquals(calls(), 0, here .. ": ran as a program")
    if rows == 130 then same_bits(function () return run(x, y) end, here) end
  end
end

function checks.compiled (p) compiled(p, p.f, "values") end
function checks.gradients (p) compiled(p, gradient_of(p.f), "gradients") end

-- derivatives through a compiled function, not inside of it: by the tape and by functions, to second order
local derivatives = {gradients = gradient_of}

function derivatives.hessian_vectors (f)
  local g = gradient_of(f)
  return neap.grad(function (x, y)
    local s = 0
    for _, o in ipairs{g(x, y)} do s = s + (o * .7 + o * o * .5):sum() end
    return s
  end, {1, 2})
end

function derivatives.tangents (f)
  return function (x, y)
    local _, t = neap.jvp(function (z) return table.pack(f(z, y)) end, x, x * .5 + 1)
    return t
  end
end

function derivatives.tape (f)
  return function (x, y)
    local a, s = x:clone():requires_grad(), 0
    for _, o in ipairs{f(a, y * a:sum():sin())} do s = s + (o * o):sum() end
    s:backward()
    return a.grad, s:detach()
  end
end

function checks.differentiated (p)
  local g, calls = compare.compiled(p.f)
  for name, of in pairs(derivatives) do
    local run, want_of = restarted(p, of(g)), restarted(p, of(p.f))
    for _, rows in ipairs{70, 1, 2, 130} do
      local x, y = batch(rows)
      local what = ("%s through, %d rows, %s"):format(name, rows, p.text)
      local want = want_of(x, y)
      near(run(x, y), want, what)
      near(run(x, y), want, what)
      if rows == 130 then same_bits(function () return run(x, y) end, what) end
    end
  end
  calls()
  restarted(p, g)(batch(70))
  lu.assertEquals(calls(), 0, p.text .. ": ran as a program")
end

local samplers = {
  neap.sampler.langevin{step_size = .01, noise_std = .05}, neap.sampler.mala{step_size = .01},
  neap.sampler.hmc{step_size = .05, leapfrog_steps = 2}, neap.sampler.random_walk{scale = .1},
}

function checks.sampled (p, seed)
  local E, s = random.energy(p), samplers[seed % #samplers + 1]
  local op_by_op = neap.energy(function (x)
    x:sum():item()
    return E(x)
  end, {event = {5}})
  for _, rows in ipairs{70, 1, 2, 3, 130, 70} do
    local x = neap.rng(rows):normal({rows, 5}, f64)
    local function steps (energy)
      return restarted(p, function () return s:step(energy, s:init(energy, x, neap.rng(3)), 6).x end)()
    end
    local what = ("%s, %d rows, %s"):format(tostring(s), rows, p.text)
    near(steps(E), steps(op_by_op), what)
    if rows == 130 then same_bits(function () return steps(E) end, what) end
  end
end

-- ways to step: over a number of steps or a tensor, with results of each step, with what depends on the step's number
local ways = {}

function ways.plain (c) return {x = c.x * .9 + .1, v = c.v * .5} end
function ways.results (c) return {x = c.x * .9 + .1, v = c.v * .5 + c.x:mean()}, {c.x:sum(2), c.v} end
function ways.numbered (c, _, t)
  return {x = c.x * (1 - .02 * t) + (t == 3 and 1 or .1), v = c.v + t}, t % 4 > 1 and c.x * t or c.x
end
function ways.over (c, z, t)
  return {x = c.x * .9 + z.a * .1, v = c.v * z.b + (t or 1) * .01}, c.x * z.b[1]
end
function ways.counted (c) return {x = c.x * .9 + c.n * .01, v = c.v, n = c.n + 1}, c.x:amax(2) end

-- step of E: a way, and a bit of its gradient
local function step_of (E, way)
  return function (c, z, t)
    local after, y = way(c, z, t)
    after.x = (after.x - .05 * E:grad(c.x)):clamp(-4, 4)
    return after, y
  end
end

-- what scan is: steps one by one, results stacked
local function by_hand (step, c, xs, n)
  local columns = {}
  for t = 1, n do
    local y
    c, y = step(c, xs and {a = xs.a[t], b = xs.b[t]} or nil, t)
    for k, v in ipairs(neap.is_tensor(y) and {y} or y or {}) do
      columns[k] = columns[k] or {}
      columns[k][t] = v
    end
  end
  for k, list in ipairs(columns) do columns[k] = neap.stack(list) end
  return {c.x, c.v, columns}
end

local function check_scan (p, E, name, rows)
  local rng, n = neap.rng(rows), 11
  local start = {x = rng:normal({rows, 5}, f64), v = neap.ones({2}, f64), n = name == "counted" and 0 or nil}
  local xs = name == "over" and {a = rng:normal({n, rows, 5}, f64), b = rng:normal({n, 2}, f64)} or nil
  local step = step_of(E, ways[name])
  local function scan ()
    local c, ys = neap.scan(step, start, xs or n)
    return {c.x, c.v, neap.is_tensor(ys) and {ys} or ys or {}}
  end
  local what = ("scan %s, %d rows, %s"):format(name, rows, p.text)
  near(restarted(p, scan)(), restarted(p, function () return by_hand(step, start, xs, n) end)(), what)
  if rows == 130 then same_bits(restarted(p, scan), what) end
end

function checks.scanned (p)
  local E = random.energy(p)
  for name in pairs(ways) do
    for _, rows in ipairs{70, 1, 2, 130} do check_scan(p, E, name, rows) end
  end
end

-- Runs one check on the functions of some seeds, of so many instructions at most; returns how many.
function M.run (name, first, last, length)
  for seed = first, last do
    local p = random.make(seed, length)
    p.bind "float64"
    checks[name](p, seed)
  end
  print(("random functions %s: %d"):format(name, last - first + 1))
end

return M
