#!/bin/sh
# deps.sh WHAT -- sees to it that the Debian packages are there which WHAT needs (build, demo, test, check, bench, stan,
# all).
# Installs the missing ones with apt when it may (root, or sudo that asks nothing), after printing the command;
# otherwise prints the command and stops.  When nothing is missing it says nothing.
set -eu

build="gcc libc6-dev make liblua5.4-dev libopenblas-dev libopenblas-pthread-dev libsleef-dev libjansson-dev libpng-dev zlib1g-dev"
data="dataset-fashion-mnist"
tests="$data lua5.4 lua-unit libcmocka-dev librandom123-dev pkg-config"
checks="strace valgrind libopenblas0-openmp libopenblas0-serial"
faster=""                                # not needed; found at run time
[ "$(uname -m)" = x86_64 ] && faster="libdnnl2"

case "${1:-all}" in
  build) wanted="$build" ;;
  demo) wanted="$build $data" ;;
  test) wanted="$build $tests" ;;
  bench) wanted="$build $faster python3-torch python3-sklearn libopenblas0-openmp" ;;      # what the benchmark compares with
  stan) wanted="$build g++ r-cran-rstan r-cran-bh" ;;                              # the same for rows of NUTS
  check | all) wanted="$build $tests $checks $faster" ;;
  *) echo "deps.sh: unknown set '$1' (build, demo, test, check, bench, stan, all)" >&2; exit 2 ;;
esac

if ! command -v dpkg-query > /dev/null; then
  echo "neap: this is no Debian system; it needs what these Debian packages hold:" >&2
  echo "  $wanted" >&2
  exit 0
fi

present=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2> /dev/null | sed -n 's/^installed //p' | tr '\n' ' ')"
missing=""
for package in $wanted; do
  case "$present" in *" $package "*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
install="${sudo:+$sudo }apt-get install -y --no-install-recommends$missing"
echo "neap: packages are missing:$missing"
if [ -n "$sudo" ] && ! sudo -n true 2> /dev/null; then
  echo "Install them, then try again:"
  echo "  sudo apt-get update && $install"
  exit 1
fi
echo "  ${sudo:+$sudo }apt-get update && $install"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
