-- The reference page and the editor's annotations say what the op table says.
local lu = require "luaunit"
local T = {}

local function read(path)
  local f = assert(io.open(path))
  local text = f:read("a")
  f:close()
  return text
end

function T.test_page_is_current()
  local page = assert(loadfile("mk/reference.lua"))()
  lu.assertTrue(read("docs/reference.md") == page(), "run: build/neap mk/reference.lua")
end

function T.test_annotations_are_lua()
  local text = read(os.getenv("NEAP_BUILD") .. "/lua/neap/meta.lua")
  lu.assertNotNil(load(text))
  lu.assertStrContains(text, "function neap.softplus(x, options) end")
end

function T.test_every_row_can_be_called_and_has_help()
  for _, row in ipairs(neap.core.ops()) do
    lu.assertTrue(neap[row.name] ~= nil and neap.tensor{1}[row.name] ~= nil, row.name)
    lu.assertTrue(#row.doc > 0, row.name .. " has no doc line")
  end
end

return T
