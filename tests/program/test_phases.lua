-- Programs whose rows meet: sums over rows that rows use again, rows that are swapped, rows that become several.
-- Each function is run by neap.compile, each step by a custom sampler and by neap.scan, on batches of any size,
-- against itself op by op; the same bits for any number of threads. The bound: float64, and 1e-11 of the largest
-- element: a sum of 1000 rows and ten steps of it are off by far less.
local lu = require "luaunit"
local neap = require "neap"
local compare = require "program.compare"
local T = {}

local f64 = {dtype = "float64"}
local SIZES = {2, 4, 64, 66, 130, 1000, 64}
local BOUND = 1e-11 / 2 ^ -53

local function near (got, want, what)
  local e = compare.apart(got, want, 1)
  lu.assertTrue(e <= BOUND, ("%s: %.1g apart"):format(what, e * 2 ^ -53))
end

local function batch (rows) return neap.rng(rows):normal({rows, 3}, f64) end

-- ---- functions -----------------------------------------------------------------------------------------------------

local function net () return neap.energy.mlp{sizes = {3, 16, 8}, dtype = "float64", rng = neap.rng(2)} end

local functions = {}

-- the gradient, by parameters and by x, of a curved function of the mean loss
functions.curved_mean = function ()
  local E = net()
  local params = E:params()
  local by_params = neap.value_and_grad(function (ps, x) return (E:with(ps)(x):mean():exp() + 1):log() * 3 end, {1, 2})
  return function (x)
    local v, g, gx = by_params(params, x)
    return {v, g, gx}
  end
end

-- each row against the mean and the spread of all (batch norm), and the gradient through both
functions.normed = function ()
  local E = net()
  local function normed (x)
    local m = x:mean(1)
    return (x - m) / ((x - m):square():mean(1) + .1):sqrt()
  end
  local grad = neap.grad(function (x) return E(normed(x)):square():mean() end)
  return function (x) return normed(x), E(normed(x)), grad(x) end
end

-- a mean of a function of a mean of a function of a mean
functions.three_means = function ()
  return function (x)
    local a = x:tanh():mean(1)
    local b = (x * a):sin():mean(1)
    return (x + b):cos():mean(1, true), x * b - a
  end
end

-- log of the mean likelihood over the batch, as importance weights use it
functions.weights = function ()
  local E = net()
  return function (x)
    local w = (-E(x)):softmax(1)
    return w, (w:unsqueeze(2) * x):sum(1), (-E(x)):logsumexp(1)
  end
end

-- the two halves of the rows change places
functions.swapped = function ()
  return function (x)
    local n = x.shape[1]
    local idx = neap.cat({neap.arange(n // 2 + 1, n), neap.arange(1, n // 2)}, 1):to "int64"
    return x:index_select(1, idx) * .5 + x, x:roll(n // 2, 1), x:flip(1) + x
  end
end

-- three times as many rows, as noise-contrastive losses have, against the first ones
functions.tiled = function ()
  local E = net()
  local grad = neap.grad(function (x)
    local many = x:tile(3, 1) + neap.cat({x, x * .5, -x}, 1)
    return neap.softplus(E(many)):mean() - neap.log_sigmoid(E(x)):mean()
  end)
  return function (x)
    local e = E(x:repeat_interleave(3, 1)):reshape(x.shape[1], 3)
    return grad(x), e, e:logsumexp(2), E(x:tile(3, 1))
  end
end

function T.test_functions ()
  local n = 0
  for name, make in pairs(functions) do
    local f = make()
    local g, calls = compare.compiled(f)
    for _, rows in ipairs(SIZES) do
      local x = batch(rows)
      local want = table.pack(neap.no_grad(f, x))
      local function run () return table.pack(neap.no_grad(g, x)) end
      for _ = 1, 2 do
        calls()
        near(run(), want, ("%s, %d rows"):format(name, rows))
      end
      lu.assertEquals(calls(), 0, ("%s, %d rows: ran as a program"):format(name, rows))
      lu.assertTrue(compare.same_for_threads(run), ("%s, %d rows: threads"):format(name, rows))
      n = n + 1
    end
  end
  lu.assertEquals(n, 42)
end

-- ---- steps ---------------------------------------------------------------------------------------------------------

local steps = {}

-- a step size for all chains, adapted by what all of them did
function steps.chain_wide (E, st, rng)
  local h = st.h
  local y = st.x - h * E:grad(st.x) + (2 * h):sqrt() * rng:normal(st.x.shape, f64)
  local accept = (1 - rng:uniform({st.x.shape[1]}, f64)):log():le(E(st.x) - E(y))
  local rate = accept:to("float64"):mean()
  return {x = neap.where(accept:unsqueeze(2), y, st.x), h = h * (.3 * (rate - .6)):exp()}
end

-- chains drawn to the mean of all
function steps.together (E, st, rng)
  local x = st.x + .2 * (st.x:mean(1) - st.x) - .02 * E:grad(st.x) + .1 * rng:normal(st.x.shape, f64)
  return {x = x, h = st.h * .9 + x:square():mean() * .01}
end

-- two temperatures: the halves of the chains change places where a swap is accepted
function steps.swaps (E, st, rng)
  local n = st.x.shape[1]
  local other = st.x:roll(n // 2, 1)
  local swap = rng:uniform({n}, f64):lt((E(st.x) - E(other)):sigmoid())
  local x = neap.where(swap:unsqueeze(2), other, st.x)
  return {x = x - .02 * E:grad(x) + .1 * rng:normal(x.shape, f64), h = st.h}
end

-- the best of three proposals for each chain
function steps.three_tries (E, st, rng)
  local n = st.x.shape[1]
  local tries = st.x:tile(3, 1) + .2 * rng:normal({3 * n, 3}, f64)
  local w = (-E(tries)):reshape(3, n):softmax(1)
  return {x = (w:unsqueeze(3) * tries:reshape(3, n, 3)):sum(1), h = st.h}
end

-- resampled by weight
function steps.resampled (E, st, rng)
  local n = st.x.shape[1]
  local idx = rng:categorical((-E(st.x)):unsqueeze(1):expand(n, n)):flatten()
  return {x = st.x:index_select(1, idx) + .1 * rng:normal(st.x.shape, f64), h = st.h + (-E(st.x)):logsumexp(1) * 1e-3}
end

-- ten steps of the function itself
local function by_hand (step, E, x)
  local rng, st = neap.rng(3), {x = x, h = neap.tensor(.05, f64)}
  neap.no_grad(function () for _ = 1, 10 do st = step(E, st, rng) end end)
  return {st.x, st.h}
end

local function by_sampler (step, E, x)
  local s = neap.sampler.custom{
    init = function (_, x0) return {x = x0, h = neap.tensor(.05, f64)} end,
    step = step,
  }
  local st = s:step(E, s:init(E, x, neap.rng(3)), 10)
  return {st.x, st.h}
end

local function by_scan (step, E, x)
  local rng = neap.rng(3)
  local st = neap.no_grad(neap.scan, function (c) return step(E, c, rng) end, {x = x, h = neap.tensor(.05, f64)}, 10)
  return {st.x, st.h}
end

for name, step in pairs(steps) do
  T["test_steps_" .. name] = function ()
    local E, made = net(), neap.memory().programs
    for _, rows in ipairs(SIZES) do
      local x = batch(rows)
      local want = by_hand(step, E, x)
      for how, run in pairs{sampler = by_sampler, scan = by_scan} do
        local what = ("%s by %s, %d rows"):format(name, how, rows)
        near(run(step, E, x), want, what)
        lu.assertTrue(compare.same_for_threads(function () return run(step, E, x) end), what .. ": threads")
      end
    end
    lu.assertTrue(neap.memory().programs - made >= 2, name .. ": one for each way at least")
  end
end

return T
