-- Ising and Potts energies against plain Lua, all states and known values of log Z.
local lu = require "luaunit"
local t = require "energy.near"
local compare = require "program.compare"
local e = neap.energy
local T = {}
local f64 = {dtype = "float64"}

-- ---- plain Lua ----

-- the bonds of a grid of sizes, as pairs of places counted row by row
local function bonds (sizes, periodic)
  local list, n, stride = {}, 1, {}
  for d = #sizes, 1, -1 do stride[d], n = n, n * sizes[d] end
  for i = 0, n - 1 do
    for d, size in ipairs(sizes) do
      local at = i // stride[d] % size
      if at + 1 < size then list[#list + 1] = {i + 1, i + stride[d] + 1}
      elseif periodic and size > 1 then list[#list + 1] = {i + 1, i - at * stride[d] + 1} end
    end
  end
  return list, n
end

-- every row of n units with values lo, lo + step … of q
local function states (n, q, lo, step)
  local rows = {}
  for i = 0, math.floor(q ^ n) - 1 do
    local row = {}
    for k = 1, n do row[k] = lo + step * (i % q) i = i // q end
    rows[#rows + 1] = row
  end
  return rows
end

local function spins (n) return states(n, 2, -1, 2) end

-- −Σ beta s s′ − Σ h s of a row; beta and h numbers or tables
local function ising (row, list, beta, h)
  local sum = 0
  for k, b in ipairs(list) do sum = sum - (type(beta) == "table" and beta[k] or beta) * row[b[1]] * row[b[2]] end
  for i, s in ipairs(row) do sum = sum - (type(h) == "table" and h[i] or h) * s end
  return sum
end

local function potts (row, list, beta)
  local sum = 0
  for _, b in ipairs(list) do if row[b[1]] == row[b[2]] then sum = sum - beta end end
  return sum
end

local function log_sum (energies)
  local z = 0
  for _, v in ipairs(energies) do z = z + math.exp(-v) end
  return math.log(z)
end

local function map (rows, f, ...)
  local out = {}
  for i, row in ipairs(rows) do out[i] = f(row, ...) end
  return out
end

-- rows as x [B, sizes…]
local function batch (rows, sizes, dtype)
  return neap.tensor(rows, {dtype = dtype or "float64"}):reshape(#rows, table.unpack(sizes))
end

local grids = {{1}, {2}, {5}, {1, 4}, {2, 2}, {2, 3}, {3, 2}, {3, 3}, {2, 1, 3}, {2, 2, 2}}

-- ---- Ising ----

function T.test_ising_is_its_formula_and_its_log_z_the_sum ()
  for _, sizes in ipairs(grids) do
    for _, periodic in ipairs {true, false} do
      local list, n = bonds(sizes, periodic)
      local rows, h = spins(n), {}
      for i = 1, n do h[i] = .3 * i - 1 end
      for _, field in ipairs {0, .4, h} do
        local E = e.ising {shape = sizes, beta = -.7, periodic = periodic,
                           field = field == h and neap.tensor(h, f64):reshape(table.unpack(sizes)) or field}
        local want = map(rows, ising, list, -.7, field)
        t.near(E(batch(rows, sizes)), want)
        t.near(E(batch(rows, sizes, "int64")), want, 1e-5)
        local z = E:log_z()
        lu.assertAlmostEquals(z, log_sum(want), 1e-11)
        lu.assertAlmostEquals(E:log_z {method = "enumerate"}, z, 1e-11)
        lu.assertAlmostEquals(E:log_prob(batch(rows, sizes)):exp():sum():item(), 1, 1e-11)
      end
    end
  end
end

-- L×L torus, −β Σ s s′: computed by transfer matrices elsewhere
local known = {
  [4] = {{.1, 11.252588}, {.25, 12.201271}, {.4406868, 15.521916}, {.6, 20.056533}},
  [6] = {{.1, 25.31634}, {.25, 27.337974}, {.4406868, 34.111541}, {.6, 44.258107}},
}

function T.test_known_log_z ()
  for L, values in pairs(known) do
    for _, v in ipairs(values) do
      local z, info = e.ising {shape = {L, L}, beta = v[1]}:log_z {method = "exact"}
      lu.assertAlmostEquals(z, v[2], 1e-6)
      lu.assertEquals(info.method, "exact")
    end
  end
end

function T.test_strips ()
  local b = .3                                                      -- a ring: (2 cosh β)^n + (2 sinh β)^n
  lu.assertAlmostEquals(e.ising {shape = 50, beta = b}:log_z(),
                        math.log((math.exp(b) + math.exp(-b)) ^ 50 + (math.exp(b) - math.exp(-b)) ^ 50), 1e-10)
  lu.assertAlmostEquals(e.ising {shape = 50, beta = b, periodic = false}:log_z(),
                        math.log(2) + 49 * math.log(math.exp(b) + math.exp(-b)), 1e-10)
  local field = t.points(3, 7)
  for _, periodic in ipairs {true, false} do                        -- both ways round, and by all states
    local E = e.ising {shape = {3, 7}, beta = .6, field = field, periodic = periodic}
    local F = e.ising {shape = {7, 3}, beta = .6, field = field:t(), periodic = periodic}
    lu.assertAlmostEquals(E:log_z(), F:log_z(), 1e-11)
    lu.assertAlmostEquals(E:log_z(), E:log_z {method = "enumerate"}, 1e-10)
  end
  local far = e.ising {shape = {10, 10}, beta = 30}:log_z()         -- both ground states, and next to nothing else
  lu.assertAlmostEquals(far, 30 * 200 + math.log(2), 1e-9)
end

function T.test_strips_do_not_depend_on_threads ()
  local E = e.ising {shape = {7, 8}, beta = .44, field = .1}
  local one = E:log_z()
  neap.threads(3)
  local three = E:log_z()
  neap.threads(1)
  lu.assertEquals(three, one)
end

function T.test_ising_on_a_graph ()
  local edges, beta = {{1, 2}, {2, 3}, {3, 1}, {1, 5}}, {.5, -1, .25, 2}
  local rows = spins(5)
  for _, b in ipairs {beta, .7} do
    local E = e.ising {edges = edges, beta = b, field = .1}
    lu.assertEquals(E.event, {5})
    local want = map(rows, ising, edges, b, .1)
    t.near(E(batch(rows, {5})), want)
    lu.assertAlmostEquals(E:log_z(), log_sum(want), 1e-11)
  end
  local square = e.ising {edges = edges, shape = {2, 3}, beta = 1}
  lu.assertEquals(square.event, {2, 3})
  t.near(square(batch(spins(6), {2, 3})), map(spins(6), ising, edges, 1, 0))
end

function T.test_ising_derivatives ()
  local h = t.points(3, 4)
  local E = e.ising {shape = {3, 4}, beta = .4, field = h}
  local x = neap.randn(5, 3, 4, f64)
  local near = x:roll(1, 2) + x:roll(-1, 2) + x:roll(1, 3) + x:roll(-1, 3)
  t.near(E:score(x), .4 * near + h)
  t.smooth(E, neap.randn(2, 3, 4, f64))
  t.smooth(e.ising {shape = {2, 3}, beta = .4, periodic = false}, neap.randn(2, 2, 3, f64))
  t.smooth(e.ising {edges = {{1, 2}, {2, 3}}, beta = {1, 2}}, t.points(3, 3))
  lu.assertEquals(E(neap.zeros(0, 3, 4)).shape, {0})
  lu.assertEquals(e.ising {edges = {{1, 2}}, beta = 1}:score(neap.zeros(0, 2)).shape, {0, 2})
end

-- ∂ log p/∂β = Σ s s′ − its mean
function T.test_ising_learns_its_parameters ()
  local beta, h = neap.tensor(.3, f64):requires_grad(), neap.zeros(2, 3, f64):requires_grad()
  local E = e.ising {shape = {2, 3}, beta = beta, field = h}
  lu.assertEquals(select(2, E:params()), {"beta", "field"})
  local x = batch(spins(6), {2, 3})
  local ok, report = neap.gradcheck(function (b, f) return E:with {b, f}:log_prob(x):sum() end,
                                    {neap.tensor(.3, f64), neap.randn(2, 3, f64)})
  lu.assertTrue(ok, "worst " .. report.worst)
  local large = e.ising {shape = {6, 6}, beta = neap.tensor(.25, f64):requires_grad()}
  lu.assertAlmostEquals(large:log_z(), 27.337974, 1e-6)
  t.near(large:log_prob(neap.ones(1, 6, 6, f64)), {.25 * 72 - 27.337974}, 1e-6)
end

-- what is compiled follows the parameters, whether their states are few enough to be summed by ops or not
function T.test_programs_follow_parameters ()
  local function follows (E, p, shape)
    local x = neap.ones(2, table.unpack(shape)):double()
    local function f (v) return E:log_prob(v) end
    local heard = compare.with_warnings(function ()
      local g = neap.compile(f)
      for k = 1, 3 do
        p[{}] = p:detach() + .1 * k
        t.near(neap.no_grad(g, x), neap.no_grad(f, x), 1e-12)
      end
    end)
    return #heard
  end
  local function beta () return neap.tensor(.3, f64):requires_grad() end
  local b = beta()
  lu.assertEquals(follows(e.ising {shape = {3, 3}, beta = b}, b, {3, 3}), 0)
  lu.assertEquals(follows(e.ising {shape = {6, 6}, beta = b}, b, {6, 6}), 1)
  lu.assertEquals(follows(e.potts {shape = {2, 3}, states = 3, beta = b}, b, {2, 3}), 0)
  lu.assertEquals(follows(e.potts {shape = {6, 3}, states = 3, beta = b}, b, {6, 3}), 1)
  local small = e.gaussian_rbm {visible = 3, hidden = 4, dtype = "float64"}
  lu.assertEquals(follows(small, small.c, {3}), 0)
  for _, E in ipairs {e.gaussian_rbm {visible = 300, hidden = 15, dtype = "float64"},
                      e.rbm {visible = 300, hidden = 15, dtype = "float64"}} do
    lu.assertEquals(follows(E, E.c, {300}), 1)
  end
end

-- ---- Potts ----

function T.test_potts_is_its_formula_and_its_log_z_the_sum ()
  for _, sizes in ipairs(grids) do
    for _, periodic in ipairs {true, false} do
      local list, n = bonds(sizes, periodic)
      for _, q in ipairs {2, 3} do
        local rows = states(n, n > 6 and 2 or q, 1, 1)
        local E = e.potts {shape = sizes, states = n > 6 and 2 or q, beta = .8, periodic = periodic}
        local want = map(rows, potts, list, .8)
        t.near(E(batch(rows, sizes, "int64")), want, 1e-5)
        t.near(E(batch(rows, sizes)), want)
        lu.assertAlmostEquals(E:log_z(), log_sum(want), 1e-11)
        lu.assertAlmostEquals(E:log_z {method = "enumerate"}, log_sum(want), 1e-11)
      end
    end
  end
end

function T.test_potts_of_two_states_is_ising ()
  for _, beta in ipairs {.5, 1.2, -.3} do
    local z = e.ising {shape = {5, 6}, beta = beta / 2}:log_z()
    lu.assertAlmostEquals(e.potts {shape = {5, 6}, states = 2, beta = beta}:log_z(), z + beta / 2 * 60, 1e-10)
  end
  -- a ring of q states: (e^β + q − 1)^n + (q − 1)(e^β − 1)^n
  local w = math.exp(.4)
  lu.assertAlmostEquals(e.potts {shape = 12, states = 40, beta = .4}:log_z(), math.log((w + 39) ^ 12 + 39 * (w - 1) ^ 12),
                        1e-10)
end

function T.test_potts_on_a_graph_and_its_derivatives ()
  local edges = {{1, 2}, {2, 3}, {3, 1}}
  local rows = states(3, 4, 1, 1)
  local E = e.potts {edges = edges, states = 4, beta = neap.tensor(.9, f64):requires_grad()}
  local x = batch(rows, {3})
  t.near(E(x), map(rows, potts, edges, .9))
  t.near(E:score(x), neap.zeros(#rows, 3))
  local ok, report = neap.gradcheck(function (b) return E:with {b}:log_prob(x):sum() end, {neap.tensor(.9, f64)})
  lu.assertTrue(ok, "worst " .. report.worst)
end

-- ---- both ----

function T.test_compositions_go_through_their_units ()
  local E = 2 * e.ising {shape = 3, beta = .5}
  lu.assertAlmostEquals(E:log_z {method = "enumerate"}, e.ising {shape = 3, beta = 1}:log_z(), 1e-11)
  local F = e.potts {shape = 3, states = 3, beta = .5} + 1
  lu.assertAlmostEquals(F:log_z {method = "enumerate"}, e.potts {shape = 3, states = 3, beta = .5}:log_z() - 1, 1e-11)
end

function T.test_errors ()
  t.raises("ising: beta is missing", e.ising, {shape = {2, 2}})
  t.raises("ising: shape or edges is missing", e.ising, {beta = 1})
  t.raises("ising: shape[2] must be at least 1, got 0", e.ising, {shape = {2, 0}, beta = 1})
  t.raises("ising: beta must be a number, got [2]", e.ising, {shape = {2, 2}, beta = {1, 2}})
  t.raises("ising: beta must be a number or [1], one per edge, got [2]", e.ising, {edges = {{1, 2}}, beta = {1, 2}})
  t.raises("ising: field must be a number or [2, 2], got [4]", e.ising, {shape = {2, 2}, beta = 1,
                                                                         field = {1, 2, 3, 4}})
  t.raises("ising: edges must be [M, 2], pairs of units, got [1, 3]", e.ising, {edges = {{1, 2, 3}}, beta = 1})
  t.raises("ising: edges[2][1] must be a unit from 1 to 3, got 4", e.ising, {edges = {{1, 2}, {4, 2}}, shape = 3,
                                                                             beta = 1})
  t.raises("ising: edges[1] joins unit 2 to itself", e.ising, {edges = {{2, 2}}, beta = 1})
  t.raises("ising: unknown option 'betta' (did you mean 'beta'?)", e.ising, {shape = 2, betta = 1})
  t.raises("ising: x must be [B, 2, 2], got [5, 4]", e.ising {shape = {2, 2}, beta = 1}, neap.zeros(5, 4))
  t.raises("at most 24 units, ising has 27", function () e.ising {shape = {3, 3, 3}, beta = 1}:log_z() end)
  t.raises("at most 2^24 states, potts has 3^27", function ()
    e.potts {shape = {3, 3, 3}, states = 3, beta = 1}:log_z()
  end)
  t.raises("too many states for a tape; give log_z = E:log_z()", function ()
    local x = neap.ones(1, 6, 6):requires_grad()
    local beta = neap.tensor(.2):requires_grad()
    e.ising {shape = {6, 6}, beta = beta * 2}:log_prob(x)
  end)
  t.raises("potts: option 'states' is missing", e.potts, {shape = 2, beta = 1})
  t.raises("potts: states must be 2 to 256, got 1", e.potts, {shape = 2, states = 1, beta = 1})
  t.raises("potts: unknown option 'field'", e.potts, {shape = 2, states = 2, beta = 1, field = 1})
  t.raises("bonds of -800 are too strong", function () e.ising {shape = {7, 7}, beta = -400}:log_z() end)
end

return T
