# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What bodies of frames are made of, in hexadecimal digits, for tests/tap/peer.pl; sourced behind lib.sh.
#
#   frame="frame=18,0,1,$(number 2 1)$(string16 pub/file)"

hex() {
	printf %s "$1" | od -An -v -tx1 | tr -d ' \n'
}
# number BYTES VALUE
number() {
	printf "%0$(($1 * 2))x" "$2"
}
# Texts with their length in front, of one byte and of two.
string8() {
	number 1 ${#1}
	hex "$1"
}
string16() {
	number 2 ${#1}
	hex "$1"
}
