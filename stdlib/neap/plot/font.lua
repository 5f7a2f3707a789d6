-- font.lua -- a 5 × 7 bitmap font for labels in pictures: the printable characters of ASCII.
-- Each character is seven rows from top to bottom, a row one digit of base 32 whose highest bit is the leftmost pixel.

local rows = [[
  4444404 aaa0000 aavavaa 4fke5u4 op248j3 cik8lid 4440000 2488842 8422248 04lel40 044v440 0000c48
  000v000 00000cc 01248g0 ehjlphe 4c4444e eh1248v v2421he 26aiv22 vgu11he 68guhhe v124888 ehhehhe
  ehhf12c 0cc0cc0 0cc0c48 248g842 00v0v00 8421248 eh12404 ehnlnge ehhvhhh uhhuhhu ehggghe sihhhis
  vgguggv vgguggg ehgnhhf hhhvhhh e44444e 72222ic hikokih ggggggv hrllhhh hhpljhh ehhhhhe uhhuggg
  ehhhlid uhhukih fgge11u v444444 hhhhhhe hhhhha4 hhhllrh hha4ahh hha4444 v1248gv e88888e 0g84210
  e22222e 4ah0000 000000v 8420000 00e1fhf ggmphhu 00egghe 11djhhf 00ehvge 698s888 0fhhf1e ggmphhh
  40c444e 20622ic ggikoki c44444e 00qllhh 00mphhh 00ehhhe 00uhugg 00djf11 00mpggg 00ege1u 88s8896
  00hhhjd 00hhha4 00hhlla 00ha4ah 00hhf1e 00v248v 2448442 4444444 8442448 008l200
]]

local font = {width = 5, height = 7, advance = 6}
local glyphs, code = {}, 33
for glyph in rows:gmatch "%S+" do
  glyphs[code], code = glyph, code + 1
end

-- The pixels of a text as arrays x, y, from 0 at its upper left.  A character that the font lacks is drawn as a box.
function font.pixels (text)
  local xs, ys, at = {}, {}, 0
  for _, c in utf8.codes(text, true) do
    local glyph = glyphs[c] or (c > 126 and "vhhhhhv") or ""
    for y = 1, #glyph do
      local bits = tonumber(glyph:sub(y, y), 32)
      for x = 0, 4 do
        if bits >> (4 - x) & 1 == 1 then xs[#xs + 1], ys[#ys + 1] = at + x, y - 1 end
      end
    end
    at = at + font.advance
  end
  return xs, ys
end

-- The width of a text in pixels.
function font.measure (text) return math.max(0, (utf8.len(text, 1, -1, true) or #text) * font.advance - 1) end

return font
