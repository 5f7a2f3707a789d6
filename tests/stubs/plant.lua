-- plant.lua -- the watcher that tests/one.lua loads before a test file to put a stub in the place of a public function.
-- NEAP_STUB says what: "first:NAME" gives back its first argument and does nothing else, "zero:NAME" does what the
-- function does and gives zeros in place of its results, "through:NAME" changes nothing, "calls" plants nothing and
-- notes which functions each test calls.  NEAP_STUB_LOG is the file to which it tells what it saw.
-- Invariant: a stub stands in all places of the function at once, before any test is loaded.

local targets = require "stubs.targets"
local zero = require "stubs.zero"
local kind, name = (os.getenv "NEAP_STUB" or ""):match "^(%a+):?(.*)$"
local log = assert(io.open(os.getenv "NEAP_STUB_LOG" or "/dev/null", "w"))
log:setvbuf "line"

local M = {}
function M.start () end
function M.stop () end

-- ---- which functions a test calls ----

local getinfo, sethook, clock = debug.getinfo, debug.sethook, neap.clock

local function watch ()
  local entry_of, called, began = {}, nil, nil
  for _, entry in ipairs(targets) do
    entry_of[entry.real] = entry
    log:write("target ", entry.name, "\n")
  end
  function M.start ()
    called, began = {}, clock()
    sethook(function ()
      local entry = entry_of[getinfo(2, "f").func]
      if entry then called[entry.name] = true end
    end, "c")
  end
  function M.stop (test, passed)
    sethook()
    if not passed then return end
    log:write(("test %.4f %s\n"):format(clock() - began, test))
    for target in pairs(called) do log:write("call ", target, "\n") end
  end
end

-- ---- stubs ----

-- Made as if it stood in neap's own library, so that errors name the lines that they name without it.
local library = getinfo(debug.getmetatable(neap).__index, "S").source
local around = load("local real, give = ... return function (...) return give(real(...)) end", library)

local function same (...) return ... end

local makers = {through = function (entry) return around(entry.real, same) end}

local function note_once ()
  log:write "effective\n"
  note_once = function () end
end

function makers.first (entry)
  local i = entry.calls and 2 or 1                        -- of E(x) the first argument is x
  return function (...)
    note_once()
    return (select(math.min(i, select("#", ...) + 1), ...))
  end
end

function makers.zero (entry)
  zero.changed = note_once
  return around(entry.real, zero.results)
end

-- x.shape and x:exp stay: what is not there cannot be called.
local function for_elements_only (real, stub)
  return function (x, key, ...)
    if type(key) == "string" then return real(x, key, ...) end
    return stub(x, key, ...)
  end
end

local function plant (entry)
  local stub = makers[kind](entry)
  if entry.name:find "index$" then stub = for_elements_only(entry.real, stub) end
  for _, place in ipairs(entry.places) do rawset(place[1], place[2], stub) end
end

if kind == "calls" then watch() end
for _, entry in ipairs(targets) do
  if entry.name == name then plant(entry) end
end
return M
