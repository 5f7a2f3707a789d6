-- train.lua -- neap.train: the training loop, short Lua over loader, loss, gradients and optimiser.
--
--   local history = neap.train(E, x, {loss = neap.loss.dsm{sigma = .1}, steps = 2000})
--
-- Invariant: parameters change only in whole optimiser steps, so Ctrl-C, an error or a `false` from on_step leaves E
-- usable.

local neap = require "neap"
local options = require "neap.options"
local tree = require "neap.tree"
local core = require "neap.core"
local files, program = core._files, core._program
local error = options.error

local any = options.any
local KNOWN = {
  loss = any "callable", optimizer = any("table", "userdata"), batch = 128, steps = any "integer",
    epochs = any "integer",
  seed = any "integer", log = any("boolean", "callable"), every = any "integer", on_step = any "callable",
  clip_grad = any "number", ema = any("number", "table"), checkpoint = any(), resume = any(), guard = any(),
  log_likelihood = any(), progress = any "boolean",
}
local LATER = {"checkpoint", "resume", "guard", "log_likelihood"}

local function check (given)
  local o = options("train", given, KNOWN)
  for _, name in ipairs(LATER) do
    if o[name] then error(("train: option '%s' is not supported yet"):format(name)) end
  end
  options.range("train", o, "positive", "clip_grad")
  for name, method in pairs {optimizer = "step", ema = "update"} do
    local has, f = pcall(function () return o[name][method] end)
    if type(o[name]) == "table" and not (has and f) then
      error(("train: option '%s': an object with the method %s expected"):format(name, method))
    end
  end
  if not o.loss then error("train: option 'loss' is missing") end
  if (o.steps == nil) == (o.epochs == nil) then error("train: one of 'steps' and 'epochs' expected") end
  for _, name in ipairs {"steps", "epochs", "every", "batch"} do
    if o[name] and o[name] < 1 then error(("train: option '%s': at least 1 expected, got %d"):format(name, o[name])) end
  end
  return o
end

-- What gives batches: a loader or any object with next(), a function, or rows to make a loader of.
local function batches (x, o)
  if type(x) == "function" then return x, nil end
  local has_next, method = pcall(function () return x.next end)
  local loader = x
  if not (has_next and type(method) == "function") then
    loader = neap.data.loader(x, {batch = o.batch, seed = o.seed})
  end
  return function () return loader:next() end, loader
end

local function count_steps (o, loader)
  if o.steps then return o.steps end
  if not loader then error("train: 'epochs' needs data with rows, use 'steps' with a function") end
  return o.epochs * #loader
end

-- The energy's parameters, then those of the loss (log Z of NCE).
local function parameters (E, loss)
  local is, given = pcall(function () return E.params end)
  if not is or type(given) ~= "function" then
    error("train: E: an energy expected, got " .. options.type_of(E))
  end
  local params = table.move(E:params(), 1, #E:params(), 1, {})
  local found, method = pcall(function () return loss.params end)
  if found and type(method) == "function" then
    for _, p in ipairs((loss:params())) do params[#params + 1] = p end
  end
  if #params == 0 then error("train: the energy has no parameters (neap.energy(f, {params = ...}))") end
  return params
end

-- ---- what is shown and kept ----

-- A line on standard error, rewritten in place, from 2 seconds on and on a terminal only.
local function progress_line (total, wanted)
  local start, shown, width = neap.clock(), neap.clock() + 1.5, 0
  local on = wanted ~= false and files.isatty(io.stderr)
  local function show (step, loss)
    local now = neap.clock()
    if not on or now - shown < .5 then return end
    shown = now
    local rate = step / (now - start)
    local line = ("train %d/%d  loss %.4g  %.4g steps/s  %.0f s left"):format(step, total, loss, rate,
      (total - step) / rate)
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

-- Adds a record to the history every `every` steps: the mean of the losses since the last one.  The second result
-- adds one for the steps that are left when the training ends.
local function recorder (history, o, every)
  local sum, n, start = 0, 0, neap.clock()
  local log = o.log == true and function (r)
    io.stderr:write(("step %d  loss %.6g  gradient %.4g  %.2f s\n"):format(r.step, r.loss, r.grad_norm, r.seconds))
  end or o.log or function () end
  local last = 0
  local function record ()
    if n == 0 then return end
    local r = {step = history.steps, loss = sum / n, grad_norm = last, seconds = history.seconds}
    for k, v in pairs {step = r.step, loss = r.loss, grad_norm = last, time = r.seconds} do
      history[k][#history[k] + 1] = v
    end
    sum, n = 0, 0
    log(r)
  end
  local function note (step, loss, norm)
    sum, n, last = sum + loss, n + 1, norm
    history.steps, history.seconds = step, neap.clock() - start
    if step % every == 0 then record() end
  end
  return note, record
end

-- ---- one step ----

-- What a loss gives must be a float tensor of one element.
local function check_loss (value)
  local got
  if not neap.is_tensor(value) then got = options.type_of(value)
  elseif value:numel() ~= 1 then got = ("shape [%s]: take its mean"):format(table.concat(value.shape, ", "))
  elseif value.dtype ~= "float32" and value.dtype ~= "float64" then got = value.dtype
  else return end
  error("train: loss: a tensor of one element expected, got " .. got)
end

-- What a loss tells besides its value, as a list of tensors: numbers become some, since they may depend on the rows, and
-- are put back as numbers.  Anything else has to be the same whenever the loss is recorded.
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
      local at = debug.getinfo(loss, "S")
      local what = why:find("^[^ ]+:%d+: ") and why or ("the loss at %s:%d %s"):format(at.short_src, at.linedefined, why)
      program.warn(("train: %s, so it runs op by op, which is slower"):format(what))
    end
    return loss(E, batch, rng)
  end
end

-- Loss and gradients, clipped; nothing has changed yet.
local function evaluate (E, loss, batch, params, rng, clip, step)
  local value, info = loss(E, batch, rng)
  check_loss(value)
  local number = value:item()
  if number ~= number or math.abs(number) == math.huge then
    error(("train: the loss is %s at step %d; the parameters are as the step before left them"):format(number, step))
  end
  local grads = neap.gradients(value, params, {allow_unused = true})
  if next(grads) == nil then error("train: the loss does not depend on any parameter") end
  local norm
  if clip then grads, norm = neap.optim.clip_norm(grads, clip) else norm = neap.optim.norm(grads) end
  return number, grads, norm, info
end

local function make_ema (o, params)
  if o.ema == nil then return nil end
  return type(o.ema) == "number" and neap.ema(params, {decay = o.ema}) or o.ema
end

local function loop (E, params, next_batch, o, total, note, show, ema)
  local rng = o.seed and neap.rng(o.seed):split() or nil
  local loss_of = o.loss
  if type(o.loss) == "function" then
    loss_of = as_program(o.loss)
    rng = rng or neap.rng(neap.randint(1, 1 << 31, {1}):item())        -- of the default stream
  end
  for step = 1, total do
    local loss, grads, norm, info = evaluate(E, loss_of, next_batch(step), params, rng, o.clip_grad, step)
    o.optimizer:step(params, grads)
    if ema then ema:update() end
    note(step, loss, norm)
    show(step, loss)
    if o.on_step and o.on_step(step, loss, info) == false then return end
  end
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
-- history: arrays step, loss (mean since the record before), grad_norm, time (s); steps, seconds, interrupted, ema.
-- Ctrl-C ends the training and returns what there is, with interrupted = true.
return function (E, x, given)
  local o = check(given)
  local next_batch, loader = batches(x, o)
  local total = count_steps(o, loader)
  local params = parameters(E, o.loss)
  o.optimizer = o.optimizer or neap.optim.adam{lr = 1e-3}
  local history = {step = {}, loss = {}, grad_norm = {}, time = {}, steps = 0, seconds = 0, interrupted = false}
  history.ema = make_ema(o, params)
  local note, record = recorder(history, o, o.every or math.max(1, total // 100))
  local show, clear = progress_line(total, o.progress)
  local ok, message = pcall(loop, E, params, next_batch, o, total, note, show, history.ema)
  clear()
  if ok or tostring(message):find("interrupted!", 1, true) then record() end
  if not ok then
    if not tostring(message):find("interrupted!", 1, true) then error(message, 0) end
    history.interrupted = true
  end
  return history
end
