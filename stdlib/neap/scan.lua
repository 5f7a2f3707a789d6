-- scan.lua -- neap.scan: a step over and over, as one loop where that can be.
-- Invariant: a step that runs in a loop was recorded, on a few rows, at its own number if it takes that; it did what the
-- first step of the loop did but for numbers.  All others are called, and whatever derivatives need is called.

local core = require "neap.core"
local form = require "neap.form"
local compile = require "neap.compile"
local options = require "neap.options"
local error, program, is_tensor = options.error, core._program, core.is_tensor

local M = {}
local WORTH = 5                            -- steps; fewer are called
local SEGMENT = 4096                       -- steps that are followed before they run

-- ---- arguments ----------------------------------------------------------------------------------------------

-- the number of steps, and the tensors to go through
local function read_steps (xs)
  local n = math.tointeger(xs)
  if n and type(xs) == "number" then
    if n < 0 then error(("scan: a number of steps of at least 0 expected, got %d"):format(n)) end
    return n, {}
  end
  local list = (is_tensor(xs) or type(xs) == "table") and form.tensors(xs) or {}
  if #list == 0 then
    error(("scan: a number of steps or tensors to go through expected, got %s"):format(
            type(xs) == "number" and xs or options.type_of(xs)))
  end
  for _, x in ipairs(list) do
    if x.ndim == 0 then error "scan: a tensor to go through has no dimensions" end
    if x.shape[1] ~= list[1].shape[1] then
      error(("scan: tensors to go through have %d and %d rows"):format(list[1].shape[1], x.shape[1]))
    end
  end
  return list[1].shape[1], list
end

-- Does step take its number, as far as can be seen?
local function takes_number (step)
  local info = type(step) == "function" and debug.getinfo(step, "u")
  return not info or info.isvararg or info.nparams > 2
end

-- ---- results of each step -----------------------------------------------------------------------------------------

-- The tensors that step t gives as y.  Step 1 says which these are.
local function results_of (s, t, y)
  if y == nil and s.width == 0 then return {} end
  local list, shape = form.flatten{n = 1, y}
  if not s.results then
    if y ~= nil and #list == 0 then
      error(("scan: step %d gives %s besides its carry; tensors can be stacked"):format(t, options.type_of(y)))
    end
    s.results, s.results_form, s.width = form.hollow{n = 1, y}, shape, #list
  elseif not form.same(shape, s.results_form, true) then
    error(("scan: step %d gives something else besides its carry than step 1"):format(t))
  end
  return list
end

-- What the last steps gave, as lists of tensors.
local function late_lists (s)
  local lists = {}
  for i, y in ipairs(s.late) do lists[i] = results_of(s, s.filled + i, y) end
  return lists
end

-- Memory for the results of all steps, with those so far.
local function open_stack (s)
  if s.width == 0 then return end
  local lists = late_lists(s)
  for k = #s.stack + 1, s.width do
    local y = lists[1][k]
    s.stack[k] = core.empty({s.n, table.unpack(y.shape)}, {dtype = y.dtype})
  end
  for i, list in ipairs(lists) do
    for k, y in ipairs(list) do s.stack[k][s.filled + i] = y end
  end
  s.filled, s.late = s.filled + #lists, {}
end

-- The results of steps first .. last in the stack.
local function part_of_stack (s, first, last)
  local out = {}
  for k, y in ipairs(s.stack) do out[k] = y:slice(1, first, last) end
  return out
end

-- Result k of all steps; of those that were called last, which are in lists, it may be tracked.
local function stacked (s, k, lists)
  local parts, column = {}, {}
  for i, list in ipairs(lists) do column[i] = list[k] end
  if s.stack[k] then parts[1] = s.filled == s.n and s.stack[k] or s.stack[k]:slice(1, 1, s.filled) end
  if #column > 0 then parts[#parts + 1] = core.stack(column) end
  return #parts == 1 and parts[1] or core.cat(parts, 1)
end

local function all_results (s)
  local lists, out = late_lists(s), {}
  if s.width == 0 then return nil end
  for k = 1, s.width do out[k] = stacked(s, k, lists) end
  return (form.fill(s.results, out))
end

-- ---- steps that are called ----------------------------------------------------------------------------------------

-- what step t goes through, as a list
local function row (s, t)
  local out = {}
  for i, x in ipairs(s.over) do out[i] = x[t] end
  return out
end

-- what step t gives; nothing is carried on from something by mistake only
local function carried_on (s, t, carry, y)
  if carry == nil and s.carry ~= nil then
    error(("scan: step %d gives no carry (a %s expected, as it was given)"):format(t, options.type_of(s.carry)))
  end
  return carry, y
end

local function call (s, t)
  local x, y
  if s.over[1] then x = s.xs and s.xs[t] or form.fill(s.over_form, row(s, t)) end
  s.carry, y = carried_on(s, t, s.step(s.carry, x, t))
  s.late[t - s.filled] = y
  if y == nil and s.width > 0 then results_of(s, t, y) end             -- an error
  return y
end

-- ---- steps in a loop ------------------------------------------------------------------------------------------------

-- What a step carries on, as tensors and a list to fill; its form must be that of the carry.
local function carry_on (s, after)
  if s.template.plain and is_tensor(after) then return {after}, s.template end
  local out, shape = form.flatten{n = 1, after}
  if not form.same(shape, s.form, s.numbered) then error("changes what its carry holds besides tensors", 0) end
  return out, form.hollow{n = 1, after}
end

-- Step s.number as a function of tensors: what it carries, what it goes through.  s.next: what it carries on.
local function on_tensors (s)
  return function (...)
    local carry, x = ..., nil
    if s.over[1] then x = form.fill(s.over_form, {...}, s.carried + 1) end
    if not s.template.plain then carry = form.fill(s.template, {...}) end
    local after, y = s.step(carry, x, s.number)
    local out
    out, s.next = carry_on(s, after)
    for _, t in ipairs(results_of(s, s.number, y)) do out[#out + 1] = t end
    return table.unpack(out)
  end
end

-- How many steps from t on do what the recorded one does, `count` of which are known to.
local function follow (s, steps, f, inputs, t, count)
  while t + count <= s.n and count < SEGMENT do
    local before = s.next
    s.number, s.template = t + count, s.next
    if not steps:follow(f, inputs) then
      s.next = before
      break
    end
    count = count + 1
  end
  return count
end

-- Runs steps t .. t + count - 1; the next one.
local function run (s, steps, t, count)
  local inputs = form.tensors(s.carry)
  for _, x in ipairs(s.over) do inputs[#inputs + 1] = x:slice(1, t, t + count - 1) end
  local out = steps:run(count, inputs, part_of_stack(s, t, t + count - 1))
  s.carry = form.fill(s.next, out)
  s.filled = s.filled + count
  return t + count
end

-- Segments of steps that are followed, and then run.
local function run_followed (s, steps, f, inputs, t)
  local count = follow(s, steps, f, inputs, t, 1)
  while count > 0 do
    t = run(s, steps, t, count)
    count = t <= s.n and follow(s, steps, f, inputs, t, 0) or 0
  end
  return t
end

-- Runs as many steps from t on as are one loop.  The next step; and why it is none, unless there is nothing to say.
local function loop (s, t)
  local tensors, shape = form.flatten{n = 1, s.carry}
  if #tensors == 0 then return t end
  s.carried, s.form, s.template, s.number = #tensors, shape, form.hollow{n = 1, s.carry}, t
  local f, inputs = on_tensors(s), table.move(row(s, t), 1, #s.over, #tensors + 1, {table.unpack(tensors)})
  local steps, why, line = program.steps(f, inputs, #tensors)
  if not steps then return t, why, line end
  if s.numbered and not why then return t end              -- why: whether following them pays
  open_stack(s)
  if s.numbered then return run_followed(s, steps, f, inputs, t) end
  return run(s, steps, t, s.n - t + 1)
end

-- ---- both ---------------------------------------------------------------------------------------------------------

-- The first step says what steps give and whether their numbers matter.
local function first_step (s)
  local _, before = form.flatten{n = 1, s.carry}
  local y = call(s, 1)
  local list = results_of(s, 1, y)
  local tensors, after = form.flatten{n = 1, s.carry}
  s.numbered = takes_number(s.step) or not form.same(before, after)
  s.tracked = form.any_tracked(tensors) or form.any_tracked(list)
end

-- Steps t .. n as loops, with calls where one ends; the step where that does not pay any longer, and why.
local function run_loops (s, t)
  local ends = 0
  while t <= s.n do
    local from, why, line = t, nil, nil
    t, why, line = loop(s, t)
    ends = ends + 1
    if t == from or ends * 8 > t then return t, why, line end
    if t <= s.n then call(s, t) t = t + 1 end
  end
  return t
end

local function run_all (s)
  local t, why, line = 2, nil, nil
  first_step(s)
  if not s.tracked and not s.called then t, why, line = run_loops(s, t) end
  for i = t, s.n do call(s, i) end
  if why then compile.warn("scan", s.step, why, line) end
end

function M.scan (step, carry, xs)
  compile.check_function("scan", step)
  local n, over = read_steps(xs)
  if n == 0 then return carry, nil end
  local s = {step = step, carry = carry, n = n, over = over, late = {}, stack = {}, filled = 0, width = 0}
  s.xs = is_tensor(xs) and xs
  s.over_form = #over > 0 and form.hollow{n = 1, xs} or nil
  s.called = n < WORTH or program.recording() or form.any_tracked(over)
  run_all(s)
  return s.carry, all_results(s)
end

return M
