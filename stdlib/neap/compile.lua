-- compile.lua -- functions as programs: neap.compile, neap.scan, neap.explain.
-- Functions take and give trees (see tree.lua).  Recording calls the function on small examples.
-- Invariant: what a program gives is what the function would have given; where values are looked at, or calls differ,
-- the function itself is called.

local core = require "neap.core"
local tree = require "neap.tree"
local error = require("neap.options").error
local program, is_tensor = core._program, core.is_tensor

local M = {}
local KEPT = 32                            -- forms of one compiled function's arguments

-- ---- lists of trees as lists of tensors ---------------------------------------------------------------------------

-- Marks in a form, which is a list: a tensor, nil, where a table begins and ends.
local function mark () return setmetatable({}, {}) end
local HOLE, NIL, OPEN, CLOSE = mark(), mark(), mark(), mark()

local function flatten_into (t, tensors, form)
  if is_tensor(t) then
    tensors[#tensors + 1] = t
    form[#form + 1] = HOLE
  elseif type(t) ~= "table" or getmetatable(t) then
    form[#form + 1] = t
  else
    form[#form + 1] = OPEN
    for _, k in ipairs(tree.keys(t)) do
      form[#form + 1] = k
      flatten_into(t[k], tensors, form)
    end
    form[#form + 1] = CLOSE
  end
end

-- The tensors of list[1 .. list.n] in order, and its form: where they stand, keys, all other leaves.
local function flatten (list)
  local tensors, form = {}, {}
  for i = 1, list.n do
    if list[i] == nil then form[#form + 1] = NIL
    else flatten_into(list[i], tensors, form) end
  end
  return tensors, form
end

-- A list to fill: holes in place of tensors.  plain: it holds tensors alone.
local function hollow (list)
  local out = {n = list.n, plain = true}
  for i = 1, list.n do
    out[i] = tree.map(list[i], function () return HOLE end)
    out.plain = out.plain and out[i] == HOLE
  end
  return out
end

-- what a hollow list holds, with tensors in its holes
local function fill (template, tensors)
  if template.plain then return table.unpack(tensors, 1, template.n) end
  local at, out = 0, {}
  local function put (v)
    if v ~= HOLE then return v end
    at = at + 1
    return tensors[at]
  end
  for i = 1, template.n do out[i] = tree.map(template[i], nil, put) end
  return table.unpack(out, 1, template.n)
end

local function same (a, b)
  if not rawequal(a, b) then return false end
  return type(a) ~= "number" or (math.type(a) == math.type(b) and (a ~= 0 or 1 / a == 1 / b))
end

local function same_form (a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if not same(a[i], b[i]) then return false end end
  return true
end

-- ---- what a warning names -----------------------------------------------------------------------------------------

local function any_tracked (list)
  for _, x in ipairs(list) do if program.tracked(x) then return true end end
  return false
end

local function where (f)
  local info = type(f) == "function" and debug.getinfo(f, "S")
  return info and info.linedefined > 0 and ("the function at %s:%d"):format(info.short_src, info.linedefined) or
         "the function"
end

-- line: of the call that is to blame; empty when there is none
local function warn (name, f, reason, line)
  local who = line ~= "" and line .. ":" or where(f)
  program.warn(("%s: %s %s, so it runs op by op, which is slower"):format(name, who, reason))
end

local function check_function (name, f)
  if type(f) == "function" or (getmetatable(f) or {}).__call then return end
  error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, type(f)))
end

-- ---- compile --------------------------------------------------------------------------------------------------

-- f of the tensors of arguments of one form
local function new_form (f, args, count, form)
  local self, template = {form = form}, hollow(args)
  local function on_lists (...)
    local results = table.pack(f(fill(template, {...})))
    local tensors, gives = flatten(results)
    if not self.gives then
      self.gives, self.results = gives, hollow(results)
    elseif not same_form(gives, self.gives) then
      error("gives results besides tensors that differ from call to call", 0)
    end
    return table.unpack(tensors)
  end
  self.compiled = program.compile(on_lists, count)
  return self
end

local function find_form (forms, form)
  for i, c in ipairs(forms) do
    if same_form(c.form, form) then
      if i > 1 then table.insert(forms, 1, table.remove(forms, i)) end
      return c
    end
  end
end

-- The form of args and their tensors; nil when f is to be called itself.
local function get_form (f, forms, args)
  local tensors, form = flatten(args)
  local c = find_form(forms, form)
  if not c and #forms < KEPT then
    c = new_form(f, args, #tensors, form)
    table.insert(forms, 1, c)
  end
  return c, tensors
end

-- what f gives, called because its form c cannot be a program: one warning tells why
local function call_itself (f, forms, c, why, line, ...)
  local results = table.pack(f(...))
  if why and c then c.failed = true end
  if why and not forms.warned then warn("compile", f, why, line) end
  forms.warned = forms.warned or why ~= nil
  return table.unpack(results, 1, results.n)
end

function M.compile (f)
  check_function("compile", f)
  local forms = {}
  return function (...)
    if program.recording() then return f(...) end
    local c, tensors = get_form(f, forms, table.pack(...))
    if not c then return call_itself(f, forms, nil, "is called with ever new arguments besides tensors", "", ...) end
    if c.failed then return f(...) end
    local out, why, line = c.compiled:call(tensors)
    if out then return fill(c.results, out) end
    return call_itself(f, forms, c, why, line, ...)
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
  for i, y in ipairs(ys) do lists[i] = flatten(table.pack(y)) end
  local out = {}
  for k = 1, #lists[1] do
    local column = {}
    for i = 1, #lists do column[i] = lists[i][k] end
    out[k] = core.stack(column)
  end
  return fill(hollow(table.pack(ys[1])), out)
end

-- The carry after steps first .. n as one loop; nil when step cannot be recorded.
local function fast (step, carry, first, n)
  local tensors, form = flatten(table.pack(carry))
  local template = hollow(table.pack(carry))
  local t = first - 1
  local function one (...)
    t = t + 1                              -- a step that uses its number differs from call to call
    local list, after = flatten(table.pack((step(fill(template, {...}), nil, t))))
    if not same_form(after, form) then core._error "scan: a step changes what its carry holds besides tensors" end
    return table.unpack(list)
  end
  local p = #tensors > 0 and program.capture(one, tensors)
  if not p then return nil end
  local ok, list = pcall(p.scan, p, tensors, n - first + 1)
  if ok then return fill(template, list) end
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
  local eager = over or #ys > 0 or n < 5 or any_tracked((flatten(table.pack(carry)))) or program.recording()
  local done = not eager and fast(step, carry, 2, n)
  if not done then done = loop(step, carry, over, 2, n, ys) end
  return done, stacked(ys)
end

-- ---- explain --------------------------------------------------------------------------------------------------

function M.explain (f, ...)
  check_function("explain", f)
  local args = table.pack(...)
  local p, why = program.capture(function (...) return f(fill(hollow(args), {...})) end, (flatten(args)))
  return p and p:text() or why
end

return M
