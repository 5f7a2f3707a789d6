-- two_moons.lua -- what examples/two_moons.lua prints of some methods is near the truth.

local lu = require "luaunit"
local cli = require "cli.support"

return function (methods)
  local list = table.concat(methods, " ")
  local out, err, code = cli.run(("%s/neap examples/two_moons.lua %s"):format(cli.quote(cli.build), list))
  lu.assertEquals(code, 0, out .. err)
  for _, name in ipairs(methods) do
    local fd, mmd, model, truth = out:match("\n" .. name .. " +([-%d.]+) +([-%d.]+) +([-%d.]+) +([-%d.]+)")
    lu.assertTrue(tonumber(fd) < .003 and tonumber(mmd) < .002, out)
    lu.assertAlmostEquals(tonumber(model), tonumber(truth), .05)
  end
end
