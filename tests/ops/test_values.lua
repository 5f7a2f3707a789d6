-- test_values.lua -- rows that other rows are made of, and rare ones, at values worked out by hand.
local lu = require "luaunit"
local near = require("energy.near").near
local T = {}

local f64 = {dtype = "float64"}
local function t (v) return neap.tensor(v, f64) end
local function same (x, expected) lu.assertEquals(x:totable(), expected) end
local function ints (v) return neap.tensor(v, {dtype = "int64"}) end

function T.test_abs ()
  same(t{-2, 0, 3}:abs(), {2, 0, 3})
  same(ints{-2, 3}:abs(), {2, 3})
end

function T.test_views ()
  local x = t{1, 2, 3}
  local y = x:alias()
  lu.assertFalse(rawequal(x, y))
  y[2] = 7
  same(x, {1, 7, 3})
  same(t{{1, 2}, {3, 4}}:diagonal(), {1, 4})
  same(t{{1, 2}, {3, 4}}:diagonal(1), {2})
  same(t{{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}}:diagonal(), {{1, 4}, {5, 8}})
end

-- The first tensor, and derivatives by all: by the others 0.
function T.test_anchor ()
  local x, y = t{1, 2}:requires_grad(), t{3, 4}:requires_grad()
  local z = neap.anchor{x, y}
  same(z, {1, 2})
  local g = neap.gradients((z * z):sum(), {x, y})
  same(g[1], {2, 4})
  same(g[2], {0, 0})
end

function T.test_matrices_of_diagonals ()
  same(t{1, 2}:diag_embed(), {{1, 0}, {0, 2}})
  same(t{1, 2}:diag_embed(-1), {{0, 0, 0}, {1, 0, 0}, {0, 2, 0}})
  same(t{{1}, {2}}:diag_embed(), {{{1}}, {{2}}})
end

function T.test_places ()
  lu.assertEquals(t{3, 1, 2}:argmedian():item(), 3)
  same(t{{3, 1, 2}, {4, 6, 5}}:argmedian(2), {3, 3})
  same(t{1, 5, 3}:argtopk(2), {2, 3})
  same(t{{0, 1}, {2, 0}}:nonzero(), {{1, 2}, {2, 1}})
  same(t{3, 1, 2}:argsort(), {2, 3, 1})
  same(t{3, 1, 2}:argsort(1, {descending = true}), {1, 3, 2})
end

function T.test_sums_into_places ()
  same(t{0, 0, 0}:index_add(1, ints{1, 3, 1}, t{1, 2, 3}), {4, 0, 2})
  same(t{1, 2}:unslice(1, 2, 3, 6), {0, 1, 0, 0, 2, 0})
end

function T.test_three_numbers ()
  same(t{2, 3}:fma(t{4, 5}, t{1, -1}), {9, 14})
  same(t{1, 0}:lerp(t{5, 8}, t{.25, 1}), {2, 8})
end

-- silu = xσ, whose derivatives follow from σ' = σ(1 − σ)
function T.test_derivatives_of_silu ()
  local x = 1.3
  local s = 1 / (1 + math.exp(-x))
  local d1 = s * (1 - s)
  local d2 = d1 * (1 - 2 * s)
  local d3 = d1 * (1 - 6 * s + 6 * s * s)
  near(t{x}:silu_d1(), {s + x * d1}, 1e-14)
  near(t{x}:silu_d2(), {2 * d1 + x * d2}, 1e-14)
  near(t{x}:silu_d3(), {3 * d2 + x * d3}, 1e-14)
end

function T.test_dtypes_by_number ()
  local x = t{1.7, -1.7}:cast(2)                         -- float32, float64, int64, uint8, bool from 0
  lu.assertEquals(x.dtype, "int64")
  same(x, {1, -1})
end

function T.test_batches_of_matrices ()
  local a, b = t{{{1, 2}, {3, 4}}, {{0, 1}, {1, 0}}}, t{{{1, 0}, {0, 2}}, {{5, 6}, {7, 8}}}
  same(a:bmm(b), {{{1, 4}, {3, 8}}, {{7, 8}, {5, 6}}})
  near(t{{2, 1}, {0, 4}}:solve_lu(t{{4}, {8}}), {{1}, {2}}, 1e-14)
  near(t{{2, 0}, {1, 4}}:solve_tri(t{{4}, {10}}), {{2}, {2}}, 1e-14)
  near(t{{2, 9}, {1, 4}}:solve_tri(t{{4}, {10}}), {{2}, {2}}, 1e-14)        -- one triangle is read
  near(t{{2, 1}, {9, 4}}:solve_tri(t{{4}, {8}}, true), {{1}, {2}}, 1e-14)
end

-- (1, 1) and (1, −1), to the eigenvalues 3 and 1
function T.test_eigenvalues ()
  local a = t{{2, 1}, {1, 2}}
  local r = math.sqrt(.5)
  near(a:eigvalsh(), {1, 3}, 1e-14)
  near(a:eigh_vectors():abs(), {{r, r}, {r, r}}, 1e-14)
  local packed = a:eigh_packed()
  near(packed:select(2, 3), {1, 3}, 1e-14)
  local v = packed:slice(2, 1, 2)
  near(a:matmul(v), v * t{1, 3}, 1e-14)
  near(v:t():matmul(v), {{1, 0}, {0, 1}}, 1e-14)
  local w = a:eigh_vectors()
  near(a:matmul(w), w * t{1, 3}, 1e-14)
end

-- Windows of images [N, H, W, C], two by two with a step of one.
function T.test_windows ()
  local x = t{{1, 5, 2}, {3, 4, 9}, {7, 8, 6}}:reshape(1, 3, 3, 1)
  local at, sum = neap.pool_argmax(x, 2), x:pool_sum(2)
  lu.assertEquals({at.shape, sum.shape}, {{1, 2, 2, 1}, {1, 2, 2, 1}})
  same(at:flatten(), {2, 6, 8, 6})
  same(sum:flatten(), {13, 20, 22, 27})
  same(x:pool_sum(3, 1, 1):flatten(), {13, 24, 20, 28, 45, 34, 22, 37, 27})       -- with zeros around
  same(sum:unpool_sum(3, 2):flatten(), {13, 33, 20, 35, 82, 47, 22, 49, 27})
end

-- Rows whose namesakes in neap and among the methods give more: neap.op has them as they are.
function T.test_rows_themselves ()
  local op, x = neap.op, t{{1, 5, 3}, {7, 2, 4}}
  same(op.max(x, 2), {5, 7})
  same(op.max(x), 7)
  same(op.min(x, 1), {1, 2, 3})
  same(op.median(x, 2), {3, 4})
  same(op.sort(x), {{1, 3, 5}, {2, 4, 7}})
  same(op.topk(x, 2), {{5, 3}, {7, 4}})
  same(op.diag(t{1, 2}), {{1, 0}, {0, 2}})
  local y = op.clone(x)
  y[1] = t{0, 0, 0}
  same(x, {{1, 5, 3}, {7, 2, 4}})
  same(y, {{0, 0, 0}, {7, 2, 4}})
end

-- ---- what only looks, and what is new ----

function T.test_order_in_memory ()
  local x = t{{1, 2}, {3, 4}}
  lu.assertTrue(x:is_contiguous())
  lu.assertFalse(x:t():is_contiguous())
  lu.assertTrue(x:t():contiguous():is_contiguous())
  same(x:t():contiguous(), {{1, 3}, {2, 4}})
end

function T.test_new_tensors_like_others ()
  local x = t{{1, 2, 3}}
  for _, name in ipairs{"empty_like", "zeros_like", "ones_like", "rand_like", "randn_like"} do
    local y = neap[name](x)
    lu.assertEquals({y.shape, y.dtype}, {{1, 3}, "float64"}, name)
    y:select(1, 1)[{}] = t{7, 7, 7}
    same(x, {{1, 2, 3}})
  end
  same(neap.zeros_like(x), {{0, 0, 0}})
  same(neap.ones_like(x), {{1, 1, 1}})
  same(neap.full_like(x, 4), {{4, 4, 4}})
  local u = neap.rand_like(neap.zeros(1000))
  lu.assertTrue(u:amin():item() >= 0 and u:amax():item() < 1 and math.abs(u:mean():item() - .5) < .05)
  local n = neap.randn_like(neap.zeros(1000))
  lu.assertTrue(math.abs(n:mean():item()) < .13 and math.abs(n:std():item() - 1) < .1)
end

return T
