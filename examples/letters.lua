-- letters.lua -- an energy of short pieces of text: letters that like, or shun, each other at distances of 1 to 4.
--
--   build/neap examples/letters.lua [text.txt [steps]]
--
-- E(x) = −Σᵢ b[xᵢ] − Σ_d Σᵢ W_d[xᵢ, xᵢ₊d], a Potts model with a table for each distance d, is written for x one-hot:
-- that is what states = 27 asks for.  It learns by pseudo-likelihood (Besag 1975), which needs neither sampling nor a
-- normaliser, from pieces of the given text, or of the project's own pages, and is sampled by Gibbs and by Gibbs with
-- gradients.  Pairs of letters should then be as frequent as in the text, whichever sampler draws them.

local neap = require "neap"
local here = arg[0]:match "^(.*)/[^/]*$" or "."
local path, steps = arg[1] and arg[1]:match "%.txt$" and arg[1], math.tointeger(tonumber(arg[2] or 1500))
local LENGTH, REACH, STATES, LONGEST = 10, 4, 27, 120000
neap.seed(1)

-- ---- the text: a to z, and anything else a space ----

local function read (name)
  local f <close> = assert(io.open(name))
  return (f:read "a":lower():gsub("[^a-z]+", " "))
end

local function the_text ()
  if path then return read(path) end
  local pages = {}
  for _, name in ipairs {"design", "energies", "samplers", "training", "programs", "tensors", "c"} do
    pages[#pages + 1] = read(("%s/../docs/%s.md"):format(here, name))
  end
  return table.concat(pages, " ")
end

-- every piece of LENGTH letters, int64 [pieces, LENGTH]: 1 … 26, and 27 for a space
local function pieces (text)
  local codes = {}
  for i = 1, math.min(#text, LONGEST) do
    local byte = text:byte(i)
    codes[i] = byte == 32 and STATES or byte - 96
  end
  local all, columns = neap.tensor(codes, {dtype = "int64"}), {}
  for i = 1, LENGTH do columns[i] = all:slice(1, i, #codes - LENGTH + i) end
  return neap.stack(columns, 2)
end

local function to_text (row)
  local letters = {}
  for i, code in ipairs(row:totable()) do letters[i] = code == STATES and "_" or string.char(96 + code) end
  return table.concat(letters)
end

-- ---- the energy ----

local params = {bias = neap.zeros(STATES)}
for d = 1, REACH do params["apart" .. d] = neap.zeros(STATES, STATES) end

-- z [B, LENGTH, STATES], one-hot
local E = neap.energy(function (z)
  local e = -z:matmul(params.bias):sum(2)
  for d = 1, REACH do
    local left, right = z:slice(2, 1, LENGTH - d), z:slice(2, d + 1, LENGTH)
    e = e - (left:matmul(params["apart" .. d]) * right):sum {2, 3}
  end
  return e
end, {params = params, event = {LENGTH}, states = STATES, name = "letters"})

-- ---- training ----

local text = pieces(the_text())
local loss = neap.loss.pseudo_likelihood{linear = true}      -- no letter is multiplied by itself
neap.train(E, text, {loss = loss, steps = steps, batch = 256, seed = 1,
                     optimizer = neap.optim.adam{lr = neap.schedule.linear{lr = .05, final = .001, steps = steps}}})

-- ---- what it has learnt ----

-- how often letter j follows letter i in the middle of a piece, [STATES, STATES]
local function pairs_of (x)
  local middle = LENGTH // 2
  local first, second = x:select(2, middle):one_hot(STATES), x:select(2, middle + 1):one_hot(STATES)
  return first:t():matmul(second) / x.shape[1]
end

local function distance (a, b) return ((a - b):abs():sum() / 2):item() end

local wanted = pairs_of(text)
local letters = wanted:sum(2)
print(("nats a letter given the others: %.3f; of letters by themselves %.3f"):format(
  loss(E, text:slice(1, 1, 5000)):item() / LENGTH, -(letters * (letters + 1e-12):log()):sum():item()))
local CHAINS, KEPT = 500, 4
local as_many = distance(wanted, pairs_of(text:index_select(1, neap.randint(1, text.shape[1], {CHAINS * KEPT}))))
print(("pairs, distance from the text's (0 to 1): independent letters %.3f, as many pieces of the text itself %.3f")
  :format(distance(wanted, letters:unsqueeze(2) * letters), as_many))

local function report (name, sampler, options)
  options.chains, options.init, options.progress = CHAINS, neap.randint(1, STATES, {CHAINS, LENGTH}), false
  local draws, info = sampler:sample(E, options)
  local all = draws:reshape(-1, LENGTH)
  local off = distance(wanted, pairs_of(all))
  print(("%-22s %.3f  (%.1f s)   %s"):format(name, off, info.seconds, table.concat({to_text(all[1]), to_text(all[2]),
    to_text(all[3]), to_text(all[4]), to_text(all[5])}, "  ")))
  return off
end

local off = {report("Gibbs", neap.sampler.gibbs{}, {warmup = 20, steps = 5 * KEPT, thin = 5, seed = 2}),
             report("Gibbs with gradients", neap.sampler.gibbs_with_gradients{},
                    {warmup = 800, steps = 200 * KEPT, thin = 200, seed = 3})}
for _, d in ipairs(off) do
  if d > as_many + .04 then error(("samples are farther from the text than chance: %.3f"):format(d)) end
end
