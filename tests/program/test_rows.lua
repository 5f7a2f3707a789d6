-- Every row of the op table, compiled: values and gradients equal the eager ones, on the row's own cases and again
-- with other numbers of rows.
local lu = require "luaunit"
local neap = require "neap"
local sweep = require "ops.sweep"
local tree = require "neap.tree"
local T = {}

local f64 = {dtype = "float64"}
local skipped = {dropout = true}           -- random at every call

local function worst (a, b, what)
  a, b = tree.leaves(a), tree.leaves(b)
  lu.assertEquals(#a, #b)
  local most = 0
  for i = 1, #a do
    lu.assertEquals(a[i].shape, b[i].shape, what)
    lu.assertEquals(a[i].dtype, b[i].dtype)
    if a[i]:numel() > 0 then
      local x, y = a[i]:to("float64"), b[i]:to("float64")
      local same = x:eq(y):logical_or(x:isnan():logical_and(y:isnan()))
      local d = neap.where(same, neap.zeros(1, f64), (x - y):abs() / (y:abs() + 1))
      most = math.max(most, d:max():item())
    end
  end
  return most
end

-- f's results twice: by itself, and as a program
local function compare (f, args, what)
  local g = neap.compile(f)
  for _ = 1, 2 do
    local want = table.pack(f(table.unpack(args, 1, args.n)))
    local ok, got = pcall(function () return table.pack(g(table.unpack(args, 1, args.n))) end)
    lu.assertTrue(ok, what .. ": " .. tostring(got))
    lu.assertEquals(got.n, want.n, what)
    local e = worst(want, got, what)
    lu.assertTrue(e <= 1e-12, ("%s: relative difference %.1e"):format(what, e))
  end
end

-- the gradients of Σ o + ½ o² over all results
local function gradient (op)
  return function (...)
    local args = table.pack(...)
    local xs = tree.leaves(args)
    local f = neap.grad(function (list)
      local i = 0
      local filled = tree.map(args, function (x)
        i = i + 1
        return list[i]
      end)
      local s = 0
      for _, o in ipairs(tree.leaves(table.pack(op(table.unpack(filled, 1, args.n))))) do
        if o.dtype == "float64" then s = s + (o + o * o * .5):sum() end
      end
      return s
    end)
    return table.unpack(f(xs))
  end
end

-- does any row of args hold what can be differentiated by?
local function has_float (args)
  for _, x in ipairs(tree.leaves(args)) do if x.dtype == "float64" then return true end end
end

local function each_case (visit)
  local n = 0
  for _, row in ipairs(neap.core.ops()) do
    for _, case in ipairs(skipped[row.name] and {} or sweep.split_cases(row.cases)) do
      for _, layout in ipairs(sweep.layouts) do
        local open = case:find "u%(%s*[^,()]+,[^,()]+%)" or case:find "bits%(%s*%)"
        if layout.name == "plain" or open then
          visit(row, sweep.arguments(case, layout, 5), ("%s(%s), %s"):format(row.name, case, layout.name))
          n = n + 1
        end
      end
    end
  end
  return n
end

function T.test_values ()
  local n = each_case(function (row, args, what) compare(neap[row.name] or neap.core[row.name], args, what) end)
  lu.assertTrue(n > 400)
end

function T.test_gradients ()
  each_case(function (row, args, what)
    if sweep.differentiable(row) and has_float(args) then
      compare(gradient(neap[row.name] or neap.core[row.name]), args, "gradient of " .. what)
    end
  end)
end

-- ---- the same program for other numbers of rows ----

-- args with the rows of its first tensor repeated `times` times in every tensor that has as many
local function more_rows (args, times)
  local rows
  return tree.map(args, function (x)
    if x.ndim == 0 then return x end
    rows = rows or x.shape[1]
    if x.shape[1] ~= rows or rows == 0 then return x end
    local list = {}
    for i = 1, times do list[i] = x end
    return neap.cat(list, 1)
  end)
end

function T.test_more_rows ()
  local tried = 0
  each_case(function (row, args, what)
    local op = neap[row.name] or neap.core[row.name]
    local g = neap.compile(op)
    g(table.unpack(args, 1, args.n))
    for _, times in ipairs{2, 21, 100} do
      local more = more_rows(args, times)
      local ok = table.pack(pcall(op, table.unpack(more, 1, args.n)))
      if ok[1] then
        tried = tried + 1
        table.remove(ok, 1)
        ok.n = ok.n - 1
        local got = table.pack(g(table.unpack(more, 1, args.n)))
        local e = worst(ok, got, what)
        lu.assertTrue(e <= 1e-12, ("%s, %d times: relative difference %.1e"):format(what, times, e))
      end
    end
  end)
  lu.assertTrue(tried > 500)
end

return T
