#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# activate.pl ADDRESS... -- COMMAND...: runs the command with listening sockets at these addresses (HOST:PORT, `both` for
# all of IPv4 and IPv6 at once, or `file` for what is no socket), as a service manager hands them over; their ports, in
# order, to the file PORTS of the environment.
# LISTEN_PID is ours unless OTHER_PID is set.
use strict;
use warnings;
use IO::Socket::IP;
use POSIX ();

my @fds;
my @keep;
my @ports;
while (defined(my $address = shift @ARGV)) {
	last if $address eq '--';
	if ($address eq 'file') {
		open(my $file, '<', '/dev/null') or die "/dev/null: $!";
		push @keep, $file;
		push @ports, 0;
		next;
	}
	my $only = $address ne 'both';
	$address = '[::]:0' unless $only;
	my ($host, $port) = $address =~ /^\[?(.*?)\]?:(\d+)$/ or die "$address: no address";
	my $socket = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 64, V6Only => $only)
		or die "$address: $@";
	push @keep, $socket;
	push @ports, $socket->sockport;
}
open(my $out, '>', "$ENV{PORTS}.new") or die "$ENV{PORTS}: $!";
print $out "@ports\n";
close($out);
rename("$ENV{PORTS}.new", $ENV{PORTS}) or die "$ENV{PORTS}: $!";

# Out of the way first: one of them may lie where another one has to go.
@fds = map { my $fd = fcntl($_, POSIX::F_DUPFD(), 50) or die "dup: $!"; $fd } @keep;
for my $at (0 .. $#fds) {
	POSIX::dup2($fds[$at], 3 + $at) // die "dup2: $!";
}
POSIX::close($_) for @fds;
$ENV{LISTEN_PID} = $ENV{OTHER_PID} // $$;
$ENV{LISTEN_FDS} //= scalar @fds;
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!";
