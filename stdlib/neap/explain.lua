-- explain.lua -- neap.explain: what a function, an energy, a sampler's step or a loss becomes as a program, as text.
-- Invariant: samplers and losses show the very program that runs; what is explained, and the default random stream, stay
-- as they were.

local core = require "neap.core"
local form = require "neap.form"
local compile = require "neap.compile"
local options = require "neap.options"
local error, program = options.error, core._program

local M = {}

-- The program of f of tensors, or why there is none.
local function text (f, tensors)
  local p, why, line = program.capture(f, tensors)
  if p then return p:text() end
  return (line and line ~= "" and line .. ": " or "no program: ") .. (why or "cannot be recorded")
end

local function check (what, name, v, wanted)
  if options.type_of(v) == wanted then return v end
  error(("explain: %s: %s: %s expected, got %s"):format(what, name, wanted == "energy" and "an energy" or "a tensor",
                                                        options.type_of(v)))
end

local function of_function (f, ...)
  compile.check_function("explain", f)
  local template = form.hollow(table.pack(...))
  return text(function (...) return table.unpack(form.tensors(f(form.fill(template, {...})))) end, form.tensors(...))
end

-- its value and gradient
local function of_energy (E, x, c)
  check("explain(E, x)", "x", x, "tensor")
  if c then check("explain(E, x, c)", "c", c, "tensor") end
  return text(function (...) return E(...), E:grad(...) end, {x, c})
end

local STEPS = 8                            -- enough to be worth a program

-- the step that takes it on from x
local function of_sampler (s, E, x, c)
  check("explain(sampler, E, x)", "E", E, "energy")
  check("explain(sampler, E, x)", "x", x, "tensor")
  local rng = core.rng(0)                                  -- the default stream stays where it is
  local state = c and s:init(E, x, c, rng) or s:init(E, x, rng)
  return program.ran(s.step, s, E, state, STEPS) or "its steps run op by op"
end

-- its value, and the gradients by the parameters that are variables
local function of_loss (loss, E, batch)
  check("explain(loss, E, batch)", "E", E, "energy")
  if type(batch) ~= "table" then check("explain(loss, E, batch)", "batch", batch, "tensor") end
  local before = loss:state()                              -- chains that go on from call to call
  local ok, plan = pcall(program.ran, loss, E, batch, core.rng(0))
  loss:set_state(before)
  if not ok then error(plan, 0) end
  return plan or "it runs op by op"
end

local kinds = {energy = of_energy, ["neap.sampler"] = of_sampler, ["neap.loss"] = of_loss}

function M.explain (f, ...) return (kinds[options.type_of(f)] or of_function)(f, ...) end

return M
