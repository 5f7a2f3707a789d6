-- .npy, .npz and .csv
local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}

local function npy (dict, data, version)
  local head = version == 2 and string.pack("<BB I4", 2, 0, #dict) or string.pack("<BB I2", version or 1, 0, #dict)
  return folder.write("x.npy", "\x93NUMPY" .. head .. dict .. (data or ""))
end

local fails = folder.refused

function T.test_npy_round_trip ()
  for _, x in ipairs {neap.tensor {{1.25, 2}, {3, -4}}, neap.tensor(7, {dtype = "float64"}),
                      neap.tensor({1, 2, 3}, {dtype = "int64"}),
                      neap.tensor({0, 200}, {dtype = "uint8"}), neap.tensor({1, -1}):gt(0), neap.zeros(0, 2)} do
    neap.save(folder.file "r.npy", x)
    local y = neap.load(folder.file "r.npy")
    lu.assertEquals({y.dtype, y.shape, y:totable()}, {x.dtype, x.shape, x:totable()})
  end
end

function T.test_npy_bytes_are_numpys ()
  neap.save(folder.file "r.npy", neap.tensor {1, 2, 3})
  local bytes = folder.read "r.npy"
  lu.assertEquals(#bytes, 128 + 12)
  lu.assertEquals(bytes:sub(1, 10), "\x93NUMPY\1\0\x76\0")
  lu.assertStrContains(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }")
  lu.assertEquals(bytes:byte(128), 10)
end

function T.test_npy_orders_versions_and_dtypes ()
  local x = neap.load(npy("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
                          string.pack("<i4i4i4i4i4i4", 1, 4, 2, 5, 3, 6)))
  lu.assertEquals(x:totable(), {{1, 2, 3}, {4, 5, 6}})
  lu.assertEquals(x.dtype, "int64")
  x = neap.load(npy('{"descr":">f8","fortran_order":False,"shape":()}', string.pack(">d", 2.5), 2))
  lu.assertEquals(x:item(), 2.5)
  lu.assertEquals(x.ndim, 0)
  x = neap.load(npy("{'shape': (2,), 'fortran_order': False, 'descr': '<f2'}", string.pack("<I2I2", 0x3800, 0xbc00)))
  lu.assertEquals(x:totable(), {.5, -1})
end

function T.test_npy_malformed ()
  local good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
  fails("truncated", npy(good, "1234567"))
  fails("follow the array", npy(good, "123456789"))
  fails("not an .npy file", folder.write("x.npy", "PK\3\4 something else"))
  fails("needs 8 bytes", folder.write("x.npy", "\x93NUM"))
  fails("no dictionary", npy "[]")
  fails("not supported", npy "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }")
  fails("no simple dtype", npy "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }")
  fails("at most 8", npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }")
  fails("tuple", npy "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }")
  fails("tuple", npy "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }")
  fails("truncated", npy "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 16), }")
  fails("repeated key", npy "{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }")
  fails("expected", npy "{'descr': '<f4', 'fortran_order': False}")
  fails("True nor False", npy "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}")
  local ok, message = pcall(neap.save, folder.file "y.npy", {a = neap.zeros(1), b = neap.zeros(1)})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "one tensor expected")
end

function T.test_npz_round_trip ()
  local x = {a = neap.randn(3, 4), ["deep/name"] = neap.tensor({1, 2}, {dtype = "int64"}), none = neap.zeros(0)}
  neap.save(folder.file "x.npz", x)
  local y = neap.load(folder.file "x.npz")
  for name, t in pairs(x) do
    lu.assertEquals({y[name].dtype, y[name].shape, y[name]:totable()}, {t.dtype, t.shape, t:totable()})
  end
end

-- Written by numpy.savez_compressed(f, a=numpy.zeros((4, 4), "f8")), that is with deflate; made here by hand from its
-- parts.
function T.test_npz_deflated_by_another_program ()
  if not os.execute "command -v python3 > /dev/null" then lu.skip "no python3" end
  neap.save(folder.file "a.npy", neap.arange(1, 1000):reshape(10, 100))
  local script = ("import zipfile; z = zipfile.ZipFile('%s', 'w', zipfile.ZIP_DEFLATED); z.write('%s', 'a.npy'); z.close()")
    :format(folder.file "p.npz", folder.file "a.npy")
  lu.assertTrue((os.execute(('python3 -c "%s"'):format(script))))
  lu.assertTrue(#folder.read "p.npz" < 4000)
  lu.assertEquals(neap.load(folder.file "p.npz").a:totable(), neap.arange(1, 1000):reshape(10, 100):totable())
  local check = ("import zipfile; z = zipfile.ZipFile('%s'); assert z.testzip() is None and z.namelist() == ['a.npy', 'b.npy']")
    :format(folder.file "q.npz")
  neap.save(folder.file "q.npz", {a = neap.ones(5), b = neap.zeros(2, 2)})
  lu.assertTrue((os.execute(('python3 -c "%s"'):format(check))))
end

function T.test_npz_malformed ()
  fails("no zip directory", folder.write("x.npz", ("nothing"):rep(20)))
  fails("too short", folder.write("x.npz", "PK"))
  neap.save(folder.file "x.npz", {a = neap.arange(1, 100)})
  local good = folder.read "x.npz"
  fails("", folder.write("x.npz", good:sub(1, #good - 30)))
  local flipped = good:sub(1, 300) .. string.char(good:byte(301) ~ 1) .. good:sub(302)
  fails("checksum", folder.write("x.npz", flipped))
  local at = good:find "PK\1\2"
  fails("outside", folder.write("x.npz", good:sub(1, at + 41) .. "\xff\xff\xff\x7f" .. good:sub(at + 46)))
  fails("does not fit", folder.write("x.npz", good:sub(1, at + 19) .. "\xff\xff\xff\x7f\xff\xff\xff\x7f" ..
                                     good:sub(at + 28)))
  -- every single byte changed: an error or the same shape, never a crash
  for i = 1, #good, 3 do
    local bad = good:sub(1, i - 1) .. string.char(good:byte(i) ~ 0x55) .. good:sub(i + 1)
    pcall(neap.load, folder.write("x.npz", bad))
  end
end

function T.test_csv_reading ()
  local function read (text) return neap.data.csv(folder.write("x.csv", text)) end
  local x, names = read "a,b,\"c, d\"\n1,2,3\n4,5.5,-6e1\n"
  lu.assertEquals(names, {"a", "b", "c, d"})
  lu.assertEquals(x:totable(), {{1, 2, 3}, {4, 5.5, -60}})
  x, names = read "\xef\xbb\xbf1;2\n"
  lu.assertEquals(x.shape, {0, 1})
  x, names = read "\xef\xbb\xbf 1 ,\t\"2\"\r\n\r\n3, 4\r\n"
  lu.assertNil(names)
  lu.assertEquals(x:totable(), {{1, 2}, {3, 4}})
  x = read "1,,3\nNA,nan,NaN\n-inf,0x10,7"
  lu.assertEquals(x.shape, {3, 3})
  lu.assertEquals(x:isnan():totable(), {{false, true, false}, {true, true, true}, {false, false, false}})
  lu.assertEquals(x[3][1]:item(), -math.huge)
  lu.assertErrorMsgContains("x.csv: empty", read, "")
  x, names = read "x,y\n"
  lu.assertEquals({x.shape, names}, {{0, 2}, {"x", "y"}})
  lu.assertEquals(neap.data.csv(folder.write("x.csv", "0.1\n"), {dtype = "float64"}):item(), .1)
end

function T.test_csv_errors_name_line_and_column ()
  local function csv_fails (text, pattern)
    local ok, message = pcall(neap.data.csv, folder.write("x.csv", text))
    lu.assertFalse(ok)
    lu.assertStrContains(message, folder.file "x.csv")
    lu.assertStrMatches(message, ".*" .. pattern .. ".*")
  end
  csv_fails("1,2\n3,four\n", "line 2, column 2: a number was expected, got 'four'")
  csv_fails("1,2\n\n3\n", "line 3 has 1 fields, expected 2")
  csv_fails("1,2\n3,4,5\n", "line 2 has 3 fields, expected 2")
  csv_fails("1,\"2\n3", "line 1, column 2: a quote is not closed")
  csv_fails("\"1\"2,3\n", "line 1, column 1: .*closing quote")
  csv_fails("1,2\0\n", "zero byte")
  local ok, message = pcall(neap.data.csv, folder.file "absent.csv")
  lu.assertFalse(ok)
  lu.assertStrContains(message, "No such file")
end

function T.test_csv_round_trip ()
  local x = neap.randn(20, 3, {dtype = "float64"})
  x[2][3] = 0 / 0
  neap.save(folder.file "x.csv", x, {names = {"a", "b \"x\"", "c,d"}})
  local y, names = neap.data.csv(folder.file "x.csv", {dtype = "float64"})
  lu.assertEquals(names, {"a", "b \"x\"", "c,d"})
  lu.assertTrue(y[2][3]:isnan():item())
  x[2][3], y[2][3] = 0, 0
  lu.assertEquals(y:totable(), x:totable())
  neap.save(folder.file "i.csv", neap.tensor({1, 2}, {dtype = "int64"}))
  lu.assertEquals(folder.read "i.csv", "1\n2\n")
end

return T
