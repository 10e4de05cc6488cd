#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Listings that are made to lead a client, or a daemon that takes a put, elsewhere: through a link that they have made
# themselves. Nothing outside of what is fetched is touched.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/frames.sh"
command -v perl >/dev/null || skip_all "there is no perl"

peer=$top_srcdir/tests/tap/peer.pl
pub=$tmp/pub
mkdir -p "$pub"
write_config "$tmp/xferd.ini" "$pub" read-write
cat >>"$tmp/xferd.ini" <<-END
	[pipeline]
	integrity = none
	liveness = none
	[liveness.none]
	dead-after = ${patience}s
END
# Without digests a test can make every frame by itself.
plain="--set pipeline.integrity=none --set pipeline.liveness=none --set liveness.none.dead-after=${patience}s --retry-for 0"
need_daemon -c "$tmp/xferd.ini"

# entry KIND SIZE NAME: of an ENTRIES frame; a link has its target behind.
entry() {
	printf '%s00%s%s%s%s' "$(number 1 "$1")" "$(number 2 493)" "$(number 8 "$2")" "$(number 12 0)" "$(string8 "$3")"
}
link() {
	printf '%s%s' "$(entry 4 0 "$1")" "$(string16 "$2")"
}
dir() {
	entry 2 0 "$1"
}
up=$(entry 3 0 '')
# listing ENTRY...: and its end, as answers to request 1.
listing() {
	printf 'frame=17,0,1,'
	printf %s "$@"
}
listed="frame=21,0,0,$(number 4 1)$(number 2 0)$(number 2 0)00$(number 8 0)$(number 8 0)$(number 8 0)$(number 4 0)$(number 2 0)"

perl "$peer" listen "$tmp/port" "take=$tmp/hello" end >"$tmp/heard" 2>&1 &
listener=$!
remember $listener
await test -s "$tmp/port"
# shellcheck disable=SC2086
run "$xfer" get $plain "xfer://127.0.0.1:$(cat "$tmp/port")/pub/x" "$tmp"
wait $listener
perl "$peer" connect "$daemon_port" "file=$tmp/hello" "take=$tmp/welcome" end >"$tmp/heard" 2>&1
check "the daemon's WELCOME is known" test -s "$tmp/welcome"

# fetches WORD...: pub/x from a daemon that answers so, into $tmp/home/x.
fetches() {
	rm -f "$tmp/port"
	perl "$peer" listen "$tmp/port" take= "file=$tmp/welcome" take= "$@" >"$tmp/heard" 2>&1 &
	listener=$!
	remember $listener
	await test -s "$tmp/port"
	# shellcheck disable=SC2086
	run timeout "$patience" "$xfer" get $plain "xfer://127.0.0.1:$(cat "$tmp/port")/pub/x" "$tmp/home"
	wait $listener
}

# A link, and then a folder of the same name: what is in it would be made where the link leads.
through=$(listing "$(dir x)" "$(link a ../keys)" "$(dir a)" "$(link trusted /evil)" "$(link new /evil)" "$(dir b)" "$up" \
	"$up" "$(dir good)" "$up" "$up")
for there in "" x; do
	rm -rf "$tmp/home/keys" "$tmp/home/x"
	mkdir -p "$tmp/home/keys" ${there:+"$tmp/home/x"}
	echo mine >"$tmp/home/keys/trusted"
	fetches "$through" "$listed"
	name="a link, and then what is in it${there:+, into a folder that is there}"
	is "$status" 7 "$name: status"
	is "$(ls -A "$tmp/home/keys")" trusted "$name: nothing is made where it leads"
	is "$(cat "$tmp/home/keys/trusted")" mine "$name: and what is there stays"
	like_file "$err" '^xfer: pub/x/a: cannot be made: Not a directory$' "$name: the cause is told"
	like_file "$err" '^xfer: pub/x/a/trusted: its directory could not be made$' "$name: and what follows from it"
	is "$(grep -c 'pub/x/a: ' "$err")" 1 "$name: once"
	check "$name: the rest is made" test -d "$tmp/home/x/good"
done
# A daemon that takes a put is led nowhere either. Its request 1 is the LIST.
mkdir "$pub/keys"
echo mine >"$pub/keys/trusted"
perl "$peer" connect "$daemon_port" "file=$tmp/hello" take= \
	"frame=32,0,5,$(number 16 1)$(number 2 8)$(string8 x)$(string16 pub/x)" take= take= "$through" "$listed" show show show show show end \
	>"$tmp/heard" 2>&1
like_file "$tmp/heard" '^33 ' "daemon: a link, and then what is in it: the put is over"
is "$(ls -A "$pub/keys") $(cat "$pub/keys/trusted")" "trusted mine" "daemon: nothing is made where it leads"

# copies COUNT TEXT
copies() {
	perl -e 'print $ARGV[1] x $ARGV[0]' "$1" "$2"
}

# Each folder in the one before: what a folder holds of itself must not grow with every step.
level=$(dir "$(copies 255 n)")
rm -rf "$tmp/home/x"
fetches "$(listing "$(dir x)" "$(copies 100 "$level")")" "$(listing "$(copies 100 "$level")")" "$(listing "$(copies 100 "$level")")" \
	"$(listing "$(copies 300 "$up")" "$(dir good)" "$up" "$up")" "$listed"
is "$status" 7 "folders deeper than any path: status"
is "$(grep -c '^xfer: pub/x' "$err")" 1 "folders deeper than any path: one line"
like_file "$err" 'n: its path is longer than 4095 bytes$|\.\.\.: its path is longer than 4095 bytes$' \
	"folders deeper than any path: which says so"
check "folders deeper than any path: the rest is made" test -d "$tmp/home/x/good"
is "$(find "$tmp/home/x" -name 'n*' -printf '%d\n' | sort -n | tail -n 1)" 15 "folders deeper than any path: as are those above"

# ---- short names deep down ----

# An entry of thirty bytes, and a path of four thousand: what is listed waits until there is room for it.
perl -e '
	chdir shift or die;
	for my $name ("deep", ("n" x 250) x 14) {
		mkdir $name and chdir $name or die;
	}
	for my $i (1 .. 6000) {
		open(my $file, ">", $i) or die;
	}
	symlink "nowhere", "link" or die;
' "$pub"
deep_names() {
	perl -e '
		chdir shift or die;
		for my $name ("deep", ("n" x 250) x 14) {
			chdir $name or die "$!";
		}
		opendir(my $all, ".") or die;
		print scalar(grep { !/^\./ } readdir $all), "\n";
	' "$1"
}
memory=65536 # KiB: threads and buffers, and what the listing may take
sanitized && memory=$((8 * memory))
# Into folders that are there, where each has a hidden name, too.
mkdir -p "$tmp/home/deep"
# shellcheck disable=SC2086
"$xfer" get $plain --durability none --set pipeline.memory=8M --set core.threads=1 "xfer://127.0.0.1:$daemon_port/pub/deep" "$tmp/home" >"$out" 2>"$err" &
deep_pid=$!
remember $deep_pid
wait_peak $deep_pid
deep_peak=$peak
is "$status" 0 "short names deep down: status"
is "$(deep_names "$tmp/home")" 6001 "short names deep down: all of them came"
check "short names deep down: the client took $deep_peak KiB" test "$deep_peak" -lt $memory
mkdir "$pub/again" "$pub/again/deep"
# shellcheck disable=SC2086
run "$xfer" put $plain --durability none "$tmp/home/deep" "xfer://127.0.0.1:$daemon_port/pub/again"
is "$status" 0 "short names deep down: put: status"
is "$(deep_names "$pub/again")" 6001 "short names deep down: put: all of them came"
deep_peak=$(peak_kib "$(worker_pid 0)")
check "short names deep down: the daemon took $deep_peak KiB" test "$deep_peak" -lt $memory

# ---- listings that are not whole ----

# not_whole NAME WORD...: neither a get nor a listing takes it for one.
not_whole() {
	name=$1
	shift
	rm -rf "$tmp/home/x"
	fetches "$@" show
	is "$status" 6 "$name: get: status"
	like_file "$err" '^xfer: 127.0.0.1:[0-9]* breaks the protocol: the listing ' "$name: get: who and what"
	rm -f "$tmp/port"
	perl "$peer" listen "$tmp/port" take= "file=$tmp/welcome" take= "$@" show >"$tmp/heard" 2>&1 &
	listener=$!
	remember $listener
	await test -s "$tmp/port"
	# shellcheck disable=SC2086
	run timeout "$patience" "$xfer" ls -R $plain "xfer://127.0.0.1:$(cat "$tmp/port")/pub/x"
	wait $listener
	is "$status" 6 "$name: ls: status"
	like_file "$err" '^xfer: 127.0.0.1:[0-9]* breaks the protocol: the listing ' "$name: ls: who and what"
	like_file "$tmp/heard" '^3 .*breaks the protocol: the listing ' "$name: ls: and the other side hears of it"
}
not_whole "a listing that ends before it begins" "$listed"
not_whole "a listing that ends in a folder" "$(listing "$(dir x)" "$(entry 1 0 y)")" "$listed"
not_whole "a listing that goes on behind its end" "$(listing "$(dir x)" "$up" "$(entry 1 0 y)")" "$listed"
not_whole "a listing that leaves what it never entered" "$(listing "$up")" "$listed"

stop_daemon
is "$daemon_status" 0 "the daemon ends in order"
done_testing
