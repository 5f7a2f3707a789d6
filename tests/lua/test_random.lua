-- Random streams from Lua.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains

local function same (x, y) lu.assertEquals(x:totable(), y:totable()) end

function T.test_seeds ()
  neap.seed(7)
  local a = neap.randn(5)
  neap.seed(7)
  same(neap.randn(5), a)
  lu.assertNotEquals(neap.randn(5):totable(), a:totable())
  same(neap.rng(3):normal(4), neap.rng(3):normal(4))
  same(neap.randn(4, {rng = neap.rng(3)}), neap.rng(3):normal({4}))
  same(neap.rand(2, 2, {rng = neap.rng(3)}), neap.rng(3):uniform(2, 2))
end

function T.test_states ()
  local r = neap.rng(5)
  r:normal(10)
  local s = r:state()
  local a = r:uniform(6)
  r:set_state(s)
  same(r:uniform(6), a)
  local other = neap.rng(1)
  other:set_state(s)
  same(other:uniform(6), a)
  raises("unknown option 'sed' (did you mean 'seed'?)", r.set_state, r, {sed = 1})
  local own = neap.rng_state()
  local b = neap.randn(3)
  neap.set_rng_state(own)
  same(neap.randn(3), b)
end

function T.test_split ()
  local r = neap.rng(5)
  local a, b = r:split(), r:split()
  lu.assertNotEquals(a:normal(4):totable(), b:normal(4):totable())
  same(neap.rng(5):split():normal(4), neap.rng(5):split():normal(4))
end

function T.test_draws ()
  local r = neap.rng(1)
  local u = r:uniform(10000)
  lu.assertTrue(u:min() >= 0 and u:max() < 1)
  lu.assertAlmostEquals(u:mean():item(), .5, 4 / math.sqrt(12 * 10000))
  local n = r:normal(10000, {dtype = "float64"})
  lu.assertEquals(n.dtype, "float64")
  lu.assertAlmostEquals(n:mean():item(), 0, 4 / 100)
  lu.assertAlmostEquals(n:var():item(), 1, 4 * math.sqrt(2 / 10000))
  local k = r:randint(-2, 3, 5000)
  lu.assertEquals(k.dtype, "int64")
  lu.assertEquals({k:min():item(), k:max():item()}, {-2, 3})
  local p = r:bernoulli(neap.full({10000}, .3))
  lu.assertEquals(p.dtype, "float32")
  lu.assertAlmostEquals(p:mean():item(), .3, 4 * math.sqrt(.21 / 10000))
  local c = r:categorical(neap.tensor({{0, -1e9}, {-1e9, 0}}))
  lu.assertEquals(c:totable(), {1, 2})
  local perm = r:randperm(50)
  lu.assertEquals(select(1, perm:sort()):totable(), neap.arange(1, 50, {dtype = "int64"}):totable())
  lu.assertEquals(neap.randint(1, 6, {2, 3}).shape, {2, 3})
  lu.assertEquals(neap.randint(1, 6).shape, {})
  lu.assertEquals(#neap.randperm(7, {rng = r}), 7)
end

-- The default stream, taken back to where it stood.
function T.test_state_of_the_default_stream ()
  neap.seed(5)
  local state = neap.rng_state()
  lu.assertEquals({state.seed, state.step}, {5, 0})
  local a, b = neap.randn(4), neap.rand(3)
  lu.assertEquals(neap.rng_state().step, 2)
  neap.set_rng_state(state)
  lu.assertEquals(neap.randn(4):totable(), a:totable())
  lu.assertEquals(neap.rand(3):totable(), b:totable())
  neap.set_rng_state{seed = 6, stream = state.stream, step = 0}
  lu.assertNotEquals(neap.randn(4):totable(), a:totable())
end

function T.test_threads_do_not_matter ()
  local function draw (threads)
    neap.threads(threads)
    neap.seed(1)
    return neap.randn(100000):totable()
  end
  lu.assertEquals(draw(1), draw(2))
end

function T.test_errors ()
  raises("option 'rng': a stream made by neap.rng expected, got number", neap.randn, 3, {rng = 1})
  raises("bad argument #1 to 'seed'", function () neap.seed "x" end)
  lu.assertError(neap.randint, 3, 1, 2)
  lu.assertStrContains(tostring(neap.rng(3)), "rng (seed 3")
end

return T
