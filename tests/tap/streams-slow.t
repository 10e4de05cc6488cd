#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A session of a put is passed on to a worker that does not get on: the client is held up, and nothing is lost by it.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

mkdir "$tmp/in"
make_file "$tmp/big" 40000000
workers=2
write_config "$tmp/xferd.ini" "$tmp/in" read-write
# In small pieces each of which comes alone, so that the buffers in which they lie are more than they.
patient="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=25s --set pipeline.chunk-size=4K"
# shellcheck disable=SC2086
need_daemon -c "$tmp/xferd.ini" --set core.log-level=debug $patient

# What goes to the daemon goes through here. Once the file `slow` is there, 4 KiB at a time; and when nothing comes or goes for
# half a second, there is the file `still-` with the port from which the daemon has the session.
perl -MIO::Socket::INET -MSocket=IPPROTO_TCP,TCP_NODELAY,SOL_SOCKET,SO_SNDBUF -e '
	my ($port, $tmp) = @ARGV;
	my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 16) or die;
	print $listener->sockport, "\n";
	close STDOUT;
	$SIG{CHLD} = "IGNORE";
	$SIG{PIPE} = sub { exit };
	sub slow {
		my ($from, $to) = @_;
		vec(my $in = "", fileno($from), 1) = 1;
		vec(my $out = "", fileno($to), 1) = 1;
		open(my $still, ">", "$tmp/still-" . $to->sockport)
			if -e "$tmp/slow" && !(select($in, undef, undef, 0.5) && select(undef, $out, undef, 0.5));
		select(undef, undef, undef, 0.001) if -e "$tmp/slow";
	}
	sub carry {
		my ($from, $to, $through) = @_;
		slow($from, $to) if $through;
		while (sysread($from, my $bytes, $through ? 4096 : 65536)) {
			for (my $at = 0; $at < length $bytes;) {
				$at += syswrite($to, $bytes, length($bytes) - $at, $at) // exit;
			}
			slow($from, $to) if $through;
		}
		shutdown($to, 1);
		exit;
	}
	while (my $client = $listener->accept) {
		my $daemon = IO::Socket::INET->new("127.0.0.1:$port") or next;
		$_->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1) for $client, $daemon;
		$daemon->setsockopt(SOL_SOCKET, SO_SNDBUF, 16384);
		fork or carry($client, $daemon, 1);
		fork or carry($daemon, $client, 0);
	}' "$daemon_port" "$tmp" >"$tmp/through" 2>"$tmp/through.err" &
remember $!
port=$(wait_line "$tmp/through" '^[0-9]')

# logged: what was, since this put began.
logged() {
	tail -n "+$begun" "$daemon_log"
}
# The worker that has the put, where a session was passed on to it from the other.
passed_on() {
	logged | sed -n 's/.*xferd\/\([0-9]*\).*: local: joins the session of.*/\1/p' | tail -n 1
}
joined() {
	[ "$(logged | grep -c ': joins the session of')" -ge 4 ]
}
# Of all that were passed on nothing comes any more, or one is lost.
all_still() {
	! logged | grep -q ' session of .* ended: ' || return 0
	for lane in $(logged | sed -n "s/.*xferd\/$((1 - index))\[.* session from 127.*:\([0-9]*\):.*/\1/p"); do
		[ -e "$tmp/still-$lane" ] || return 1
	done
}

for attempt in 1 2 3 4 5; do
	begun=$(($(wc -l <"$daemon_log") + 1))
	touch "$tmp/slow"
	# shellcheck disable=SC2086
	"$xfer" --no-progress $patient put --streams 5 "$tmp/big" "xfer://127.0.0.1:$port/pub/" >"$out" 2>"$err" &
	put=$!
	remember $put
	await joined || bail_out "the sessions do not join: $(cat "$err")"
	index=$(passed_on)
	[ -z "$index" ] || break
	# All came to one worker. What it has is looked at by itself.
	rm "$tmp/slow"
	wait $put
	rm -f "$tmp/in/big" "$tmp"/still-*
done
[ -n "$index" ] || bail_out "in $attempt attempts no session was passed on"
slow=$(worker_pid "$index")
rm -f "$tmp"/still-*
kill -STOP "$slow"
check "the client is held up" await all_still
rm "$tmp/slow"
kill -CONT "$slow"
wait $put
is "$?" 0 "it comes to its end"
check "with the right content" cmp "$tmp/big" "$tmp/in/big"
is "$(cat "$err")" "" "the client has nothing to say of it"
is "$(grep ' session of .* \(ended:\|timed out\)' "$daemon_log")" "" "no session was lost"
stop_daemon
is "$daemon_status" 0 "the daemon stops"
done_testing
