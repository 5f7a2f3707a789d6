-- regression.lua -- a straight line through points, and all we do not know about it.
--
-- y = a + b x + noise of standard deviation sigma.  With flat priors of a, b and log sigma the posterior of a and b is
-- Student's t around least squares, so the numbers below can be checked; other priors change the energy, and no more.

local neap = require "neap"
local dist, positive = neap.dist, neap.bijector.positive
neap.seed(1)

local N, f64 = 60, {dtype = "float64"}
local x = neap.rand({N}, f64) * 10
local y = 3 - .7 * x + 1.5 * neap.randn({N}, f64)

local function parts (u)
  local sigma, log_jacobian = positive(u:slice(-1, 3, 3))
  return u:slice(-1, 1, 1), u:slice(-1, 2, 2), sigma, log_jacobian
end

-- The flat prior of log sigma is 1/sigma, which the Jacobian cancels.
local E = neap.energy(function (u)
  local a, b, sigma = parts(u)
  return -dist.normal(y, a + b * x, sigma):sum(2)
end, {event = {3}})

local draws, info = neap.sampler.nuts{}:sample(E,
  {chains = 4, warmup = 1000, steps = 1000, seed = 2, dtype = "float64"})
local a, b, sigma = parts(draws)
local summary = neap.diag.summary({a = a:squeeze(-1), b = b:squeeze(-1), sigma = sigma:squeeze(-1)})
print(summary)
print(info)

local X = neap.stack({neap.ones({N}, f64), x}, 2)
local inverse = X:t():matmul(X):inverse()
local best = inverse:matmul(X:t()):matmul(y)
local df = N - 2
local s2 = (y - X:matmul(best)):square():sum():item() / df
for i, name in ipairs{"a", "b"} do
  local drawn, mean = summary[name], best[i]:item()
  local sd = math.sqrt(s2 * inverse[i][i]:item() * df / (df - 2))
  print(("%s: mean %.4f ± %.4f, exactly %.4f; sd %.4f, exactly %.4f"):format(name, drawn.mean, drawn.mcse, mean,
    drawn.sd, sd))
  assert(math.abs(drawn.mean - mean) < 4 * drawn.mcse and math.abs(drawn.sd / sd - 1) < .1)
end

-- What will be seen at x = 12?  A draw of y for each draw of the line.
local new = a + 12 * b + sigma * neap.randn(sigma.shape, f64)
print(("at x = 12: y in [%.2f, %.2f] with probability 90 %%"):format(new:flatten():quantile(.05, 1):item(),
  new:flatten():quantile(.95, 1):item()))
