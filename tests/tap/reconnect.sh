# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the tests of reconnecting have in common; sourced behind lib.sh and gates.sh. A get is held in the middle, where the
# daemon reads the file, until end_get.
#
#   hold KIB      begin_get NAME ARGUMENTS...      await_bytes KIB      end_get NAME STATUS [ERE]      whole NAME; forget

get_bytes=12000000
hold_kib=3600 # of which 1100 are sure to come
# Death is noticed soon.
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=1s"
# Nobody is to die, however late a loaded machine is.
late="--set liveness.udp.dead-after=20s"

# begin_get NAME ARGUMENTS...: a get of pub/big to $tmp/NAME. get_pid is the client.
begin_get() {
	get_name=$1
	shift
	# shellcheck disable=SC2086
	"$xfer" --no-progress --set pipeline.chunk-size=64K $soon get "$@" \
		"xfer://$daemon_address/pub/big" "$tmp/$get_name" >"$tmp/$get_name.out" 2>"$tmp/$get_name.err" &
	get_pid=$!
	remember "$get_pid"
}

# begin_held NAME ARGUMENTS...: the same, of which some has come when this returns, and most cannot.
begin_held() {
	hold $hold_kib
	begin_get "$@"
	await_bytes 1100
}

# await_bytes KIB: so much of it has come. (Ranges come in any order: what counts is not how long the file is.)
await_bytes() {
	await sh -c "find '$tmp' -maxdepth 1 -name '.xfer-*' -type f -printf '%k\n' | awk '{ n += \$1 } END { exit n < $1 }'"
}

# await_said NAME ERE: the client says so.
await_said() {
	wait_line "$tmp/$1.err" "$2" "$get_pid" >"$tmp/said"
}

# end_get NAME STATUS [ERE]: the client goes on, ends with it, and says that.
end_get() {
	go_on
	got=0
	wait "$get_pid" || got=$?
	is "$got" "$2" "$1: status"
	[ -z "${3:-}" ] || like_file "$tmp/$1.err" "$3" "$1: the message"
}

# whole NAME: it is all there, and nothing of ours is left.
whole() {
	check "$1: every byte" cmp "$tmp/pub/big" "$tmp/$1"
	is "$(leftovers "$tmp")" "" "$1: nothing hidden is left"
	rm -f "$tmp/$1"
}

# forget: what a get that failed leaves for the next one, which is not to go on with it.
forget() {
	rm -rf "$tmp"/.xfer-*
}

# says NAME COUNT ERE: so many lines of it in what the client said.
says() {
	says_count=$(grep -Ec "$3" "$tmp/$1.err")
	is "$says_count" "$2" "$1: said $2 times: $3"
	[ "$says_count" = "$2" ] || diag_file "$tmp/$1.err"
}

# start_again ARGUMENTS...: the daemon, where it was before.
start_again() {
	start_daemon "$@" --set "daemon.listen=127.0.0.1:$daemon_port"
}
