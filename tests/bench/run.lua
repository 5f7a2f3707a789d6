-- run.lua -- the benchmark's driver; make bench calls it.
--
--   build/neap tests/bench/run.lua [--threads 1,2] [--only NAME|pattern] [--runs 7] [--seconds 6] [--rounds 3]
--                                  [--scale 1] [--json FILE] [--peak PROGRAM] [--python PROGRAM] [--rscript PROGRAM]
--                                  [--stan FOLDER] [--no-peer] [--busy N] [--list]
--
-- Each row is set up, warmed up on both sides, then measured in turns: a run of neap, a run of the peer, and so on, so
-- that what else the machine does meets both alike; at least so many runs and seconds, which all rows get in rounds,
-- because a neighbour's work can halve this machine's speed for seconds.  Each round has a PyTorch of its own, since where
-- a process's memory lies can make a fifth of its time.  Only ratios from one run count.  --busy keeps so many other
-- processes computing meanwhile; --stan is where Stan's compiled models are kept.
-- Invariant: a row that fails is reported with its error and makes the exit code 1; it never has a ratio.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/../?.lua;" .. package.path

local rows = require "bench.workloads"
local peers = require "bench.peer"
local report = require "bench.report"
local startup = require "bench.startup"

local function fail (message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end

-- ---- options ----

local function numbers (text, name)
  local out = {}
  for word in text:gmatch "[^,%s]+" do
    local n = math.tointeger(tonumber(word))
    if not n or n < 1 then fail(("--%s: positive integers expected, got '%s'"):format(name, text)) end
    out[#out + 1] = n
  end
  if #out == 0 then fail(("--%s: positive integers expected, got '%s'"):format(name, text)) end
  return out
end

local function options ()
  local o = {threads = "1", runs = "7", seconds = "6", rounds = "3", scale = "1", python = "/usr/bin/python3",
             stan = "build/stan"}
  local flags = {["no-peer"] = true, list = true}
  local known = {threads = true, runs = true, seconds = true, rounds = true, scale = true, python = true, only = true,
                 json = true, peak = true, busy = true, rscript = true, stan = true}
  local i = 1
  while i <= #arg do
    local name = arg[i]:match "^%-%-(.+)$"
    if flags[name] then o[name] = true
    elseif known[name] and arg[i + 1] then o[name], i = arg[i + 1], i + 1
    else fail(("unknown option or no value: '%s'"):format(arg[i])) end
    i = i + 1
  end
  o.threads, o.runs, o.scale = numbers(o.threads, "threads"), numbers(o.runs, "runs")[1], tonumber(o.scale)
  o.rounds = numbers(o.rounds, "rounds")[1]
  if not o.scale or o.scale <= 0 then fail "--scale: a positive number expected" end
  o.seconds = tonumber(o.seconds) or fail "--seconds: a number expected"
  o.busy = o.busy and numbers(o.busy, "busy")[1] or 0
  return o
end

-- A name, several with commas, or a Lua pattern.
local function chosen (only)
  if not only or only == "" then return rows end
  local out, names = {}, {}
  for _, r in ipairs(rows) do names[r.name] = true end
  for word in only:gmatch "[^,%s]+" do
    for _, r in ipairs(rows) do
      if r.name == word or not names[word] and r.name:find(word) then out[#out + 1] = r end
    end
  end
  if #out == 0 then fail(("no workload matches '%s'; --list shows them"):format(only)) end
  return out
end

-- ---- the machine ----

local function read (path)
  local f = io.open(path)
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end

local function load_average () return tonumber((read "/proc/loadavg" or ""):match "^%S+") end

-- The measured peak for so many threads, nil when there is no tool.
local function measure_peak (program, threads)
  if not program then return nil end
  local pipe = assert(io.popen(("'%s' %d"):format(program, threads)))
  local isa, _, flops, bytes = (pipe:read "a"):match "^(%S+) (%S+) (%S+) (%S+)"
  pipe:close()
  return isa and {isa = isa, threads = threads, flops = tonumber(flops), bytes = tonumber(bytes)} or nil
end

-- Starts n processes that compute until they are told to stop, or this one ends; returns what stops them.
local function keep_busy (n)
  local pipes = {}
  for i = 1, n do pipes[i] = assert(io.popen("(while :; do :; done) & spinning=$!; read _; kill $spinning", "w")) end
  return function ()
    for _, pipe in ipairs(pipes) do pipe:close() end
  end
end

-- ---- measuring ----

-- A core that has just been woken is slow for its first milliseconds.
local LEAST = .02

-- -> run(): µs per unit of the row's work by neap; runs last as long as the peer's do anyway, so long at least
local function neap_side (row, units, o, measured)
  if row.process then
    return function ()
      local seconds
      seconds, measured.neap_mb = startup.run(startup.neap())
      return 1e6 * seconds
    end
  end
  local work = row.setup()
  return function ()
    collectgarbage()
    local began, done, seconds = neap.clock(), 0, 0
    repeat
      done = done + (work(units) or units)
      seconds = neap.clock() - began
    until seconds >= LEAST
    return 1e6 * seconds / done
  end
end

-- the same by the peer
local function peer_side (row, units, o, measured, peer)
  if row.process then
    return function ()
      local seconds
      seconds, measured.peer_mb = startup.run(startup.peer(o.python))
      return 1e6 * seconds
    end
  end
  if row.posterior then peer:give(row.name, row.posterior().data) end
  return function ()
    local seconds, done = table.unpack(peer:ask("run", row.name, units))
    return 1e6 * seconds / (done or units)
  end
end

local function units_of (row, o) return row.process and 1 or math.max(1, math.floor(row.units * o.scale)) end

-- A round of a row: sets it up and adds its runs to what report.result takes.
local function measure (row, o, peer, measured)
  local theirs = peer and peer_side(row, measured.units, o, measured, peer) or nil
  neap.seed(1)
  local ours = neap_side(row, measured.units, o, measured)
  local run, began = 0, nil                      -- run 0 warms up
  repeat
    local a, b = ours(), theirs and theirs()
    local n = #measured.neap + 1
    if run > 0 then measured.neap[n], measured.peer[n] = a, b end
    run, began = run + 1, began or neap.clock()
  until run > math.ceil(o.runs / o.rounds) and neap.clock() - began > o.seconds / o.rounds
end

-- The same; an error stays the row's result.
local function try (row, o, peer, measured)
  if measured.error then return end
  local ok, problem = pcall(measure, row, o, peer, measured)
  if not ok and tostring(problem):find("interrupted!", 1, true) then error(problem, 0) end
  if not ok then measured.neap, measured.peer, measured.error = {}, {}, tostring(problem) end
  if peer and not row.process then pcall(peer.ask, peer, "drop", row.name) end
  collectgarbage()
end

local watched = neap.core._files.isatty(io.stderr)

local function show (text)
  if watched then io.stderr:write("\r\27[K", text) end
end

-- started: peers by name; renew() starts some of them anew
local function measure_all (list, o, started, threads, renew)
  local all = {}
  for i, row in ipairs(list) do all[i] = {threads = threads, units = units_of(row, o), neap = {}, peer = {}} end
  for round = 1, o.rounds do
    if round > 1 then renew() end
    for i, row in ipairs(list) do
      show(("round %d of %d: %s"):format(round, o.rounds, row.name))
      try(row, o, started[row.peer or "torch"], all[i])
    end
  end
  show ""
  return all
end

local function describe_peak (peak)
  print(("%d thread%s: %s, %.0f GFLOP/s of multiply-adds, %.1f GB/s copied"):format(peak.threads,
    peak.threads > 1 and "s" or "", peak.isa, peak.flops / 1e9, peak.bytes / 1e9))
end

local kinds = {
  {name = "torch", title = "PyTorch", each_round = true, start = function (o, threads)
    return peers.torch(here .. "/peer_torch.py", threads, o.python)
  end},
  {name = "stan", title = "rstan", start = function (o)
    return peers.stan(here .. "/peer_stan.R", o.stan, o.rscript)
  end},
}

-- -> the peers that the rows want, by name; those there are
local function start_peers (o, threads, list)
  local started, titles, wanted = {}, {}, {}
  for _, row in ipairs(list) do wanted[row.peer or "torch"] = true end
  for _, kind in ipairs(kinds) do
    if wanted[kind.name] then
      local peer, why = nil, "not asked for"
      if not o["no-peer"] then peer, why = kind.start(o, threads) end
      started[kind.name], titles[#titles + 1] = peer, peer and ("%s %s"):format(kind.title, peer.version)
      print(peer and "peer: " .. titles[#titles] or ("no peer %s: %s"):format(kind.title, why))
    end
  end
  return started, titles
end

local function renew_peers (o, threads, started)
  for _, kind in ipairs(kinds) do
    if kind.each_round and started[kind.name] then
      started[kind.name]:close()
      started[kind.name] = assert(kind.start(o, threads))
    end
  end
end

local function run_threads (o, threads, out)
  neap.set_threads(threads)
  local peak, list, started = measure_peak(o.peak, threads), chosen(o.only), nil
  if peak then describe_peak(peak) end
  out.peaks[#out.peaks + 1] = peak
  started, out.peers = start_peers(o, threads, list)
  local stop = keep_busy(o.busy)
  local all = measure_all(list, o, started, threads, function () renew_peers(o, threads, started) end)
  stop()
  print(report.head())
  for i, row in ipairs(list) do
    local r = report.result(row, all[i], peak)
    out.rows[#out.rows + 1] = r
    print(report.line(r))
    if r.error then out.failed = true end
  end
  for _, peer in pairs(started) do peer:close() end
end

local function main ()
  local o = options()
  if o.list then
    for _, r in ipairs(chosen(o.only)) do print(r.name) end
    return 0
  end
  local out = {version = neap.version, runs = o.runs, busy = o.busy, rows = {}, peaks = {}}
  out.load_before = load_average()
  print(("neap %s, medians of %d runs and more, load average %s"):format(neap.version, o.runs, tostring(out.load_before)))
  if (out.load_before or 0) > .5 then print "other work shares this machine: the ratios say something, the times little" end
  for _, threads in ipairs(o.threads) do run_threads(o, threads, out) end
  out.load_after = load_average()
  print(("load average now %s"):format(tostring(out.load_after)))
  if o.json then report.write(o.json, out) end
  return out.failed and 1 or 0
end

os.exit(main(), true)
