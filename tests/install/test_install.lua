-- test_install.lua -- make install, and what a user of the installed tree does: the program, stock Lua, C hosts by pkg-config.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}
local prefix

local function installed ()
  if prefix then return prefix end
  prefix = cli.folder()
  local out, err, code = cli.run(("MAKEFLAGS= make --no-print-directory BUILD=%s SANITIZER=%s HOSTILE=%s install PREFIX=%s"):format(
    cli.quote(cli.build), cli.sanitizer, os.getenv "NEAP_HOSTILE" or "", prefix))
  assert(code == 0, out .. err)
  return prefix
end

local function plain_build ()
  if cli.sanitizer ~= "" then lu.skip "hosts are not sanitized" end
end

function T.test_1_files ()
  local at = installed()
  for _, file in ipairs {"bin/neap", "include/neap/neap.h", "include/neap/neap_ops.h", "lib/libneap.so.0", "lib/libneap.so", "lib/libneap.a",
    "lib/lua/5.4/neap/core.so", "share/lua/5.4/neap.lua", "lib/pkgconfig/neap.pc", "lib/pkgconfig/neap-lua.pc"} do
    local f <close> = io.open(at .. "/" .. file)
    lu.assertNotNil(f, file)
  end
end

function T.test_2_program ()
  local out, err = cli.run(installed() .. "/bin/neap -e 'print(neap.ones(3):sum():item())'")
  lu.assertEquals(out .. err, "3.0\n")
end

function T.test_3_stock_lua ()
  plain_build()
  local at = installed()
  local out, err = cli.run(("LUA_PATH=%s/share/lua/5.4/?.lua LUA_CPATH=%s/lib/lua/5.4/?.so lua5.4 -e 'print(require \"neap\".ones(3):sum():item())'"):format(at, at))
  lu.assertEquals(out .. err, "3.0\n")
end

function T.test_4_core_is_not_linked_to_lua ()
  local out = cli.run(("ldd %s/lib/lua/5.4/neap/core.so"):format(installed()))
  lu.assertStrContains(out, "libopenblas")
  lu.assertNotStrContains(out, "liblua")
end

function T.test_5_soname ()
  local out = cli.run(("readelf -d %s/lib/libneap.so"):format(installed()))
  lu.assertStrContains(out, "libneap.so.0]")
end

-- Only what neap.h declares is shown: prefix neap_.
function T.test_6_symbols ()
  plain_build()
  local out = cli.run(("nm -D --defined-only %s/lib/libneap.so"):format(installed()))
  local count = 0
  for name in out:gmatch " [TDBRW] ([%w_]+)" do
    lu.assertStrMatches(name, "neap_[%w_]+")
    count = count + 1
  end
  lu.assertTrue(count > 100)
end

local function compiled (source, packages)
  local at = installed()
  local command = ("PKG_CONFIG_PATH=%s/lib/pkgconfig; export PKG_CONFIG_PATH; %s -std=c11 -Wall -Wextra -Werror %s -o %s/host $(pkg-config --cflags --libs %s)"):format(
    at, os.getenv "CC" or "cc", source, at, packages)
  local out, err, code = cli.run(command)
  lu.assertEquals(out .. err, "", command)
  lu.assertEquals(code, 0)
  return cli.run(("LUA_PATH='%s/share/lua/5.4/?.lua;;' LUA_CPATH='%s/lib/lua/5.4/?.so;;' LD_LIBRARY_PATH=%s/lib %s/host"):format(at, at, at, at))
end

function T.test_7_c_without_lua ()
  plain_build()
  local out, err, code = compiled("examples/embed/hello.c", "neap")
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(out, ".*%d+%.%d+.*")
end

function T.test_8_host_with_lua ()
  plain_build()
  local out, err, code = compiled("examples/embed/host.c", "neap-lua lua5.4")
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(out, ".*%d.*")
end

function T.test_9_cplusplus ()
  plain_build()
  local at = installed()
  cli.spill(at .. "/x.cc", "#include <neap.h>\nint main () { neap_context *c = neap_open(nullptr); bool ok = c && neap_status_of(c) == NEAP_OK; neap_close(c); return !ok; }\n")
  local _, _, found = cli.run "command -v g++"
  if found ~= 0 then lu.skip "no g++" end
  local out, err, code = cli.run(("g++ -Wall -Wextra -Werror -I%s/include/neap %s/x.cc -o %s/x -L%s/lib -lneap && LD_LIBRARY_PATH=%s/lib %s/x"):format(at, at, at, at, at, at))
  lu.assertEquals({out .. err, code}, {"", 0})
end

-- DESTDIR is put before, and leaves no trace in the files.
function T.test_destdir ()
  local stage = cli.folder()
  local _, err, code = cli.run(("MAKEFLAGS= make --no-print-directory BUILD=%s SANITIZER=%s HOSTILE=%s install DESTDIR=%s PREFIX=/opt/neap"):format(
    cli.quote(cli.build), cli.sanitizer, os.getenv "NEAP_HOSTILE" or "", stage))
  local pc = cli.run(("cat %s/opt/neap/lib/pkgconfig/neap.pc"):format(stage))
  cli.remove(stage)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrContains(pc, "prefix=/opt/neap\n")
  lu.assertNotStrContains(pc, stage)
end

function T.test_z_remove ()
  cli.remove(installed())
  prefix = nil
  lu.assertNil(prefix)
end

return T
