#!/bin/sh
# sleef.sh OBJECT -- makes vectorised calls of libm's functions go to SLEEF by SLEEF's own names.
# Compilers emit _ZGVdN8v_sinf and the like, which SLEEF (libsleefgnuabi) and glibc (libmvec) both define; a process that
# holds both would take either, or crash while the loader resolves them.  Sleef_sinf8_u10avx2 is unmistakable.
set -eu
names="$1.syms"
nm -u "$1" | sed -n -E 's/^ *U (_ZGV(.N([0-9]+))v+_([a-z0-9]+))$/\1 Sleef_\4@\2@\3_u10@\2/p' |
  sed -E -e 's/@(bN2|nN2|dN4|eN8)@/d/' -e 's/@(bN4|nN4|dN8|eN16)@//' -e 's/(erfc[df][0-9]+_u)10/\115/' \
         -e 's/@b.*$/sse2/' -e 's/@d.*$/avx2/' -e 's/@e.*$/avx512f/' -e 's/@n.*$/advsimd/' > "$names"
${OBJCOPY:-objcopy} --redefine-syms="$names" "$1"
rm -f "$names"
