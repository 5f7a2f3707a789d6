-- grad.lua -- derivatives: neap.gradients of the tape, and grad, vjp, jvp, hvp, jacobian … of functions.
-- Functions take and give trees (see tree.lua); float tensors are differentiated, all else is constant.
-- Invariant: a form makes fresh variables of its arguments, so forms nest to any order, and what one gives stays
-- connected to outer variables exactly when it depends on them.

local core = require "neap.core"
local tree = require "neap.tree"
local options = require "neap.options"
local error, shape_text = options.error, options.shape_text
local tape, is_tensor = core._tape, core.is_tensor

local M = {}

local function is_float (x) return x.dtype == "float32" or x.dtype == "float64" end

local function kind (v)
  local meta = getmetatable(v)
  return type(meta) == "table" and meta.__name or type(v)
end

local function fail (name, text, ...) error(name .. ": " .. text:format(...)) end

local function check_function (name, f)
  if type(f) == "function" or (getmetatable(f) or {}).__call then return end
  error(("bad argument #1 to '%s' (function expected, got %s)"):format(name, kind(f)))
end

-- ---- variables ------------------------------------------------------------------------------------------------

-- A copy of t whose float tensors are fresh variables, and these in order.
local function variables (name, t)
  local list = {}
  local copy = tree.map(t, function (x)
    if not is_float(x) then return x end
    list[#list + 1] = tape.variable(x)
    return list[#list]
  end)
  if #list == 0 then
    fail(name, "there is no float tensor to differentiate by (got %s)", is_tensor(t) and t.dtype or type(t))
  end
  return copy, list
end

local function check_scalar (name, y)
  if not is_tensor(y) then fail(name, "the function must give a tensor of one element, got %s", kind(y)) end
  if y:numel() ~= 1 then
    fail(name, "the function must give a tensor of one element, got shape %s; sum it", shape_text(y))
  end
  if not is_float(y) then fail(name, "the function must give a float tensor, got %s", y.dtype) end
  return y
end

-- v's tensors, which must match xs in number and shapes
local function matching (name, v, xs)
  local list = tree.leaves(v)
  if #list ~= #xs then
    fail(name, "v: %s expected, got %s", #xs == 1 and "a tensor" or #xs .. " tensors", #list == 0 and kind(v) or #list)
  end
  for i, x in ipairs(xs) do
    local a, b = shape_text(list[i]), shape_text(x)
    if a ~= b then fail(name, "v has shape %s where %s was expected", a, b) end
  end
  return list
end

-- ---- the tape -------------------------------------------------------------------------------------------------

local flag_of = {create_graph = tape.CREATE_GRAPH, retain = tape.RETAIN, allow_unused = tape.ALLOW_UNUSED}

local function read_flags (given)
  if given == nil or options.are_names(given) then return 0 end                    -- gradients(loss, E:params())
  local o = options("gradients", given, {grad_outputs = options.any "tensor", create_graph = false, retain = false,
                                         allow_unused = false})
  local flags = 0
  for name, flag in pairs(flag_of) do
    if o[name] then flags = flags | flag end
  end
  return flags, o.grad_outputs
end

-- gradients(y, x | {x1, …} | {name = x} [, {grad_outputs=, create_graph=, retain=, allow_unused=}]) -> the same keys
function M.gradients (y, x, given)
  if not is_tensor(y) then
    error(("bad argument #1 to 'gradients' (tensor expected, got %s)"):format(kind(y)))
  end
  local list = tree.leaves(x)
  if #list == 0 then error("bad argument #2 to 'gradients' (a tensor or a table of tensors expected)") end
  local flags, seed = read_flags(given)
  local out = tape.gradients(y, list, seed, flags)
  local i = 0
  return tree.map(x, function ()
    i = i + 1
    return out[i] or nil
  end)
end

-- ---- gradients of functions -----------------------------------------------------------------------------------

local function argument_list (name, argnum)
  local list = type(argnum) == "table" and argnum or {argnum or 1}
  for _, i in pairs(list) do
    if is_tensor(i) then fail(name, "neap.%s(f [, argnum]) gives a function: neap.%s(f)(x)", name, name) end
    if math.type(i) ~= "integer" or i < 1 then
      local got = type(i) == "number" and tostring(i) or kind(i)
      fail(name, "argnum: numbers of arguments from 1 expected, got %s", got)
    end
  end
  return list
end

-- f(...) and its gradients by the arguments in which: value, array of gradient trees, further results of f
local function run (name, f, which, ...)
  local args, vars = table.pack(...), {}
  for _, i in ipairs(which) do
    if i > args.n then fail(name, "argument %d is to be differentiated, but only %d are given", i, args.n) end
  end
  local trees = {}
  for k, i in ipairs(which) do
    trees[k] = args[i]
    local copy, list = variables(name, args[i])
    args[i] = copy
    table.move(list, 1, #list, #vars + 1, vars)
  end
  local results = table.pack(f(table.unpack(args, 1, args.n)))
  local value, flat = tape.derive(check_scalar(name, results[1]), vars)
  local from, out = 1, {}
  for k, t in ipairs(trees) do
    local n = 0
    for _, x in ipairs(tree.leaves(t)) do if is_float(x) then n = n + 1 end end
    out[k] = tree.fill(t, table.move(flat, from, from + n - 1, 1, {}), is_float)
    from = from + n
  end
  return value, out, results
end

local function gradient_of (name, f, argnum)
  check_function(name, f)
  local which = argument_list(name, argnum)
  return function (...)
    local _, out = run(name, f, which, ...)
    return table.unpack(out, 1, #which)
  end
end

-- grad(f [, argnum]) -> function that gives f's gradient by that argument (a table of numbers: one result for each)
function M.grad (f, argnum) return gradient_of("grad", f, argnum) end

-- value_and_grad(f [, argnum]) -> function that gives f's value, its gradients, then whatever else f returned
function M.value_and_grad (f, argnum)
  check_function("value_and_grad", f)
  local which = argument_list("value_and_grad", argnum)
  return function (...)
    local value, out, results = run("value_and_grad", f, which, ...)
    table.move(results, 2, results.n, #which + 1, out)
    return value, table.unpack(out, 1, #which + results.n - 1)
  end
end

-- ---- products with the Jacobian -------------------------------------------------------------------------------

-- The float tensors of a function's result as a list; the result must have one at least.
local function outputs (name, y)
  local list = {}
  for _, t in ipairs(tree.leaves(y)) do if is_float(t) then list[#list + 1] = t end end
  if #list == 0 then fail(name, "the function must give a float tensor, got %s", kind(y)) end
  return list
end

-- vjp(f, x, v) -> f(x), vᵀJ (of x's shape); v has the shape of f(x)
function M.vjp (f, x, v)
  check_function("vjp", f)
  local copy, xs = variables("vjp", x)
  local y = f(copy)
  local ys = outputs("vjp", y)
  local vs = matching("vjp", v, ys)
  local sum, values = nil, {}
  for i, out in ipairs(ys) do
    local value, g = tape.derive(out, xs, vs[i], #ys > 1)
    values[i] = value
    if sum then for k = 1, #g do sum[k] = sum[k] + g[k] end else sum = g end
  end
  return tree.fill(y, values, is_float), tree.fill(x, sum, is_float)
end

local function forward (name, f, x, v)
  check_function(name, f)
  local copy, xs = variables(name, x)
  local vs = matching(name, v, xs)
  local y = f(copy)
  local ys = outputs(name, y)
  local values, tangents = {}, {}
  for i, out in ipairs(ys) do values[i], tangents[i] = tape.push(out, xs, vs, #ys > 1) end
  return tree.fill(y, values, is_float), tree.fill(y, tangents, is_float)
end

-- jvp(f, x, v) -> f(x), Jv (of f(x)'s shape); v has the shape of x
function M.jvp (f, x, v) return forward("jvp", f, x, v) end

-- hvp(f, x, v) -> Hv of f, which gives one number: the gradient pushed forward along v
function M.hvp (f, x, v)
  local _, out = forward("hvp", gradient_of("hvp", f), x, v)
  return out
end

-- ---- whole Jacobians ------------------------------------------------------------------------------------------

local function joined (a, b)
  local shape = a.shape
  return table.move(b.shape, 1, b.ndim, #shape + 1, shape)
end

-- zeros like x with 1 at its i-th element in row-major order
local function unit (x, i)
  local u = core.zeros(x:numel(), {dtype = x.dtype})
  u[i] = 1
  return u:reshape(x.shape)
end

-- y's Jacobian by xs, one [y.shape, x.shape] each, by one reverse sweep for each element of y
local function by_rows (y, xs)
  local n, rows = y:numel(), {}
  for k = 1, #xs do rows[k] = {} end
  for i = 1, n do
    local _, g = tape.derive(y, xs, unit(y, i), true)
    for k = 1, #xs do rows[k][i] = g[k] end
  end
  for k, x in ipairs(xs) do
    local shape = joined(y, x)
    rows[k] = n > 0 and core.stack(rows[k], 1):reshape(shape) or core.zeros(shape, {dtype = x.dtype})
  end
  return rows
end

-- the same by one forward sweep for each element of the only x
local function by_columns (y, x)
  local columns = {}
  for i = 1, x:numel() do
    local _, d = tape.push(y, {x}, {unit(x, i)}, true)
    columns[i] = d
  end
  return {core.stack(columns, -1):reshape(joined(y, x))}
end

local function whole_jacobian (name, f, x)
  check_function(name, f)
  local copy, xs = variables(name, x)
  local y = f(copy)
  outputs(name, y)
  return tree.map(y, function (out)
    if not is_float(out) then return nil end
    local wide = #xs == 1 and xs[1]:numel() < out:numel() and xs[1]:numel() > 0
    return tree.fill(x, wide and by_columns(out, xs[1]) or by_rows(out, xs), is_float)
  end, function () return nil end)
end

-- jacobian(f, x) -> [y.shape, x.shape] for tensors; a tree like f(x) of trees like x otherwise
function M.jacobian (f, x) return whole_jacobian("jacobian", f, x) end

-- hessian(f, x) -> [x.shape, x.shape] for a tensor; a tree like x of trees like x otherwise
function M.hessian (f, x) return whole_jacobian("hessian", gradient_of("hessian", f), x) end

-- whether y has one number for each row of x [B, event…]
local function by_row (y, x)
  if y.ndim == 1 and x.ndim >= 2 and y.shape[1] == x.shape[1] then return true end
  if y:numel() == 1 then return false end
  fail("laplacian", "the function must give one number, or one for each of the %d rows, got shape %s", x.shape[1] or 1,
    shape_text(y))
end

-- laplacian(f, x) -> the Hessian's trace; where f gives one number for each row of x [B, event…], one trace for each
-- row, the rows being independent.  One forward sweep over the gradient's graph for each coordinate, all rows at once.
function M.laplacian (f, x)
  check_function("laplacian", f)
  if not is_tensor(x) then fail("laplacian", "a tensor expected, got %s", kind(x)) end
  local copy, xs = variables("laplacian", x)
  local y
  local g = gradient_of("laplacian", function (v)
    y = f(v)
    return is_tensor(y) and y:sum() or y
  end)(copy)
  local rows = by_row(y, x)
  local event, dims = rows and x[1]:detach() or x:detach(), {}
  for d = rows and 2 or 1, x.ndim do dims[#dims + 1] = d end
  local total = core.zeros(y.shape, {dtype = x.dtype})
  for i = 1, event:numel() do
    local u = unit(event, i):expand(x.shape)
    local _, d = tape.push(g, xs, {u}, true)
    total = total + (#dims > 0 and (d * u):sum(dims) or d * u)
  end
  return total
end

-- ---- mapping over rows ----------------------------------------------------------------------------------------

-- how many rows the tensors among a call's arguments have
local function rows_of (args)
  local n, first
  for i = 1, args.n do
    for _, x in ipairs(tree.leaves(args[i])) do
      if x.ndim == 0 then fail("vmap", "argument %d has no dimension to map over", i) end
      if n and #x ~= n then fail("vmap", "argument %d has %d rows, argument %d has %d", i, #x, first, n) end
      n, first = #x, first or i
    end
  end
  if not n then fail("vmap", "no tensor among the arguments") end
  if n == 0 then fail("vmap", "the arguments have no rows") end
  return n
end

-- a result of f for row i with its numbers as tensors, and its tensors in order
local function row_result (out, i)
  local as_tensors = tree.map(out, function (x) return x end, function (v)
    if type(v) == "number" then return core.tensor(v) end
    fail("vmap", "the function must give a tensor, a number or a table of them, got %s for row %d", kind(v), i)
  end)
  local leaves = tree.leaves(as_tensors)
  if #leaves == 0 then
    fail("vmap", "the function must give a tensor, a number or a table of them, got %s for row %d",
         type(out) == "table" and "an empty table" or kind(out), i)
  end
  return as_tensors, leaves
end

local function check_row (first, leaves, i)
  if #leaves ~= #first then
    fail("vmap", "the function gave %d tensors for row 1, %d for row %d", #first, #leaves, i)
  end
  for j, x in ipairs(leaves) do
    local a, b = shape_text(first[j]), shape_text(x)
    if a ~= b then fail("vmap", "the function gave shape %s for row 1, %s for row %d", a, b, i) end
  end
end

-- outs[1], outs[2], … are what f gave for each row -> the tree of the first with the tensors of all stacked
local function stack (outs, n)
  local form, columns, first, k = nil, {}, nil, 0
  for i = 1, n do
    local row, leaves = row_result(outs[i], i)
    if i == 1 then form, first = row, leaves else check_row(first, leaves, i) end
    for j, x in ipairs(leaves) do
      columns[j] = columns[j] or {}
      columns[j][i] = x
    end
  end
  return tree.map(form, function ()
    k = k + 1
    return core.stack(columns[k], 1)
  end)
end

-- vmap(f) -> a function that calls f for each row (dimension 1) of its tensor arguments and stacks the results; other
-- arguments go to every call as they are.  It is a loop: what f does is run row by row, and differentiated so.
function M.vmap (f, ...)
  check_function("vmap", f)
  if select("#", ...) > 0 then
    fail("vmap", "a function alone expected: neap.vmap(f)(x) maps over dimension 1 of every tensor, got %s besides",
         kind((...)))
  end
  return function (...)
    local args, outs, count = table.pack(...), {}, nil
    local n = rows_of(args)
    for i = 1, n do
      local row = {}
      for a = 1, args.n do row[a] = tree.map(args[a], function (x) return x[i] end) end
      local out = table.pack(f(table.unpack(row, 1, args.n)))
      count = count or math.max(out.n, 1)
      if out.n > count then fail("vmap", "the function gave %d results for row 1, %d for row %d", count, out.n, i) end
      for k = 1, count do
        outs[k] = outs[k] or {}
        outs[k][i] = out[k]
      end
    end
    for k = 1, count do outs[k] = stack(outs[k], n) end
    return table.unpack(outs, 1, count)
  end
end

return M
