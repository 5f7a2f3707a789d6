-- check_parts.lua -- test_minibatch.lua and test_blocks.lua with twenty times the chains, and ten times the steps.

local law = require "sampler.law"
law.longer, law.more = 10, 20
local T = {}
for _, name in ipairs {"minibatch", "blocks"} do
  for k, f in pairs(dofile((arg[1]:gsub("check_parts", "test_" .. name)))) do T[k .. "_" .. name] = f end
end

return T
