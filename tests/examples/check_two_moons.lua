-- check_two_moons.lua -- the quicker half of examples/two_moons.lua comes near the truth.

local near_the_truth = require "examples.two_moons"

local T = {}

function T.test_methods_without_chains () near_the_truth{"nce", "ssm", "multi_dsm"} end

return T
