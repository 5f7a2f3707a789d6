-- A long training goes on in the memory and with the programs that its first hundred iterations took; prints its times.
local training = require "program.training"
local T = {}

function T.test_train () training.check("train", 20000) end
function T.test_by_hand () training.check("by_hand", 20000) end

return T
