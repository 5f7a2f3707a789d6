-- help_tools.lua -- what neap.help says of what stands around models: data, diagnostics, figures, files, the program.
-- The last groups of help_topics.lua, in the same form.
-- Invariant: as there.

return {
  {"data", "two-dimensional sets are (n [, {noise=, seed=}]) -> [n, 2]", {
    ["data.moons"] = {"neap.data.moons(n [, {noise=0.1, seed=}])", "two half circles"},
    ["data.circles"] = {"neap.data.circles(n [, {noise=0.05, seed=}])", "radii 1 and ½"},
    ["data.rings"] = {"neap.data.rings(n [, {noise=0.08, seed=}])", "radii ¾, 1½, 2¼, 3"},
    ["data.pinwheel"] = {"neap.data.pinwheel(n [, {noise=0.1, seed=}])", "five turned blades"},
    ["data.swiss_roll"] = {"neap.data.swiss_roll(n [, {noise=0.1, seed=}])", "a spiral"},
    ["data.eight_gaussians"] = {"neap.data.eight_gaussians(n [, {noise=0.1, seed=}])",
      "eight points on a circle of radius 2"},
    ["data.checkerboard"] = {"neap.data.checkerboard(n [, {noise=0, seed=}])", "eight squares in [−4, 4]²"},
    ["data.grid"] = {"neap.data.grid(n [, {noise=0.05, seed=}])", "the 25 points {−2 … 2}²"},
    ["data.two_spirals"] = {"neap.data.two_spirals(n [, {noise=0.1, seed=}])", "two arms"},
    ["data.bars_and_stripes"] = {"neap.data.bars_and_stripes(n [, {noise=0, seed=}])",
      "[n, 16]: 4 × 4 pictures of rows or columns; noise is the chance that a pixel is turned over"},
    ["data.idx"] = {"neap.data.idx(path)", "what an IDX file holds, plain or gzipped"},
    ["data.fashion_mnist"] = {"neap.data.fashion_mnist(\"train\" | \"test\" [, {dtype=}])",
      "images [N, 28, 28], labels 1..10"},
    ["data.mnist"] = {"neap.data.mnist(dir, \"train\" | \"test\" [, {dtype=}])", "images [N, 28, 28], labels 1..10"},
    ["data.augment"] = {"neap.data.augment(x [, {shift=0, flip=false, noise=0, value=0, rng=}])",
      "pictures [B, H, W] or [B, C, H, W], each moved by up to shift pixels (value where nothing was), mirrored by "
      .. "chance, noise·n added"},
    ["data.csv"] = {"neap.data.csv(path [, {dtype=}])",
      "[rows, columns], and the header's names; an empty field is NaN, a line of more or fewer fields an error"},
    ["data.split"] = {"neap.data.split(x, fraction [, seed])", "the two parts of x's rows in random order"},
    ["data.standardize"] = {"neap.data.standardize(x)", "(x − mean) / std, mean, std"},
    ["data.loader"] = {"neap.data.loader(x [, {batch=64, shuffle=true, seed=, drop_last=false}])",
      "batches: for batch in loader do … end is one epoch; #loader batches; :next() :state() :set_state(t)"},
  }},

  {"diag", "of draws [draws, chains, event…]: one number for each coordinate", {
    ["diag.ess"] = {"neap.diag.ess(draws [, {kind=\"bulk\" | \"tail\" | \"mean\" | \"sd\" | \"quantile\", prob=}])",
      "effective sample size (Vehtari et al. 2021); prob is the quantile's"},
    ["diag.rhat"] = {"neap.diag.rhat(draws)", "rank-normalized split R-hat (Vehtari et al. 2021); want 1.01 or less"},
    ["diag.mcse"] = {"neap.diag.mcse(draws [, {kind=\"mean\" | \"sd\" | \"quantile\", prob=}])",
      "Monte Carlo standard error of the mean, the standard deviation, or the quantile prob (Vehtari et al. 2021)"},
    ["diag.autocorr"] = {"neap.diag.autocorr(draws [, {lags=100}])", "[lags + 1, event…], the mean over chains"},
    ["diag.summary"] = {"neap.diag.summary(draws [, {names}])",
      "mean, sd, mcse, quantiles, ess, ess_tail, rhat of each coordinate, s[1] or s.name; draws may be a table of them "
      .. "by name; prints as a table"},
  }},

  {"metric", "of points [n, dims]: Lua numbers", {
    ["metric.mmd"] = {"neap.metric.mmd(x, y [, {bandwidth=}])",
      "unbiased squared maximum mean discrepancy, k = e^(−d²/2 bandwidth²) (Gretton et al. 2012)"},
    ["metric.ksd"] = {"neap.metric.ksd(E, x)",
      "unbiased squared kernel Stein discrepancy of points to an energy (Liu et al. 2016), k = (1 + d²)^−½ "
      .. "(Gorham and Mackey 2017)"},
    ["metric.frechet"] = {"neap.metric.frechet(x, y)",
      "squared Fréchet distance of the normals that fit x and y, as FID: |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁C₂)^½)"},
    ["metric.auroc"] = {"neap.metric.auroc(positive, negative)",
      "the chance that a positive scores above a negative, ties counting half"},
    ["metric.ece"] = {"neap.metric.ece(logits, labels [, {bins=15}])",
      "expected calibration error: the mean over rows of |accuracy − confidence| in the row's bin of confidence "
      .. "(Guo et al. 2017)"},
    ["metric.fisher_divergence"] = {"neap.metric.fisher_divergence(E, score, x)",
      "mean ½|s(x) − s*(x)|² with the true score s*"},
  }},

  {"plot", "figures: :save(\"x.png\" | \"x.svg\"), :show(), :add(other); all take title, xlim, ylim, "
            .. "width, height, label, color", {
    ["plot.scatter"] = {"neap.plot.scatter(x [, {size=1.5, alpha=0.6}])", "points [N, 2]"},
    ["plot.line"] = {"neap.plot.line([x,] y [, {line_width=1.5, alpha=1}])", "a curve"},
    ["plot.trace"] = {"neap.plot.trace(draws [, {alpha=0.8, coordinate=1}])",
      "a line for each chain of [steps, chains], or of one coordinate of [steps, chains, event...]"},
    ["plot.hist"] = {"neap.plot.hist(x [, {bins=40, density=true}])", "a histogram of [N]"},
    ["plot.heatmap"] = {"neap.plot.heatmap(z [, {low=, high=}])", "a matrix as colours, the first row at the bottom"},
    ["plot.contour"] = {"neap.plot.contour(z [, {levels=8, line_width=1}])",
      "lines of equal height; levels may be a table"},
    ["plot.energy"] = {"neap.plot.energy(E [, {points=160, samples=, kind=\"density\" | \"energy\", size=1, alpha=0.5}])",
      "e^(−E) or E over the plane (xlim and ylim are {−3, 3}), with samples on it"},
    ["plot.images"] = {"neap.plot.images(x [, {columns=, padding=2}])", "pictures side by side"},
    ["plot.panels"] = {"neap.plot.panels({figures} [, {columns=}])", "figures side by side"},
    ["figure:save"] = {"figure:save(\"x.png\" | \"x.svg\")", "writes the figure, and returns it"},
    ["figure:show"] = {"figure:show([columns])", "draws the figure in the terminal"},
    ["figure:add"] = {"figure:add(other)", "lays the other's marks over this one's"},
  }},

  {"image", "pictures with values 0..1", {
    ["image.save"] = {"neap.image.save(\"x.png\", x)", "[H, W], [C, H, W] or [H, W, C]"},
    ["image.load"] = {"neap.image.load(path)", "[H, W], or [3, H, W]"},
    ["image.grid"] = {"neap.image.grid(x [, {columns=, padding=2, value=0.5}])",
      "pictures [N, H, W] or [N, C, H, W] as one"},
    ["image.animate"] = {"neap.image.animate(\"x.png\", x [, {fps=10, columns=, padding=2, value=0.5}])",
      "a film (animated PNG) of frames [T, H, W] or [T, C, H, W], or of chains [T, N, C, H, W]"},
  }},

  {"files and the program", {
    save = {"neap.save(path, tensor | {name = tensor} [, {metadata=, names=}])",
      ".safetensors (tables in tables, numbers, strings, booleans, too), .npz, .npy or .csv"},
    load = {"neap.load(path)",
      "what was saved, metadata; of .npy one tensor; of .csv a tensor and names; what is cut or malformed is an error"},
    threads = {"neap.threads([n])",
      "how many threads neap uses, at first as many as there are cores, set if n is given; results do not depend on it"},
    memory = {"neap.memory()", "bytes: {live=, peak=, cached=}; allocations= and programs=: how many were made so far"},
    memory_cap = {"neap.memory_cap(bytes)", "the most memory tensors may take; what needs more is an error; 0: no cap"},
    info = {"neap.info()",
      "version, lua, threads, cpu (instruction set), blas, onednn (its version, or why it is not used)"},
    clock = {"neap.clock()", "monotonic seconds"},
    help = {"neap.help([name | function])", "this"},
  }},
}
