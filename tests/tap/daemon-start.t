#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# How xferd starts, and how it does not: configuration, plug-ins, addresses, the lines that say where it listens.
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/pub"
echo content >"$tmp/pub/file"
ini=$tmp/xferd.ini
write_config "$ini" "$tmp/pub"

# What a failed start must not leave behind would have another parent by then, so it is looked for by the name of our
# folder, which no other process has among its arguments.
started() {
	pgrep -f -- "--worker=.*$tmp" | wc -l
}

# refused NAME WORDS ARGUMENTS...: ends with 2 and one line that has the words.
refused() {
	refused_name=$1
	refused_words=$2
	shift 2
	refused_before=$(started)
	run timeout "$patience" "$xferd" "$@"
	is "$status" 2 "$refused_name: status 2"
	like_file "$err" "$refused_words" "$refused_name: says why"
	is "$(wc -l <"$err")" 1 "$refused_name: in one line"
	is "$(started)" "$refused_before" "$refused_name: nothing was started"
}

refused "no such file" "$tmp/none\.ini" -c "$tmp/none.ini"

{
	cat "$ini"
	echo '[core]'
	echo 'colour = red'
} >"$tmp/key.ini"
refused "an unknown key" "$tmp/key\.ini:[0-9]+: .*colour" -c "$tmp/key.ini"

echo 'workers = 2' >"$tmp/section.ini"
refused "a line outside of sections" "$tmp/section\.ini:1: " -c "$tmp/section.ini"
refused "a bad value" "workers" -c "$ini" --set daemon.workers=none
refused "no worker at all" "workers" -c "$ini" --set daemon.workers=0
refused "a missing plug-in" "transport-missing\.so" -c "$ini" --set pipeline.transport=missing
refused "a missing plug-in of one item" "transport-missing\.so" -c "$ini" --set daemon.listen=missing://127.0.0.1:0
refused "a bad option of a plug-in" "interval" -c "$ini" --set liveness.udp.interval=soon
refused "a bad port" "65536" -c "$ini" --set daemon.listen=127.0.0.1:65536
refused "an address of another machine" "192\.0\.2\.1:0: .*[Cc]annot assign" \
	-c "$ini" --set transport.tcp.allow-plaintext=yes --set daemon.listen=192.0.2.1:0

run "$xferd" -c "$ini" more
is "$status" 2 "an unexpected argument: status 2"
run "$xferd" --colour
is "$status" 2 "an unknown option: status 2"
run "$xferd" --worker=0 -c "$ini" 3<&-
is "$status" 2 "a worker without a supervisor: status 2"
run "$xferd" --version
is "$status" 0 "--version: status 0"
like_file "$out" '^xferd [0-9]+\.' "--version says it"
run "$xferd" --help
is "$status" 0 "--help: status 0"
like_file "$out" 'check-config' "--help helps"

# ---- the check, and the dump -----------------------------------------------------------------------------------------

for option in -t --check-config; do
	run "$xferd" -c "$ini" $option
	is "$status" 0 "$option: status 0"
	is "$(cat "$out")" "configuration ok" "$option says so"
done
refused "-t with a missing plug-in" "integrity-missing\.so" -c "$ini" -t --set pipeline.integrity=missing
refused "-t with a bad port" "not a number" -c "$ini" -t --set daemon.listen=127.0.0.1:http

run "$xferd" -c "$ini" --set daemon.workers=7 --dump-config
is "$status" 0 "--dump-config: status 0"
like_file "$out" '^workers = 7$' "--dump-config has what was set"
cp "$out" "$tmp/dump.ini"
run "$xferd" -c "$tmp/dump.ini" --dump-config
check "a dump read again dumps the same" cmp "$out" "$tmp/dump.ini"

# ---- listening -------------------------------------------------------------------------------------------------------

need_daemon -c "$ini"
address='127\.0\.0\.1:[1-9][0-9]*'
like_file "$daemon_log" "listening on ($address) \(tcp\), heartbeat \1 \(udp\)$" "says where it listens, TCP and UDP alike"
refused "a port in use" "listen = 127\.0\.0\.1:$daemon_port: .*[Aa]ddress already in use" \
	-c "$ini" --set "daemon.listen=127.0.0.1:$daemon_port"
run "$xferd" -c "$ini" -t --set "daemon.listen=127.0.0.1:$daemon_port"
is "$status" 0 "-t binds nothing, so a port in use is no matter"
stop_daemon
is "$daemon_status" 0 "stopped"

need_daemon -c "$ini" --set pipeline.liveness=none
like_file "$daemon_log" "listening on $address \(tcp\), heartbeat in-band \(none\)$" "without heartbeats it says in-band"
stop_daemon

need_daemon -c "$ini" --set "daemon.listen=127.0.0.1:0, tcp://127.0.0.1:0, localhost:0" --set daemon.workers=3
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 3 >"$tmp/ready"
is "$(grep -c 'listening on ' "$daemon_log")" 3 "a line for each item of listen"
is "$(pgrep -c -P "$daemon_pid")" 3 "as many workers as configured"
sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$daemon_log" >"$tmp/addresses"
while read -r address; do
	run "$xfer" get -q "xfer://$address/pub/file" "$tmp/got"
	is "$status" 0 "serves at $address"
done <"$tmp/addresses"
stop_daemon
is "$daemon_status" 0 "stopped"

done_testing
