-- compare.lua -- an RBM of 784 x 500 units on Fashion-MNIST, trained for the same time by neap and by scikit-learn.
--
--   build/neap tests/bench/rbm/compare.lua [minutes [hidden [temperatures]]]        (make bench-rbm MINUTES=20)
--
-- Both are measured by the same annealed importance sampling.  It underestimates log Z, which flatters a model that mixes
-- badly, so the comparison takes what is worse for neap: for its machine log Z from above, by reverse AIS whose chains
-- start at the ends of an independent run of parallel tempering, and for the other from below, by AIS.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local minutes, hidden = tonumber(arg[1] or 20), math.tointeger(tonumber(arg[2] or 500))
local temperatures = math.tointeger(tonumber(arg[3] or 10000))
local CHAINS = 100
neap.seed(1)

local function binarised (split)
  local x = neap.data.fashion_mnist(split)
  return x:reshape(x.shape[1], -1):gt(.5):float()
end
local train, test = binarised "train", binarised "test"
local means = train:mean(1):clamp(.001, .999)

-- ---- training ----

local function ours ()
  local E = neap.energy.rbm{visible = train.shape[2], hidden = hidden}:with{b = (means / (1 - means)):log()}
  local params = E:params()
  for _, p in ipairs(params) do p:requires_grad() end
  local loss = neap.loss.pcd{sampler = neap.sampler.gibbs{}, steps = 5, buffer = 200}
  local batches, start, updates = neap.data.loader(train, {batch = 100}), neap.clock(), 0
  while neap.clock() - start < 60 * minutes do
    local left = math.max(0, 1 - (neap.clock() - start) / (60 * minutes))
    for _ = 1, 20 do
      local grads = neap.gradients(loss(E, batches:next()), params)
      neap.no_grad(function ()
        for i, p in ipairs(params) do p[{}] = p - (.05 * left + .0005) * grads[i] end
      end)
      updates = updates + 1
    end
  end
  return E, updates
end

local function theirs ()
  local data, weights = os.tmpname() .. ".npy", os.tmpname() .. ".npz"
  neap.save(data, {train:to "uint8"})
  local command = "/usr/bin/python3 '%s/train_sklearn.py' '%s' %g %d '%s'"
  local pipe = assert(io.popen(command:format(here, data, 60 * minutes, hidden, weights)))
  local updates = pipe:read "n"
  assert(pipe:close() and updates, "scikit-learn's side failed: make bench-deps installs it")
  local w = neap.load(weights)
  os.remove(data)
  os.remove(weights)
  return neap.energy.rbm{visible = train.shape[2], hidden = hidden}:with{W = w.W, b = w.b, c = w.c}, updates
end

-- ---- measuring ----

local function estimate (E, method, options)
  local o = {method = method, base = train, chains = CHAINS, temperatures = temperatures, seed = 1}
  for k, v in pairs(options or {}) do o[k] = v end
  local log_z, info = E:log_z(o)
  print(("  %-11s log Z %.2f, 95 %% [%.2f, %.2f], ess %.0f of %d, %s starts"):format(method, log_z, info.interval[1],
    info.interval[2], info.ess, CHAINS, info.starts))
  return info.interval
end

-- ends of chains that never saw the annealing path
local function tempered (E)
  local s = neap.sampler.parallel_tempering{n = 20, kernel = neap.sampler.gibbs{}}
  local draws = s:sample(E, {chains = CHAINS, warmup = 500, steps = 500, thin = 500, seed = 3, progress = false})
  return draws[1]
end

-- -> log-likelihood of a test picture, at least and at most
local function measure (name, E, updates)
  print(("%s: %d updates of 100 pictures in %g minutes"):format(name, updates, minutes))
  local low, high = estimate(E, "ais"), estimate(E, "reverse_ais", {init = tempered(E)})
  local fit = -E(test):mean():item()
  print(("  test log-likelihood %.2f (log Z from above) to %.2f (from below) nats a picture"):format(fit - high[2],
    fit - low[1]))
  return fit - high[2], fit - low[1]
end

local least = measure("neap", ours())
local _, most = measure("scikit-learn", theirs())
print(("neap's at its worst is %.2f nats above scikit-learn's at its best"):format(least - most))
