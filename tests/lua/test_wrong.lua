-- Whatever the arguments are, an op gives a result or an error that is a text; the state works on.
local lu = require "luaunit"

local T = {}

local values = {nil, 1, -1, 0, 1.5, "x", true, {}, {1}, {{1}}, {a = 1}, neap.ones(2), neap.ones(2, 3), neap.zeros(0),
                neap.tensor(1), neap.tensor({1, 2}, {dtype = "int64"}), neap.tensor {true, false}, print, neap.rng(1),
                math.huge, 0 / 0, math.mininteger, 5}
local COUNT = 23

local function any () return values[math.random(COUNT)] end

local silent = 0
local function try (f, ...)
  local ok, e = pcall(f, ...)
  if not ok and (type(e) ~= "string" or e == "") then silent = silent + 1 end
end

function T.test_ops ()
  math.randomseed(7)
  silent = 0
  local names = {}
  for _, row in ipairs(neap.core.ops()) do names[#names + 1] = row.name end
  for name in ([[tensor zeros full arange linspace eye randint randperm randn split chunk eigh gradients to item totable
      size requires_grad backward zeros_like full_like grad jvp hessian vmap]]):gmatch "%S+" do names[#names + 1] = name end
  for _ = 1, 40 do
    for _, name in ipairs(names) do
      local f = neap.op[name] or neap[name]
      try(f, any(), any(), any(), any())
      try(f, any(), any())
      try(f, any())
      try(f, neap.ones(2, 2), any(), any())
    end
  end
  lu.assertEquals(silent, 0)
  lu.assertEquals((neap.ones(3) * 2):sum():item(), 6)
end

function T.test_indices ()
  math.randomseed(8)
  silent = 0
  for _ = 1, 1500 do
    local x = neap.ones(math.random(0, 3), math.random(0, 3))
    local a, b, v = any(), any(), any()
    try(function () return x[a] end)
    try(function () return x[{a, b}] end)
    try(function () x[a] = v end)
    try(function () x[{a, b}] = v end)
    try(tostring, x)
  end
  lu.assertEquals(silent, 0)
  lu.assertEquals(neap.ones(2)[1]:item(), 1)
end

function T.test_numbers_that_mean_not_given_are_refused ()
  lu.assertErrorMsgContains("integer out of range", function () return neap.ones(2, 2):diag(math.mininteger) end)
end

return T
