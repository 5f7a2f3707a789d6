-- train.lua -- neap.train: the training loop, short Lua over loader, loss, gradients and optimiser.
--
--   local history = neap.train(E, x, {loss = neap.loss.dsm{sigma = .1}, steps = 2000})
--
-- Invariant: parameters change only in whole optimiser steps, so Ctrl-C, an error or a `false` from on_step leaves E
-- usable; what a step depends on is in the run's table (checkpoint.lua), so a run that goes on from a file gives the
-- same bits as one that never stopped.

local neap = require "neap"
local options = require "neap.options"
local checkpoint = require "neap.checkpoint"
local guard = require "neap.guard"
local likelihood = require "neap.likelihood"
local record = require "neap.record"
local tree = require "neap.tree"
local program = require("neap.core")._program
local error = options.error

local any, method = options.any, checkpoint.method
local KNOWN = {
  loss = any "callable", optimizer = any("table", "userdata"), batch = 128, steps = any "integer",
  epochs = any "integer", seed = any "integer", log = any("boolean", "callable"), every = any "integer",
  on_step = any "callable", clip_grad = any "number", ema = any("number", "table"),
  checkpoint = any("string", "table"), resume = any("string", "boolean"), guard = any("boolean", "table"),
  log_likelihood = any("integer", "table"), progress = any "boolean",
}

local function check (given)
  local o = options("train", given, KNOWN)
  options.range("train", o, "positive", "clip_grad")
  for name, needed in pairs {optimizer = "step", ema = "update"} do
    if type(o[name]) == "table" and not method(o[name], needed) then
      error(("train: option '%s': an object with the method %s expected"):format(name, needed))
    end
  end
  if not o.loss then error("train: option 'loss' is missing") end
  if (o.steps == nil) == (o.epochs == nil) then error("train: one of 'steps' and 'epochs' expected") end
  for _, name in ipairs {"steps", "epochs", "every", "batch"} do
    if o[name] and o[name] < 1 then error(("train: option '%s': at least 1 expected, got %d"):format(name, o[name])) end
  end
  if o.resume == true and not o.checkpoint then
    error("train: resume = true: the option 'checkpoint' expected with it")
  end
  o.optimizer = o.optimizer or neap.optim.adam{lr = 1e-3}
  if o.guard and not method(o.optimizer, "current_lr") then
    error("train: guard: an optimiser of neap.optim expected, whose step size it can hold")
  end
  return o
end

-- What gives batches: a loader or any object with next(), a function, or rows to make a loader of.
local function batches (x, o)
  if type(x) == "function" then return x, nil end
  local loader = method(x, "next") and x or neap.data.loader(x, {batch = o.batch, seed = o.seed})
  return function () return loader:next() end, loader
end

local function count_steps (o, loader)
  if o.steps then return o.steps end
  if not loader then error("train: 'epochs' needs data with rows, use 'steps' with a function") end
  return o.epochs * #loader
end

-- The energy's parameters, then those of the loss (log Z of NCE), and their names.
local function parameters (E, loss)
  if not method(E, "params") then error("train: E: an energy expected, got " .. options.type_of(E)) end
  local params, names = {}, {}
  local function add (prefix, tensors, their)
    for i, p in ipairs(tensors) do
      params[#params + 1], names[#names + 1] = p, prefix .. (their and their[i] or i)
    end
  end
  add("", E:params())
  if method(loss, "params") then add("loss: ", loss:params()) end
  if #params == 0 then error("train: the energy has no parameters (neap.energy(f, {params = ...}))") end
  return params, names
end

-- ---- one step ----

-- What a loss gives must be a float tensor of one element.
local function check_loss (value)
  local got
  if not neap.is_tensor(value) then got = options.type_of(value)
  elseif value:numel() ~= 1 then got = ("shape %s: take its mean"):format(options.shape_text(value))
  elseif value.dtype ~= "float32" and value.dtype ~= "float64" then got = value.dtype
  else return end
  error("train: loss: a tensor of one element expected, got " .. got)
end

-- What a loss tells besides its value, as a list of tensors: numbers become some, since they may depend on the rows,
-- and are put back as numbers.  Anything else has to be the same whenever the loss is recorded.
local function pack_info (info, same)
  local list = {}
  tree.map(info, function (t) list[#list + 1] = t end, function (v)
    if type(v) == "number" then list[#list + 1] = neap.full({}, v, {dtype = "float64"}) else same(v) end
  end)
  return list
end

local function unpack_info (info, out)
  local i = 1
  local function next_one () i = i + 1 return out[i] end
  return tree.map(info, next_one, function (v)
    if type(v) ~= "number" then return v end
    local now = next_one():item()
    return math.type(v) == "integer" and math.tointeger(now) or now
  end)
end

-- For each recording a function that is given its values in order: they must be those of the first.
local function sameness ()
  local first
  return function ()
    local seen, is_first, n = first or {}, not first, 0
    first = seen
    return function (v)
      n = n + 1
      if is_first then seen[n] = v return end
      if seen[n] == v then return end
      first = nil                          -- at one number of rows alone it may be the same
      error "tells something else for each number of rows"
    end
  end
end

-- A Lua function as a loss whose value comes with its gradients from one program, recorded anew at each call.  One
-- that cannot be recorded is called as it is, after a warning.
local function as_program (loss)
  local tracer = program.tracer()
  return function (E, batch, rng)
    if not tracer then return loss(E, batch, rng) end
    local info, same = nil, sameness()
    local out, why, blame = tracer(function (...)
      local value, told = loss(E, tree.put(batch, {...}), rng)
      info = told
      return value, table.unpack(pack_info(told, same()))
    end, (tree.leaves(batch)))
    if out then return out[1], unpack_info(info, out) end
    if blame then
      tracer = nil
      local at, what = debug.getinfo(loss, "S"), why
      if not why:find "^[^ ]+:%d+: " then what = ("the loss at %s:%d %s"):format(at.short_src, at.linedefined, why) end
      program.warn(("train: %s, so it runs op by op, which is slower"):format(what))
    end
    return loss(E, batch, rng)
  end
end

-- Loss, gradients, clipped, their norm and what the loss tells; no parameter has changed yet.
local function evaluate (run, o, batch)
  local value, info = run.evaluate(run.E, batch, run.rng)
  check_loss(value)
  local grads = neap.gradients(value, run.params, {allow_unused = true})
  if next(grads) == nil then error("train: the loss does not depend on any parameter") end
  local norm
  if o.clip_grad then grads, norm = neap.optim.clip_norm(grads, o.clip_grad) else norm = neap.optim.norm(grads) end
  return value:item(), grads, norm, info
end

local function must_be_finite (number, step)
  if number == number and math.abs(number) < math.huge then return end
  error(("train: the loss is %s at step %d; the parameters are as the step before left them"):format(number, step))
end

-- The same under a guard: why the step is bad, or nil and what evaluate gives.  A loss may refuse what diverged.
local function evaluate_guarded (run, o, batch)
  local out = table.pack(pcall(evaluate, run, o, batch))
  if not out[1] then
    local message = tostring(out[2])
    if not message:find("NaN or infinity", 1, true) then error(message, 0) end
    return message
  end
  return run.guard:look(out[2], out[4], out[5]), table.unpack(out, 2, out.n)
end

-- Loss and what it tells of a step that was made; nil when the guard went back instead.
local function advance (run, o, next_batch)
  local step, why, loss, grads, norm, info = run.step + 1, nil, nil, nil, nil, nil
  if run.guard then
    run.guard:mark(run)
    why, loss, grads, norm, info = evaluate_guarded(run, o, next_batch(step))
    if why then run.guard:back(run, why) return nil end
    run.guard:allow(run)
  else
    loss, grads, norm, info = evaluate(run, o, next_batch(step))
    must_be_finite(loss, step)
  end
  run.optimizer:step(run.params, grads)
  if run.ema then run.ema:update() end
  run.step = step
  run.recorder:note(step, loss, norm)
  return loss, info
end

local function loop (run, o, total, next_batch, show, write)
  while run.step < total do
    local loss, info = advance(run, o, next_batch)
    if loss then
      show(run.step, loss, run.recorder.likelihood)
      local ends = o.on_step and o.on_step(run.step, loss, info) == false
      if write then write(run, ends or run.step == total) end
      if ends then return end
    end
  end
end

-- Averages of the energy's parameters, as E:with takes them.
local function make_ema (o, E)
  if o.ema == nil then return nil end
  return type(o.ema) == "number" and neap.ema((E:params()), {decay = o.ema}) or o.ema
end

-- What a run consists of, as checkpoint.lua has it.
local function make_run (E, o, loader, history)
  local run = {E = E, step = 0, optimizer = o.optimizer, loss = o.loss, evaluate = o.loss, data = loader}
  run.params, run.names = parameters(E, o.loss)
  run.rng = o.seed and neap.rng(o.seed):split() or nil
  if type(o.loss) == "function" then
    run.evaluate = as_program(o.loss)
    run.rng = run.rng or neap.rng(neap.randint(1, 1 << 31, {1}):item())        -- of the default stream
  end
  local function say (text) if o.progress ~= false then program.warn(text) end end
  run.ema, run.guard = make_ema(o, E), o.guard and guard.new(o.guard, say) or nil
  history.ema, history.rollbacks = run.ema, run.guard and run.guard.rollbacks
  return run
end

-- Averages that the file has none of begin at its parameters.
local function go_on (run, o, path, history)
  if not o.resume then return end
  local from = o.resume == true and path or o.resume
  if o.resume == true and not checkpoint.exists(from) then return end
  if checkpoint.load(run, from).ema or type(o.ema) ~= "number" then return end
  run.ema = make_ema(o, run.E)
  history.ema = run.ema
end

-- train(E, data, options) -> history.
-- data: a tensor [N, …], {x, c}, a loader, or a function(step) that returns a batch.  Options:
--   loss        loss(E, batch, rng) -> scalar, info: neap.loss.… or a function
--   steps | epochs, batch = 128, seed (batches and the loss's draws)
--   optimizer   neap.optim.…; adam{lr = 1e-3} when left out
--   clip_grad   the most the gradients' joint norm may be
--   ema         a decay, or neap.ema(…); the average is history.ema
--   every       steps between records (a hundredth of all); log: true prints them, a function is called with each
--   on_step     function(step, loss, info); false ends the training
--   progress    false: no progress line
--   checkpoint  "run.safetensors" or {path =, every = steps}: a file each 30 s, or so many steps, and at the end
--   resume      such a file, to go on from; true: the checkpoint's, if it is there
--   guard       true or {threshold = 20, window = 100, every = 50, shrink = 0.5, retries = 20}: a run that diverges
--               goes back to where it was good, with a smaller step size
--   log_likelihood  steps between measurements, or {every =, data = rows, method = and E:log_z's other options}
-- history: arrays step, loss (mean since the record before), grad_norm, time (s); steps, seconds, interrupted, ema;
-- rollbacks {step =, to =, lr =, why =}, log_likelihood {step =, value =, lower =, upper =, method =}.
-- Ctrl-C ends the training and returns what there is, with interrupted = true.
return function (E, x, given)
  local o = check(given)
  local next_batch, loader = batches(x, o)
  local total = count_steps(o, loader)
  local history = {}
  local run = make_run(E, o, loader, history)
  local measure = o.log_likelihood and likelihood.new(o.log_likelihood, E, x)
  run.recorder = record.new(history, o.log, o.every or math.max(1, total // 100), measure)
  local write, path
  if o.checkpoint then write, path = checkpoint.writer(o.checkpoint) end
  go_on(run, o, path, history)
  local show, clear = record.line(total, o.progress)
  local ok, message = pcall(loop, run, o, total, next_batch, show, write)
  clear()
  history.interrupted = not ok and options.is_interrupt(message)
  if not ok and not history.interrupted then error(message, 0) end
  run.recorder:flush()
  return history
end
