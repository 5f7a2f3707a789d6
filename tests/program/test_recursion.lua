-- Long recursions inside an energy, as time series have them: neap.scan there against the loop written out, values and
-- gradients; and samplers that run them as programs, to the draws of the loop.  Bound: 1e-12 of the largest element.
local lu = require "luaunit"
local compare = require "program.compare"
local T = {}

local f64 = {dtype = "float64"}
local STEPS = 200

-- what scan stands for: carry and results of each step, stacked
local function loop (step, carry, xs)
  local ys = {}
  for t = 1, xs.shape[1] do carry, ys[t] = step(carry, xs[t]) end
  return carry, ys[1] and neap.stack(ys) or nil
end

local function series (seed) return neap.rng(seed):normal({STEPS}, f64) * .5 + 1 end

-- GARCH(1, 1): the variance of each value leans on the value before and its variance.
local function garch (scan)
  local y = series(1)
  return neap.energy(function (u)
    local mu, base = u:select(2, 1), u:select(2, 2):exp()
    local a, b = u:select(2, 3):sigmoid(), u:select(2, 4):sigmoid()
    local first = (1 + mu * 0)
    local _, rest = scan(function (v, x)
      local after = base + a * (x - mu):square() + (1 - a) * b * v
      return after, after
    end, first, y:slice(1, 1, STEPS - 1))
    local v = neap.cat({first:unsqueeze(1), rest}, 1)
    return -neap.dist.normal(y:unsqueeze(2), mu, v:sqrt()):sum(1) + u:square():sum(2)
  end, {event = {4}})
end

-- A moving average: each error leans on the one before.
local function moving_average (scan)
  local y = series(2)
  return neap.energy(function (u)
    local mu, theta = u:select(2, 1), u:select(2, 2):tanh()
    local last, errors = scan(function (e, x)
      local now = x - mu - theta * e
      return now, now
    end, mu * 0, y)
    return -neap.dist.normal(errors, 0, u:select(2, 3):exp()):sum(1) + (last + u:square():sum(2)) * .1
  end, {event = {3}})
end

-- A hidden Markov model of two states: the forward recursion of log probabilities.
local function hidden_markov (scan)
  local y = series(3)
  return neap.energy(function (u)
    local mean = u:slice(2, 1, 2)
    local stay = u:slice(2, 3, 4)
    local log_p = neap.stack({neap.stack({stay:select(2, 1):log_sigmoid(), (-stay:select(2, 1)):log_sigmoid()}, 2),
                              neap.stack({(-stay:select(2, 2)):log_sigmoid(), stay:select(2, 2):log_sigmoid()}, 2)}, 2)
    local forward = scan(function (alpha, x)
      return (alpha:unsqueeze(3) + log_p):logsumexp(2) + neap.dist.normal(x, mean, .5)
    end, mean * 0 - math.log(2), y)
    return -forward:logsumexp(2) + mean:square():sum(2) / 8 + stay:square():sum(2) / 8
  end, {event = {4}})
end

local models = {garch = garch, moving_average = moving_average, hidden_markov = hidden_markov}

local function close (a, b, what)
  local scale = math.max(1, b:abs():amax():item())
  local d = (a - b):abs():amax():item()
  lu.assertTrue(d <= 1e-12 * scale, ("%s: %g apart, of %g"):format(what, d, scale))
end

for name, model in pairs(models) do
  T["test_gradient_of_" .. name] = function ()
    local short, long = model(neap.scan), model(loop)
    for _, rows in ipairs{1, 4, 40} do
      local u = neap.rng(4):normal({rows, short.event[1]}, f64) * .4
      local e, g = short:value_and_grad(u)
      local e2, g2 = long:value_and_grad(u)
      close(e, e2, name .. ": values")
      close(g, g2, name .. ": gradients")
      local v, h = neap.rng(5):normal(u.shape, f64), 1e-6
      local difference = (short(u + h * v) - short(u - h * v)) / (2 * h)
      local slope = (g * v):sum(2)
      lu.assertTrue(((slope - difference):abs() / (1 + difference:abs())):amax():item() < 1e-6, name)
    end
  end

  -- A program, without a warning, gives the draws that single steps give.
  T["test_steps_of_" .. name] = function ()
    local s = neap.sampler.hmc{step_size = .02, leapfrog_steps = 3}
    local E, draws = model(neap.scan), {}
    local start = neap.rng(6):normal({4, E.event[1]}, f64) * .3
    local heard = compare.with_warnings(function ()
      for i, scan in ipairs{neap.scan, loop} do
        local E = model(scan)
        local st = s:init(E, start, neap.rng(7))
        if i == 1 then st = s:step(E, st, 12) else for _ = 1, 12 do st = s:step(E, st) end end
        draws[i] = st.x
      end
    end)
    lu.assertEquals(heard, {})
    close(draws[1], draws[2], name)
    lu.assertTrue((draws[1] - start):abs():amax():item() > .01, name)
  end
end

function T.test_second_derivatives ()
  local u, v = neap.rng(4):normal({2, 4}, f64) * .3, neap.rng(5):normal({2, 4}, f64)
  close(garch(neap.scan):hvp(u, v), garch(loop):hvp(u, v), "garch")
end

return T
