#!/bin/sh
# install.sh -- copies the products of BUILD under DESTDIR/PREFIX; called by make install with its variables.
set -eu

root="${DESTDIR}${PREFIX}"
lib="${DESTDIR}${LIBDIR}"
share="$root/share/lua/$LUA_V"

install -d "$root/bin" "$root/include/neap" "$lib/pkgconfig" "$lib/lua/$LUA_V/neap" "$share/neap"
install -m 755 "$BUILD/neap" "$root/bin/neap"
install -m 644 runtime/neap*.h "$BUILD/gen/neap_ops.h" "$root/include/neap/"
install -m 755 "$BUILD/libneap.so.$SOVERSION" "$lib/libneap.so.$VERSION"
ln -sfn "libneap.so.$VERSION" "$lib/libneap.so.$SOVERSION"
ln -sfn "libneap.so.$SOVERSION" "$lib/libneap.so"
install -m 644 "$BUILD/libneap.a" "$BUILD/libneap-lua.a" "$lib/"
install -m 755 "$BUILD/lua/neap/core.so" "$lib/lua/$LUA_V/neap/core.so"
(cd stdlib && find . -name '*.lua') | while read -r file; do
  install -D -m 644 "stdlib/$file" "$share/$file"
done
install -m 644 "$BUILD/lua/neap/meta.lua" "$share/neap/"
for name in neap neap-lua; do
  sed -e "s|@PREFIX@|$PREFIX|" -e "s|@LIBDIR@|$LIBDIR|" -e "s|@VERSION@|$VERSION|" "$name.pc.in" > "$lib/pkgconfig/$name.pc"
  chmod 644 "$lib/pkgconfig/$name.pc"
done
