#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# inetd.pl COMMAND...: listens at the loopback, and runs the command for each connection, which it gets as its standard input,
# output and error, as inetd does it; standard error goes to the file LOG of the environment instead, where that is set, as
# a service manager does it. The port goes to the file PORT.
use strict;
use warnings;
use IO::Socket::IP;
use POSIX ();

$SIG{CHLD} = 'IGNORE';
my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 64) or die "listen: $@";
open(my $out, '>', "$ENV{PORT}.new") or die "$ENV{PORT}: $!";
print $out $listener->sockport, "\n";
close($out);
rename("$ENV{PORT}.new", $ENV{PORT}) or die "$ENV{PORT}: $!";

while (my $client = $listener->accept) {
	my $pid = fork() // die "fork: $!";
	if ($pid == 0) {
		my $log;
		open($log, '>>', $ENV{LOG}) or die "$ENV{LOG}: $!" if defined $ENV{LOG};
		POSIX::dup2(fileno($client), 0) // die "dup2: $!";
		POSIX::dup2(fileno($client), 1) // die "dup2: $!";
		POSIX::dup2(fileno(defined $log ? $log : $client), 2) // die "dup2: $!";
		exec @ARGV or POSIX::_exit(127);
	}
	close($client);
}
