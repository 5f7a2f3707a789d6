-- nn.lua -- networks from parts: neap.nn.sequential{neap.nn.linear{2, 64}, neap.silu, neap.nn.linear{64, 1}}.
-- A module is called with rows x [B, …], gives rows, and has params(): its tensors, which are variables, and their names.
-- Any function of a tensor will do as a part.  module:energy{event = …} is the energy that it gives to each row.
-- Invariant: a module's call reads its tensors and changes nothing, so a network can be recorded, hoisted and shared.

local neap = require "neap"
local options = require "neap.options"
local error, shape_text = options.error, options.shape_text

local nn = {}

local Module = {__name = "neap.nn"}
Module.__index = Module

local function is_module (m) return getmetatable(m) == Module end

-- kind: what it is called; own: its tensors, in the order of names; parts: what it is made of; run(x, c) -> y.
local function module (kind, own, names, parts, run)
  for _, name in ipairs(names) do own[name]:requires_grad() end
  return setmetatable({kind = kind, own = own, names = names, parts = parts, run = run}, Module)
end

function Module:__call (x, c) return self.run(x, c) end

-- params() -> array of tensors, array of names: own ones, then those of the parts, "2.weight".
function Module:params ()
  local tensors, names = {}, {}
  for _, name in ipairs(self.names) do tensors[#tensors + 1], names[#names + 1] = self.own[name], name end
  for i, part in ipairs(self.parts) do
    local theirs, their_names = {}, {}
    if is_module(part) then theirs, their_names = part:params() end
    for k, t in ipairs(theirs) do tensors[#tensors + 1], names[#names + 1] = t, i .. "." .. their_names[k] end
  end
  return tensors, names
end

-- numel() -> how many numbers its tensors have.
function Module:numel ()
  local n = 0
  for _, t in ipairs((self:params())) do n = n + t:numel() end
  return n
end

local function describe (part, indent, out)
  if not is_module(part) then out[#out + 1] = indent .. "function" return end
  local shapes = {}
  for i, name in ipairs(part.names) do shapes[i] = name .. " " .. shape_text(part.own[name]) end
  local text = #shapes > 0 and ": " .. table.concat(shapes, ", ") or ""
  out[#out + 1] = ("%s%s, %d numbers%s"):format(indent, part.kind, part:numel(), text)
  for _, p in ipairs(part.parts) do describe(p, indent .. "  ", out) end
end

function Module:__tostring ()
  local out = {}
  describe(self, "", out)
  return table.concat(out, "\n")
end

local function make_energy (self, fname, given, f)
  local o = options(fname, given, {event = options.any "table", name = options.any "string"})
  return neap.energy(f, {params = self, event = o.event, name = o.name or self.kind})
end

-- energy([{event = {…}, name =}]) -> the energy of a module that gives one number a row, [B] or [B, 1].
function Module:energy (given)
  return make_energy(self, "nn.energy", given, function (x, c)
    local y = self.run(x, c)
    if y:numel() ~= x.shape[1] then
      error(("nn.energy: one number a row expected of the network, got shape %s for %d rows"):format(shape_text(y),
                                                                                                     x.shape[1]))
    end
    return y:reshape(x.shape[1])
  end)
end

-- reconstruction([{event =, name =}]) -> ½ |x − net(x)|², the energy of a network that gives what it is given: near the
-- data's noise level its score is about net(x) − x (Salimans and Ho 2021).
function Module:reconstruction (given)
  return make_energy(self, "nn.reconstruction", given, function (x, c)
    local y = self.run(x, c)
    if shape_text(y) ~= shape_text(x) then
      error(("nn.reconstruction: the shape of x, %s, expected of the network, got %s"):format(shape_text(x),
                                                                                              shape_text(y)))
    end
    return .5 * (x - y):square():reshape(x.shape[1], -1):sum(2)
  end)
end

-- ---- tensors and arguments ----

local TENSORS = {dtype = options.any "string", rng = options.any "userdata", bias = true, spectral = false,
                 gain = 2 ^ .5}

local function known (more)
  local out = {}
  for k, v in pairs(TENSORS) do out[k] = v end
  for k, v in pairs(more) do out[k] = v end
  return out
end

-- The numbers t[1] … t[n], sizes of at least 1, and the named options apart from them.
local function take (fname, t, n, more)
  options.argument(fname, "options", t, "table")
  local sizes, named = {}, {}
  for k, v in pairs(t) do if type(k) ~= "number" then named[k] = v end end
  for i = 1, n do sizes[i] = options.integer(fname, ("[%d]"):format(i), t[i], 1) end
  if #t > n then error(("%s: %d sizes expected, got %d"):format(fname, n, #t)) end
  return options(fname, named, more), table.unpack(sizes)
end

-- U(−a, a)
local function uniform (sizes, a, o)
  return (neap.rand(sizes, {dtype = o.dtype or neap.default_dtype(), rng = o.rng}) - .5) * (2 * a)
end

-- weight and bias for so many inputs each: variances gain² / inputs and 1 / (3 inputs), as ready-made networks have
local function weights (sizes, inputs, o)
  local own, names = {weight = uniform(sizes, o.gain * (3 / inputs) ^ .5, o)}, {"weight"}
  if o.bias then own.bias, names[2] = uniform({sizes[1]}, inputs ^ -.5, o), "bias" end
  return own, names
end

local ITERATIONS = 12                      -- of the power method

local function unit (v) return v / v:norm() end

-- w -> w / σ, σ the largest singular value of w [out, …] as a matrix (Miyato et al. 2018), by the power method from one
-- start, so that equal weights have equal norms.
local function normaliser (w, o)
  if not o.spectral then return function (t) return t end end
  local start = unit(neap.randn(w.shape[1], {dtype = w.dtype, rng = o.rng}))
  return function (t)
    local m = t:reshape(t.shape[1], -1)
    local fixed, u, v = m:detach(), start, nil
    for _ = 1, ITERATIONS do
      v = unit(fixed:t():matmul(u))
      u = unit(fixed:matmul(v))
    end
    return t / u:dot(m:matmul(v))
  end
end

-- ---- layers ----

-- linear{inputs, outputs [, bias = true, spectral = false, gain = √2, dtype =, rng =]}: x [B, inputs] -> [B, outputs].
function nn.linear (t)
  local o, inputs, outputs = take("nn.linear", t, 2, TENSORS)
  local own, names = weights({outputs, inputs}, inputs, o)
  local normal = normaliser(own.weight, o)
  return module("linear", own, names, {}, function (x) return x:linear(normal(own.weight), own.bias) end)
end

-- conv{inputs, outputs [, kernel = 3, stride = 1, padding = kernel // 2, dilation = 1, groups = 1, bias =, spectral =,
-- gain =, dtype =, rng =]}: x [B, inputs, H, W] -> [B, outputs, H', W'].
function nn.conv (t)
  local o, inputs, outputs = take("nn.conv", t, 2, known {kernel = 3, stride = 1, padding = options.any "integer",
                                                          dilation = 1, groups = 1})
  for name, least in pairs {kernel = 1, stride = 1, dilation = 1, groups = 1} do
    options.integer("nn.conv", name, o[name], least)
  end
  if inputs % o.groups ~= 0 or outputs % o.groups ~= 0 then
    error(("nn.conv: groups: a divisor of %d inputs and %d outputs expected, got %d"):format(inputs, outputs, o.groups))
  end
  local own, names = weights({outputs, inputs // o.groups, o.kernel, o.kernel}, inputs // o.groups * o.kernel ^ 2, o)
  local how = {stride = o.stride, padding = o.padding or o.kernel // 2, dilation = o.dilation, groups = o.groups}
  local normal = normaliser(own.weight, o)
  return module("conv", own, names, {}, function (x) return neap.conv2d(x, normal(own.weight), own.bias, how) end)
end

local function scale_and_shift (n, o)
  local d = {dtype = o.dtype or neap.default_dtype()}
  return {weight = neap.ones(n, d), bias = neap.zeros(n, d)}, {"weight", "bias"}
end

local NORM = {eps = 1e-5, dtype = options.any "string"}

-- layer_norm{size [, eps = 1e-5, dtype =]}: over the last dimension (Ba et al. 2016).
function nn.layer_norm (t)
  local o, n = take("nn.layer_norm", t, 1, NORM)
  local own, names = scale_and_shift(n, o)
  local how = {weight = own.weight, bias = own.bias, eps = o.eps}
  return module("layer_norm", own, names, {}, function (x) return x:layer_norm(how) end)
end

-- group_norm{groups, channels [, eps = 1e-5, dtype =]}: of x [B, channels, …] (Wu and He 2018).
function nn.group_norm (t)
  local o, groups, channels = take("nn.group_norm", t, 2, NORM)
  local own, names = scale_and_shift(channels, o)
  local how = {weight = own.weight, bias = own.bias, eps = o.eps}
  return module("group_norm", own, names, {}, function (x) return x:group_norm(groups, how) end)
end

-- instance_norm{channels [, eps = 1e-5, dtype =]}: each channel of each row by itself (Ulyanov et al. 2016).
function nn.instance_norm (t)
  local o, channels = take("nn.instance_norm", t, 1, NORM)
  local m = nn.group_norm{channels, channels, eps = o.eps, dtype = o.dtype}
  m.kind = "instance_norm"
  return m
end

-- ---- shapes ----

-- flatten(): x [B, …] -> [B, numbers of a row].
function nn.flatten ()
  return module("flatten", {}, {}, {}, function (x) return x:reshape(x.shape[1], -1) end)
end

-- [scale·n, n]: rows that interpolate linearly between the centres of n pixels
local function interpolation (n, scale, dtype)
  local at = ((neap.arange(1, scale * n, {dtype = "float64"}) - .5) / scale + .5):clamp(1, n):reshape(-1, 1)
  return (1 - (at - neap.arange(1, n, {dtype = "float64"})):abs()):clamp(0, nil):to(dtype)
end

-- upsample{scale = 2, mode = "nearest" | "bilinear"}: x [B, C, H, W] -> [B, C, scale·H, scale·W].
function nn.upsample (t)
  local o = options("nn.upsample", t, {scale = 2, mode = "nearest"})
  local s = options.integer("nn.upsample", "scale", o.scale, 1)
  if o.mode == "nearest" then
    return module("upsample", {}, {}, {}, function (x) return x:repeat_interleave(s, 3):repeat_interleave(s, 4) end)
  elseif o.mode ~= "bilinear" then
    error(("nn.upsample: mode: \"nearest\" or \"bilinear\" expected, got '%s'"):format(o.mode))
  end
  return module("upsample", {}, {}, {}, function (x)
    local rows, columns = interpolation(x.shape[3], s, x.dtype), interpolation(x.shape[4], s, x.dtype)
    return rows:matmul(x):matmul(columns:t())
  end)
end

-- ---- composition ----

local function check_parts (fname, parts)
  options.argument(fname, "parts", parts, "table")
  if #parts == 0 then error(fname .. ": at least one part expected") end
  for i, p in ipairs(parts) do options.argument(fname, ("[%d]"):format(i), p, "callable") end
end

local function through (parts)
  return function (x, c)
    for _, p in ipairs(parts) do
      if is_module(p) then x = p.run(x, c) else x = p(x) end
    end
    return x
  end
end

-- sequential{part, …}: one after the other; a condition c goes to every module, and to functions never.
function nn.sequential (parts)
  check_parts("nn.sequential", parts)
  return module("sequential", {}, {}, parts, through(parts))
end

-- residual{part, … [, skip = part]}: x + the parts one after the other (He et al. 2016); skip(x) in place of x where
-- the parts change its shape.
function nn.residual (given)
  check_parts("nn.residual", given)
  local skip, parts = given.skip, table.move(given, 1, #given, 1, {})
  if skip ~= nil then options.argument("nn.residual", "skip", skip, "callable") end
  local inner, all = through(parts), table.move(parts, 1, #parts, 1, {})
  if skip then all[#all + 1] = skip end
  return module("residual", {}, {}, all, function (x, c)
    local y, kept = inner(x, c), x
    if skip then kept = is_module(skip) and skip.run(x, c) or skip(x) end
    if shape_text(y) ~= shape_text(kept) then
      error(("nn.residual: the parts give shape %s, where %s is to be added; skip= takes what changes the shape"):format(
        shape_text(y), shape_text(kept)))
    end
    return kept + y
  end)
end

-- ---- U-Net ----

local function level (inputs, outputs, activation, how)
  local conv = nn.conv{inputs, outputs, kernel = how.kernel, stride = how.stride, dtype = how.dtype, rng = how.rng}
  return nn.sequential{conv, activation}
end

-- unet{inputs, channels = {16, 32}, kernel = 3, activation = neap.silu [, dtype =, rng =]}: x [B, inputs, H, W] -> the
-- same shape.  Each further entry of channels halves the picture; on the way back what was seen at each size is put
-- beside what comes from below (Ronneberger et al. 2015).  H and W: multiples of 2^(#channels − 1).
function nn.unet (t)
  local o, inputs = take("nn.unet", t, 1, {channels = options.any "table", kernel = 3, dtype = options.any "string",
                                           activation = options.any "callable", rng = options.any "userdata"})
  local c, act = o.channels or {16, 32}, o.activation or neap.silu
  local parts, n = {level(inputs, c[1], act, o)}, #c
  local halves = {kernel = o.kernel, stride = 2, dtype = o.dtype, rng = o.rng}
  for i = 2, n do parts[i] = level(c[i - 1], c[i], act, halves) end
  for i = n - 1, 1, -1 do parts[#parts + 1] = level(c[i] + c[i + 1], c[i], act, o) end
  parts[#parts + 1] = nn.conv{c[1], inputs, kernel = o.kernel, dtype = o.dtype, rng = o.rng}
  return module("unet", {}, {}, parts, function (x)
    local seen, size = {}, 2 ^ (n - 1)
    if x.ndim ~= 4 or x.shape[3] % size ~= 0 or x.shape[4] % size ~= 0 then
      error(("nn.unet: x: [B, %d, H, W] with H and W multiples of %d expected, got %s"):format(inputs, size,
                                                                                               shape_text(x)))
    end
    for i = 1, n do
      x = parts[i].run(x)
      seen[i] = x
    end
    for i = n - 1, 1, -1 do
      local wide = x:repeat_interleave(2, 3):repeat_interleave(2, 4)
      x = parts[2 * n - i].run(neap.cat({seen[i], wide}, 2))
    end
    return parts[2 * n].run(x)
  end)
end

-- ---- by hand ----

-- custom(f, params): f(x [, c]) as a module that owns the tensors in the array params.
function nn.custom (f, params)
  options.argument("nn.custom", "f", f, "callable")
  options.argument("nn.custom", "params", params, "table")
  local own, names = {}, {}
  for i, p in ipairs(params) do
    names[i] = tostring(i)
    own[names[i]] = options.argument("nn.custom", "params", p, "tensor")
  end
  return module("custom", own, names, {}, f)
end

return nn
