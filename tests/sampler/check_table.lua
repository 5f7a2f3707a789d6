-- check_table.lua -- the table of samplers and targets (table.lua): every unbiased sampler within 4 standard errors of
-- the truth, every biased one off as its order says.  Written to BUILD/sampler_table.md; docs/samplers.md shows it.

local lu = require "luaunit"
local law = require "sampler.law"
local sheet = require "sampler.table"
local T = {}

local targets, lines = {}, {sheet.header(), "|" .. ("---|"):rep(#sheet.targets + 1)}
for i, t in ipairs(sheet.targets) do targets[i] = t[2]() end

for _, name in ipairs(sheet.names(sheet.rows)) do
  T["test_a_" .. name] = function ()
    local cells, faults = {}, {}
    for i, target in ipairs(targets) do
      local z, statistic = sheet.cell(sheet.rows[name], target, 1)
      cells[i] = z and ("%.1f"):format(z) or ""
      if z and not (z < 4) then
        faults[#faults + 1] = ("%s: %s: |z| = %.2f"):format(sheet.targets[i][1], statistic, z)
      end
    end
    lines[#lines + 1] = ("| `%s` | %s |"):format(name, table.concat(cells, " | "))
    lu.assertEquals(faults, {})
  end
end

-- E[x²] on the double well: its error and standard error at a step size
local function bias (row, h)
  local well = targets[6]
  local s = row.make(h)
  local draws = s:sample(well.E, {chains = 2000, steps = math.ceil(row.time / h), warmup = math.ceil(20 / h), seed = 1,
    init = {"uniform", -1.5, 1.5}, thin = math.ceil(row.time / 3000 / h), dtype = "float64"})
  local statistic = well.statistics["x^2"]
  local means = statistic[1](draws):mean(1)
  return means:mean():item() - statistic[2], means:std():item() / math.sqrt(2000)
end

for _, name in ipairs(sheet.names(sheet.biased)) do
  T["test_b_" .. name] = function ()
    local row, errors, before = sheet.biased[name], {}, nil
    for _, h in ipairs(row.steps) do
      local error, se = bias(row, h)
      errors[#errors + 1] = ("%.5f ± %.5f at %g"):format(error, se, h)
      if before then
        local ratio, expected = before / error, 2 ^ row.order
        lu.assertTrue(math.abs(ratio / expected - 1) < .25 + 4 * se / math.abs(error),
                      ("%s: %g after %g"):format(name, error, before))
      end
      before = error
    end
    lines[#lines + 1] = ("| `%s` | error of E[x²] on the double well, by step size: %s |"):format(name,
      table.concat(errors, "; ")) .. (" |"):rep(#targets - 1)
  end
end

function T.test_z_write ()
  local path = (os.getenv "NEAP_BUILD" or "build") .. "/sampler_table.md"
  local f = assert(io.open(path, "w"))
  f:write(table.concat(lines, "\n"), "\n")
  f:close()
  lu.assertEquals(#lines, 2 + #sheet.names(sheet.rows) + #sheet.names(sheet.biased))
end

return T
