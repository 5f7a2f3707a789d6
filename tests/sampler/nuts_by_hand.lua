-- nuts_by_hand.lua -- a step of neap.sampler.nuts for one chain, written out recursively with a mass matrix: as in
-- Hoffman and Gelman (2014), with multinomial weights and Stan's further checks, from the random numbers that
-- the sampler will draw.

local f64 = {dtype = "float64"}

local function dot (a, b)
  local sum = 0
  for i = 1, #a do sum = sum + a[i] * b[i] end
  return sum
end

local function plus (a, b)
  local c = {}
  for i = 1, #a do c[i] = a[i] + b[i] end
  return c
end

local function log_add (a, b)
  local m = math.max(a, b)
  if m == -math.huge then return m end
  return m + math.log(math.exp(a - m) + math.exp(b - m))
end

-- x, a table of numbers; variances, what the metric takes them for -> {x, energy, depth, leaves, diverged, accept}
return function (E, x, rng, step, variances, max_depth)
  local normals = rng:normal({#x}, f64):totable()
  local u, used = rng:uniform({8192}, f64):totable(), 0
  local function uniform () used = used + 1; return u[used] end
  local function velocity (p)
    local v = {}
    for i = 1, #p do v[i] = variances[i] * p[i] end
    return v
  end
  local function state (at, p)
    local t = neap.tensor({at}, f64)
    return {x = at, p = p, v = velocity(p), g = E:grad(t):totable()[1], energy = E(t):totable()[1]}
  end
  local function H (z) return z.energy + .5 * dot(z.p, z.v) end
  local function leapfrog (z, h)
    local p, at = {}, {}
    for i = 1, #x do p[i] = z.p[i] - h / 2 * z.g[i] end
    for i = 1, #x do at[i] = z.x[i] + h * variances[i] * p[i] end
    local y = state(at, p)
    for i = 1, #x do p[i] = p[i] - h / 2 * y.g[i] end
    y.v = velocity(p)
    return y
  end
  local function goes_on (a, b, rho) return dot(a.v, rho) > 0 and dot(b.v, rho) > 0 end
  local function joined (a, b)                       -- b after a: does it go on without a U-turn?
    return goes_on(a.first, b.last, plus(a.rho, b.rho)) and goes_on(a.first, b.first, plus(a.rho, b.first.p))
       and goes_on(a.last, b.last, plus(b.rho, a.last.p))
  end

  local p0 = {}
  for i = 1, #x do p0[i] = normals[i] / math.sqrt(variances[i]) end
  local z0 = state(x, p0)
  local h0, out = H(z0), {depth = 0, leaves = 0, diverged = false, accept = 0}

  local function build (z, h, depth)
    if depth == 0 then
      local y = leapfrog(z, h)
      local change = H(y) - h0
      out.leaves = out.leaves + 1
      if change == change then out.accept = out.accept + math.min(1, math.exp(-change)) end
      if not (change <= 1000) then out.diverged = true; return nil end
      return {first = y, last = y, rho = y.p, weight = -change, sample = y}
    end
    local a = build(z, h, depth - 1)
    local b = a and build(a.last, h, depth - 1)
    if not b then return nil end
    local weight = log_add(a.weight, b.weight)
    local sample = uniform() < math.exp(b.weight - weight) and b.sample or a.sample
    if not joined(a, b) then return nil end
    return {first = a.first, last = b.last, rho = plus(a.rho, b.rho), weight = weight, sample = sample}
  end

  local tree = {first = z0, last = z0, rho = p0, weight = 0, sample = z0}            -- first in time, last in time
  while true do
    local forwards = uniform() < .5
    if not forwards then tree.first, tree.last = tree.last, tree.first end
    local new = build(tree.last, forwards and step or -step, out.depth)
    if not new then break end
    out.depth = out.depth + 1
    local sample = uniform() < math.exp(new.weight - tree.weight) and new.sample or tree.sample
    local more = joined(tree, new)
    tree = {first = tree.first, last = new.last, rho = plus(tree.rho, new.rho),
            weight = log_add(tree.weight, new.weight), sample = sample}
    if not forwards then tree.first, tree.last = tree.last, tree.first end
    if not more or out.depth == max_depth then break end
  end
  out.accept = out.accept / out.leaves
  out.x, out.energy = tree.sample.x, tree.sample.energy
  return out
end
