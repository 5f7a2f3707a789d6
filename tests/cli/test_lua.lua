-- test_lua.lua -- the neap program against lua5.4: the same command lines give the same output, messages and exit codes.
-- Both are started as "prog" through links, so that messages need no editing; what is neap's own (its part of the
-- version line, its options in the usage text) is taken out first.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}
local folder

local files = {
  ["script.lua"] = "print(#arg, ...) for i = -9, 9 do if arg[i] then print(i, arg[i]) end end",
  ["fail.lua"] = "local function inner () error 'deep' end\nlocal function outer () inner() end\nouter()",
  ["syntax.lua"] = "x = = 1",
  ["hash.lua"] = "#!/usr/bin/env lua\nprint 'after the first line'",
  ["two.lua"] = "return {n = 2}",
  ["init.lua"] = "print 'init file' ready = 7",
  ["exit.lua"] = "local t <close> = setmetatable({}, {__close = function () print 'closed' end}) os.exit(7, true)",
  ["noexit.lua"] = "setmetatable({}, {__gc = function () print 'collected' end}) os.exit(false)",
  ["gc.lua"] = "setmetatable({}, {__gc = function () print 'collected at the end' end})",
  ["edit.lua"] = "print(...) print(arg[1])",
}

local function enter ()
  folder = cli.folder()
  local neap = cli.absolute(cli.build .. "/neap")
  local _, _, code = cli.run(("mkdir %s/ref %s/new && ln -s \"$(command -v lua5.4)\" %s/ref/prog && ln -s %s %s/new/prog"):format(
    folder, folder, folder, cli.quote(neap), folder))
  assert(code == 0)
  for name, text in pairs(files) do cli.spill(folder .. "/" .. name, text) end
end

local function plain (text)
  return (text:gsub("neap %d+%.%d+%.%d+  Lua ", "Lua "):gsub("  %-%-%l+ [^\n]*\n", ""):gsub("0x%x+", "0xADDRESS"))
end

local function outcome (which, command, input)
  local out, err, code = cli.run(("cd %s && PATH=%s/%s:$PATH; %s"):format(folder, folder, which, command), input)
  return ("%s\n-- stderr --\n%s\n-- exit %s --"):format(plain(out), plain(err), code)
end

local function same (commands)
  if not folder then enter() end
  for _, c in ipairs(commands) do
    local command, input = c, nil
    if type(c) == "table" then command, input = c[1], c[2] end
    lu.assertEquals(outcome("new", command, input), outcome("ref", command, input), command)
  end
end

function T.test_options ()
  same {
    "prog -e 'print(1)'", "prog -e'print(1)'", "prog -e 'x = 3' -e 'print(x)'", "prog -v", "prog -v -e 'print(2)'", "prog -E -v",
    "prog -x", "prog -e", "prog -l", "prog -e -v", "prog -vv", "prog -ix", "prog -Ex", "prog -Wx", "prog --x", "prog -",
    "prog -W -e 'warn \"careful\"'", "prog -e 'warn \"not shown\"'", "prog -e 'warn(\"@on\")' -e 'warn(\"a\", \"b\")'",
    "prog -e 'warn \"off\"' -W -e 'warn \"on\"'", "prog -e ''", "prog -e 'x ='", "prog -e 'error()'", "prog ''",
    "prog -e 'print(collectgarbage \"incremental\")'", "prog -v script.lua a", "prog -e 'print(arg[0])' script.lua a b",
  }
end

function T.test_libraries ()
  same {
    "prog -l string -e 'print(string ~= nil)'", "prog -lstring -e 'print(string.rep)'", "prog -l s=string -e 'print(s == string)'",
    "prog -l two -e 'print(two.n)'", "prog -ltwo -e 'print(two.n)'", "prog -l t=two -e 'print(t.n, two)'", "prog -l nothing",
    "prog -l syntax", "prog -l fail", "prog -e 'require \"neither.here\"'", "prog -l a.b=two -e 'print(_G[\"a.b\"].n)'",
    "prog -e 'print(package.path, package.cpath)'", "LUA_PATH='./?.x;;' prog -e 'print(package.path)'",
    "LUA_PATH='./?.x;;' prog -E -e 'print(package.path)'", "LUA_PATH_5_4='y;;' LUA_PATH=z prog -e 'print(package.path)'",
  }
end

function T.test_scripts ()
  same {
    "prog script.lua", "prog script.lua a b", "prog script.lua -e x", "prog -- script.lua a", "prog -e 'y = 1' -- script.lua a",
    "prog nothing.lua", "prog -- nothing.lua", "prog fail.lua", "prog syntax.lua", "prog hash.lua", "prog .", "prog -- -",
    "prog exit.lua", "prog noexit.lua", "prog gc.lua", "prog -e 'os.exit(3)'", "prog -e 'os.exit(true, true)'", "prog -- ",
    "prog -e 'table.insert(arg, \"more\")' edit.lua one", "prog -e 'arg = nil' edit.lua one", "prog -e 'arg = {\"other\"}' edit.lua one",
    "prog -W script.lua '' ' '", "prog -e 'arg = setmetatable({}, {__len = function () return 2e9 end})' script.lua",
  }
end

function T.test_stdin ()
  same {
    {"prog -", "print('from stdin', ...)"}, {"prog - a b", "print(arg[0], ...)"}, {"prog", "print 'no script'"},
    {"prog", "error 'in stdin'"}, {"prog -", "error 'in stdin'"}, {"prog", "x = = 2"}, {"prog -", "#!x\nprint 'hash'"},
    {"prog -e 'print(1)'", "print 'not read'"}, {"prog -v", "print 'not read'"}, {"prog -e 'print(1)' -", "print 'read'"},
    {"prog - -x", "print(...)"}, {"prog -W", "warn 'loud'"}, {"prog", "return 5"}, {"prog", ""},
    {"prog -E", "print(os.getenv 'HOME' ~= nil)"},
  }
end

function T.test_errors ()
  same {
    "prog -e 'error {}'", "prog -e 'error(nil)'", "prog -e 'error(42)'", "prog -e 'error(true)'", "prog -e 'error(\"text\", 0)'",
    "prog -e 'error(\"text\", 2)'", "prog -e 'error(setmetatable({}, {__tostring = function () return \"an object\" end}))'",
    "prog -e 'error(setmetatable({}, {__tostring = function () return 12 end}))'",
    "prog -e 'error(setmetatable({}, {__name = \"kind\"}))'", "prog -e 'local t = nil; t.x = 1'", "prog -e 'print(1 .. {})'",
    "prog -e 'string.rep()'", "prog -e 'local function f () return f() + 1 end f()'", "prog -e 'string.rep(\"x\", 1e15)'",
    "prog -e 'coroutine.wrap(function () error \"inside\" end)()'", "prog -e 'goto nowhere'", "prog -e 'for'",
    "prog -e 'error(io.stdout)'", "prog -e 'local x <close> = setmetatable({}, {__close = function () error \"closing\" end})'",
    "prog -e 'assert(false)'", "prog -e 'assert(nil, \"told\")'", "prog -e 'assert(false, {1})'", "prog -e 'load(\"error(1)\")()'",
    "prog -e 'io.stderr:write \"raw\"' -e 'os.exit(false, true)'", "prog -e 'debug.traceback = nil error \"x\"'",
  }
end

function T.test_environment ()
  same {
    "LUA_INIT='print \"init\"' prog -e 'print(1)'", "LUA_INIT=@init.lua prog -e 'print(ready)'", "LUA_INIT=@init.lua prog -E -e 'print(ready)'",
    "LUA_INIT='x =' prog -e 'print(1)'", "LUA_INIT='error \"in init\"' prog -v", "LUA_INIT=@nothing.lua prog -e 'print(1)'",
    "LUA_INIT='print(1)' LUA_INIT_5_4='print(2)' prog -e 'print(3)'", "LUA_INIT='' prog -e 'print(1)'", "LUA_INIT='print(arg[0], #arg)' prog script.lua a",
    "LUA_INIT='print(1)' prog -x", "LUA_INIT='os.exit(9)' prog script.lua", "LUA_INIT_5_4=@fail.lua prog -e 'print(1)'",
  }
end

function T.test_prompt ()
  same {
    {"prog -i", "print(1)\n=2\n3, 4\n'a' .. 'b'\nnil\n"}, {"prog -i", "for i = 1, 2 do\nprint(i)\nend\n"},
    {"prog -i", "x = = 1\n"}, {"prog -i", "error 'here'\nprint 'goes on'\n"}, {"prog -i", "local a = 1\nprint(a)\n"},
    {"prog -i", "_PROMPT = 'lua: '\n_PROMPT2 = '... '\nfor i = 1, 1 do\nend\n_PROMPT = 12\n"}, {"prog -i", "return 1, 2\n=\n= 1 +\n2\n"},
    {"prog -i", "_PROMPT = setmetatable({}, {__tostring = function () return 'made> ' end})\n1\n"}, {"prog -i", "print = nil\n1\n"},
    {"prog -i script.lua a", "print(arg[1])\n"}, {"prog -i -e 'x = 5'", "x\n"}, {"prog -i nothing.lua", "print 'not reached'\n"},
    {"prog -i fail.lua", "print 'not reached'\n"}, {"prog -i", "error(setmetatable({}, {__tostring = function () return 'obj' end}))\n"},
    {"prog -i", "print = function () error 'x' end\n1\n"}, {"prog -i", "os.exit(4)\n"}, {"prog -i", "[[a\nb]]\n"}, {"prog -i", "\n\n--x\n"},
    {"prog -i -", "print 'script on stdin'\n"}, {"prog -i -W", "warn 'w'\n"}, {"prog -i -E", "1\n"}, {"prog -i", "1"},
  }
end

function T.tearDown ()
  if folder then cli.remove(folder) end
  folder = nil
end

return T
