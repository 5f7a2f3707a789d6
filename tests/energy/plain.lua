-- plain.lua -- networks in Lua numbers, which tests of energies are compared with.
local M = {}

function M.silu (x) return x / (1 + math.exp(-x)) end

-- f(w a + b), row by row
function M.layer (w, b, a, f)
  local out = {}
  for i, row in ipairs(w) do
    local s = b[i]
    for j, v in ipairs(row) do s = s + v * a[j] end
    out[i] = f and f(s) or s
  end
  return out
end

return M
