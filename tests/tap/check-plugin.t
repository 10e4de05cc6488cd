#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `xfer check-plugin`: every plug-in that is built passes, and what the command says and returns.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$top_builddir/plugins/.libs

# ---- ours ------------------------------------------------------------------------------------------------------------

"$xfer" keygen -q -o "$tmp/key"
for file in "$built"/*-*.so; do
	name=$(basename "$file" .so)
	set --
	# One that lets nobody in without a key is given one.
	[ "$name" != transport-tls ] || set -- --set "transport.tls.key-file=$tmp/key"
	run "$xfer" check-plugin "$@" "$file"
	is "$status" 0 "$name passes"
	[ "$status" = 0 ] || diag_file "$out"
	like_file "$out" '^[0-9]+ checks: [0-9]+ ok, 0 failed, [0-9]+ skipped$' "... and says so"
done

# ---- what it says ----------------------------------------------------------------------------------------------------

run "$xfer" check-plugin "$built/integrity-sha256.so"
like_file "$out" "^integrity sha256 [0-9.]+, $built/integrity-sha256\.so\$" "it says which plug-in it is"
like_file "$out" '^ok       splits: a stream has the digest of the whole, wherever it is cut$' "a line for each check"
run "$xfer" check-plugin -v "$built/integrity-sha256.so" splits
is "$(sed 1d "$out")" "ok       splits: a stream has the digest of the whole, wherever it is cut; seen: 524 cuts in two, 700 in three
1 checks: 1 ok, 0 failed, 0 skipped" "one check alone, with what was seen"
run "$xfer" check-plugin --json "$built/integrity-sha256.so" splits many
is "$(sed 's/"seen":"[^"]*"/"seen":"…"/' "$out")" \
	'{"type":"check","name":"splits","outcome":"ok","expected":"a stream has the digest of the whole, wherever it is cut","seen":"…"}
{"type":"check","name":"many","outcome":"ok","expected":"digest_many() gives for each buffer what digest() gives","seen":"…"}
{"type":"summary","ok":2,"failed":0,"skipped":0,"status":0}' "the same for programs"
run "$xfer" check-plugin -q "$built/integrity-sha256.so"
is "$status $(cat "$out" "$err")" "0 " "quietly: nothing"
run "$xfer" check-plugin -v --set liveness.udp.interval=200ms "$built/liveness-udp.so" timing
like_file "$out" 'seen: interval 200 ms, dead-after 4000 ms' "options are taken from --set"

run "$xfer" check-plugin -v --listen 127.0.0.2:0 "$built/transport-tcp.so" listener stream
is "$status" 0 "a transport listens where it is told"
like_file "$out" "seen: 1 descriptors, '127\.0\.0\.2:[0-9]+'" "... there"
if [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; then
	run "$xfer" check-plugin --listen '[::1]:0' "$built/transport-tcp.so"
	is "$status" 0 "all of it over IPv6"
	[ "$status" = 0 ] || diag_file "$out"
else
	skip "all of it over IPv6" "the loopback has no IPv6"
fi
run "$xfer" check-plugin --connect 127.0.0.1:1 "$built/transport-tcp.so" stream
is "$status" 1 "a transport connects to where it is told"
like_file "$out" 'stream: .*(handshake|connect)\(\) returned -ECONNREFUSED' "... and nobody is there"

# ---- what it refuses -------------------------------------------------------------------------------------------------

run "$xfer" check-plugin "$tmp/nothing.so"
is "$status" 2 "a file that is not there"
like "$(cat "$err")" "^xfer: $tmp/nothing\.so: No such file" "... is told by the loader"
echo "no object" >"$tmp/bad.so"
run "$xfer" check-plugin "$tmp/bad.so"
is "$status" 2 "a file that is no object"
like "$(cat "$err")" "^xfer: .*bad\.so: cannot be loaded: " "... is told by the loader, too"
run "$xfer" check-plugin --set liveness.udp.interval=4s "$built/liveness-udp.so"
is "$status" 2 "values that create() refuses"
like "$(cat "$err")" 'dead-after is shorter than 3 times the interval' "... with its text"
run "$xfer" check-plugin --set liveness.udp.colour=blue "$built/liveness-udp.so"
is "$status" 2 "an option that it does not have"
like "$(cat "$err")" "unknown key 'colour'" "... is named"
run "$xfer" check-plugin "$built/liveness-udp.so" nonsense
is "$status" 2 "a check that there is not"
like "$(cat "$err")" "there is no check 'nonsense'" "... is named"
run "$xfer" check-plugin --deadline soon "$built/liveness-udp.so"
is "$status" 2 "a deadline that is none"

done_testing
