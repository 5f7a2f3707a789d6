-- L-BFGS: directions against the dense BFGS matrix, minima that are known, the conditions its line search ends at.
local lu = require "luaunit"
local lbfgs = require "neap.lbfgs"

local T = {}

local function f64 (v) return neap.tensor(v, {dtype = "float64"}) end

local function near (got, want, tol, message)
  local worst = (got - want):abs():max():item()
  lu.assertTrue(worst <= tol, ("%s differs by %g, at most %g allowed"):format(message or "", worst, tol))
end

local raises = require("errors").raises

-- H after the updates (7.16) of γI by all pairs
local function dense (memory, n)
  local I = neap.eye(n, {dtype = "float64"})
  local s, y = memory.s[#memory.s], memory.y[#memory.y]
  local H = I * (s * y):sum() / (y * y):sum()
  for k = 1, #memory.s do
    s, y = memory.s[k], memory.y[k]
    local rho = 1 / (s * y):sum()
    local V = I - rho * y:outer(s)
    H = V:t():matmul(H):matmul(V) + rho * s:outer(s)
  end
  return H
end

function T.test_direction_is_that_of_the_dense_matrix ()
  local rng, n, memory = neap.rng(1), 6, {}
  local root = rng:normal({n, n}, {dtype = "float64"})
  local A = root:matmul(root:t()) + neap.eye(n, {dtype = "float64"})
  for k = 1, 7 do
    local x = rng:normal({n}, {dtype = "float64"})
    local g = A:matmul(x)
    lbfgs.remember(memory, x, g, 4)
    if k > 1 then
      lu.assertEquals(#memory.s, math.min(k - 1, 4))
      near(lbfgs.direction(memory, g), -dense(memory, n):matmul(g), 1e-9, "direction " .. k)
    end
  end
end

function T.test_pairs_without_curvature_are_left_out ()
  local memory = {}
  lbfgs.remember(memory, f64 {0, 0}, f64 {1, 0}, 5)
  lbfgs.remember(memory, f64 {1, 0}, f64 {.5, 0}, 5)               -- sᵀy = −½
  lu.assertEquals(#memory.s, 0)
  near(lbfgs.direction(memory, f64 {.5, 0}), f64 {-.5, 0}, 1e-15)
  near(lbfgs.direction(memory, f64 {30, 40}), f64 {-.6, -.8}, 1e-15)    -- of length 1 at first
  lbfgs.remember(memory, f64 {1, 0, 0}, f64 {1, 0, 0}, 5)         -- other parameters: from the beginning
  lu.assertEquals(#memory.s, 0)
end

-- what the search ends at meets (3.7), for functions that need a longer, a shorter and a much shorter step
function T.test_line_search_meets_the_strong_wolfe_conditions ()
  local cases = {
    function (a) return (a - 7) ^ 2, 2 * (a - 7) end,
    function (a) return (a - .01) ^ 2, 2 * (a - .01) end,
    function (a) return -a / (a * a + 2), (a * a - 2) / (a * a + 2) ^ 2 end,          -- Moré and Thuente 1994
    function (a) return a ^ 4 - 3 * a, 4 * a ^ 3 - 3 end,
    function (a) return math.exp(a) - 5 * a, math.exp(a) - 5 end,
    function (a) return -math.sin(3 * a) - .3 * a, -3 * math.cos(3 * a) - .3 end,
  }
  for i, f in ipairs(cases) do
    for _, first in ipairs {1e-3, 1, 40} do
      local function phi (a)
        local value, slope = f(a)
        return {at = a, value = value, slope = slope}
      end
      local start = phi(0)
      local p = lbfgs.search(phi, start, first)
      local where = ("case %d from %g ends at %g"):format(i, first, p.at)
      lu.assertTrue(p.at > 0, where)
      lu.assertTrue(p.value <= start.value + 1e-4 * p.at * start.slope, where)
      lu.assertTrue(math.abs(p.slope) <= .9 * math.abs(start.slope), where)
    end
  end
end

local function rosenbrock (p) return (1 - p[1]) ^ 2 + 100 * (p[2] - p[1] ^ 2) ^ 2 end

function T.test_rosenbrock ()
  local p, opt, before = f64 {-1.2, 1}:requires_grad(), neap.optim.lbfgs(), math.huge
  for _ = 1, 50 do
    local loss = opt:step(p, function () return rosenbrock(p) end)
    lu.assertTrue(loss <= before, "the loss rose")
    before = loss
  end
  near(p:detach(), f64 {1, 1}, 1e-7)
  lu.assertEquals(opt.steps, 50)
end

-- ½ xᵀAx − bᵀx over parameters of several shapes
local function quadratic (n)
  local root = neap.rng(2):normal({n, n}, {dtype = "float64"})
  return root:matmul(root:t()) + .1 * neap.eye(n, {dtype = "float64"}), neap.rng(3):normal({n}, {dtype = "float64"})
end

local function split_loss (p, A, b)
  local x = neap.cat({p.a:reshape(-1), p.b:reshape(-1), p.c:reshape(-1)}, 1)
  return (x * A:matmul(x)):sum() / 2 - (b * x):sum()
end

local function split_params ()
  local o = {dtype = "float64"}
  return {a = neap.zeros(2, 3, o):requires_grad(), b = neap.zeros(5, o):requires_grad(),
          c = neap.tensor(0, o):requires_grad()}
end

local function solution_error (p, A, b)
  local x = neap.cat({p.a:reshape(-1), p.b:reshape(-1), p.c:reshape(-1)}, 1):detach()
  return (A:matmul(x) - b):abs():max():item()
end

function T.test_closures_with_and_without_gradients_agree ()
  local A, b = quadratic(12)
  local p, q, one, two = split_params(), split_params(), neap.optim.lbfgs(), neap.optim.lbfgs()
  for _ = 1, 60 do
    local loss = one:step(p, function () return split_loss(p, A, b) end)
    local other = two:step(q, function ()
      local value = split_loss(q, A, b)
      return value, neap.gradients(value, q)
    end)
    lu.assertEquals(loss, other)
  end
  lu.assertTrue(solution_error(p, A, b) < 1e-6, "residual " .. solution_error(p, A, b))
end

-- step(params, closure) tells the loss where it arrived
function T.test_step_tells_the_loss ()
  local x = f64{3, -1}:requires_grad()
  local opt = neap.optim.lbfgs{lr = .1}
  local function loss () return ((x - 1):square() * f64{1, 5}):sum() + 2 end
  for _ = 1, 3 do lu.assertAlmostEquals(opt:step({x}, loss), loss():item(), 1e-12) end
end

function T.test_steps_from_gradients_alone ()
  local A, b = quadratic(12)
  local p, opt = split_params(), neap.optim.lbfgs {lr = .8, memory = 20}
  for _ = 1, 200 do opt:step(p, neap.gradients(split_loss(p, A, b), p)) end
  lu.assertTrue(solution_error(p, A, b) < 1e-6, "residual " .. solution_error(p, A, b))
end

function T.test_float32_and_parameters_without_gradient ()
  local p, opt = {neap.tensor {3, -4}:requires_grad(), neap.tensor {5}:requires_grad()}, neap.optim.lbfgs()
  for _ = 1, 20 do opt:step(p, function () return ((p[1] - neap.tensor {1, 2}) ^ 4):sum() end) end
  near(p[1]:detach(), neap.tensor {1, 2}, .05)
  lu.assertEquals(p[2]:item(), 5)
  lu.assertEquals(p[1].dtype, "float32")
end

function T.test_state_resumes_exactly ()
  local A, b = quadratic(12)
  for _, closure in ipairs {true, false} do
    local function go (opt, p)
      opt:step(p, closure and function () return split_loss(p, A, b) end or neap.gradients(split_loss(p, A, b), p))
    end
    local p, one, q, two = split_params(), neap.optim.lbfgs {lr = .5}, split_params(), neap.optim.lbfgs {lr = .5}
    for _ = 1, 4 do go(one, p) end
    for k, t in pairs(p) do q[k][{}] = t:detach() end
    two:set_state(one:state())
    for _ = 1, 4 do
      go(one, p)
      go(two, q)
    end
    for k, t in pairs(p) do lu.assertEquals(q[k]:totable(), t:totable()) end
  end
end

function T.test_in_training ()
  local x = neap.rng(1):normal {200, 1} * 2 + 3
  local mean, precision = neap.zeros(1):requires_grad(), neap.ones(1, 1):requires_grad()
  local E = neap.energy.gaussian {mean = mean, precision = precision}
  neap.train(E, x, {loss = neap.loss.score_matching(), optimizer = neap.optim.lbfgs {lr = .5}, batch = 200, steps = 80,
                    progress = false})
  lu.assertAlmostEquals(mean:item(), x:mean():item(), 1e-2)
  lu.assertAlmostEquals(precision:item(), 1 / ((x - x:mean()) ^ 2):mean():item(), 1e-2)
end

function T.test_an_error_in_the_closure_leaves_the_parameters ()
  local p, opt, n = f64 {-1.2, 1}:requires_grad(), neap.optim.lbfgs(), 0
  raises("inside", opt.step, opt, p, function ()
    n = n + 1
    if n > 2 then error "inside" end
    return rosenbrock(p)
  end)
  lu.assertEquals(p:totable(), {-1.2, 1})
  lu.assertEquals(opt.steps, 0)
  lu.assertTrue(opt:step(p, function () return rosenbrock(p) end) < 24.2)
end

function T.test_errors ()
  local p, opt = f64 {1, 2}:requires_grad(), neap.optim.lbfgs()
  raises("optim.lbfgs: unknown option 'weight_decay'", neap.optim.lbfgs, {weight_decay = 1})
  raises("optim.lbfgs: option 'memory': a positive number expected, got 0", neap.optim.lbfgs, {memory = 0})
  raises("optim.lbfgs: option 'memory': integer expected", neap.optim.lbfgs, {memory = 1.5})
  raises("optim.lbfgs: the closure must return the loss, a tensor of one element, got nil", opt.step, opt, p,
         function () end)
  raises("optim.lbfgs: the closure must return the loss, a tensor of one element, got float64 [2]", opt.step, opt, p,
         function () return p * 2 end)
  raises("optim.lbfgs: grads: a table with the keys of params expected, got integer", opt.step, opt, {p}, 3)
  raises("optim.adam: grads: a table with the keys of params expected, got function", neap.optim.adam().step,
         neap.optim.adam(), {p}, function () end)
  raises("params has no such key", opt.step, opt, {p}, {x = p:detach()})
  lu.assertEquals(p:totable(), {1, 2})
end

return T
