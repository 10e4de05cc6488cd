#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The conformance kit finds what is wrong with a plug-in of kind integrity, and names it: one for each fault.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
# shellcheck source=tests/tap/unfit.sh
. "$top_srcdir/tests/tap/unfit.sh"

unfit_all integrity

# How a process ended that told nothing itself.
run "$xfer" check-plugin "$unfit/integrity-create-crashes.so"
like_file "$out" '; seen: the process died of SIGABRT in .* create\(\)$' "a crash while it is loaded names the callback, too"
run "$xfer" check-plugin "$unfit/integrity-aborts.so" many
like_file "$out" '^FAILED   many: expected: digest_many.*; seen: the process died of SIGABRT in digest\(\)$' "the signal and the callback are named"
run "$xfer" check-plugin "$unfit/integrity-finish-exits.so" splits
like_file "$out" '; seen: the process ended with status 3 in hash_finish\(\)$' "a plug-in that ends the process is told, too"
run "$xfer" check-plugin --deadline 2s "$unfit/integrity-hangs.so" many splits
is "$status" 1 "a plug-in that hangs fails"
like_file "$out" '; seen: not finished after 2s: it hangs in digest\(\)$' "... and the callback is named in which it does"
like_file "$out" '^ok       splits:' "... and the other checks are made"

# Interrupted while it waits for one that hangs: nothing is left, neither process nor folder.
mkdir "$tmp/scratch"
TMPDIR=$tmp/scratch "$xfer" check-plugin "$unfit/integrity-hangs.so" streams many >"$tmp/interrupted" 2>"$err" &
pid=$!
remember $pid
wait_line "$tmp/interrupted" '^ok       streams:' $pid >"$tmp/line"
kill -TERM $pid
status=0
wait $pid || status=$?
is "$status" 130 "interrupted it ends at once"
is "$(ls "$tmp/scratch")" "" "... and leaves no folder behind"

done_testing
