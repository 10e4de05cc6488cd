#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A system call of one side of a transfer fails, or moves less: some by chance. All: make check-faults.
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
export top_srcdir
XFER_FAULTS_POINTS=${XFER_FAULTS_POINTS:-3} XFER_FAULTS_RECORDS=1 exec /bin/sh "$top_srcdir/tests/faults/errno.sh"
