-- cases.lua -- for every op row, arguments that hold B rows: what tests of programs run it on.
-- Elementwise rows get theirs from the op table's own domains.  All others are listed here, as in the table: Lua
-- argument lists, ";" between them.  B is the number of rows; u(lo, hi, sizes), n(sizes), spd(k) [B, k, k], spd1(k)
-- [k, k], idx(hi, sizes), bits(sizes), ints(lo, hi, sizes) draw tensors.

local sweep = require "ops.sweep"
local M = {}

local listed = {
  -- reductions: in a row, over the rows, over both
  sum = [[n(B, 3, 4), {2, 3}; n(B, 3), -1, true; n(B, 3), 1; n(B, 3); n(B, 2, 3), {1, 3}, true; ints(-5, 5, B, 3), 2;
    bits(B, 3); n(B, 70), 2]],
  cumsum = "n(B, 5), 2; n(B, 3), 1; n(B, 3, 2), -2; n(B), 1; ints(-5, 5, B, 3), 1",
  mean = "n(B, 3), 2; n(B, 3); n(B, 3), 1; n(B, 2, 3), {1, -1}, true; ints(-5, 5, B, 3), 2; n(B, 3, 4), {2, 3}",
  prod = "u(.5, 1.5, {B, 5}), 2; u(.9, 1.1, {B, 2}), 1; u(-2, 2, {B, 2, 3}), {2, 3}, true",
  var = "n(B, 6), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), {2, 3}, true, {unbiased = false}",
  std = "n(B, 6), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), {2, 3}, true, {unbiased = false}",
  norm = [[n(B, 5), 2; n(B, 3), 1; n(B, 3); u(.3, 2, {B, 3}), 2, false, {p = 1}; u(.3, 2, {B, 3}), 2, true, {p = 3};
    n(B, 3), 2, false, {p = math.huge}]],
  amax = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 2, 3), {1, 3}, true; ints(1, 3, B, 5), 2",
  amin = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 2, 3), {1, 3}, true",
  max = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), -2, true",
  min = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), -2, true",
  argmax = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), -2, true; ints(1, 3, B, 5), 2",
  argmin = "n(B, 4), 2; n(B, 3), 1; n(B, 3); n(B, 3, 4), -2, true",
  logsumexp = "n(B, 5), 2; n(B, 3), 1; n(B, 3); n(B, 2, 3), {1, 3}, true; n(B, 3, 4), -2",
  softmax = "n(B, 5), 2; n(B, 3), 1; n(B, 3, 4), -2; n(B, 3)",
  log_softmax = "n(B, 5), 2; n(B, 3), 1; n(B, 3, 4), -2; n(B, 3)",
  any = "bits(B, 3), 2; bits(B, 3), 1; bits(B, 3); n(B, 2, 3), {2, 3}, true",
  all = "bits(B, 3), 2; bits(B, 3), 1; bits(B, 3); n(B, 2, 3), {2, 3}, true",
  argsort = "n(B, 5), 2; n(B, 3), 1; n(B, 4), 2, {descending = true}; ints(1, 3, B, 5)",
  argtopk = "n(B, 5), 2, 2; n(B, 3), math.min(B, 1), 1; n(B, 4, 3), 2, -2",
  argmedian = "n(B, 5), 2; n(B, 3), 1; n(B, 4, 3), 2, true",
  sort = "n(B, 5), 2; n(B, 3), 1; n(B, 4), 2, {descending = true}; ints(1, 3, B, 5)",
  topk = "n(B, 5), 2; n(B, 3), math.min(B, 1), 1; n(B, 4, 3), 2, -2",
  median = "n(B, 5), 2; n(B, 4), 1; n(B, 3), 2, true; n(B, 3)",
  quantile = "n(B, 5), .3, 2; n(B, 4), .25, 1; n(B, 3), .5, 2, true; n(B, 3), 1",

  -- shapes
  reshape = [[n(B, 3, 4), {-1, 12}; n(B, 3, 4), {B, 2, 6}; n(B, 6), {2 * B, 3}; n(B, 2, 3), {B * 2, 3};
    n(B, 4), {2, 2 * B}; n(B), {B, 1}; n(B, 1), {B}]],
  view = "n(B, 3, 4), {-1, 12}; n(B, 6), {B, 2, 3}; n(B, 6), {2 * B, 3}",
  permute = "n(B, 3, 4), 1, 3, 2; n(B, 3, 4), 3, 1, 2; n(B, 3), {-1, 1}",
  transpose = "n(B, 3, 4); n(B, 3, 4), 1, 3; n(B, 3)",
  t = "n(B, 3); n(B)",
  squeeze = "n(B, 1, 3), 2; n(B, 1, 1), {2, 3}",
  unsqueeze = "n(B, 3), 2; n(B, 3), 1; n(B), -1",
  expand = "n(B, 1), {B, 4}; n(B, 3), {2, -1, 3}; n(3), {B, 3}; n(B, 1, 3), {-1, 4, -1}; n(), {B, 2}",
  flatten = "n(B, 3, 4), 2; n(B, 3, 4); n(B, 3, 4), 1, 2",
  flip = "n(B, 5), 2; n(B, 3), 1; n(B, 3)",
  roll = "n(B, 5), 2, 2; n(B, 3), 1, 1; n(B, 3), {1, -2}, {1, 2}",
  tile = "n(B, 3), 1, 2; n(B, 3), 3, 1; n(B), 2; n(3), {B, 2}",
  repeat_interleave = "n(B, 3), 2, 2; n(B, 3), 3, 1; n(B, 2), 2",
  pad = "n(B, 3), {{0, 0}, {1, 2}}; n(B, 3), {{1, 2}, {0, 0}}; n(B, 4), {{0, 0}, {-1, 1}}, {value = 1.5}",
  tril = "n(B, 3, 3); n(B, 4, 3), -1; n(B, 3)",
  triu = "n(B, 3, 3); n(B, 4, 3), 1; n(B, 3)",
  diag = "n(B); n(B, 3)",
  diagonal = "n(B, 3, 4); n(B, 4, 3), 1; n(B, 3)",
  diag_embed = "n(B, 3); n(B, 2), 1; n(B, 3), -1, 4, 5",
  clone = "n(B, 3); ints(1, 9, B, 3)",
  contiguous = "n(B, 3); n(3, B):t()",
  cast = "n(B, 3), 1; n(B, 3), 0; n(B, 3), 2; ints(0, 3, B, 3), 0; bits(B, 3), 1",
  unslice = "n(B, 3), 2, 1, 2, 6; n(B, 3), 2, 5, -2, 6; n(B, 2), 1, 1, 1, B + 2; n(B, 2), 1, 2, 2, 2 * B + 1",

  -- indexing
  slice = [[n(B, 5), 2, 2, 4; n(B, 6), 2, -4, -1, 2; n(B, 5), 2, 4, 1, -2; n(B, 3), 1, 2, 3; n(B, 3), 1, 1, B // 2;
    n(B, 3), 1, nil, nil, -1; n(B, 3), 1, 1, -1, 2]],
  select = "n(B, 4), 2, -1; n(B, 3, 4), 2, 2; n(B, 3), 1, 1; n(B, 3), 1, -1",
  index_select = [[n(B, 5), 2, idx(5, 3); n(B, 3), 1, idx(B, B); n(5, 3), 1, idx(5, B); n(B, 4), -1, idx(4, 2);
    n(B, 3), 1, idx(B, 4)]],
  index_add = "n(B, 4), 2, idx(4, 6), n(B, 6); n(B, 3), 1, idx(B, B), n(B, 3); n(5, 3), 1, idx(5, B), n(B, 3)",
  index_copy = "n(B, 4), 2, idx(4, 6), n(B, 6); n(B, 3), 1, idx(B, B), n(B, 3)",
  gather = "n(B, 4), 2, idx(4, B, 2); n(B, 3), 1, idx(B, B, 3); n(B, 3, 4), -2, idx(3, B, 2, 4)",
  scatter = "n(B, 4), 2, idx(4, B, 2), n(B, 2); n(B, 3), 1, idx(B, B, 3), n(B, 3); n(B, 4), 2, idx(4, B, 2), 1.5",
  scatter_add = "n(B, 4), 2, idx(4, B, 2), n(B, 2); n(B, 3), 1, idx(B, B, 3), n(B, 3); n(B, 4), 2, idx(4, B, 2), 1.5",
  masked_fill = "n(B, 4), bits(B, 4), 1.5; n(B, 4), bits(4), -1; n(B, 4), bits(B, 1), 2",
  masked_select = "n(B, 4), bits(B, 4); n(B, 4), bits(B)",
  nonzero = "bits(B, 4)",
  cat = "{n(B, 3), n(B, 2)}, 2; {n(B, 3), n(B, 3)}, 1; {n(B, 2), n(3, 2)}, 1; {n(B, 2), ints(1, 9, B, 2)}, -1",
  stack = "{n(B, 3), n(B, 3)}, 2; {n(B, 3), n(B, 3)}, 1; {n(B), n(B), n(B)}, -1",

  -- products and factorisations
  bmm = [[n(B, 3, 4), n(B, 4, 2); n(B, 4), n(4, 2); n(B, 70), n(70, 65); n(3, B), n(B, 4); n(B, 1), n(1, 4);
    n(B, 2, 0), n(B, 0, 3); ints(-3, 3, B, 4), ints(-3, 3, 4, 2)]],
  matmul = [[n(B, 4), n(4, 2); n(B, 4), n(4); n(B, 3, 4), n(4, 2); n(B, 3, 4), n(B, 4, 2); n(3, 4), n(B, 4, 2);
    n(4), n(B, 4, 2); n(B, 1, 2, 3), n(2, 3, 2); n(2, B), n(B, 3); n(B), n(B, 3); n(B, 33), n(33, 128)]],
  dot = "n(B), n(B)",
  outer = "n(B), n(3); n(3), n(B); n(B), n(B)",
  einsum = [['bi,ij,bj->b', n(B, 3), n(3, 3), n(B, 3); 'bij,bkj', n(B, 3, 4), n(B, 2, 4);
    'bi,bj->ij', n(B, 3), n(B, 4); 'bi,bi->b', n(B, 4), n(B, 4); 'bi->i', n(B, 3); 'bii->bi', n(B, 3, 3);
    'bi,ci->bc', n(B, 3), n(B, 3); 'ijk,bl,lj->bi', n(2, 3, 2), n(B, 4), n(4, 3)]],
  trace = "n(B, 3, 3); n(B, 2, 3, 4)",
  cholesky = "spd(3); spd(1); spd(2):unsqueeze(2)",
  eigh_packed = "spd(3); spd(1)",
  eigvalsh = "spd(3); spd(4)",
  eigh_vectors = "spd(3)",
  solve_tri = [[spd(3), n(B, 3, 2); spd(3), n(B, 3, 2), true; spd(3), n(B, 3, 2), false, true; spd1(3), n(B, 3, 2);
    spd1(3), n(3, B)]],
  solve_triangular = [[spd(3), n(B, 3, 2); spd(3), n(B, 3, 2), {upper = true}; spd1(3), n(3, B), {transpose = true};
    spd1(3), n(B, 3, 1), {unit = true}]],
  cholesky_solve = "n(B, 3, 2), spd(3); n(3, B), spd1(3); n(B, 3, 2), spd1(3)",
  solve_lu = "spd(3), n(B, 3, 2); spd1(3), n(B, 3, 1)",
  solve = "spd(3), n(B, 3, 2); spd(3), n(B, 3); spd1(3), n(3, B)",
  inverse = "spd(3); spd(1)",
  det = "spd(3); spd(1)",
  logdet = "spd(3); spd(1)",

  -- networks
  linear = "n(B, 4), n(2, 4), n(2); n(B, 3, 4), n(2, 4); n(B, 4), n(70, 4), n(70)",
  layer_norm = "n(B, 4); n(B, 3, 4), {dims = 2, weight = n(3, 4), bias = n(3, 4)}; n(B, 4), {eps = .1}",
  group_norm = "n(B, 4, 3), 2; n(B, 4, 2, 2), 4, {weight = n(4), bias = n(4)}; n(B, 4), 1",
  dropout = "n(B, 4), 0; n(B, 4), .5",
  embedding = "n(5, 3), idx(5, B); n(5, 3), idx(5, B, 2); n(B, 3), idx(B, 4)",
  one_hot = "idx(3, B), 3; idx(3, B, 2), 5",
  cross_entropy = "n(B, 3), idx(3, B); n(B, 3), neap.softmax(n(B, 3), 2); n(B, 3, 4), idx(4, B, 3)",
  mse = "n(B, 4), n(B, 4); n(B, 3), 2",
  bce_with_logits = "n(B, 4), u(0, 1, {B, 4}); n(B), u(0, 1, {B})",

  -- images
  convolve = [[n(B, 5, 6, 2), n(3, 2, 2, 3), 2, 1; n(B, 4, 4, 4), n(3, 3, 2, 6), 1, {1, 0}, 1, 2;
    n(2, 4, 4, 2), n(3, 3, 2, B); n(3, 3, 3, 2), n(2, 2, 2, 2)]],
  convolve_input = "n(B, 3, 3, 3), n(3, 3, 2, 3), {6, 5}, 2, 1; n(B, 2, 2, 4), n(2, 3, 1, 4), {4, 4}, 2, {0, 1}, 1, 2",
  convolve_weight = [[n(B, 6, 5, 2), n(B, 3, 3, 3), 3, 2, 1; n(B, 4, 4, 2), n(B, 3, 3, 4), 2, 1, 0, 1, 2;
    n(2, 4, 4, 2), n(2, 2, 2, B), 3]],
  pool_sum = "n(B, 5, 7, 3), {3, 2}, {2, 3}, {1, 0}; n(B, 4, 4, 1), 2, 2",
  unpool_sum = "n(B, 3, 2, 3), {5, 7}, {3, 2}, {2, 3}, {1, 0}; n(B, 2, 2, 1), 4, 2, 2",
  pool_argmax = "n(B, 5, 7, 3), {3, 2}, {2, 3}, {1, 0}; ints(1, 3, B, 4, 4, 2), 2, 2",
  conv2d = [[n(B, 2, 6, 5), n(3, 2, 3, 3), n(3), {stride = 2, padding = 1};
    n(B, 4, 4, 4), n(2, 2, 2, 3), nil, {groups = 2};
    n(B, 1, 5, 5), n(2, 1, 2, 2), n(2), {dilation = 2}; n(2, 2, 4, 4), n(B, 2, 3, 3), n(B)]],
  conv_transpose2d = [[n(B, 3, 3, 2), n(3, 2, 3, 3), n(2), {stride = 2, padding = 1, output_padding = 1};
    n(B, 4, 2, 2), n(4, 1, 2, 2), nil, {groups = 2, stride = 2}]],
  avg_pool2d = "n(B, 3, 4, 6), {kernel = 2}; n(B, 2, 5, 7), {kernel = {3, 2}, stride = {2, 3}, padding = {1, 0}}",
  max_pool2d = "n(B, 3, 4, 6), {kernel = 2}; n(B, 2, 5, 7), {kernel = {3, 2}, stride = {2, 3}, padding = {1, 0}}",

  -- elementwise rows that take sizes of their own
  alias = "n(B, 3)",
  anchor = "{n(B, 3), n(4)}; {n(B, 3), n(B)}",
}

-- further arguments of elementwise rows: integers, which promote, and rows against columns
local besides = {
  add = [[ints(-3, 3, B, 3), ints(-3, 3, B, 3); ints(-3, 3, B, 3), n(B, 3); n(B, 1), n(1, 4); n(B, 3), 2;
    bits(B, 3), n(B, 3)]],
  mul = "ints(-3, 3, B, 3), ints(-3, 3, 3); n(B, 1, 2), n(3, 1); n(B, 3), .5; n(B, 2), 1",
  sub = "2, n(B, 3); ints(-3, 3, B), ints(-3, 3, B)",
  div = "n(B, 3), 3; n(B, 3), 1; ints(1, 9, B, 3), ints(1, 9, B, 3)",
  mod = "ints(-9, 9, B, 3), 4",
  pow = "n(B, 3), 2; n(B, 3), 3; u(.3, 2, {B, 3}), .5; 2, n(B, 3)",
  where = "bits(B, 1), n(B, 3), n(3); bits(B, 3), n(B, 3), 0",
  maximum = "ints(-3, 3, B, 3), ints(-3, 3, B, 3); n(B, 3), 0",
  minimum = "n(B, 3), n(B, 1); n(B, 3), 0",
  clamp = "n(B, 3), -.5, .5; ints(-9, 9, B), -2, 5",
  eq = "ints(1, 3, B, 3), ints(1, 3, B, 3); ints(1, 3, B, 3), 2",
  neg = "ints(-3, 3, B, 3)", abs = "ints(-3, 3, B, 3)", square = "ints(-3, 3, B, 3)", sign = "ints(-3, 3, B, 3)",
  sigmoid = "ints(-3, 3, B, 3)", exp = "n(B, 400)", sin = "n(B, 1031)",
}

-- What an elementwise row's domains u(lo, hi) and bits() are drawn as.
local layouts = {
  {name = "plain", sizes = function (_, B) return {B, 3} end},
  {name = "a row for all", sizes = function (i, B) return i % 2 == 1 and {B, 3} or {3} end, several = true},
  {name = "a column for all", sizes = function (i, B) return i % 2 == 1 and {B, 1} or {B, 4} end, several = true},
  {name = "transposed", sizes = function (_, B) return {3, B} end, transposed = true},
  {name = "not finite", sizes = function (_, B) return {B, 3} end, special = true},
}

-- ---- drawing ---------------------------------------------------------------------------------------------------

local f64 = {dtype = "float64"}

local function sizes_of (...)
  if select("#", ...) == 1 and type((...)) == "table" then return (...) end
  return {...}
end

-- x with NaN, infinities and zeros of both signs among its elements
local function not_finite (x, rng)
  local kind = neap.randint(1, 12, x.shape, {rng = rng})
  for k, v in ipairs{0 / 0, 1 / 0, -1 / 0, 0., -0.} do
    x = neap.where(kind:eq(k), neap.full(x.shape, v, f64), x)
  end
  return x
end

local function drawers (layout, B, dtype, rng)
  local env, count = {neap = neap, math = math, pack = table.pack, B = B}, 0
  local function next_sizes (sizes)
    count = count + 1
    return sizes or layout.sizes(count, B)
  end
  local function finish (x, given)
    if layout.special and not given and x.dtype == "float64" then x = not_finite(x, rng) end
    if layout.transposed and not given then x = x:t() end
    return x.dtype == "float64" and x:to(dtype) or x
  end
  function env.u (lo, hi, sizes)
    return finish(rng:uniform(next_sizes(sizes), f64) * (hi - lo) + lo, sizes)
  end
  function env.n (...) return rng:normal(sizes_of(...), f64):to(dtype) end
  local function positive (sizes, k)
    local a = rng:normal(sizes, f64)
    return (a:matmul(a:transpose()) + neap.eye(k, f64) * k):to(dtype)
  end
  function env.spd (k) return positive({B, k, k}, k) end
  function env.spd1 (k) return positive({k, k}, k) end
  function env.idx (hi, ...) return neap.randint(1, math.max(hi, 1), sizes_of(...), {rng = rng}) end
  function env.ints (lo, hi, ...) return neap.randint(lo, hi, sizes_of(...), {rng = rng}) end
  function env.bits (...)
    local given = select("#", ...) > 0 and sizes_of(...) or nil
    return finish(rng:uniform(next_sizes(given), f64):gt(.5), given)
  end
  return env
end

-- The arguments of a case for B rows.
function M.arguments (case, B, dtype, seed)
  case.chunk = case.chunk or "return pack(" .. case.text .. ")"
  return assert(load(case.chunk, "=case", "t", drawers(case.layout, B, dtype, neap.rng(seed))))()
end

-- ---- all cases -------------------------------------------------------------------------------------------------

local function add (cases, row, text, layout)
  text = text:match "^%s*(.*)$"
  local what = layout == layouts[1] and text or text .. ", " .. layout.name
  cases[#cases + 1] = {row = row.name, kind = row.kind, text = text, layout = layout,
                       name = ("%s(%s)"):format(row.name, what)}
end

-- an elementwise row's own cases, which leave sizes open
local function elementwise (cases, row)
  for _, text in ipairs(sweep.split_cases(row.cases)) do
    if not text:find "u%([^,()]+,[^,()]+%)" and not text:find "bits%(%)" then return end
    local _, drawn = text:gsub("u%(", "")
    local _, tossed = text:gsub("bits%(", "")
    for _, layout in ipairs(layouts) do
      if not layout.several or drawn + tossed > 1 then add(cases, row, text, layout) end
    end
  end
end

-- {row, kind, text, layout, name} for every row of the op table, and the names of rows without a case
function M.all ()
  local cases, missing = {}, {}
  for _, row in ipairs(neap.core.ops()) do
    local before = #cases
    if listed[row.name] then
      for _, text in ipairs(sweep.split_cases(listed[row.name])) do add(cases, row, text, layouts[1]) end
    else elementwise(cases, row) end
    for _, text in ipairs(sweep.split_cases(besides[row.name] or "")) do add(cases, row, text, layouts[1]) end
    if #cases == before then missing[#missing + 1] = row.name end
  end
  return cases, missing
end

return M
