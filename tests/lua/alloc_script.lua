-- alloc_script.lua -- what tests/lua/test_alloc.c runs while each allocation fails in turn: it builds, differentiates,
-- samples, trains and saves.  `path` is a global: where to save.
local neap = require "neap"
neap.set_threads(1)
local x = neap.tensor{{1, 2}, {3, 4}, {-1, .5}}
local w = neap.randn(2, 3):requires_grad()
local loss = x:matmul(w):silu():square():mean()
local g = neap.gradients(loss, w, {create_graph = true})
assert(neap.gradients(g:square():sum(), w).ndim == 2)
assert(neap.hessian(function(v) return v:exp():sum() end, neap.tensor{1, 2}):size(1) == 2)
assert(x[{{1, 2}, 1}]:totable()[2] == 3)
x[{1}] = 0
local E = neap.energy.gaussian{mean = {0, 1}, std = {1, 2}} + 0.5 * neap.energy.mlp{sizes = {2, 4}}
local bond = neap.energy.ising{edges = {{1, 6}}, shape = {2, 3}, beta = 1}
local lattice = neap.energy.ising{shape = {2, 3}, beta = 0.4, field = 0.1} + bond
assert(lattice(neap.ones(2, 2, 3)):numel() == 2)
assert(neap.energy.ising{shape = {2, 3}, beta = neap.tensor(0.4):requires_grad(), field = 0.1}:log_z() > 0)
assert(neap.energy.gaussian_rbm{visible = 2, hidden = 3}:log_z() > 0)
local own = neap.energy(function(v) return (v * v):sum(-1) end)
local draws = neap.sampler.mala{step_size = 0.1}:sample(E + own, {chains = 2, steps = 3})
assert(draws.ndim == 3)
local ladder = neap.sampler.parallel_tempering{n = 3, kernel = neap.sampler.gibbs{}}
assert(ladder:sample(bond, {chains = 2, steps = 1, warmup = 33}).ndim == 4)
assert(bond:log_z{method = "reverse_ais", chains = 2, temperatures = 5, warmup = 1} > 0)
assert(bond:log_z{method = "smc", particles = 32, steps = 1} > 0)
E:save(path)
assert(neap.energy.load(path)(x):numel() == 3)
assert(#tostring(x) > 0)
local parts = neap.sampler.blocks{{{1}, neap.sampler.gibbs_with_gradients{}}, {{2}, neap.sampler.mala{step_size = 0.1}}}
assert(parts:sample(own, {init = neap.tensor{{0, .5}, {1, -1}}, steps = 1}).ndim == 3)
local rows = neap.energy(function(v, y) return ((y - v:unsqueeze(2)) ^ 2):sum{2, 3} end)
local sgld = neap.sampler.sgld{step_size = 0.01, data = x, batch = 2, prior = neap.energy.gaussian{mean = {0, 0}}}
assert(sgld:sample(rows, {init = x, steps = 1}).ndim == 3)
local levels = neap.loss.diffusion_recovery{sigmas = {1, 0}, steps = 1}
assert(neap.gradients(levels(E, x), (E:params()), {allow_unused = true})[1])
local classes = neap.energy.classifier(neap.energy.mlp{sizes = {2, 2}})
local jem = neap.loss.jem{sampler = neap.sampler.langevin{step_size = 0.1}, buffer = 3}
assert(jem(classes, {x, neap.tensor({1, 2, 1}, {dtype = "int64"})}):item())
jem:set_state(jem:state())
jem:set_state{}
