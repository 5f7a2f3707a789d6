-- data.lua -- two-dimensional toy densities, images, tables, batches.
-- Invariant: a data set is n independent draws, so any slice of it is a sample; with a seed it is the same everywhere.

local neap = require "neap"
local options = require "neap.options"
local files = require("neap.core")._files
local error = options.error

local data = {}
local pi = math.pi

-- ---- two dimensions: name(n, {noise =, seed =}) -> [n, 2] ----

-- Draws of one data set: from its own stream with a seed, from the default stream without.
local function stream (seed)
  local rng = seed and neap.rng(seed)
  return {
    uniform = function (...) return neap.rand({...}, {rng = rng}) end,
    normal = function (n, d) return neap.randn(n, d, {rng = rng}) end,
    -- integers lo..hi as floats
    pick = function (n, lo, hi) return ((neap.rand(n, {rng = rng}) * (hi - lo + 1)):floor() + lo):clamp(lo, hi) end,
  }
end

local function points (x, y) return neap.stack({x, y}, 2) end

-- Makes data.name from draw(n, noise, r) -> [n, 2], which adds the noise itself.
local function define (name, noise, draw)
  local fname = "data." .. name
  data[name] = function (n, given)
    n = options.integer(fname, "n", n, 0)
    local o = options(fname, given, {noise = noise, seed = options.any "integer"})
    options.range(fname, o, name == "bars_and_stripes" and "in [0, 1]" or "at least 0", "noise")
    return (draw(n, o.noise, stream(o.seed)))
  end
end

-- Two half circles: (cos t, sin t) and (1 − cos t, 0.5 − sin t), t ~ U(0, π), less (0.5, 0.25), plus N(0, noise²).
define("moons", .1, function (n, noise, r)
  local t, first = r.uniform(n) * pi, r.uniform(n):lt(.5)
  local x = neap.where(first, t:cos(), 1 - t:cos()) - .5
  local y = neap.where(first, t:sin(), .5 - t:sin()) - .25
  return points(x, y) + noise * r.normal(n, 2)
end)

-- Circles around 0 with the given radii, evenly weighted.
local function circles (n, noise, r, radii)
  local t, radius = r.uniform(n) * (2 * pi), radii(r.pick(n, 1, 4))
  return points(radius * t:cos(), radius * t:sin()) + noise * r.normal(n, 2)
end

-- Radii 1 and 1/2.
define("circles", .05, function (n, noise, r)
  return circles(n, noise, r, function (k) return (k / 2):ceil() / 2 end)
end)

-- Radii 3/4, 3/2, 9/4 and 3.
define("rings", .08, function (n, noise, r)
  return circles(n, noise, r, function (k) return k * .75 end)
end)

-- Five blades (Johnson et al. 2016): normal in radius (std 0.3) and across (std noise), turned by exp(radius) / 4.
define("pinwheel", .1, function (n, noise, r)
  local z, arm = r.normal(n, 2), r.pick(n, 1, 5)
  local radius, across = 1 + .3 * z:select(2, 1), noise * z:select(2, 2)
  local a = arm * (2 * pi / 5) + .25 * radius:exp()
  return 2 * points(radius * a:cos() - across * a:sin(), radius * a:sin() + across * a:cos())
end)

-- (t cos t, t sin t) / 5, t ~ U(1.5π, 4.5π), plus N(0, noise²).
define("swiss_roll", .1, function (n, noise, r)
  local t = 1.5 * pi * (1 + 2 * r.uniform(n))
  return points(t * t:cos(), t * t:sin()) / 5 + noise * r.normal(n, 2)
end)

-- Normals of std noise around eight points of the circle with radius 2.
define("eight_gaussians", .1, function (n, noise, r)
  local a = r.pick(n, 1, 8) * (pi / 4)
  return 2 * points(a:cos(), a:sin()) + noise * r.normal(n, 2)
end)

-- Uniform on the eight dark squares of a 4 × 4 board over [−4, 4]², plus N(0, noise²).
define("checkerboard", 0., function (n, noise, r)
  local row, column = r.pick(n, 0, 3), r.pick(n, 0, 1)
  local x = 2 * (2 * column + row % 2 + r.uniform(n)) - 4
  return points(x, 2 * (row + r.uniform(n)) - 4) + noise * r.normal(n, 2)
end)

-- Normals of std noise around the 25 points {−2, …, 2}².
define("grid", .05, function (n, noise, r)
  return points(r.pick(n, -2, 2), r.pick(n, -2, 2)) + noise * r.normal(n, 2)
end)

-- Two arms, each the other turned by half a turn: ±(−t cos t, t sin t) / 3, t = 3π √u, plus N(0, noise²).
define("two_spirals", .1, function (n, noise, r)
  local t, side = 3 * pi * r.uniform(n):sqrt(), 2 * r.pick(n, 0, 1) - 1
  return side:unsqueeze(2) * points(-t * t:cos(), t * t:sin()) / 3 + noise * r.normal(n, 2)
end)

-- 4 × 4 pictures of full columns or full rows, each line on with probability 1/2, as [n, 16] of 0 and 1: all on and
-- all off come up twice as often as the other 28.  noise: the probability that a pixel is turned over.
define("bars_and_stripes", 0., function (n, noise, r)
  local lines, upright = r.uniform(n, 4):lt(.5), r.uniform(n, 1, 1):lt(.5)
  local bars = lines:unsqueeze(2):expand(n, 4, 4)
  local picture = neap.where(upright, bars, bars:transpose(2, 3)):reshape(n, 16)
  local turned = r.uniform(n, 16):lt(noise)
  return picture:ne(turned):to(neap.default_dtype())
end)

-- ---- images ----

-- The array in an IDX file, plain or gzipped.
function data.idx (path) return files.load_idx(options.argument("data.idx", "path", path, "string")) end

local FASHION = "/usr/share/datasets/fashion-mnist"
local SPLITS = {train = "train", test = "t10k"}

local function exists (path)
  local f = io.open(path, "rb")
  return f and f:close()
end

local function split_name (fname, split)
  if not SPLITS[split] then
    error(("%s: split: \"train\" or \"test\" expected, got %s"):format(fname, tostring(split)))
  end
  return SPLITS[split]
end

-- Which of PATH and PATH.gz is there.
local function find (fname, path, hint)
  for _, ending in ipairs {"", ".gz"} do
    if exists(path .. ending) then return path .. ending end
  end
  error(("%s: neither %s nor %s.gz is there%s"):format(fname, path, path, hint))
end

local function images_of (fname, dir, split, hint, given)
  local o = options(fname, given, {dtype = neap.default_dtype()})
  local stem = dir .. "/" .. split_name(fname, split)
  local x = files.load_idx(find(fname, stem .. "-images-idx3-ubyte", hint))
  local labels = files.load_idx(find(fname, stem .. "-labels-idx1-ubyte", hint))
  if x.ndim ~= 3 or labels.ndim ~= 1 or #x ~= #labels then
    error(("%s: %s: images [N, H, W] and labels [N] expected"):format(fname, stem))
  end
  if o.dtype ~= "uint8" then x = x:to(o.dtype) / 255 end
  return x, labels:to("int64") + 1
end

-- fashion_mnist("train" | "test" [, {dtype =}]) -> images [N, 28, 28] in [0, 1] (dtype = "uint8": bytes 0..255),
-- labels int64
-- 1..10 (T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot; Xiao et al. 2017).
function data.fashion_mnist (split, given)
  return images_of("data.fashion_mnist", FASHION, split, ": install the Debian package dataset-fashion-mnist", given)
end

-- mnist(dir, "train" | "test" [, {dtype =}]): the same from MNIST's four IDX files in dir, gzipped or not; label 1 is
-- digit 0.
function data.mnist (dir, split, given)
  if type(dir) ~= "string" then
    error("data.mnist: dir: the folder of the IDX files expected, got " .. options.type_of(dir))
  end
  return images_of("data.mnist", dir, split, "", given)
end

-- For each of `rows` pictures which of n + 2·most places along a dimension show: n of them from a random one on, the
-- last one first where `turned`, [rows, 1] of bools, says so -> int64 [rows, n].
local function places (n, most, rows, turned, rng)
  local at = neap.arange(1, n, {dtype = "int64"}):expand(rows, n)
  if turned then at = neap.where(turned, n + 1 - at, at) end
  return most > 0 and at + neap.randint(0, 2 * most, {rows, 1}, {rng = rng}) or at
end

-- x's dimension d at the places `at` [rows, n], which are each picture's own.
local function look_at (x, d, at)
  local narrow, whole = {at.shape[1]}, x.shape
  for i = 2, x.ndim do narrow[i] = i == d and at.shape[2] or 1 end
  whole[d] = at.shape[2]
  return x:gather(d, at:reshape(narrow):expand(whole))
end

-- augment(x [, {shift = 0, flip = false, noise = 0, value = 0, rng =}]): pictures x [B, H, W] or [B, C, H, W], each
-- moved by up to `shift` pixels down or up and right or left, `value` where nothing was; with flip every other one on
-- average mirrored, left for right; with noise n ~ N(0, noise²) added to each pixel.
function data.augment (x, given)
  options.argument("data.augment", "x", x, "tensor")
  local o = options("data.augment", given, {shift = 0, flip = false, noise = 0., value = 0.,
                                            rng = options.any "userdata"})
  options.range("data.augment", o, "at least 0", "shift", "noise")
  if x.ndim < 3 or x.ndim > 4 then
    error("data.augment: x: [B, H, W] or [B, C, H, W] expected, got shape " .. options.shape_text(x))
  end
  local rows, down, across, shape = x.shape[1], x.ndim - 1, x.ndim, x.shape
  if o.shift > 0 then
    local sides, most = {{0, 0}, {0, 0}, {0, 0}}, {o.shift, o.shift}
    sides[down], sides[across] = most, most
    x = look_at(x:pad(sides, {value = o.value}), down, places(shape[down], o.shift, rows, nil, o.rng))
  end
  if o.shift > 0 or o.flip then
    local turned = o.flip and neap.rand(rows, 1, {rng = o.rng}):lt(.5) or nil
    x = look_at(x, across, places(shape[across], o.shift, rows, turned, o.rng))
  end
  return o.noise > 0 and x + o.noise * neap.randn(shape, {rng = o.rng, dtype = x.dtype}) or x
end

-- ---- tables ----

-- csv(path [, {dtype =}]) -> [rows, columns], array of column names (nil without a header).  Missing values are NaN.
function data.csv (path, given)
  options.argument("data.csv", "path", path, "string")
  return files.load_csv(path, options("data.csv", given, {dtype = neap.default_dtype()}).dtype)
end

-- ---- rows: x is a tensor [N, …] or a table {x, c} of tensors with the same N ----

local is_tensor = neap.is_tensor

-- f of each tensor in x, a tensor or table.
local function each (x, f)
  if is_tensor(x) then return f(x) end
  local out = {}
  for k, v in pairs(x) do out[k] = f(v) end
  return out
end

local function rows_of (fname, x)
  local n
  if type(x) ~= "table" and not is_tensor(x) or type(x) == "table" and next(x) == nil then
    error(("%s: x: a tensor or a table of tensors expected, got %s"):format(fname, options.type_of(x)))
  end
  each(x, function (t)
    if not is_tensor(t) or t.ndim == 0 then
      error(("%s: x: tensors with rows expected, got %s"):format(fname, is_tensor(t) and "a 0-d tensor" or
        options.type_of(t)))
    end
    if n and n ~= t:size(1) then
      error(("%s: x: the tensors have %d and %d rows, expected as many"):format(fname, n, t:size(1)))
    end
    n = t:size(1)
  end)
  return n
end

-- split(x, fraction [, seed]) -> the first round(fraction · N) rows of a random order, and the others.
function data.split (x, fraction, seed)
  local n = rows_of("data.split", x)
  if type(fraction) ~= "number" or not (fraction >= 0 and fraction <= 1) then
    error("data.split: fraction: a number in 0..1 expected, got " .. tostring(fraction))
  end
  if seed ~= nil then options.argument("data.split", "seed", seed, "integer") end
  local k = math.floor(fraction * n + .5)
  local order = neap.randperm(n, {rng = seed and neap.rng(seed)})
  local function take (first, last)
    local index = order:slice(1, first, last)
    return each(x, function (t) return t:index_select(1, index) end)
  end
  return take(1, k), take(k + 1, n)
end

-- standardize(x) -> (x − mean) / std, mean, std over the rows of x; a column that does not vary is only centred.
function data.standardize (x)
  if not is_tensor(x) then error("data.standardize: x: a tensor expected, got " .. options.type_of(x)) end
  if rows_of("data.standardize", x) == 0 then error("data.standardize: x: rows expected, got none") end
  if not x:isfinite():all():item() then error("data.standardize: x: finite numbers expected, got NaN or infinity") end
  if x.dtype ~= "float64" then x = x:to(neap.default_dtype()) end
  local mean = x:mean(1)
  local std = x:std(1, false, {unbiased = false})
  std = neap.where(std:eq(0), neap.ones_like(std), std)
  return (x - mean) / std, mean, std
end

-- ---- loader ----

local Loader = {__name = "neap.data.loader"}
Loader.__index = Loader

-- loader(x [, {batch = 64, shuffle = true, seed =, drop_last = false}]).
-- `for batch in loader do` goes once through the rows, loader:next() for ever.  A batch is as x: a tensor or a table.
function data.loader (x, given)
  local o = options("data.loader", given, {batch = 64, shuffle = true, seed = options.any "integer", drop_last = false})
  local n = rows_of("data.loader", x)
  if o.batch < 1 then error(("data.loader: option 'batch': at least 1 expected, got %d"):format(o.batch)) end
  if n == 0 then error("data.loader: x: rows expected, got none") end
  if o.drop_last and n < o.batch then
    error(("data.loader: x has %d rows, fewer than one batch of %d, and drop_last is set"):format(n, o.batch))
  end
  local seed = o.seed or neap.randint(1, 1 << 53, 1):item()
  return setmetatable({x = x, rows = n, batch = o.batch, shuffle = o.shuffle, drop_last = o.drop_last,
                       rng = neap.rng(seed), epoch = 0, at = n}, Loader)
end

-- Starts an epoch; its order depends on the stream's state at this point, which state() tells.
local function start_epoch (self)
  self.epoch, self.at = self.epoch + 1, 0
  self.epoch_start = self.rng:state()
  if self.order then self.order:close() end            -- nobody else has it: its memory need not wait for the collector
  self.order = self.shuffle and self.rng:randperm(self.rows) or nil
end

local function left (self)
  local n = self.rows - self.at
  return (self.drop_last and n < self.batch) and 0 or math.min(n, self.batch)
end

local function take (self)
  local first, n = self.at + 1, left(self)
  self.at = self.at + n
  local index <close> = self.order and self.order:slice(1, first, self.at)
  return each(self.x, function (t)
    return index and t:index_select(1, index) or t:slice(1, first, self.at)
  end)
end

local function check_self (self, call) options.colon("data.loader", self, Loader, "loader", call) end

-- The next batch; begins a new epoch where one ends.
function Loader:next ()
  check_self(self, "next()")
  if left(self) == 0 then start_epoch(self) end
  return take(self)
end

-- Of the generic for: nil where an epoch ends.
function Loader:__call (_, last)
  if last == nil then start_epoch(self) end
  if left(self) == 0 then return nil end
  return take(self)
end

-- How many batches an epoch has.
function Loader:__len ()
  return self.drop_last and self.rows // self.batch or (self.rows + self.batch - 1) // self.batch
end

-- Where it stands, as a table of plain values: with the same x, set_state continues with the same batches.
function Loader:state ()
  check_self(self, "state()")
  return {epoch = self.epoch, at = self.at, rows = self.rows,
          rng = self.epoch == 0 and self.rng:state() or self.epoch_start}
end

function Loader:set_state (t)
  check_self(self, "set_state(t)")
  options.argument("data.loader", "state", t, "table")
  options.argument("data.loader", "state.rng", t.rng, "table")
  for _, name in ipairs {"epoch", "at"} do options.argument("data.loader", "state." .. name, t[name], "integer") end
  if t.rows and t.rows ~= self.rows then
    error(("data.loader: state: of %d rows, as x has them, expected, got one of %d"):format(self.rows, t.rows))
  end
  self.rng:set_state(t.rng)
  self.epoch, self.at = 0, self.rows
  if t.epoch > 0 then
    start_epoch(self)
    self.epoch, self.at = t.epoch, t.at
  end
  return self
end

return data
