#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tap.sh PROGRAM: runs a cmocka program. cmocka calls a skipped test `not ok`, which the driver takes for a failure; here it
# becomes `ok`, with the reason that the test printed before skip(): "# skipped: no /proc here". Without one the reason is
# unknown. The exit status is the program's.
exec 4>&1
status=$({ { "$@" 3>&- 4>&-; echo $? >&3; } | awk '
	/^# skipped: / { reason = substr($0, 12); next }
	/^not ok [0-9]+ # SKIP / { print "ok " $3 " - " $6 " # SKIP " (reason != "" ? reason : "for no reason given"); reason = ""; next }
	{ print; fflush() }' >&4; } 3>&1)
exit "$status"
