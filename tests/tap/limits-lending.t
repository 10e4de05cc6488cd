#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Buffers are lent to sessions that move and taken back from those that do not: who stands still keeps nobody waiting, and
# gets the same bytes when it goes on.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"
. "$top_srcdir/tests/tap/many.sh"
need_gates

mkdir "$tmp/pub" "$tmp/in"
make_file "$tmp/pub/big" 67108864
cp "$tmp/pub/big" "$tmp/pub/fickle"
write_config "$tmp/xferd.ini" "$tmp/pub"
cat >>"$tmp/xferd.ini" <<-END
	[export.in]
	path = $tmp/in
	access = read-write
	[pipeline]
	integrity = sha256, none
END
# Nobody dies of standing still here, and a few sessions take all buffers.
alive="--set liveness.udp.dead-after=10m --set liveness.udp.interval=1m"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $alive --set pipeline.memory=8M --set core.log-level=debug

# get FILE NAME: to got/NAME/, in the background; get_pid. Without digests: a wrong byte would not be asked for again.
get() {
	mkdir -p "$tmp/got/$2"
	# shellcheck disable=SC2086
	"$xfer" --integrity none -q --no-progress $alive get "xfer://$daemon_address/pub/$1" "$tmp/got/$2/" 2>"$tmp/$2.err" &
	get_pid=$!
	remember $get_pid
}
# asks: the daemon is about to read what was asked for.
asks() {
	[ -s "$tmp/gates/waiting" ]
}
# Of none all is there.
halfway() {
	[ -z "$(find "$tmp/got" -mindepth 2 -name '[a-z]*')" ]
}

# ---- who stands still ------------------------------------------------------------------------------------------------

# Each is stopped when it has asked, and not got what it asked for; then the daemon reads as far ahead as the others let it.
for name in one two three four; do
	file=big
	[ $name != four ] || file=fickle
	hold 1024
	get $file $name
	eval "$name=\$get_pid"
	await asks || bail_out "$name asks for nothing"
	kill -STOP "$get_pid"
	go_on
done
check "four stand still in the middle" halfway
run timeout 120 "$xfer" -q --no-progress get "xfer://$daemon_address/pub/big" "$tmp/good"
is "$status" 0 "another one is served meanwhile"
check "with the right content" cmp "$tmp/pub/big" "$tmp/good"

# What the fourth has yet to get is not what it was any more.
make_file "$tmp/pub/fickle" 67108864
# shellcheck disable=SC2154 # they are set by name
kill -CONT $one $two $three $four
for name in one two three; do
	eval "wait \$$name"
	is "$?" 0 "$name goes on, and comes to its end"
	check "$name has the right content" cmp "$tmp/pub/big" "$tmp/got/$name/big"
done
wait $four
fourth=$?
if [ $fourth = 0 ]; then
	check "four has its file as it is now" cmp "$tmp/pub/fickle" "$tmp/got/four/fickle"
else
	is "$fourth" 8 "four is told that its file changed"
	check "and has nothing" test ! -e "$tmp/got/four/fickle"
fi
like_file "$daemon_log" 'takes bytes again, reading on' "buffers were taken back, and what was in them read again"

# ---- who goes on and stops -------------------------------------------------------------------------------------------

rm -rf "$tmp/got"
for name in one two three four; do
	get big $name
	eval "$name=\$get_pid"
done
# Two at a time have half a tenth of a second.
while kill -0 $one 2>/dev/null && kill -0 $three 2>/dev/null; do
	kill -STOP $one $two 2>/dev/null
	sleep 0.05
	kill -CONT $one $two 2>/dev/null
	kill -STOP $three $four 2>/dev/null
	sleep 0.05
	kill -CONT $three $four 2>/dev/null
done
for name in one two three four; do
	eval "wait \$$name"
	is "$?" 0 "in turns: $name comes to its end"
	check "in turns: $name has the right content" cmp "$tmp/pub/big" "$tmp/got/$name/big"
done

# ---- who sends slowly ------------------------------------------------------------------------------------------------

# putters COUNT CHUNK RATE: as many that send that many bytes a second.
putters() {
	begin_many -n "$1" -c "$2" -b "$3" put "$daemon_port" in/
}

# lends_right BYTES: all of 24 are, on both sides.
lends_right() {
	wait_line "$many_out" '^none is left' "$many_pid" >/dev/null
	end_many
	like_file "$out" '^ended 24: ok: ' "24 puts of $1 bytes: they are told that it is done"
	head -c "$1" /dev/zero >"$tmp/zero"
	same=0
	for file in "$tmp"/in/many-*; do
		! cmp -s "$file" "$tmp/zero" || same=$((same + 1))
	done
	is "$same" 24 "24 puts of $1 bytes: the files are whole"
	rm -f "$tmp"/in/many-*
}

check "24 send a file each, large frames in two pieces" putters 24 131072 65536
run timeout 120 "$xfer" -q --no-progress put "$tmp/pub/big" "xfer://$daemon_address/in/good"
is "$status" 0 "a quick one puts its file meanwhile"
check "with the right content" cmp "$tmp/pub/big" "$tmp/in/good"
lends_right 131072
check "24 send a file each, small frames in three pieces" putters 24 2048 800
lends_right 2048
check "24 send a file each, large frames in five pieces" putters 24 131072 30000
lends_right 131072

stop_daemon
is "$daemon_status" 0 "the daemon stops"
unlike "$(cat "$daemon_log")" ' error: ' "nothing went wrong"

done_testing
