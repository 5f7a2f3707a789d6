-- neap.help, and the parts of the library that load on first use.
local lu = require "luaunit"
local help = require "neap.help"

local T = {}

local function printed (...)
  local lines, old = {}, print
  print = function (s) lines[#lines + 1] = s end
  local ok, e = pcall(neap.help, ...)
  print = old
  return ok and table.concat(lines, "\n") or e
end

function T.test_every_op_is_described ()
  for _, row in ipairs(neap.core.ops()) do
    local how, what = help.describe(row.name)
    lu.assertStrContains(how, row.name .. "(")
    lu.assertEquals(what, row.doc)
  end
end

function T.test_usage ()
  lu.assertEquals(printed "softplus", "x:softplus([{beta=1}])\n  log(1 + e^(βx)) / β, without overflow")
  lu.assertEquals((help.describe "clamp"), "x:clamp([min], [max])")
  lu.assertStrContains(printed "neap.tensor", "nested table | number")
  lu.assertStrContains(printed(), "softmax")
  lu.assertStrContains(printed "sofmax", "did you mean 'softmax'?")
  lu.assertStrContains(printed(3), "string expected, got number")
end

function T.test_names_of_all_kinds ()
  local hmc = "neap.sampler.hmc{step_size=, leapfrog_steps=10, target_accept=.8, metric=\"diag\"}\n"
    .. "  Hamiltonian Monte Carlo of a fixed number of steps (Neal 2011); without a step_size warm-up finds it and the "
    .. "metric"
  for _, name in ipairs {"hmc", "sampler.hmc", "neap.sampler.hmc"} do lu.assertEquals(printed(name), hmc) end
  lu.assertStrContains(printed "E:score", "−∇E")
  lu.assertStrContains(printed "rng", "r:categorical(logits)")
  lu.assertStrContains(printed "linear", "x:linear(w, [b])")
  lu.assertStrContains(printed "linear", "see also nn.linear, schedule.linear")
  lu.assertStrContains(printed "step", "opt:step(params, grads)")
  lu.assertStrContains(printed "sampler", "neap.sampler.mala{step_size=, target_accept=.574")
  lu.assertStrContains(printed "diag", "x:diag([k])")
  lu.assertStrContains(printed "diag", "neap.diag.rhat(draws)")
  lu.assertStrContains(printed "sampler.mall", "did you mean 'sampler.mala'?")
  lu.assertStrContains(printed "E.scor", "did you mean 'E:score'?")
  lu.assertEquals(printed "neap", printed())
end

function T.test_functions_and_objects ()
  lu.assertEquals(printed(neap.exp), "x:exp()\n  e^x")
  lu.assertStrContains(printed(neap.train), "neap.train(E, data, {")
  lu.assertStrContains(printed(neap.sampler.mala), "neap.sampler.mala{step_size=, target_accept=.574")
  lu.assertStrContains(printed(neap.metric), "neap.metric.auroc(")
  lu.assertStrContains(printed(neap.energy.ring{radius = 1, std = 1}), "E:laplacian(")
  lu.assertStrContains(printed(neap.optim.sgd{lr = 1}), "opt:set_state(t)")
  lu.assertStrContains(printed(neap.sampler.mala{step_size = 1}), "s:sample(")
  lu.assertStrContains(printed(neap.randn(2)), "x:totable()")
  lu.assertStrContains(printed(neap.rng(1)), "r:split()")
  lu.assertStrContains(printed(io.open), "nothing is known of this function")
end

local function is_described (name)
  return help.describe(name) or name:find "_like$" or
    ({ops = 1, set_threads = 1, interrupt_hook = 1})[name]
end

function T.test_every_public_function_is_described ()
  for name, f in pairs(neap.core) do
    if type(f) == "function" and not name:find "^_" then lu.assertTrue(is_described(name) and true, name) end
  end
end

local modules = {"bijector", "data", "diag", "dist", "energy", "image", "loss", "metric", "nn", "optim", "plot",
                 "sampler", "schedule"}
function T.test_every_part_is_described ()
  for _, module in ipairs(modules) do
    for name in pairs(neap[module]) do
      local full = module .. "." .. name
      lu.assertNotNil(help.describe(full), full)
    end
  end
  local methods = getmetatable(neap.energy.double_well()).__index
  if type(methods) == "table" then
    for name in pairs(methods) do lu.assertNotNil(help.describe("E:" .. name), name) end
  end
end

-- What is computed says how, by a paper with its year or by a formula, unless its name says it all.
local plain = {["sampler.custom"] = true, ["energy.load"] = true, ["optim.norm"] = true, ["diag.autocorr"] = true,
               ["diag.summary"] = true, ["metric.auroc"] = true}

local function has_source (text)
  if text:find "%f[%d][12]%d%d%d%f[%D]" then return true end
  for _, sign in ipairs {"∇", "Σ", "−", "²", "∝", "^", "mean", "/"} do
    if text:find(sign, 1, true) then return true end
  end
end

function T.test_every_method_has_a_source ()
  local n = 0
  for _, name in ipairs(help.names()) do
    local part = name:match "^(%l+)%."
    if ({sampler = 1, loss = 1, optim = 1, energy = 1, dist = 1, diag = 1, metric = 1})[part] and not plain[name] then
      local _, text = help.describe(name)
      lu.assertTrue(has_source(text), name)
      n = n + 1
    end
  end
  lu.assertTrue(n > 80, tostring(n))
end

-- What is described is there.
function T.test_every_topic_is_there ()
  local objects = {E = neap.energy.double_well(), s = neap.sampler.gibbs(), loss = neap.loss.dsm{sigma = 1},
                   opt = neap.optim.sgd{lr = 1}, rng = neap.rng(1), figure = neap.plot.line{1, 2},
                   net = neap.nn.flatten()}
  for _, name in ipairs(help.names()) do
    local part, last = name:match "^(%w+)[.:](.*)$"
    local at = part and (name:find ":" and objects[part] or neap[part]) or neap.zeros(1)
    lu.assertTrue((part and at[last] or not part and (neap[name] or at[name])) ~= nil, name)
  end
end

-- ---- options: what the text names is what the code knows ----

local first_arguments = {
  data = {3}, ["data.augment"] = {neap.zeros(1, 2, 2)}, diag = {neap.randn(8, 2)}, image = {neap.zeros(1, 2, 2)}, plot = {neap.zeros(2, 2)}, bijector = {1},
  ["image.animate"] = {"x.png", neap.zeros(1, 2, 2)},
  ["plot.hist"] = {neap.randn(4)}, ["plot.trace"] = {neap.randn(4, 2)}, ["plot.images"] = {neap.zeros(1, 2, 2)},
  ["plot.line"] = {neap.randn(4), neap.randn(4)}, ["plot.energy"] = {neap.energy.double_well{dim = 2}},
  ["metric.mmd"] = {neap.randn(4, 2), neap.randn(4, 2)}, ["data.loader"] = {neap.zeros(3, 1)},
  ["data.csv"] = {"none.csv"}, ["data.fashion_mnist"] = {"train"}, ["data.mnist"] = {".", "train"},
  ["plot.panels"] = {{neap.plot.line{1, 2}}}, gradcheck = {neap.sum, neap.ones(1)}, ema = {{neap.ones(1)}},
  train = {neap.energy.double_well(), neap.zeros(1)}, dist = {neap.ones(1)}, save = {"x.npy", neap.ones(1)},
  verify = {neap.sampler.gibbs(), neap.energy.double_well()},
}

local function named_options (how)
  local out = {}
  for name in (how:match "{(.*)}" or ""):gmatch "([%a_][%w_]*)=" do out[name] = true end
  return out
end

-- Calls f with each of the options, of a type that none has; gives the errors.
local function errors_of (name, f, how)
  local args, out = first_arguments[name] or first_arguments[name:match "^%w+"] or {}, {}
  for option in pairs(named_options(how)) do
    local all = {table.unpack(args)}
    all[#all + 1] = {[option] = io.stdout}
    local _, message = pcall(f, table.unpack(all))
    out[option] = tostring(message)
  end
  return out
end

local function constructors ()
  local out = {}
  for _, name in ipairs(help.names()) do
    local part, last = name:match "^(%w+)%.(.*)$"
    local f = part and neap[part][last] or not part and not name:find ":" and neap[name]
    local how = help.describe(name)
    if f and how:find "^neap%." and how:find "{[^}]*=" and not neap.core.op[name] then out[name] = {f, how} end
  end
  return out
end

function T.test_options_are_known ()
  local n = 0
  for name, c in pairs(constructors()) do
    for option, message in pairs(errors_of(name, c[1], c[2])) do
      n = n + 1
      lu.assertNotStrContains(message, "unknown option", false, name .. ": " .. option)
    end
  end
  lu.assertTrue(n > 100, tostring(n))
end

-- Options of the parts in Lua: no known one is left out either.
local everywhere = {plot = {"title", "xlim", "ylim", "width", "height", "label", "color"},
                    train = {"checkpoint", "resume", "guard", "log_likelihood"}}

function T.test_no_option_is_left_out ()
  local options, seen = require "neap.options", {}
  local read = options.read
  options.read = function (fname, given, known)
    seen[fname] = known
    return read(fname, given, known)
  end
  for name, c in pairs(constructors()) do errors_of(name, c[1], c[2]) end
  options.read = read
  local n = 0
  for name, c in pairs(constructors()) do
    local told = named_options(c[2])
    for _, common in ipairs(everywhere[name:match "^%w+"] or {}) do told[common] = true end
    for option in pairs(seen[name] or {}) do lu.assertTrue(told[option], name .. ": " .. option) end
    n = n + (seen[name] and 1 or 0)
  end
  lu.assertTrue(n > 40, tostring(n))
end

function T.test_parts_load_on_first_use ()
  local script = [[
    local neap = require "neap"
    local before = 0
    for name in pairs(package.loaded) do if name:find "^neap%." then before = before + 1 end end
    local grad = type(neap.grad)
    io.write(before, " ", grad, " ", tostring(package.loaded["neap.grad"] ~= nil), " ", tostring(neap.nonsense))
  ]]
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(script)
  f:close()
  local build = os.getenv "NEAP_BUILD" or "build"
  local p = io.popen(("LUA_PATH='%s/lua/?.lua' LUA_CPATH='%s/lua/?.so' lua5.4 %s 2>&1"):format(build, build, path))
  local out = p:read "a"
  p:close()
  os.remove(path)
  if os.getenv "NEAP_SANITIZER" and os.getenv "NEAP_SANITIZER" ~= "" then lu.skip "stock lua5.4 lacks the sanitizer" end
  lu.assertEquals(out, "1 function true nil")
end

return T
