# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the tests of plug-ins that crash have in common; sourced behind lib.sh.
#
#   write_crash_config [LINES...]; need_daemon -c "$tmp/xferd.ini"; order daemon-transport "sendv abort"; fetch
#
# What was struck is compared in the end with the header, so that no callback is forgotten:
#
#   struck transport:sendv; all_struck daemon

crash=$top_builddir/tests/plugins/.libs
mkdir "$tmp/pub"
make_file "$tmp/pub/file" 300000
make_file "$tmp/pub/large" 3000000
make_file "$tmp/pub/long" 9000000
# For what is not looked at, and goes by pipes.
piped="--integrity none --set pipeline.chunk-size=1M"

# A sanitizer keeps the signals of faults for itself.
signals="abort segv fpe bus ill stack"
sanitized && signals=abort

# signal_of HOW: its name.
signal_of() {
	case $1 in
	abort) echo SIGABRT ;;
	segv | stack) echo SIGSEGV ;;
	*) echo "SIG$1" | tr '[:lower:]' '[:upper:]' ;;
	esac
}

signal_number() {
	name=$(signal_of "$1")
	env kill -l "${name#SIG}"
}

# next_signal: sets $how to the next one in turn.
next_signal() {
	# shellcheck disable=SC2086
	set -- $signals
	shift $((turn % $#))
	turn=$((turn + 1))
	how=$1
}
turn=0

# struck KIND:CALLBACK...: it is about to be. For host calls KIND is `host`.
struck() {
	printf '%s\n' "$@" >>"$tmp/struck"
}

# callbacks PROGRAM: KIND:CALLBACK of all in the header, but those of which the manual says that another program calls them,
# and not this one (client, daemon); and host:CALL of all host calls.
callbacks() {
	awk -v program="$1" '
		FNR == 1 { file++ }
		file == 1 && /^\.It Fn [a-z_]+ Ta / {
			split($0, cell, / Ta /)
			callers[$3] = cell[3]
		}
		file == 1 { next }
		/^struct xfer_[a-z]+(_ops)? \{/ {
			kind = $2
			sub(/^xfer_/, "", kind)
			sub(/_ops$/, "", kind)
		}
		/^};/ { kind = "" }
		kind != "" && match($0, /\(\*[a-z_0-9]+\)\(/) {
			name = substr($0, RSTART + 2, RLENGTH - 4)
			if (kind != "host" && name in callers && index(callers[name], program) == 0)
				next
			if (kind == "plugin")
				print "transport:" name "\nintegrity:" name "\nliveness:" name
			else
				print kind ":" name
		}' "$top_srcdir/man/xfer-plugin.3" "$top_srcdir/include/xfer/plugin.h" | sort -u
}

# all_struck PROGRAM: as many as this program calls, and no other one.
all_struck() {
	callbacks "$1" >"$tmp/callbacks"
	check "the header has callbacks" test "$(wc -l <"$tmp/callbacks")" -ge 30
	# What the core does not call at all, or not yet.
	for uncalled in sendfile sendpipe recvpipe; do
		grep -rqs --exclude-dir=registry "transport_$uncalled(" "$top_srcdir/core" ||
			struck transport:$uncalled
	done
	sort -u "$tmp/struck" >"$tmp/all-struck"
	is "$(comm -23 "$tmp/callbacks" "$tmp/all-struck" | paste -sd ' ')" "" "no callback of the header was left out"
	is "$(comm -13 "$tmp/callbacks" "$tmp/all-struck" | paste -sd ' ')" "" "... and the manual knows of each that the $1 calls it"
}

# write_crash_config [LINES...]: a daemon of which each plug-in comes to harm as $tmp/daemon-KIND.orders says. LINES are of
# [daemon].
write_crash_config() {
	workers=${workers:-1}
	write_config "$tmp/xferd.ini" "$tmp/pub"
	for line in "$@"; do
		sed "s/^\[daemon\]\$/&\n$line/" "$tmp/xferd.ini" >"$tmp/more.ini"
		mv "$tmp/more.ini" "$tmp/xferd.ini"
	done
	mkdir -p "$tmp/in"
	printf '[export.in]\npath = %s\naccess = read-write\n' "$tmp/in" >>"$tmp/xferd.ini"
	crash_sections daemon transport integrity liveness >>"$tmp/xferd.ini"
}

# crash_sections WHO KIND...: the lines that choose these plug-ins, and where those of WHO look for orders.
crash_sections() {
	who=$1
	shift
	echo "[pipeline]"
	# What the client does not say otherwise; so that the digest of a file is a stream.
	[ "$who" = daemon ] || echo "chunk-size = 1K"
	for kind in "$@"; do
		more=
		[ $kind != integrity ] || more=', none'
		echo "$kind = $crash/$kind-crash.so$more"
	done
	for kind in "$@"; do
		printf '[%s.crash]\norders = %s\n' "$kind" "$tmp/$who-$kind.orders"
	done
	case " $* " in
	*" liveness "*) echo "interval = 50ms" ;;
	esac
}

# order WHO-KIND "CALLBACK HOW [always]": at once, and as a whole.
order() {
	echo "$2" >"$tmp/$1.new"
	mv "$tmp/$1.new" "$tmp/$1.orders"
}

# fetch [ARGUMENTS...]: the file, by a client whose own plug-ins are in order.
fetch() {
	rm -f "$tmp/got"
	run "$xfer" -c "$tmp/client.ini" -v --no-progress get "$@" "xfer://$daemon_address/pub/file" "$tmp/got"
}
crash_sections client integrity liveness >"$tmp/client.ini"

# begin_held [ARGUMENTS...]: the same of the long file, in the background: it is in the middle until go_on (gates.sh). $get.
begin_held() {
	rm -f "$tmp/got"
	hold 2500
	# With so little memory it grants credit again and again, so that the daemon hears of it until the end.
	"$xfer" -c "$tmp/client.ini" --no-progress --set pipeline.memory=8M get "$@" "xfer://$daemon_address/pub/long" "$tmp/got" 2>"$tmp/err" &
	get=$!
	remember $get
	await sh -c "[ -n \"\$(find '$tmp' -maxdepth 1 -name '.xfer-*' -size +10k)\" ]"
}
