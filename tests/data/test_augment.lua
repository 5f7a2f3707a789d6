-- test_augment.lua -- neap.data.augment: pictures moved, mirrored and made noisy by chance.

local lu = require "luaunit"
local message = require("errors").message
local T = {}

local augment = neap.data.augment

-- n equal pictures whose pixels are 1 to h·w
local function pictures (n, h, w) return neap.arange(1, h * w):reshape(1, h, w):expand(n, h, w) end

local function key (t) return table.concat(t:flatten():totable(), " ") end

-- how often each picture occurs in x, by its pixels
local function counts (x)
  local out = {}
  for i = 1, x.shape[1] do
    local k = key(x[i])
    out[k] = (out[k] or 0) + 1
  end
  return out
end

-- The pictures in `expected` occur, no others, each about as often as the next: χ² of its 99.99 % at most.
local function assert_even (x, expected, most)
  local found, n, chi = counts(x), x.shape[1], 0
  for _, e in ipairs(expected) do
    local seen = found[key(e)]
    lu.assertNotNil(seen, key(e))
    chi, found[key(e)] = chi + (seen - n / #expected) ^ 2 / (n / #expected), nil
  end
  lu.assertEquals(found, {})
  lu.assertTrue(chi < most, ("chi square %.1f"):format(chi))
end

-- All moves of one picture by up to s, by slices of a padded one.
local function moves (x, s, value)
  local h, w, out = x.shape[1], x.shape[2], {}
  local wide = x:pad({{s, s}, {s, s}}, {value = value})
  for i = 1, 2 * s + 1 do
    for j = 1, 2 * s + 1 do out[#out + 1] = wide[{{i, i + h - 1}, {j, j + w - 1}}] end
  end
  return out
end

function T.test_moves ()
  local x = pictures(5000, 3, 4)
  assert_even(augment(x, {shift = 1, value = -1, rng = neap.rng(1)}), moves(x[1], 1, -1), 31.8)
  assert_even(augment(x, {shift = 2, rng = neap.rng(2)}), moves(x[1], 2, 0), 59.8)
end

function T.test_mirrors ()
  local x = pictures(2000, 2, 3)
  local both = {x[1], x[1]:flip{2}}
  assert_even(augment(x, {flip = true, rng = neap.rng(1)}), both, 15.1)
  local all = {}
  for _, picture in ipairs(both) do
    for _, moved in ipairs(moves(picture, 1, 0)) do all[#all + 1] = moved end
  end
  assert_even(augment(pictures(9000, 2, 3), {flip = true, shift = 1, rng = neap.rng(3)}), all, 46.6)
end

-- All channels of a picture go together.
function T.test_channels ()
  local x = pictures(200, 3, 4)
  local y = augment(neap.stack({x, 100 + x}, 2), {shift = 1, flip = true, value = -100, rng = neap.rng(4)})
  lu.assertEquals(y.shape, {200, 2, 3, 4})
  local one, two = y:select(2, 1), y:select(2, 2)
  local there = one:gt(0)
  lu.assertEquals((two - one)[there]:sub(100):abs():amax():item(), 0)
  lu.assertEquals(two[there:logical_not()]:add(100):abs():amax():item(), 0)
  lu.assertEquals(augment(one, {shift = 1, flip = true, rng = neap.rng(4)}).shape, {200, 3, 4})
end

function T.test_noise ()
  local x = neap.zeros({50, 20, 20}, {dtype = "float64"})
  local y = augment(x, {noise = .2, rng = neap.rng(1)})
  lu.assertEquals(y.dtype, "float64")
  lu.assertAlmostEquals(y:mean():item(), 0, 4 * .2 / math.sqrt(20000))
  lu.assertAlmostEquals(y:std():item(), .2, 4 * .2 / math.sqrt(40000))
end

function T.test_what_is_not_asked_for_is_left_alone ()
  local x = pictures(3, 2, 2)
  lu.assertEquals(augment(x):totable(), x:totable())
  lu.assertEquals(augment(x:to "uint8", {flip = true, shift = 1}).dtype, "uint8")
  local function twice (rng) return augment(neap.ones(9, 5, 5), {shift = 2, flip = true, noise = .1, rng = rng}) end
  lu.assertEquals(twice(neap.rng(7)):totable(), twice(neap.rng(7)):totable())
  neap.seed(5)
  local first = twice()
  neap.seed(5)
  lu.assertEquals(twice():totable(), first:totable())
end

function T.test_errors ()
  lu.assertStrContains(message(augment, {}), "data.augment: x: tensor expected, got table")
  lu.assertStrContains(message(augment, neap.zeros(3, 4)), "x: [B, H, W] or [B, C, H, W] expected, got shape [3, 4]")
  local x = neap.zeros(2, 3, 3)
  lu.assertStrContains(message(augment, x, {shift = -1}), "option 'shift': a number of at least 0 expected, got -1")
  lu.assertStrContains(message(augment, x, {shift = .5}), "option 'shift'")
  lu.assertStrContains(message(augment, x, {noise = -1}), "option 'noise': a number of at least 0 expected, got -1")
  lu.assertStrContains(message(augment, x, {flips = true}), "unknown option 'flips' (did you mean 'flip'?)")
end

return T
