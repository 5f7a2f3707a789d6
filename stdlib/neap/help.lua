-- help.lua -- neap.help(name): what a function does, in the terminal.
-- Ops are described by their rows of the op table; the table below has what is no row.
-- Invariant: a name is described in one place only.

local core = require "neap.core"
local error = core._error

local M = {}

local others = {
  tensor = {"neap.tensor(nested table | number [, {dtype=}])",
    "a tensor of these values; booleans give bool, numbers the default dtype"},
  zeros = {"neap.zeros(sizes [, {dtype=}])", "zeros; sizes are numbers or one table"},
  ones = {"neap.ones(sizes [, {dtype=}])", "ones"},
  empty = {"neap.empty(sizes [, {dtype=}])", "a tensor whose elements are whatever memory held"},
  full = {"neap.full(sizes, v [, {dtype=}])", "v everywhere"},
  eye = {"neap.eye(n [, m] [, {dtype=}])", "ones on the diagonal of an n × m matrix of zeros"},
  arange = {"neap.arange([first,] last [, step] [, {dtype=}])",
    "first, first + step, … up to last, which is included; first is 1 by default"},
  linspace = {"neap.linspace(first, last, n [, {dtype=}])", "n numbers from first to last, evenly spaced"},
  rand = {"neap.rand(sizes [, {dtype=, rng=}])", "uniform on [0, 1)"},
  randn = {"neap.randn(sizes [, {dtype=, rng=}])", "standard normal"},
  randint = {"neap.randint(lo, hi, sizes [, {dtype=, rng=}])", "integers from lo to hi, both included"},
  randperm = {"neap.randperm(n [, {rng=}])", "1 to n in random order"},
  seed = {"neap.seed(n)", "restarts the default random stream; draws do not depend on the number of threads"},
  rng = {"neap.rng([seed])",
    "a random stream of its own: :normal :uniform :randint :bernoulli :categorical :randperm :split :state :set_state"},
  default_dtype = {"neap.default_dtype([name])",
    "the dtype of new tensors of numbers, set if a name is given: float32 or float64"},
  to = {"x:to(dtype)", "x as another dtype; x itself if it has it already"},
  double = {"x:double()", "x as float64"},
  float = {"x:float()", "x as float32"},
  size = {"x:size([d])", "the size of dimension d, or the table of all"},
  numel = {"x:numel()", "how many elements x has"},
  item = {"x:item()", "the element of a one-element tensor as a Lua value"},
  totable = {"x:totable()", "nested Lua tables of x's elements; a number for a tensor of no dimensions"},
  detach = {"x:detach()", "x's values, shared, without its tape"},
  close = {"x:close()", "frees x now; also at the end of a scope: local x <close> = …"},
  split = {"x:split(size | {sizes} [, dim])", "an array of pieces along dim (1)"},
  chunk = {"x:chunk(n [, dim])", "an array of n pieces along dim (1)"},
  eigh = {"x:eigh()", "eigenvalues, ascending, and eigenvectors (columns) of a symmetric matrix"},
  requires_grad = {"x:requires_grad([on])", "marks x as a variable (false: no longer), and returns x"},
  backward = {"y:backward([seed] [, {retain=, create_graph=}])",
    "adds dy/dx to the .grad of every variable y depends on"},
  gradients = {"neap.gradients(y, x | {x1, …} | {name = x} [, {grad_outputs=, create_graph=, retain=, allow_unused=}])",
    "dy/dx with the keys of x.  The tape is released unless retain or create_graph is asked for"},
  no_grad = {"neap.no_grad(f, …)", "f(…) with nothing taped"},
  grad = {"neap.grad(f [, argnum])",
    "a function that gives the gradient of f (one number) by an argument; argnum may be a table of them"},
  value_and_grad = {"neap.value_and_grad(f [, argnum])",
    "a function that gives f's value, its gradient, and f's further results"},
  vjp = {"neap.vjp(f, x, v)", "f(x), vᵀJ"},
  jvp = {"neap.jvp(f, x, v)", "f(x), J v"},
  hvp = {"neap.hvp(f, x, v)", "the Hessian of f (one number) times v"},
  jacobian = {"neap.jacobian(f, x)", "[f(x)'s shape, x's shape]"},
  hessian = {"neap.hessian(f, x)", "[x's shape, x's shape] for f that gives one number"},
  laplacian = {"neap.laplacian(f, x)",
    "the trace of the Hessian; one for each row where f gives one number for each row of x"},
  vmap = {"neap.vmap(f)", "a function that calls f for each row of its arguments and stacks the results"},
  gradcheck = {"neap.gradcheck(f, inputs [, {order=1, tol=1e-6, step=1e-3, directions=2, seed=1}])",
    "whether f's derivatives up to that order agree with differences, and a report {worst=, order=, tol=}"},
  clock = {"neap.clock()", "monotonic seconds"},
  threads = {"neap.threads([n])", "how many threads neap uses, set if n is given; results do not depend on it"},
  memory = {"neap.memory()", "bytes: {live=, peak=, cached=}, and the number of allocations"},
  info = {"neap.info()", "version, lua, threads, cpu (instruction set), blas"},
  help = {"neap.help([name])", "this"},
}

-- "x min:n? {beta:n=1}" -> "x:name([min] [, {beta=1}])"
local function usage (row)
  local positional, named = {}, {}
  local plain, braces = row.sig:match "^([^{]*){?([^}]*)"
  for word in plain:gmatch "%S+" do
    local name = word:match "^[%w_]+"
    local optional = word:find "?" or word:find "="
    positional[#positional + 1] = word:find "%*" and "{" .. name .. "}" or optional and "[" .. name .. "]" or name
  end
  for word in braces:gmatch "[^%s,]+" do
    named[#named + 1] = word:match "^[%w_]+" .. "=" .. (word:match "=([^?]+)" or "")
  end
  local inside = table.concat(positional, ", ", 2)
  if #named > 0 then inside = inside .. (inside == "" and "" or " ") .. "[{" .. table.concat(named, ", ") .. "}]" end
  if row.sig:find "^%w+%*" or row.sig:find "^%w+:" then
    return ("neap.%s(%s)"):format(row.name, (positional[1] or "") .. (inside == "" and "" or ", ") .. inside)
  end
  return ("%s:%s(%s)"):format(positional[1] or "x", row.name, inside)
end

-- name -> usage, text; nil when unknown
function M.describe (name)
  for _, row in ipairs(core.ops()) do
    if row.name == name then return usage(row), row.doc end
  end
  local other = others[name]
  if other then return other[1], other[2] end
end

-- All described names, sorted.
function M.names ()
  local names = {}
  for _, row in ipairs(core.ops()) do names[#names + 1] = row.name end
  for name in pairs(others) do
    if not M.describe(name) or not core.op[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function overview ()
  local lines, line = {"neap.help(name) describes one of these:"}, " "
  for _, name in ipairs(M.names()) do
    if #line + #name > 98 then lines[#lines + 1], line = line, " " end
    line = line .. " " .. name
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- help([name]) prints; an unknown name is an error that names the nearest known one.
function M.help (name)
  if name == nil then print(overview()) return end
  if type(name) ~= "string" then
    error(("bad argument #1 to 'help' (string expected, got %s)"):format(type(name)))
  end
  name = name:match "([%w_]+)$" or name
  local how, what = M.describe(name)
  if not how then
    local known = {}
    for _, n in ipairs(M.names()) do known[n] = true end
    local near = require("neap.options").nearest(name, known)
    error(("help: nothing is known of '%s' (did you mean '%s'?)"):format(name, near))
  end
  print(how .. "\n  " .. what)
end

return M
