-- oneDNN from outside: what neap.info() says of it, a network with and without it, and libraries that are refused.
local lu = require "luaunit"
local build = os.getenv "NEAP_BUILD" or "build"
local T = {}

-- what neap prints that runs a script with NEAP_ONEDNN set
local function said (library, script)
  local command = ("NEAP_ONEDNN='%s' '%s/neap' -e '%s' 2> /dev/null"):format(library, build, script)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read "a":gsub("\n$", ""))
end

local function about (library) return said(library, "print(neap.info().onednn)") end

local function has_it () return about "":match "^2%.%d+%.%d+$" ~= nil end

function T.test_info ()
  local found = neap.info().onednn
  local version, refused = found:match "^2%.%d+%.%d+$", found:match "^refused: "
  lu.assertTrue(version ~= nil or refused ~= nil or found == "absent" or found == "off")
  lu.assertEquals(about "off", "off")
  lu.assertStrContains(about "/nowhere.so", "refused: /nowhere.so")
end

local network = [[
  neap.seed(1)
  local E = neap.energy.conv{input = {1, 28, 28}, channels = {16, 32, 64}, kernels = {5, 3, 3}, hidden = 32}
  local x = neap.rand(70, 1, 28, 28)
  local s = neap.sampler.langevin{step_size = 1, noise_std = .01}
  neap.threads(THREADS)
  local drawn = s:step(E, s:init(E, x, neap.rng(2)), 5).x
  for _, w in ipairs((E:params())) do w[{}] = w:detach() * 1.5 end  -- what is kept of filters must not be used again
  drawn = drawn + s:step(E, s:init(E, x, neap.rng(2)), 5).x
  local loss = neap.loss.cd{sampler = s, steps = 2}
  local g = neap.gradients(loss(E, x, neap.rng(3)), (E:params()))
  local sums = {(drawn * drawn):sum():item(), E(drawn):sum():item()}
  for _, t in ipairs(g) do sums[#sums + 1] = (t * t):sum():item() end
  print(table.concat(sums, " "))
]]

local function numbers (text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = assert(tonumber(word), text) end
  return list
end

function T.test_a_network_with_and_without_it ()
  if not has_it() then lu.skip "oneDNN is not here" end
  local with, without = said("", network:gsub("THREADS", "1")), numbers(said("off", network:gsub("THREADS", "1")))
  lu.assertEquals(said("", network:gsub("THREADS", "2")), with)
  with = numbers(with)
  lu.assertEquals(#with, #without)
  lu.assertTrue(#with > 8)
  for i, v in ipairs(with) do lu.assertAlmostEquals(v, without[i], 2e-4 * math.abs(without[i])) end
end

local fake = [[
#include <stddef.h>
typedef struct { int major, minor, patch; const char *hash; unsigned cpu, gpu; } version;
const version *dnnl_version (void) { static const version v = { %d, 1, 4, NULL, %d, 0 }; return &v; }
]]

-- what info says of a library of such a version, built for such threads (1: none, 4: TBB's)
local function of_fake (major, threads)
  local name = os.tmpname()
  local source <close> = assert(io.open(name .. ".c", "w"))
  source:write(fake:format(major, threads))
  source:flush()
  local built = os.execute(("%s -shared -fPIC -o %s.so %s.c"):format(os.getenv "CC" or "cc", name, name))
  local text = built and about(name .. ".so")
  for _, ending in ipairs { "", ".c", ".so" } do os.remove(name .. ending) end
  return text
end

function T.test_other_versions_are_refused ()
  lu.assertEquals(of_fake(3, 2), "refused: version 2 expected, got 3.1.4")
  lu.assertEquals(of_fake(1, 2), "refused: version 2 expected, got 1.1.4")
  lu.assertEquals(of_fake(2, 4), "refused: its threads are not OpenMP's")
  lu.assertEquals(of_fake(2, 1), "refused: without dnnl_engine_create")
end

return T
