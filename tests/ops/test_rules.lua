-- Derivatives of elementwise rows where a careless rule gives NaN: powers at 0, clamps at their bounds, far tails.
local lu = require "luaunit"

local T = {}
local f64 = { dtype = "float64" }
local inf = math.huge

-- the first `order` derivatives of f at the numbers xs
local function derivatives(f, xs, order)
  local x = neap.tensor(xs, f64):requires_grad()
  local y, out = f(x), {}
  for k = 1, order do
    y = neap.gradients(y:sum(), { x }, { create_graph = true, allow_unused = true })[1] or neap.zeros_like(x)
    out[k] = y:totable()
    if not pcall(function() return neap.gradients(y:sum(), { x }, { retain = true }) end) and k < order then
      for j = k + 1, order do out[j] = neap.zeros_like(x):totable() end
      break
    end
  end
  return out
end

function T.test_powers_at_zero()
  local d = derivatives(function(x) return x ^ 2 end, { 0, 3 }, 3)
  lu.assertEquals(d[1], { 0, 6 })
  lu.assertEquals(d[2], { 2, 2 })
  lu.assertEquals(d[3], { 0, 0 })
  d = derivatives(function(x) return x ^ 3 end, { 0, -2 }, 3)
  lu.assertEquals(d[1], { 0, 12 })
  lu.assertEquals(d[2], { 0, -12 })
  lu.assertEquals(d[3], { 6, 6 })
  lu.assertEquals(derivatives(function(x) return x ^ 0 end, { 0, 2 }, 1)[1], { 0, 0 })
  lu.assertEquals(derivatives(function(x) return x ^ 1 end, { 0, 2 }, 1)[1], { 1, 1 })
end

function T.test_powers_in_the_exponent()
  lu.assertEquals(derivatives(function(y) return neap.tensor({ 0, 1, 2 }, f64) ^ y end, { 2, 2, 2 }, 1)[1],
    { 0, 0, 4 * math.log(2) })
  lu.assertEquals(derivatives(function(y) return neap.tensor(0, f64) ^ y end, { 0 }, 1)[1], { 0 })
  -- ∂²/∂x∂y x^y = x^(y−1) (1 + y log x)
  local x, y = neap.tensor(2, f64):requires_grad(), neap.tensor(0, f64):requires_grad()
  local g = neap.gradients(x ^ y, { x }, { create_graph = true })[1]
  lu.assertAlmostEquals(neap.gradients(g, y):item(), .5, 1e-15)
end

function T.test_clamp_passes_the_gradient_inside_and_at_the_bounds()
  local function slope(...)
    local args = table.pack(...)
    return derivatives(function(x) return x:clamp(table.unpack(args, 1, args.n)) end, { -2, -1, 0, 1, 2 }, 1)[1]
  end
  lu.assertEquals(slope(-1, 1), { 0, 1, 1, 1, 0 })
  lu.assertEquals(slope(nil, 1), { 1, 1, 1, 1, 0 })
  lu.assertEquals(slope(-1), { 0, 1, 1, 1, 1 })
end

function T.test_activations_in_their_tails()
  for _, f in ipairs { neap.silu, neap.gelu, function(x) return x:gelu { approximate = "tanh" } end, neap.softplus } do
    local d = derivatives(f, { -1000, 1000 }, 2)
    lu.assertAlmostEquals(d[1][1], 0, 1e-12)
    lu.assertAlmostEquals(d[1][2], 1, 1e-12)
    lu.assertAlmostEquals(d[2][1], 0, 1e-12)
    lu.assertAlmostEquals(d[2][2], 0, 1e-12)
  end
end

function T.test_known_slopes_at_zero()
  lu.assertEquals(derivatives(neap.silu, { 0 }, 2)[1], { .5 })
  lu.assertAlmostEquals(derivatives(neap.silu, { 0 }, 2)[2][1], .5, 1e-15)
  lu.assertAlmostEquals(derivatives(neap.gelu, { 0 }, 2)[2][1], 2 / math.sqrt(2 * math.pi), 1e-15)
  lu.assertAlmostEquals(derivatives(neap.gelu, { 0 }, 1)[1][1], .5, 1e-15)
end

function T.test_elu_has_a_second_derivative_where_its_exponential_overflows()
  local d = derivatives(neap.elu, { -1, 0, 1000 }, 2)
  lu.assertAlmostEquals(d[1][1], math.exp(-1), 1e-15)
  lu.assertEquals({ d[1][2], d[1][3] }, { 1, 1 })
  lu.assertAlmostEquals(d[2][1], math.exp(-1), 1e-15)
  lu.assertEquals(d[2][3], 0)
end

function T.test_dropout_of_everything()
  local x = neap.tensor({ inf, 2 }):requires_grad()
  local y = x:dropout(1)
  lu.assertEquals(y:totable(), { 0, 0 })
  lu.assertEquals(neap.gradients(y:sum(), x):totable(), { 0, 0 })
end

return T
