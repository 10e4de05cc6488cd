# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# A daemon whose disk blocks when a test wants it to (tests/preload/block.c); sourced behind lib.sh. The gates are `names`
# (opening and listing) and `bytes` (reading); see there.
#
#   need_gates      close_gate GATE      open_gate GATE      gated NAME FOLDER PROGRAM
#
# A transfer that is to be in the middle of it, however slow the machine is, needs no limit of the rate:
#
#   hold KIB      (it begins, and comes to a stand when so much was read)      go_on
#   begin_standing TARGET ARGUMENTS...      go_on
#   begin_stopped TARGET ARGUMENTS...       resume

# gated NAME FOLDER PROGRAM ARGUMENTS...: makes a program $tmp/NAME, the same but that it waits at closed gates for what is
# beneath the folder, which need not be there yet. Its threads that read are four, however many processors there are, and
# whatever the arguments say.
gated() {
	gated_name=$1
	gated_folder=$(realpath -m "$2")
	shift 2
	cat >"$tmp/$gated_name" <<-END
		#!/bin/sh
		exec env LD_PRELOAD="$gates_preload" XFER_TEST_FOLDER="$gated_folder" XFER_TEST_GATES="$tmp/gates" "$1" "\$@" \
			--set core.threads=2 $2 $3
	END
	chmod +x "$tmp/$gated_name"
}

# need_gates: from then on $xferd is a daemon that waits at closed gates for what is beneath $tmp/pub, or the test ends.
need_gates() {
	gates_block=$top_builddir/tests/preload/.libs/block.so
	[ -f "$gates_block" ] || skip_all "tests/preload is not built"

	# A sanitizer's library wants to be the first of all; one that is in the program itself lets nobody in front.
	gates_preload=$gates_block
	if sanitized; then
		gates_runtime=$(ldd "$xferd" | sed -n 's/.*=> \(.*lib[at]san\.so[^ ]*\).*/\1/p' | head -n 1)
		[ -n "$gates_runtime" ] || skip_all "the sanitizer is in the program, so that no library comes before it"
		gates_preload="$gates_runtime $gates_block"
	fi

	mkdir "$tmp/gates"
	# Of what has digests that are known, pipes full are read ahead.
	gated blocking "$tmp/pub" "$xferd" --set daemon.digest-store=none
	xferd=$tmp/blocking
}

# close_gate GATE; open_gate GATE
close_gate() {
	rm -f "$tmp/gates/waiting"
	mkfifo "$tmp/gates/$1"
}
# Whoever waits goes on, and nobody will wait again. The descriptor stays open for those who are just about to.
open_gate() {
	mv "$tmp/gates/$1" "$tmp/gates/open"
	exec 9<>"$tmp/gates/open"
}

# hold KIB: each process may read so much from now on, or from when it begins, but for less than a chunk; then it waits for
# go_on. Each thread that waits may have a piece whose beginning it has read, and which is not sent, of more than half a
# mebibyte, or three chunks: what is sure to come is KIB less four pieces.
hold() {
	echo $(($1 * 1024)) >"$tmp/gates/after.new"
	mv "$tmp/gates/after.new" "$tmp/gates/after"
	[ -p "$tmp/gates/bytes" ] || close_gate bytes
}
go_on() {
	[ ! -p "$tmp/gates/bytes" ] || open_gate bytes
	rm -f "$tmp/gates/after"
}

# begin_standing TARGET ARGUMENTS...: xfer, which gets a file of 6 MB or more as TARGET; when this returns some of it has come,
# and most cannot until go_on. standing_pid is the client, $tmp/standing.err what it says.
begin_standing() {
	standing_folder=$(dirname "$1")
	shift
	hold 3600
	"$xfer" --no-progress --set pipeline.chunk-size=64K "$@" >"$tmp/standing.out" 2>"$tmp/standing.err" &
	standing_pid=$!
	remember "$standing_pid"
	await sh -c "find '$standing_folder' -maxdepth 1 -name '.xfer-*' -type f -printf '%k\n' |
		awk '{ n += \$1 } END { exit n < 1100 }'" || diag_file "$tmp/standing.err"
}

# begin_stopped TARGET ARGUMENTS...: the same, but it is the client that does not go on until resume, and the daemon serves
# others. It is to have patience with who is silent: $patient.
patient="--set liveness.udp.dead-after=10m --set daemon.stall-after=10m"
begin_stopped() {
	begin_standing "$@"
	kill -STOP "$standing_pid"
	go_on
}
resume() {
	kill -CONT "$standing_pid"
}
