#!/bin/sh
# check.sh [STAGE ...] -- the slow half of the tests; closes with "N passed, N failed" over all stages.
# What allocates is tried with each allocation failing by make test alone; the slow builds try some of them.
# Each stage is a function that runs tests and prints their verdict; one that ends with an error and no failed test
# counts as one failure, so nothing broken can look whole.
set -u

make=${MAKE:-make}
jobs=$(nproc)
logs=build/check
mkdir -p "$logs"

tests() { $make --no-print-directory "$@" -j"$jobs" tests && $make --no-print-directory "$@" test-run; }

stage_statistics() { tests CHECK=1 NEAP_TEST_TIMEOUT=600; }
stage_address() {
  ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS="suppressions=$PWD/mk/leaks.supp:print_suppressions=0" \
    UBSAN_OPTIONS=print_stacktrace=1 NEAP_ALLOC_STEP=9 NEAP_TEST_TIMEOUT=400 tests SANITIZER=address,undefined
}
stage_thread() {                 # the C tests run work on pools of threads, and many contexts at once; the sanitizer's
                                 # suppression of a library fails when another is loaded at run time, as oneDNN is
  NEAP_ONEDNN=off TSAN_OPTIONS="suppressions=$PWD/mk/races.supp:die_after_fork=0:allocator_may_return_null=1" \
    NEAP_ALLOC_STEP=40 NEAP_TEST_TIMEOUT=400 tests SANITIZER=thread ONLY=--c
}
stage_hostile() { NEAP_ALLOC_STEP=9 NEAP_TEST_TIMEOUT=400 tests HOSTILE=1; }
stage_valgrind() {               # which computes long double in 64 bits: no oracle for kernels/test_accuracy; and takes
                                 # minutes for the code that oneDNN makes
  $make --no-print-directory -j"$jobs" tests || return 1
  NEAP_TEST_WRAP="valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect" \
    NEAP_ONEDNN=off NEAP_ALLOC_STEP=40 \
    NEAP_TEST_EXCEPT=kernels/test_accuracy NEAP_TEST_TIMEOUT=500 lua5.4 tests/run.lua --c
}
blas() {                         # what calls it, with another flavour of the library
  export LD_LIBRARY_PATH=$(dirname "$(dirname "$(readlink -f /usr/lib/*/libopenblas.so.0)")")/openblas-$1 NEAP_ALLOC_STEP=40
  $make --no-print-directory -j"$jobs" tests || return 1
  code=0
  for folder in blas energy loss nn ops program sampler; do
    $make --no-print-directory test-run T=tests/$folder || code=1
  done
  return $code
}
stage_planted() { $make --no-print-directory -j"$jobs" planted; }
stage_faults() { $make --no-print-directory -j"$jobs" faults; }
stage_stubs() { $make --no-print-directory -j"$jobs" stubs; }
stage_openmp() (blas openmp)
stage_serial() (blas serial)
stage_clang() {
  command -v clang > /dev/null || { echo "clang is not here"; echo "0 passed, 0 failed"; return 0; }
  $make --no-print-directory CC=clang BUILD=build/clang -j"$jobs" all && echo "1 passed, 0 failed"
}

passed=0 failed=0
for stage in ${*:-address thread hostile valgrind planted faults statistics openmp serial clang}; do
  began=$(date +%s)
  log="$logs/$stage.log"
  code=0
  "stage_$stage" > "$log" 2>&1 || code=$?
  p=$(awk '/^[0-9]+ passed, [0-9]+ failed$/ { n += $1 } END { print n + 0 }' "$log")
  f=$(awk '/^[0-9]+ passed, [0-9]+ failed$/ { n += $3 } END { print n + 0 }' "$log")
  [ "$code" = 0 ] || [ "${f:-0}" != 0 ] || f=1
  [ "${f:-0}" = 0 ] || cat "$log"
  printf '== %-10s %s passed, %s failed, %s s\n' "$stage:" "${p:-0}" "${f:-0}" "$(($(date +%s) - began))"
  passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
