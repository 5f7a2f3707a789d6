-- test_checkpoint.lua -- runs that are stopped and go on are the unbroken run, bit for bit; files that do not fit.
local lu = require "luaunit"
local folder = require "files.folder"
local kill = require "train.kill"

local T = {tearDown = folder.clean}

local fails = require("errors").raises

local langevin = neap.sampler.langevin{step_size = .01}

function T.test_killed_runs ()
  local want = kill.unbroken(200)
  local got, kills = kill.broken(200, 3, neap.rng(4))
  lu.assertTrue(kills >= 1, "the run was never killed")
  lu.assertTrue(got == want, "the run that was killed is another one")
end

-- All that a run ends with, by name, as one string.
local function ends_with (E, loss, o, history)
  local list = {}
  local function add (t) for _, x in ipairs(t) do list[#list + 1] = table.concat(x:flatten():totable(), " ") end end
  add(E:params())
  if type(loss) ~= "function" then
    local state = loss:state()
    for _, name in ipairs {"buffer", "log_z"} do add {state[name] and state[name]:reshape(-1)} end
    add((loss:params()))
  end
  if history.ema then add(history.ema:params()) end
  list[#list + 1] = ("%d %d"):format(o.optimizer.steps, neap.rng_state().step)
  for _, name in ipairs {"step", "loss", "grad_norm"} do list[#list + 1] = table.concat(history[name], " ") end
  return table.concat(list, "\n")
end

-- make() -> E, data, options.  A run of 40 steps that on_step ends at each of `stops` and that goes on in new objects,
-- made after another seed: the file, not the script, tells where the streams stand.
local function stopped_and_unbroken_agree (make, stops)
  local path = folder.file "run.safetensors"
  local function run (seed, stop, more)
    neap.seed(seed)
    local E, data, o = make()
    o.steps, o.every, o.progress = 40, 7, false
    o.optimizer = o.optimizer or neap.optim.adam{lr = 1e-2}
    for k, v in pairs(more) do o[k] = v end
    o.on_step = stop and function (step) return step < stop end
    return ends_with(E, o.loss, o, neap.train(E, data, o))
  end
  local want = run(1, nil, {})
  for i, stop in ipairs(stops) do
    lu.assertNotEquals(run(i, stop, {checkpoint = path, resume = true}), want)
  end
  lu.assertTrue(run(9, nil, {resume = path}) == want, "the run that was stopped is another one")
end

local function mlp (more)
  local o = {sizes = {2, 16}}
  for k, v in pairs(more or {}) do o[k] = v end
  return neap.energy.mlp(o)
end

local function moons () return neap.data.moons(100, {seed = 2}) end

function T.test_persistent_chains ()
  stopped_and_unbroken_agree(function ()
    return mlp(), moons(), {loss = neap.loss.pcd{sampler = langevin, steps = 4, buffer = 90, reinit = .1}, batch = 32,
                            ema = .9, seed = 3}
  end, {1, 13, 20, 39})
end

-- Nothing has a seed: the loader's stream, the parameters and the loss's draws are the default stream's.
function T.test_the_default_stream ()
  stopped_and_unbroken_agree(function ()
    return mlp(), moons(), {loss = neap.loss.cd{sampler = neap.sampler.mala{step_size = .01}, steps = 5}, batch = 32,
                            optimizer = neap.optim.sgd{lr = 1e-2, momentum = .9, nesterov = true}}
  end, {2, 9})
end

function T.test_log_z_of_nce_and_a_schedule ()
  stopped_and_unbroken_agree(function ()
    return mlp(), moons(), {loss = neap.loss.nce{noise = neap.energy.gaussian{mean = {0, 0}, std = 2}}, batch = 64,
                            optimizer = neap.optim.adamw{lr = neap.schedule.warmup{lr = 1e-2, steps = 20}}, seed = 1}
  end, {4, 17})
end

function T.test_a_flow_that_learns_along ()
  stopped_and_unbroken_agree(function ()
    return mlp(), moons(), {loss = neap.loss.flow_contrastive{flow = neap.energy.flow{dim = 2, layers = 2, hidden = 8}},
                            seed = 1}
  end, {5, 11})
end

-- Conditions, a loss in Lua with a stream, and limited memory of steps.
function T.test_functions ()
  stopped_and_unbroken_agree(function ()
    local E = mlp{condition = 1}
    local function loss (e, batch, rng)
      local x = batch[1] + .1 * rng:normal(batch[1].shape)
      return (e:grad(x, batch[2]) - x):square():mean()
    end
    return E, {moons(), neap.rng(6):normal{100, 1}}, {loss = loss, batch = 50, optimizer = neap.optim.rmsprop{lr = 1e-3}}
  end, {6, 12})
end

function T.test_lbfgs_and_the_guard ()
  stopped_and_unbroken_agree(function ()
    return mlp(), moons(), {loss = neap.loss.score_matching{}, batch = 100, clip_grad = 1, guard = {every = 5},
                            optimizer = neap.optim.lbfgs{lr = .05, memory = 3}, seed = 2}
  end, {8, 16})
end

-- ---- files ----

local function trained (path, o)
  neap.seed(1)
  local E = o and o.E or mlp()
  local options = {loss = neap.loss.dsm{sigma = .3}, steps = 5, progress = false, checkpoint = path}
  for k, v in pairs(o or {}) do if k ~= "E" then options[k] = v end end
  return E, neap.train(E, moons(), options)
end

function T.test_when_files_are_written ()
  local path = folder.file "a.safetensors"
  local seen = {}
  trained({path = path, every = 2}, {steps = 7, on_step = function (step)
    local f = io.open(path)
    if f then f:close() seen[step] = neap.load(path).step end
  end})
  lu.assertEquals(seen, {[3] = 2, [4] = 2, [5] = 4, [6] = 4, [7] = 6})
  lu.assertEquals(neap.load(path).step, 7)
  lu.assertEquals(neap.load(folder.file "a.previous.safetensors").step, 6)
  lu.assertEquals(folder.list(), "a.previous.safetensors\na.safetensors\n")
end

-- A run that is through is read and returned; one of more steps goes on.
function T.test_a_finished_run ()
  local path = folder.file "a.safetensors"
  local E, h = trained(path)
  local F, again = trained(nil, {resume = path, E = mlp()})
  lu.assertEquals(again.steps, 5)
  lu.assertEquals(again.loss, h.loss)
  lu.assertEquals(F:params()[1]:totable(), E:params()[1]:totable())
  local _, longer = trained(nil, {resume = path, E = mlp(), steps = 8})
  lu.assertEquals(longer.steps, 8)
end

-- What the file knows nothing of begins anew: a guard, and averages from the file's parameters.
function T.test_a_file_without_averages ()
  local path = folder.file "a.safetensors"
  local E = trained(path)
  local _, h = trained(nil, {resume = path, E = mlp(), ema = .9, guard = true})
  for i, a in ipairs(h.ema:params()) do lu.assertTrue(a:eq(E:params()[i]):all():item()) end
end

function T.test_resume_true_begins_where_there_is_no_file ()
  local path = folder.file "a.safetensors"
  local _, h = trained(path, {resume = true})
  lu.assertEquals(h.steps, 5)
  fails("resume = true: the option 'checkpoint' expected", trained, nil, {resume = true})
end

function T.test_files_of_other_models ()
  local path = folder.file "a.safetensors"
  local E = trained(path)
  local before = E:params()[1]:totable()
  local function resume (F, o)
    o = o or {}
    o.resume, o.E = path, F
    return trained(nil, o)
  end
  local other = neap.energy.mlp{sizes = {2, 8}}
  local weights = other:params()[1]:totable()
  fails("parameter 'weight1': float32 [8, 2] expected, as the energy has it, got float32 [16, 2]", resume, other)
  lu.assertEquals(other:params()[1]:totable(), weights)
  fails("parameter 'weight2': float32 [16, 16] expected, as the energy has it, got float32 [1, 16]", resume,
        neap.energy.mlp{sizes = {2, 16, 16}})
  fails("parameter 'loss: log_z': float32 [] expected, got none", resume, mlp(),
        {loss = neap.loss.nce{noise = neap.energy.gaussian{mean = {0, 0}}}})
  fails("got float32 [16, 2]", resume, mlp{dtype = "float64"})
  local part = {weight1 = neap.zeros(16, 2)}
  fails("which the energy has not", resume, neap.energy(function (v) return v:matmul(part.weight1:t()):sum(2) end,
                                                        {params = part, event = {2}}))
  fails("optimizer: optim.sgd expected, got optim.adam", resume, mlp(), {optimizer = neap.optim.sgd{lr = 1}})
  lu.assertEquals(E:params()[1]:totable(), before)
  lu.assertEquals(resume(mlp()):params()[1]:totable(), before)
end

function T.test_broken_files ()
  local path = folder.file "a.safetensors"
  trained(path)
  local bytes = folder.read "a.safetensors"
  local function resume () return trained(nil, {resume = path}) end
  folder.write("a.safetensors", bytes:sub(1, -3))
  fails("it cannot be read", resume)
  fails("the one before is", function ()
    trained({path = path, every = 1}, {steps = 2})
    folder.write("a.safetensors", "x")
    resume()
  end)
  for _, at in ipairs {#bytes, #bytes - 100} do      -- a bit of a tensor
    folder.write("a.safetensors", bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 16) .. bytes:sub(at + 1))
    fails("its bytes are not those that were written", resume)
  end
  local said = bytes:gsub('\\"step\\":5', '\\"step\\":4', 1)
  lu.assertNotEquals(said, bytes)
  folder.write("a.safetensors", said)
  fails("its bytes are not those that were written", resume)
  neap.save(path, {a = neap.zeros(1)})
  fails("no checkpoint of neap.train", resume)
  os.remove(path)
  fails("there is no such file", resume)
end

function T.test_options ()
  fails("a path that ends in .safetensors expected, got run.npz", trained, "run.npz")
  fails("option 'every': at least 1 expected, got 0", trained, {path = folder.file "a.safetensors", every = 0})
  fails("unknown option 'ever'", trained, {path = folder.file "a.safetensors", ever = 1})
  fails("cannot write", trained, folder.file "no/such/a.safetensors")
end

return T
