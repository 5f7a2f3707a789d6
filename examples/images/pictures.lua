-- pictures.lua -- what the programs of this folder share: their arguments, Fashion-MNIST in [-1, 1], what is no picture
-- of it, how odd pixels alone are, and classifiers: their training, their logits, one to compare pictures by.
-- Invariant: pictures are [N, 1, 28, 28] in [-1, 1] everywhere; only save writes a file.

local neap = require "neap"

local M = {}

-- Of the command line: {quick =, seed =, folder =, idx = file, npy = file, safetensors = file}.  A number is the seed;
-- a name with one of these endings is a file to read, any other the folder that pictures go to.
function M.arguments ()
  local o = {quick = false, seed = 1, folder = "examples/out"}
  for _, a in ipairs(arg or {}) do
    local kind = a:match "%.(npy)$" or a:match "%.(safetensors)$" or a:match "ubyte" and "idx"
    if a == "--quick" then o.quick = true
    elseif math.tointeger(a) then o.seed = math.tointeger(a)
    else o[kind or "folder"] = a end
  end
  os.execute(("mkdir -p '%s'"):format(o.folder))
  neap.seed(o.seed)
  return o
end

-- pictures, labels 1..10
function M.fashion (split)
  local x, labels = neap.data.fashion_mnist(split)
  return (x * 2 - 1):unsqueeze(2), labels
end

-- n pictures, `columns` side by side, as one file
function M.save (path, x, columns)
  neap.image.save(path, neap.image.grid((x + 1) / 2, {columns = columns}))
end

-- Each pixel's own normal law, fitted to x, as an energy: what can be told without looking at pixels together.  Pixels
-- that hardly ever vary have a standard deviation of .1 at least.
function M.pixel_energy (x)
  local flat = x:reshape(x.shape[1], 784)
  local E = neap.energy.gaussian{mean = flat:mean(1):totable(), std = flat:std(1):clamp(.1):totable()}
  return neap.energy(function (y) return E(y:reshape(y.shape[1], 784)) end, {event = {1, 28, 28}, name = "pixels"}), E
end

-- What is no picture of clothes: {name, pictures}, made of `some` pictures or read from an IDX file of others.
function M.others (some, idx)
  local n = some.shape[1]
  local order = neap.rng(3):randperm(784)
  local out = {
    {"noise", neap.rand(some.shape, {rng = neap.rng(4)}) * 2 - 1},
    {"inverted", -some},
    {"pixels in another order", some:reshape(n, 784):index_select(2, order):reshape(some.shape)},
  }
  if idx then
    local x = neap.data.idx(idx)
    out[#out + 1] = {"those of the file", (x:slice(1, 1, math.min(n, #x)):float() / 127.5 - 1):unsqueeze(2)}
  end
  return out
end

-- The share of pairs in which the test picture is less odd, for each kind of others and each score {name, f}: printed,
-- and as found[score][kind].
function M.print_auroc (scores, some, others)
  local found, usual = {}, {}
  for i, s in ipairs(scores) do found[s[1]], usual[i] = {}, neap.no_grad(s[2], some) end
  for _, o in ipairs(others) do
    local line = ("AUROC of test pictures against %-24s"):format(o[1])
    for i, s in ipairs(scores) do
      local a = neap.metric.auroc(neap.no_grad(s[2], o[2]), usual[i])
      found[s[1]][o[1]], line = a, line .. ("   %s %.3f"):format(s[1], a)
    end
    print(line)
  end
  return found
end

-- f(x) of rows x, a thousand at a time
function M.over (f, x)
  local out = {}
  for i = 1, #x, 1000 do out[#out + 1] = f(x:slice(1, i, math.min(i + 999, #x))):detach() end
  return neap.cat(out, 1)
end

-- A classifier's logits of pictures, and the share of labels that they get right.
function M.logits (E, x) return M.over(function (rows) return E:logits(rows) end, x) end
function M.right (f, labels) return f:argmax(2):eq(labels):float():mean():item() end

-- The classifier o.E trained on pictures o.x and o.labels by o.loss for o.steps: with its parameters' averages.
function M.trained (o)
  local loader = neap.data.loader({o.x, o.labels}, {batch = o.batch, seed = o.seed})
  local chance, average, began = neap.rng(o.seed), neap.ema(o.E:params(), {decay = 1 - 8 / o.steps}), neap.clock()
  local function batch ()
    local b = loader:next()
    return {neap.data.augment(b[1], {shift = 1, value = -1, noise = .03, rng = chance}):clamp(-1, 1), b[2]}
  end
  neap.train(o.E, batch, {
    loss = o.loss, steps = o.steps, seed = o.seed, ema = average, guard = true, clip_grad = 1, progress = false,
    optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = o.lr, steps = o.steps}},
    on_step = function (step, value, info)
      if step % (o.steps // 5) > 0 then return end
      local line = ("%-12s step %5d   loss %7.4f   %5.0f s"):format(o.name, step, value, neap.clock() - began)
      if info.positive then
        line = line .. ("   E of pictures %7.3f, of chains %7.3f"):format(info.positive, info.negative)
      end
      print(line)
    end,
  })
  return o.E:with(average:params())
end

-- the loss of a classifier alone
function M.cross_entropy (E, batch) return neap.cross_entropy(E:logits(batch[1]), batch[2]), {} end

-- A small classifier's features f(x) [B, 64] and its share of right answers on the test pictures.
function M.eyes (x, labels, steps)
  local nn = neap.nn
  local body = nn.sequential{nn.conv{1, 16, stride = 2}, neap.silu, nn.conv{16, 32, stride = 2}, neap.silu,
                             nn.flatten(), nn.linear{32 * 49, 64}, neap.silu}
  local net = nn.sequential{body, nn.linear{64, 10}}
  local E = neap.energy.classifier(function (p) return net(p) end, {params = net, event = {1, 28, 28}})
  neap.train(E, {x, labels}, {steps = steps, batch = 128, seed = 1, progress = false,
    optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 2e-3, steps = steps}},
    loss = function (_, batch) return neap.cross_entropy(net(batch[1]), batch[2]) end})
  local test, truth = M.fashion "test"
  return function (p) return neap.no_grad(body, p) end, M.right(M.logits(E, test), truth)
end

return M
