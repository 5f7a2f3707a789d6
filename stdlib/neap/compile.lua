-- compile.lua -- functions as programs: neap.compile.
-- Functions take and give trees (see tree.lua).  Recording calls the function on small examples.
-- Invariant: what a program gives is what the function would have given; where values are looked at, or calls differ,
-- the function itself is called.

local core = require "neap.core"
local form = require "neap.form"
local options = require "neap.options"
local error, program = options.error, core._program
local flatten, hollow, fill = form.flatten, form.hollow, form.fill

local M = {}
local KEPT = 32                            -- forms of one compiled function's arguments

-- ---- what is wrong with a function --------------------------------------------------------------------------------

local function where (f)
  local info = type(f) == "function" and debug.getinfo(f, "S")
  return info and info.linedefined > 0 and ("the function at %s:%d"):format(info.short_src, info.linedefined) or
         "the function"
end

-- Warns that f runs op by op.  line: of the call that is to blame; empty when there is none.
function M.warn (name, f, reason, line)
  local who = line ~= "" and line .. ":" or where(f)
  program.warn(("%s: %s %s, so it runs op by op, which is slower"):format(name, who, reason))
end

-- f, an argument of name, which must be callable
function M.check_function (name, f)
  local meta = getmetatable(f)
  if type(f) == "function" or (type(meta) == "table" and meta.__call) then return end
  error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, options.type_of(f)))
end

-- ---- compile --------------------------------------------------------------------------------------------------

-- f of the tensors of arguments of one form
local function new_case (f, args, count, shape)
  local case, template = {form = shape}, hollow(args)
  local function on_tensors (...)
    local results = table.pack(f(fill(template, {...})))
    local tensors, gives = flatten(results)
    if not case.gives then
      case.gives, case.results = gives, hollow(results)
    elseif not form.same(gives, case.gives) then
      error("gives results besides tensors that differ from call to call", 0)
    end
    return table.unpack(tensors)
  end
  case.compiled = program.compile(on_tensors, count)
  return case
end

local function find_case (cases, shape)
  for i, c in ipairs(cases) do
    if form.same(c.form, shape) then
      if i > 1 then table.insert(cases, 1, table.remove(cases, i)) end
      return c
    end
  end
end

-- The case of args and their tensors; nil when f is to be called itself.
local function get_case (f, cases, args)
  local tensors, shape = flatten(args)
  local c = find_case(cases, shape)
  if not c and #cases < KEPT then
    c = new_case(f, args, #tensors, shape)
    table.insert(cases, 1, c)
  end
  return c, tensors
end

-- what f gives, called because case c of its arguments cannot be a program: one warning tells why
local function call_itself (f, cases, c, why, line, ...)
  local results = table.pack(f(...))
  if why and c then c.failed = true end
  if why and not cases.warned then M.warn("compile", f, why, line) end
  cases.warned = cases.warned or why ~= nil
  return table.unpack(results, 1, results.n)
end

function M.compile (f)
  M.check_function("compile", f)
  local cases = {}
  return function (...)
    if program.recording() then return f(...) end
    local c, tensors = get_case(f, cases, table.pack(...))
    if not c then return call_itself(f, cases, nil, "is called with ever new arguments besides tensors", "", ...) end
    if c.failed then return f(...) end
    local out, why, line = c.compiled:call(tensors)
    if out then return fill(c.results, out) end
    return call_itself(f, cases, c, why, line, ...)
  end
end

return M
