-- exponential_family.lua -- E(x) = -θ·T(x) - log h(x), with parameters whose answer is known.
--
-- The statistics T(x) = (x, x²) make the normal law: θ₁ = μ/σ², θ₂ = -1/(2σ²).  Exact score matching (Hyvärinen 2005)
-- finds θ from data without ever computing a normaliser, and at its optimum it is the sample mean and variance;
-- maximum likelihood, done here with log Z by quadrature, must agree.

local mu, sigma = 1.5, .8
neap.seed(1)
local x = mu + sigma * neap.randn(5000, 1, {dtype = "float64"})

local function statistics (x) return neap.cat({x, x:square()}, 2) end                -- [B, 1] -> [B, 2]
local function family ()
  return neap.energy.exponential_family{statistics = statistics, params = neap.tensor({0, -.5}, {dtype = "float64"})}
end
local function report (name, E)
  local theta = E:params()[1]:totable()
  local variance = -1 / (2 * theta[2])
  print(("%-22s θ = (%.4f, %.4f)   mean %.4f   std %.4f"):format(name, theta[1], theta[2], theta[1] * variance,
    math.sqrt(variance)))
end

local mean, std = x:mean():item(), x:std(1, false, {unbiased = false}):item()
print(("the sample has                                 mean %.4f   std %.4f"):format(mean, std))

local E = family()
neap.train(E, x, {loss = neap.loss.score_matching{}, batch = 5000, steps = 1500,
                  optimizer = neap.optim.adam{lr = .02}, seed = 1})
report("score matching", E)

-- Maximum likelihood: mean E(x) + log Z, whose gradient is the difference of mean statistics.
E = family()
local params, optimizer = E:params(), neap.optim.adam{lr = .02}
local grid = neap.linspace(-8, 10, 2001, {dtype = "float64"}):unsqueeze(2)
for _ = 1, 1500 do
  local log_z = (-E(grid)):logsumexp(1) + math.log(18 / 2000)
  optimizer:step(params, neap.gradients(E(x):mean() + log_z, params))
end
report("maximum likelihood", E)
