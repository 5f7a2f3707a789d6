-- help_topics.lua -- what neap.help says of all that is no op: usage, what it gives, of which shape, where it is from.
-- Groups follow one another as neap.help() lists them; "sampler.hmc" is neap.sampler.hmc, "E:score" a method.
-- Invariant: a default is written as in the code; tests/lua/test_help.lua asks every constructor whether it knows the
-- options named here, and every part of the library whether it is described.

return {
  {"tensors", {
    tensor = {"neap.tensor(nested table | number [, {dtype=}])",
      "a tensor of these values; booleans give bool, numbers the default dtype"},
    zeros = {"neap.zeros(sizes [, {dtype=}])", "zeros; sizes are numbers or one table; neap.zeros_like(x)"},
    ones = {"neap.ones(sizes [, {dtype=}])", "ones; neap.ones_like(x)"},
    empty = {"neap.empty(sizes [, {dtype=}])", "a tensor whose elements are whatever memory held; neap.empty_like(x)"},
    full = {"neap.full(sizes, v [, {dtype=}])", "v everywhere; neap.full_like(x, v)"},
    eye = {"neap.eye(n [, m] [, {dtype=}])", "ones on the diagonal of an n × m matrix of zeros"},
    arange = {"neap.arange([first,] last [, step] [, {dtype=}])",
      "first, first + step, … up to last, which is included; first is 1 by default"},
    linspace = {"neap.linspace(first, last, n [, {dtype=}])", "n numbers from first to last, evenly spaced"},
    rand = {"neap.rand(sizes [, {dtype=, rng=}])", "uniform on [0, 1); neap.rand_like(x)"},
    randn = {"neap.randn(sizes [, {dtype=, rng=}])", "standard normal; neap.randn_like(x)"},
    randint = {"neap.randint(lo, hi, sizes [, {dtype=, rng=}])", "integers from lo to hi, both included"},
    randperm = {"neap.randperm(n [, {rng=}])", "1 to n in random order"},
    default_dtype = {"neap.default_dtype([name])",
      "the dtype of new tensors of numbers, set if a name is given: float32 or float64"},
    to = {"x:to(dtype)", "x as another dtype; x itself if it has it already"},
    double = {"x:double()", "x as float64"},
    float = {"x:float()", "x as float32"},
    size = {"x:size([d])", "the size of dimension d, or the table of all"},
    numel = {"x:numel()", "how many elements x has"},
    item = {"x:item()", "the element of a one-element tensor as a Lua value; of others an error"},
    totable = {"x:totable()", "nested Lua tables of x's elements; a number for a tensor of no dimensions"},
    is_tensor = {"neap.is_tensor(v)", "whether v is a tensor"},
    is_contiguous = {"x:is_contiguous()", "whether x's elements lie row by row in memory"},
    close = {"x:close()", "frees x now; also at the end of a scope: local x <close> = …; using it again is an error"},
    split = {"x:split(size | {sizes} [, dim])",
      "an array of pieces along dim (1); sizes that do not sum to its size are an error"},
    chunk = {"x:chunk(n [, dim])", "an array of n pieces along dim (1)"},
    eigh = {"x:eigh()",
      "of a symmetric matrix [.., N, N], of which it reads (x + xᵀ)/2: eigenvalues [.., N], ascending, and "
      .. "eigenvectors [.., N, N] in columns"},
  }},

  {"derivatives", {
    requires_grad = {"x:requires_grad([on])", "marks x as a variable (false: no longer), and returns x"},
    is_tracked = {"neap.is_tracked(x)", "whether x is a variable, or computed from one"},
    detach = {"x:detach()", "x's values, shared, without its tape"},
    backward = {"y:backward([seed] [, {retain=false, create_graph=false}])",
      "adds dy/dx to the .grad of every variable y depends on; x.grad = nil resets; the seed is of y's shape, and "
      .. "needed where y has more than one element"},
    gradients = {"neap.gradients(y, x | {x1, …} | {name = x}"
      .. " [, {grad_outputs=, create_graph=false, retain=false, allow_unused=false}])",
      "dy/dx with the keys of x, of the shapes of x.  The tape is released unless retain or create_graph is asked "
      .. "for; using it again is an error, as is an x that y does not depend on, unless allow_unused (nil)"},
    no_grad = {"neap.no_grad(f, …)", "f(…) with nothing taped"},
    grad = {"neap.grad(f [, argnum])",
      "a function that gives the gradient of f (one number) by an argument; argnum may be a table of them"},
    value_and_grad = {"neap.value_and_grad(f [, argnum])",
      "a function that gives f's value, its gradient, and f's further results"},
    vjp = {"neap.vjp(f, x, v)", "f(x), vᵀJ: v of f(x)'s shape, vᵀJ of x's"},
    jvp = {"neap.jvp(f, x, v)", "f(x), J v: v of x's shape, J v of f(x)'s"},
    hvp = {"neap.hvp(f, x, v)", "the Hessian of f (one number) times v, of x's shape as v is"},
    jacobian = {"neap.jacobian(f, x)", "[f(x)'s shape, x's shape]"},
    hessian = {"neap.hessian(f, x)", "[x's shape, x's shape] for f that gives one number"},
    laplacian = {"neap.laplacian(f, x)",
      "the trace of the Hessian; one for each row where f gives one number for each row of x"},
    vmap = {"neap.vmap(f)", "a function that calls f for each row of its arguments and stacks the results"},
    compile = {"neap.compile(f)", "f as a function that runs as programs: one for each form of its arguments (dtypes, " ..
      "shapes but for the number of rows, what they hold besides tensors).  What f reads besides its arguments is " ..
      "frozen when such arguments are first given: tensors by reference, all else by value.  f is called a few times " ..
      "on examples.  Derivatives of any order are f's.  Where f looks at values it runs op by op, and a warning says where"},
    scan = {"neap.scan(step, carry, n | xs)",
      "carry, ys after n steps carry, y = step(carry, x_t, t), or one for each row of xs, a tensor or a table of " ..
      "tensors, as one loop where that can be.  What step reads besides its arguments is frozen.  A step that takes t " ..
      "is recorded on a few rows at every t, where that costs less than calling it; a step that derivatives go " ..
      "through is called"},
    explain = {"neap.explain(f, …) | explain(E, x [, c]) | explain(sampler, E, x [, c]) | explain(loss, E, batch)",
      "as text, the program of f(…), of an energy with its gradient, of a sampler's step, of a loss with its " ..
      "gradients: what runs once, loops over elements, calls, sizes, costs"},
    gradcheck = {"neap.gradcheck(f, inputs [, {order=1, tol=1e-6, step=1e-3, directions=2, seed=1}])",
      "whether f's derivatives up to that order agree with differences, and a report {worst=, order=, tol=}"},
  }},

  {"random numbers", {
    seed = {"neap.seed(n)", "restarts the default random stream; draws do not depend on the number of threads"},
    rng = {"neap.rng([seed])", "a random stream of its own; without a seed split off the default one"},
    rng_state = {"neap.rng_state()", "where the default stream stands: {seed=, stream=, step=}"},
    set_rng_state = {"neap.set_rng_state(t)", "takes the default stream back to a state"},
    ["rng:normal"] = {"r:normal(sizes [, {dtype=}])", "standard normal"},
    ["rng:uniform"] = {"r:uniform(sizes [, {dtype=}])", "uniform on [0, 1)"},
    ["rng:randint"] = {"r:randint(lo, hi, sizes)", "integers from lo to hi, both included"},
    ["rng:bernoulli"] = {"r:bernoulli(p)", "1 with probability p, else 0; of p's shape"},
    ["rng:categorical"] = {"r:categorical(logits)",
      "indices 1..n with probabilities softmax(logits) over the last dimension of logits [.., n]: [..]"},
    ["rng:randperm"] = {"r:randperm(n)", "1 to n in random order"},
    ["rng:split"] = {"r:split()", "an independent stream; r moves on by a step"},
    ["rng:state"] = {"r:state()", "where r stands: {seed=, stream=, step=}"},
    ["rng:set_state"] = {"r:set_state(t)", "takes r back to a state"},
  }},

  {"dist", "log densities, element by element: (x, {name = value}) or (x, value, …); parameters broadcast with x; "
           .. "−inf outside the support", {
    ["dist.normal"] = {"neap.dist.normal(x [, {mean=0, std=1}])",
      "N(mean, std²): −½ z² − log(std √2π), z = (x − mean)/std"},
    ["dist.cauchy"] = {"neap.dist.cauchy(x [, {loc=0, scale=1}])",
      "Cauchy: −log(π scale (1 + z²)), z = (x − loc)/scale"},
    ["dist.laplace"] = {"neap.dist.laplace(x [, {loc=0, scale=1}])", "Laplace: −|x − loc|/scale − log(2 scale)"},
    ["dist.student_t"] = {"neap.dist.student_t(x, {df=, loc=0, scale=1})",
      "Student's t with df degrees of freedom: ∝ (1 + z²/df)^(−(df + 1)/2), z = (x − loc)/scale"},
    ["dist.exponential"] = {"neap.dist.exponential(x [, {rate=1}])", "rate e^(−rate x), x ≥ 0"},
    ["dist.gamma"] = {"neap.dist.gamma(x, {shape=, rate=1})", "∝ x^(shape − 1) e^(−rate x), x > 0"},
    ["dist.beta"] = {"neap.dist.beta(x, {a=, b=})", "∝ x^(a − 1) (1 − x)^(b − 1), 0 < x < 1"},
    ["dist.lognormal"] = {"neap.dist.lognormal(x [, {mean=0, std=1}])", "log x ~ N(mean, std²), x > 0"},
    ["dist.half_normal"] = {"neap.dist.half_normal(x [, {std=1}])", "|N(0, std²)|: 2 N(x; 0, std²), x ≥ 0"},
    ["dist.half_cauchy"] = {"neap.dist.half_cauchy(x [, {scale=1}])", "|Cauchy(0, scale)|: twice its density, 2/(π scale (1 + (x/scale)²)), x ≥ 0"},
    ["dist.uniform"] = {"neap.dist.uniform(x [, {lo=0, hi=1}])", "1/(hi − lo) on [lo, hi]"},
    ["dist.poisson"] = {"neap.dist.poisson(x, {rate=})", "rate^x e^(−rate)/x!, x = 0, 1, …"},
    ["dist.bernoulli"] = {"neap.dist.bernoulli(x, {p= | logits=})", "p^x (1 − p)^(1 − x), x = 0 or 1, p = sigmoid(logits)"},
  }},

  {"bijector", "y, log_jacobian = b(u); u = b:inverse(y)", {
    ["bijector.positive"] = {"neap.bijector.positive", "y > 0: e^u"},
    ["bijector.unit"] = {"neap.bijector.unit", "0 < y < 1: sigmoid(u)"},
    ["bijector.lower"] = {"neap.bijector.lower(a)", "y > a: a + e^u"},
    ["bijector.upper"] = {"neap.bijector.upper(b)", "y < b: b − e^u"},
    ["bijector.interval"] = {"neap.bijector.interval(a, b)", "a < y < b: a + (b − a) sigmoid(u)"},
    ["bijector.ordered"] = {"neap.bijector.ordered", "y₁ < y₂ < …, along the last dimension"},
    ["bijector.simplex"] = {"neap.bijector.simplex",
      "y ≥ 0, Σ y = 1, one element more than u, along the last dimension"},
  }},

  {"energy", "E(x) takes x [B, event…] and gives [B]; E(x, c) one with a condition", {
    energy = {"neap.energy(f [, {params=, event=, name=, states=}])",
      "the energy f(x [, c]) -> [B] of x [B, event…]; params (tensors, nested tables of them) become variables"},
    ["energy.mlp"] = {"neap.energy.mlp{sizes=, activation=\"silu\", condition=0, dtype=, rng=}",
      "h ← σ(W h + b) per layer of x [B, D], joined by c [B, condition], a scalar head added: sizes = {2, 128, 128} "
      .. "is 2 → 128 → 128 → 1; W ~ U(±g√(3/inputs)), g the activation's gain"},
    ["energy.residual_mlp"] = {
      "neap.energy.residual_mlp{sizes=, blocks=2, activation=\"silu\", condition=0, dtype=, rng=}",
      "h ← h + V σ(W h + b) + v per block (He et al. 2016), a scalar head: sizes = {2, 128} is two blocks of "
      .. "width 128"},
    ["energy.conv"] = {
      "neap.energy.conv{input=, channels=, kernels=3, strides=2, hidden=64, activation=\"silu\", dtype=, rng=}",
      "convolutions of images x [B, C, H, W], input = {C, H, W}, then dense layers (hidden={256, 64}, one number: "
      .. "one, 0: none) and a scalar head (LeCun et al. 1998)"},
    ["energy.noise_conditional"] = {"neap.energy.noise_conditional(net)",
      "E(x, σ) = net(x)/σ (Song and Ermon 2020), or net(x, log σ)/σ where net takes a condition; σ is the "
      .. "condition c, [B] or [B, 1]"},
    ["energy.classifier"] = {"neap.energy.classifier(net | f [, {params=, event=, name=}])",
      "−log Σ e^logits (JEM: Grathwohl et al. 2020): the mlp or conv net without its head, classes in place of its "
      .. "last (hidden) size, or f(x) -> [B, K], such as a network of neap.nn"},
    ["energy.flow"] = {"neap.energy.flow{dim=, layers=6, hidden=64, activation=\"silu\", dtype=, rng=}",
      "−log p of affine couplings with alternating halves (Dinh et al. 2017), x [B, dim]: normalised, E:sample(n) "
      .. "is exact"},
    ["energy.rbm"] = {"neap.energy.rbm{visible=, hidden=, dtype=, rng=}",
      "restricted Boltzmann machine, units 0/1, v [B, visible]: −b·v − Σ softplus(c + vW), W [visible, hidden] "
      .. "(Hinton 2012)"},
    ["energy.gaussian_rbm"] = {"neap.energy.gaussian_rbm{visible=, hidden=, std=1, dtype=, rng=}",
      "the same with normal visible units: ½ |(v − b)/std|² − Σ softplus(c + (v/std)W) (Hinton and Salakhutdinov "
      .. "2006)"},
    ["energy.gaussian"] = {"neap.energy.gaussian{mean=, cov= | precision= | std=}",
      "½ (x−μ)ᵀΛ(x−μ) of x [B, D]: mean [D], cov or precision [D, D], std a number or [D]"},
    ["energy.gmm"] = {"neap.energy.gmm{means=, covs= | std=, weights=}",
      "−log density of a mixture of normals: means [K, D], covs [K, D, D], std a number, [K] or [K, D], weights "
      .. "[K]"},
    ["energy.mixture"] = {"neap.energy.mixture{energies=, weights=}",
      "−log Σ wₖ e^(−Eₖ); the weights multiply unnormalised densities"},
    ["energy.any"] = {"neap.energy.any{E1, E2, …}", "−log Σ e^(−Eᵢ): one or another"},
    ["energy.double_well"] = {"neap.energy.double_well{barrier=1, dim=1}", "Σ barrier (x² − 1)²"},
    ["energy.funnel"] = {"neap.energy.funnel{dim=10}", "x₁ ~ N(0, 3²), the others N(0, e^x₁) (Neal 2003)"},
    ["energy.banana"] = {"neap.energy.banana{b=1, std={1, .5}}",
      "x₁²/2s₁² + (x₂ − b(x₁² − s₁²))²/2s₂²: a twisted normal in the plane (Haario et al. 1999)"},
    ["energy.rosenbrock"] = {"neap.energy.rosenbrock{a=1, b=100, dim=2}",
      "Σ (a − xᵢ)² + b(xᵢ₊₁ − xᵢ²)² (Rosenbrock 1960)"},
    ["energy.rastrigin"] = {"neap.energy.rastrigin{a=10, dim=2}", "Σ x² + a (1 − cos 2πx) (Rastrigin 1974)"},
    ["energy.ackley"] = {"neap.energy.ackley{a=20, b=.2, c=2π, dim=2}",
      "a (1 − e^(−b √mean x²)) + e − e^(mean cos cx) (Ackley 1987)"},
    ["energy.ring"] = {"neap.energy.ring{radius=, std=, dim=2}", "(|x| − radius)²/2 std²"},
    ["energy.ising"] = {"neap.energy.ising{shape= | edges=, beta=, field=0, periodic=true}",
      "−β Σ s s′ − Σ h s over spins ±1, x [B, shape…] (Ising 1925): a torus, open ends, or any graph, edges [M, "
      .. "2]"},
    ["energy.potts"] = {"neap.energy.potts{shape= | edges=, states=, beta=, periodic=true}",
      "−β Σ [x = x′], x = 1 … states, [B, shape…] (Potts 1952)"},
    ["energy.hopfield"] = {"neap.energy.hopfield{patterns=, beta=, kind=\"modern\" | \"classical\"}",
      "½ |x|² − log Σ e^(β ξ·x) / β, patterns [K, D] (Ramsauer et al. 2020); classical: −β/2D Σ_{i≠j} xᵢ xⱼ Σ ξᵢ "
      .. "ξⱼ of spins ±1 (Hopfield 1982)"},
    ["energy.exponential_family"] = {
      "neap.energy.exponential_family{statistics=, base= | log_base=, params=, event=}", "−θ·T(x) − log h(x)"},
    ["energy.load"] = {"neap.energy.load(path)",
      "what E:save(path) wrote, unless it holds a function, which is an error"},
  }},

  {"nn", "networks from parts, which are called with rows x [B, …]; any function of a tensor is a part, too", {
    ["nn.linear"] = {"neap.nn.linear{inputs, outputs, bias=true, spectral=false, gain=√2, dtype=, rng=}",
      "[B, inputs] -> [B, outputs]; spectral: the weight over its largest singular value (Miyato et al. 2018)"},
    ["nn.conv"] = {"neap.nn.conv{inputs, outputs, kernel=3, stride=1, padding=kernel//2, dilation=1, groups=1, bias=true, "
      .. "spectral=false, gain=√2, dtype=, rng=}", "[B, inputs, H, W] -> [B, outputs, H', W']"},
    ["nn.layer_norm"] = {"neap.nn.layer_norm{size, eps=1e-5, dtype=}", "over the last dimension (Ba et al. 2016)"},
    ["nn.group_norm"] = {"neap.nn.group_norm{groups, channels, eps=1e-5, dtype=}",
      "of x [B, channels, …] (Wu and He 2018)"},
    ["nn.instance_norm"] = {"neap.nn.instance_norm{channels, eps=1e-5, dtype=}",
      "each channel of each row by itself (Ulyanov et al. 2016)"},
    ["nn.flatten"] = {"neap.nn.flatten()", "[B, …] -> [B, numbers of a row]"},
    ["nn.upsample"] = {"neap.nn.upsample{scale=2, mode=\"nearest\" | \"bilinear\"}",
      "[B, C, H, W] -> [B, C, scale·H, scale·W]"},
    ["nn.sequential"] = {"neap.nn.sequential{part, …}", "one after the other; a condition goes to every module"},
    ["nn.residual"] = {"neap.nn.residual{part, …, skip=}", "x + the parts one after the other; skip(x) in place of x"},
    ["nn.unet"] = {"neap.nn.unet{inputs, channels={16, 32}, kernel=3, activation=neap.silu, dtype=, rng=}",
      "[B, inputs, H, W] -> the same shape, halved and back (Ronneberger et al. 2015)"},
    ["nn.custom"] = {"neap.nn.custom(f, {tensor, …})", "f(x [, c]) with these tensors as parameters"},
    ["net:energy"] = {"net:energy([{event=, name=}])", "the energy of a network that gives one number a row"},
    ["net:reconstruction"] = {"net:reconstruction([{event=, name=}])", "½ |x − net(x)|² (Salimans and Ho 2021)"},
    ["net:params"] = {"net:params()", "array of tensors, array of names such as 2.weight"},
    ["net:numel"] = {"net:numel()", "how many numbers its tensors have; print(net) shows the parts and their shapes"},
  }},

  {"E", "methods of energies; E1 + E2, w * E, E / T, E1 - E2, -E are energies, too", {
    ["E:score"] = {"E:score(x [, c])", "−∇E, of x's shape"},
    ["E:grad"] = {"E:grad(x [, c])", "∇E, of x's shape"},
    ["E:value_and_grad"] = {"E:value_and_grad(x [, c])", "E(x) [B], ∇E of x's shape"},
    ["E:hvp"] = {"E:hvp(x, v [, c])", "∇²E v, row by row, of x's shape as v is"},
    ["E:laplacian"] = {"E:laplacian(x [, c] [, {method=\"exact\" | \"hutchinson\", samples=1, rng=}])",
      "tr ∇²E [B]; hutchinson: the mean of vᵀ∇²E v over random v = ±1 (Hutchinson 1990)"},
    ["E:log_ratio"] = {"E:log_ratio(x, y [, c])", "log p(x)/p(y) [B]"},
    ["E:log_prob"] = {"E:log_prob(x [, c] [, {log_z=}])",
      "−E − log Z [B]; without log_z where a closed form is known, else an error"},
    ["E:log_z"] = {"E:log_z([{method=\"exact\" | \"enumerate\" | \"quadrature\" | \"ais\" | \"reverse_ais\" | \"smc\""
      .. ", …}])",
      "a number, and info {method=, stderr=, interval=, …}: exact, or along a path from a base (ais: Neal 2001, "
      .. "smc: Del Moral et al. 2006): sampler=, base=, chains=256, temperatures=2000, steps=1 (smc: particles=, "
      .. "ess=, steps=10); quadrature: lower=, upper=, points="},
    ["E:normalizable"] = {"E:normalizable()", "\"yes\", \"no\" or \"unknown\", and why: decided by how E grows far out"},
    ["E:logits"] = {"E:logits(x [, c])", "of a classifier: f(x) [B, K]; of others an error"},
    ["E:class"] = {"E:class([k])", "of a classifier: −f_k(x), the energy of class k, a number or a class for each row; "
      .. "without k E(x, k), whose condition is the class"},
    ["E:sample"] = {"E:sample(n [, rng | {rng=, dtype=}])",
      "exact draws [n, event…], where there are any, else an error"},
    ["E:params"] = {"E:params()", "array of tensors, array of names"},
    ["E:with"] = {"E:with(params)", "the same energy with others: an array, or a table by names, of the same shapes"},
    ["E:clone"] = {"E:clone()", "a copy with parameters of its own"},
    ["E:save"] = {"E:save(path)", "writes a .safetensors file that neap.energy.load reads"},
    ["E:load"] = {"E:load(path)",
      "reads a file into E's parameters, by name; others, and other shapes, are an error"},
    ["E:translate"] = {"E:translate(v)", "E(x − v)"},
    ["E:given"] = {"E:given(c)", "E(·, c): one condition for all rows, or [B, …]"},
    ["E:fix"] = {"E:fix(mask, values)", "E with the coordinates of mask held at values"},
    ["E:hidden"] = {"E:hidden(v)", "of an RBM: P(h = 1 | v) [B, hidden]"},
    ["E:visible"] = {"E:visible(h)", "of an RBM: P(v = 1 | h) [B, visible]; of a gaussian_rbm the mean"},
    ["E:joint"] = {"E:joint(v, h)", "of an RBM: −b·v − c·h − vWh [B]"},
  }},

  {"sampler", "kernels; s:sample runs them", {
    ["sampler.langevin"] = {"neap.sampler.langevin{step_size=, noise_std=√(2·step_size), clip=, clamp={lower, upper}}",
      "x − ε∇E + noise (Roberts and Tweedie 1996); never rejects"},
    ["sampler.random_walk"] = {"neap.sampler.random_walk{scale=}",
      "proposes x + scale·n, accepts or not (Metropolis et al. 1953)"},
    ["sampler.slice"] = {"neap.sampler.slice{width=}",
      "along a random line, to a point drawn from where e^(−E) is high (Neal 2003)"},
    ["sampler.mala"] = {"neap.sampler.mala{step_size=, target_accept=.574, metric=\"diag\"}",
      "Langevin's move, accepted or rejected (Roberts and Tweedie 1996); without a step_size warm-up finds it and "
      .. "the metric"},
    ["sampler.hmc"] = {"neap.sampler.hmc{step_size=, leapfrog_steps=10, target_accept=.8, metric=\"diag\"}",
      "Hamiltonian Monte Carlo of a fixed number of steps (Neal 2011); without a step_size warm-up finds it and "
      .. "the metric"},
    ["sampler.nuts"] = {
      "neap.sampler.nuts{target_accept=.8, max_depth=10, metric=\"unit\"|\"diag\"|\"dense\", step_size=}",
      "the no-U-turn sampler (Hoffman and Gelman 2014), for parameters of models; warm-up finds its step size and "
      .. "metric"},
    ["sampler.underdamped"] = {"neap.sampler.underdamped{step_size=, friction=1}",
      "Langevin with a momentum, as BAOAB (Leimkuhler and Matthews 2013); never rejects"},
    ["sampler.annealed_langevin"] = {"neap.sampler.annealed_langevin{sigmas=, step_size=, steps=100}",
      "steps moves of Langevin at each σ, the largest first, with step_size·(σ/σ_min)² (Song and Ermon 2019)"},
    ["sampler.gibbs"] = {"neap.sampler.gibbs{}",
      "an RBM's hidden, then visible units; of ising and potts each unit once, colour by colour; other units one by "
      .. "one (Geman and Geman 1984)"},
    ["sampler.gibbs_with_gradients"] = {"neap.sampler.gibbs_with_gradients{}",
      "of units 0 and 1, −1 and 1, or 1 … states: changes one that the gradient proposes (Grathwohl et al. 2021)"},
    ["sampler.dmala"] = {"neap.sampler.dmala{step_size=}",
      "of the same units: changes many at once by a discrete Langevin move, accepted or rejected (Zhang et al. "
      .. "2022)"},
    ["sampler.sgld"] = {"neap.sampler.sgld{step_size=, data=, batch=, prior=, power=0, delay=1}",
      "posteriors from minibatches (Welling and Teh 2011): E(θ, rows) sums over a chain's rows, [chains, batch, "
      .. "…]; never rejects"},
    ["sampler.sghmc"] = {"neap.sampler.sghmc{step_size=, data=, batch=, prior=, friction=1, noise=0}",
      "the same with a momentum and friction (Chen et al. 2014)"},
    ["sampler.blocks"] = {"neap.sampler.blocks{{dims, sampler}, …}",
      "a step of each sampler in turn on its coordinates, the others given (Tierney 1994): for mixed states"},
    ["sampler.parallel_tempering"] = {
      "neap.sampler.parallel_tempering{temperatures= | n=, hottest=100, kernel=, moves=1}",
      "replicas at several temperatures that swap (Geyer 1991); with n warm-up places them (Syed et al. 2022). "
      .. "Draws are those at T = 1"},
    ["sampler.smc"] = {"neap.sampler.smc{particles=1024, kernel=, ess=0.5, moves=10}",
      "particles from N(0, 1), or init's law, to e^(−E) by steps that keep a part ess effective (Del Moral et al. "
      .. "2006); info.log_z"},
    ["sampler.custom"] = {"neap.sampler.custom{init=, step=}",
      "yours: init(E, x, rng) and step(E, state, rng) give tables of tensors"},
    ["s:sample"] = {"s:sample(E [, {chains=4, steps=1000, warmup=0, thin=1, init=\"normal\","
      .. " dtype=, seed=, progress=, condition=}])",
      "draws [kept, chains, event…], info {accept_rate, energy, ess, rhat, verdict, …}"},
    ["s:init"] = {"s:init(E, x [, c] [, rng])", "a chain's state {x=, rng=, …} at x [chains, event…]"},
    ["s:step"] = {"s:step(E, state [, n])", "n steps; state is brought up to date in place and returned"},
    ["s:warmup"] = {"s:warmup(E, state, n)",
      "n steps in which mala, hmc and nuts without a step_size set state.step_size and state.scale"},
    ["s:partial"] = {"s:partial()", "draws and info of the last run if Ctrl-C ended it, else nil"},
    ["s:state"] = {"s:state()", "what s remembers: {step_size=, kernel=}"},
    ["s:set_state"] = {"s:set_state(t)", "takes it back"},
  }},

  {"loss", "loss(E, batch [, rng]) -> 0-d tensor, info; the batch is x [B, event…] or {x, c}; s is −∇E", {
    ["loss.cd"] = {"neap.loss.cd{sampler=, steps=1, init=\"data\", reg=0}",
      "contrastive divergence (Hinton 2002): mean E(x⁺) − mean E(x⁻) + reg · mean(E(x⁺)² + E(x⁻)²), x⁻ where "
      .. "steps of the sampler lead"},
    ["loss.pcd"] = {"neap.loss.pcd{sampler=, steps=1, buffer=, init=, reinit=0, reg=0}",
      "the same with chains that go on (Tieleman 2008), from a buffer (Du and Mordatch 2019)"},
    ["loss.score_matching"] = {"neap.loss.score_matching{}", "mean(½|∇E|² − ∇²E), exact (Hyvärinen 2005)"},
    ["loss.ssm"] = {"neap.loss.ssm{projections=1, variant=\"vr\" | \"plain\"}",
      "score matching along random v (Song et al. 2019): mean(½|s|² + vᵀ∇s v), plain: ½(v·s)²; no pass per "
      .. "dimension"},
    ["loss.fd_ssm"] = {"neap.loss.fd_ssm{eps=.1}",
      "the plain one from differences of energies at x ± eps·v, up to O(eps²) (Pang et al. 2020)"},
    ["loss.dsm"] = {"neap.loss.dsm{sigma=, antithetic=false}",
      "denoising score matching, mean ½|σ s(x + σn) + n|² (Vincent 2011): learns the density of x + σn"},
    ["loss.multi_dsm"] = {"neap.loss.multi_dsm{sigmas=, conditional=, antithetic=false}",
      "the same, a noise level drawn for each row (Song and Ermon 2019)"},
    ["loss.fisher"] = {"neap.loss.fisher{log_prob= | score=}",
      "mean ½|s − s*|², summed over dims, to a known law: log_prob(x) -> [B], or score(x) of x's shape"},
    ["loss.nce"] = {"neap.loss.nce{noise=, ratio=1}",
      "data against noise (Gutmann and Hyvärinen 2012): −mean log σ(G(x)) − ratio · mean log σ(−G(y)), G = −E − "
      .. "log Z − log p_noise − log ratio; log Z is in loss:params()"},
    ["loss.pseudo_likelihood"] = {"neap.loss.pseudo_likelihood{units=\"bits\" | \"spins\", states=, linear=}",
      "mean −Σᵢ log p(xᵢ | the other units) (Besag 1975), of 0/1 units, ±1 spins, or states 1 … states"},
    ["loss.ratio_matching"] = {"neap.loss.ratio_matching{units=\"bits\" | \"spins\", linear=}",
      "mean Σᵢ p(unit i turned over | the other units)² (Hyvärinen 2007), of 0/1 units or ±1 spins"},
    ["loss.energy_discrepancy"] = {"neap.loss.energy_discrepancy{t=.25, samples=4, w=1}",
      "data against data blurred twice by N(0, t) (Schröder et al. 2023): mean log(w/M + Σⱼ e^(E(x) − E(x + √t n "
      .. "+ √t nⱼ))/M), M = samples; no chains, no derivative by x"},
    ["loss.mle"] = {"neap.loss.mle{}",
      "mean −log p of a model with a known log Z: mean E + log Z; an error where none is known"},
    ["loss.flow_contrastive"] = {"neap.loss.flow_contrastive{flow=}",
      "nce whose noise is a flow that learns (Gao et al. 2020); its parameters are in loss:params()"},
    ["loss.jem"] = {"neap.loss.jem{sampler=, steps=1, buffer=, init=, reinit=0, reg=0, weight=1}",
      "of a classifier, batch {x, labels 1 … K} (Grathwohl et al. 2020): cross entropy + weight · pcd on its "
      .. "E(x), or without buffer cd"},
    ["loss.diffusion_recovery"] = {
      "neap.loss.diffusion_recovery{sigmas=, sampler=, steps=30, init=, conditional=, reg=0}",
      "cd on the law of x, blurred by one σ, given x blurred by the next larger one (Gao et al. 2021); chains from "
      .. "there; E(x, σ); Langevin if no sampler"},
    ["loss:params"] = {"loss:params()", "the loss's own parameters, to be trained with E's, and their names"},
    ["loss:state"] = {"loss:state()", "what it remembers between calls (pcd: the chains), as tensors"},
    ["loss:set_state"] = {"loss:set_state(t)", "takes it back"},
  }},

  {"optim", "opt:step(params, grads) changes the parameters in place; lr is a number or a schedule", {
    ["optim.sgd"] = {"neap.optim.sgd{lr=, momentum=0, nesterov=false, weight_decay=0}",
      "v ← momentum·v + g, p ← p − lr·v; nesterov: p ← p − lr·(g + momentum·v) (Sutskever et al. 2013)"},
    ["optim.adam"] = {"neap.optim.adam{lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0}",
      "m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − lr·m̂/(√v̂ + eps) (Kingma and Ba 2015)"},
    ["optim.adamw"] = {"neap.optim.adamw{lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01}",
      "Adam, the decay taken off the parameter: p ← p − lr·weight_decay·p (Loshchilov and Hutter 2019)"},
    ["optim.rmsprop"] = {"neap.optim.rmsprop{lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0}",
      "p ← p − lr·g / √(mean g²) (Tieleman and Hinton 2012)"},
    ["optim.adagrad"] = {"neap.optim.adagrad{lr=0.01, eps=1e-10, weight_decay=0}",
      "p ← p − lr·g / √(Σ g²) (Duchi et al. 2011)"},
    ["optim.lbfgs"] = {"neap.optim.lbfgs{lr=1, memory=10}",
      "Nocedal and Wright 2006: opt:step(params, closure), closure() -> loss [, grads], searches a step; "
      .. "step(params, grads) takes lr"},
    ["optim.norm"] = {"neap.optim.norm(grads)", "the Euclidean norm of all gradients together"},
    ["optim.clip_norm"] = {"neap.optim.clip_norm(grads, most)",
      "gradients scaled down to that norm, and the norm they had (Pascanu et al. 2013)"},
    ["opt:step"] = {"opt:step(params, grads)",
      "one step; a parameter whose gradient is nil stays; a gradient of another shape or dtype is an error"},
    ["opt:state"] = {"opt:state()", "{steps=, averages=}, copied: save it beside the parameters"},
    ["opt:set_state"] = {"opt:set_state(t)", "goes on from there"},
    ["opt:current_lr"] = {"opt:current_lr()", "the step size of the step about to be made"},
    ema = {"neap.ema(params [, {decay=0.999}])",
      "averages: :update() after each step, :params(); E:with(ema:params()); :state() :set_state(t)"},
  }},

  {"schedule", "step sizes that change: lr = neap.schedule.…", {
    ["schedule.constant"] = {"neap.schedule.constant(lr)", "lr"},
    ["schedule.cosine"] = {"neap.schedule.cosine{lr=, steps=, final=0}",
      "from lr to final along half a cosine (Loshchilov and Hutter 2017)"},
    ["schedule.linear"] = {"neap.schedule.linear{lr=, steps=, final=0}", "straight from lr to final"},
    ["schedule.exponential"] = {"neap.schedule.exponential{lr=, decay=}", "lr · decay^(step − 1)"},
    ["schedule.step"] = {"neap.schedule.step{lr=, every=, factor=0.1}",
      "multiplied by factor after each `every` steps"},
    ["schedule.warmup"] = {"neap.schedule.warmup{lr=, steps=}",
      "rises over the first steps, then goes on with lr, a number or a schedule"},
  }},

  {"training", {
    train = {"neap.train(E, data, {loss=, steps= | epochs=, optimizer=, batch=128, seed=, clip_grad=,"
      .. " ema=, every=, log=, on_step=, progress=, checkpoint=, resume=, guard=, log_likelihood=})",
      "history {step, loss, grad_norm, time, steps, seconds, interrupted, ema, rollbacks, log_likelihood}; "
      .. "Ctrl-C ends it early"},
    verify = {"neap.verify(sampler, E [, {chains=4000, steps=10, seed=1, draws=, lower=, upper=, condition=}])",
      "whether the sampler leaves e^(−E) as it is: a list of checks with .ok, .biased, .reversible; prints as a table"},
  }},

  table.unpack((require "neap.help_tools")),
}
