local lu = require "luaunit"
local optim, schedule = neap.optim, neap.schedule

local T = {}

local function fails (pattern, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, ".*" .. pattern .. ".*")
end

-- The rules in scalar Lua, as the papers write them.
local REFERENCE = {
  sgd = function (o, p, g, s)
    g = g + (o.weight_decay or 0) * p
    local mu = o.momentum or 0
    s.v = mu * (s.v or 0) + g
    return p - o.lr * (o.nesterov and g + mu * s.v or s.v)
  end,
  adam = function (o, p, g, s)
    g = g + (o.weight_decay or 0) * p
    local b1, b2 = o.beta1 or .9, o.beta2 or .999
    s.t, s.m, s.v = (s.t or 0) + 1, b1 * (s.m or 0) + (1 - b1) * g, b2 * (s.v or 0) + (1 - b2) * g * g
    return p - o.lr * (s.m / (1 - b1 ^ s.t)) / (math.sqrt(s.v / (1 - b2 ^ s.t)) + (o.eps or 1e-8))
  end,
  rmsprop = function (o, p, g, s)
    s.v = .99 * (s.v or 0) + .01 * g * g
    return p - o.lr * g / (math.sqrt(s.v) + 1e-8)
  end,
  adagrad = function (o, p, g, s)
    s.v = (s.v or 0) + g * g
    return p - o.lr * g / (math.sqrt(s.v) + 1e-10)
  end,
}
function REFERENCE.adamw (o, p, g, s)
  local decayed = p * (1 - o.lr * (o.weight_decay or .01))
  local without = {lr = o.lr}
  return decayed - (p - REFERENCE.adam(without, p, g, s))
end

local CASES = {
  {"sgd", {lr = .1}}, {"sgd", {lr = .1, momentum = .9}},
    {"sgd", {lr = .1, momentum = .9, nesterov = true, weight_decay = .01}},
  {"adam", {lr = .01}}, {"adam", {lr = .01, beta1 = .8, beta2 = .9, eps = 1e-3, weight_decay = .1}},
    {"adamw", {lr = .01}},
  {"adamw", {lr = .01, weight_decay = .5}}, {"rmsprop", {lr = .01}}, {"adagrad", {lr = .1}},
}

-- Two parameters, one with many elements and one 0-d, gradients of f = Σ sin(p) + p²/2, against the scalar rules.
function T.test_rules_against_scalar_lua ()
  for _, case in ipairs(CASES) do
    local name, o = case[1], case[2]
    for _, tolerance in ipairs {{"float64", 1e-12}, {"float32", 2e-6}} do
      local p = {neap.linspace(-2, 2, 37, {dtype = tolerance[1]}):requires_grad(),
                 neap.tensor(.5, {dtype = tolerance[1]}):requires_grad()}
      local reference, states = {}, {}
      for k, v in ipairs(neap.cat({p[1]:detach(), p[2]:detach():reshape(1)}, 1):totable()) do reference[k],
        states[k] = v, {} end
      local opt = optim[name](o)
      for _ = 1, 5 do
        local loss = (p[1]:sin() + p[1]:square() / 2):sum() + p[2]:sin() + p[2]:square() / 2
        opt:step(p, neap.gradients(loss, p))
        for k, v in ipairs(reference) do reference[k] = REFERENCE[name](o, v, math.cos(v) + v, states[k]) end
      end
      local got = neap.cat({p[1]:detach(), p[2]:detach():reshape(1)}, 1):totable()
      for k, v in ipairs(reference) do lu.assertAlmostEquals(got[k], v, tolerance[2] * math.max(1, math.abs(v)),
        name) end
    end
  end
end

function T.test_a_large_tensor_is_updated_in_all_its_blocks ()
  local n = 100003
  local p, g = neap.randn(n), neap.randn(n)
  local expected = p - g:sign() * .001 * (g:abs() / (g:abs() + 1e-8))
  optim.adam{lr = .001}:step(p, g)
  lu.assertTrue((p - expected):abs():amax():item() < 2e-7)
  lu.assertAlmostEquals(optim.norm {g, g}, math.sqrt(2 * g:double():square():sum():item()), 1e-3)
end

function T.test_strided_gradients_named_and_missing_ones ()
  local p = {a = neap.zeros(2, 3), b = neap.ones(2)}
  optim.sgd{lr = 1}:step(p, {a = neap.arange(1, 6):reshape(3, 2):t()})
  lu.assertEquals(p.a:totable(), {{-1, -3, -5}, {-2, -4, -6}})
  lu.assertEquals(p.b:totable(), {1, 1})
end

function T.test_state_resumes_exactly ()
  for _, name in ipairs {"sgd", "adam", "adamw", "rmsprop", "adagrad"} do
    local o = name == "sgd" and {lr = .1, momentum = .9} or {lr = .1}
    local p, a = neap.ones(5), optim[name](o)
    for k = 1, 3 do a:step({p}, {p * k}) end
    local state, q, b = a:state(), p:clone(), optim[name](o)
    b:set_state(state)
    for k = 4, 6 do
      a:step({p}, {p * k})
      b:step({q}, {q * k})
    end
    lu.assertEquals(q:totable(), p:totable(), name)
  end
end

function T.test_schedules ()
  local c = schedule.cosine{lr = 1, steps = 11, final = .2}
  lu.assertAlmostEquals(c(1), 1, 1e-12)
  lu.assertAlmostEquals(c(6), .6, 1e-12)
  lu.assertAlmostEquals(c(11), .2, 1e-12)
  lu.assertAlmostEquals(c(99), .2, 1e-12)
  local l = schedule.linear{lr = 1, steps = 5}
  lu.assertAlmostEquals(l(2), .75, 1e-12)
  lu.assertAlmostEquals(schedule.exponential{lr = 2, decay = .5}(3), .5, 1e-12)
  local s = schedule.step{lr = 1, every = 10, factor = .5}
  lu.assertEquals({s(10), s(11), s(21)}, {1, .5, .25})
  local w = schedule.warmup{steps = 4, lr = schedule.constant(2)}
  lu.assertEquals({w(1), w(4), w(5)}, {.5, 2, 2})
  lu.assertEquals(schedule.constant{lr = 3}(7), 3)
  local p, opt = neap.zeros(1), optim.sgd{lr = schedule.step{lr = 1, every = 1, factor = .1}}
  for _ = 1, 3 do opt:step(p, neap.ones(1)) end
  lu.assertAlmostEquals(p:item(), -1.11, 1e-6)
end

function T.test_clip_norm_and_ema ()
  local g, norm = optim.clip_norm({neap.tensor {3, 0}, neap.tensor {4}}, 1)
  lu.assertAlmostEquals(norm, 5, 1e-6)
  lu.assertAlmostEquals(optim.norm(g), 1, 1e-6)
  local p = neap.tensor {1}
  local e = neap.ema({p}, {decay = .5})
  p[1] = 3
  e:update()
  lu.assertAlmostEquals(e:params()[1]:item(), 1 * (2 / 11) + 3 * (9 / 11), 1e-6)
  for _ = 1, 60 do e:update() end
  lu.assertAlmostEquals(e:params()[1]:item(), 3, 1e-6)
  local E = neap.energy.mlp{sizes = {2, 3}}
  lu.assertEquals(#neap.ema(E:params()):params(), 4)                 -- with the names that E:params() gives besides
  local f = neap.ema({p}, {decay = .5}):set_state(e:state())
  lu.assertEquals(f:params()[1]:totable(), e:params()[1]:totable())
end

function T.test_errors ()
  fails("optim.sgd: option 'lr' is missing", optim.sgd, {})
  fails("optim.adam: option 'lr': a number of at least 0 expected, got %-1", optim.adam, {lr = -1})
  fails("optim.adam: option 'beta1': a number in %[0, 1%) expected, got 1", optim.adam, {beta1 = 1})
  fails("params has no such key", optim.adam().step, optim.adam(), {neap.zeros(1)}, {x = neap.zeros(1)})
  fails("unknown option 'momentun' %(did you mean 'momentum'%?%)", optim.sgd, {lr = 1, momentun = .9})
  fails("option 'lr': number or callable expected, got string", optim.sgd, {lr = "1"})
  local opt = optim.adam{lr = .1}
  fails("float32 %[3%] expected, as params%[1%] is, got float32 %[2%]", opt.step, opt, {neap.zeros(3)}, {neap.zeros(2)})
  fails("got float64", opt.step, optim.adam{lr = .1}, {neap.zeros(3)}, {neap.zeros(3, {dtype = "float64"})})
  fails("a float tensor expected, got int64", opt.step, optim.sgd{lr = 1}, neap.zeros(1, {dtype = "int64"}),
        neap.zeros(1, {dtype = "int64"}))
  fails("view with gaps", opt.step, optim.sgd{lr = 1}, neap.zeros(4, 2):t(), neap.zeros(2, 4))
  fails("schedule.cosine: option 'steps' is missing", schedule.cosine, {lr = 1})
  fails("decay", neap.ema, {neap.zeros(1)}, {decay = 2})
end

-- A parameter that a tape still holds may be changed; a derivative through its old value is then an error.
function T.test_in_place_updates_are_seen_by_the_tape ()
  local p = neap.ones(3):requires_grad()
  local y = p:exp():mul(p):sum()
  optim.sgd{lr = .1}:step({p}, {neap.ones(3)})
  lu.assertAlmostEquals(p:detach()[1]:item(), .9, 1e-6)
  lu.assertFalse((pcall(neap.gradients, y, p)))
end

function T.test_what_a_step_must_be_given ()
  local o, w, g = optim.adam{}, neap.zeros(3), neap.ones(3)
  local says = lu.assertErrorMsgContains
  says("optim: a colon expected, as in opt:step(params, grads)", o.step, w, g)
  says("optim: a colon expected, as in opt:state()", o.state)
  local ema, loader = neap.ema{w}, neap.data.loader(w)
  says("ema: a colon expected, as in ema:update()", ema.update)
  says("ema: a colon expected, as in ema:params()", ema.params)
  says("ema: a colon expected, as in ema:state()", ema.state, {})
  says("data.loader: a colon expected, as in loader:next()", loader.next, 3)
  says("data.loader: a colon expected, as in loader:state()", loader.state)
  says("data.loader: a colon expected, as in loader:set_state(t)", loader.set_state, {})
  says("optim.adam: grads: a gradient expected, as grads[a] for params[a], got an empty table", o.step, o, {a = w}, {})
  says("optim.adam: params: at least one tensor expected", o.step, o, {}, {})
  says("optim.adam: grads[b]: params has no such key", o.step, o, {a = w}, {b = g})
  says("optim.adam: grads[2]: params has no such key", o.step, o, {w}, {g, g})
  says("optim.adam: grads[a]: float32 [3] expected, as params[a] is, got float32 [2]", o.step, o, {a = w},
       {a = neap.ones(2)})
  says("optim.adam: grads[1]: float32 [3] expected, as params[1] is, got float64 [3]", o.step, o, w, g:double())
  says("optim.adam: grads: tensor expected, got nil", o.step, o, w)
  says("optim.adam: params[1]: a float tensor expected, got int64", o.step, o, w:to "int64", w)
  lu.assertEquals({o.steps, w:totable()}, {0, {0, 0, 0}})
  local v = neap.zeros(3)
  optim.sgd{lr = 1}:step({a = w, b = v}, {a = g})                  -- b has no gradient, so it stays
  lu.assertEquals({w:totable(), v:totable()}, {{-1, -1, -1}, {0, 0, 0}})
end

return T
