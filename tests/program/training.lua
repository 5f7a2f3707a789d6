-- training.lua -- a training of many iterations, watched: what memory it takes, how many programs it makes, its times.
-- Both loops are what users write: neap.train, and loss, gradients and optimiser by hand.
local lu = require "luaunit"
local neap = require "neap"
local loops, M = {}, {}

local function rss ()                                              -- resident bytes
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmRSS:%s*(%d+)"
    if kb then return tonumber(kb) * 1024 end
  end
end

-- A function to call at each of `total` iterations, and what it saw: programs and resident bytes after 100 and at the
-- end, the most resident bytes since (looked at every 50), the times of the first and last thousand iterations.
local function watch (total)
  local seen, n, before = {first = {}, last = {}, most = 0}, 0, neap.clock()
  for i = 1, 1000 do seen.first[i], seen.last[i] = 0., 0. end                -- no table grows while it is watched
  return seen, function ()
    local now = neap.clock()
    n = n + 1
    if n <= 1000 then seen.first[n] = now - before end
    if n > total - 1000 then seen.last[n - total + 1000] = now - before end
    before = now
    if n % 50 ~= 0 then return end
    seen.programs, seen.rss = neap.memory().programs, rss()
    if n == 100 then seen.programs_at_100, seen.rss_at_100 = seen.programs, seen.rss end
    if n >= 100 then seen.most = math.max(seen.most, seen.rss) end
  end
end

local function setting ()
  return neap.energy.mlp{sizes = {2, 16, 16}}, neap.data.moons(1000, {noise = .1, seed = 1}), neap.loss.dsm{sigma = .2}
end

function loops.train (iterations)
  local E, x, loss = setting()
  local seen, note = watch(iterations)
  local h = neap.train(E, x, {loss = loss, steps = iterations, batch = 32, seed = 1, progress = false, on_step = note})
  return seen, h.loss
end

function loops.by_hand (iterations)
  local E, x, loss = setting()
  local seen, note = watch(iterations)
  local params, opt, losses = E:params(), neap.optim.adam{lr = 1e-3}, {}
  local loader, rng = neap.data.loader(x, {batch = 32, seed = 1}), neap.rng(1)
  local every, sum = iterations // 100, 0
  for i = 1, iterations do
    local value = loss(E, loader:next(), rng)
    opt:step(params, neap.gradients(value, params))
    sum = sum + value:item()
    if i % every == 0 then losses[#losses + 1], sum = sum / every, 0 end
    note()
  end
  return seen, losses
end

local function median (t)
  table.sort(t)
  return t[#t // 2 + 1]
end

local function tell (name, iterations, seen)
  print(("%s, %d iterations: %.1f MB resident after 100, at the most %.1f; programs: %d and %d"):format(name,
    iterations, seen.rss_at_100 / 2^20, seen.most / 2^20, seen.programs_at_100, seen.programs))
  print(("  medians of the first and last thousand iterations: %.0f and %.0f µs"):format(median(seen.first) * 1e6,
    median(seen.last) * 1e6))
end

local function plain_build ()
  return (os.getenv "NEAP_SANITIZER" or "") == "" and (os.getenv "NEAP_HOSTILE" or "") == ""
end

-- Trains; after the first hundred iterations no program is made and resident memory grows by less than a megabyte.
function M.check (name, iterations)
  local seen, losses = loops[name](iterations)
  tell(name, iterations, seen)
  lu.assertTrue(losses[#losses] < losses[1])
  lu.assertTrue(seen.programs >= 1)
  lu.assertEquals(seen.programs, seen.programs_at_100)
  if plain_build() then lu.assertTrue(seen.most - seen.rss_at_100 < 2^20) end
end

return M
