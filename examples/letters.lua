-- letters.lua -- an energy of short pieces of text: letters that like, or shun, each other at distances of 1 to 4.
--
--   build/neap examples/letters.lua [text file [steps]]
--
-- E(x) = −Σᵢ b[xᵢ] − Σ_d Σᵢ W_d[xᵢ, xᵢ₊d], a Potts model with a table for each distance, is written for one-hot x: that is
-- what states = 27 asks for.  It learns by pseudo-likelihood, which needs no sampling and no normaliser, from pieces of
-- the given text, or of the project's own pages, and is sampled by Gibbs and by Gibbs with gradients.

local path, steps = arg[1], tonumber(arg[2] or 400)
local here = arg[0]:match "^(.*)/[^/]*$" or "."
local LENGTH, REACH, STATES, HELD_OUT = 10, 4, 27, 2000
neap.seed(1)

-- ---- the text: a … z, and anything else a space ----

local function read (name)
  local f = assert(io.open(name))
  local text = f:read "a"
  f:close()
  return text:lower():gsub("[^a-z]+", " ")
end

local function the_text ()
  if path then return read(path) end
  local pages = {}
  for _, name in ipairs {"design", "energies", "samplers", "training", "programs", "tensors", "c"} do
    pages[#pages + 1] = read(("%s/../docs/%s.md"):format(here, name))
  end
  return table.concat(pages, " ")
end

-- int64 [pieces, LENGTH], 1 … 26 for letters and 27 for a space, from a text
local function pieces (text)
  local codes = {text:byte(1, -1 > #text and 0 or math.min(#text, 200000))}
  for i, code in ipairs(codes) do codes[i] = code == 32 and STATES or code - 96 end
  local all = neap.tensor(codes, {dtype = "int64"})
  local columns = {}
  for i = 1, LENGTH do columns[i] = all:slice(1, i, #codes - LENGTH + i) end
  return neap.stack(columns, 2)
end

local function to_text (row)
  local letters = {}
  for i, code in ipairs(row:totable()) do letters[i] = code == STATES and "_" or string.char(96 + code) end
  return table.concat(letters)
end
