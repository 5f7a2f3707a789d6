-- check_path.lua -- do the 95 % intervals of AIS hold log Z as often as they say, and are they narrow?

local lu = require "luaunit"
local enumerate = require "sampler.enumerate"
local T = {}

local exact = {
  [4] = {[.1] = 11.252588, [.25] = 12.201271, [.4406868] = 15.521916, [.6] = 20.056533},
  [6] = {[.1] = 25.31634, [.25] = 27.337974, [.4406868] = 34.111541, [.6] = 44.258107},
}

-- of 100 intervals, how many hold the truth; the widest
local function cover (E, truth, options)
  local held, widest = 0, 0
  for seed = 1, 100 do
    options.seed = seed
    local _, info = E:log_z(options)
    local low, high = info.interval[1], info.interval[2]
    if low <= truth and truth <= high then held = held + 1 end
    widest = math.max(widest, high - low)
  end
  return held, widest
end

for _, method in ipairs{"ais", "reverse_ais"} do
  for size, values in pairs(exact) do
    for beta, truth in pairs((method == "ais" or size == 4) and values or {}) do
      T[("test_%s_of_ising_%d_at_%g"):format(method, size, beta)] = function ()
        local E = neap.energy.ising{shape = {size, size}, beta = beta}
        lu.assertAlmostEquals(E:log_z(), truth, 1e-6)
        local hard = method == "ais" and size == 6 and beta > .4         -- an ordered phase is entered on the way
        local held, widest = cover(E, truth, {method = method, chains = hard and 400 or 256,
                                              temperatures = hard and 2000 or 500})
        print(("%s, Ising %d at %g: %d of 100 intervals hold log Z, the widest %.3f"):format(method, size, beta, held,
                                                                                              widest))
        if method == "ais" then
          lu.assertTrue(held >= 88, tostring(held))
          lu.assertTrue(widest < .1, tostring(widest))
        else                                              -- its starts are ends of other chains: nearly exact
          lu.assertTrue(held >= 80, tostring(held))
        end
      end
    end
  end
end

function T.test_smc_of_ising ()
  local E = neap.energy.ising{shape = {4, 4}, beta = .4406868}
  local held = cover(E, exact[4][.4406868], {method = "smc", particles = 512, steps = 5})
  print(("smc, Ising 4 at 0.4407: %d of 100 intervals hold log Z"):format(held))
  lu.assertTrue(held >= 88, tostring(held))
end

function T.test_machine_20_by_20 ()
  local E = enumerate.machine(20, 20, .5)
  local held, widest = cover(E, E:log_z(), {method = "ais", chains = 256, temperatures = 500})
  print(("ais, RBM 20 x 20: %d of 100 intervals hold log Z, the widest %.3f"):format(held, widest))
  lu.assertTrue(held >= 88, tostring(held))
end

return T
