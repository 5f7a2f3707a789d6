-- Draws inside programs: the same bits as draws made at once, for any number of rows and threads.
-- A compiled function runs as a program from its third call with the same shapes on; `explain` says how.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local ROWS <const> = {1, 2, 3, 63, 64, 65, 200, 1000, 5000}

-- What a step may draw, from a stream r, for x [B, 3] of floats.
local draws = {
  normal = function (r, x) return r:normal(x.shape) end,
  uniform = function (r, x) return r:uniform(x.shape, {dtype = "float64"}) end,
  bernoulli = function (r, x) return r:bernoulli(x:sigmoid()) end,
  bernoulli_double = function (r, x) return r:bernoulli(x:double():sigmoid()) end,
  bernoulli_of_parts = function (r, x) return r:bernoulli(x:sigmoid():slice(2, 2, 3)) end,
  bernoulli_of_one_column = function (r, x) return r:bernoulli(x:slice(2, 2, 2):sigmoid():expand(x.shape)) end,
  bernoulli_across = function (r, x) return r:bernoulli(x:sigmoid():t()) end,
  bernoulli_reshaped = function (r, x) return r:bernoulli((x:t() * 2):sigmoid():reshape(#x, 3)) end,
  bernoulli_shared = function (r, x) return r:bernoulli(neap.full({3}, .5)) + x end,
  randint = function (r, x) return r:randint(-5, 7, x.shape) end,
  randint_wide = function (r, x) return r:randint(-(1 << 62), 1 << 62, #x, 2) end,
  randint_all = function (r, x) return r:randint(math.mininteger, math.maxinteger, #x) end,
  randint_rows = function (r, x) return r:randint(1, #x, #x) end,
  categorical = function (r, x) return r:categorical(x) end,
  categorical_double = function (r, x) return r:categorical(x:double() * 3) end,
  categorical_many = function (r, x) return r:categorical(neap.cat({x, x * 2}, 2):reshape(#x, 2, 3)) end,
  categorical_across = function (r, x) return r:categorical(x:t()) end,
  randperm = function (r, x) return x:index_select(2, r:randperm(3)) end,
  randperm_of_rows = function (r, x) return r:randperm(#x) end,
  several = function (r, x)
    local p = x:sigmoid()
    local h = r:bernoulli(p)
    return h - r:bernoulli(p) + r:categorical(x):unsqueeze(2) * r:normal(x.shape) + r:bernoulli(h * .5 + .25)
  end,
}

local function same (a, b, what)
  lu.assertEquals(a.dtype, b.dtype, what)
  lu.assertEquals(a.shape, b.shape, what)
  lu.assertTrue(a:eq(b):all():item(), what)
end

local function recorded (f, ...) return neap.explain(f, ...):find("instructions", 1, true) ~= nil end

function T.test_every_draw_can_be_recorded ()
  for name, draw in pairs(draws) do
    local r = neap.rng(1)
    lu.assertTrue(recorded(function (x) return draw(r, x) end, neap.randn(7, 3)), name)
  end
end

for name, draw in pairs(draws) do
  T["test_eager_and_recorded_" .. name] = function ()
    for _, rows in ipairs(ROWS) do
      local r, q, x, calls = neap.rng(rows), neap.rng(rows), neap.randn(rows, 3), 0
      local f = neap.compile(function (y) calls = calls + 1 return draw(r, y) end)
      for i = 1, 4 do same(f(x), draw(q, x), ("%s, %d rows, call %d"):format(name, rows, i)) end
      local before = calls
      same(f(x), draw(q, x), ("%s, %d rows"):format(name, rows))
      lu.assertEquals(calls, before, name)                         -- a program ran
      lu.assertEquals(r:state(), q:state())
    end
  end
end

function T.test_bits_do_not_depend_on_threads ()
  local before, x = neap.threads(), neap.randn(5000, 3)
  for name, draw in pairs(draws) do
    local first
    for threads = 1, 3 do
      neap.set_threads(threads)
      local r = neap.rng(9)
      local f = neap.compile(function (y) return draw(r, y) end)
      f(x) f(x)
      local y = f(x)
      first = first or y
      same(first, y, ("%s, %d threads"):format(name, threads))
    end
  end
  neap.set_threads(before)
end

-- ---- no draw is taken for another ----

function T.test_equal_draws_are_not_merged ()
  local r, p = neap.rng(2), neap.full({100, 3}, .5)
  local function two (q) return r:bernoulli(q) - r:bernoulli(q), r:randint(1, 9, #q) - r:randint(1, 9, #q) end
  local _, laws = neap.explain(two, p):gsub("= bernoulli", "")
  lu.assertEquals(laws, 2)
  local f = neap.compile(two)
  for _ = 1, 5 do
    local a, b = f(p)
    lu.assertTrue(a:abs():sum():item() > 100)                      -- half of 300 differ
    lu.assertTrue(b:ne(0):float():sum():item() > 70)               -- 8 of 9
  end
end

-- A sampler's step is recorded at each call, and its program looked up by all that it does.
function T.test_numbers_of_a_draw_are_part_of_the_program ()
  local lo, hi = 0, 0
  local s = neap.sampler.custom{
    init = function (_, x) return {x = x} end,
    step = function (_, state, rng) return {x = state.x + rng:randint(lo, hi, state.x.shape):float()} end,
  }
  local E = neap.energy(function (x) return x:sum(2) end, {event = {1}})
  for _, n in ipairs{3, 5, -7} do
    lo, hi = n, n
    lu.assertEquals(s:step(E, s:init(E, neap.zeros(4, 1)), 10).x:sum():item(), 40 * n)
  end
end

-- A draw that nothing needs is not made, but takes its step of the stream.
function T.test_unused_draws_count ()
  local r, q = neap.rng(3), neap.rng(3)
  local f = neap.compile(function (x) r:bernoulli(x) r:randint(1, 5, #x) return x + r:uniform(x.shape) end)
  local x = neap.full({70, 2}, .5)
  for _ = 1, 5 do
    q:uniform(1) q:uniform(1)
    same(f(x), x + q:uniform(70, 2))
  end
end

-- ---- errors are those of draws made at once ----

function T.test_errors ()
  local r = neap.rng(1)
  local draw = neap.compile(function (p) return r:bernoulli(p * 1) end)
  local pick = neap.compile(function (l) return r:categorical(l * 1) end)
  local p, l = neap.full({300, 3}, .5), neap.zeros(300, 3)
  for _ = 1, 4 do draw(p) pick(l) end
  p[200][2], l[200][2] = 1.5, 0 / 0
  local before = r:state()
  lu.assertErrorMsgContains("bernoulli: probabilities must lie in 0..1, got 1.5", draw, p)
  lu.assertErrorMsgContains("categorical: a row of logits holds NaN or +inf, or nothing but -inf", pick, l)
  lu.assertErrorMsgContains("bernoulli: probabilities must lie in 0..1, got 1.5", r.bernoulli, r, p)
  lu.assertEquals(r:state(), before)                               -- what fails takes nothing from the stream
  p[200][2], l[200][2] = 1, 0
  lu.assertTrue(draw(p):max():item() == 1)
  lu.assertTrue(pick(l):max():item() == 3)
end

-- ---- Gibbs sampling: five steps by one program and five one by one ----

local function machine (dtype, visible, hidden)
  local E = neap.energy.rbm{visible = visible, hidden = hidden, dtype = dtype}
  return E:with{W = neap.randn({visible, hidden}, {dtype = dtype}) * .5, b = neap.randn({visible}, {dtype = dtype}),
                c = neap.randn({hidden}, {dtype = dtype})}
end

function T.test_gibbs_equals_steps ()
  local s, before = neap.sampler.gibbs{}, neap.threads()
  for _, dtype in ipairs{"float32", "float64"} do
    local E = machine(dtype, 12, 7)
    for _, rows in ipairs{1, 2, 3, 63, 64, 65, 333} do
      for threads = 1, 3 do
        neap.set_threads(threads)
        local x = neap.rand(rows, 12, {rng = neap.rng(rows)}):lt(.5):to(dtype)
        local one, nine = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
        for _ = 1, 9 do one = s:step(E, one, 1) end
        nine = s:step(E, nine, 9)
        local what = ("%s, %d rows, %d threads"):format(dtype, rows, threads)
        same(one.x, nine.x, what)
        same(one.h, nine.h, what)
      end
    end
  end
  neap.set_threads(before)
end

function T.test_gibbs_keeps_what_is_fixed ()
  local mask = neap.tensor{1, 0, 0, 1, 0, 0}:gt(0)
  local E, s = machine("float32", 6, 4):fix(mask, neap.tensor{1., 0, 0, 0, 0, 0}), neap.sampler.gibbs{}
  local x = neap.zeros(70, 6)
  local one, nine = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
  for _ = 1, 9 do one = s:step(E, one, 1) end
  nine = s:step(E, nine, 9)
  same(one.x, nine.x)
  lu.assertEquals(nine.x:slice(2, 1, 1):sum():item(), 70)
  lu.assertEquals(nine.x:slice(2, 4, 4):sum():item(), 0)
  lu.assertTrue(nine.x:slice(2, 2, 3):sum():item() > 5)
end

-- A step keeps the units' dtype, so that it can be carried.
function T.test_gibbs_keeps_the_dtype ()
  local E, s = machine("float32", 6, 4), neap.sampler.gibbs{}
  local bits = neap.rand(40, 6):lt(.5)
  local floats = s:step(E, s:init(E, bits:float(), neap.rng(3)), 9)
  for _, dtype in ipairs{"bool", "uint8", "int64"} do
    local st = s:step(E, s:init(E, bits:to(dtype), neap.rng(3)), 9)
    lu.assertEquals(st.x.dtype, dtype)
    same(st.x:float(), floats.x, dtype)
  end
end

-- Draws written to a run are the states of steps made one by one.
function T.test_gibbs_samples ()
  local E, s = machine("float32", 6, 4), neap.sampler.gibbs{}
  local x = neap.rand(70, 6):lt(.5):float()
  local kept = s:sample(E, {init = x, steps = 12, thin = 3, warmup = 4, seed = 9})
  local st = s:init(E, x, neap.rng(9))
  for i = 1, 16 do
    st = s:step(E, st, 1)
    if i > 4 and (i - 4) % 3 == 0 then same(kept[(i - 4) // 3], st.x, "step " .. i) end
  end
end

return T
