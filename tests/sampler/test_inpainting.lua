-- test_inpainting.lua -- E:fix on pictures: the pixels that are held stay, each chain may hold its own, and the others
-- follow their law given these.

local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}
local H, W = 3, 4

local function left_half (h, w)
  local columns = neap.arange(1, w):reshape(1, 1, w):expand(1, h, w)
  return columns:le(w / 2)
end

-- ½ Σ (differences of neighbours)² + ½ · ½ |x|² of pictures [B, 1, H, W]
local function smooth (x)
  local down = x[{{}, {}, {2, H}}] - x[{{}, {}, {1, H - 1}}]
  local across = x[{{}, {}, {}, {2, W}}] - x[{{}, {}, {}, {1, W - 1}}]
  return (down:square():sum{2, 3, 4} + across:square():sum{2, 3, 4} + .5 * x:square():sum{2, 3, 4}) / 2
end

local function field () return neap.energy(smooth, {event = {1, H, W}}) end

-- Mean and covariance of the right half given the left one: −Λ₂₂⁻¹ Λ₂₁ x₁ and Λ₂₂⁻¹.
local function conditional (E, x)
  local rows = {}
  for i = 1, H * W do
    rows[i] = E:hvp(neap.zeros({1, 1, H, W}, f64), neap.eye(H * W, f64)[i]:reshape(1, 1, H, W)):flatten()
  end
  local precision = neap.stack(rows, 1)
  local held = left_half(H, W):flatten()
  local free = held:logical_not()
  local function part (a, b) return precision[a]:t()[b]:t() end
  local covariance = part(free, free):inverse()
  return -covariance:matmul(part(free, held)):matmul(x:flatten()[held]), covariance
end

function T.test_the_law_of_what_is_hidden ()
  local E, x = field(), neap.rng(1):normal({1, H, W}, f64) * 2
  local mask = left_half(H, W)
  local mean, covariance = conditional(E, x)
  local fixed = E:fix(mask, x)
  local free = mask:logical_not()
  local samplers = {neap.sampler.hmc{step_size = .5, leapfrog_steps = 4}, neap.sampler.mala{step_size = .3}}
  for _, s in ipairs(samplers) do
    local draws = s:sample(fixed, {chains = 500, steps = 60, warmup = 20, thin = 3, seed = 2, dtype = "float64"})
    lu.assertEquals((draws - x)[mask:expand(draws.shape)]:abs():amax():item(), 0)
    for i, at in ipairs {3, 4, 7, 8, 11, 12} do
      local off = draws:reshape(20, 500, H * W):select(3, at) - mean[i]:item()
      local z = {law.z(off, function (v) return v end, 0), law.z(off, neap.square, covariance[i][i]:item())}
      lu.assertTrue(math.abs(z[1]) < 4 and math.abs(z[2]) < 4, ("%d: z = %.2f, %.2f"):format(at, z[1], z[2]))
    end
  end
end

-- Each chain with a picture of its own goes as it would go alone.
function T.test_a_picture_for_each_chain ()
  local E = neap.energy.conv{input = {1, 8, 8}, channels = {4, 6}, hidden = 5, rng = neap.rng(1)}
  local x, start, mask = neap.rng(2):normal{5, 1, 8, 8}, neap.rng(3):normal{5, 1, 8, 8}, left_half(8, 8)
  local s = neap.sampler.langevin{step_size = .05, noise_std = 0}
  local together = s:step(E:fix(mask, x), s:init(E:fix(mask, x), start), 6).x
  for i = 1, 5 do
    local one = E:fix(mask, x[i])
    local alone = s:step(one, s:init(one, start:slice(1, i, i)), 6).x
    lu.assertTrue((alone[1] - together[i]):abs():amax():item() < 1e-5)
  end
  local held = mask:expand(5, 1, 8, 8)
  lu.assertEquals((together - x)[held]:abs():amax():item(), 0)
  lu.assertTrue((together - start)[held:logical_not()]:abs():amin():item() > 0)
  lu.assertEquals(E:fix(mask, x):grad(start)[held]:abs():amax():item(), 0)
end

-- Levels of noise, a condition, and pixels that are held go together.
function T.test_annealed ()
  local E = neap.energy.noise_conditional(neap.energy.conv{input = {1, 8, 8}, channels = {4}, hidden = 3})
  local x, mask = neap.rng(2):normal{6, 1, 8, 8}, left_half(8, 8)
  local s = neap.sampler.annealed_langevin{sigmas = {1, .5, .2}, step_size = .002, steps = 4}
  local draws = s:sample(E:fix(mask, x), {chains = 6, seed = 1, init = neap.zeros(6, 1, 8, 8)})
  local held = mask:expand(1, 6, 1, 8, 8)
  lu.assertEquals((draws - x)[held]:abs():amax():item(), 0)
  lu.assertTrue(draws[held:logical_not()]:abs():amin():item() > 0)
  local one = neap.sampler.annealed_langevin{sigmas = {.5}, step_size = .01, steps = 4}
  local plain = neap.sampler.langevin{step_size = .01}
  local given = E:given(neap.tensor{.5}):fix(mask, x)
  local a = one:step(E:fix(mask, x), one:init(E:fix(mask, x), x, neap.rng(3)), 4).x
  local b = plain:step(given, plain:init(given, x, neap.rng(3)), 4).x
  lu.assertTrue((a - b):abs():amax():item() < 1e-5)
end

return T
