#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The plug-ins of examples/: built by their own Makefiles against what was installed, loaded by the installed programs, and
# used together for transfers.
# shellcheck source=tests/tap/lib.sh disable=SC2154,SC2119
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
# shellcheck source=tests/tap/installed.sh
. "$top_srcdir/tests/tap/installed.sh"
need_installed

# ---- built from a copy, so that no file of ours is near ---------------------------------------------------------------

mkdir "$tmp/examples"
for example in integrity-blake2b transport-unix; do
	cp -R "$top_srcdir/examples/$example" "$tmp/examples/"
	chmod -R u+w "$tmp/examples/$example"
	check "$example builds and installs" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$tmp/examples/$example" install \
		"CC=${CC:-cc}" "PKG_CONFIG=$pkg_config" "CFLAGS=-O1 -g -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
	check "$example: its README names the file that it makes" grep -q "$(cd "$tmp/examples/$example" && ls -- *.so)" \
		"$tmp/examples/$example/README.md"
done
is "$(find "$plugin_dir" -name '.*')" "" "... and nothing lies beside the plug-ins"
installed_ini "$tmp/xfer.ini"
for plugin in 'integrity example-blake2b' 'transport unix'; do
	run "$xfer" -c "$tmp/xfer.ini" plugins "${plugin#* }"
	like_file "$out" "^$plugin 1\.0: " "the installed xfer loads ${plugin#* }"
done

for file in integrity-example-blake2b transport-unix; do
	run "$xfer" -c "$tmp/xfer.ini" check-plugin "$plugin_dir/$file.so"
	is "$status" 0 "the conformance kit has nothing to say of $file"
	[ "$status" = 0 ] || diag_file "$out"
done

# ---- used ------------------------------------------------------------------------------------------------------------

mkdir -p "$tmp/pub/tree/folder" "$tmp/run"
make_file "$tmp/pub/large" 5000000
for i in 1 2 3 4 5 6 7 8 9; do
	make_file "$tmp/pub/tree/folder/$i" $((i * 1000))
done
installed_ini "$tmp/xferd.ini"
cat >>"$tmp/xferd.ini" <<-END
	[pipeline]
	integrity = example-blake2b
	[daemon]
	listen = unix://short, unix://$tmp/run/path.sock
	workers = 2
	[export.pub]
	path = $tmp/pub
	access = read-write
	[transport.unix]
	directory = $tmp/run
END
cat >>"$tmp/xfer.ini" <<-END
	[pipeline]
	transport = unix
	integrity = example-blake2b
	[transport.unix]
	directory = $tmp/run
END
need_daemon -c "$tmp/xferd.ini"
like_file "$daemon_log" "listening on $tmp/run/short\.sock \(unix\), heartbeat in-band" "a name listens in the directory"
like_file "$daemon_log" "listening on $tmp/run/path\.sock \(unix\)" "a path listens where it says"
is "$(stat -c %a "$tmp/run/short.sock")" 660 "the socket has the mode of the option"

run "$xfer" -c "$tmp/xfer.ini" get xfer://short/pub/large "$tmp/got"
is "$status" 0 "a file through both examples"
check "... arrives" cmp "$tmp/pub/large" "$tmp/got"
like_file "$out" '^digest: xfer1:example-blake2b:1M:[0-9a-f]{128}$' "... verified by the one"
like_file "$daemon_log" "transfer peer=\"unix:pid=[0-9]+,uid=$(id -u)\" verb=get" "... carried by the other, which knows the user"
escaped=$(printf '%s' "$tmp/run/path.sock" | sed 's|/|%2F|g')
run "$xfer" -c "$tmp/xfer.ini" --transport tcp get "xfer+unix://$escaped/pub/tree" "$tmp/"
is "$status" 0 "a tree, by a path in the URL"
check "... arrives" same_tree "$tmp/pub/tree" "$tmp/tree"
run "$xfer" -c "$tmp/xfer.ini" put "$tmp/tree" xfer+unix://short/pub/copy
is "$status" 0 "and back"
check "... arrives" same_tree "$tmp/tree" "$tmp/pub/copy"
run "$xfer" -c "$tmp/xfer.ini" ping -c 2 -i 0.1 xfer+unix://short
is "$status" 0 "a ping"
like_file "$out" '^2 sent, 2 received' "... is answered, in-band"

# ---- a reload: other workers take up the sockets ----------------------------------------------------------------------

kill -HUP "$daemon_pid"
wait_line "$daemon_log" 'reloaded$' "$daemon_pid" >/dev/null
run "$xfer" -c "$tmp/xfer.ini" get xfer://short/pub/large "$tmp/got"
is "$status" 0 "after a reload it is served on"

# ---- sockets in use, and abandoned ones -------------------------------------------------------------------------------

run "$xferd" -c "$tmp/xferd.ini"
is "$status" 2 "a second daemon on the same socket does not start"
like "$(cat "$err")" "listen = short: .*cannot listen on $tmp/run/short\.sock: Address already in use" "... and says why"
stop_daemon KILL
check "a daemon that was killed leaves its socket" test -S "$tmp/run/short.sock"
# Its workers end by themselves, and then nobody answers.
# shellcheck disable=SC2317
unanswered() {
	! "$xfer" -c "$tmp/xfer.ini" get -q --retry-for 0 xfer://short/pub/large "$tmp/got"
}
check "... where soon nobody answers" await unanswered
need_daemon -c "$tmp/xferd.ini"
run "$xfer" -c "$tmp/xfer.ini" get xfer://short/pub/large "$tmp/got"
is "$status" 0 "the next one takes its place"
stop_daemon
is "$daemon_status" 0 "... and ends in order"

# ---- what is wrong ---------------------------------------------------------------------------------------------------

run "$xfer" -c "$tmp/xfer.ini" get --retry-for 0 xfer://nobody/pub/large "$tmp/got"
is "$status" 3 "no such socket"
like "$(cat "$err")" "cannot connect to $tmp/run/nobody\.sock: No such file" "... is named"
long=$(printf '%0120d' 0)
for wrong in ..%2Fshort %00 "$long" short%2; do
	run "$xfer" -c "$tmp/xfer.ini" get --retry-for 0 "xfer://$wrong/pub/large" "$tmp/got"
	like "$status $(cat "$err")" '^[23] .*(is no address of a Unix-domain socket|cannot be part of a name|hexadecimal)' \
		"refused: $(printf '%.12s' "$wrong")"
done
for wrong in mode=rw mode=1777 directory=run backlog=0; do
	run "$xferd" -c "$tmp/xferd.ini" --set "transport.unix.$wrong" --check-config
	is "$status" 2 "refused: $wrong"
	like "$(cat "$err")" "${wrong%%=*}" "... by its name"
done
echo 'this is no socket' >"$tmp/run/short.sock.bak" && mv -f "$tmp/run/short.sock.bak" "$tmp/run/short.sock"
run "$xferd" -c "$tmp/xferd.ini"
is "$status" 2 "a file in the place of the socket is left alone"
is "$(cat "$tmp/run/short.sock")" 'this is no socket' "... as it was"

done_testing
