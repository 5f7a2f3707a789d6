-- Every example runs to its end within a minute, and the figures it prints are right.
local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}
local build = os.getenv "NEAP_BUILD" or "build"

local function absolute (path)
  if path:sub(1, 1) == "/" then return path end
  local pipe = assert(io.popen "pwd")
  local here = pipe:read "l"
  pipe:close()
  return here .. "/" .. path
end

-- What examples/name.lua prints, run in a folder of its own.
local function run (name)
  local start = neap.clock()
  local command = ("cd '%s' && '%s' '%s' 2>&1; echo status $?"):format(folder.file "", absolute(build .. "/neap"),
    absolute("examples/" .. name .. ".lua"))
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  pipe:close()
  lu.assertStrContains(out, "status 0")
  if not os.getenv "NEAP_SANITIZER" then lu.assertTrue(neap.clock() - start < 60, name) end
  return out
end

-- The numbers after a text.
local function numbers (out, text)
  local _, last = out:find(text, 1, true)
  lu.assertNotNil(last, text)
  local found = {}
  for n in out:sub(last + 1):gmatch "%-?%d+%.?%d*" do found[#found + 1] = tonumber(n) end
  return found
end

function T.test_langevin_cd ()
  lu.assertTrue(numbers(run "langevin_cd", "new data:")[1] < .02)
  lu.assertEquals(neap.image.load(folder.file "langevin_cd.png").ndim, 3)
end

function T.test_fisher_divergence ()
  local out = run "fisher_divergence"
  local n = numbers(out, "at ( 2.0,  2.0)")
  lu.assertAlmostEquals(n[2], n[1], .3)
  lu.assertAlmostEquals(n[3], -n[1], .3)
  lu.assertTrue(numbers(out, "mixture:  right")[1] < .01)
end

function T.test_denoising_score_matching ()
  local n = numbers(run "denoising_score_matching", "spirals:")
  lu.assertTrue(n[2] < n[1] / 2)
end

function T.test_noise_contrastive ()
  local out = run "noise_contrastive"
  local z, l = numbers(out, "log Z: learned"), numbers(out, "model")
  lu.assertAlmostEquals(z[1], z[2], .1)
  lu.assertAlmostEquals(l[1], l[2], .05)
end

function T.test_metropolis_hastings ()
  local out = run "metropolis_hastings"
  for _, name in ipairs {"mean of x₁", "mean of x₂", "variance x₁", "variance x₂"} do
    local n = numbers(out, name)
    lu.assertAlmostEquals(n[1], n[2], 4 * n[3])
  end
end

function T.test_rbm_cd ()
  local out = run "rbm_cd"
  lu.assertTrue(numbers(out, "CD-10 ")[1] < 4.5)
  lu.assertTrue(numbers(out, "own entropy    3.379 nats\n")[1] >= 56)
end

function T.test_log_ratio ()
  local n = numbers(run "log_ratio", "near 3.1:")
  lu.assertAlmostEquals(n[1], n[2], .01)
end

function T.test_composition ()
  local out = run "composition"
  for _, name in ipairs {"ring and right", "ring or right", "ring, not right", "ring, 4 times hotter"} do
    local n = numbers(out, name .. " ")
    lu.assertAlmostEquals(n[1], n[2], .02, name)
  end
end

function T.test_anomaly ()
  local out = run "anomaly"
  lu.assertTrue(numbers(out, "readings:")[1] < 4)
  lu.assertTrue(numbers(out, "between the arms")[2] > .95)
end

function T.test_motion_planner ()
  lu.assertTrue(numbers(run "motion_planner", "")[1] >= 50)
end

function T.test_forecast ()
  lu.assertAlmostEquals(numbers(run "forecast", "new measurements")[1], 90, 5)
end

function T.test_exponential_family ()
  local out = run "exponential_family"
  local sample, a, b = numbers(out, "mean"), numbers(out, "score matching"), numbers(out, "maximum likelihood")
  lu.assertAlmostEquals(a[3], sample[1], 1e-3)
  lu.assertAlmostEquals(b[4], sample[2], 1e-3)
end

return T
