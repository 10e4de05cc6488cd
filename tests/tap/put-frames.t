#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Frames of a put that are wrong: a daemon that asks for more than is put is served nothing of it, a client that sends what
# nobody asked for is ended, and neither side takes harm.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/frames.sh"
command -v perl >/dev/null || skip_all "there is no perl"

peer=$top_srcdir/tests/tap/peer.pl
pub=$tmp/pub
mkdir -p "$pub" "$tmp/home/put/sub"
echo content >"$tmp/home/put/file"
echo content >"$tmp/home/put/sub/file"
echo secret >"$tmp/home/secret"
ln -s ../secret "$tmp/home/put/link"
ln -s .. "$tmp/home/put/up"
ln -s secret "$tmp/home/link"
write_config "$tmp/xferd.ini" "$pub" read-write
cat >>"$tmp/xferd.ini" <<-END
	[pipeline]
	integrity = none
	liveness = none
	[liveness.none]
	dead-after = ${patience}s
	[export.ro]
	path = $pub
END
# Without digests a test can make every frame by itself.
# Nor do these peers answer pings: on a machine that is busy, who takes its time must not be taken for dead.
plain="--set pipeline.integrity=none --set pipeline.liveness=none --set liveness.none.dead-after=${patience}s --retry-for 0"
need_daemon -c "$tmp/xferd.ini"
worker=$(worker_pid 0)

credit="frame=7,0,0,$(number 8 1000000)"
# list ID PATH; read_of ID PATH SIZE
list() {
	printf 'frame=16,0,%s,%s%s%s%s' "$1" "$(number 2 0)" ffff "$(number 8 65536)" "$(string16 "$2")"
}
read_of() {
	printf 'frame=18,0,%s,%s%sffffffffffffffff%s00%s' "$1" "$(number 2 1)" "$(number 8 0)" "$(number 8 "$3")" \
		"$(string16 "$2")"
}

# ---- what an honest client and daemon say first ----

perl "$peer" listen "$tmp/port" "take=$tmp/hello" end >"$tmp/heard" 2>&1 &
listener=$!
remember $listener
await test -s "$tmp/port"
# shellcheck disable=SC2086
run "$xfer" put $plain "$tmp/home/put/file" "xfer://127.0.0.1:$(cat "$tmp/port")/pub"
wait $listener
perl "$peer" connect "$daemon_port" "file=$tmp/hello" "take=$tmp/welcome" end >"$tmp/heard" 2>&1
check "the daemon's WELCOME is known" test -s "$tmp/welcome"
hello="file=$tmp/hello"
welcome="file=$tmp/welcome"

# ---- a daemon that asks for more than is put ----

# asks SOURCE WORD...: what the client answers goes to $tmp/heard.
asks() {
	source=$1
	shift
	rm -f "$tmp/port"
	perl "$peer" listen "$tmp/port" take= "$welcome" "take=$tmp/put" "$credit" "$@" show end >"$tmp/heard" 2>&1 &
	listener=$!
	remember $listener
	await test -s "$tmp/port"
	# shellcheck disable=SC2086
	run timeout "$patience" "$xfer" put $plain "$tmp/home/$source" "xfer://127.0.0.1:$(cat "$tmp/port")/pub/name"
	wait $listener
}

asks put "$(read_of 9 put/file 8)"
like_file "$tmp/heard" '^19 .*content' "a file of the source is served"
check "the PUT says name and path" grep -aq 'put.*pub/name' "$tmp/put"
asks put "$(list 9 put)"
like_file "$tmp/heard" '^17 .*file' "the source is listed"

# refused SOURCE PATH...: neither listed nor read. 21 is ENDS, 17 ENTRIES, 19 CHUNK.
refused() {
	source=$1
	shift
	for where in "$@"; do
		for word in "$(read_of 9 "$where" 7)" "$(list 9 "$where")"; do
			asks "$source" "$word"
			if grep -q '^21 ' "$tmp/heard" && ! grep -Eq '^(17|19|3) ' "$tmp/heard"; then
				ok "put of $source: ${word%%,*} of '$where' is refused"
			else
				not_ok "put of $source: ${word%%,*} of '$where' is refused"
				diag_file "$tmp/heard"
			fi
		done
	done
}
refused put secret ../secret put/../secret put/../../secret putt . / "$tmp/home/secret" /put/file put//file put/./file put/ \
	put/up/secret
refused put/file put/file secret file/secret file/sub/file file/../secret
refused put/ . ../secret
# A link at the top may be listed and not read, one within leads nowhere outside.
asks link "$(read_of 9 link 7)"
unlike "$(cat "$tmp/heard")" '^19 ' "a link that is put is not followed"
asks put "$(read_of 9 put/link 7)"
unlike "$(cat "$tmp/heard")" '^19 ' "a link in what is put is not followed out of it"
asks put "$(read_of 9 put/up/secret 7)"
unlike "$(cat "$tmp/heard")" '^19 ' "nor is a link to the folder above"

# ends_client NAME WORD...: the client ends with 6 and says why.
ends_client() {
	name=$1
	shift
	asks put "$@"
	if [ "$status" = 6 ] && grep -q '^3 ' "$tmp/heard"; then
		ok "client: $name"
	else
		not_ok "client: $name" "status $status"
		diag_file "$err"
		diag_file "$tmp/heard"
	fi
}
done_body=$(number 2 0)00$(number 88 0)$(number 2 0)
ends_client "ENTRIES" "frame=17,0,1,$(number 32 0)"
ends_client "CHUNK" "frame=19,0,1,$(number 60 1)"
ends_client "ENDS" "frame=21,0,0,$(number 64 1)"
ends_client "PUT" "frame=32,0,1,$(number 16 0)$(number 2 0)$(string8 put)$(string16 pub)"
ends_client "DONE cut short" "frame=33,0,1,$(number 2 0)"
ends_client "DONE with something behind" "frame=33,0,1,${done_body}00"
ends_client "EVENT of an unknown kind" "frame=34,0,1,04$(number 11 0)$(number 2 0)"
ends_client "credit that goes back" "frame=7,0,0,$(number 8 1)"
ends_client "more requests than are allowed" "frame=18,0,1,$(number 2 257)"
ends_client "DONE before anything was asked for" "frame=33,0,1,$done_body"
ends_client "DONE while what was asked for is unanswered" "$(list 9 put)" take= "$(read_of 10 put/file 8)" \
	"frame=16,0,11,$(number 2 0)ffff$(number 8 0)$(string16 put)" "frame=33,0,1,$done_body"
# Its WELCOME with a number of requests that nobody can hold, each for more than there is credit for.
body=$(tail -c +17 "$tmp/welcome" | od -An -v -tx1 | tr -d ' \n')
make_file "$tmp/home/put/big" 3000000
many=$(for _ in $(seq 256); do printf '%sffffffffffffffff%s00%s' "$(number 8 0)" "$(number 8 3000000)" "$(string16 put/big)"; done)
set --
for first in $(seq 1 256 4352); do
	set -- "$@" "frame=18,0,$first,$(number 2 256)$many"
done
welcome="frame=2,0,0,$(printf %s "$body" | cut -c 1-136)ffffffff$(printf %s "$body" | cut -c 145-)"
ends_client "more requests than anybody holds" "$@"
like_file "$err" 'breaks the protocol: more than 4112 requests in flight$' "client: and it says so"
welcome="file=$tmp/welcome"
rm "$tmp/home/put/big"
asks put "$(list 9 put)" take= take= "frame=33,0,1,$done_body"
is "$status" 0 "client: a DONE is believed, when all was answered"
asks put/file "$(list 9 file)" take= take= "frame=33,0,1,$done_body"
is "$status" 6 "client: but not without the file that is put"
like_file "$err" 'breaks the protocol: a DONE without the file that is put$' "client: and it says so"
asks put "frame=33,0,1,$(number 2 99)00$(number 88 0)$(string16 'no idea')"
is "$status" 1 "client: a DONE with a status that nobody knows: status"
like_file "$err" '^xfer: no idea$' "client: and its text"
asks put "frame=34,0,1,0100$(number 2 15)$(number 8 0)$(string16 "$(printf 'red\033[31m')")" \
	"frame=33,0,1,$(number 2 15)00$(number 88 0)$(number 2 0)"
is "$status" 7 "client: a failure of the daemon's disk: status"
like_file "$err" '^xfer: at the daemon: red.x1[bB]' "client: and its text, with nothing that acts on a terminal"

# ---- a client that sends what nobody asked for ----

# put_of ID FLAGS NAME PATH
put_of() {
	printf 'frame=32,0,%s,%s%s%s%s' "$1" "$(number 16 1)" "$(number 2 "$2")" "$(string8 "$3")" "$(string16 "$4")"
}
# entry KIND SIZE NAME: of an ENTRIES frame
entry() {
	printf '%s00%s%s%s%s' "$(number 1 "$1")" "$(number 2 493)" "$(number 8 "$2")" "$(number 12 0)" "$(string8 "$3")"
}
# Not to be resumed, so that nothing may be left. The daemon's request 1 is the LIST, its READs are 2 and so on. It says CREDIT
# and LIST, in one order or the other.
offers() {
	perl "$peer" connect "$daemon_port" "$hello" take= "$(put_of 5 8 src pub/new)" take= take= "$@" >"$tmp/heard" 2>&1
}

# ends_put NAME WORD...: the session ends with an ERROR, and nothing is left of it.
ends_put() {
	name=$1
	shift
	offers "$@" end
	if grep -q '^3 ' "$tmp/heard" && ! grep -q 'is dead' "$tmp/heard" && [ "$(tail -n 1 "$tmp/heard")" = closed ] &&
		await sh -c "[ -z \"\$(ls -A '$pub')\" ]"; then
		ok "daemon: $name"
	else
		not_ok "daemon: $name" "$(ls -A "$pub")"
		diag_file "$tmp/heard"
	fi
}
folder=$(entry 2 0 x)
ends_put "an entry with a name of the daemon's own" "frame=17,0,1,$folder$(entry 1 5 .xfer-0000000000000000)"
ends_put "an entry with a slash" "frame=17,0,1,$folder$(entry 1 5 a/b)"
ends_put "an entry .." "frame=17,0,1,$folder$(entry 2 0 ..)"
ends_put "a listing that leaves what it never entered" "frame=17,0,1,$(entry 3 0 '')"
ends_put "a listing that goes on behind its end" "frame=17,0,1,$(entry 1 5 x)$(entry 1 5 y)"
ends_put "a hole that is not within its file" "frame=17,0,1,$(entry 1 5000000 x)" take= \
	"frame=20,0,2,$(number 8 100)$(number 8 100)"
ends_put "CHUNK of more than a chunk" "head=19,0,2,1048589"
ends_put "a second PUT with the same id" "$(put_of 5 0 src pub/other)"
ends_put "DONE" "frame=33,0,5,$done_body"
ends_put "EVENT" "frame=34,0,5,01$(number 11 0)$(number 2 0)"
ends_put "WELCOME" "$welcome"
offers "frame=17,0,1,$folder" "$(put_of 6 0 src pub/other)" show end
like_file "$tmp/heard" '^33 .*another put' "daemon: a second PUT is refused"
# What comes for a request that is not known is dropped.
offers "frame=20,0,77,$(number 8 0)$(number 8 1)" "frame=17,0,1,$(entry 6 0 x)$(number 2 0)" \
	"frame=21,0,0,$(number 4 1)$(number 2 0)$(number 2 0)00$(number 8 0)$(number 8 0)$(number 12 0)$(number 2 0)" show show end
like_file "$tmp/heard" '^33 ' "daemon: what comes for a request that nobody knows is dropped"
await sh -c "[ -z \"\$(ls -A '$pub')\" ]"

# to_daemon NAME WORD...: without a put, ends the session.
to_daemon() {
	name=$1
	shift
	perl "$peer" connect "$daemon_port" "$hello" take= "$@" end >"$tmp/heard" 2>&1
	if [ "$(tail -n 1 "$tmp/heard")" = closed ] && grep -q '^3 ' "$tmp/heard"; then
		ok "daemon: $name"
	else
		not_ok "daemon: $name"
		diag_file "$tmp/heard"
	fi
}
to_daemon "ENTRIES without a PUT" "frame=17,0,1,$(entry 1 5 x)"
to_daemon "CHUNK without a PUT" "frame=19,0,1,$(number 8 0)$(number 4 1)00"
to_daemon "HOLE without a PUT" "frame=20,0,1,$(number 8 0)$(number 8 1)"
to_daemon "ENTRIES behind a PUT that was refused" "$(put_of 5 0 src ro/new)" take= "frame=17,0,1,$(entry 1 5 x)"
to_daemon "PUT without a request" "$(put_of 0 0 src pub/new)"
# FORGET: of what nobody knows, and without a journal, too.
for flags in 256 264 511; do
	perl "$peer" connect "$daemon_port" "$hello" take= "$(put_of 5 $flags src pub/new)" show "$(put_of 6 $flags src pub/new)" show end \
		>"$tmp/heard" 2>&1
	is "$(grep -c '^33 ' "$tmp/heard")" 2 "daemon: FORGET with flags $flags: says that it is done, twice"
done
check "... and nothing is made" test ! -e "$pub/new"
to_daemon "PUT with unknown flags" "$(put_of 5 512 src pub/new)"
to_daemon "JOIN without a request" "frame=35,0,0,$(number 16 1)$(number 16 2)"
to_daemon "JOIN that is cut short" "frame=35,0,5,$(number 16 1)$(number 15 2)"
to_daemon "ENTRIES behind a JOIN that was refused" "frame=35,0,5,$(number 16 1)$(number 16 2)" take= "frame=17,0,1,$(entry 1 5 x)"
perl "$peer" connect "$daemon_port" "$hello" take= "frame=35,0,5,$(number 16 1)$(number 16 2)" show end >"$tmp/heard" 2>&1
like_file "$tmp/heard" '^33 .*there is no such session' "daemon: a JOIN of a session of nobody is refused"
# One after another: the last that is answered is the seventh, and the log has one line.
join="frame=35,0,5,$(number 16 1)$(number 16 2)"
before=$(grep -c 'join refused' "$daemon_log")
to_daemon "JOIN again and again" "$join" "$join" "$join" "$join" "$join" "$join" "$join" "$join" "$join"
like_file "$tmp/heard" '^3 .*too many JOINs' "daemon: and why"
is "$(grep -c 'join refused' "$daemon_log")" $((before + 1)) "daemon: one line of it in the log"
# Answers that nobody reads do not pile up.
perl "$peer" listen "$tmp/port.own" "take=$tmp/put.one" >"$tmp/heard" 2>&1 &
listener=$!
remember $listener
await test -s "$tmp/port.own"
perl "$peer" connect "$(cat "$tmp/port.own")" "$(put_of 5 0 src "nothing/$(printf '%0300d' 0)")" end >"$tmp/seen" 2>&1
wait $listener
perl -e 'local $/; open my $in, "<", $ARGV[0] or die; print <$in> x 60000' "$tmp/put.one" >"$tmp/put.many"
before=$(grep -c 'put refused' "$daemon_log")
perl "$peer" connect "$daemon_port" "$hello" take= "file=$tmp/put.many" end >"$tmp/heard" 2>&1
rm -f "$tmp/put.many"
check "daemon: who does not read its refusals is ended" wait_line "$daemon_log" 'too many requests were refused' "$daemon_pid"
is "$(grep -c 'put refused' "$daemon_log")" $((before + 1)) "daemon: and the log has one line of them"
to_daemon "PUT with a name that has a slash" "$(put_of 5 0 a/b pub/new)"
to_daemon "PUT with a name of two dots" "$(put_of 5 0 .. pub/new)"
to_daemon "PUT without a path" "$(put_of 5 0 src '')"
to_daemon "PUT cut short" "frame=32,0,5,$(number 16 1)"
to_daemon "PUT with something behind" "$(put_of 5 0 src pub/new)00"
# Paths that no client of ours would send: refused, by themselves. 33 is DONE, 16 LIST.
for where in pub/../outside pub/.. ../pub pub//x pub/./x /pub pub/.xfer-1 pub/a/.xfer-1/b nothing/x ro/x; do
	perl "$peer" connect "$daemon_port" "$hello" take= "$(put_of 5 0 src "$where")" show end >"$tmp/heard" 2>&1
	if grep -q '^33 ' "$tmp/heard" && ! grep -Eq '^(16|3) ' "$tmp/heard"; then
		ok "daemon: PUT to $where is refused"
	else
		not_ok "daemon: PUT to $where is refused"
		diag_file "$tmp/heard"
	fi
done
perl "$peer" connect "$daemon_port" "$hello" take= "$(put_of 5 0 .xfer-x pub)" show end >"$tmp/heard" 2>&1
like_file "$tmp/heard" '^33 .*unfinished' "daemon: PUT of a name of its own is refused"

is "$(ls "$pub")" "" "nothing that is seen was made by all this"
check "the daemon is the same process" kill -0 "$worker"
# shellcheck disable=SC2086
run "$xfer" put -q $plain "$tmp/home/put" "xfer://$daemon_address/pub"
is "$status" 0 "and serves on"
stop_daemon
is "$daemon_status" 0 "stops"
unlike "$(cat "$daemon_log")" 'worker died|did not drain' "nothing died, nothing was left over"

# ---- a JOIN that another worker refuses leaves the session as it was ----

sed -i 's/^workers = .*/workers = 2/' "$tmp/xferd.ini"
need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug
wait_line "$daemon_log" 'worker ready' "$daemon_pid" 2 >"$tmp/seen"
perl "$peer" connect "$daemon_port" "$hello" "take=$tmp/welcome" end >"$tmp/heard" 2>&1
boot=$(od -An -v -tx1 -j 32 -N 16 "$tmp/welcome" | tr -d ' \n')
# The kernel says which worker has which connection: until one was passed on.
for _ in $(seq 60); do
	perl "$peer" connect "$daemon_port" "$hello" take= "frame=35,0,5,$boot$(number 16 2)" show \
		"$(put_of 6 0 src nothing/x)" show end >"$tmp/heard" 2>&1
	! grep -q 'session from local' "$daemon_log" || break
done
check "a JOIN was passed on to the other worker" grep -q 'session from local' "$daemon_log"
like_file "$tmp/heard" '^33 .*there is no such session' "passed on: the client hears that it is refused"
like_file "$tmp/heard" '^33 .*there is no such export' "passed on: and may ask for a put of its own"
stop_daemon
is "$daemon_status" 0 "passed on: stops"
unlike "$(cat "$daemon_log")" 'worker died|did not drain' "passed on: nothing died, nothing was left over"

done_testing
