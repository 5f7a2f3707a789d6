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

function checks.scanned (p)
  local E = random.energy(p)
  local function step (c) return {x = (c.x - .05 * E:grad(c.x)):clamp(-4, 4), v = c.v * .9 + c.x:mean()} end
  for _, rows in ipairs{70, 1, 2, 130} do
    local start = {x = neap.rng(rows):normal({rows, 5}, f64), v = neap.ones({2}, f64)}
    local function loop ()
      local c = start
      for _ = 1, 7 do c = step(c) end
      return c
    end
    local function scan () return (neap.scan(step, start, 7)) end
    local what = ("scan, %d rows, %s"):format(rows, p.text)
    near(restarted(p, scan)(), restarted(p, loop)(), what)
    if rows == 130 then same_bits(restarted(p, scan), what) end
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
