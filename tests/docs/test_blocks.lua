-- test_blocks.lua -- every ```lua block of README.md and docs/ runs as it stands, a page in a fresh process.

local lu = require "luaunit"
local folder = require "files.folder"
local example = require "examples.example"

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

function T.test_blocks_were_found () lu.assertTrue(total >= 3) end

return T
