-- test_bench.lua -- the benchmark's driver: its table, its JSON, its rows.

local lu = require "luaunit"
local cli = require "cli.support"
local report = require "bench.report"
local rows = require "bench.workloads"

local T = {}

-- out, err, code; without what the serial flavour of OpenBLAS has said of it
local function bench (options)
  local out, err, code = cli.run(("%s/neap tests/bench/run.lua %s"):format(cli.quote(cli.build), options))
  return out, (err:gsub("neap: OpenBLAS[^\n]*\n", "")), code
end

-- The cells of the table's row of that name.
local function cells (table_text, name)
  local line = ("\n" .. table_text):match("\n(" .. name .. " [^\n]*)")
  local out = {}
  for cell in ((line or "") .. "|"):gmatch "([^|]*)|" do out[#out + 1] = cell:match "^%s*(.-)%s*$" end
  return out
end

-- A rate that a shell script claims to have measured, so that limits are known.
local function fake_peak (folder)
  cli.spill(folder .. "/peak", "#!/bin/sh\necho avx9 $1 2e9 1e9\n")
  os.execute("chmod +x " .. folder .. "/peak")
  return folder .. "/peak"
end

function T.test_table_and_json_without_peer ()
  local folder = cli.folder()
  local what = "--no-peer --only langevin_mlp_B1,add_scalar,startup --runs 3 --seconds 0 --scale .005"
  local out, err, code = bench(("%s --json %s/b.json --peak %s"):format(what, folder, fake_peak(folder)))
  local f = io.open(folder .. "/b.json")
  local json = f and f:read "a"
  if f then f:close() end
  cli.remove(folder)
  lu.assertEquals({code, err}, {0, ""})
  lu.assertStrContains(out, "1 thread: avx9, 2 GFLOP/s of multiply-adds, 1.0 GB/s copied")
  local langevin, add = cells(out, "langevin_mlp_B1"), cells(out, "add_scalar")
  lu.assertEquals({#langevin, langevin[2], langevin[4], langevin[5]}, {6, "1", "–", "–"})
  lu.assertTrue(tonumber(langevin[3]) > 0)
  lu.assertTrue(tonumber(langevin[6]) > 0)
  lu.assertEquals({#add, add[4], add[6]}, {6, "–", "–"})
  local names, runs = {}, 0
  for name in json:gmatch '"name": "([^"]*)"' do names[#names + 1] = name end
  for list in json:gmatch '"neap_runs": %[([^%]]*)%]' do
    for _ in list:gmatch "[^, ]+" do runs = runs + 1 end
  end
  lu.assertEquals(names, {"langevin_mlp_B1", "add_scalar", "startup"})
  lu.assertEquals(runs, 9)
  lu.assertTrue(tonumber(json:match '"neap_mb": ([%d.]+)') > 1)
  lu.assertStrContains(json, '"units": 5')
  lu.assertNotStrContains(json, "nan")
end

-- A peer that answers 30 µs to anything, and one that cannot start.
function T.test_peer ()
  local folder = cli.folder()
  cli.spill(folder .. "/python", [[#!/bin/sh
echo ok 9.9
while read verb name units; do case $verb in run) echo ok 6e-4;; *) echo ok;; esac; done
]])
  cli.spill(folder .. "/none", "#!/bin/sh\necho error no module\n")
  os.execute(("chmod +x %s/*"):format(folder))
  local options = "--only add_scalar --runs 2 --seconds 0 --scale .001 --python "
  local out, err, code = bench(options .. folder .. "/python --threads 1,2")
  local without = bench(options .. folder .. "/none")
  cli.remove(folder)
  lu.assertEquals({code, err}, {0, ""})
  lu.assertStrContains(out, "peer: PyTorch 9.9")
  local add = cells(out, "add_scalar")
  lu.assertEquals(add[4], "30.00")
  lu.assertAlmostEquals(tonumber(add[5]) * tonumber(add[3]), 30, .02 * 30 + .01 * tonumber(add[5]))
  lu.assertEquals(select(2, out:gsub("\nadd_scalar", "")), 2)
  lu.assertStrContains(without, "no peer PyTorch: the peer: no module")
end

-- A Stan that needs half a second for 2000 gradients and notes what it is given; one that is not there.
function T.test_stan ()
  local folder = cli.folder()
  cli.spill(folder .. "/Rscript", ([[#!/bin/sh
exec 3> %s/told
echo "$*" >&3
echo ok 2.21
while read line; do echo "$line" >&3; case $line in run*) echo ok .5 2000;; *) echo ok;; esac; done
]]):format(folder))
  os.execute(("chmod +x %s/Rscript"):format(folder))
  local options = "--only nuts_eight_schools,add_scalar --python /none --runs 2 --seconds 0 --scale .001 "
  local out, err, code = bench(("%s --stan %s/models --rscript %s/Rscript"):format(options, folder, folder))
  local without = bench(options .. "--rscript /none")
  local f = assert(io.open(folder .. "/told"))
  local told = f:read "a"
  f:close()
  cli.remove(folder)
  lu.assertEquals(code, 0, err)
  lu.assertStrContains(out, "peer: rstan 2.21")
  local nuts, add = cells(out, "nuts_eight_schools"), cells(out, "add_scalar")
  lu.assertEquals({nuts[4], add[4]}, {"250", "–"})
  lu.assertStrContains(told, folder .. "/models\n")
  lu.assertStrContains(told, "data nuts_eight_schools estimate list 28 8 -3 7 -1 1 18 12\n")
  lu.assertStrContains(told, "data nuts_eight_schools J number 8\n")
  lu.assertStrContains(told, "run nuts_eight_schools 60\n")
  lu.assertStrContains(without, "no peer rstan: r-cran-rstan is not installed")
  lu.assertEquals(cells(without, "nuts_eight_schools")[4], "–")
end

function T.test_failed_row_and_bad_options ()
  local folder = cli.folder()
  cli.spill(folder .. "/python", "#!/bin/sh\necho ok 1\nwhile read x; do echo error it broke; done\n")
  os.execute(("chmod +x %s/python"):format(folder))
  local out, _, code = bench("--only add_scalar --runs 1 --seconds 0 --scale .001 --python " .. folder .. "/python")
  cli.remove(folder)
  lu.assertEquals(code, 1)
  lu.assertStrContains(out, "the peer: it broke")
  for options, message in pairs {["--only nothing_like_it"] = "no workload matches", ["--runs x"] = "positive integers",
                                 ["--colour"] = "unknown option", ["--scale 0"] = "a positive number"} do
    local _, err, status = bench("--no-peer " .. options)
    lu.assertEquals(status, 2)
    lu.assertStrContains(err, message)
  end
end

-- Every row does its work once; what it needs is that of the definitions, worked out by hand here.
function T.test_rows ()
  local flops = {langevin_mlp_B1 = 67072, langevin_mlp_B10000 = 670720000, dsm_mlp = 25755648, gemm_1024 = 2147483648,
                 cd_mlp = 690841600, langevin_mlp784 = 3793747968, rbm_cd1 = 392000000}
  local found = 0
  for _, row in ipairs(rows) do
    if flops[row.name] then
      found = found + 1
      lu.assertEquals(row.flops, flops[row.name], row.name)
    end
    if row.setup and (row.flops or 0) < 1e9 then row.setup()(1) end
  end
  lu.assertEquals(found, 7)
end

-- Rows of NUTS tell how many gradients they made.
function T.test_rows_of_nuts ()
  local found = 0
  for _, row in ipairs(rows) do
    if row.name:find "^nuts_" then
      found = found + 1
      local work, told = row.setup()
      local done = work(1800)
      lu.assertEquals(done, told().grad_evals, row.name)
      lu.assertTrue(done > 4 * 60, row.name)
      lu.assertEquals(told().draws.shape[1], 30)
      lu.assertEquals(row.peer, "stan")
      lu.assertEquals(#row.posterior().names, told().draws.shape[3])
    end
  end
  lu.assertEquals(found, 3)
end

function T.test_report ()
  lu.assertEquals({report.median{3, 1, 2}, report.median{4, 1, 2, 3}, report.median{}}, {2, 2.5})
  local peak = {flops = 1e9, bytes = 1e8}
  lu.assertEquals(report.limit({flops = 1000, ops = 500}, peak), 2)
  lu.assertEquals(report.limit({flops = 1000, bytes = 300}, peak), 3)
  lu.assertNil(report.limit({}, peak))
  local r = report.result({name = "a", flops = 1000}, {threads = 1, neap = {2, 4, 3}, peer = {6, 6, 6}}, peak)
  lu.assertEquals({r.neap_us, r.peer_us, r.ratio, r.share}, {3, 6, 2, 1 / 3})
  lu.assertEquals(report.encode{a = {1, 2.5, 0 / 0}, b = 'x"\n'}, '{\n  "a": [1, 2.5, null],\n  "b": "x\\u0022\\u000a"\n}')
end

return T
