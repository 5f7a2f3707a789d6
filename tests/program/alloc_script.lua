-- alloc_script.lua -- what tests/lua/test_alloc.c runs, too: functions as programs, their derivatives, scans.
local neap = require "neap"
neap.set_threads(1)
local x, w = neap.ones(3, 2), neap.ones(2):requires_grad()
local f = neap.compile(function(v) return (v * w):exp():sum() end)
for _ = 1, 3 do assert(neap.gradients(f(x), w).ndim == 1) end
local _, ys = neap.scan(function(c, v) return c + v, {c * 2} end, x, neap.zeros(6, 3, 2))
assert(ys[1].ndim == 3)
