-- bench_core.lua -- how long the everyday pieces take: one line each, best of several runs.

local function best (seconds, f)
  local began, fastest, n = neap.clock(), math.huge, 0
  f()
  repeat
    local t = neap.clock()
    f()
    fastest, n = math.min(fastest, neap.clock() - t), n + 1
  until neap.clock() - began > seconds and n >= 3
  return fastest
end

local function line (name, seconds, note)
  print(("%-34s %10.1f µs   %s"):format(name, 1e6 * seconds, note or ""))
end

local function elementwise ()
  local x, y = neap.randn(1 << 20), neap.randn(1 << 20)
  local t = best(.5, function () return x * y end)
  line("x * y, 2^20", t, ("%.1f GB/s"):format(12 * (1 << 20) / t / 1e9))
  line("exp(x), 2^20", best(.5, function () return x:exp() end))
  line("silu(x) + y, 2^20", best(.5, function () return x:silu() + y end))
  line("sum(x), 2^20", best(.5, function () return x:sum() end))
  line("randn, 2^20", best(.5, function () return neap.randn(1 << 20) end))
  local s = neap.randn(4)
  line("x + x, 4 elements", best(.2, function () return s + s end))
end

local function matmul ()
  for _, n in ipairs {128, 512} do
    local a, b = neap.randn(n, n), neap.randn(n, n)
    local t = best(.5, function () return a:matmul(b) end)
    line(("matmul %d^3"):format(n), t, ("%.0f GFLOP/s"):format(2 * n ^ 3 / t / 1e9))
  end
end

local function models ()
  local E = neap.energy.mlp {sizes = {2, 128, 128}}
  local x = neap.randn(256, 2)
  line("mlp 2-128-128, 256 rows: energy", best(.5, function () return E(x) end))
  line("                         score", best(.5, function () return E:score(x) end))
  local langevin = neap.sampler.langevin {step_size = 1e-2}
  local t = best(1, function () return langevin:sample(E, {chains = 256, steps = 50, thin = 50, init = "normal"}) end)
  line("langevin, 256 chains, a step", t / 50, ("%.2f million steps of a chain a second"):format(256 * 50 / t / 1e6))
end

print(("neap %s, %d threads"):format(neap.version or "", neap.threads and neap.threads() or 1))
elementwise()
matmul()
models()
