-- test_neap.lua -- what the neap program has besides lua's: its options, its library, the terminal, Ctrl-C.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}
local neap_path = cli.absolute(cli.build .. "/neap")
local command = cli.quote(neap_path)

local function output (arguments, input)
  local out, err, code = cli.run(command .. " " .. arguments, input)
  return out .. err, code
end

function T.test_version ()
  local text, code = output "--version"
  lu.assertEquals(code, 0)
  lu.assertStrMatches(text, "neap %d+%.%d+%.%d+  Lua 5%.4%.%d+  Copyright [^\n]*\n")
  lu.assertEquals((output "-v"), text)
end

function T.test_help ()
  local out, err, code = cli.run(command .. " --help")
  lu.assertEquals({err, code}, {"", 0})
  for _, option in ipairs {"-e stat", "-l mod", "-i ", "-v ", "-E ", "-W ", "--threads N", "--seed N", "--version", "--help"} do
    lu.assertStrContains(out, "  " .. option)
  end
end

function T.test_bad_values ()
  for _, bad in ipairs {"--threads", "--threads 0", "--threads x", "--threads=", "--threads -e", "--seed", "--seed 1.5", "--seed x", "--help=1", "--threadsx 2"} do
    local _, err, code = cli.run(command .. " " .. bad)
    lu.assertEquals(code, 1, bad)
    lu.assertStrContains(err, "usage:")
    lu.assertStrContains(err, "'" .. bad:match "%-%-%l+")
  end
end

function T.test_seed_and_threads ()
  local draw = "-e 'print(table.unpack(neap.randn(4):totable()))'"
  local first = output("--seed 5 --threads 1 " .. draw)
  lu.assertEquals((output("--seed=5 --threads=2 " .. draw)), first)
  lu.assertEquals((output("-e 'neap.seed(5)' " .. draw)), first)
  lu.assertNotEquals((output("--seed 6 " .. draw)), first)
end

function T.test_neap_is_there ()
  lu.assertEquals((output "-e 'print(neap == require \"neap\", neap.tensor {1, 2}:sum():item())'"), "true\t3.0\n")
  lu.assertEquals((output("-", "print(#neap.randn(3):exp())")), "3\n")
  lu.assertEquals((output("-E -e 'print(type(neap))'")), "table\n")
end

-- The program finds its library wherever its folder is moved to, and whatever the current folder is.
function T.test_moved_tree ()
  local folder = cli.folder()
  cli.run(("mkdir %s/b && cp %s %s/b/neap && cp -rL %s/lua %s/b/lua"):format(folder, command, folder, cli.quote(cli.build), folder))
  local out = cli.run(("cd / && %s/b/neap -e 'print(neap.ones(2):sum():item())'"):format(folder))
  cli.remove(folder)
  lu.assertEquals(out, "2.0\n")
end

function T.test_stock_lua ()
  if cli.sanitizer:find "address" or cli.sanitizer:find "thread" then lu.skip "lua5.4 is not sanitized" end
  local path = ("LUA_PATH=%s/lua/?.lua LUA_CPATH=%s/lua/?.so"):format(cli.build, cli.build)
  local out, err = cli.run(path .. " lua5.4 -e 'local neap = require \"neap\" print(neap.tensor {3, 4}:norm():item())'")
  lu.assertEquals(out .. err, "5.0\n")
end

-- An unfinished chunk at the end of the input is reported (lua 5.4.4 prints "(null)").
function T.test_unfinished_chunk ()
  local _, err, code = cli.run(command .. " -i", "function f (\n")
  lu.assertStrContains(err, "stdin:1: <name> or '...' expected near <eof>")
  lu.assertEquals(code, 0)
end

local function conversation (lines) return (cli.talk(command, table.concat(lines, "\n") .. "\n")) end

local function holds (lines)
  local transcript = conversation(lines)
  lu.assertNotStrContains(transcript, "\nfailed: ")
  lu.assertStrContains(transcript, "\nexit 0\n")
  return transcript
end

function T.test_prompt_on_terminal ()
  local transcript = holds {"expect > ", "send x = 20 + 1", "expect > ", "send x * 2", "expect 42", "expect > ", "send for i = 1, 2 do",
    "expect >> ", "send print('i is ' .. i) end", "expect i is 1", "expect i is 2", "expect > ", "key 4"}
  lu.assertStrMatches(transcript, "neap %d.*Lua 5%.4.*")
end

function T.test_completion ()
  holds {"expect > ", "send my_long_name = {inner = {field = 'found' .. 'it'}}", "expect > ", "send print(my_lo\t.inn\t.fie\t)", "expect foundit", "expect > ",
    "send s = 'abc'", "expect > ", "send print(s:uppe\t())", "expect ABC", "expect > ", "key 4"}
end

function T.test_history ()
  holds {"expect > ", "send print('o' .. 'ne')", "expect one", "expect > ", "key 16", "key 10", "expect one", "expect > ", "key 4"}
end

-- The loop would run for ever, so that it ends at all is the interrupt's doing; how soon is not asked.
local function stops (loop)
  holds {"expect > ", "send print('rea' .. 'dy') " .. loop, "expect ready", "key 3", "expect interrupted!", "expect > ",
    "send print('still ' .. 'here')", "expect still here", "expect > ", "send = neap.ones(3):sum():item() + 39", "expect 42", "expect > ", "key 4"}
end

function T.test_interrupt_loop () stops "while true do end" end
function T.test_interrupt_coroutine () stops "coroutine.wrap(function () while true do end end)()" end
function T.test_interrupt_nested_coroutine ()
  stops "local c = coroutine.create(function () coroutine.wrap(function () while true do end end)() end) print(coroutine.resume(c))"
end
function T.test_interrupt_tensors () stops "local x = neap.ones(2000) while true do x = (x * 1.5):sin() end" end
function T.test_interrupt_callback () stops "string.gsub(('x'):rep(1e7), 'x', function () for i = 1, 1e9 do end end)" end
function T.test_interrupt_sampler ()
  stops "neap.sampler.langevin {step_size = 1e-3}:sample(neap.energy.gaussian {mean = {0, 0}, std = 1}, {chains = 1000, steps = 1e8, thin = 1e6, init = 'normal'})"
end

function T.test_interrupt_sampler_with_many_draws ()
  lu.skipIf((os.getenv "NEAP_HOSTILE" or "") ~= "", "the hostile build writes over the gigabyte of draws first")
  stops "neap.sampler.mala {step_size = .1}:sample(neap.energy.gaussian {mean = {0, 0}, std = 1}, {chains = 1000, steps = 1e5, init = 'normal'})"
end

-- A script that is interrupted ends with a message and status 1.
function T.test_interrupted_script ()
  local transcript = cli.talk(command .. " -e 'print(\"rea\" .. \"dy\") while true do end'", "expect ready\nkey 3\nexpect interrupted!\n")
  lu.assertStrContains(transcript, "stack traceback")
  lu.assertStrContains(transcript, "\nexit 1\n")
end

-- What an error inside an energy's function shows, from the innermost call on, even of derivatives of derivatives.
function T.test_traceback_of_a_callback ()
  local code = [[
local function inner (x) error "boom" end
local E = neap.energy(function (x) inner(x) return x:sum(2) end, {event = 2})
local F = neap.energy(function (x) return E(x) end, {event = 2})
print(select(2, pcall(E.score, E, neap.ones(1, 2))))
local function outer () return (F:score(neap.ones(1, 2))) end
outer()]]
  local text = output("-", code)
  lu.assertStrContains(text, "stdin:1: boom\n")            -- what pcall gives: the message alone
  local _, frames = text:gsub("stack traceback", "")
  lu.assertEquals(frames, 1)
  for _, line in ipairs {"stdin:1: in upvalue 'inner'", "stdin:2: in function <stdin:2>", "stdin:3: in function <stdin:3>",
      "[C]: in method 'score'", "stdin:5: in local 'outer'", "stdin:6: in main chunk"} do
    lu.assertStrContains(text, line)
  end
  lu.assertNotStrContains(text, "stdin:4")
end

-- At the prompt Ctrl-C ends the program, as it does lua.
function T.test_interrupt_at_prompt ()
  lu.assertStrContains((cli.talk(command, "expect > \nkey 3\n")), "\nsignal 2\n")
end

return T
