-- sweep.lua -- checks one row of the op table: derivatives to third order against differences.
-- A row's cases are Lua argument lists; every float64 tensor among the arguments is a variable.  The result o is made
-- curved and scalar, s = Σ w·o + ½ Σ w'·o², so that linear rows have higher derivatives too.  Then
--   order 1: ∇s (reverse)                        against differences of s,
--   order 2: ∂(∇s)·v (forward over reverse)      against differences of ∇s,
--   order 3: ∇⟨∂(∇s)·v, v'⟩ (reverse over that)  against differences of ⟨∂(∇s)·v, v'⟩.

local M = {}

-- ---- drawing inputs -------------------------------------------------------------------------------------------

local f64 = { dtype = "float64" }

-- shapes an elementwise row is tried on: plain, broadcast against the last argument, size 1, size 0, 0-d
M.layouts = {
  { name = "plain", sizes = function() return { 2, 3 } end },
  { name = "broadcast", sizes = function(i) return i % 2 == 1 and { 2, 3 } or { 3 } end },
  { name = "broadcast the other way", sizes = function(i) return i % 2 == 1 and { 2, 1 } or { 4, 1, 3 } end },
  { name = "strided", sizes = function() return { 3, 2 } end, strided = true },
  { name = "size 1", sizes = function() return { 1 } end },
  { name = "size 0", sizes = function() return { 2, 0 } end },
  { name = "0-d", sizes = function() return {} end },
}

-- the functions a case may call; layout decides the shapes of what gives no sizes
local function drawers(layout, rng)
  local count = 0
  local function next_sizes(sizes)
    count = count + 1
    return sizes or layout.sizes(count)
  end
  local function finish(x)
    if layout.strided and x.ndim == 2 then return x:t() end
    return x
  end
  local env = { neap = neap, math = math, table = table }
  function env.u(lo, hi, sizes)
    return finish(rng:uniform(next_sizes(sizes), f64) * (hi - lo) + lo)
  end
  function env.n(...)
    local sizes = type((...)) == "table" and (...) or { ... }
    return rng:normal(sizes, f64)
  end
  function env.spd(n)
    local a = rng:normal({ n, n }, f64)
    return a:matmul(a:t()) + neap.eye(n, f64) * n
  end
  function env.idx(hi, ...)
    local sizes = type((...)) == "table" and (...) or { ... }
    return neap.randint(1, hi, sizes, { rng = rng })
  end
  function env.bits(...)
    local given = select("#", ...) > 0 and (type((...)) == "table" and (...) or { ... }) or nil
    return finish(rng:uniform(next_sizes(given), f64)):gt(0.5)
  end
  return env
end

-- "u(0, 1), 2; n(3)" -> the cases as strings, split at ";" outside brackets
local function split_cases(text)
  local cases, depth, from = {}, 0, 1
  for i = 1, #text do
    local ch = text:sub(i, i)
    if ch:find("[%(%[{]") then depth = depth + 1 elseif ch:find("[%)%]}]") then depth = depth - 1 end
    if ch == ";" and depth == 0 then cases[#cases + 1] = text:sub(from, i - 1); from = i + 1 end
  end
  if text:sub(from):find("%S") then cases[#cases + 1] = text:sub(from) end
  return cases
end
M.split_cases = split_cases

-- the argument list of one case, drawn with seed
function M.arguments(case, layout, seed)
  local chunk = assert(load("return table.pack(" .. case .. ")", "=case", "t", drawers(layout, neap.rng(seed))))
  return chunk()
end

-- ---- the scalar function of the variables ---------------------------------------------------------------------

local function is_variable(v) return type(v) == "userdata" and v.dtype == "float64" end

local function weights(x, seed) return neap.rng(seed):normal(x.shape, f64) end

-- args -> variables {x1, x2, …}, f({x1, x2, …}) -> scalar
function M.scalar(op, args)
  local variables, where = {}, {}
  local function find(t)
    for i = 1, t.n or #t do
      if is_variable(t[i]) then
        variables[#variables + 1] = t[i]
        where[#where + 1] = { t, i }
      elseif type(t[i]) == "table" then find(t[i]) end
    end
  end
  find(args)
  local function f(xs)
    for k, w in ipairs(where) do w[1][w[2]] = xs[k] end
    local o = op(table.unpack(args, 1, args.n))
    return (weights(o, 11) * o).sum and (weights(o, 11) * o + weights(o, 12) * o * o * 0.5):sum() or o
  end
  return variables, f
end

local function dot(a, b)
  local s = neap.tensor(0, f64)
  for i = 1, #a do s = s + (a[i] * b[i]):sum() end
  return s
end

local function shifted(xs, v, h)
  local out = {}
  for i = 1, #xs do out[i] = xs[i] + v[i] * h end
  return out
end

local function directions(xs, seed)
  local out = {}
  for i = 1, #xs do out[i] = weights(xs[i], seed + i) end
  return out
end

-- difference quotient of the scalar function q along v, fifth order in h
local function difference(q, xs, v, h)
  local function at(k) return q(shifted(xs, v, k * h)) end
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
end

local function relative(got, want) return math.abs(got - want) / (1 + math.abs(want)) end

-- worst relative error of orders 1 to 3 for one case
function M.check_case(op, args)
  local xs, f = M.scalar(op, args)
  if #xs == 0 then return nil end
  local v, v2, u = directions(xs, 100), directions(xs, 200), directions(xs, 300)
  local grad = neap.grad(f)
  local function second(ys) local _, t = neap.jvp(grad, ys, v); return t end
  local function along(ys) return dot(second(ys), v2) end
  local h, errors = 1e-3, {}
  errors[1] = relative(dot(grad(xs), u):item(), difference(function(y) return f(y):item() end, xs, u, h))
  errors[2] = relative(dot(second(xs), u):item(), difference(function(y) return dot(grad(y), u):item() end, xs, v, h))
  errors[3] = relative(dot(neap.grad(along)(xs), u):item(), difference(function(y) return along(y):item() end, xs, u, h))
  local worst = 0
  for order = 1, 3 do
    if errors[order] ~= errors[order] then return math.huge, order end
    if errors[order] > worst then worst = errors[order]; M.worst_order = order end
  end
  return worst, M.worst_order
end

-- whether a row takes part: it has a derivative and gives one tensor
function M.differentiable(row) return row.kind ~= "zero" and row.cases ~= "" end

-- every case of a row, on every layout it leaves open; op defaults to the row's own function.
-- Returns the worst error, a text that says where, the number of checks; an error inside counts as infinite.
function M.check_row(row, op)
  op = op or neap.op[row.name]
  local worst, where, checks = 0, "", 0
  for _, case in ipairs(split_cases(row.cases)) do
    local open = case:find("u%(%s*[^,()]+,[^,()]+%)") or case:find("bits%(%s*%)")
    for k, layout in ipairs(M.layouts) do
      if k == 1 or open then
        local ok, error_, order = pcall(function() return M.check_case(op, M.arguments(case, layout, 7 + k)) end)
        if not ok or error_ then checks = checks + 1 end
        local e = ok and (error_ or 0) or math.huge
        if e > worst then
          worst = e
          local what = ok and "order " .. tostring(order) or tostring(error_)
          where = ("%s(%s), %s: %s"):format(row.name, case, layout.name, what)
        end
      end
    end
  end
  return worst, where, checks
end

return M
