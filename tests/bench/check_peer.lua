-- check_peer.lua -- the rows of the benchmark do the same work as their peers in PyTorch and Stan: both give the same
-- numbers on weights, points and directions that both make by one formula, or are given.  Skipped where there is none.

local lu = require "luaunit"
local methods = require "bench.methods"
local peers = require "bench.peer"
local workloads = require "bench.workloads"

local T = {}
local torch, stan                        -- false: there is none

local function need_torch ()
  if torch == nil then torch = peers.torch("tests/bench/peer_torch.py", 1) or false end
  if not torch then lu.skip "python3-torch is not installed" end
  return torch
end

local function need_stan ()
  local folder = (os.getenv "NEAP_BUILD" or "build") .. "/stan"
  if stan == nil then stan = peers.stan("tests/bench/peer_stan.R", folder) or false end
  if not stan then lu.skip "r-cran-rstan is not installed" end
  return stan
end

-- scale sin(0.37 k + phase), k = 0, 1, …: wave() of the peer
local function wave (phase, sizes, scale)
  local n = 1
  for _, s in ipairs(sizes) do n = n * s end
  local k = neap.arange(0, n - 1, {dtype = "float64"})
  return ((k * .37 + phase):sin() * (scale or 1)):float():reshape(sizes)
end

-- E with weights by their inputs, biases by their number
local function with_waves (E, gain)
  local params = {}
  for i, p in ipairs((E:params())) do
    local inputs = p.ndim > 1 and p:numel() // p.shape[1] or p:numel()
    params[i] = wave(i - 1, p.shape, (gain or 1) / math.sqrt(inputs)):requires_grad()
  end
  return E:with(params)
end

local function wave_mlp (sizes, gain) return with_waves(neap.energy.mlp{sizes = sizes}, gain) end

local function digest (x)
  x = x:detach():double()
  return {x:square():sum():item(), (x * wave(.5, x.shape)):sum():item()}
end

-- Equal but for rounding: numbers are sums over many elements of either sign.
local function assert_near (got, name, tolerance)
  local wanted = need_torch():ask("check", name)
  lu.assertEquals(#got, #wanted)
  for i, w in ipairs(wanted) do
    lu.assertAlmostEquals(got[i], w, tolerance * math.max(1, math.abs(w)), ("%s, number %d"):format(name, i))
  end
end

-- the losses of five steps of Adam, which follow from loss, gradient and update
local function losses (E, x, loss)
  local found = {}
  neap.train(E, function () return x end, {loss = loss, optimizer = neap.optim.adam{lr = 1e-3}, steps = 5,
    progress = false, on_step = function (_, value) found[#found + 1] = value end})
  return found
end

local function check_langevin (name, sizes)
  local work, where = methods.langevin(wave_mlp(sizes), wave(.1, {16, sizes[1]}), .5, 0)
  work(3)
  assert_near(digest(where()), name, 1e-4)
end
function T.test_langevin () check_langevin("langevin_mlp_B16", {2, 128, 128}) end
function T.test_langevin_large () check_langevin("langevin_mlp784", {784, 1024, 1024}) end

function T.test_cd ()
  assert_near(losses(wave_mlp{2, 128, 128}, wave(.1, {100, 2}), methods.cd(10, .1, 0, "data")), "cd_mlp", 1e-4)
end

function T.test_langevin_conv ()
  local work, where = methods.langevin(with_waves(methods.conv(), 2), wave(.1, {5, 1, 32, 32}), 1, 0)
  work(3)
  assert_near(digest(where()), "langevin_conv32", 1e-4)
end

function T.test_cd_conv ()
  local E, x = with_waves(methods.conv(), 2), wave(.1, {20, 1, 32, 32})
  assert_near(losses(E, x, methods.cd(5, 1, 0, "data", .1)), "cd_conv32", 1e-4)
end

-- The loss is sigma²/2 of the peer's; both draw their own noise, 51,200 rows of it, which leaves some 0.5 %.
function T.test_dsm ()
  local E, x, loss, sum = wave_mlp({2, 128, 128}, 5), wave(.1, {128, 2}), neap.loss.dsm{sigma = 1}, 0
  for _ = 1, 400 do sum = sum + loss(E, x):item() end
  assert_near({2 * sum / 400}, "dsm_mlp", .02)
end

function T.test_ssm ()
  local v = wave(.2, {128, 100})
  local along = {normal = function () return v end}       -- stands in for a generator: the direction is known
  local function loss (E, x) return methods.ssm(E, x, along) end
  assert_near(losses(wave_mlp{100, 256, 256}, wave(.1, {128, 100}), loss), "ssm_100d", 1e-3)
end

-- Biases that leave no choice: every unit's state is known.
function T.test_rbm ()
  local E = neap.energy.rbm{visible = 784, hidden = 500}:with{W = wave(.2, {784, 500}, 1e-3):requires_grad(),
    b = (wave(.3, {784}):sign() * 50):requires_grad(), c = (wave(.4, {500}):sign() * 50):requires_grad()}
  methods.rbm(E, wave(.1, {100, 784}):gt(0):float(), .01)(1)
  local got = {}
  for _, p in ipairs {E.W, E.b, E.c} do
    for _, number in ipairs(digest(p)) do got[#got + 1] = number end
  end
  assert_near(got, "rbm_cd1", 1e-4)
end

-- One path of large steps from points far out; standard errors below 0.5 %.
function T.test_hmc ()
  local work, where = methods.hmc(neap.randn(100000, 2) * .5 + 2, 1, 4)
  work(1)
  local x = where()
  assert_near({x:mean():item(), x:var():item()}, "hmc_gauss_B1000_L10", .02)
end

function T.test_silu_mul_add ()
  assert_near(digest(methods.silu_mul_add()(wave(.1, {1 << 20}), wave(.2, {1 << 20}))), "silu_mul_add_1m", 1e-4)
end

function T.test_gemm ()
  assert_near(digest(wave(.1, {1024, 1024}):matmul(wave(.2, {1024, 1024}))), "gemm_1024", 1e-3)
end

-- Gradients of the log density, at places far from each other: Stan's own leave no constant to compare.
function T.test_posteriors ()
  local peer, found = need_stan(), 0
  for _, row in ipairs(workloads) do
    if row.peer == "stan" then
      local posterior = row.posterior()
      local places = neap.rng(5):normal({3, #posterior.names}, {dtype = "float64"})
      local ours = (-posterior.energy:grad(places)):totable()
      peer:give(row.name, posterior.data)
      for i, u in ipairs(places:totable()) do
        local theirs = peer:ask("grad", row.name, table.unpack(u))
        lu.assertEquals(#theirs, #u)
        for k, g in ipairs(theirs) do
          lu.assertAlmostEquals(ours[i][k], g, 1e-9 * math.max(1, math.abs(g)), ("%s, number %d"):format(row.name, k))
        end
      end
      peer:ask("drop", row.name)
      found = found + 1
    end
  end
  lu.assertEquals(found, 3)
end

return T
