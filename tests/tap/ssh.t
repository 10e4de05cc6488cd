#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# transport-ssh and `xferd --stdio`, over a real sshd on the loopback: the caller's own files, the exports of a
# configuration, a connection that breaks, and what goes wrong.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/gates.sh"

PATH=$PATH:/usr/sbin:/sbin
export PATH
for program in sshd ssh ssh-keygen; do
	command -v $program >/dev/null || skip_all "there is no $program (Debian: openssh-server, openssh-client)"
done
[ "$(id -u)" -eq 0 ] || skip_all "sshd takes root, or it can let nobody in"

need_gates
xferd=$top_builddir/xferd

# ---- a server of our own -----------------------------------------------------------------------------------------------

user=$(id -un)
mkdir -p /run/sshd "$tmp/ssh" "$tmp/sbin"
for key in host user stranger; do
	ssh-keygen -q -t ed25519 -N '' -f "$tmp/ssh/$key"
done
# An xferd where installed ones lie, as far as the sessions of this sshd see.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$xferd" >"$tmp/sbin/xferd"
chmod 755 "$tmp/sbin/xferd"
installed='mount --bind "$0" /usr/local/sbin && exec "$@"'
unshare -m sh -c "$installed" "$tmp/sbin" true 2>/dev/null || installed=
# The port is free when it is asked for; another may be quicker.
sshd_start() {
	ssh_port=$("$top_builddir/bench/measure" port) || return 1
	cat >"$tmp/ssh/config" <<-END
		ListenAddress 127.0.0.1:$ssh_port
		HostKey $tmp/ssh/host
		AuthorizedKeysFile $tmp/ssh/user.pub
		StrictModes no
		PermitRootLogin prohibit-password
		UsePAM no
		PidFile none
		SetEnv HOME=$HOME PATH=/usr/local/bin:/usr/bin:/bin
	END
	set -- "$(command -v sshd)" -D -e -f "$tmp/ssh/config"
	[ -z "$installed" ] || set -- unshare -m sh -c "$installed" "$tmp/sbin" "$@"
	"$@" 2>"$tmp/ssh/log" &
	sshd_pid=$!
	remember $sshd_pid
	"$top_builddir/bench/measure" await "$ssh_port" $sshd_pid
}
sshd_start || sshd_start || sshd_start || bail_out "sshd does not start: $(cat "$tmp/ssh/log")"

# configure [REMOTE [KEY]]: the client's side.
configure() {
	cat >"$tmp/client.ini" <<-END
		[transport.ssh]
		arguments = -F none -i ${2:-$tmp/ssh/user} -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR -o UserKnownHostsFile=$tmp/ssh/known -o StrictHostKeyChecking=no
		${1:+remote = $1}
	END
}
url=xfer+ssh://$user@127.0.0.1:$ssh_port
own="$xferd --stdio"
configure "$own"

from=$tmp/from
into=$tmp/into
mkdir -p "$from/tree/sub/empty" "$into"
make_file "$from/big" 20000000
make_file "$from/tree/sub/file" 70000
ln -s sub/file "$from/tree/link"
: >"$from/tree/nothing"

# ---- the caller's own files --------------------------------------------------------------------------------------------

run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$url$from/tree" "$into/"
is "$status" 0 "get: a file and a tree"
[ "$status" = 0 ] || diag_file "$err"
check "the file is the same" cmp "$from/big" "$into/big"
check "so is the tree" diff -r --no-dereference "$from/tree" "$into/tree"
is "$(cat "$err")" "" "nothing of the daemon's log is on the terminal"
run "$xfer" -c "$tmp/client.ini" put "$from/big" "$from/tree" "$url$tmp/put/"
is "$status" 4 "put: into a folder that is not there"
mkdir "$tmp/put"
run "$xfer" -c "$tmp/client.ini" put "$from/big" "$from/tree" "$url$tmp/put/"
is "$status" 0 "put: a file and a tree"
[ "$status" = 0 ] || diag_file "$err"
check "the same at the other end" diff -r --no-dereference "$from" "$tmp/put"
run "$xfer" -c "$tmp/client.ini" put "$from/big" "$url/~/sent"
is "$status" 0 "put: into the home, by ~"
check "there it is" cmp "$from/big" "$HOME/sent"
is "$(find "$HOME" "$tmp/put" -name '.xfer-*' ! -name .xfer-puts)" "" "and nothing is left over"
run "$xfer" -c "$tmp/client.ini" ls "$url/~"
like_file "$out" "^sent\$" "ls: the home"
run "$xfer" -c "$tmp/client.ini" ls "$url$from"
is "$(sort "$out" | tr '\n' ' ')" "big tree " "ls: a path"
run "$xfer" -c "$tmp/client.ini" ls "$url/"
like_file "$out" '^tmp$' "ls: / is the root of the machine, not a list of exports"
run "$xfer" -c "$tmp/client.ini" ping -c 2 "$url"
is "$status" 0 "ping"
like_file "$out" '^PING .* by in-band pings$' "it says that it asks in the connection"
run "$xfer" -c "$tmp/client.ini" get --streams 3 "$url$from/big" "$into/again"
is "$status" 0 "three sessions, each a connection of its own"
check "the same" cmp "$from/big" "$into/again"
# The first one's shell has less to say than it could.
configure "echo welcome to this machine; $own"
run "$xfer" -c "$tmp/client.ini" get "$url$from/tree/sub/file" "$into/"
is "$status" 0 "what the shell's start files print does no harm"

# ---- where xferd is -------------------------------------------------------------------------------------------------------

if [ -n "$installed" ]; then
	configure "xferd --stdio"
	run "$xfer" -c "$tmp/client.ini" get "$url$from/tree/sub/file" "$into/none"
	is "$status" 3 "a user's PATH has no sbin"
	configure
	run "$xfer" -c "$tmp/client.ini" get "$url$from/tree/sub/file" "$into/found"
	is "$status" 0 "an installed xferd is found without a word in the configuration"
	[ "$status" = 0 ] || diag_file "$err"
	check "the same" cmp "$from/tree/sub/file" "$into/found"
else
	skip "an installed xferd is found" "no mount namespace can be made here"
fi
run "$xfer" -c "$tmp/client.ini" plugins ssh
check "the default is the line of the sample" grep -F "$(sed -n 's/^; remote/remote/p' "$top_builddir/etc/xfer.ini")" "$out"

# ---- with the rights of whom it runs as -----------------------------------------------------------------------------------

if command -v setpriv >/dev/null; then
	chmod 755 "$tmp" "$from"
	chmod 600 "$from/tree/sub/file"
	configure "setpriv --reuid=65534 --regid=65534 --clear-groups $own"
	run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/nobody"
	is "$status" 0 "as another user: what all may read"
	run "$xfer" -c "$tmp/client.ini" get "$url$from/tree/sub/file" "$into/nobody"
	is "$status" 4 "as another user: what the user may not read"
	like_file "$err" "Permission denied" "the message says so"
	chmod 644 "$from/tree/sub/file"
else
	skip "as another user" "there is no setpriv (Debian: util-linux)"
fi

# ---- the exports of a configuration ---------------------------------------------------------------------------------------

write_config "$tmp/xferd.ini" "$from"
configure "$own -c $tmp/xferd.ini"
run "$xfer" -c "$tmp/client.ini" get "$url/pub/big" "$into/exported"
is "$status" 0 "with -c: an export"
check "the same" cmp "$from/big" "$into/exported"
like_file "$err" 'transfer peer=ssh-127\.0\.0\.1 .*file=pub/big .*result=ok' "the daemon logs to standard error, which ssh brings"
run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/outside"
is "$status" 4 "with -c: a path outside of the exports is refused"
run "$xfer" -c "$tmp/client.ini" get "$url/~/sent" "$into/outside"
is "$status" 4 "with -c: so is the home"

# ---- a connection that breaks -----------------------------------------------------------------------------------------------

# Its own process is what ssh's parent knows; the first one of this port that is found is killed in the middle, where whoever
# sends is held.
gated from-here "$from" "$xfer"
gated from-there "$from" "$xferd" --set daemon.digest-store=none
ssh_of() {
	for ssh_of_pid in $(pgrep -P "$1" ssh); do
		echo "$ssh_of_pid"
		return
	done
	return 1
}
for verb in get put; do
	if [ $verb = get ]; then
		configure "$tmp/from-there --stdio"
		set -- "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/broken"
		grows() { [ -n "$(find "$into" -name '.xfer-*' ! -name '*.j' -type f -size +100)" ]; }
	else
		configure "$own"
		set -- "$tmp/from-here" -c "$tmp/client.ini" put "$from/big" "$url$tmp/put/broken"
		grows() { [ -n "$(find "$tmp/put" -name '.xfer-*' ! -name '*.j' -type f -size +100)" ]; }
	fi
	hold 3600
	"$@" --set pipeline.chunk-size=64K >"$out" 2>"$err" &
	client=$!
	remember $client
	await grows || bail_out "$verb: nothing comes"
	kill -KILL "$(ssh_of $client)"
	go_on
	status=0
	wait $client || status=$?
	is "$status" 0 "$verb: ssh is killed in the middle, and the client connects again"
	[ "$status" = 0 ] || diag_file "$err"
	like_file "$err" 'again after' "$verb: it says so"
done
check "get: the same" cmp "$from/big" "$into/broken"
check "put: the same" cmp "$from/big" "$tmp/put/broken"

# ---- what goes wrong ----------------------------------------------------------------------------------------------------------

configure /nowhere/xferd
run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/none"
is "$status" 3 "no xferd on the other machine: status"
like_file "$err" 'cannot be run there: install xfer on that machine' "... and what to do"
configure "$own" "$tmp/ssh/stranger"
run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/none"
is "$status" 3 "a key that is not let in: status"
like_file "$err" 'Permission denied' "ssh's own words are there"
like_file "$err" 'was not let in' "... and ours"
# The output of ssh ends before it does: for a moment its status is waited for.
cat >"$tmp/slow-ssh" <<-'END'
	#!/bin/sh
	exec <&- >&-
	case $SLOW in
	/*) read -r _ <"$SLOW" ;;
	*) sleep "$SLOW" ;;
	esac
	exit 127
END
chmod +x "$tmp/slow-ssh"
run env SLOW=0.02 "$xfer" -c "$tmp/client.ini" --set "transport.ssh.program=$tmp/slow-ssh" ls \
	--retry-for 0 "$url$from"
is "$status" 3 "an ssh that closes first and ends then: status"
like_file "$err" 'cannot be run there: install|ssh closed the connection' "... and a reason"
mkfifo "$tmp/ends"
run env SLOW="$tmp/ends" "$xfer" -c "$tmp/client.ini" --set "transport.ssh.program=$tmp/slow-ssh" ls \
	--retry-for 0 "$url$from"
is "$status" 3 "one that does not end: status"
like_file "$err" 'ssh closed the connection' "... and that it closed"
exec 7<>"$tmp/ends"
echo >&7
configure "yes"
run "$xfer" -c "$tmp/client.ini" get "$url$from/big" "$into/none"
is "$status" 3 "something else than xferd: status"
like_file "$err" 'is not from xferd' "... and the message"
configure "$own"
run "$xfer" -c "$tmp/client.ini" get "xfer+ssh://-oProxyCommand=touch%20$tmp%2Fcaught/x" "$into/none"
is "$status" 2 "a host that would be an option of ssh"
is "$(ls "$tmp/caught" 2>/dev/null)" "" "runs nothing"
run "$xferd" --set daemon.listen=ssh://127.0.0.1:0 -c "$tmp/xferd.ini"
is "$status" 2 "a listener of ssh is refused"
like_file "$err" 'ssh is not listened on' "... and why"
"$xferd" --stdio </dev/null >"$out" 2>"$err"
is $? 2 "--stdio on something that is no pipe"
like_file "$err" 'not connected to ssh' "... is told what it has to be"
run "$xferd" --stdio --set daemon.stdio-transport=tcp </dev/null
is "$status" 2 "--stdio with a transport that cannot"

done_testing
