-- neap.lua -- what require "neap" gives: the core's functions, and the standard library's parts on first use.
-- Invariant: loading this file loads no other part, so start-up does not grow with the library.

local core = require "neap.core"
core._home()           -- errors name the line that called what lies here

local neap = {core = core}
for name, value in pairs(core) do
  if name:sub(1, 1) ~= "_" then neap[name] = value end
end

-- name -> the module that has it: the whole of it, or its field of that name
local whole, field = {}, {}
for name in ("bijector data diag dist ema image metric nn optim plot schedule train"):gmatch "%S+" do whole[name] = "neap." .. name end
-- diag is an op and a module: neap.diag(x, k), neap.diag.ess(draws).
neap.diag = nil
local function give (module, names)
  for name in names:gmatch "%S+" do field[name] = module end
end
give("neap.grad", "gradients grad value_and_grad vjp jvp hvp jacobian hessian laplacian vmap")
give("neap.compile", "compile")
give("neap.explain", "explain")
give("neap.scan", "scan")
give("neap.gradcheck", "gradcheck")
give("neap.help", "help")
give("neap.file", "save load")
give("neap.verify", "verify")

return setmetatable(neap, {
  __index = function (t, name)
    local module = whole[name] or field[name]
    if not module then return nil end
    local value = require(module)
    if field[name] then value = value[name] end
    local op = core[name]
    if whole[name] and op then setmetatable(value, {__call = function (_, ...) return op(...) end}) end
    rawset(t, name, value)
    return value
  end,
})
