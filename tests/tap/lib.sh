# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034
#
# What a TAP test of shell stands on. A test begins with
#
#   . "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
#
# and ends with `done_testing`. `make check` runs it in the build folder; so does `sh tests/tap/NAME.t` by hand there.
# It has a folder of its own, $tmp, that goes away with it, as do the processes it gave to `remember`.
#
#   is "$got" wanted "name"          run xfer ls URL          start_daemon -c "$tmp/xferd.ini"
#   like "$text" 'ERE' "name"        is "$status" 4 "name"    xfer get "xfer://$daemon_address/pub/file" ...
#   check "name" cmp a b             like_file "$err" ...     stop_daemon; is "$daemon_status" 0 "name"

top_srcdir=$(cd "${top_srcdir:-$(dirname "$0")/../..}" && pwd)
top_builddir=$(cd "${top_builddir:-.}" && pwd)
xfer=$top_builddir/xfer
xferd=$top_builddir/xferd
export top_srcdir top_builddir

# No user's file of this machine changes a test.
unset XDG_CONFIG_HOME XDG_STATE_HOME
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfer-test.XXXXXX") || exit 99
HOME=$tmp/home
export HOME
mkdir "$HOME"
out=$tmp/out # of the last `run`
err=$tmp/err

patience=30 # seconds after which waiting for an event is a failure; never the way to pass
test_count=0
test_pids=
spared= # a process that is not killed yet

# born PID: when it began, in the kernel's ticks; nothing when there is none. A number is soon that of somebody else, whom
# nobody is to kill: it is the same process when it began at the same time.
born() {
	{ read -r born_line <"/proc/$1/stat"; } 2>/dev/null || return 0
	# Behind the name, in which anything may be, the twentieth.
	# shellcheck disable=SC2086
	set -- ${born_line##*) }
	echo "${20}"
}

# Kills what is left of the remembered processes, but $spared. A stopped one dies of SIGKILL too.
kill_remembered() {
	for pid in $test_pids; do
		began=${pid#*:}
		pid=${pid%:*}
		if [ -n "$began" ] && [ "$pid" != "$spared" ] && [ "$(born "$pid")" = "$began" ]; then
			kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
		fi
	done
}

# Kills whoever is left, then the folder.
clean_up() {
	kill_remembered
	chmod -R u+rwx "$tmp" 2>/dev/null
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# XFER_TEST_WITHOUT: tests that are left out, by their names without .t, and XFER_TEST_WITHOUT_WHY the reason.
case " ${XFER_TEST_WITHOUT-} " in
*" $(basename "$0" .t) "*)
	echo "1..0 # SKIP ${XFER_TEST_WITHOUT_WHY:-it is left out}"
	exit 0
	;;
esac

# ---- results ---------------------------------------------------------------------------------------------------------

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# A file into the test's log, its end where it is long.
diag_file() {
	diag "$1:"
	tail -n 50 "$1" | sed 's/^/#   /'
}

ok() {
	test_count=$((test_count + 1))
	echo "ok $test_count - $*"
}

# not_ok NAME [WHY]
not_ok() {
	test_count=$((test_count + 1))
	echo "not ok $test_count - $1"
	[ $# -lt 2 ] || diag "$2"
}

# skip NAME WHY: one check that this machine cannot make.
skip() {
	test_count=$((test_count + 1))
	echo "ok $test_count - $1 # SKIP $2"
}

# skip_all WHY: nothing was tested.
skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

done_testing() {
	echo "1..$test_count"
	exit 0
}

bail_out() {
	echo "Bail out! $*"
	exit 99
}

# is GOT WANTED NAME
is() {
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3" "got:    $1
wanted: $2"
	fi
}

# like TEXT ERE NAME
like() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		ok "$3"
	else
		not_ok "$3" "got:    $1
wanted: $2"
	fi
}

# unlike TEXT ERE NAME
unlike() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		not_ok "$3" "got:      $1
unwanted: $2"
	else
		ok "$3"
	fi
}

# like_file FILE ERE NAME
like_file() {
	if grep -Eq -e "$2" "$1"; then
		ok "$3"
	else
		not_ok "$3" "wanted: $2"
		diag_file "$1"
	fi
}

# check NAME COMMAND...: the command succeeds.
check() {
	check_name=$1
	shift
	if "$@" >"$tmp/check" 2>&1; then
		ok "$check_name"
	else
		not_ok "$check_name" "failed: $*"
		diag_file "$tmp/check"
	fi
}

# run COMMAND...: its status in $status, its output in the files $out and $err.
run() {
	status=0
	"$@" >"$out" 2>"$err" || status=$?
}

# unprivileged COMMAND...: the command, for which permissions hold even when root runs the tests.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "$@"
	else
		"$@"
	fi
}

# ---- files -----------------------------------------------------------------------------------------------------------

# make_file FILE BYTES: of random content.
make_file() {
	head -c "$2" /dev/urandom >"$1"
}

# list_tree DIR: a record for each entry with all that a copy has to keep of it, but the content.
list_tree() {
	(cd "$1" && LC_ALL=C find . -type d -printf '%p d %m %T@\0' -o -type l -printf '%p l %l %T@\0' -o \
		-printf '%p %y %m %s %T@\0' | LC_ALL=C sort -z)
}

# same_tree A B: names, kinds, modes, sizes, times to the nanosecond, targets of links, content.
same_tree() {
	list_tree "$1" >"$tmp/tree-a"
	list_tree "$2" >"$tmp/tree-b"
	# A newline may be in a name: no line is begun by it.
	diff -a "$tmp/tree-a" "$tmp/tree-b" | tr '\0' '\n' | head -n 40
	cmp "$tmp/tree-a" "$tmp/tree-b" && diff -r --no-dereference "$1" "$2"
}

# leftovers DIR: what grew there under a hidden name.
leftovers() {
	find "$1" -name '.xfer-*'
}

# ---- processes -------------------------------------------------------------------------------------------------------

# remember PID: ends with the test.
remember() {
	test_pids="$test_pids $1:$(born "$1")"
}

# wait_line FILE ERE [PID [COUNT]]: prints the first COUNT (1) lines that match, as soon as they are there. Fails when PID
# ends before, or when patience does. (Not in $(): there the shell learns of the end of its own child too late.)
wait_line() {
	: >>"$1" # whoever is to write it may not have begun
	timeout "$patience" tail -n +1 -s 0.05 -f ${3:+--pid="$3"} "$1" 2>/dev/null | grep -E -m "${4:-1}" -e "$2"
}

# await COMMAND...: until it succeeds, for what tells nobody that it happened.
await() {
	await_until=$(($(date +%s) + patience))
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $await_until ] || return 1
		sleep 0.02
	done
}

# worker_pid INDEX [N]: of the Nth (1) process that was worker INDEX, as soon as it is ready.
worker_pid() {
	wait_line "$daemon_log" "worker ready worker=$1 " "$daemon_pid" "${2:-1}" | sed -n "${2:-1}s/.* pid=\([0-9]*\).*/\1/p"
}

# Built with a sanitizer, which takes memory and time, and wants to be loaded first.
sanitized() {
	grep -aqE '__(a|t|m)san_init' "$xfer"
}

# peak_kib PID: the most memory that it ever had, in KiB, so far.
peak_kib() {
	sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status" 2>/dev/null
}

# wait_peak PID: until it ends. Its status in $status, the most memory that it ever had in $peak, KiB.
wait_peak() {
	peak=0
	# Nobody tells of the end of a process ahead of it, and behind it there is nothing to be seen.
	while peak_seen=$(peak_kib "$1") && [ -n "$peak_seen" ]; do
		peak=$peak_seen
		sleep 0.02
	done
	status=0
	wait "$1" || status=$?
}

# write_config FILE EXPORT [ACCESS]: a daemon on a free port of the loopback with [export.pub]. $workers of them (1).
write_config() {
	cat >"$1" <<-END
		[daemon]
		listen = 127.0.0.1:0
		workers = ${workers:-1}
		[export.pub]
		path = $2
		access = ${3:-read-only}
	END
}

# test_plugins NAME...: $tmp/plugins with all plug-ins of the build and these of the tests (transport-named), for
# --set core.plugin-dir=$tmp/plugins.
test_plugins() {
	mkdir -p "$tmp/plugins"
	ln -sf "$top_builddir"/plugins/.libs/*.so "$tmp/plugins/"
	for plugin in "$@"; do
		ln -sf "$top_builddir/tests/plugins/.libs/$plugin.so" "$tmp/plugins/"
	done
}

# start_daemon ARGUMENTS...: xferd, listening. Sets daemon_pid, daemon_log, daemon_address (of the first item of listen) and
# daemon_port. Fails when it ends instead; daemon_log says why.
start_daemon() {
	daemon_log=$(mktemp "$tmp/daemon-XXXXXX.log")
	"$xferd" "$@" 2>"$daemon_log" &
	daemon_pid=$!
	remember "$daemon_pid"
	wait_line "$daemon_log" 'listening on ' "$daemon_pid" >"$tmp/listening" || return 1
	daemon_address=$(sed 's/.*listening on \([^ ]*\).*/\1/' "$tmp/listening")
	daemon_port=${daemon_address##*:}
}

# need_daemon ARGUMENTS...: start_daemon, or the end of the test.
need_daemon() {
	start_daemon "$@" && return
	diag_file "$daemon_log"
	bail_out "xferd does not start"
}

# stop_daemon [SIGNAL]: waits for its end; daemon_status is what it ended with.
stop_daemon() {
	kill "-${1:-TERM}" "$daemon_pid"
	daemon_status=0
	wait "$daemon_pid" || daemon_status=$?
}
