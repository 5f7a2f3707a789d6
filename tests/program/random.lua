-- random.lua -- random functions of tensors with rows, made of ops that keep, mix, drop and multiply rows.
-- A function is a list of instructions drawn from a seed: each takes earlier values and gives one more.  Invariant:
-- values stay of moderate size, so results in float64 can be compared to nine digits; what was drawn does not depend
-- on the number of rows, so one function serves them all.

local M = {}

-- A value's shape is a list of sizes; a size is a number, or {n} for n times the rows.
local function same_size (a, b)
  if type(a) == "table" then return type(b) == "table" and a[1] == b[1] end
  return a == b
end
local function copy (shape) return table.move(shape, 1, #shape, 1, {}) end
local function without (shape, d) local s = copy(shape) table.remove(s, d) return s end
local function with (shape, d, size) local s = copy(shape) s[d] = size return s end
local function is_rows (size) return type(size) == "table" end

-- ---- instructions: given a value's shape, a function of it and the new shape; nil when they do not apply -----------

local smooth = {"sin", "tanh", "sigmoid", "silu", "cos", "gelu", "atan", "relu", "elu", "neg", "abs", "sign"}
local numbers = {0, 1, 2, -1, .5, 1.5, 3, -0.25}

local unary = {}

function unary.elementwise (g, s) local f = g.pick(smooth) return function (x) return x[f](x) end, s end
function unary.softplus (_, s) return function (x) return x:softplus() - .7 end, s end
function unary.square (_, s) return function (x) return x:tanh():square() end, s end
function unary.bounded_exp (_, s) return function (x) return x:clamp(-2, 1):exp() end, s end
function unary.plus_number (g, s) local k = g.pick(numbers) return function (x) return x + k end, s end
function unary.times_number (g, s) local k = g.pick(numbers) return function (x) return x * k end, s end
function unary.by_number (_, s) return function (x) return x / 3 end, s end
function unary.from_number (g, s) local k = g.pick(numbers) return function (x) return k - x end, s end
function unary.of_rows (_, s) return function (x, B) return x * (3 / (B + 2)) end, s end
function unary.detached (_, s) return function (x) return x:detach() + x * .1 end, s end

local function some_dim (g, s) return #s > 0 and g.int(1, #s) or nil end

local function reduce (names)
  return function (g, s)
    local d, f, keep = some_dim(g, s), g.pick(names), g.int(1, 2) == 1
    if not d then return nil end
    return function (x) return x[f](x, d, keep) end, keep and with(s, d, 1) or without(s, d)
  end
end
unary.reduce = reduce{"mean", "amax", "amin", "logsumexp"}
unary.reduce_again = reduce{"mean", "amax", "logsumexp"}
function unary.sum (g, s)
  local d, keep = some_dim(g, s), g.int(1, 2) == 1
  if not d then return nil end
  return function (x) return x:sum(d, keep):tanh() end, keep and with(s, d, 1) or without(s, d)
end
function unary.mean_of_all (_, s) return #s > 0 and function (x) return x:mean() end or nil, {} end

local function along (f)
  return function (g, s)
    local d = some_dim(g, s)
    if not d then return nil end
    return function (x) return f(x, d) end, s
  end
end
unary.softmax = along(function (x, d) return x:softmax(d) end)
unary.cumsum = along(function (x, d) return x:cumsum(d):tanh() end)
unary.sort = along(function (x, d) return (x:sort(d)) end)
unary.flip = along(function (x, d) return x:flip(d) end)
unary.centred = along(function (x, d) return x - x:mean(d, true) end)

function unary.transpose (_, s)
  if #s < 2 then return nil end
  local t = copy(s)
  t[#t], t[#t - 1] = t[#t - 1], t[#t]
  return function (x) return x:transpose() end, t
end
function unary.unsqueeze (g, s)
  if #s > 2 then return nil end
  local d, t = g.int(1, #s + 1), copy(s)
  table.insert(t, d, 1)
  return function (x) return x:unsqueeze(d) end, t
end
function unary.flatten (_, s)
  if #s < 2 then return nil end
  local n, rows = 1, false
  for _, d in ipairs(s) do
    if is_rows(d) and rows then return nil end
    rows, n = rows or is_rows(d), n * (is_rows(d) and d[1] or d)
  end
  return function (x) return x:flatten() end, {rows and {n} or n}
end
function unary.fold (_, s)                    -- [nB, …] -> [B, n, …]
  if #s == 0 or #s > 2 or not is_rows(s[1]) or s[1][1] < 2 then return nil end
  local t = {{1}, s[1][1], table.unpack(s, 2)}
  return function (x, B) return x:reshape(B, x.shape[1] // math.max(B, 1), table.unpack(x.shape, 2)) end, t
end
function unary.tile (g, s)
  local d, n = some_dim(g, s), g.int(2, 3)
  if not d or (is_rows(s[d]) and s[d][1] > 3) then return nil end
  local reps = {}
  for i = 1, #s do reps[i] = i == d and n or 1 end
  return function (x) return x:tile(table.unpack(reps)) end, with(s, d, is_rows(s[d]) and {s[d][1] * n} or s[d] * n)
end
function unary.columns (_, s)
  if #s == 0 or is_rows(s[#s]) or s[#s] < 2 then return nil end
  local n = s[#s]
  return function (x) return x:slice(-1, 1, n - 1) + x:slice(-1, 2, n) end, with(s, #s, n - 1)
end
function unary.select (_, s)
  if #s == 0 or is_rows(s[#s]) then return nil end
  local n = s[#s]
  return function (x) return x:select(-1, n) end, without(s, #s)
end
function unary.first_row (_, s)
  if #s == 0 or not is_rows(s[1]) then return nil end
  return function (x) return x:select(1, 1) end, without(s, 1)
end
function unary.swap_halves (_, s)
  if #s == 0 or not is_rows(s[1]) then return nil end
  return function (x) return x:roll(x.shape[1] // 2, 1) end, s
end
function unary.halves_of_twice (_, s)        -- rows, and rows again, cut apart
  if #s == 0 or not is_rows(s[1]) then return nil end
  return function (x)
    local both = neap.cat({x, x * .5}, 1)
    return both:slice(1, 1, x.shape[1]) * both:slice(1, x.shape[1] + 1, 2 * x.shape[1]):tanh()
  end, s
end
function unary.times_shared (g, s)
  if #s == 0 or is_rows(s[#s]) then return nil end
  local w = g.shared({s[#s], 4})
  local t = with(s, #s, 4)
  return function (x) return neap.matmul(x, g.leaf(w)):tanh() end, t
end
function unary.plus_shared (g, s)
  if #s == 0 or is_rows(s[#s]) then return nil end
  local w = g.shared({s[#s]})
  return function (x) return x * g.leaf(w) + .1 end, s
end
function unary.plus_noise (g, s)
  return function (x) return x + .1 * g.rng:normal(x.shape, {dtype = x.dtype}) end, s
end
function unary.gram (_, s)                    -- rows against columns
  if #s ~= 2 or not is_rows(s[1]) or is_rows(s[2]) then return nil end
  return function (x) return neap.matmul(x:t(), x):tanh() end, {s[2], s[2]}
end
function unary.own_products (_, s)
  if #s ~= 2 or not is_rows(s[1]) or is_rows(s[2]) then return nil end
  return function (x) return neap.matmul(x:unsqueeze(3), x:unsqueeze(2)):tanh() end, {s[1], s[2], s[2]}
end

local binary = {}
for name, f in pairs{
  add = function (x, y) return x + y end, mul = function (x, y) return x * y end,
  sub = function (x, y) return x - y end, minimum = function (x, y) return x:minimum(y) end,
  div = function (x, y) return x / (y * y + 1) end, maximum = function (x, y) return x:maximum(y) end,
  where = function (x, y) return neap.where(x:gt(y * .3), x, y:sin()) end,
} do binary[name] = f end

-- the shape of two shapes together; nil when they do not fit for any number of rows
local function broadcast (a, b)
  local out, n = {}, math.max(#a, #b)
  for i = 1, n do
    local x, y = a[#a - n + i] or 1, b[#b - n + i] or 1
    if same_size(x, y) or y == 1 then out[i] = x elseif x == 1 then out[i] = y else return nil end
  end
  return out
end

local function numel (s)
  local n, rows = 1, 0
  for _, d in ipairs(s) do
    if is_rows(d) then rows, n = rows + 1, n * d[1] else n = n * d end
  end
  return n, rows
end
local function small (s)
  local n, rows = numel(s)
  return #s <= 4 and n <= 200 and rows <= 2
end

-- ---- a function ----------------------------------------------------------------------------------------------------

local function keys (t)
  local out = {}
  for k in pairs(t) do out[#out + 1] = k end
  table.sort(out)
  return out
end
local unaries, binaries = keys(unary), keys(binary)

-- mostly what was made lately, so that long chains come about
local function earlier (g, values)
  return g.int(1, 3) < 3 and g.int(math.max(1, #values - 2), #values) or g.int(1, #values)
end

-- these make a function of one number of rows of what has them: one in five of the times
local rare = {of_rows = true, swap_halves = true, first_row = true}

local function add_unary (g, values, code)
  local from, name = earlier(g, values), g.pick(unaries)
  if rare[name] and g.int(1, 5) > 1 then return end
  local f, shape = unary[name](g, values[from])
  if not f or not small(shape) then return end
  values[#values + 1] = shape
  code[#code + 1] = {name = name, from = from, run = function (v, B) return f(v[from], B) end}
end

local function add_binary (g, values, code)
  local a, b, name = earlier(g, values), g.int(1, #values), g.pick(binaries)
  local shape = broadcast(values[a], values[b])
  if not shape or not small(shape) then return end
  values[#values + 1] = shape
  code[#code + 1] = {name = name, from = a, also = b, run = function (v) return binary[name](v[a], v[b]) end}
end

local function describe (seed, code)
  local words = {}
  for i, c in ipairs(code) do
    words[i] = ("%d=%s(%d%s)"):format(i + 2, c.name, c.from, c.also and "," .. c.also or "")
  end
  return ("seed %d: %s"):format(seed, table.concat(words, " "))
end

-- the numbers of the values that no instruction reads
local function unread (values, code)
  local read, out = {}, {}
  for _, c in ipairs(code) do
    read[c.from] = true
    if c.also then read[c.also] = true end
  end
  for i = 3, #values do if not read[i] then out[#out + 1] = i end end
  return out
end

local function draw (g, length)
  local values, code = {{{1}, 3}, {{1}, 2}}, {}
  local wanted = g.int(2, length)
  for _ = 1, 20 * length do
    if #code >= wanted then break end
    local add = g.int(1, 3) == 1 and add_binary or add_unary
    add(g, values, code)
  end
  return values, code
end

-- A function f(x [B, 3], y [B, 2]) -> values, drawn from seed, per_row[i] telling which have B rows; also rng, which
-- it draws from, and text, which says what it does.  bind(dtype) makes the tensors that it closes over.
function M.make (seed, length)
  math.randomseed(seed)
  local g = {shapes = {}, leaves = {}, int = math.random, rng = neap.rng(seed)}
  function g.pick (list) return list[math.random(#list)] end
  function g.shared (shape) g.shapes[#g.shapes + 1] = shape return #g.shapes end
  function g.leaf (i) return g.leaves[i] end
  local values, code = draw(g, length)
  local results = unread(values, code)
  local self = {rng = g.rng, text = describe(seed, code), per_row = {}}
  for i, k in ipairs(results) do self.per_row[i] = #values[k] > 0 and same_size(values[k][1], {1}) end
  function self.bind (dtype)
    local rng = neap.rng(seed + 1)
    for i, s in ipairs(g.shapes) do g.leaves[i] = rng:normal(s, {dtype = dtype}) end
  end
  function self.f (x, y)
    local v, B, out = {x, y}, x.shape[1], {}
    for _, c in ipairs(code) do v[#v + 1] = c.run(v, B) end
    for i, k in ipairs(results) do out[i] = v[k] end
    return table.unpack(out)
  end
  return self
end

-- An energy of such a function: of [B, 5], with what has no rows added to all.
function M.energy (p)
  return neap.energy(function (x)
    local e = (x * x):sum(2) * .5
    for i, o in ipairs{p.f(x:slice(2, 1, 3), x:slice(2, 4, 5))} do
      if not p.per_row[i] then e = e + o:tanh():mean()
      else e = e + (o.ndim > 1 and o:flatten(2):tanh():mean(2) or o:tanh()) end
    end
    return e
  end, {event = {5}})
end

return M
