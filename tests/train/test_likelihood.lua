-- test_likelihood.lua -- log-likelihoods measured during training, against closed forms and enumeration.
local lu = require "luaunit"
local folder = require "files.folder"
local likelihood = require "neap.likelihood"
local T = {tearDown = folder.clean}

local f64 = {dtype = "float64"}
local fails = require("errors").raises

local function data () return .5 + .8 * neap.rng(1):normal({3000, 1}, f64) end

-- A normal energy, a function or the ready-made one, and its exact mean log-likelihood of x.
local function gaussian (as_function)
  local mean, precision = neap.zeros(1, f64):requires_grad(), neap.eye(1, f64):requires_grad()
  local function energy (x) return (precision[1] * (x - mean):square() / 2):sum(2) end
  local E = as_function and neap.energy(energy, {params = {mean, precision}, event = {1}}) or
            neap.energy.gaussian{mean = mean, precision = precision}
  return E, function (x)
    local p = precision:item()
    return -(p * (x - mean:item()) ^ 2 / 2):mean():item() + .5 * math.log(p / (2 * math.pi))
  end
end

local function train (E, x, o)
  o.loss, o.steps, o.seed, o.progress = o.loss or neap.loss.score_matching{}, 30, 1, false
  o.optimizer = neap.optim.adam{lr = .05}
  return neap.train(E, x, o)
end

function T.test_in_closed_form_and_by_quadrature ()
  for method, as_function in pairs {exact = false, quadrature = true} do
    local x, test = data(), .5 + .8 * neap.rng(2):normal({500, 1}, f64)
    local E, exact = gaussian(as_function)
    local want = {}
    local h = train(E, x, {log_likelihood = {every = 10, data = test}, on_step = function (step)
      want[step] = exact(test)
    end})
    lu.assertEquals(#h.log_likelihood, 3)
    for i, l in ipairs(h.log_likelihood) do
      lu.assertEquals({l.step, l.method}, {10 * i, method})
      lu.assertAlmostEquals(l.value, want[l.step], 1e-6)
      lu.assertTrue(l.lower <= l.value and l.value <= l.upper and l.upper - l.lower < 1e-3)
    end
    lu.assertTrue(h.log_likelihood[3].value > h.log_likelihood[1].value)
  end
end

-- A number measures the training data; those of an RBM are enumerated.
function T.test_of_an_rbm ()
  local x = neap.data.bars_and_stripes(200, {seed = 1})
  local E = neap.energy.rbm{visible = 16, hidden = 6}
  local loss, want = neap.loss.pcd{sampler = neap.sampler.gibbs{}, steps = 1}, nil
  local h = train(E, x, {loss = loss, log_likelihood = 30, on_step = function (step)
    if step == 30 then want = -E(x):mean():item() - E:log_z() end
  end})
  lu.assertEquals(#h.log_likelihood, 1)
  lu.assertAlmostEquals(h.log_likelihood[1].value, want, 1e-5)
end

-- Beyond three dimensions by annealed importance sampling, whose interval is told.
function T.test_by_annealed_importance_sampling ()
  local G = neap.energy.gaussian{mean = neap.tensor({.5, 0, 0, 0, -1}, f64), std = 1.5}
  local theta, x = neap.zeros(1, f64):requires_grad(), G:sample(200, {dtype = "float64"})
  local E = neap.energy(function (v) return G(v) + 0 * theta end, {params = {theta}, event = {5}})
  local h = train(E, x, {loss = function (e, v) return e(v):mean() end, log_likelihood = {every = 30, chains = 400,
                                                                                       temperatures = 200}})
  local l = h.log_likelihood[1]
  lu.assertEquals(l.method, "ais")
  local stderr = (l.upper - l.lower) / (2 * 1.96)
  lu.assertTrue(stderr > 0 and stderr < .1, "standard error " .. stderr)
  lu.assertTrue(math.abs(l.value - G:log_prob(x):mean():item()) < 4 * stderr)
end

-- Measuring changes nothing else, and is kept by checkpoints.
function T.test_the_run_is_the_same ()
  local function run (o)
    neap.seed(4)
    local E = neap.energy.mlp{sizes = {1, 8}}
    o.loss = neap.loss.dsm{sigma = .3}
    local h = train(E, data():float(), o)
    return E:params()[1]:totable(), h, neap.rng_state()
  end
  local plain, _, stream = run{}
  local got, h, after = run{log_likelihood = 10}
  lu.assertEquals({got, after}, {plain, stream})
  local path = folder.file "run.safetensors"
  run{log_likelihood = 10, checkpoint = path, on_step = function (step) return step < 15 end}
  local again, resumed = run{log_likelihood = 10, resume = path}
  lu.assertEquals(again, plain)
  lu.assertEquals(resumed.log_likelihood, h.log_likelihood)
end

function T.test_what_is_shown ()
  local E, seen = gaussian(true), {}
  train(E, data(), {log_likelihood = 10, every = 5, log = function (r) seen[#seen + 1] = r.log_likelihood ~= nil end})
  lu.assertEquals(seen, {false, true, false, true, false, true})
end

-- Measured at step 13, told with the record of step 20, though the run stopped between them.
function T.test_a_run_that_goes_on_tells_what_was_measured_before ()
  local path = folder.file "run.safetensors"
  local function run (o)
    local told = {}
    neap.seed(4)
    o.every, o.log_likelihood = 10, 13
    o.log = function (r) told[r.step] = r.log_likelihood and r.log_likelihood.step end
    train(gaussian(true), data(), o)
    return told
  end
  lu.assertEquals(run{}, {[20] = 13, [30] = 26})
  run{checkpoint = path, on_step = function (step) return step < 15 end}
  lu.assertEquals(run{resume = path}, {[20] = 13, [30] = 26})
end

-- An interrupt in the exact sum is no reason to go on with an estimate.
function T.test_interrupts_pass ()
  local E = {log_z = function () error("interrupted!", 0) end}
  fails("interrupted!", likelihood.new(1, E, data()), 1)
end

function T.test_errors ()
  local E = gaussian(true)
  fails("log_likelihood: option 'every': at least 1 step expected, got 0", train, E, data(), {log_likelihood = 0})
  fails("option 'every': at least 1 step expected, got nil", train, E, data(), {log_likelihood = {}})
  fails("unknown option 'evry'", train, E, data(), {log_likelihood = {evry = 1}})
  fails("option 'data': rows to measure expected", train, E, function () return data() end, {log_likelihood = 5})
end

return T
