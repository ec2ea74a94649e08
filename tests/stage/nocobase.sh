#!/bin/bash
# nocobase.sh - makes real NocoBase installations out of npm packages, for tests and the demo.
#
#   nocobase.sh path                            prints what PATH must begin with: node >= 20, yarn
#   nocobase.sh base VERSION DIR                installs a release from npm; nothing to do when DIR exists
#   nocobase.sh relabel BASE LABEL DIR [HOW]    a copy of BASE that says it is LABEL; HOW: ok | fail | slow:SECONDS
#   nocobase.sh copy SOURCE DIR                 a copy for one node, as an agent's fetch command makes it
#
# Copies are hard links (2 s, no room), except for the one package that NocoBase writes into at each
# start. Everything appears under its final name only when it is complete. A relabelled copy is the
# same code under another version number with one more migration, so that NocoBase goes through its
# real upgrade; npm has only one complete version.
set -eu
umask 022
cache=${FERMATA_CACHE:-$HOME/.cache/fermata}

say() { printf '%s\n' "$*" >&2; }
die() { say "nocobase.sh: $*"; exit 1; }
usage() { sed -n '4,7s/^# *//p' "$0" >&2; exit 2; }

node_major() { "$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p'; }

# NocoBase wants node 20; Debian 12 has 18.
find_node() {
	local own=$cache/node/node_modules/node/bin
	if [ "$(node_major node)" -ge 20 ] 2>/dev/null; then
		dirname "$(command -v node)"
	elif [ "$(node_major "$own/node")" -ge 20 ] 2>/dev/null; then
		echo "$own"
	else
		command -v npm >/dev/null || die "neither node >= 20 nor npm is here; install npm"
		say "  node 20 from npm"
		mkdir -p "$cache/node"
		npm i --silent --no-fund --no-audit --prefix "$cache/node" node@20 >&2
		[ "$(node_major "$own/node")" -ge 20 ] || die "npm's node package brought no node >= 20"
		echo "$own"
	fi
}

# `start --quickstart` calls yarn, too.
find_path() {
	local node
	node=$(find_node)
	PATH=$node:$cache/tools/bin:$PATH
	command -v yarn >/dev/null || npm i --silent -g --prefix "$cache/tools" yarn@1.22.22 >&2
	echo "$node:$cache/tools/bin"
}

# Says every 15 s how far yarn is, while process $1 lives.
progress() {
	local began=$SECONDS
	while sleep 5 && kill -0 "$1" 2>/dev/null; do
		[ $(((SECONDS - began) % 15)) -lt 5 ] || continue
		say "  $((SECONDS - began)) s: $(grep -o '^\[[0-9]/[0-9]\].*' "$2" | tail -1)"
	done
}

make_base() {
	local version=$1 dir=$2 work pid
	[ -e "$dir" ] && return 0
	say "NocoBase $version from npm (once; kept in $cache)"
	PATH=$(find_path):$PATH
	export PATH npm_config_loglevel=error NB_SKIP_STARTUP_UPDATE=1
	export YARN_CACHE_FOLDER="$cache/yarn" npm_config_cache="$cache/npm"
	export PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
	work=$dir.partial
	rm -rf "$work"
	mkdir -p "$work"
	cd "$work"
	npx -y "create-nocobase-app@$version" app --empty-key --skip-dev-dependencies -a \
		-e APP_ENV=production >create.log 2>&1 || { tail -20 create.log >&2; die "create-nocobase-app failed"; }
	cd app
	# One dependency names a tarball outside of npm; the same library is on npm.
	node -e '
		const fs = require("fs"), p = JSON.parse(fs.readFileSync("package.json"));
		p.resolutions.xlsx = "0.18.5";
		fs.writeFileSync("package.json", JSON.stringify(p, null, 2));'
	yarn install --production --ignore-engines --network-timeout 600000 --non-interactive \
		--registry "$(npm config get registry)" >../yarn.log 2>&1 &
	pid=$!
	progress "$pid" ../yarn.log &
	wait "$pid" || { tail -20 ../yarn.log >&2; die "yarn install failed"; }
	complete . "$version"
	rm -rf .env .git storage tsconfig.paths.json
	chmod -R go+rX .
	mv -T "$work/app" "$dir"
	rm -rf "$work"
	say "  complete after $SECONDS s"
}

# Dies unless folder $1 is a complete release $2.
complete() {
	[ -x "$1/node_modules/.bin/nocobase-v1" ] || die "$1 has no nocobase-v1"
	grep -q "\"version\": \"$2\"" "$1/node_modules/@nocobase/server/package.json" || die "$1 is not $2"
}

# Links SOURCE to WORK, ready to be started from.
link_copy() {
	local source=$1 work=$2
	rm -rf "$work"
	mkdir -p "$(dirname "$work")"
	cp -al "$source" "$work" 2>/dev/null || { rm -rf "$work"; cp -a "$source" "$work"; }
	# dist/client/index.html is rewritten in place at each start.
	rm -rf "$work/node_modules/@nocobase/app"
	cp -a "$source/node_modules/@nocobase/app" "$work/node_modules/@nocobase/app"
	rm -rf "$work/.env" "$work/tsconfig.paths.json" "$work/storage"
}

make_copy() {
	local source=$1 dir=$2
	[ -e "$dir/node_modules" ] && return 0
	[ -e "$source/node_modules" ] || die "there is no release at $source"
	link_copy "$source" "$dir.partial"
	mv -T "$dir.partial" "$dir"
}

relabel() {
	local base=$1 label=$2 dir=$3 how=${4:-ok} node
	case $how in ok | fail | slow:[0-9]*) ;; *) usage ;; esac
	[ -e "$dir" ] && return 0
	node=$(find_node)
	link_copy "$base" "$dir.partial"
	"$node/node" "$(dirname "$0")/relabel.js" "$dir.partial" "$label" "$how"
	complete "$dir.partial" "$label"
	mv -T "$dir.partial" "$dir"
}

[ $# -ge 1 ] || usage
word=$1
shift
case $word/$# in
path/0) find_path ;;
base/2)
	mkdir -p "$cache" "$(dirname "$2")"
	exec 9>"$cache/lock"
	flock 9
	make_base "$1" "$(realpath -m "$2")"
	;;
relabel/3 | relabel/4) relabel "$@" ;;
copy/2) make_copy "$1" "$2" ;;
*) usage ;;
esac
