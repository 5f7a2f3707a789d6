-- guard.lua -- notices a run that diverges and takes it back: guard.new(true | {threshold =, window =, every =,
-- shrink =, retries =}).
-- Watched are the energy gap that the loss tells (positive − negative; the loss itself where there is none) and the
-- gradients' norm: a value is bad when it is no number, or further from its running mean than threshold running
-- standard deviations.  The run then goes back, with all it depends on, to a point that was followed by good steps
-- only, and its step size is held at most where it was there, and at most shrink times the largest since.
-- Invariant: the point gone back to is at least `every` good steps older than what was seen last, or the run's start.

local options = require "neap.options"
local checkpoint = require "neap.checkpoint"
local error = options.error

local guard = {}

local Guard = {}
Guard.__index = Guard

local KNOWN = {threshold = 20., window = 100, every = 50, shrink = .5, retries = 20}

-- say(text) is told of each time the run goes back.
function guard.new (given, say)
  local o = options("train: guard", given ~= true and given or nil, KNOWN)
  options.range("train: guard", o, "positive", "threshold", "window", "every", "retries")
  options.range("train: guard", o, "in [0, 1)", "shrink")
  o.gap, o.norm = {n = 0, mean = 0., var = 0.}, {n = 0, mean = 0., var = 0.}
  o.rollbacks, o.say = {}, say
  return setmetatable(o, Guard)
end

-- ---- running statistics ----

-- How many standard deviations v lies from what came before; 0 while that is too little to tell.
local function distance (self, s, v)
  if s.n < self.window / 2 then return 0 end
  local sd = math.max(math.sqrt(s.var), 1e-3 * math.abs(s.mean), 1e-30)
  return (v - s.mean) / sd
end

-- Exponential weights once the window is full, plain means before.
local function learn (self, s, v)
  local n = math.min(s.n + 1, self.window)
  local a, d = 1 / n, v - s.mean
  s.n, s.mean, s.var = n, s.mean + a * d, (1 - a) * (s.var + a * d * d)
end

local function is_number (v) return v == v and math.abs(v) < math.huge end

local function far (name, v, s, by)
  return ("the %s %.4g lies %.0f standard deviations from %.4g"):format(name, v, math.abs(by), s.mean)
end

-- Why a step with these figures is bad; nil, and they are learnt, when it is not.
function Guard:look (loss, norm, info)
  local told = type(info) == "table" and type(info.positive) == "number" and type(info.negative) == "number"
  local gap, what = told and info.positive - info.negative or loss, told and "energy gap" or "loss"
  for _, f in ipairs {{"loss", loss}, {what, gap}, {"gradient's norm", norm}} do
    if not is_number(f[2]) then return ("the %s is %s"):format(f[1], f[2]) end
  end
  local off, steep = distance(self, self.gap, gap), distance(self, self.norm, norm)
  if math.abs(off) > self.threshold then return far(what, gap, self.gap, off) end
  if steep > self.threshold then return far("gradient's norm", norm, self.norm, steep) end
  learn(self, self.gap, gap)
  learn(self, self.norm, norm)
end

-- ---- points to go back to ----

local function copy (s) return {n = s.n, mean = s.mean, var = s.var} end

-- Before a step: a new point each `every` steps.  lr: the step size then; most: the largest since.
function Guard:mark (run)
  if self.newest and run.step < self.newest.run.step + self.every then return end
  self.good = self.newest
  local lr = run.optimizer:current_lr()
  self.newest = {run = checkpoint.take(run, "guard"), lr = lr, most = lr, gap = copy(self.gap), norm = copy(self.norm)}
end

-- After a good look, before the parameters change.
function Guard:allow (run)
  self.newest.most = math.max(self.newest.most, run.optimizer:current_lr())
end

-- The run goes back; why is what look said.
function Guard:back (run, why)
  local from, to, most = run.step + 1, self.good or self.newest, self.newest.most
  if self.good then most = math.max(most, self.good.most) end
  local lr = math.min(self.shrink * most, to.lr)
  if #self.rollbacks >= self.retries then
    error(("train: guard: step %d: %s; it has gone back %d times, the last time with a step size of %.3g"):format(from,
      why, #self.rollbacks, to.lr))
  end
  checkpoint.put(run, to.run)
  run.optimizer.limit = lr
  self.gap, self.norm, self.newest, self.good = copy(to.gap), copy(to.norm), to, nil
  to.lr, to.most = lr, lr
  table.insert(self.rollbacks, {step = from, to = to.run.step, lr = lr, why = why})
  self.say(("train: step %d: %s; back after step %d, with a step size of %.3g at most"):format(from, why, to.run.step,
    lr))
end

-- ---- checkpoints ----

local STATE = {"gap", "norm", "newest", "good"}

function Guard:state ()
  local out = {rollbacks = table.move(self.rollbacks, 1, #self.rollbacks, 1, {})}
  for _, name in ipairs(STATE) do out[name] = self[name] end
  out.gap, out.norm = copy(self.gap), copy(self.norm)
  return out
end

-- The list of rollbacks stays the same table, filled anew.
function Guard:set_state (t)
  for _, name in ipairs(STATE) do self[name] = t[name] end
  table.move(t.rollbacks, 1, math.max(#t.rollbacks, #self.rollbacks), 1, self.rollbacks)
end

return guard
