-- A training goes on in the memory and with the programs that its first iterations took (check_memory.lua: for longer).
local training = require "program.training"
local T = {}

function T.test_train () training.check("train", 2000) end
function T.test_by_hand () training.check("by_hand", 2000) end

return T
