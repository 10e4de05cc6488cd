#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The conformance kit finds what is wrong with a plug-in of kind transport, and names it: one for each fault.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
# shellcheck source=tests/tap/unfit.sh
. "$top_srcdir/tests/tap/unfit.sh"

unfit_all transport

# A transport need not listen: then its connections are adopted.
run "$xfer" check-plugin "$unfit/transport-never-listens.so"
is "$status" 0 "one that never listens passes"
like_file "$out" '^skipped  listener: it does not listen$' "... without what it does not do"
like_file "$out" '^ok       stream: ' "... and with what it does"

done_testing
