-- Any function called with anything: a result or an error on the user's line, never a crash, and the state works on.
local lu = require "luaunit"

local T = {}

local function values ()
  local closed = neap.zeros(2)
  closed:close()
  local x = function (...) return neap.randn(...) end
  local f64 = {dtype = "float64"}
  return {
    0, 1, -1, 2, 3, 1.5, 0 / 0, 1 / 0, math.maxinteger, math.mininteger, 1 << 33, "", "a", "float64", "ij,jk->ik",
    "normal", true, false, {}, {1}, {1, 2}, {-1, 3}, {{1, 2}, {3, 4}}, {{}, {}}, {0}, {1 << 40}, {"a"}, {foo = 1},
    {dtype = "int64"}, x(2, 3), x(3, 2), x(3, 3), x(3), neap.tensor(2), neap.zeros(0), neap.zeros(0, 3),
    neap.zeros(3, 0), x(2, 3, 4), x(2, 3):t(), x(4, 6)[{{1, 4, 2}, {6, 1, -2}}], x(1, 1, 1, 1, 1, 1, 1, 1),
    x(2, 3, f64), x(2, 3):gt(0), neap.randint(1, 3, {3}), neap.randint(-9, 9, {2, 3}),
    neap.tensor({1, 2, 3}, {dtype = "uint8"}), neap.tensor {true, false, true}, x(2, 3):requires_grad(),
    x(2, 3):requires_grad() * 2, neap.full({2, 3}, 0 / 0), neap.zeros(1):expand(1000), closed,
    neap.energy.gaussian {mean = {0, 0}, std = 1}, neap.energy.mlp {sizes = {3, 2}},
    neap.energy.rbm {visible = 3, hidden = 2}, neap.sampler.mala {step_size = .1}, neap.loss.dsm {sigma = 1},
    neap.rng(1), io.stdout, coroutine.create(print), function (v) return v end, function (v) return v:sum() end,
    function (v) return v:sum(2) end, function () error "boom" end, {step_size = .1}, {mean = {0, 0}},
    {chains = 2, steps = 3}, {sizes = {2, 3}}, {create_graph = true}, {value = 2},
  }
end

local leave = {}
for name in ("memory_cap set_threads threads ops interrupt_hook help default_dtype close train bijector of_run " ..
             "describe_run"):gmatch "%S+" do
  leave[name] = true
end

local function add (list, t, depth)
  local names = {}
  for name in pairs(t) do
    if type(name) == "string" and not leave[name] and name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if type(t[name]) == "function" then list[#list + 1] = {name, t[name]}
    elseif type(t[name]) == "table" and depth > 0 and name ~= "core" then add(list, t[name], depth - 1) end
  end
end

local function functions ()
  for _, name in ipairs {"gradients", "vmap", "data", "dist", "image", "metric", "optim", "schedule", "diag", "save"} do
    local _ = neap[name]
  end
  local list = {}
  add(list, neap, 1)
  return list
end

local operations = {
  function (a, b) return a[b] end, function (a, b, c) a[b] = c end, function (a, b) return a + b end,
  function (a, b) return b * a end, function (a, b, c) return a(b, c) end, function (a) return tostring(a), #a end,
  function (a, b) return a < b end, function (a) return -a end,
}

local function is_fault (message)
  return message:find("neap/", 1, true) or message:find "attempt to" and not message:find "test_anything.lua"
end

function T.test_anything ()
  math.randomseed(1)
  neap.memory_cap(256 << 20)
  local pool, list, faults, results = values(), functions(), {}, 0
  for _ = 1, 30000 do
    local args, n = {}, math.random(0, 4)
    for k = 1, n do args[k] = pool[math.random(#pool)] end
    local f = math.random(4) > 1 and list[math.random(#list)] or {"operator", operations[math.random(#operations)]}
    local ok, message = pcall(f[2], table.unpack(args, 1, n))
    if ok then results = results + 1
    elseif is_fault(tostring(message)) then faults[#faults + 1] = f[1] .. ": " .. message end
  end
  neap.memory_cap(0)
  lu.assertEquals(faults, {})
  lu.assertTrue(results > 2000)
  lu.assertEquals((neap.ones(2, 2):matmul(neap.ones(2)) + 1):totable(), {3, 3})
end

return T
