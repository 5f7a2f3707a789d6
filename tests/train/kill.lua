-- kill.lua -- training runs ended by SIGKILL at random moments, and started again until they are through.

local cli = require "cli.support"
local folder = require "files.folder"

local kill = {}

local SCRIPT = [[
stamp () { stat -c '%%i %%y' %s 2>&1; }
before=$(stamp)
%s &
pid=$!
while kill -0 $pid 2>/dev/null && [ "$(stamp)" = "$before" ]; do sleep .005; done
sleep %.3f
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
]]

local function command (threads, checkpoint, out, steps)
  return ("%s/neap --threads %d tests/train/resume_script.lua '%s' %s %d"):format(cli.quote(cli.build), threads,
    checkpoint, cli.quote(out), steps)
end

-- The bytes that an unbroken run of so many steps ends with.
function kill.unbroken (steps)
  local out = folder.file "unbroken.safetensors"
  local _, err, code = cli.run(command(1, "", out, steps))
  assert(code == 0, err)
  return folder.read "unbroken.safetensors"
end

-- The bytes that a run ends with which is killed up to `most` times, each time after it has written a checkpoint and a
-- random while longer, and goes on with another number of threads; and how often it was killed.
function kill.broken (steps, most, random)
  local checkpoint, out, kills = folder.file "run.safetensors", folder.file "broken.safetensors", 0
  os.remove(checkpoint)
  repeat
    local run = command(1 + kills % 2, checkpoint, out, steps)
    local _, err, code
    if kills < most then
      _, err, code = cli.run(SCRIPT:format(cli.quote(checkpoint), run, .06 * random:uniform(1):item()))
    else _, err, code = cli.run(run) end
    if code == 137 then kills = kills + 1 end
    assert(code == 0 or code == 137, err)
  until code == 0
  return folder.read "broken.safetensors", kills
end

return kill
