# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the tests of limits have in common; sourced behind lib.sh.
#
#   begin_many -n 3 idle "$daemon_port" || ...      end_many; is "$status" 0 "..."; like_file "$out" 'there 3 of 3' "..."

many=$top_builddir/tests/faults/many

# begin_many ARGUMENTS...: tests/faults/many, with all of its sessions open. many_pid is it. Fails when they do not come.
begin_many() {
	many_out=$(mktemp "$tmp/many-XXXXXX")
	mkfifo "$many_out.in"
	# They stand for other machines: what they take of this one's processors is not to be a loss of the good client.
	nice -n 19 "$many" "$@" <"$many_out.in" >"$many_out" 2>&1 &
	many_pid=$!
	remember "$many_pid"
	exec 8>"$many_out.in"
	wait_line "$many_out" '^open ' "$many_pid" >/dev/null && return
	diag_file "$many_out"
	return 1
}

# end_many: its sessions end, and so does it; what it says of them is in $out, its status in $status.
end_many() {
	exec 8>&-
	status=0
	wait "$many_pid" || status=$?
	cp "$many_out" "$out"
}
