#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
#
# A journal as core/store/journal.h draws it, made by somebody else.
#
#   journal.pl write FILE ID SOURCE PARTIAL TARGET [PATH...]    ID: 32 hex digits; PATH: files of a tree
#   journal.pl hold FILE    locks it as a transfer does, says "held", and waits for the end of input
use strict;
use warnings;
use Fcntl;

my @table = map {
	my $crc = $_;
	$crc = $crc & 1 ? $crc >> 1 ^ 0x82f63b78 : $crc >> 1 for 1 .. 8;
	$crc;
} 0 .. 255;

sub crc32c {
	my $crc = 0xffffffff;
	$crc = $crc >> 8 ^ $table[($crc ^ $_) & 255] for unpack 'C*', shift;
	return $crc ^ 0xffffffff;
}

sub record {
	my ($type, $number, $body) = @_;
	my $bytes = pack('CCvV', $type, 0xa1, length $body, $number) . $body;
	return $bytes . pack 'V', crc32c($bytes);
}

my ($what, $path, @rest) = @ARGV;
if ($what eq 'write') {
	my ($id, $source, $partial, $target, @files) = @rest;
	my $number = 0;
	open my $file, '>', $path or die "$path: $!\n";
	print $file record(1, 0, pack('H32', $id) . join '', map { pack 'v/a*', $_ } $source, $partial, $target);
	print $file record(2, 0, pack 'VVC/a*', 1 << 20, 32, 'sha256');
	print $file record(3, ++$number, pack 'QqVv/a*', 5, 6, 7, $_) for @files ? @files : '';
	close $file or die "$path: $!\n";
} elsif ($what eq 'hold') {
	open my $file, '+<', $path or die "$path: $!\n";
	# struct flock: type, whence, start, length, pid. The lock of an open file.
	my $lock = pack 's s x4 q q i x4', F_WRLCK, 0, 0, 0, 0;
	fcntl $file, 37, $lock or die "$path: F_OFD_SETLK: $!\n";
	$| = 1;
	print "held\n";
	1 while <STDIN>;
} else {
	die "what?\n";
}
