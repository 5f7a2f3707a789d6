local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}

-- A file from a header text and data.
local function craft (header, data)
  return folder.write("crafted.safetensors", string.pack("<I8", #header) .. header .. (data or ""))
end

local fails = folder.refused

function T.test_round_trip_of_every_dtype ()
  local path = folder.file "all.safetensors"
  local given = {
    f32 = neap.tensor({{1.5, -2, 3e-8}, {1e30, 0, -0.}}), f64 = neap.tensor({math.pi, 1 / 3}, {dtype = "float64"}),
    i64 = neap.tensor({math.maxinteger, math.mininteger, 0}, {dtype = "int64"}),
      u8 = neap.tensor({0, 255, 7}, {dtype = "uint8"}),
    bits = neap.tensor({1, -1}):gt(0), number = neap.tensor(42, {dtype = "float64"}), empty = neap.zeros(0, 3),
  }
  neap.save(path, given, {metadata = {made = "by a test", ["ключ"] = "é \"quoted\"\n"}})
  local back, metadata = neap.load(path)
  for name, x in pairs(given) do
    lu.assertEquals(back[name].dtype, x.dtype)
    lu.assertEquals(back[name].shape, x.shape)
    lu.assertEquals(back[name]:totable(), x:totable())
  end
  lu.assertEquals(metadata, {made = "by a test", ["ключ"] = "é \"quoted\"\n"})
end

function T.test_views_are_written_in_row_major_order ()
  local x = neap.arange(1, 12):reshape(3, 4)
  neap.save(folder.file "view.safetensors", {t = x:t(), s = x[{{3, 1, -1}, {2, 4, 2}}], deep = {er = {x}}})
  local back = neap.load(folder.file "view.safetensors")
  lu.assertEquals(back.t:totable(), {{1, 5, 9}, {2, 6, 10}, {3, 7, 11}, {4, 8, 12}})
  lu.assertEquals(back.s:totable(), {{10, 12}, {6, 8}, {2, 4}})
  lu.assertEquals(back.deep.er[1]:totable(), x:totable())
end

-- Tables in tables, and values that are no tensors, come back with their types and bits.
function T.test_nested_tables_and_plain_values ()
  local path = folder.file "state.safetensors"
  local given = {
    steps = 12, rate = .1, third = -1 / 3, least = math.mininteger, one = 1., big = math.huge, low = -math.huge,
    on = true, off = false, name = "é \"q\" \\ \n\0\255", empty = {}, [7] = 1, [-2] = "two", [""] = {[""] = 3},
    averages = {mean = {neap.ones(2), neap.zeros(0)}, ["a.b"] = {c = neap.tensor(3.5)}},
    gaps = {neap.ones(1), nil, neap.zeros(1), nil, 5},
  }
  neap.save(path, given, {metadata = {by = "me"}})
  local back, metadata = neap.load(path)
  lu.assertEquals(metadata, {by = "me"})
  local function same (a, b)
    if neap.is_tensor(a) then a, b = {a.dtype, a.shape, a:totable()}, {b.dtype, b.shape, b:totable()} end
    if type(a) ~= "table" then
      lu.assertEquals({math.type(b), b}, {math.type(a), a})
      return
    end
    for k, v in pairs(a) do same(v, b[k]) end
    for k in pairs(b) do lu.assertNotNil(a[k]) end
  end
  same(given, back)
  neap.save(path, {x = 0 / 0})
  lu.assertNotEquals(neap.load(path).x, neap.load(path).x)
end

-- What state() gives is saved as it is.
function T.test_states ()
  local p, opt, path = neap.ones(3), neap.optim.adam{lr = .1}, folder.file "opt.safetensors"
  opt:step({w = p}, {w = p})
  neap.save(path, opt:state())
  local other, q = neap.optim.adam{lr = .1}:set_state(neap.load(path)), p:clone()
  opt:step({w = p}, {w = p * 2})
  other:step({w = q}, {w = q * 2})
  lu.assertEquals(q:totable(), p:totable())
end

-- Names with dots that others wrote stay; a manifest that fits no tensors is an error.
function T.test_names_with_dots ()
  local header = '{%s"a.b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
  lu.assertEquals(neap.load(craft(header:format "", ("\0"):rep(4)))["a.b"]:totable(), {0})
  local function with (text)
    return craft(header:format('"__metadata__":{"neap.tree":"' .. text .. '"},'), ("\0"):rep(4))
  end
  lu.assertEquals(neap.load(with [[{\"a\":{\"b\":*}}]]).a.b:totable(), {0})
  fails("names the tensor 'a.c', which is not there", with [[{\"a\":{\"c\":*}}]])
  for _, text in ipairs {"", "{", "*", "{}}", "{1}", "{1:}", "{1:*", "{1:zero}", "{1.5:2}", "{true:2}", "{1:2,}",
                         [[{\"\\999\":1}]], [[{\"x:1}]], ("{1:"):rep(100000)} do
    fails("malformed metadata 'neap.tree'", with(text))
  end
end

function T.test_layout_is_that_of_the_format ()
  neap.save(folder.file "a.safetensors", {b = neap.tensor({1, 2}, {dtype = "uint8"}),
                                          a = neap.tensor({1.5}, {dtype = "float64"})})
  local bytes = folder.read "a.safetensors"
  local n = string.unpack("<I8", bytes)
  lu.assertEquals((8 + n) % 64, 0)
  local header = bytes:sub(9, 8 + n)
  lu.assertStrContains(header, '"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}')
  lu.assertStrContains(header, '"b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}')
  lu.assertEquals(bytes:sub(9 + n), string.pack("<dBB", 1.5, 1, 2))
  lu.assertEquals(folder.list(), "a.safetensors\n")
end

function T.test_half_and_small_integers_are_converted ()
  local header = '{"h":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[10,14]},' ..
                 '"i":{"dtype":"I16","shape":[2],"data_offsets":[14,18]},"u":{"dtype":"U32","shape":[1],"data_offsets":[18,22]}}'
  local data = string.pack("<I2I2I2I2I2 I2I2 i2i2 I4", 0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff, 0x3fc0, 0xbf80, -5,
                           1234, 4000000000)
  local x = neap.load(craft(header, data))
  lu.assertEquals(x.h.dtype, "float32")
  lu.assertEquals(x.h:totable(), {1, -2, 2 ^ -24, math.huge, 65504})
  lu.assertEquals(x.b:totable(), {1.5, -1})
  lu.assertEquals(x.i.dtype, "int64")
  lu.assertEquals(x.i:totable(), {-5, 1234})
  lu.assertEquals(x.u:totable(), {4000000000})
end

function T.test_malformed_files_are_named_errors ()
  local one = '{"a":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}%s}'
  fails("truncated", folder.write("short.safetensors", "abc"))
  fails("100000000", folder.write("long.safetensors", string.pack("<I8", 1 << 40) .. ("x"):rep(64)))
  fails("was promised", folder.write("cut.safetensors", string.pack("<I8", 100) .. "{}"))
  fails("malformed safetensors header", craft "{]")
  fails("duplicate", craft(one:format("1", "0,4", ',"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'),
                           ("\0"):rep(8)))
  fails("overlaps", craft(one:format("1", "0,4", ',"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'),
                          ("\0"):rep(4)))
  fails("gap", craft(one:format("1", "4,8", ""), ("\0"):rep(8)))
  fails("outside", craft(one:format("2", "0,8", ""), ("\0"):rep(4)))
  fails("outside", craft(one:format("1", "-4,0", ""), ("\0"):rep(4)))
  fails("do not fit its shape", craft(one:format("3", "0,8", ""), ("\0"):rep(8)))
  fails("take 4 bytes", craft(one:format("1", "0,4", ""), ("\0"):rep(8)))
  fails("do not fit", craft(one:format("4611686018427387904,4", "0,0", "")))
  fails("no integer", craft(one:format("-1", "0,4", ""), ("\0"):rep(4)))
  fails("no integer", craft(one:format("1.0", "0,4", ""), ("\0"):rep(4)))
  fails("at most 8", craft(one:format("1,1,1,1,1,1,1,1,1", "0,4", ""), ("\0"):rep(4)))
  fails("not supported", craft('{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}}', ("\0"):rep(4)))
  fails("not {dtype", craft('{"a":{"dtype":"F32"}}'))
  fails("not a string", craft('{"__metadata__":{"a":1}}'))
  fails("not an object", craft('{"__metadata__":[]}'))
  fails("JSON object", craft "[1]")
  fails("cannot open", folder.file "absent.safetensors")
  fails("not a regular file", (folder.file "x"):gsub("/x$", "/d.safetensors",
    os.execute("mkdir -p '" .. folder.file "d.safetensors" .. "'") and 1))
end

function T.test_a_file_cannot_ask_for_more_than_it_holds ()
  local ok, message = pcall(neap.load,
    craft('{"a":{"dtype":"F64","shape":[1000000,1000000],"data_offsets":[0,8000000000000]}}', ("\0"):rep(8)))
  lu.assertFalse(ok)
  lu.assertStrContains(message, "outside")
end

function T.test_what_cannot_be_written_leaves_nothing ()
  local ok, message = pcall(neap.save, folder.file "no/such/a.safetensors", {a = neap.zeros(1)})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "cannot write")
  ok, message = pcall(neap.save, folder.file "a.safetensors", {["\255"] = neap.zeros(1)})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "UTF-8")
  ok, message = pcall(neap.save, folder.file "a.safetensors", {["__metadata__"] = neap.zeros(1)})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "reserved")
  ok, message = pcall(neap.save, folder.file "a.safetensors", {a = print})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "tensor expected, got function")
  local inside = {}
  inside.it = inside
  ok, message = pcall(neap.save, folder.file "a.safetensors", inside)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "tables within tables more than 200 deep")
  ok, message = pcall(neap.save, folder.file "a.npz", {a = 1})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "'a': tensor expected, got integer")
  ok, message = pcall(neap.save, folder.file "a.safetensors", {a = neap.zeros(1)}, {metadata = {["neap.tree"] = ""}})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "reserved")
  ok, message = pcall(neap.save, folder.file "a.txt", {a = neap.zeros(1)})
  lu.assertFalse(ok)
  lu.assertStrContains(message, ".safetensors")
  lu.assertEquals(folder.list(), "")
end

function T.test_an_old_file_stays_when_writing_fails ()
  neap.save(folder.file "a.safetensors", {a = neap.tensor {1, 2}})
  lu.assertFalse(pcall(neap.save, folder.file "a.safetensors", {a = neap.zeros(1)}, {metadata = {k = "\255"}}))
  lu.assertEquals(neap.load(folder.file "a.safetensors").a:totable(), {1, 2})
end

return T
