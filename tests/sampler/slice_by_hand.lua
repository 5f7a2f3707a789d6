-- slice_by_hand.lua -- a step of neap.sampler.slice, written out with the random numbers that it will draw.

-- E, its state before the step, a copy of its random stream, the width -> x after it, bool [chains]: a point was found,
-- [chains]: how close an energy was to the level, relative to it
return function (E, st, rng, width)
  local x, o = st.x, {dtype = st.x.dtype}
  local n = rng:normal(x.shape, o)
  if E.mask then n = neap.where(E.mask, neap.zeros_like(n), n) end
  local d = n / n:square():sum(2, true):sqrt():clamp(1e-15)
  local u = rng:uniform({x.shape[1], 15}, o)
  local level = st.energy - (1 - u:select(2, 1)):log()
  local lo = u:select(2, 2) * -width
  local hi, lefts, close = lo + width, (u:select(2, 3) * 8):floor(), neap.full_like(level, 1)
  local function point (t) return x + t:unsqueeze(2) * d end
  local function inside (t, looks)
    local e = E(point(t), st.condition)
    local far = neap.where(looks, (e - level):abs() / (1 + level:abs()), neap.full_like(e, 1))
    close = neap.where(far:lt(close), far, close)
    return e:le(level)
  end
  local below, above = lo:eq(lo), lo:eq(lo)                 -- which ends are still on their way
  for i = 1, 7 do
    below = inside(lo, below:logical_and(lefts:ge(i))):logical_and(below):logical_and(lefts:ge(i))
    lo = neap.where(below, lo - width, lo)
    above = inside(hi, above:logical_and((7 - lefts):ge(i))):logical_and(above):logical_and((7 - lefts):ge(i))
    hi = neap.where(above, hi + width, hi)
  end
  local found, t = lo:ne(lo), neap.zeros_like(lo)
  for i = 4, 15 do
    local at = lo + u:select(2, i) * (hi - lo)
    local here = inside(at, found:logical_not()):logical_and(found:logical_not())
    t = neap.where(here, at, t)
    found = found:logical_or(here)
    lo, hi = neap.where(at:lt(0), at, lo), neap.where(at:lt(0), hi, at)
  end
  return point(t), found, close
end
