-- zoo.lua -- an energy of every class and of every way to compose them: what tests of programs run.
local M = {}

local activations = {"silu", "relu", "leaky_relu", "elu", "gelu", "softplus", "tanh", "sigmoid", "sin"}

-- {name, E, condition = columns of c, or nil} for every class of energies, of events [2]
function M.all (dtype)
  local o = {dtype = dtype}
  local function t (v) return neap.tensor(v, o) end
  local list = {}
  local function add (name, E, condition) list[#list + 1] = {name = name, E = E, condition = condition} end
  for _, a in ipairs(activations) do
    add("mlp " .. a, neap.energy.mlp{sizes = {2, 16, 8}, activation = a, dtype = dtype})
  end
  add("mlp 33, 65", neap.energy.mlp{sizes = {2, 33, 65}, dtype = dtype})
  add("mlp given rows of c", neap.energy.mlp{sizes = {2, 8}, condition = 3, dtype = dtype}, 3)
  local net_of_c = neap.energy.mlp{sizes = {2, 8}, condition = 1, dtype = dtype}
  add("residual_mlp", neap.energy.residual_mlp{sizes = {2, 12}, dtype = dtype})
  add("residual_mlp given rows of c", neap.energy.residual_mlp{sizes = {2, 8, 5}, condition = 3, dtype = dtype}, 3)
  add("noise_conditional", neap.energy.noise_conditional(net_of_c):given(t{.7}))
  add("classifier", neap.energy.classifier(neap.energy.mlp{sizes = {2, 8, 4}, dtype = dtype}))
  add("class of a classifier", neap.energy.classifier(neap.energy.mlp{sizes = {2, 8, 4}, dtype = dtype}):class(3))
  add("flow", neap.energy.flow{dim = 2, layers = 3, hidden = 8, dtype = dtype})
  add("rbm", neap.energy.rbm{visible = 2, hidden = 5, dtype = dtype})
  add("gaussian_rbm", neap.energy.gaussian_rbm{visible = 2, hidden = 5, std = {.7, 1.2}, dtype = dtype})
  add("gaussian std", neap.energy.gaussian{mean = t{0, 1}, std = 1.5})
  add("gaussian std, mean a variable", neap.energy.gaussian{mean = t{0, 1}:requires_grad(), std = 1.5})
  add("gaussian cov", neap.energy.gaussian{mean = {0, 1}, cov = {{2, .5}, {.5, 1}}})
  add("gaussian cov a variable", neap.energy.gaussian{mean = {0, 1}, cov = t{{2, .5}, {.5, 1}}:requires_grad()})
  add("gaussian precision", neap.energy.gaussian{mean = {0, 1}, precision = {{2, .5}, {.5, 1}}})
  add("gmm std", neap.energy.gmm{means = t{{1, 0}, {-1, 2}, {0, 0}}:requires_grad(), std = .7, weights = {.3, .5, .2}})
  add("gmm covs", neap.energy.gmm{means = {{1, 0}, {-1, 2}}, covs = {{{2, .5}, {.5, 1}}, {{1, 0}, {0, 1}}}})
  add("double_well", neap.energy.double_well{barrier = 2, dim = 2})
  add("funnel", neap.energy.funnel{dim = 2})
  add("banana", neap.energy.banana{})
  add("rosenbrock", neap.energy.rosenbrock{b = 3})
  add("rastrigin", neap.energy.rastrigin{a = .5})
  add("ackley", neap.energy.ackley{})
  add("ring", neap.energy.ring{radius = 2, std = .3})
  add("ising", neap.energy.ising{shape = 2, beta = t(.3):requires_grad(), field = .2})
  add("ising, open", neap.energy.ising{shape = {2}, beta = .3, field = t{.1, -.2}:requires_grad(), periodic = false})
  add("ising on edges", neap.energy.ising{edges = {{1, 2}, {2, 1}}, beta = t{.3, .1}:requires_grad()})
  add("potts", neap.energy.potts{shape = 2, states = 3, beta = t(.5):requires_grad()})
  add("hopfield", neap.energy.hopfield{patterns = t{{1, -1}, {1, 1}, {-2, 0}}:requires_grad(), beta = 2})
  add("hopfield, classical", neap.energy.hopfield{patterns = {{1, -1}, {1, 1}}, beta = .5, kind = "classical"})
  add("exponential_family", neap.energy.exponential_family{
    statistics = function (x) return neap.cat({x, x * x}, 2) end, params = t{.1, .2, -.5, -.6}:requires_grad(),
    event = {2}})

  local net = neap.energy.mlp{sizes = {2, 8}, dtype = dtype}
  local g, well = neap.energy.gaussian{mean = t{1, 0}:requires_grad(), std = .8}, neap.energy.double_well{dim = 2}
  add("mixture", neap.energy.mixture{energies = {net, g, well}, weights = {.2, .3, .5}})
  add("any", neap.energy.any{net, g, well})
  add("sum", net + g + .3 * well)
  add("scaled by a variable", t(.7):requires_grad() * net)
  add("divided", net / 2.5)
  add("minus", g - .2 * net)
  add("offset", net + 3)
  add("negative", -neap.energy.banana{} + 2 * g)
  add("translated", (net + g):translate{.5, -1})
  add("given one condition", neap.energy.mlp{sizes = {2, 8}, condition = 3, dtype = dtype}:given(t{.1, -.2, .3}))
  add("fixed", (net + g):fix(neap.tensor{1, 0}:gt(.5), t{.4, 0}))
  add("fixed, translated, summed", (net:translate{1, 1} + g):fix(neap.tensor{0, 1}:gt(.5), t{0, .4}) / 2 + well)

  local w, b = neap.randn({2, 6}, o):requires_grad(), neap.randn({6}, o):requires_grad()
  add("lua", neap.energy(function (x) return (neap.matmul(x, w) + b):softplus():sum(2) end,
                         {params = {w = w, b = b}, event = {2}}))
  add("lua with c", neap.energy(function (x, c)
    return ((x - c:slice(2, 1, 2)) ^ 2):sum(2) * (1 + c:select(2, 3) ^ 2)
  end, {event = {2}}), 3)
  local k = neap.energy(function (x)
    local e = neap.einsum("bi,ij,bj->b", x, neap.eye(2, o), x) + x:logsumexp(2) * .3
    return e + neap.linear(x:sin(), w:t(), b):norm(2)
  end, {params = {w, b}, event = {2}})
  add("lua of many ops", k)
  add("lua in a sum", .5 * k + g:translate{.1, .1})
  return list
end

-- x [rows, 2], and c [rows, columns] where the entry takes one
function M.batch (rows, entry, dtype)
  local rng, o = neap.rng(rows + 5), {dtype = dtype}
  return rng:normal({rows, 2}, o), entry.condition and rng:normal({rows, entry.condition}, o)
end

return M
