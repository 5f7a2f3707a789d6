-- test_table.lua -- the table of samplers and targets in docs/samplers.md has the rows and columns of
-- tests/sampler/table.lua, and every sampler is in it, or stands there with the reason why not.
local lu = require "luaunit"
local sheet = require "sampler.table"
local T = {}

-- row names -> cells, of the table with this header
local function shown (header)
  local rows, inside = {}, false
  for line in io.lines "docs/samplers.md" do
    local name, cells = line:match "^| `([%w_]+)` | (.*) |$"
    if line == header then inside = true
    elseif inside and name then rows[name] = cells
    elseif inside and not line:find "^|" then break end
  end
  return rows
end

function T.test_rows_and_columns ()
  local rows = shown(sheet.header())
  for _, name in ipairs(sheet.names(sheet.rows)) do
    lu.assertNotNil(rows[name], name .. ": make check STAGES=statistics writes BUILD/sampler_table.md")
    local n = 0
    for cell in (rows[name] .. " | "):gmatch "(.-) | " do
      n = n + 1
      lu.assertTrue(cell == "" or tonumber(cell) < 4, name .. ": " .. cell)
    end
    lu.assertEquals(n, #sheet.targets, name)
    rows[name] = nil
  end
  for _, name in ipairs(sheet.names(sheet.biased)) do
    lu.assertStrContains(rows[name], "E[x²]")
    rows[name] = nil
  end
  lu.assertEquals(rows, {})
end

function T.test_every_sampler_is_judged ()
  for name in pairs(neap.sampler) do
    lu.assertTrue((sheet.rows[name] or sheet.biased[name] or sheet.elsewhere[name]) ~= nil, name)
  end
end

return T
