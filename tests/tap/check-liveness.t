#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The conformance kit finds what is wrong with a plug-in of kind liveness, and names it: one for each fault.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
# shellcheck source=tests/tap/unfit.sh
. "$top_srcdir/tests/tap/unfit.sh"

unfit_all liveness

done_testing
