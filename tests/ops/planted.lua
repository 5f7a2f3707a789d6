-- planted.lua -- run by `make planted` in a build whose op table holds three faulty rows and the row that docs/design.md
-- shows: the sweep must find each fault, and everything must follow from the shown row.
-- Prints "N passed, N failed" like any test run.
package.path = "tests/?.lua;" .. package.path
local sweep = require "ops.sweep"

local passed, failed = 0, 0
local function verdict (what, good, detail)
  print(("%-28s %s  %s"):format(what, good and "ok" or "FAILED", detail or ""))
  if good then passed = passed + 1 else failed = failed + 1 end
end

local rows = {}
for _, row in ipairs(neap.core.ops()) do rows[row.name] = row end

for _, name in ipairs {"planted_derivative", "planted_kernel", "planted_shape"} do
  local e, where = sweep.check_row(rows[name])
  verdict(name .. " is caught", e >= 1e-6, ("relative error %.1e, %s"):format(e, where))
end
verdict("sin is not", sweep.check_row(rows.sin) < 1e-6)

-- the documented row: function, method, kernels, derivatives to third order, help
local x = neap.tensor {-3, 1, 4}
local want = neap.tensor {-.75, .5, .8}
verdict("softsign", (neap.softsign(x) - want):abs():amax():item() < 1e-6 and (x:softsign() - want):abs():amax():item() < 1e-6)
verdict("softsign's derivatives", sweep.check_row(rows.softsign) < 1e-6)
verdict("softsign's help", rows.softsign.doc == "x / (1 + |x|)")

print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
