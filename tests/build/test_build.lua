-- test_build.lua -- make's own behaviour: what a changed header rebuilds, and how missing packages are dealt with.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}

-- Which sources make would compile again if the file had changed.
local function recompiled (changed)
  local out, err, code = cli.run(("MAKEFLAGS= make -n --no-print-directory BUILD=%s SANITIZER=%s HOSTILE=%s -W %s all"):format(
    cli.quote(cli.build), cli.sanitizer, os.getenv "NEAP_HOSTILE" or "", changed))
  lu.assertEquals({err, code}, {"", 0})
  local found = {}
  for file in out:gmatch '"  cc  ([^"]+)"' do found[file] = true end
  return found
end

function T.test_headers_rebuild ()
  local core = recompiled "runtime/core.h"
  for _, file in ipairs {"runtime/tensor.c", "runtime/reverse.c", "runtime/kernels/tile.c base", "lua/module.c"} do
    lu.assertTrue(core[file], file)
  end
  lu.assertTrue(recompiled "lua/bind.h"["lua/state.c"])
  lu.assertTrue(recompiled "runtime/ops/elementwise.def"["runtime/gen/gen_ops.c"])
end

-- deps.sh with a package manager of paper: what it says and does, by who asks.  -> output, exit code
local function deps (which, user, present, sudo)
  local folder = cli.folder()
  local function program (name, text)
    cli.spill(folder .. "/" .. name, "#!/bin/sh\n" .. text .. "\n")
    cli.run(("chmod +x %s/%s"):format(folder, name))
  end
  local lines = {}
  for name in present:gmatch "%S+" do lines[#lines + 1] = "echo installed " .. name end
  program("dpkg-query", table.concat(lines, "\n"))
  program("id", "echo " .. (user == "root" and 0 or 1000))
  program("apt-get", "echo ran apt-get \"$@\"")
  program("sudo", sudo and "[ \"$1\" = -n ] && shift; exec \"$@\"" or "exit 1")
  local out, err, code = cli.run(("PATH=%s:/usr/bin:/bin sh mk/deps.sh %s"):format(folder, which))
  cli.remove(folder)
  return out .. err, code
end

local build = "gcc libc6-dev make liblua5.4-dev libopenblas-dev libopenblas-pthread-dev libsleef-dev libjansson-dev libpng-dev zlib1g-dev"

function T.test_nothing_missing_is_silent ()
  lu.assertEquals({deps("build", "user", build)}, {"", 0})
end

function T.test_root_installs_what_is_missing ()
  local out, code = deps("build", "root", (build:gsub("libsleef%-dev ", "")))
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "apt-get update && apt-get install -y --no-install-recommends libsleef-dev\n")
  lu.assertStrContains(out, "ran apt-get update")
  lu.assertStrContains(out, "ran apt-get install -y -q --no-install-recommends libsleef-dev\n")
end

function T.test_sudo_installs_what_is_missing ()
  local out, code = deps("demo", "user", build, true)
  lu.assertEquals(code, 0)
  lu.assertStrContains(out, "sudo apt-get update && sudo apt-get install -y --no-install-recommends dataset-fashion-mnist\n")
  lu.assertStrContains(out, "ran apt-get install -y -q --no-install-recommends dataset-fashion-mnist\n")
end

function T.test_others_are_told_the_command ()
  local out, code = deps("test", "user", build)
  lu.assertEquals(code, 1)
  lu.assertStrContains(out, "sudo apt-get update && sudo apt-get install -y --no-install-recommends dataset-fashion-mnist lua5.4 lua-unit")
  lu.assertNotStrContains(out, "ran ")
end

return T
