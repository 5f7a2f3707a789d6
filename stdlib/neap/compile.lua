-- compile.lua -- functions as programs: neap.compile, neap.scan, neap.explain.
-- Functions take and give trees (see tree.lua).  Recording calls the function on small examples.
-- Invariant: what a program gives is what the function would have given; where derivatives are wanted, values are
-- looked at, or calls differ, the function itself is called.

local core = require "neap.core"
local tree = require "neap.tree"
local error = require("neap.options").error
local program, is_tensor = core._program, core.is_tensor

local M = {}
local KEPT = 8                             -- programs of one compiled function, for inputs that differ

-- ---- trees as lists ------------------------------------------------------------------------------------------

-- The tensors of t in order, and its other leaves.
local function flatten (t)
  local tensors, others = {}, {}
  tree.map(t, function (x) tensors[#tensors + 1] = x end, function (v) others[#others + 1] = v end)
  return tensors, others
end

local function same_list (a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if not rawequal(a[i], b[i]) then return false end end
  return true
end

-- ---- when a function is called itself -----------------------------------------------------------------------------

local variable                             -- tracked while derivatives are recorded at all
local function recording_derivatives ()
  variable = variable or core.zeros(1):requires_grad()
  return program.tracked(variable)
end

local function any_tracked (list)
  for _, x in ipairs(list) do if program.tracked(x) then return true end end
  return false
end

local function where (f)
  local info = type(f) == "function" and debug.getinfo(f, "S")
  return info and info.linedefined > 0 and ("the function at %s:%d"):format(info.short_src, info.linedefined) or
         "the function"
end

local function check_function (name, f)
  if type(f) == "function" or (getmetatable(f) or {}).__call then return end
  error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(f)))
end

-- f of a list of tensors in place of those of args -> the tensors of its results
local function on_lists (f, args)
  return function (...)
    local filled = tree.put(args, {...})
    return table.unpack((flatten(table.pack(f(table.unpack(filled, 1, args.n))))))
  end
end

local function capture (name, f, args, tensors)
  local p, why = program.capture(on_lists(f, args), tensors)
  if not p then
    why = why:gsub("^capture: the function cannot be recorded: it ", "")
    program.warn(("%s: %s %s, so it runs op by op, which is slower"):format(name, where(f), why))
  end
  return p
end

-- ---- compile --------------------------------------------------------------------------------------------------

-- The case of these arguments: {program or false, others, shape of the results, whether they can be differentiated}.
local function find (cases, tensors, others)
  for _, case in ipairs(cases) do
    if same_list(case.others, others) and (case.program and case.program:fits(tensors)) then return case end
  end
end

local function first_call (f, cases, args, tensors, others)
  local results = table.pack(f(table.unpack(args, 1, args.n)))
  local made = flatten(results)
  local p = capture("compile", f, args, tensors)
  if not p then cases.failed = true return results end
  local shape = tree.map(results, function (x) return x:detach() end)
  table.insert(cases, 1, {program = p, others = others, shape = shape, tracked = any_tracked(made)})
  cases[KEPT + 1] = nil
  return results
end

function M.compile (f)
  check_function("compile", f)
  local cases = {}
  return function (...)
    local args = table.pack(...)
    local tensors, others = flatten(args)
    if cases.failed or program.recording() or any_tracked(tensors) then return f(...) end
    local case = find(cases, tensors, others)
    if case and case.tracked and recording_derivatives() then return f(...) end
    local results = case and tree.put(case.shape, case.program:run(tensors)) or first_call(f, cases, args, tensors, others)
    return table.unpack(results, 1, results.n)
  end
end

-- ---- scan -----------------------------------------------------------------------------------------------------

-- step for t = first .. n -> carry, and the list of what it gives besides
local function loop (step, carry, xs, first, n, ys)
  for t = first, n do
    local y
    carry, y = step(carry, xs and xs[t] or nil, t)
    if y ~= nil then ys[#ys + 1] = y end
  end
  return carry
end

-- The ys of all steps, stacked tensor by tensor.
local function stacked (ys)
  if #ys == 0 then return nil end
  local lists = {}
  for i, y in ipairs(ys) do lists[i] = flatten(y) end
  local out = {}
  for k = 1, #lists[1] do
    local column = {}
    for i = 1, #lists do column[i] = lists[i][k] end
    out[k] = core.stack(column)
  end
  return tree.put(ys[1], out)
end

-- The carry after steps first .. n as one loop; nil when step cannot be recorded.
local function fast (step, carry, first, n)
  local tensors, others = flatten(carry)
  local t = first - 1
  local function one (...)
    t = t + 1                              -- a step that uses its number differs from call to call
    local after = step(tree.put(carry, {...}), nil, t)
    local list, rest = flatten(after)
    if not same_list(rest, others) then core._error "scan: a step changes what its carry holds besides tensors" end
    return table.unpack(list)
  end
  local p = #tensors > 0 and program.capture(one, tensors)
  if not p then return nil end
  local ok, list = pcall(p.scan, p, tensors, n - first + 1)
  if ok then return tree.put(carry, list) end
  if tostring(list):find("scan: a step", 1, true) then return nil end
  error(list, 0)
end

function M.scan (step, carry, xs)
  check_function("scan", step)
  local over = is_tensor(xs) and xs or nil
  local n = over and over.shape[1] or math.tointeger(xs)
  if not n or n < 0 then error "bad argument #3 to 'scan' (a number of steps or a tensor expected)" end
  if n == 0 then return carry, nil end
  local ys = {}
  carry = loop(step, carry, over, 1, 1, ys)
  local eager = over or #ys > 0 or n < 5 or any_tracked((flatten(carry))) or program.recording()
  local done = not eager and fast(step, carry, 2, n)
  if not done then done = loop(step, carry, over, 2, n, ys) end
  return done, stacked(ys)
end

-- ---- explain --------------------------------------------------------------------------------------------------

function M.explain (f, ...)
  check_function("explain", f)
  local args = table.pack(...)
  local p, why = program.capture(on_lists(f, args), (flatten(args)))
  return p and p:text() or why
end

return M
