-- exponential_family.lua -- maximum likelihood by matching moments, with a known answer.
--
-- E(x) = −θ·T(x) with statistics T(x) = (x, x², x⁴): a tilted double well.  The gradient of the mean log-likelihood is
-- mean T(data) − E_θ[T], so at the maximum the model's moments are the data's; its Hessian is −Cov_θ[T], so Newton's
-- method takes a handful of steps, and the inverse of n·Cov gives the standard errors of θ.  In one dimension log Z(θ)
-- is an integral on a grid, and its first two derivatives, E_θ[T] and Cov_θ[T], come from neap.grad and neap.hessian.

local neap = require "neap"
neap.default_dtype "float64"
neap.seed(1)

local truth = neap.tensor {.3, 2, -1}
local function statistics (x) return neap.cat({x, x:square(), x:pow(4)}, 2) end              -- [B, 1] -> [B, 3]
local function family (theta)
  return neap.energy.exponential_family{statistics = statistics, params = theta, event = {1}}
end

-- Data: exact draws, by inverting the distribution function on a fine grid.
local N = 20000
local grid = neap.linspace(-4, 4, 4001):unsqueeze(2)
local cdf = (-family(truth)(grid)):softmax(1):cumsum(1)
local below = cdf:unsqueeze(1)
local data = neap.zeros(N, 1)
for first = 1, N, 1000 do
  local u = neap.rand(1000, 1)
  local index = below:lt(u):to("int64"):sum(2) + 1
  data[{{first, first + 999}}] = grid:index_select(1, index:clamp(1, 4001))
end

-- log Z(θ) by quadrature: the trapezoid rule, whose ends are 0 here.
local T = statistics(grid)
local step = 8 / 4000
local function log_z (theta) return T:matmul(theta):logsumexp(1) + math.log(step) end

local target = statistics(data):mean(1)
local theta = neap.tensor {0, 0, -.5}
print "        theta                          mismatch of moments"
for i = 0, 20 do
  local mismatch = target - neap.grad(log_z)(theta)
  local worst = mismatch:abs():amax():item()
  print(("step %d  %7.4f %7.4f %7.4f        %.1e"):format(i, theta[1]:item(), theta[2]:item(), theta[3]:item(), worst))
  if worst < 1e-10 then break end
  local covariance = neap.hessian(log_z, theta)
  theta = theta + neap.solve(covariance, mismatch)
end

local error = (neap.hessian(log_z, theta) * N):inverse():diagonal():sqrt()
print "maximum likelihood, with its standard error, and the truth"
for i = 1, 3 do
  local value, std, true_value = theta[i]:item(), error[i]:item(), truth[i]:item()
  local z = (value - true_value) / std
  print(("  theta[%d]  %7.4f ± %.4f   truth %5.2f   z = %+.1f"):format(i, value, std, true_value, z))
  assert(math.abs(z) < 4)
end

-- The same by two other roads: the energy's own quadrature, and moments of draws.
local E = family(theta)
local by_library = E:log_z{method = "quadrature", lower = -4, upper = 4}
print(("log Z: %.6f here, %.6f by E:log_z"):format(log_z(theta):item(), by_library))
local mala = neap.sampler.mala{step_size = .15}
local draws = mala:sample(E, {chains = 500, init = {"uniform", -1.5, 1.5}, steps = 400, warmup = 400})
local moments = statistics(draws:reshape(-1, 1)):mean(1)
print(("moments of the data   %7.4f %7.4f %7.4f"):format(target[1]:item(), target[2]:item(), target[3]:item()))
print(("moments of draws      %7.4f %7.4f %7.4f"):format(moments[1]:item(), moments[2]:item(), moments[3]:item()))
assert((moments - target):abs():amax():item() < .1)
