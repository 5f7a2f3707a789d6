-- record.lua -- what neap.train shows and keeps of a run: its history, its progress line.
-- Invariant: a recorder's state() is all that its next records depend on but the clock, so a run that goes on from it
-- keeps the same history as one that never stopped.

local neap = require "neap"
local files = require("neap.core")._files

local record = {}

local function measured (l)
  return ("  log-likelihood %.4g in [%.4g, %.4g] (%s)"):format(l.value, l.lower, l.upper, l.method)
end

-- A line on standard error, rewritten in place, from 2 seconds on and on a terminal only: show(step, loss, likelihood),
-- clear().
function record.line (total, wanted)
  local start, shown, width, first = neap.clock(), neap.clock() + 1.5, 0, nil
  local on = wanted ~= false and files.isatty(io.stderr)
  local function show (step, loss, likelihood)
    local now = neap.clock()
    first = first or step - 1
    if not on or now - shown < .5 then return end
    shown = now
    local rate = math.max(step - first, 1) / (now - start)
    local line = ("train %d/%d  loss %.4g  %.4g steps/s  %.0f s left%s"):format(step, total, loss, rate,
      (total - step) / rate, likelihood and measured(likelihood) or "")
    io.stderr:write("\r", line, (" "):rep(math.max(0, width - #line)))
    io.stderr:flush()
    width = #line
  end
  local function clear ()
    if width > 0 then io.stderr:write("\r", (" "):rep(width), "\r"):flush() end
    width = 0
  end
  return show, clear
end

-- a field of the history: that of a record
local SERIES = {step = "step", loss = "loss", grad_norm = "grad_norm", time = "seconds"}

local Recorder = {}
Recorder.__index = Recorder

local function print_record (r)
  io.stderr:write(("step %d  loss %.6g  gradient %.4g  %.2f s%s\n"):format(r.step, r.loss, r.grad_norm, r.seconds,
    r.log_likelihood and measured(r.log_likelihood) or ""))
end

-- Adds a record to the history every `every` steps: the mean of the losses since the last one.
-- measure(step): a log-likelihood, or nil; the history gets each, a record the last since the one before.
function record.new (history, log, every, measure)
  for name in pairs(SERIES) do history[name] = {} end
  history.log_likelihood = measure and {}
  history.steps, history.seconds = 0, 0
  local say = log == true and print_record or log or function () end
  return setmetatable({history = history, say = say, every = every, measure = measure, sum = 0, n = 0, last = 0,
                       start = neap.clock()}, Recorder)
end

-- The record of the steps since the last one, if there are any.
function Recorder:flush ()
  local history = self.history
  if self.n == 0 then return end
  local r = {step = history.steps, loss = self.sum / self.n, grad_norm = self.last, seconds = history.seconds}
  for name, field in pairs(SERIES) do table.insert(history[name], r[field]) end
  r.log_likelihood, self.fresh = self.fresh, nil
  self.sum, self.n = 0, 0
  self.say(r)
end

function Recorder:note (step, loss, norm)
  local history = self.history
  self.sum, self.n, self.last = self.sum + loss, self.n + 1, norm
  local likelihood = self.measure and self.measure(step)
  if likelihood then
    table.insert(history.log_likelihood, likelihood)
    self.fresh, self.likelihood = likelihood, likelihood
  end
  history.steps, history.seconds = step, neap.clock() - self.start
  if step % self.every == 0 then self:flush() end
end

function Recorder:state ()
  local history = self.history
  local out = {sum = self.sum, n = self.n, last = self.last, steps = history.steps, seconds = history.seconds,
               fresh = self.fresh ~= nil}
  for name in pairs(SERIES) do out[name] = table.move(history[name], 1, #history[name], 1, {}) end
  local measurements = history.log_likelihood
  out.log_likelihood = measurements and table.move(measurements, 1, #measurements, 1, {})
  return out
end

-- The history's tables stay the same ones, filled anew.
function Recorder:set_state (t)
  local history = self.history
  self.sum, self.n, self.last = t.sum, t.n, t.last
  history.steps, history.seconds = t.steps, t.seconds
  self.start = neap.clock() - t.seconds
  for name in pairs(SERIES) do
    table.move(t[name], 1, math.max(#t[name], #history[name]), 1, history[name])
  end
  local now, before = history.log_likelihood, t.log_likelihood or {}
  if now then table.move(before, 1, math.max(#before, #now), 1, now) end
  self.likelihood = before[#before]
  self.fresh = t.fresh and self.likelihood or nil
end

return record
