-- composition.lua -- concepts as energies of pictures: and, or, not.
--
--   build/neap examples/images/composition.lua [--quick] [seed] [folder]
--
-- Two networks are trained that know nothing of each other, each by JEM's loss (jem.lua): one on which of ten kinds
-- of clothes a picture shows, one on whether they are light or dark.  The energies −fₖ of their classes are put
-- together by arithmetic (Du, Li and Mordatch 2020): E₁ + E₂ is "and", any{E₁, E₂} = −log(e^(−E₁) + e^(−E₂)) is
-- "or", E₁ − w E₂ is "but not".  Langevin chains draw from each, and what they draw is judged without these
-- networks: by a third one, trained as a classifier alone, and by the brightness of pixels.  Chains of "and" start
-- from noise.  Those of "or" and "not" start from test pictures of all kinds: from noise all of them take the same,
-- steepest way down.
-- Needs the Debian package dataset-fashion-mnist.  A full run should take some 15 minutes on two cores, --quick
-- half a minute.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local pictures = require "pictures"

local given = pictures.arguments()
local quick, folder = given.quick, given.folder

local STEPS, CHAIN, BATCH, BUFFER, DRAWN, LENGTH = 2500, 20, 128, 8192, 200, 300
if quick then STEPS, CHAIN, BATCH, BUFFER, DRAWN, LENGTH = 250, 8, 64, 1024, 100, 200 end

local train, labels = pictures.fashion "train"
local test, truth = pictures.fashion "test"

-- How light the clothes of pictures x are: the mean of pixels that are not background.
local function light (x)
  local on = x:gt(-.8):float()
  return ((x + 1) / 2 * on):sum({2, 3, 4}) / on:sum({2, 3, 4}):clamp(1)
end
local tone = pictures.over(light, train)
local middle = tone:median():item()
local tones = tone:gt(middle):to "int64" + 1                              -- 1: dark, 2: light
local DARK, LIGHT, TROUSERS, BOOT = 1, 2, 2, 10

-- ---- the networks ----

local langevin = neap.sampler.langevin{step_size = 1, noise_std = .01, clamp = {-1, 1}}

local function network (name, classes, y, loss, seed)
  local E = neap.energy.classifier(neap.energy.conv{
    input = {1, 28, 28}, channels = {16, 32, 64}, kernels = {5, 3, 3}, hidden = {64, classes}, rng = neap.rng(seed),
  })
  return pictures.trained{name = name, E = E, x = train, labels = y, loss = loss, steps = STEPS, batch = BATCH,
                          lr = quick and 2e-3 or 1e-3, seed = seed}
end
local function jem ()
  return neap.loss.jem{sampler = langevin, steps = CHAIN, buffer = BUFFER, init = {"uniform", -1, 1}, reinit = .05,
                       reg = .1, weight = .3}
end
local kind = network("kinds", 10, labels, jem(), given.seed)
local shade = network("light, dark", 2, tones, jem(), given.seed + 1)
local judge = network("judge", 10, labels, pictures.cross_entropy, given.seed + 2)

local function tell (name, E, y)
  print(("%-12s %.1f %% of test pictures right"):format(name, 100 * pictures.right(pictures.logits(E, test), y)))
end
tell("kinds", kind, truth)
tell("light, dark", shade, pictures.over(light, test):gt(middle):to "int64" + 1)
tell("judge", judge, truth)

-- ---- combinations ----

local noise = neap.rand({DRAWN, 1, 28, 28}, {rng = neap.rng(5)}) * 2 - 1
local some = test:slice(1, 1, DRAWN)
local trousers, boot = kind:class(TROUSERS), kind:class(BOOT)
-- name, energy, starts.  A shade counts twice: it must move every pixel a little.
local combinations = {
  {"trousers", trousers, noise},
  {"trousers and light", trousers + 2 * shade:class(LIGHT), noise},
  {"trousers and dark", trousers + 2 * shade:class(DARK), noise},
  {"light", shade:class(LIGHT), some},
  {"light, not trousers", shade:class(LIGHT) - .5 * trousers, some},
  {"trousers or boot", neap.energy.any{trousers, boot}, some},
}

-- shares of x that the judge takes for trousers, for boots, and that are light
local function shares (x)
  local said = pictures.logits(judge, x):argmax(2)
  local function share (which) return which:float():mean():item() end
  return {trousers = share(said:eq(TROUSERS)), boots = share(said:eq(BOOT)), light = share(light(x):gt(middle))}
end

print(("\n%-28s %9s %9s %9s"):format("share of draws that are", "trousers", "boots", "light"))
local found, rows = {}, {}
local function show (name, x)
  local s = shares(x)
  found[name] = s
  print(("%-28s %9.2f %9.2f %9.2f"):format(name, s.trousers, s.boots, s.light))
end
show("the test pictures themselves", some)
for _, c in ipairs(combinations) do
  local draws = langevin:sample(c[2], {init = c[3], steps = LENGTH, thin = LENGTH, seed = given.seed})[1]
  show(c[1], draws)
  rows[#rows + 1] = draws:slice(1, 1, 12)
end
pictures.save(folder .. "/composition.png", neap.cat(rows, 1), 12)
print(("12 of each, a row each, are in %s/composition.png"):format(folder))

local both, either = found["trousers and dark"], found["trousers or boot"]
assert(found["trousers and light"].trousers > .8 and found["trousers and light"].light > .8, "and: light")
assert(both.trousers > .8 and both.light < .3, "and: dark")
assert(either.trousers + either.boots > .8 and math.min(either.trousers, either.boots) > .1, "or")
assert(found["light, not trousers"].trousers < .5 * found.light.trousers, "not")
