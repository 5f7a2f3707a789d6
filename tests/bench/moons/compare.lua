-- compare.lua -- the table of two moons: examples/two_moons.lua, method by method, timed beside the same in PyTorch.
--
--   build/neap tests/bench/moons/compare.lua [threads=1,2] [seeds=1,2] [only=cd,nce] [steps=6000] [slice=30]
--                                            [peer=no] [python=PROGRAM] [program=PROGRAM]            (make bench-moons)
--
-- Each method is trained by the example as it stands, in a process of its own, which prints how good the energy is and
-- how long its training took.  PyTorch (train_torch.py) makes `slice` training steps before and as many after; their
-- time, times steps / (2 slice), is what the whole training would take: "same" with the example's settings, "published"
-- with those of the peer's own table.  A ratio is PyTorch's time over neap's.
-- Invariant: all figures of a line come from one process, started after the first slice and before the second.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/../../?.lua;" .. package.path

local peers = require "bench.peer"
local startup = require "bench.startup"

local METHODS = "cd,pcd,nce,ssm,multi_dsm,diffusion_recovery"
local WARMUP = 3

local function fail (message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end

local function options ()
  local o = {threads = "1", seeds = "1", only = METHODS, steps = "6000", slice = "30", peer = "yes",
             python = "/usr/bin/python3", program = startup.program()}
  for _, word in ipairs(arg) do
    local name, value = word:match "^(%w+)=(.+)$"
    if not name or not o[name] then fail(("unknown option: '%s'"):format(word)) end
    o[name] = value
  end
  for _, name in ipairs {"steps", "slice"} do
    o[name] = math.tointeger(tonumber(o[name])) or fail(name .. ": a positive integer expected")
  end
  return o
end

local function words (list) return list:gmatch "[^,%s]+" end

-- ---- one line ----

-- What the example says of a method: {fd, mmd, log-likelihood, that of the truth, seconds}
local function train (o, method, threads, seed)
  local command = "'%s' --threads %d %s/../../../examples/two_moons.lua %s --steps %d --seed %d"
  local pipe = assert(io.popen(command:format(o.program, threads, here, method, o.steps, seed)))
  local text, figures = pipe:read "a", {}
  local line = ("\n" .. text):match("\n" .. method .. "( [^\n]+)")
  for word in (line or ""):gmatch "%S+" do figures[#figures + 1] = tonumber(word) end
  if not pipe:close() or #figures ~= 5 then fail(method .. " failed:\n" .. text) end
  return figures
end

-- PyTorch's seconds for some steps of each kind, added to those before
local function add_slice (o, peer, method, sums)
  for _, kind in ipairs {"", "_published"} do
    local seconds = peer:ask("run", method .. kind, o.slice)[1]
    sums[kind] = (sums[kind] or 0) + seconds * o.steps / (2 * o.slice)
  end
end

local function against (sums, kind, seconds)
  if not sums[kind] then return ("%9s  %6s"):format("–", "–") end
  return ("%9.1f  %6.1f"):format(sums[kind], sums[kind] / seconds)
end

local function measure (o, peer, method, threads, seed)
  local sums = {}
  if peer then
    for _, kind in ipairs {"", "_published"} do peer:ask("run", method .. kind, WARMUP) end
    add_slice(o, peer, method, sums)
  end
  local f = train(o, method, threads, seed)
  if peer then add_slice(o, peer, method, sums) end
  print(("%-20s%2d %4d  %7.4f  %7.4f  %8.3f %8.3f  %8.1f  %s  %s"):format(method, threads, seed, f[1], f[2], f[3], f[4],
    f[5], against(sums, "", f[5]), against(sums, "_published", f[5])))
  io.stdout:flush()
end

local function head (o, peer, why)
  print(("two moons: %d steps of 256 rows; times in seconds"):format(o.steps))
  if not peer then return print("no peer: " .. why) end
  print(("PyTorch %s: %d of its steps are timed, %.1f %% of all, and the whole is worked out from them"):format(
    peer.version, 2 * o.slice, 200 * o.slice / o.steps))
end

local function run_threads (o, threads)
  local peer, why = nil, "not asked for"
  if o.peer ~= "no" then peer, why = peers.torch(here .. "/train_torch.py", threads, o.python) end
  head(o, peer, why)
  print("method               N seed       FD     MMD²  log-lik.    truth      neap " ..
    "      same   ratio  published   ratio")
  for seed in words(o.seeds) do
    for method in words(o.only) do measure(o, peer, method, threads, math.tointeger(tonumber(seed))) end
  end
  if peer then peer:close() end
end

local o = options()
for threads in words(o.threads) do run_threads(o, math.tointeger(tonumber(threads))) end
