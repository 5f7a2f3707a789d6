-- check_two_moons_chains.lua -- the slower half of examples/two_moons.lua comes near the truth.

local near_the_truth = require "examples.two_moons"

local T = {}

function T.test_methods_with_chains () near_the_truth{"cd", "pcd", "diffusion_recovery"} end

return T
