-- test_blocks.lua -- every ```lua block of README.md and docs/ runs as it stands, a page in a fresh process; every ```c
-- block of docs/c.md is a program that compiles without a warning and ends well.

local lu = require "luaunit"
local folder = require "files.folder"
local example = require "examples.example"
local cli = require "cli.support"

local T = {tearDown = folder.clean}

local function read (path)
  local f = assert(io.open(path))
  local text = f:read "a"
  f:close()
  return text
end

local function pages ()
  local list, pipe = {"README.md"}, assert(io.popen "ls docs/*.md examples/*.md")
  for name in pipe:lines() do list[#list + 1] = name end
  pipe:close()
  return list
end

-- A page's blocks follow one another, as they are read.
local total = 0
for _, page in ipairs(pages()) do
  local blocks = {}
  for block in ("\n" .. read(page)):gmatch "\n```lua\n(.-\n)```" do blocks[#blocks + 1] = block end
  total = total + #blocks
  if #blocks > 0 then
    local name = page:gsub("%W", "_")
    T["test_" .. name] = function ()
      example.skip_if_slow()
      example.run(folder.write(name .. ".lua", table.concat(blocks)))
    end
  end
end

-- Programs against the build tree, as a page's reader compiles them.
local programs = {}
for block in ("\n" .. read "docs/c.md"):gmatch "\n```c\n(.-)\n```" do programs[#programs + 1] = block .. "\n" end

local function run_program (i)
  local source, program = folder.write(("program%d.c"):format(i), programs[i]), folder.file("program" .. i)
  local build = cli.quote(cli.build)
  local out, err, code = cli.run(("%s -std=c11 -Wall -Wextra -Werror -Iruntime -I%s/gen %s -o %s -L%s -lneap"):format(
    os.getenv "CC" or "cc", build, source, program, build))
  lu.assertEquals(out .. err, "")
  lu.assertEquals(code, 0)
  return cli.run(("LD_LIBRARY_PATH=%s timeout 60 %s"):format(build, program))
end

function T.test_programs_in_c ()
  if cli.sanitizer ~= "" then lu.skip "hosts are not sanitized" end
  lu.assertEquals(#programs, 2)
  local out, err, code = run_program(1)
  lu.assertEquals({err, code}, {"", 0})
  local mean, std = out:match "mean ([%d.]+)  std ([%d.]+)"
  lu.assertAlmostEquals(tonumber(mean), 2.4, .03)
  lu.assertAlmostEquals(tonumber(std), .447, .03)
  out, err, code = run_program(2)
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrMatches(out, "loss [%d.]+, then [%d.]+\n")
end

function T.test_blocks_were_found () lu.assertTrue(total >= 3) end

return T
