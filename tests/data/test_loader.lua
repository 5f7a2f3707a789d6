local lu = require "luaunit"
local folder = require "files.folder"
local data = neap.data

local T = {tearDown = folder.clean}

local function fails (pattern, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, ".*" .. pattern .. ".*")
end

local function collect (loader)
  local out = {}
  for batch in loader do
    for _, v in ipairs(batch:totable()) do out[#out + 1] = v end
  end
  return out
end

function T.test_an_epoch_has_every_row_once ()
  local loader = data.loader(neap.arange(1, 10), {batch = 4, seed = 1})
  lu.assertEquals(#loader, 3)
  local a, b = collect(loader), collect(loader)
  lu.assertEquals(#a, 10)
  lu.assertNotEquals(a, b)
  table.sort(a) table.sort(b)
  lu.assertEquals(a, b)
  lu.assertEquals(a, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  lu.assertEquals(collect(data.loader(neap.arange(1, 5), {batch = 2, shuffle = false})), {1, 2, 3, 4, 5})
  lu.assertEquals(#collect(data.loader(neap.arange(1, 5), {batch = 2, drop_last = true})), 4)
end

function T.test_pairs_stay_together ()
  local x = neap.arange(1, 9)
  local loader = data.loader({x:unsqueeze(2), x * 10}, {batch = 4, seed = 2})
  for batch in loader do
    lu.assertEquals((batch[1]:squeeze(2) * 10):totable(), batch[2]:totable())
  end
  fails("rows, expected as many", data.loader, {neap.zeros(2), neap.zeros(3)})
end

function T.test_next_goes_on_and_state_resumes ()
  local x = neap.arange(1, 10)
  local a = data.loader(x, {batch = 4, seed = 7})
  for _ = 1, 4 do a:next() end
  local state = a:state()
  local expected = {}
  for i = 1, 6 do expected[i] = a:next():totable() end
  local b = data.loader(x, {batch = 4, seed = 99})
  b:set_state(state)
  for i = 1, 6 do lu.assertEquals(b:next():totable(), expected[i]) end
  local fresh = data.loader(x, {batch = 4, seed = 7})
  local c = data.loader(x, {batch = 4, seed = 1}):set_state(fresh:state())
  lu.assertEquals(c:next():totable(), fresh:next():totable())
end

function T.test_split_and_standardize ()
  local x = neap.arange(1, 10)
  local a, b = data.split(x, .7, 3)
  lu.assertEquals({#a, #b}, {7, 3})
  local all = neap.cat({a, b}, 1):totable()
  table.sort(all)
  lu.assertEquals(all, x:totable())
  lu.assertEquals(data.split(x, .7, 3):totable(), a:totable())
  local p = data.split({x, x * 2}, .5, 3)
  lu.assertEquals((p[1] * 2):totable(), p[2]:totable())
  local z, mean, std = data.standardize(neap.tensor({{1, 5, 2}, {3, 5, 6}}, {dtype = "float64"}))
  lu.assertEquals(mean:totable(), {2, 5, 4})
  lu.assertEquals(std:totable(), {1, 1, 2})
  lu.assertEquals(z:totable(), {{-1, 0, -1}, {1, 0, 1}})
  fails("fraction: a number in 0..1", data.split, x, 2)
  fails("rows expected, got none", data.standardize, neap.zeros(0, 2))
end

local function idx (magic, sizes, bytes)
  local out = magic
  for _, n in ipairs(sizes) do out = out .. string.pack(">I4", n) end
  return folder.write("x.idx", out .. bytes)
end

function T.test_idx ()
  local x = data.idx(idx("\0\0\8\2", {2, 3}, "\0\1\2\3\4\255"))
  lu.assertEquals({x.dtype, x:totable()}, {"uint8", {{0, 1, 2}, {3, 4, 255}}})
  x = data.idx(idx("\0\0\x0b\1", {2}, string.pack(">i2i2", -300, 7)))
  lu.assertEquals({x.dtype, x:totable()}, {"int64", {-300, 7}})
  x = data.idx(idx("\0\0\x0e\1", {2}, string.pack(">dd", .1, -2)))
  lu.assertEquals({x.dtype, x:totable()}, {"float64", {.1, -2}})
  x = data.idx(idx("\0\0\x0d\1", {1}, string.pack(">f", 1.5)))
  lu.assertEquals({x.dtype, x:totable()}, {"float32", {1.5}})
end

function T.test_idx_malformed ()
  fails("x.idx: not an IDX file: it starts with 50 4b 03 04", data.idx, folder.write("x.idx", "PK\3\4xxxx"))
  fails("truncated: the magic number needs 4 bytes", data.idx, folder.write("x.idx", "\0\0\8"))
  fails("truncated: the magic number needs 4 bytes", data.idx, folder.write("x.idx", ""))
  fails("truncated: an array of shape %[2, 3%].* 5 bytes are left", data.idx, idx("\0\0\8\2", {2, 3}, "\0\1\2\3\4"))
  fails("truncated", data.idx, idx("\0\0\8\3", {4294967295, 4294967295, 4294967295}, "abc"))
  fails("bytes follow", data.idx, idx("\0\0\8\2", {2, 3}, "\0\1\2\3\4\5\6"))
  fails("absent.idx: cannot open: No such file", data.idx, folder.file "absent.idx")
end

function T.test_gzipped_idx ()
  local path = idx("\0\0\8\1", {5}, "hello")
  lu.assertTrue((os.execute("gzip -kf '" .. path .. "'")))
  local bytes = folder.read "x.idx.gz"
  lu.assertEquals(data.idx(path .. ".gz"):totable(), {104, 101, 108, 108, 111})
  fails("gzip", data.idx, folder.write("y.idx.gz", bytes:sub(1, #bytes - 9)))
  fails("gzip", data.idx, folder.write("y.idx.gz", bytes:sub(1, 20) .. "\255\255\255" .. bytes:sub(24)))
  os.execute("gzip -kf '" .. idx("\0\0\8\1", {5}, "hello!") .. "'")
  fails("bytes follow the 13", data.idx, path .. ".gz")
  os.execute("gzip -kf '" .. idx("\0\0\8\1", {7}, "hello!") .. "'")
  fails("ended after 6 of the 7 bytes", data.idx, path .. ".gz")
  os.execute("gzip -kf '" .. idx("\0\0\8\2", {65536, 65536}, "hello!") .. "'")
  fails("truncated", data.idx, path .. ".gz")
end

function T.test_mnist_names_what_is_missing ()
  fails("neither .*/train%-images%-idx3%-ubyte nor .*gz is there", data.mnist, folder.file "", "train")
  fails('"train" or "test" expected, got valid', data.mnist, folder.file "", "valid")
  local f = io.open "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
  if not f then
    fails("dataset%-fashion%-mnist", data.fashion_mnist, "test")
    return
  end
  f:close()
  local x, labels = data.fashion_mnist "test"
  lu.assertEquals(x.shape, {10000, 28, 28})
  lu.assertEquals({x.dtype, labels.dtype}, {"float32", "int64"})
  lu.assertEquals({x:amin():item(), x:amax():item()}, {0, 1})
  lu.assertEquals(neap.one_hot(labels, 10):sum(1):totable(), neap.full(10, 1000):totable())
end

return T
