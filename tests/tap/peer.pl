# SPDX-License-Identifier: BSD-2-Clause
#
# A peer that sends what a test says, byte by byte, and prints what it gets. Needs nothing but perl itself.
#
#   peer.pl listen PORT-FILE WORD...      takes one connection, on a free port of the loopback that it writes to PORT-FILE
#   peer.pl connect PORT WORD...
#
# WORD:
#   take=FILE                     waits for a frame, keeps it in FILE ("take=" only waits)
#   show                          waits for a frame and prints it
#   file=FILE                     sends what is in FILE
#   frame=TYPE,FLAGS,REQUEST,BODY a frame as it has to be; BODY is in hexadecimal digits
#   head=TYPE,FLAGS,REQUEST,LENGTH  only its header, which announces LENGTH bytes
#   bytes=HEX
#   end                           no more will come from here
#
# After the last word it prints each frame that comes as "TYPE BODY-LENGTH TEXT", and "closed" (or "reset") at the end of
# the stream; "silence" when there was none within 10 s.
use strict;
use warnings;
use Socket;

my @table = map {
	my $crc = $_;
	$crc = $crc & 1 ? $crc >> 1 ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	$crc;
} 0 .. 255;

sub crc32c {
	my $crc = 0xffffffff;
	$crc = $table[($crc ^ $_) & 0xff] ^ $crc >> 8 for unpack "C*", $_[0];
	return $crc ^ 0xffffffff;
}

sub header {
	my ($type, $flags, $request, $length) = @_;
	my $check = crc32c(pack "CCNN", $type, $flags, $length, $request);
	return pack "CCnNN", $type, $flags, $check >> 16 ^ $check & 0xffff, $length, $request;
}

sub frame {
	my ($type, $flags, $request, $body) = @_;
	my $header = header($type, $flags, $request, length $body);
	# A chunk's sum leaves out the payload; here the whole of the body is its head.
	return $header . pack("N", crc32c($header . $body)) . $body;
}

my ($how, $where, @words) = @ARGV;
my $peer;
$SIG{PIPE} = "IGNORE";
socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!";
if ($how eq "listen") {
	bind $socket, sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
	listen $socket, 1 or die "listen: $!";
	my ($port) = sockaddr_in(getsockname $socket);
	open my $file, ">", "$where.new" or die "$where: $!";
	print $file "$port\n";
	close $file;
	rename "$where.new", $where or die "$where: $!";
	alarm 30;
	accept $peer, $socket or die "accept: $!";
} else {
	connect $socket, sockaddr_in($where, INADDR_LOOPBACK) or die "connect: $!";
	$peer = $socket;
}

my $got = "";

# Up to that many bytes into $got; false at the end of the stream.
sub more {
	my $n = sysread $peer, my $bytes, 65536;
	die "reset\n" unless defined $n;
	$got .= $bytes;
	return $n > 0;
}

# The next frame, "" at the end.
sub take {
	my $need = 16;
	while (1) {
		$need = 16 + unpack "x4N", $got if length $got >= 16;
		if (length $got >= $need) {
			return substr $got, 0, $need, "";
		}
		more() or return "";
	}
}

sub put {
	my $bytes = shift;
	while (length $bytes) {
		my $n = syswrite $peer, $bytes;
		return unless defined $n; # the other side has had enough; what it said is read below
		substr $bytes, 0, $n, "";
	}
}

sub show {
	my $frame = shift;
	my ($type, $length) = unpack "Cx3N", $frame;
	my $text = substr $frame, 16;
	$text =~ s/[^ -~]/./g;
	printf "%d %d %s\n", $type, $length, $text;
}

$SIG{ALRM} = sub { die "silence\n" };
$| = 1;
alarm 10;
eval {
	for my $word (@words) {
		my ($verb, $value) = split /=/, $word, 2;
		if ($verb eq "take") {
			my $frame = take();
			die "closed\n" if $frame eq "";
			next if $value eq "";
			open my $file, ">:raw", $value or die "$value: $!";
			print $file $frame;
		} elsif ($verb eq "show") {
			my $frame = take();
			die "closed\n" if $frame eq "";
			show($frame);
		} elsif ($verb eq "file") {
			open my $file, "<:raw", $value or die "$value: $!";
			local $/;
			put(scalar <$file>);
		} elsif ($verb eq "frame") {
			my ($type, $flags, $request, $body) = split /,/, $value;
			put(frame($type, $flags, $request, pack "H*", $body // ""));
		} elsif ($verb eq "head") {
			put(header(split /,/, $value) . "\0\0\0\0");
		} elsif ($verb eq "bytes") {
			put(pack "H*", $value);
		} elsif ($verb eq "end") {
			shutdown $peer, 1;
		} else {
			die "what is '$word'?\n";
		}
	}
	while ((my $frame = take()) ne "") {
		show($frame);
	}
	die "closed\n";
};
print $@;
