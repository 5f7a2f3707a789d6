-- demo.lua -- what `make demo` runs: two energy-based models trained from scratch, drawn from, judged and combined.
--
--   (a) A restricted Boltzmann machine of 784 visible and 500 hidden units learns the 60,000 pictures of Fashion-MNIST
--       by persistent contrastive divergence.  It then draws pictures of its own, and its energy tells clothes from
--       pictures that only look like clothes pixel by pixel.
--   (b) Two small networks learn the energies of two point clouds, moons and a ring.  Energies add: the sum is where
--       both are likely, `any` where either is, a difference where one is and the other is not.  Nothing is trained
--       again for that.
--
-- The pictures go to the folder demo/ (or the one given as argument).

local folder = arg and arg[1] or "demo"
os.execute("mkdir -p '" .. folder .. "'")

local started = neap.clock()
local part = started

local function say (format, ...) print((select("#", ...) > 0 and format:format(...) or format)) end

-- Says how long the part since the last call took.
local function took (what)
  local now = neap.clock()
  say("  %-52s %6.1f s", what, now - part)
  part = now
end

-- ---- (a) A restricted Boltzmann machine on pictures of clothes ----

-- Pictures [N, 28, 28] of bytes -> units [N, 784], 1 where the pixel is brighter than a half.
local function binarise (pictures) return pictures:reshape(#pictures, 784):gt(127):to "float32" end

-- E(v) = -b·v - Σ softplus(c + vW).  The visible biases start at the log odds of the pixels, so that the hidden units
-- need only learn what the pixels have to do with each other.
local function new_rbm (pixel_means)
  local E = neap.energy.rbm{visible = 784, hidden = 500}
  local b = E:params()[2]
  b[{}] = (pixel_means / (1 - pixel_means)):log()
  return E
end

-- Persistent contrastive divergence: 100 chains live through the whole training, one Gibbs step for each batch.
-- Returns the chains, which by now are spread over all that the model knows.
local function train_rbm (E, x, epochs)
  local loss = neap.loss.pcd{sampler = neap.sampler.gibbs{}, steps = 1, buffer = 100}
  local steps = epochs * #x // 100
  neap.train(E, x, {
    loss = loss, batch = 100, steps = steps, seed = 1,
    optimizer = neap.optim.sgd{lr = neap.schedule.linear{lr = .1, final = .002, steps = steps}, weight_decay = 1e-4},
  })
  return loss:state().buffer
end

-- 100 new pictures: the chains go on by themselves, and are shown as the probability of each pixel.
local function draw_pictures (E, chains)
  local sampler = neap.sampler.gibbs{}
  local state = sampler:step(E, sampler:init(E, chains), 100)
  return E:visible(E:hidden(state.x)):reshape(#chains, 28, 28)
end

-- The same pictures with their rows in another order: every row is one of a real picture.
local function shuffle_rows (x)
  local n = #x
  local _, order = neap.rand(n, 28):sort(2)
  return x:reshape(n, 28, 28):gather(2, order:unsqueeze(3):expand(n, 28, 28)):reshape(n, 784)
end

-- How well an energy tells odd pictures from real ones: the chance that the odd one of a random pair has more energy.
-- Beside it the same for a model of each pixel by itself, a Bernoulli variable.
local function judge (E, x, pixel_means)
  local log_odds = (pixel_means / (1 - pixel_means)):log()
  local function baseline (v) return -(v * log_odds):sum(2) end
  local odd = {
    {"rows shuffled", shuffle_rows(x)},
    {"noise of the same pixel means", neap.rng(3):bernoulli(pixel_means:expand(#x, 784))},
    {"inverted", 1 - x},
  }
  say "  AUROC of the energy as anomaly score, 10,000 test pictures:   RBM   pixels alone"
  for _, case in ipairs(odd) do
    say("    %-56s %.3f   %.3f", case[1], neap.metric.auroc(E(case[2]), E(x)),
        neap.metric.auroc(baseline(case[2]), baseline(x)))
  end
end

say "(a) A restricted Boltzmann machine learns Fashion-MNIST"
neap.seed(1)
local train = binarise((neap.data.fashion_mnist("train", {dtype = "uint8"})))
local test = binarise((neap.data.fashion_mnist("test", {dtype = "uint8"})))
took "reading 70,000 pictures"

local pixel_means = train:mean(1):clamp(.001, .999)
local rbm = new_rbm(pixel_means)
local chains = train_rbm(rbm, train, 3)
took "training, 3 epochs of persistent contrastive divergence"

neap.image.save(folder .. "/rbm-samples.png", neap.image.grid(draw_pictures(rbm, chains), {columns = 10}))
took "drawing 100 pictures"

judge(rbm, test, pixel_means)
took "judging"

-- ---- (b) Energies that add ----

-- A network that gives the energy at each noise level sigma, trained to point from noisy points back to the data;
-- what it has learned at the lowest level is the energy of the data.  A weak quadratic keeps every combination
-- normalisable: far from the data a network may say anything, but the quadratic wins.
local LEVELS = {1, .5, .25, .12, .08}
local quadratic = neap.energy.gaussian{mean = neap.zeros(2), std = 4}

-- Adds the logarithm of the normaliser, by quadrature over the plane: `any` of two such energies is an even mixture.
local function normalise (E)
  return E + (E + quadratic):log_z{method = "quadrature", lower = {-8, -8}, upper = {8, 8}, points = 400}
end

local function learn (x, seed)
  neap.seed(seed)
  local net = neap.energy.mlp{sizes = {2, 96, 96}, condition = 1}
  neap.train(net, x, {
    loss = neap.loss.multi_dsm{sigmas = LEVELS, conditional = true}, batch = 256, steps = 4000, seed = seed, ema = .995,
    optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = 4000}},
  })
  return normalise(net:given(neap.tensor {LEVELS[#LEVELS]}))
end

-- 1000 draws: chains cool down from a temperature at which they cross every valley, then stay at 1.
local function draw (E)
  local sampler = neap.sampler.mala{step_size = 4e-3}
  local x = 2 * neap.randn(1000, 2)
  for _, temperature in ipairs {8, 4, 2, 1} do
    x = sampler:step(E / temperature, sampler:init(E / temperature, x), 150).x
  end
  return x
end

say "(b) Two energies, learned apart, put together"
part = neap.clock()
local moons = learn(neap.data.moons(20000, {seed = 1}), 1)
took "moons: denoising score matching at five noise levels"
local angle = neap.rand(20000) * (2 * math.pi)
local ring = learn(neap.stack({angle:cos(), angle:sin()}, 2) + .1 * neap.randn(20000, 2), 2)
took "a ring: the same"

local combinations = {
  {"moons", moons}, {"ring", ring}, {"moons + ring", moons + ring}, {"any{moons, ring}", neap.energy.any{moons, ring}},
  {"moons - ring/2", moons - .5 * ring},
}
local panels = {}
for i, c in ipairs(combinations) do
  local E = c[2] + quadratic
  panels[i] = neap.plot.energy(E, {
    title = c[1], samples = draw(E), xlim = {-2.3, 2.3}, ylim = {-2.3, 2.3}, width = 300, height = 300,
  })
end
neap.plot.panels(panels):save(folder .. "/compose.png")
took "1000 draws from each of five combinations, and the picture"

say("The pictures are %s/rbm-samples.png and %s/compose.png; all took %.1f s.", folder, folder, neap.clock() - started)
