-- rbm.lua -- a restricted Boltzmann machine trained by CD-k on bars and stripes, and its exact likelihood.
--
-- The data are 4 × 4 pictures in which whole columns or whole rows are on.  Units are 0 or 1; given the visible ones
-- the hidden ones are independent, and the other way round, so a Gibbs step draws one side from the other.  Contrastive
-- divergence (Hinton 2002) lowers the free energy E(v) of the data and raises it where k Gibbs steps lead from there.
-- With 16 visible units log Z is a sum over 65,536 states: the likelihood is exact, and no model can do better than the
-- data's entropy.

local neap = require "neap"

local data = neap.data.bars_and_stripes(5000, {seed = 1})
local entropy = 28 / 32 * math.log(32) + 2 / 16 * math.log(16)   -- 28 pictures come up 1 in 32 times, two 1 in 16

local rng = neap.rng(1)

-- k Gibbs steps from v [B, visible]
local function gibbs (E, v, k)
  for _ = 1, k do
    local h = rng:bernoulli(E:hidden(v))
    v = rng:bernoulli(E:visible(h))
  end
  return v
end

-- mean −log p(v) over the data, exactly
local function nats (E)
  return (E(data):mean() + E:log_z()):item()
end

local function train (k)
  neap.seed(1)
  local E = neap.energy.rbm{visible = 16, hidden = 32}
  local params = E:params()
  local optimizer = neap.optim.sgd{lr = neap.schedule.linear{lr = .1, final = .01, steps = 3000}, momentum = .5}
  local loader = neap.data.loader(data, {batch = 100})
  for _ = 1, 3000 do
    local v = loader:next()
    local loss = E(v):mean() - E(gibbs(E, v, k)):mean()
    optimizer:step(params, neap.gradients(loss, params))
  end
  return E
end

print(("untrained  %6.3f nats a picture"):format(nats(neap.energy.rbm{visible = 16, hidden = 32})))
local E
for _, k in ipairs {1, 5, 20} do
  E = train(k)
  print(("CD-%-2d      %6.3f nats a picture"):format(k, nats(E)))
end
print(("the data   %6.3f nats a picture: their entropy, which no model can beat"):format(entropy))
assert(nats(E) < entropy + .4, "the model is further from the data than it should be")

-- New pictures: long chains from noise.  How many are bars or stripes?
local start = rng:bernoulli(neap.full({64, 16}, .5))
local pictures = gibbs(E, start, 1000):reshape(64, 4, 4)
local columns = pictures:eq(pictures:slice(2, 1, 1)):all({2, 3})              -- every row is as the first
local rows = pictures:eq(pictures:slice(3, 1, 1)):all({2, 3})
local good = neap.logical_or(columns, rows):to("int64"):sum():item()
print(("%d of 64 new pictures are bars or stripes (of coin tosses, 1 in 2185 would be)"):format(good))
assert(good >= 50)

local folder = arg[1] or "examples/out"
os.execute("mkdir -p '" .. folder .. "'")
local large = pictures:repeat_interleave(8, 2):repeat_interleave(8, 3)
neap.image.save(folder .. "/rbm.png", neap.image.grid(large, {columns = 16}))
print("picture: " .. folder .. "/rbm.png")
