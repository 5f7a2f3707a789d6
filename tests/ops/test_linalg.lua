-- Linear algebra as scripts see it: known numbers, shapes, messages, gradients with known values.
local lu = require "luaunit"
local near = require "ops.near"
local T = {}
local apart, fails = near.apart, near.fails

local function f64 (t) return neap.tensor(t, { dtype = "float64" }) end

-- Products of sizes between those of small kernels and those that are cut for threads, in every order of operands.
function T.test_products_in_pieces ()
  local rng = neap.rng(4)
  local function matrix (rows, cols, turned)
    if turned then return rng:normal(cols, rows):t() end
    return rng:normal(rows, cols)
  end
  for _, size in ipairs{{2, 1024, 512}, {8, 300, 250}, {24, 100, 512}, {48, 128, 130}, {48, 513, 257}, {72, 256, 128},
                        {100, 100, 300}, {130, 64, 1030}, {300, 40, 520}, {200, 1030, 300}, {150, 2100, 80}} do
    local m, k, n = table.unpack(size)
    for turn = 0, 3 do
      local x, y = matrix(m, k, turn % 2 == 1), matrix(k, n, turn > 1)
      local exact = x:to("float64"):matmul(y:to("float64"))
      local slow = (x:to("float64"):slice(1, 1, 2):unsqueeze(3) * y:to("float64"):unsqueeze(1)):sum(2)
      lu.assertTrue((exact:slice(1, 1, 2) - slow):abs():max():item() < 1e-10)
      local e = (x:matmul(y):to("float64") - exact):abs():max():item() / math.sqrt(k)
      lu.assertTrue(e < 1e-5, ("%d x %d x %d, order %d: %.1e"):format(m, k, n, turn, e))
    end
  end
end

function T.test_matmul_shapes ()
  local a, b = neap.arange(1, 6):reshape(2, 3), neap.arange(1, 12):reshape(3, 4)
  lu.assertEquals(a:matmul(b):totable(), { { 38, 44, 50, 56 }, { 83, 98, 113, 128 } })
  lu.assertEquals(neap.matmul(neap.tensor { 1, 2, 3 }, b):totable(), { 38, 44, 50, 56 })
  lu.assertEquals(a:matmul(neap.tensor { 1, 0, -1 }):totable(), { -2, -2 })
  lu.assertEquals(neap.tensor({ 1, 2 }):matmul(neap.tensor { 3, 4 }):item(), 11)
  lu.assertEquals(neap.ones(5, 1, 2, 3):matmul(neap.ones(4, 3, 6)).shape, { 5, 4, 2, 6 })
  lu.assertEquals(neap.ones(5, 2, 3):matmul(neap.ones(3, 6)).shape, { 5, 2, 6 })
  lu.assertEquals(neap.zeros(0, 3):matmul(neap.zeros(3, 2)).shape, { 0, 2 })
  lu.assertEquals(neap.zeros(2, 0):matmul(neap.zeros(0, 2)):totable(), { { 0, 0 }, { 0, 0 } })
end

function T.test_matmul_dtypes ()
  local i = neap.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "int64" })
  lu.assertEquals(i:matmul(i).dtype, "int64")
  lu.assertEquals(i:matmul(i):totable(), { { 7, 10 }, { 15, 22 } })
  lu.assertEquals(i:matmul(f64 { { 1, 0 }, { 0, .5 } }).dtype, "float64")
  fails("matmul: a number dtype expected, got bool", neap.matmul, i:gt(1), i:gt(1))
end

function T.test_matmul_messages ()
  fails("matmul: inner sizes differ: [2, 3] x [4, 5]", neap.matmul, neap.ones(2, 3), neap.ones(4, 5))
  fails("cannot be broadcast", neap.matmul, neap.ones(2, 3, 3), neap.ones(4, 3, 3))
end

-- d sum(x y) = row sums of y, column sums of x; a shared weight gathers from the whole batch
function T.test_matmul_gradient ()
  local x = f64 { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }:requires_grad()
  local w = f64 { { 1, 10 }, { 100, 1000 } }:requires_grad()
  local g = neap.gradients(x:matmul(w):sum(), { x, w })
  lu.assertEquals(g[1]:totable(), { { { 11, 1100 }, { 11, 1100 } }, { { 11, 1100 }, { 11, 1100 } } })
  lu.assertEquals(g[2]:totable(), { { 16, 16 }, { 20, 20 } })
end

function T.test_dot_and_outer ()
  local a, b = neap.tensor { 1, 2, 3 }, neap.tensor { 4, 5, 6 }
  lu.assertEquals(a:dot(b):item(), 32)
  lu.assertEquals(a:outer(b):totable(), { { 4, 5, 6 }, { 8, 10, 12 }, { 12, 15, 18 } })
  fails("dot: two vectors of one size expected, got [3] and [2, 2]", neap.dot, a, neap.ones(2, 2))
end

function T.test_einsum_agrees_with_what_it_abbreviates ()
  local a, b = neap.randn(3, 4, { dtype = "float64" }), neap.randn(4, 5, { dtype = "float64" })
  local x, y = neap.randn(2, 3, 4, { dtype = "float64" }), neap.randn(2, 5, 4, { dtype = "float64" })
  local s = neap.randn(4, 4, { dtype = "float64" })
  lu.assertTrue(apart(neap.einsum("ij,jk->ik", a, b), a:matmul(b)) < 1e-14)
  lu.assertTrue(apart(neap.einsum("ij,jk", a, b), a:matmul(b)) < 1e-14)
  lu.assertTrue(apart(neap.einsum("bij, bkj -> bik", x, y), x:matmul(y:transpose(2, 3))) < 1e-14)
  lu.assertTrue(apart(neap.einsum("ij->ji", a), a:t()) == 0)
  lu.assertTrue(apart(neap.einsum("ij->", a), a:sum()) < 1e-14)
  lu.assertTrue(apart(neap.einsum("ii", s), s:trace()) < 1e-14)
  lu.assertTrue(apart(neap.einsum("ii->i", s), s:diag()) == 0)
  lu.assertTrue(apart(neap.einsum("bij,bij->b", x, x), (x * x):sum { 2, 3 }) < 1e-13)
  lu.assertTrue(apart(neap.einsum("i,j->ij", s[1], s[2]), s[1]:outer(s[2])) == 0)
  local quadratic = neap.einsum("bi,ij,bj->b", x[1], s, x[1])
  lu.assertTrue(apart(quadratic, (x[1]:matmul(s) * x[1]):sum(2)) < 1e-13)
end

function T.test_einsum_messages ()
  local a = neap.ones(2, 3)
  fails('einsum: "ij,jk" names 2 operands, 1 given', neap.einsum, "ij,jk", a)
  fails("label 'j' of \"ij,jk->ik\" is 3 in one place and 2 in operand 2, of shape [2, 3]",
    neap.einsum, "ij,jk->ik", a, a)
  fails('einsum: "i" gives operand 1 1 labels, its shape is [2, 3]', neap.einsum, "i", a)
  fails("label 'k' of the result of \"ij->k\" is in no operand", neap.einsum, "ij->k", a)
  fails("einsum: '.' in", neap.einsum, "...i->i", a)
end

function T.test_cholesky ()
  local a = f64 { { 4, 2 }, { 2, 5 } }
  lu.assertEquals(a:cholesky():totable(), { { 2, 0 }, { 1, 2 } })
  lu.assertTrue(apart(neap.cholesky_solve(f64 { 6, 7 }, a:cholesky()), f64 { 1, 1 }) < 1e-15)
  fails("cholesky: matrix 1 of [2, 2] is not positive definite: it fails at the leading minor of order 2",
    neap.cholesky, f64 { { 1, 2 }, { 2, 1 } })
end

function T.test_solvers ()
  local a, b = f64 { { 2, 1 }, { 1, 3 } }, f64 { 3, 5 }
  lu.assertTrue(apart(neap.solve(a, b), f64 { .8, 1.4 }) < 1e-15)
  lu.assertTrue(apart(a:inverse(), f64 { { .6, -.2 }, { -.2, .4 } }) < 1e-15)
  lu.assertEquals(neap.solve_triangular(a, f64 { 2, 7 }):totable(), { 1, 2 })
  lu.assertEquals(neap.solve_triangular(a, f64 { 4, 6 }, { upper = true }):totable(), { 1, 2 })
  lu.assertEquals(neap.solve_triangular(a, f64 { 4, 6 }, { transpose = true }):totable(), { 1, 2 })
  lu.assertEquals(neap.solve_triangular(a, f64 { 2, 7 }, { unit = true }):totable(), { 2, 5 })
  fails("solve: matrix 1 of [2, 2] is singular", neap.solve, f64 { { 1, 2 }, { 2, 4 } }, b)
  fails("inverse: square matrices expected, got [2, 3]", neap.inverse, neap.ones(2, 3))
end

function T.test_determinants ()
  local a = f64 { { { 2, 1 }, { 1, 3 } }, { { 0, 1 }, { 1, 0 } } }
  local det, log_det = a:det():totable(), a:logdet():totable()
  lu.assertAlmostEquals(det[1], 5, 1e-14)
  lu.assertEquals(det[2], -1)
  lu.assertAlmostEquals(log_det[1], math.log(5), 1e-14)
  lu.assertTrue(log_det[2] ~= log_det[2])
  local x = a[1]:clone():requires_grad()
  lu.assertTrue(apart(neap.gradients(x:logdet(), x), a[1]:inverse():t()) < 1e-15)
end

function T.test_eigh ()
  local values, vectors = f64({ { 2, 1 }, { 1, 2 } }):eigh()
  lu.assertTrue(apart(values, f64 { 1, 3 }) < 1e-14)
  lu.assertTrue(apart(vectors:abs(), neap.full({ 2, 2 }, math.sqrt(.5), { dtype = "float64" })) < 1e-14)
  local x = neap.randn(4, 5, 5, { dtype = "float64" })
  local s = (x + x:transpose(2, 3)) / 2
  local w, v = x:eigh()
  lu.assertTrue(apart((v * w:unsqueeze(2)):matmul(v:transpose(2, 3)), s) < 1e-13)
end

-- the gradient of log det through three ways is the inverse
function T.test_three_ways_to_logdet ()
  local r = neap.randn(4, 4, { dtype = "float64" })
  local a = r:matmul(r:t()) + neap.eye(4, { dtype = "float64" })
  local inverse = a:inverse()
  local ways = {
    function (x) return x:logdet() end,
    function (x) return 2 * x:cholesky():diag():log():sum() end,
    function (x) return x:eigh():log():sum() end,
  }
  for _, f in ipairs(ways) do lu.assertTrue(apart(neap.grad(f)(a), inverse) < 1e-12) end
end

return T
