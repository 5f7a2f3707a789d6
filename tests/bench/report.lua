-- report.lua -- what was measured, as a table for people and as JSON for programs.
-- Times are medians in microseconds per unit of work; ratio is the peer's over neap's, so above 1 neap is faster; the
-- share is the limit's time over neap's.

local report = {}

function report.median (values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  local n = #sorted
  if n == 0 then return nil end
  return n % 2 == 1 and sorted[(n + 1) // 2] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

-- The least time of one unit on this machine in microseconds, nil where none is known; peak: {flops =, bytes =} per
-- second.
function report.limit (row, peak)
  local work, memory = (row.flops or 0) + 2 * (row.ops or 0), row.bytes or 0
  if not peak or work + memory == 0 then return nil end
  return 1e6 * math.max(work / peak.flops, memory / peak.bytes)
end

-- result(row, measured, peak) -> what is known of a row; measured: {threads =, units =, neap = {µs …}, peer = {µs …},
-- neap_mb =, peer_mb =, error =}
function report.result (row, measured, peak)
  local m = measured
  local r = {name = row.name, unit = row.unit, units = m.units, threads = m.threads, error = m.error,
             neap_us = report.median(m.neap), peer_us = report.median(m.peer), neap_runs = m.neap, peer_runs = m.peer,
             neap_mb = m.neap_mb, peer_mb = m.peer_mb, limit_us = report.limit(row, peak)}
  if r.neap_us then
    r.ratio = r.peer_us and r.peer_us / r.neap_us
    r.share = r.limit_us and r.limit_us / r.neap_us
  end
  return r
end

-- ---- the table ----

local function number (x, form) return x and form:format(x) or "–" end
local function microseconds (x) return number(x, x and x < 100 and "%.2f" or "%.0f") end

-- Counts characters, not bytes, so that dashes and µ do not shift columns.
local function right (s, width) return (" "):rep(width - utf8.len(s)) .. s end

local function cells (workload, ...)
  local out = {workload .. (" "):rep(24 - #workload)}
  for i, s in ipairs {...} do out[#out + 1] = right(s, i == 1 and 2 or 11) end
  return table.concat(out, " | ")
end

function report.head () return cells("workload", "N", "neap µs", "peer µs", "ratio", "% of limit") end

function report.line (r)
  local text = cells(r.name, tostring(r.threads), microseconds(r.neap_us), microseconds(r.peer_us),
    number(r.ratio, "%.2f"), number(r.share and 100 * r.share, "%.1f"))
  if r.error then return text .. "   " .. r.error end
  local memory = {r.neap_mb and ("%.0f MB"):format(r.neap_mb), r.peer_mb and ("peer %.0f MB"):format(r.peer_mb)}
  return #memory > 0 and text .. "   " .. table.concat(memory, ", ") or text
end

-- ---- JSON ----

local encode

local function encode_table (value, indent)
  local inner, parts = indent .. "  ", {}
  if #value > 0 or next(value) == nil then
    for i, v in ipairs(value) do parts[i] = encode(v, inner) end
    return "[" .. table.concat(parts, ", ") .. "]"
  end
  local keys = {}
  for k in pairs(value) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do parts[i] = inner .. encode(k) .. ": " .. encode(value[k], inner) end
  return "{\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. "}"
end

-- Strings, finite numbers, booleans, arrays and tables with names.
function encode (value, indent)
  local kind = math.type(value) or type(value)
  if kind == "table" then return encode_table(value, indent or "") end
  if kind == "float" then return value == value and math.abs(value) < math.huge and ("%.6g"):format(value) or "null" end
  if kind == "string" then
    return '"' .. value:gsub('[%c"\\]', function (c) return ("\\u%04x"):format(c:byte()) end) .. '"'
  end
  return tostring(value)
end

report.encode = encode

function report.write (path, everything)
  local f = assert(io.open(path, "w"))
  f:write(encode(everything), "\n")
  f:close()
end

return report
