-- Every op row compiled: its values, its gradients by what carries rows and by everything, for batches of any size
-- and both dtypes, equal the eager ones.  The bound: the kernels are the eager ones, so what no product or sum
-- depends on is the same to the bit.  Products and sums may add the same terms in another order, since BLAS chooses
-- kernels by the number of rows of a block: 64 u of the largest element, with √n of the operands' n elements for sums
-- that cancel.
local lu = require "luaunit"
local neap = require "neap"
local tree = require "neap.tree"
local cases = require "program.cases"
local compare = require "program.compare"
local T = {}

local SIZES = {65, 2, 1, 0, 1000, 63, 64, 65}
local BOUND = 64
local unrecordable = {nonzero = true, masked_select = true}

-- rows whose value is made of products or sums
local sums = {}
for name in ([[sum cumsum mean prod var std norm logsumexp softmax log_softmax bmm matmul dot outer einsum trace
  cholesky eigh_packed eigvalsh eigh_vectors solve_tri solve_triangular cholesky_solve solve_lu solve inverse det logdet
  linear layer_norm group_norm cross_entropy mse bce_with_logits quantile convolve convolve_input convolve_weight
  pool_sum unpool_sum conv2d conv_transpose2d avg_pool2d]]):gmatch "%S+" do sums[name] = true end

-- ---- a case as a function of the tensors that carry rows -----------------------------------------------------------

-- which of a case's tensors carry rows, which are floats, and whether it gives a float
local function look_at (case)
  local args = cases.arguments(case, 97, "float64", 1)
  local about = {rows = {}, floats = {}, any = false, shared = false, smooth = false}
  for i, x in ipairs(tree.leaves(args)) do
    about.rows[i] = x.ndim > 0 and x.shape[1] == 97
    about.floats[i] = compare.is_float(x)
    about.any = about.any or about.rows[i]
    about.shared = about.shared or (about.floats[i] and not about.rows[i])
  end
  local results = table.pack((neap[case.row] or neap.core[case.row])(table.unpack(args, 1, args.n)))
  for _, o in ipairs(tree.leaves(results)) do about.smooth = about.smooth or compare.is_float(o) end
  return about
end

local function apply (op, args, list)
  local i = 0
  local filled = tree.map(args, function () i = i + 1 return list[i] end)
  return table.pack(op(table.unpack(filled, 1, args.n)))
end

-- Σ .7 o + ½ o² over the float results
local function scalar (results)
  local s
  for _, o in ipairs(tree.leaves(results)) do
    if compare.is_float(o) then
      local t = (o * .7 + o * o * .5):sum()
      s = s and s + t or t
    end
  end
  return s
end

local modes = {}

function modes.values (op, args, list) return table.unpack(apply(op, args, list)) end

local function gradient_by (which)
  return function (op, args, list, about)
    local vars, at = {}, {}
    for i, x in ipairs(list) do
      if about.floats[i] and which(about, i) then vars[#vars + 1], at[#at + 1] = x, i end
    end
    return table.unpack(neap.grad(function (xs)
      local now = {table.unpack(list)}
      for k, i in ipairs(at) do now[i] = xs[k] end
      return scalar(apply(op, args, now))
    end)(vars))
  end
end

modes.by_rows = gradient_by(function (about, i) return about.rows[i] end)
modes.by_all = gradient_by(function () return true end)

-- does this mode say anything about the case?
local function applies (mode, case, about)
  if mode == "values" then return true end
  if case.kind == "zero" or not about.smooth then return false end
  if mode == "by_all" then return about.shared end
  for i in ipairs(about.rows) do if about.rows[i] and about.floats[i] then return true end end
  return false
end

-- ---- one case, all sizes -------------------------------------------------------------------------------------------

-- f(rows…) for the arguments that were set last: tensors without rows are closed over, and read by reference
local function function_of (case, mode, about)
  local op, now = neap[case.row] or neap.core[case.row], {}
  local function f (...)
    local given, list, k = {...}, {}, 0
    for i, x in ipairs(tree.leaves(now.args)) do
      if about.rows[i] then k = k + 1 end
      list[i] = about.rows[i] and given[k] or x
    end
    return modes[mode](op, now.args, list, about)
  end
  return f, now
end

local function operands (args)
  local n = 0
  for _, x in ipairs(tree.leaves(args)) do n = math.max(n, x:numel()) end
  return n
end

-- sin, cos and tan of a vector of numbers that holds an infinity take another way than of one that does not
local function bound_for (case, mode)
  if mode ~= "values" or sums[case.row] then return BOUND end
  return case.layout.special and 2 or 0
end

local tally

-- f and its compiled form g on one batch: twice by g, first as f itself, then as a program, then on several threads
local function check_batch (case, mode, f, g, calls, given, args, what)
  local function seeded (h) neap.seed(3) return {h(table.unpack(given))} end
  local ok, want = pcall(seeded, f)
  if not ok then return lu.assertFalse((pcall(seeded, g)), what .. ": an error is an error") end
  local floor, bound = bound_for(case, mode) > 0 and math.sqrt(operands(args)) or 0, bound_for(case, mode)
  calls()
  for k = 1, 2 do
    local got = seeded(g)
    local e = compare.apart(got, want, floor)
    lu.assertTrue(e <= bound, ("%s, call %d: %.1f u apart, %d allowed"):format(what, k, e, bound))
    if k == 2 and e > tally.worst then tally.worst, tally.where = e, what end
    if k == 1 then calls() end
  end
  tally.n = tally.n + 1
  return calls()
end

local function same_shape (a, b) return table.concat(a.shape, ",") == table.concat(b.shape, ",") end

-- Makes args the arguments that f reads now: what carries no rows is written into the tensors that it knows.  Whether
-- these have the shapes for it.
local function take (now, args, about)
  local old, i, fits = now.args and tree.leaves(now.args), 0, true
  now.args = tree.map(args, function (x)
    i = i + 1
    if about.rows[i] or not old then return x end
    fits = fits and same_shape(old[i], x)
    if not fits then return x end
    if x:numel() > 0 then old[i][{}] = x end
    return old[i]
  end)
  return old and fits
end

local function check_case (case, mode, about, dtype)
  local f, now = function_of(case, mode, about)
  local g, calls
  local heard = compare.with_warnings(function ()
    for _, rows in ipairs(SIZES) do
      local known = take(now, cases.arguments(case, rows, dtype, rows + 7), about)
      if not known or not about.any then g, calls = compare.compiled(f) end
      local what = ("%s, %s, %s, %d rows"):format(case.name, mode, dtype, rows)
      local given = {}
      for i, x in ipairs(tree.leaves(now.args)) do if about.rows[i] then given[#given + 1] = x end end
      local eager = check_batch(case, mode, f, g, calls, given, now.args, what)
      local recorded = not unrecordable[case.row]
      if rows > 0 and eager and recorded then lu.assertEquals(eager, 0, what .. " ran as a program") end
      if rows == 1000 and recorded then
        local same = compare.same_for_threads(function () neap.seed(3) return {g(table.unpack(given))} end)
        lu.assertTrue(same, what .. ": the same bits on 1, 2 and 3 threads")
      end
    end
  end)
  lu.assertEquals(#heard, unrecordable[case.row] and 1 or 0, case.name .. ": " .. tostring(heard[1]))
end

-- ---- the tests -----------------------------------------------------------------------------------------------------

function T.test_every_row_has_a_case ()
  local all, missing = cases.all()
  lu.assertEquals(missing, {})
  lu.assertTrue(#all > 550)
end

for _, dtype in ipairs{"float32", "float64"} do
  T["test_compiled_equals_eager_" .. dtype] = function ()
    tally = {n = 0, worst = 0, where = "none"}
    for _, case in ipairs((cases.all())) do
      local about = look_at(case)
      for mode in pairs(modes) do
        if applies(mode, case, about) then check_case(case, mode, about, dtype) end
      end
    end
    print(("rows compiled, %s: %d comparisons, worst %.1f u at %s"):format(dtype, tally.n, tally.worst, tally.where))
    lu.assertTrue(tally.n > 7000)
  end
end

return T
