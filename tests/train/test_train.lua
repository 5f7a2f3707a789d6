local lu = require "luaunit"

local T = {}

local function fails (pattern, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, ".*" .. pattern .. ".*")
end

-- A Gaussian energy with free precision: E = θ₁ x² / 2 - θ₂ x.
local function model ()
  local theta = neap.tensor({1, 0}, {dtype = "float64"})
  return neap.energy(function (x) return (theta[1] * x:square() / 2 - theta[2] * x):sum(2) end,
                     {params = {theta = theta}, event = {1}})
end

local function data (n) return 3 + .5 * neap.randn(n, 1, {dtype = "float64", rng = neap.rng(5)}) end

-- Score matching of a normal law has its optimum at θ₁ = 1/s², θ₂ = m/s² of the sample.
function T.test_score_matching_finds_the_gaussian_optimum ()
  local x, E = data(2000), model()
  local h = neap.train(E, x, {loss = neap.loss.score_matching{}, batch = 2000, steps = 1500,
                              optimizer = neap.optim.adam{lr = .05}, every = 100})
  local m, v = x:mean():item(), x:var({1, 2}, false, {unbiased = false}):item()
  local theta = E:params()[1]:totable()
  lu.assertAlmostEquals(theta[1], 1 / v, 1e-3 / v)
  lu.assertAlmostEquals(theta[2], m / v, 1e-3 * m / v)
  lu.assertEquals({#h.loss, #h.step, #h.grad_norm, #h.time}, {15, 15, 15, 15})
  lu.assertEquals({h.step[15], h.steps, h.interrupted}, {1500, 1500, false})
  lu.assertAlmostEquals(h.loss[15], -.5 / v, 1e-2 / v)
  lu.assertTrue(h.grad_norm[15] < .05 and h.seconds >= h.time[15] - 1e-9)
end

function T.test_a_seed_fixes_everything ()
  local function run (seed)
    neap.seed(1)
    local E = neap.energy.mlp{sizes = {1, 8}}
    local h = neap.train(E, data(200):float(), {loss = neap.loss.dsm{sigma = .3}, batch = 32, steps = 30, seed = seed,
                                                every = 10})
    return {h.loss, E:params()[1]:totable()}
  end
  local a = run(3)
  lu.assertEquals(run(3), a)
  lu.assertNotEquals(run(4), a)
end

-- The loop of the page, by hand, gives the same parameters as neap.train.
function T.test_by_hand_and_by_train_agree ()
  local x = data(64)
  local a, b = model(), model()
  neap.train(a, x, {loss = neap.loss.score_matching{}, batch = 16, epochs = 3, seed = 7,
                    optimizer = neap.optim.sgd{lr = .01}})
  local loader, opt, params = neap.data.loader(x, {batch = 16, seed = 7}), neap.optim.sgd{lr = .01}, b:params()
  for _ = 1, 3 do
    for batch in loader do
      opt:step(params, neap.gradients(neap.loss.score_matching{}(b, batch), params))
    end
  end
  lu.assertEquals(a:params()[1]:totable(), b:params()[1]:totable())
end

function T.test_on_step_stops_and_log_reports ()
  local seen, logged = {}, {}
  local h = neap.train(model(), data(64), {
    loss = neap.loss.score_matching{}, batch = 16, steps = 100, every = 2,
    on_step = function (step, loss) seen[#seen + 1] = {step, loss} return step < 7 end,
    log = function (r) logged[#logged + 1] = r end,
  })
  lu.assertEquals(h.steps, 7)
  lu.assertEquals(#seen, 7)
  lu.assertEquals(h.step, {2, 4, 6, 7})
  lu.assertAlmostEquals(h.loss[1], (seen[1][2] + seen[2][2]) / 2, 1e-12)
  lu.assertEquals({logged[3].step, logged[3].loss}, {6, h.loss[3]})
end

function T.test_clipping_bounds_the_step ()
  local E = model()
  local before = E:params()[1]:detach():clone()
  local h = neap.train(E, data(64) * 100, {loss = neap.loss.score_matching{}, batch = 64, steps = 1, clip_grad = .1,
                                           optimizer = neap.optim.sgd{lr = 1}})
  lu.assertAlmostEquals((E:params()[1]:detach() - before):square():sum():sqrt():item(), .1, 1e-9)
  lu.assertTrue(h.grad_norm[1] > 1)
end

function T.test_ema_and_functions_as_data_and_loss ()
  local E, n = model(), 0
  local h = neap.train(E, function (step) n = n + 1 lu.assertEquals(step, n) return data(16) end, {
    loss = function (e, x) return e(x):mean() end, steps = 5, ema = .5, optimizer = neap.optim.sgd{lr = .1},
  })
  lu.assertEquals(n, 5)
  lu.assertEquals(h.ema:params()[1].shape, {2})
  lu.assertNotEquals(h.ema:params()[1]:totable(), E:params()[1]:totable())
  lu.assertEquals(E:with(h.ema:params())(neap.zeros(1, 1, {dtype = "float64"})):item(), 0)
end

-- The averages are those of the energy alone, whatever parameters the loss has.
function T.test_averages_beside_a_loss_with_parameters ()
  local E, law = neap.energy.mlp{sizes = {1, 4}}, neap.energy.gaussian{mean = neap.zeros(1), std = 1}
  local h = neap.train(E, law:sample(50), {loss = neap.loss.nce{noise = law}, batch = 25, steps = 4, ema = .5,
                                           progress = false})
  lu.assertEquals(#h.ema:params(), #E:params())
  lu.assertEquals(E:with(h.ema:params())(neap.zeros(3, 1)).shape, {3})
end

-- The log normaliser of NCE is trained with the energy: that of ½|x|² in the plane is log 2π.
function T.test_the_loss_has_parameters_of_its_own ()
  neap.seed(1)
  local law = neap.energy.gaussian{mean = neap.zeros(2), std = 1}
  local E = neap.energy.gaussian{mean = neap.zeros(2):requires_grad(), std = 1}
  local loss = neap.loss.nce{noise = law}
  neap.train(E, law:sample(4000), {loss = loss, batch = 500, steps = 800, seed = 1,
                                   optimizer = neap.optim.adam{lr = .02}})
  lu.assertAlmostEquals(loss:params()[1]:item(), math.log(2 * math.pi), .1)
end

-- What a loss tells, a number made of the number of rows too, is that of the batch.
function T.test_what_a_loss_tells ()
  neap.seed(1)
  local E, seen = neap.energy.mlp{sizes = {1, 4}}, {}
  local function loss (e, x, rng)
    local y = e(x + rng:normal(x.shape)):mean()
    return y, {value = y, rows = x.shape[1], share = 1 / x.shape[1], name = "it", many = x.shape[1] > 10}
  end
  local function note (_, value, info)
    lu.assertEquals({info.rows, info.share, info.name, info.many}, {12, 1 / 12, "it", true})
    lu.assertEquals(math.type(info.rows), "integer")
    lu.assertEquals(info.value:item(), value)
    seen[#seen + 1] = value
  end
  neap.train(E, neap.randn(48, 1), {loss = loss, batch = 12, steps = 4, on_step = note, seed = 3})
  lu.assertEquals(#seen, 4)
end

-- Chains that go on from call to call go on from whole batches, not from the rows of a recording.
function T.test_pcd_in_a_loss_of_ones_own ()
  local function run (wrap)
    neap.seed(1)
    local E, p = neap.energy.mlp{sizes = {1, 4}}, neap.loss.pcd{sampler = neap.sampler.langevin{step_size = .01}, steps = 2}
    local loss = wrap and function (e, x, rng) return (p(e, x, rng)) end or p
    local h = neap.train(E, neap.randn(48, 1), {loss = loss, batch = 12, steps = 4, seed = 3, every = 1})
    return p:state().buffer.shape[1], h.loss
  end
  local rows, losses = run(true)
  lu.assertEquals(rows, 12)
  lu.assertEquals(losses, select(2, run(false)))
end

-- Without a seed a loss of one's own draws from the default stream all the same.
function T.test_a_loss_has_a_stream ()
  local function run ()
    neap.seed(5)
    local E = neap.energy.mlp{sizes = {1, 4}}
    return neap.train(E, neap.ones(8, 1), {loss = function (e, x, rng) return e(x + rng:normal(x.shape)):mean() end,
                                           batch = 8, steps = 3, every = 1}).loss
  end
  local first = run()
  lu.assertEquals(run(), first)
  lu.assertNotEquals(first[1], first[2])
end

-- A loss that tells more than a program gives runs op by op, from the same draws.
function T.test_a_loss_that_tells_much ()
  local function run (n)
    neap.seed(1)
    local E, losses = neap.energy.mlp{sizes = {1, 4}}, {}
    local function loss (e, x, rng)
      local told = {}
      for i = 1, n do told[i] = x:sum() * i end
      return e(x + rng:normal(x.shape)):mean(), told
    end
    neap.train(E, neap.randn(48, 1), {loss = loss, batch = 12, steps = 4, seed = 3,
                                      on_step = function (step, value) losses[step] = value end})
    return losses
  end
  local few, many = run(3), run(70)
  for i = 1, 4 do lu.assertAlmostEquals(few[i], many[i], 1e-6) end
end

function T.test_a_condition_travels_with_its_rows ()
  neap.seed(1)
  local E = neap.energy.mlp{sizes = {1, 8}, condition = 2}
  local h = neap.train(E, {neap.randn(50, 1), neap.randn(50, 2)},
                       {loss = neap.loss.dsm{sigma = .5}, batch = 25, epochs = 2})
  lu.assertEquals(h.steps, 4)
end

function T.test_errors ()
  local E, x, loss = model(), data(8), neap.loss.score_matching{}
  fails("train: option 'loss' is missing", neap.train, E, x, {steps = 1})
  fails("one of 'steps' and 'epochs' expected", neap.train, E, x, {loss = loss})
  fails("one of 'steps' and 'epochs' expected", neap.train, E, x, {loss = loss, steps = 1, epochs = 1})
  fails("unknown option 'optimiser' %(did you mean 'optimizer'%?%)", neap.train, E, x,
        {loss = loss, steps = 1, optimiser = 1})
  fails("option 'steps': at least 1 expected, got 0", neap.train, E, x, {loss = loss, steps = 0})
  fails("the energy has no parameters", neap.train, neap.energy.double_well{}, x, {loss = loss, steps = 1})
end

function T.test_what_a_loss_must_give ()
  local E, x = neap.energy.mlp{sizes = {2, 4}}, neap.randn(100, 2)
  local function says (text, loss)
    lu.assertErrorMsgContains("train: loss: a tensor of one element expected, got " .. text, neap.train, E, x,
                              {loss = loss, steps = 1, batch = 100})
  end
  says("nil", function () end)
  says("integer", function () return 3 end)
  says("shape [100]: take its mean", function (energy, batch) return energy(batch) end)
  says("bool", function (energy, batch) return energy(batch):mean():gt(0) end)
end

-- A loss that is no number stops the training before it spoils the parameters, and says so.
function T.test_nan_in_the_data_is_an_error_and_leaves_the_parameters ()
  local E, x = model(), data(8)
  x[3] = 0 / 0
  local before = E:params()[1]:totable()
  fails("holds NaN or infinity", neap.train, E, x, {loss = neap.loss.score_matching{}, batch = 8, steps = 3})
  local function loss (e, batch) return e(batch):mean() end
  fails("the loss is %-?nan at step 1", neap.train, E, x, {loss = loss, batch = 8, steps = 3})
  lu.assertEquals(E:params()[1]:totable(), before)
end

return T
