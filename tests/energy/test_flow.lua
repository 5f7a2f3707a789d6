-- Flows: the formula in plain Lua, the normalisation and the draws against quadrature, the couplings' inverse.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local plain = require "energy.plain"
local T = {}

local log, exp, pi = math.log, math.exp, math.pi

-- a flow far from where one starts, in float64
local function bent (dim, layers, seed)
  local rng = neap.rng(seed or 1)
  local E = e.flow {dim = dim, layers = layers, hidden = 6, dtype = "float64", rng = rng}
  for i, p in ipairs((E:params())) do
    if i % 6 == 5 then p[{}] = p:detach() * 15 end                 -- the last weight of each coupling
    if i % 6 == 0 then p[{}] = rng:normal(p.shape, {dtype = "float64"}) * .2 end
  end
  return E
end

local silu, layer = plain.silu, plain.layer

-- z and the sum of the log-scales of one row, by the definition
local function normal_of (E, row)
  local p, D, sum = {}, #row, 0
  for i, q in ipairs((E:params())) do p[i] = q:totable() end
  local cut = D // 2
  local a, b = table.move(row, 1, cut, 1, {}), table.move(row, cut + 1, D, 1, {})
  for j = 0, #p // 6 - 1 do
    local stays, u = a, b
    if j % 2 == 1 then stays, u = b, a end
    local k = 6 * j
    local h = layer(p[k + 3], p[k + 4], layer(p[k + 1], p[k + 2], stays, silu), silu)
    local out = layer(p[k + 5], p[k + 6], h)
    for i in ipairs(u) do
      local s = 2 * (exp(out[#u + i]) - 1) / (exp(out[#u + i]) + 1)    -- 2 tanh(r/2)
      u[i] = (u[i] - out[i]) * exp(-s)
      sum = sum + s
    end
  end
  return table.move(b, 1, #b, #a + 1, a), sum
end

function T.test_it_is_its_formula ()
  for _, dim in ipairs {2, 3, 5} do
    local E, x, want = bent(dim, 4), 2 * t.points(5, dim), {}
    lu.assertEquals(E.event, {dim})
    for i, row in ipairs(x:totable()) do
      local z, sum = normal_of(E, row)
      want[i] = sum + dim / 2 * log(2 * pi)
      for _, v in ipairs(z) do want[i] = want[i] + v * v / 2 end
    end
    t.near(E(x), want, 1e-11)
  end
end

function T.test_density_integrates_to_one ()
  local E = bent(2, 4)
  local z, info = E:log_z {method = "quadrature", lower = -60, upper = 60, points = 2001}
  lu.assertAlmostEquals(z, 0, 1e-6)
  lu.assertTrue(info.error < 1e-5, "error of the quadrature " .. info.error)
  lu.assertEquals((E:log_z()), 0)
  t.near(E:log_prob(neap.zeros(1, 2, {dtype = "float64"})), -E(neap.zeros(1, 2, {dtype = "float64"})), 0)
end

-- what sample(n, rng) made of rng's normals leads back to them: the couplings' inverse is exact to rounding
function T.test_draws_are_the_inverse_of_the_couplings ()
  for _, dim in ipairs {2, 5} do
    local E = bent(dim, 6)
    local x = E:sample(20, {rng = neap.rng(7), dtype = "float64"})
    local z = neap.rng(7):normal({20, dim}, {dtype = "float64"}):totable()
    for i, row in ipairs(x:totable()) do
      local back = normal_of(E, row)
      for k = 1, dim do lu.assertAlmostEquals(back[k], z[i][k], 1e-12) end
    end
  end
end

-- −E is log N(z) − log |∂x/∂z|: the derivative of the draws by differences
function T.test_energy_is_the_change_of_variables ()
  local E, h = bent(2, 4), 1e-6
  local x, J = {.3, -1.1}, {}
  local function z (a, b) return (normal_of(E, {a, b})) end
  for i = 1, 2 do
    local up, down = z(x[1] + (i == 1 and h or 0), x[2] + (i == 2 and h or 0)),
                     z(x[1] - (i == 1 and h or 0), x[2] - (i == 2 and h or 0))
    J[i] = {(up[1] - down[1]) / (2 * h), (up[2] - down[2]) / (2 * h)}
  end
  local u, det = z(x[1], x[2]), J[1][1] * J[2][2] - J[1][2] * J[2][1]
  t.near(E(neap.tensor({x}, {dtype = "float64"})), {(u[1] ^ 2 + u[2] ^ 2) / 2 + log(2 * pi) - log(math.abs(det))}, 1e-7)
end

-- moments of 200000 draws against integrals of the density over a grid, within 5 standard errors
function T.test_moments_of_the_draws ()
  local E, n, m = bent(2, 4), 200000, 801
  local axis = neap.linspace(-40, 40, m, {dtype = "float64"})
  local grid = neap.cat({axis:repeat_interleave(m):unsqueeze(2), axis:tile(m):unsqueeze(2)}, 2)
  local p = neap.no_grad(function () return (-E(grid)):exp() end) * (80 / (m - 1)) ^ 2
  lu.assertAlmostEquals(p:sum():item(), 1, 1e-3)
  local x = E:sample(n, {rng = neap.rng(3), dtype = "float64"})
  local function features (y)
    local a, b = y[{{}, 1}], y[{{}, 2}]
    return neap.stack({a:tanh(), b:tanh(), (a / 3):sin(), (a * b / 9):tanh(), (b - 1):sigmoid()}, 2)
  end
  local want, got = (features(grid) * p:unsqueeze(2)):sum(1), features(x)
  local off = ((got:mean(1) - want) / (got:std(1) / n ^ .5)):abs():max():item()
  lu.assertTrue(off < 5, ("moments are %g standard errors off"):format(off))
end

function T.test_derivatives_to_third_order ()
  t.smooth(bent(2, 3), t.points(3, 2))
  t.smooth(bent(3, 2), t.points(2, 3))
end

function T.test_by_its_parameters ()
  local E, x = bent(2, 2), t.points(4, 2)
  local ok, report = neap.gradcheck(function (...)
    local F = E:with {...}
    return F(x):mean() + (F:score(x) ^ 2):mean()
  end, E:params(), {order = 1})
  lu.assertTrue(ok, "worst " .. report.worst)
end

function T.test_starts_near_the_normal ()
  local E, x = e.flow {dim = 4, rng = neap.rng(1)}, neap.rng(2):normal {500, 4}
  local normal = (x * x):sum(2) / 2 + 2 * log(2 * pi)
  lu.assertTrue((E(x) - normal):abs():mean():item() < .2)
  lu.assertEquals(#E:params(), 36)
  lu.assertEquals(E:sample(3).shape, {3, 4})
  lu.assertEquals(E:sample(3, {dtype = "float64"}).dtype, "float64")
  lu.assertEquals(E(neap.zeros(0, 4)).shape, {0})
  t.near(E:sample(5, neap.rng(6)), E:sample(5, neap.rng(6)), 0)
end

-- maximum likelihood of a shifted, stretched normal comes near its entropy
function T.test_maximum_likelihood ()
  local x = neap.rng(1):normal {2000, 2} * neap.tensor {2, .5} + neap.tensor {1, -1}
  local E = e.flow {dim = 2, layers = 4, hidden = 16, rng = neap.rng(2)}
  neap.train(E, x, {steps = 300, batch = 500, seed = 1, optimizer = neap.optim.adam {lr = .01}, progress = false,
                    loss = function (F, batch) return F(batch):mean() end})
  lu.assertAlmostEquals(E(x):mean():item(), 1 + log(2 * pi), .1)      -- entropy 1 + log 2π + log(2 · ½)
  local s = E:sample(4000, neap.rng(3))
  lu.assertAlmostEquals(s:mean(1)[1]:item(), 1, .2)
  lu.assertAlmostEquals(s:std(1)[2]:item(), .5, .1)
end

function T.test_files_and_composition ()
  local E, x = bent(3, 3), t.points(4, 3)
  local path = os.tmpname() .. ".safetensors"
  E:save(path)
  local F = e.load(path)
  os.remove(path)
  t.near(F(x), E(x), 0)
  t.near(F:sample(4, neap.rng(1)), E:sample(4, neap.rng(1)), 0)
  t.near((E:translate {1, 2, 3})(x), E(x - neap.tensor({1, 2, 3}, {dtype = "float64"})))
  local pair = e.mixture {energies = {E, e.gmm {means = {{0, 0, 0}}, std = 1}}, weights = {.5, .5}}
  lu.assertAlmostEquals(pair:log_z(), 0, 1e-6)
  lu.assertEquals(pair:sample(7).shape, {7, 3})
end

function T.test_errors ()
  t.raises("flow: option 'dim' is missing", e.flow, {})
  t.raises("flow: dim must be at least 2, two halves, got 1", e.flow, {dim = 1})
  t.raises("flow: layers must be 1 to 100, got 0", e.flow, {dim = 2, layers = 0})
  t.raises("flow: hidden must be at least 1, got 0", e.flow, {dim = 2, hidden = 0})
  t.raises("flow: activation 'swish' is not known", e.flow, {dim = 2, activation = "swish"})
  t.raises("flow: dtype must be float32 or float64, got int64", e.flow, {dim = 2, dtype = "int64"})
  t.raises("flow: unknown option 'layer' (did you mean 'layers'?)", e.flow, {dim = 2, layer = 3})
  t.raises("flow: x must be [B, 2], got [3, 3]", e.flow {dim = 2}, neap.zeros(3, 3))
  t.raises("flow: takes no condition", e.flow {dim = 2}, neap.zeros(3, 2), neap.zeros(3))
end

return T
