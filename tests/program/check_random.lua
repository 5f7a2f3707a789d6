-- Many random functions as programs (see random.lua).
local checks = require "program.random_checks"
local T = {}

function T.test_compiled () checks.run("compiled", 1001, 1700, 12) end
function T.test_gradients () checks.run("gradients", 1001, 1700, 12) end
function T.test_long_ones () checks.run("gradients", 3001, 3100, 40) end
function T.test_differentiated () checks.run("differentiated", 1001, 1300, 10) end
function T.test_sampled () checks.run("sampled", 1001, 1400, 14) end
function T.test_scanned () checks.run("scanned", 1001, 1200, 14) end

return T
