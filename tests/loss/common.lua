-- common.lua -- what tests of losses share: comparisons, energies, data, gradients against differences.
-- All in float64; data and machines are the same at every call.
local lu = require "luaunit"
local M = {}

local f64 = {dtype = "float64"}
function M.number (t) return t:item() end
M.message = require("errors").message
function M.near (a, b, tolerance, what)
  lu.assertTrue(math.abs(a - b) <= tolerance * math.max(1, math.abs(b)),
                ("%s: %.12g and %.12g"):format(what or "values", a, b))
end
function M.all_near (a, b, tolerance, what)
  local worst = (a - b):abs():amax():item()
  lu.assertTrue(worst <= tolerance, ("%s: differ by %g"):format(what or "tensors", worst))
end

-- ½ (x − m)ᵀ P (x − m)
function M.quadratic (m, P)
  local function f (x) return .5 * ((x - m):matmul(P) * (x - m)):sum(2) end
  return neap.energy(f, {params = {m = m, P = P}, event = {2}})
end

function M.correlated (n, rng)
  local x = rng:normal({n, 2}, f64)
  return x:matmul(neap.tensor({{1, .5}, {0, .8}}, f64)) + neap.tensor({1, -2}, f64)
end

function M.grads_of (loss, E, batch, rng)
  local value = loss(E, batch, rng)
  local params, names = E:params()
  local by_name = {}
  for i, g in ipairs(neap.gradients(value, params)) do by_name[names[i]] = g end
  return by_name, value
end

function M.sample_moments (x)
  local m = x:mean(1)
  return m, (x - m):t():matmul(x - m) / x.shape[1]
end

-- the derivative by each parameter of a small network against differences
function M.check_gradient (loss, batch, tolerance)
  local E = neap.energy.mlp{sizes = {2, 5}, activation = "tanh", dtype = "float64"}
  local params = E:params()
  local value = loss(E, batch, neap.rng(3))
  local grads = neap.gradients(value, params)          -- the last bias, which no score has, gets zero
  for i, p in ipairs(params) do
    local flat, h = p:detach():flatten(), 1e-5
    for k = 1, math.min(3, p:numel()) do
      local v = M.number(flat[k])
      flat[k] = v + h
      local up = M.number((loss(E, batch, neap.rng(3))))
      flat[k] = v - h
      local down = M.number((loss(E, batch, neap.rng(3))))
      flat[k] = v
      M.near(M.number(grads[i]:flatten()[k]), (up - down) / (2 * h), tolerance,
             ("parameter %d[%d]"):format(i, k))
    end
  end
end

function M.machine (visible, hidden)
  local rng = neap.rng(21)
  local E = neap.energy.rbm{visible = visible, hidden = hidden, dtype = "float64"}
  local function variable (...) return rng:normal({...}, f64):requires_grad() end
  return E:with{variable(visible, hidden), variable(visible), variable(hidden)}
end

function M.states (n)
  local all = {}
  for i = 0, 2 ^ n - 1 do
    all[i + 1] = {}
    for k = 1, n do all[i + 1][k] = (i >> (k - 1)) & 1 end
  end
  return neap.tensor(all, f64)
end

-- every state of three bits as often as `counts` says, and an energy that has a parameter for each, given for a start
function M.counted (counts, start)
  local theta = (start or -neap.tensor(counts, f64):log()):requires_grad()
  local place = neap.tensor({1, 2, 4}, f64)
  local E = neap.energy(function (x)
    return theta:index_select(1, (x:matmul(place) + 1):to "int64")
  end, {params = {theta}, event = {3}})
  local rows = {}
  for i, n in ipairs(counts) do for _ = 1, n do rows[#rows + 1] = i end end
  return E, M.states(3):index_select(1, neap.tensor(rows, {dtype = "int64"}))
end

-- the directions that a loss draws for rows like x from rng
function M.signs (x, rng) return rng:uniform(x.shape, f64):ge(.5):to "float64" * 2 - 1 end

return M
