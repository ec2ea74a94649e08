#!/bin/bash
# runbook.sh CLUSTER VERSION - NocoBase's documented cluster upgrade as a careful person does it by hand.
# runbook.sh CLUSTER start   - starts every node on the release that it has, one after the other.
#
# What Fermata's downtime is compared with. CLUSTER is a file of shell variables: NODES, GATE_INC and
# GATE_PID (nginx's included file and master), GATE_URL, STORAGE, BACKUP, DATABASE (libpq conninfo of an
# administrator) and, for each node N: N_ROOT, N_ENV (dotenv), N_RUN, N_PORT.
set -eu
# shellcheck source=/dev/null
. "$1"
word=$2

say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }
die() { say "STOP: $*"; exit 1; }
of() { local name=$1_$2; printf '%s' "${!name}"; }

health() { curl -s -m 5 -w ' %{http_code}' "http://127.0.0.1:$(of "$1" PORT)/api/__health_check" || true; }

start_node() {
	local node=$1 run
	shift
	run=$(of "$node" RUN)
	(
		cd "$(of "$node" ROOT)/current"
		set -a
		# shellcheck source=/dev/null
		. "$(of "$node" ENV)"
		set +a
		export APP_ENV_PATH SOCKET_PATH=$run/gateway.sock PM2_HOME=$run/pm2 FERMATA_NODE=$node
		APP_ENV_PATH=$(of "$node" ENV)
		PATH=$PWD/node_modules/.bin:$PATH
		exec setsid nocobase-v1 start "$@" >>"$run/start.log" 2>&1 </dev/null
	) &
	echo $! >"$run/pid"
}

wait_healthy() {
	local node=$1 began=$SECONDS answer
	while :; do
		answer=$(health "$node")
		case $answer in
		"ok 200") say "$node is healthy"; return 0 ;;
		*APP_ERROR*) die "$node: $answer" ;;
		esac
		[ $((SECONDS - began)) -lt 300 ] || die "$node is not healthy after 300 s: $answer"
		sleep 1
	done
}

stop_node() {
	local node=$1 group began=$SECONDS
	group=$(cat "$(of "$node" RUN)/pid")
	kill -TERM -- "-$group"
	while pgrep -g "$group" >/dev/null; do
		if [ $((SECONDS - began)) -ge 30 ]; then
			say "$node does not stop, killing it"
			kill -KILL -- "-$group" 2>/dev/null || true
		fi
		sleep 1
	done
	say "$node is stopped"
}

page() {
	case $1 in
	on) echo 'add_header Retry-After 60 always; return 503;' >"$GATE_INC" ;;
	off) : >"$GATE_INC" ;;
	esac
	kill -HUP "$GATE_PID"
	say "maintenance page $1"
}

sql() { psql -XAtq -d "$DATABASE dbname=nocobase" -c "$1"; }

if [ "$word" = start ]; then
	for node in $NODES; do
		start_node "$node"
		wait_healthy "$node"
	done
	exit 0
fi

say "before: $(sql 'select value from "applicationVersion"')"
for node in $NODES; do
	[ -e "$(of "$node" ROOT)/releases/$word/node_modules" ] || die "$word is not on $node"
	[ "$(health "$node")" = "ok 200" ] || die "$node is not healthy"
done

page on
until [ "$(curl -s -o /dev/null -w '%{http_code}' "$GATE_URL/api/app:getInfo")" = 503 ]; do sleep 1; done

for node in $NODES; do stop_node "$node"; done
[ "$(sql "select count(*) from pg_stat_activity where usename = 'nocobase'")" = 0 ] || die "somebody is still connected"

mkdir -p "$BACKUP"
pg_dump -Fc -d "$DATABASE dbname=nocobase" -f "$BACKUP/nocobase.dump"
pg_restore --list "$BACKUP/nocobase.dump" >/dev/null
cp -a "$STORAGE/uploads" "$STORAGE/plugins" "$BACKUP/"
say "backup taken"

for node in $NODES; do ln -sfn "releases/$word" "$(of "$node" ROOT)/current"; done

first=${NODES%% *}
start_node "$first" --quickstart
wait_healthy "$first"
[ "$(sql 'select value from "applicationVersion"')" = "$word" ] || die "the database is not on $word"
for node in ${NODES#* }; do
	start_node "$node"
	wait_healthy "$node"
done

page off
until [ "$(curl -s -o /dev/null -w '%{http_code}' "$GATE_URL/api/app:getInfo")" = 200 ]; do sleep 1; done
say "after: $(sql 'select value from "applicationVersion"')"
