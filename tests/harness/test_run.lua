-- test_run.lua -- the test runner itself: whatever is not known to have passed has failed.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}

-- Runs a folder of planted files; -> verdict line, whole output, exit code.
local function verdict (files, options, environment)
  local folder = cli.folder()
  for name, text in pairs(files) do cli.spill(folder .. "/" .. name, text) end
  local out, err, code = cli.run(("%s NEAP_TESTS=%s NEAP_TEST_TIMEOUT=5 lua5.4 tests/run.lua %s"):format(environment or "",
    folder, options or ""))
  cli.remove(folder)
  return out:match "([^\n]*)\n$", out .. err, code
end

local header = "local lu = require 'luaunit' local T = {}\n"

local function one (body) return {["test_planted.lua"] = header .. "function T.test_it () " .. body .. " end return T"} end

local function fails (files, why)
  local line, output, code = verdict(files)
  lu.assertStrMatches(line, "%d+ passed, 1 failed", nil, nil, output)
  lu.assertEquals(code, 1)
  lu.assertStrContains(output, why)
end

function T.test_pass ()
  local line, _, code = verdict(one "lu.assertEquals(1, 1)")
  lu.assertEquals({line, code}, {"1 passed, 0 failed", 0})
end

function T.test_wrong_value () fails(one "lu.assertEquals(1, 2)", "expected: 2, actual: 1") end
function T.test_error () fails(one "local x = nil; x.y = 1", "attempt to index") end
function T.test_asserts_nothing () fails(one "return 1 + 1", "asserts nothing") end
function T.test_crash () fails(one "lu.assertTrue(true) os.execute('kill -SEGV $PPID')", "died in test_it") end
function T.test_early_exit () fails(one "lu.assertTrue(true) os.exit(0)", "died in test_it") end
function T.test_endless () fails(one "lu.assertTrue(true) while true do end", "no end after") end
function T.test_syntax () fails({["test_planted.lua"] = "x = ="}, "unexpected symbol") end
function T.test_no_table () fails({["test_planted.lua"] = "x = 1"}, "must return a table") end

function T.test_skip_is_no_pass ()
  local line, output, code = verdict(one "lu.skip 'not today'")
  lu.assertEquals({line, code}, {"0 passed, 0 failed", 1})
  lu.assertStrContains(output, "not today")
end

function T.test_one_failure_among_passes ()
  local files = {["test_a.lua"] = header .. "function T.test_a () lu.assertTrue(true) end function T.test_b () lu.assertTrue(false) end return T",
    ["test_b.lua"] = header .. "function T.test_c () lu.assertTrue(true) end return T"}
  local line, _, code = verdict(files)
  lu.assertEquals({line, code}, {"2 passed, 1 failed", 1})
  lu.assertEquals((verdict(files, "test_c")), "1 passed, 0 failed")
end

-- of two at a time the first waits for what the third does
function T.test_a_long_one_holds_up_nothing ()
  local mark = os.tmpname()
  os.remove(mark)
  local waits = ("local f repeat f = io.open(%q) until f f:close() os.remove(%q) lu.assertTrue(true)"):format(mark, mark)
  local does = ("io.open(%q, 'w'):close() lu.assertTrue(true)"):format(mark)
  local files = {}
  for i, body in ipairs {waits, "lu.assertTrue(true)", does} do
    files[("test_%d.lua"):format(i)] = header .. ("function T.test_it () %s end return T"):format(body)
  end
  local line, output = verdict(files, nil, "NEAP_JOBS=2")
  lu.assertEquals(line, "3 passed, 0 failed", output)
end

function T.test_slow_ones_are_apart ()
  local files = {["check_a.lua"] = header .. "function T.test_slow () lu.assertTrue(true) end return T"}
  lu.assertEquals((verdict(files)), "0 passed, 0 failed")
  lu.assertEquals((verdict(files, "--check")), "1 passed, 0 failed")
end

return T
