-- The surface as its users know it, part six: optimisers, schedules, training, data, files, pictures.
local lu = require "luaunit"
local near = require("energy.near").near
local raises = require("energy.near").raises

local T = {}
local eq = lu.assertEquals
local f64 = {dtype = "float64"}
local function t (v) return neap.tensor(v, f64) end
local function same (x, expected) eq(x:totable(), expected) end

local made = {}
local function temporary (ending)
  local path = os.tmpname()
  made[#made + 1] = path
  made[#made + 1] = path .. ending
  return path .. ending
end
function T.tearDown ()
  for _, path in ipairs(made) do os.remove(path) end
  made = {}
end

-- ---- optimisers ----

function T.test_first_steps ()
  local function after (opt, steps)
    local p = t {1, -2}
    for _ = 1, steps or 1 do opt:step({p}, {t {.5, -1}}) end
    return p
  end
  local o = neap.optim
  near(after(o.sgd {lr = .1}), {.95, -1.9})
  near(after(o.sgd {lr = .1, momentum = .9}, 2), {1 - .05 - .1 * (.9 * .5 + .5), -2 + .1 + .1 * 1.9})
  near(after(o.sgd {lr = .1, momentum = .9, nesterov = true}), {1 - .1 * (.5 + .9 * .5), -2 + .1 * 1.9})
  near(after(o.sgd {lr = .1, weight_decay = .5}), {1 - .1 * (.5 + .5), -2 + .1 * 2})
  near(after(o.adam {lr = .1}), {.9, -1.9}, 1e-7)
  near(after(o.adamw {lr = .1, weight_decay = .1}), {1 - .01 - .1, -2 + .02 + .1}, 1e-7)
  eq(type(after(o.rmsprop {lr = .1}):totable()), "table")
  eq(type(after(o.adagrad {lr = .1}):totable()), "table")
end

function T.test_named_and_nested_parameters ()
  local p = {w = t {1}, b = t {2}}
  neap.optim.sgd {lr = 1}:step(p, {w = t {.5}, b = t {1}})
  near(p.w, {.5})
  near(p.b, {1})
  local q = t {3}
  neap.optim.sgd {lr = 1}:step(q, t {1})
  near(q, {2})
  -- no gradient: stays
  neap.optim.sgd {lr = 1}:step(p, {w = t {.5}})
  near(p.b, {1})
end

function T.test_state_of_an_optimiser ()
  local function run (opt, p, n) for i = 1, n do opt:step({p}, {p * i}) end end
  local a, b = t {1, 2}, t {1, 2}
  local one, two = neap.optim.adam {lr = .1}, neap.optim.adam {lr = .1}
  run(one, a, 6)
  run(two, b, 3)
  local three = neap.optim.adam {lr = .1}
  three:set_state(two:state())
  for i = 4, 6 do three:step({b}, {b * (i - 3)}) end
  local c = t {1, 2}
  local four = neap.optim.adam {lr = .1}
  run(four, c, 3)
  run(four, c, 3)
  near(b, c)
end

function T.test_schedules ()
  local s = neap.schedule
  near(s.constant(.1)(7), .1)
  near(s.cosine {lr = 1, steps = 11}(6), .5)
  near(s.linear {lr = 1, steps = 11}(6), .5)
  near(s.exponential {lr = 1, decay = .5}(3), .25)
  near(s.step {lr = 1, every = 2, factor = .1}(3), .1)
  near(s.warmup {lr = 1, steps = 10}(5), .5)
  near(s.warmup {lr = s.constant(2), steps = 10}(50), 2)
  local p = t {1}
  local opt = neap.optim.sgd {lr = s.step {lr = 1, every = 1, factor = .5}}
  opt:step({p}, {t {.1}})
  opt:step({p}, {t {.1}})
  near(p, {1 - .1 - .05})
end

function T.test_ema ()
  local p = t {1}
  local e = neap.ema({p}, {decay = .5})
  p[1] = 3
  e:update()
  lu.assertTrue(e:params()[1]:item() > 1 and e:params()[1]:item() <= 3)
  local state = e:state()
  eq(e:set_state(state):params()[1]:item(), e:params()[1]:item())
end

-- ---- train ----

function T.test_train ()
  local x = neap.data.moons(400, {noise = .1, seed = 1})
  local function run ()
    neap.seed(1)
    local E = neap.energy.mlp {sizes = {2, 16}, rng = neap.rng(1)}
    local steps = 0
    local history = neap.train(E, x, {loss = neap.loss.dsm {sigma = .2}, optimizer = neap.optim.adam {lr = 1e-2},
      batch = 64,
      steps = 60, seed = 3, every = 20, on_step = function () steps = steps + 1 end, progress = false})
    eq(steps, 60)
    return history, E
  end
  local history, E = run()
  eq(history.step, {20, 40, 60})
  eq(#history.loss, 3)
  lu.assertTrue(history.loss[3] < history.loss[1])
  eq(#history.grad_norm, 3)
  eq(history.steps, 60)
  local again, F = run()
  eq(again.loss, history.loss)
  same(F:params()[1], E:params()[1]:totable())
end

function T.test_training_does_not_depend_on_threads ()
  local before = neap.threads()
  local x = neap.data.moons(300, {seed = 1})
  local function run (n)
    neap.threads(n)
    neap.seed(2)
    local E = neap.energy.mlp {sizes = {2, 32, 32}}
    neap.train(E, x, {loss = neap.loss.cd {sampler = neap.sampler.langevin {step_size = .01}, steps = 3}, batch = 100,
                      steps = 10, seed = 1, progress = false})
    return E(x):totable()
  end
  local a, b = run(1), run(2)
  neap.threads(before)
  eq(b, a)
end

function T.test_train_options ()
  local x = neap.randn(50, 2)
  local E = neap.energy.mlp {sizes = {2, 4}}
  local h = neap.train(E, x, {loss = neap.loss.dsm {sigma = .2}, epochs = 2, batch = 20, progress = false})
  eq(h.steps, 6)
  h = neap.train(E, neap.data.loader(x, {batch = 10}), {loss = neap.loss.dsm {sigma = .2}, epochs = 1,
    progress = false})
  eq(h.steps, 5)
  h = neap.train(E, function () return x end, {loss = neap.loss.dsm {sigma = .2}, steps = 3, clip_grad = 1e-3,
    ema = .9, progress = false})
  eq(h.steps, 3)
  eq(#h.ema:params(), #E:params())
  local logged = 0
  neap.train(E, x, {loss = neap.loss.dsm {sigma = .2}, steps = 4, every = 2, log = function (r)
    logged = logged + 1
    eq(type(r.loss), "number")
  end, progress = false})
  eq(logged, 2)
  -- a loss written in Lua
  h = neap.train(E, x, {loss = function (e, batch) return (e(batch) ^ 2):mean() end, steps = 3, progress = false})
  eq(h.steps, 3)
  h = neap.train(E, x, {loss = neap.loss.dsm {sigma = .2}, steps = 10,
    on_step = function (step) return step < 4 end, progress = false})
  eq(h.steps, 4)
  local C = neap.energy.mlp {sizes = {2, 4}, condition = 1}
  h = neap.train(C, {x, neap.randn(50, 1)}, {loss = neap.loss.dsm {sigma = .2}, steps = 3, progress = false})
  eq(h.steps, 3)
end

-- ---- data ----

function T.test_two_dimensional_sets ()
  for _, name in ipairs {"moons", "circles", "pinwheel", "swiss_roll", "eight_gaussians", "checkerboard", "rings",
    "grid", "two_spirals"} do
    local x = neap.data[name](100, {noise = .01, seed = 1})
    eq(x.shape, {100, 2}, name)
    same(neap.data[name](100, {noise = .01, seed = 1}), x:totable())
    eq(neap.data[name](10).shape, {10, 2}, name)
    lu.assertTrue(x:isfinite():all():item(), name)
  end
  local b = neap.data.bars_and_stripes(50, {seed = 1})
  eq(b.shape[1], 50)
  same(b:eq(0):logical_or(b:eq(1)):all(), true)
end

function T.test_fashion_mnist ()
  local ok, x, y = pcall(neap.data.fashion_mnist, "test")
  if not ok then lu.skip "dataset-fashion-mnist is not installed" end
  eq(x.shape, {10000, 28, 28})
  eq(y.dtype, "int64")
  eq({y:min():item(), y:max():item()}, {1, 10})
  lu.assertTrue(x:min():item() >= 0 and x:max():item() <= 1)
end

local function write (path, bytes)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
end

function T.test_idx ()
  local path = temporary ".idx"
  write(path, string.pack(">I4I4I4", 0x00000802, 2, 3) .. string.char(1, 2, 3, 4, 5, 255))
  local x = neap.data.idx(path)
  same(x, {{1, 2, 3}, {4, 5, 255}})
  eq(x.dtype, "uint8")
end

function T.test_csv ()
  local path = temporary ".csv"
  write(path, "a,b\n1,2.5\n-3,4e2\n")
  local x, names = neap.data.csv(path)
  same(x, {{1, 2.5}, {-3, 400}})
  eq(names, {"a", "b"})
  write(path, "1,2\n3,4\n")
  same((neap.data.csv(path)), {{1, 2}, {3, 4}})
end

function T.test_loader ()
  local x = neap.arange(1, 10):reshape(10, 1)
  local function epoch (loader)
    local out = {}
    for batch in loader do for _, row in ipairs(batch:totable()) do out[#out + 1] = row[1] end end
    return out
  end
  local l = neap.data.loader(x, {batch = 4, shuffle = true, seed = 1})
  eq(#l, 3)
  local a = epoch(l)
  eq(#a, 10)
  lu.assertNotEquals(epoch(l), a)
  eq(epoch(neap.data.loader(x, {batch = 4, shuffle = true, seed = 1})), a)
  eq(epoch(neap.data.loader(x, {batch = 3, shuffle = false})), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  local m = neap.data.loader({x, x * 2}, {batch = 4, seed = 2})
  for batch in m do near(batch[2], batch[1] * 2) end
  local state = l:state()
  local first = l:next():totable()
  l:set_state(state)
  eq(l:next():totable(), first)
end

function T.test_split_and_standardize ()
  local x = neap.arange(1, 10):reshape(10, 1)
  local a, b = neap.data.split(x, .7, 1)
  eq({#a, #b}, {7, 3})
  near((neap.cat({a, b}, 1):sort(1)), x)
  local a2 = neap.data.split(x, .7, 1)
  same(a2, a:totable())
  local z, mean, std = neap.data.standardize(neap.randn(100, 3) * 4 + 2)
  near(z:mean(1), {0, 0, 0}, 1e-5)
  near(z:std(1, false, {unbiased = false}), {1, 1, 1}, 1e-5)
  eq(mean:numel(), 3)
  eq(std:numel(), 3)
end

-- ---- files ----

function T.test_round_trips ()
  local tensors = {w = neap.randn(3, 2), n = neap.tensor({1, -2}, {dtype = "int64"}), d = t {1.5},
    u = neap.tensor({0, 255}, {dtype = "uint8"}), b = neap.tensor {true, false}, empty = neap.zeros(0, 3),
      scalar = t(2)}
  for _, ending in ipairs {".safetensors", ".npz"} do
    local path = temporary(ending)
    neap.save(path, tensors)
    local back = neap.load(path)
    for name, x in pairs(tensors) do
      eq(back[name].dtype, x.dtype, name)
      eq(back[name].shape, x.shape, name)
      same(back[name], x:totable())
    end
  end
  local path = temporary ".npy"
  neap.save(path, tensors.w:t())
  same(neap.load(path), tensors.w:t():totable())
  path = temporary ".csv"
  neap.save(path, t {{1, 2.5}, {3, 4}})
  near((neap.load(path)), {{1, 2.5}, {3, 4}})
  neap.save(path, {b = t {1, 2}, a = t {3, 4}})
  local x, names = neap.load(path)
  eq(names, {"a", "b"})
  near(x, {{3, 1}, {4, 2}})
  path = temporary ".npz"
  neap.save(path, {t {1}, t {2}})
  near(neap.load(path)[2], {2})
end

function T.test_pictures ()
  local x = neap.rand(7, 5, 4)
  local g = neap.image.grid(x, {columns = 3})
  eq(g.ndim, 2)
  local path = temporary ".png"
  neap.image.save(path, g)
  local back = neap.image.load(path)
  eq(back.shape, g.shape)
  near(back, g, .5 / 255 + 1e-6)
  local c = neap.rand(3, 6, 5)
  neap.image.save(path, c)
  eq(neap.image.load(path).shape, {3, 6, 5})
  near(neap.image.load(path), c, .5 / 255 + 1e-6)
  eq(neap.image.grid(neap.rand(4, 3, 8, 8), {columns = 2}).shape[1], 3)
end

return T
