-- test_show.lua -- what prints as what it holds is a plain table otherwise.

local lu = require "luaunit"
local cli = require "cli.support"
local T = {}

function T.test_shapes ()
  local shape = neap.zeros(2, 3).shape
  lu.assertEquals(tostring(shape), "[2, 3]")
  lu.assertEquals(tostring(neap.zeros(2, 3):size()), "[2, 3]")
  lu.assertEquals(tostring(neap.tensor(1).shape), "[]")
  lu.assertEquals(tostring(neap.energy.funnel{dim = 2}.event), "[2]")
  lu.assertEquals({#shape, shape[2], table.concat(shape, "x"), table.unpack(shape)}, {2, 3, "2x3", 2, 3})
  local sum = 0
  for i, n in ipairs(shape) do sum = sum + i * n end
  lu.assertEquals(sum, 8)
  lu.assertEquals(shape, {2, 3})
  lu.assertEquals(neap.ones(shape).shape, shape)
  lu.assertEquals(neap.zeros(6):reshape(shape).shape, {2, 3})
  table.insert(shape, 4)
  lu.assertEquals(tostring(shape), "[2, 3, 4]")
end

function T.test_equal_shapes ()
  local x, y = neap.zeros(2, 3), neap.zeros(2, 3)
  lu.assertTrue(x.shape == y.shape and x.shape == {2, 3} and {2, 3} == x.shape)
  lu.assertFalse(x.shape == {2} or x.shape == {3, 2} or x.shape == {2, 3, 1} or x.shape == 2)
end

function T.test_records ()
  local _, report = neap.gradcheck(neap.sin, neap.ones(2))
  lu.assertStrMatches(tostring(report), "order  1\ntol    1e%-06\nworst  [%d.e-]+")
  local m = neap.memory()
  lu.assertEquals(tostring(m), ("allocations  %d\ncached       %d\nlive         %d\npeak         %d\nprograms     %d"):format(
    m.allocations, m.cached, m.live, m.peak, m.programs))
  lu.assertStrContains(tostring(neap.info()), "version       " .. neap.version)
  local names = 0
  for _ in pairs(m) do names = names + 1 end
  lu.assertEquals(names, 5)
end

function T.test_at_the_prompt ()
  local out = cli.run(cli.quote(cli.build .. "/neap") .. " -i", "neap.zeros(4, 5).shape\nneap.zeros(3):size()\n{}\n")
  lu.assertStrContains(out, "[4, 5]\n")
  lu.assertStrContains(out, "[3]\n")
  lu.assertStrMatches(out, ".*table: 0x%x+.*")
end

-- What objects say of themselves.
function T.test_objects ()
  lu.assertEquals(tostring(neap.sampler.hmc{step_size = .1}), "hmc sampler, step size 0.1")
  lu.assertEquals(tostring(neap.sampler.gibbs{}), "gibbs sampler")
  lu.assertEquals(tostring(neap.loss.dsm{sigma = .1}), "dsm loss")
  lu.assertEquals(tostring(neap.bijector.simplex), "bijector simplex")
  lu.assertEquals(tostring(neap.rng(3)), "rng (seed 3, stream 0, step 0)")
  lu.assertEquals(tostring(neap.energy.gaussian{mean = {0, 0}, std = 1}), "gaussian: event [2], 0 parameters (0 numbers)")
end

return T
