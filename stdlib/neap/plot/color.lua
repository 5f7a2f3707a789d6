-- color.lua -- colours: names for marks, and the map from numbers to colours.
-- The map runs from dark violet over blue and green to yellow, with lightness rising all the way, so that it also
-- reads in grey.

local neap = require "neap"
local error = require("neap.core")._error
local color = {}

-- For marks, told apart by most kinds of colour vision.
color.cycle = {{.12, .47, .71}, {.89, .34, .13}, {.17, .63, .37}, {.55, .34, .65}, {.65, .45, .16}, {.4, .4, .4}}
color.named = {black = {0, 0, 0}, white = {1, 1, 1}, grey = {.5, .5, .5}, red = {.85, .15, .15}, blue = {.12, .47, .71},
               green = {.17, .63, .37}, orange = {.89, .34, .13}, violet = {.55, .34, .65}}

-- A name, a table of three numbers in 0..1, or the n-th of the cycle.
function color.of (c, n)
  if type(c) == "table" then return c end
  if c == nil then return color.cycle[(n - 1) % #color.cycle + 1] end
  return color.named[c] or error(("plot: unknown colour '%s'"):format(tostring(c)))
end

-- Five stations of the map, joined by straight lines.
local STATIONS = {{.22, .05, .33}, {.2, .31, .56}, {.11, .56, .55}, {.42, .78, .36}, {.99, .92, .2}}

-- x [...] of numbers in 0..1 -> [..., 3]
function color.map (x)
  local last = #STATIONS - 1
  local at = x:clamp(0, 1) * last
  local channels = {}
  for k = 1, 3 do
    local value = neap.zeros_like(at) + STATIONS[1][k]
    for i = 1, last do value = value + (at - (i - 1)):clamp(0, 1) * (STATIONS[i + 1][k] - STATIONS[i][k]) end
    channels[k] = value
  end
  return neap.stack(channels, x.ndim + 1)
end

return color
