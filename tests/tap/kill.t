#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A transfer is killed at a system call of one side, then begun again: some points by chance. All: make check-faults.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
export top_srcdir
XFER_FAULTS_POINTS=${XFER_FAULTS_POINTS:-3} XFER_FAULTS_RECORDS=1 exec /bin/sh "$top_srcdir/tests/faults/kill.sh"
