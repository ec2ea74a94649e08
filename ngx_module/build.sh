#!/bin/bash
# Builds the gate for the nginx whose sources (headers and configure) are given; incremental.
#
#     build.sh [--asan] [--src DIR] BUILDDIR [OUTPUT]
#
# Debian's binary takes modules made with Debian's nginx-dev only: the same version from elsewhere
# loads and then writes to wrong bits. Another DIR is a source tree in which nginx was built.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
src=/usr/share/nginx/src
variant=plain

while [ $# -gt 0 ]; do
	case $1 in
	--asan) variant=asan ;;
	--src) [ -z "$2" ] || src=$2; shift ;;
	-*) echo "build.sh: unknown option $1" >&2; exit 2 ;;
	*) break ;;
	esac
	shift
done

[ $# -ge 1 ] || { echo "usage: build.sh [--asan] [--src DIR] BUILDDIR [OUTPUT]" >&2; exit 2; }
mkdir -p "$1"
build=$(cd "$1" && pwd)
output=${2:-$build/ngx_http_fermata_module.so}
case $output in /*) ;; *) output=$PWD/$output ;; esac
objs=$build/objs-$variant
log=$build/configure-$variant.log

# meson and the tests may both be here
exec 9>"$build/.lock"
flock 9

# The arguments that nginx was configured with, but for those of the compiler, which are ours.
if [ -f "$src/conf_flags" ]; then
	# shellcheck disable=SC1091 # of the package nginx-dev
	. "$src/conf_flags"
elif [ -x "$src/objs/nginx" ]; then
	eval "NGX_CONF_FLAGS=($("$src/objs/nginx" -V 2>&1 | sed -n 's/^configure arguments://p'))"
else
	echo "build.sh: no nginx sources in $src (package nginx-dev), nor an nginx that was built there" >&2
	exit 1
fi

if [ $variant = asan ]; then
	cc_opt='-O1 -g -fPIC -fsanitize=address,undefined -fno-sanitize=nonnull-attribute,pointer-overflow
		-fno-omit-frame-pointer'
	ld_opt='-fPIC -fsanitize=address,undefined'
else
	cc_opt="$(dpkg-buildflags --get CFLAGS) $(dpkg-buildflags --get CPPFLAGS) -fPIC"
	ld_opt="$(dpkg-buildflags --get LDFLAGS) -fPIC -Wl,-z,now"
fi
cc_opt=${cc_opt//[$'\n\t']/ }

# configured anew when the list of files, the messages or the options change
stamp=$objs/.configured
want=$({ echo "$src $cc_opt $ld_opt"; cat "$here/config" "$here/page.html"; echo "${NGX_CONF_FLAGS[@]}"; cat "$here"/../proto/schema/*.proto; } | sha256sum)

if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$want" ]; then
	rm -rf "$objs"
	mkdir -p "$objs"
	(
		cd "$src"
		bash ./configure --builddir="$objs" "${NGX_CONF_FLAGS[@]}" \
			--with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" --add-dynamic-module="$here"
	) >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
	printf '%s' "$want" >"$stamp"
fi

make -s -j"$(nproc)" -C "$src" -f "$objs/Makefile" modules

if ! cmp -s "$objs/ngx_http_fermata_module.so" "$output"; then
	cp "$objs/ngx_http_fermata_module.so" "$output.new"
	mv "$output.new" "$output"
fi
# meson's custom_target looks at the time
touch "$output"
