-- Random functions as programs; check_random.lua has more of them.
local checks = require "program.random_checks"
local T = {}

function T.test_compiled () checks.run("compiled", 1, 150, 12) end
function T.test_gradients () checks.run("gradients", 1, 150, 12) end
function T.test_differentiated () checks.run("differentiated", 1, 60, 10) end
function T.test_sampled () checks.run("sampled", 1, 80, 12) end
function T.test_scanned () checks.run("scanned", 1, 30, 12) end

return T
