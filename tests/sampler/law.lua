-- law.lua -- does what a sampler draws follow a known law?
-- Chains are independent, so the mean of a statistic has the standard error sd(chain means) / √chains; a z-score is the
-- distance from the truth in such errors.  With 64 chains or more |z| > 4 means a wrong law.

local law = {longer = 1, more = 1}            -- times the steps and chains of test_laws.lua

-- f(x) [draws, chains] of draws [draws, chains, dims] -> z-score of its mean against truth
function law.z (draws, f, truth)
  local per_chain = f(draws):mean(1)
  local chains = per_chain.shape[1]
  local se = per_chain:std():item() / math.sqrt(chains)
  return (per_chain:mean():item() - truth) / se
end

local function coordinate (x, i) return x:select(3, i) end

-- z-scores of both means, both variances and the covariance of 2-D draws whose law has mean m and covariance c
function law.moments (draws, m, c)
  local a, b = coordinate(draws, 1) - m[1], coordinate(draws, 2) - m[2]
  local function z (x, truth) return law.z(x, function (v) return v end, truth) end
  return {mean1 = z(a, 0), mean2 = z(b, 0), var1 = z(a * a, c[1][1]), var2 = z(b * b, c[2][2]), cov = z(a * b, c[1][2])}
end

-- ∫ g(x) e^(-energy(x)) dx / ∫ e^(-energy(x)) dx on [-bound, bound], trapezoid rule
function law.expectation (energy, g, bound)
  local n, top, bottom = 4000, 0, 0
  for i = 0, n do
    local x = -bound + 2 * bound * i / n
    local p = math.exp(-energy(x))
    top, bottom = top + g(x) * p, bottom + p
  end
  return top / bottom
end

-- the largest |z| of a table, and its name
function law.worst (zs)
  local worst, name = 0, "none"
  for k, z in pairs(zs) do
    if z ~= z or math.abs(z) > worst then worst, name = z ~= z and math.huge or math.abs(z), k end
  end
  return worst, name
end

-- the standard normal distribution function
function law.normal_cdf (x) return .5 * (1 + neap.tensor(x / math.sqrt(2), {dtype = "float64"}):erf():item()) end

return law
