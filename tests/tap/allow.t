#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Who may use an export: by address (allow-from), and by the name that a secure transport has authenticated (allow).
# shellcheck disable=SC2119 # stop_daemon without a signal sends its own
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

test_plugins transport-named transport-boast
plugins="--set core.plugin-dir=$tmp/plugins"
v6='[::1]:0'
if ! grep -q . /proc/net/if_inet6 2>/dev/null; then
	skip "IPv6" "this machine has none"
	v6=
fi
{
	cat <<-END
		[daemon]
		listen = 127.0.0.1:0, named://127.0.0.1:0, boast://127.0.0.1:0${v6:+, $v6}
		[export.all]
		path = $tmp/all
	END
	while read -r name key list; do
		printf '[export.%s]\npath = %s\naccess = read-write\n%s = %s\n' "$name" "$tmp/$name" "$key" "$list"
	done <<-END
		v4 allow-from 127.0.0.0/8
		v6 allow-from ::1
		loop allow-from ::1, 127.0.0.1
		far allow-from 10.0.0.0/8, 2001:db8::/32
		alice allow alice
		both allow bob, alice
		carol allow carol the first
	END
	printf '[export.here]\npath = %s\nallow-from = 127.0.0.1\nallow = alice\n' "$tmp/here"
	printf '[export.there]\npath = %s\nallow-from = 10.0.0.1\nallow = alice\n' "$tmp/there"
} >"$tmp/xferd.ini"
for name in all v4 v6 loop far alice both carol here there; do
	mkdir "$tmp/$name"
	echo "$name" >"$tmp/$name/$name"
done
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" $plugins
# shellcheck disable=SC2046
set -- $(sed -n 's/.*listening on \([^ ]*\).*/\1/p' "$daemon_log")
tcp=xfer://$1
named=xfer+named://$2
boast=xfer+boast://$3
six=${4:+xfer://$4}

# as NAME: the client is called that, by those transports that tell.
as() {
	me="--set transport.named.name=$1 --set transport.boast.name=$1"
}

# sees URL EXPORTS NAME: what it may use is what a listing shows, and nothing else: neither by get nor by ls.
sees() {
	# shellcheck disable=SC2086
	run "$xfer" $plugins $me ls "$1"
	is "$status $(tr -d '/' <"$out" | sort | tr '\n' ' ')" "0 $2" "$3: ls shows what it may use"
	mine=
	others=
	for name in all v4 v6 loop far alice both carol here there; do
		case " $2" in
		*" $name "*) mine="$mine $1/$name/$name" ;;
		*) others="$others $1/$name/$name" ;;
		esac
	done
	rm -rf "$tmp/got"
	mkdir "$tmp/got"
	# shellcheck disable=SC2086
	run "$xfer" $plugins $me get -q $mine "$tmp/got/"
	is "$status $(find "$tmp/got" -type f -printf '%f\n' | sort | tr '\n' ' ')" "0 $2" "$3: get gets it"
	# shellcheck disable=SC2086
	run "$xfer" $plugins $me get -q $others "$tmp/got/"
	is "$status $(find "$tmp/got" -type f | wc -w)" "4 $(echo "$2" | wc -w)" "$3: and nothing else"
	# shellcheck disable=SC2086
	run "$xfer" $plugins $me ls -R "${others##* }"
	is "$status $(cat "$out")" "4 " "$3: nor does ls"
}

as alice
sees "$tcp" "all loop v4 " "a peer without a name"
sees "$boast" "all loop v4 " "a name that nothing proves"
sees "$named" "alice all both here loop v4 " "alice"
as bob
sees "$named" "all both loop v4 " "bob"
as "carol"
sees "$named" "all loop v4 " "a name that is the beginning of another one"
as ""
sees "$named" "all loop v4 " "an empty name"
if [ -n "$six" ]; then
	sees "$six" "all loop v6 " "a peer by IPv6"
fi

# ---- what is said ---------------------------------------------------------------------------------------------------

run "$xfer" get "$tcp/far/far" "$tmp/got"
is "$status" 4 "a get from an export for others: status"
like_file "$err" '^xfer: far/far: refused: .*not for you' "... the message"
run "$xfer" put "$tmp/all/all" "$tcp/far/"
is "$status" 4 "a put into it: status"
like_file "$err" '^xfer: far: .*not for 127\.0\.0\.1:[0-9]+$' "... the message says who asked"
like "$(wait_line "$daemon_log" 'the export far is not for it' "$daemon_pid")" '127\.0\.0\.1:[0-9]+: .*by allow-from$' \
	"the daemon's log says why"
as mallory
# shellcheck disable=SC2086
run "$xfer" $plugins $me put "$tmp/all/all" "$named/alice/"
is "$status" 4 "a put with another name: status"
like_file "$err" 'not for mallory at 127\.0\.0\.1:[0-9]+$' "... the message says which"
is "$(cat "$tmp/alice/alice")" alice "... and nothing was put"
like "$(wait_line "$daemon_log" 'as mallory' "$daemon_pid")" 'the export alice is not for it, by allow$' "... as does the log"
as alice
# shellcheck disable=SC2086
run "$xfer" $plugins $me put -q "$tmp/all/all" "$named/alice/new"
is "$status" 0 "alice may"
check "... and it is there" cmp "$tmp/all/all" "$tmp/alice/new"
like "$(wait_line "$daemon_log" 'verb=put .*alice/new' "$daemon_pid")" 'identity=alice$' "... and the log says who it was"

# A line for each session, not for each file that it asked for.
# shellcheck disable=SC2046
run "$xfer" get $(for n in 1 2 3 4 5; do echo "$tcp/there/$n"; done) "$tmp/"
is "$status" 4 "many files of it: status"
is "$(grep -c 'the export there' "$daemon_log")" "$(grep 'the export there' "$daemon_log" | sort -u -k 4,4 | wc -l)" \
	"... one line for each session"
stop_daemon

# ---- mistakes -------------------------------------------------------------------------------------------------------

for list in 'allow = a,, b' 'allow = a, a' 'allow =' 'allow-from = 10.0.0.0/33' 'allow-from = alice'; do
	printf '[export.pub]\npath = /\n%s\n' "$list" >"$tmp/wrong.ini"
	run "$xferd" -c "$tmp/wrong.ini" -t
	is "$status" 2 "$list: status 2"
	like_file "$err" "$tmp/wrong\.ini:3: .*allow" "$list: says where"
done

done_testing
