-- schedule.lua -- step sizes that change: a schedule is called with the step, from 1, and gives a number.
-- They serve as lr = of every optimiser.

local options = require "neap.options"
local error = options.error
local schedule = {}

local number = options.any "number"

local function make (f) return setmetatable({}, {__name = "neap.schedule",
                                                 __call = function (_, step) return f(step) end}) end

local function read (name, given, known, required)
  local o = options("schedule." .. name, given, known)
  for _, k in ipairs(required) do
    if o[k] == nil then error(("schedule.%s: option '%s' is missing"):format(name, k)) end
  end
  options.range("schedule." .. name, o, "at least 0", "lr", "final")
  options.range("schedule." .. name, o, "positive", "decay", "factor")
  if o.steps and o.steps < 1 then error(("schedule.%s: option 'steps': at least 1 expected, got %d"):format(name,
    o.steps)) end
  return o
end

-- How much of the way is done at a step, 0 at the first and 1 from the last on.
local function progress (step, steps) return steps <= 1 and 1 or math.min((step - 1) / (steps - 1), 1) end

-- constant(lr) or constant{lr =}
function schedule.constant (given)
  if type(given) == "number" then given = {lr = given} end
  local lr = read("constant", given, {lr = number}, {"lr"}).lr
  return make(function () return lr end)
end

-- cosine{lr =, steps =, final = 0}: from lr to final along half a cosine (Loshchilov and Hutter 2017).
function schedule.cosine (given)
  local o = read("cosine", given, {lr = number, steps = options.any "integer", final = 0.}, {"lr", "steps"})
  return make(function (step) return o.final + (o.lr - o.final) * (1 + math.cos(math.pi * progress(step,
    o.steps))) / 2 end)
end

-- linear{lr =, steps =, final = 0}: straight from lr to final.
function schedule.linear (given)
  local o = read("linear", given, {lr = number, steps = options.any "integer", final = 0.}, {"lr", "steps"})
  return make(function (step) return o.lr + (o.final - o.lr) * progress(step, o.steps) end)
end

-- exponential{lr =, decay =}: lr · decay^(step − 1).
function schedule.exponential (given)
  local o = read("exponential", given, {lr = number, decay = number}, {"lr", "decay"})
  return make(function (step) return o.lr * o.decay ^ (step - 1) end)
end

-- step{lr =, every =, factor = 0.1}: multiplied by factor after each `every` steps.
function schedule.step (given)
  local o = read("step", given, {lr = number, every = options.any "integer", factor = .1}, {"lr", "every"})
  if o.every < 1 then error(("schedule.step: option 'every': at least 1 expected, got %d"):format(o.every)) end
  return make(function (step) return o.lr * o.factor ^ ((step - 1) // o.every) end)
end

-- warmup{lr = number | schedule, steps =}: rises in a line over the first steps, then goes on with lr from its first
-- step.
function schedule.warmup (given)
  local o = read("warmup", given, {lr = options.any("number", "callable"), steps = options.any "integer"},
                 {"lr", "steps"})
  local after = type(o.lr) == "number" and schedule.constant(o.lr) or o.lr
  return make(function (step)
    if step <= o.steps then return after(1) * step / o.steps end
    return after(step - o.steps)
  end)
end

return schedule
