-- test_moons.lua -- the table of two moons: what the example and the peer say, side by side.

local lu = require "luaunit"
local cli = require "cli.support"

local T = {}

local function compare (folder, options)
  local command = "%s/neap tests/bench/moons/compare.lua program=%s/neap python=%s/python %s"
  return cli.run(command:format(cli.quote(cli.build), folder, folder, options))
end

-- A program that says of any method that it took 2.5 s, and a peer that takes 1 s for any number of steps, or a second
-- for each with the published settings.
local function stand_ins ()
  local folder = cli.folder()
  cli.spill(folder .. "/neap", '#!/bin/sh\necho method FD\n[ $4 != bad ] && echo "$4  .0004 .0001 -1.036 -1.019 2.5"\n')
  cli.spill(folder .. "/python", [[#!/bin/sh
echo ok 9.9
while read verb name units; do case $name in *published) echo ok $units;; *) echo ok 1;; esac; done
]])
  os.execute(("chmod +x %s/*"):format(folder))
  return folder
end

function T.test_lines ()
  local folder = stand_ins()
  local out, err, code = compare(folder, "steps=600 slice=30 only=nce,cd seeds=4 threads=1,2")
  local without = compare(folder, "peer=no only=ssm")
  cli.remove(folder)
  lu.assertEquals({code, err}, {0, ""})
  lu.assertStrContains(out, "PyTorch 9.9: 60 of its steps are timed, 10.0 % of all")
  local lines = {}
  for line in out:gmatch "[^\n]+" do
    if line:find "^nce" or line:find "^cd" then lines[#lines + 1] = line:gsub(" +", " ") end
  end
  local figures = " %d 4 0.0004 0.0001 -1.036 -1.019 2.5 20.0 8.0 600.0 240.0"
  lu.assertEquals(lines, {"nce" .. figures:format(1), "cd" .. figures:format(1), "nce" .. figures:format(2),
                          "cd" .. figures:format(2)})
  lu.assertStrContains(without, "no peer: not asked for")
  lu.assertStrContains(without:gsub(" +", " "), "ssm 1 1 0.0004 0.0001 -1.036 -1.019 2.5 – – – –")
end

function T.test_what_fails ()
  local folder = stand_ins()
  for options, message in pairs {["colour=red"] = "unknown option: 'colour=red'", ["peer=no only=bad"] = "bad failed",
                                 ["steps=x"] = "steps: a positive integer expected"} do
    local _, err, code = compare(folder, options)
    lu.assertEquals(code, 2)
    lu.assertStrContains(err, message)
  end
  cli.remove(folder)
end

return T
