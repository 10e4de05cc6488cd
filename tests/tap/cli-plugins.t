#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `xfer plugins`: what is installed, one of them, one by its path, and what cannot be loaded.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$top_builddir/plugins/.libs
abi=$(sed -n 's/^#define XFER_ABI_M[AJINOR]* \([0-9]*\)u$/\1/p' "$top_srcdir/include/xfer/plugin.h" | paste -sd .)

run "$xfer" plugins
is "$status" 0 "the list of all"
plugins='transport-tcp transport-tls transport-ssh integrity-sha256 integrity-blake2b integrity-crc32 integrity-none liveness-udp liveness-none'
for plugin in integrity-crc32c integrity-xxh3; do
	if [ -e "$built/$plugin.so" ]; then
		plugins="$plugins $plugin"
	else
		skip "$plugin is listed" "it was not built: configure found no library for it"
	fi
done
for plugin in $plugins; do
	like_file "$out" "^${plugin%%-*} ${plugin#*-} [0-9.]+: .+" "$plugin: kind, name, version and summary"
	like_file "$out" "^  file +$built/$plugin\.so\$" "$plugin: the file"
done
is "$(grep -c "^  ABI        $abi, threads " "$out")" "$(echo $plugins | wc -w)" "the version of the interface and the thread model of each"
like_file "$out" '^  digest     32 bytes, 128 bits against collisions$' "what sha256 is good for"
like_file "$out" '^  digest     0 bytes, detects nothing$' "what none is good for"
like_file "$out" '^  options    \[liveness\.udp\]$' "the section of an option"
like_file "$out" '^    interval = 500ms$' "an option with its default"
like_file "$out" '^        duration, 50ms to 1m: ' "... type, range and help"

for name in sha256 integrity-sha256 integrity.sha256 integrity-sha256.so; do
	run "$xfer" plugins "$name"
	is "$status" 0 "xfer plugins $name"
	is "$(grep -c '^  file ' "$out")" 1 "... shows one"
	like_file "$out" '^integrity sha256 ' "... the right one"
done
run "$xfer" plugins none
is "$(grep -c '^  file ' "$out")" 2 "a name that two kinds have shows both"

# A folder without it is as good as a machine without its library.
mkdir "$tmp/fewer"
ln -s "$built"/*-tcp.so "$built"/*-sha256.so "$built"/*-udp.so "$tmp/fewer"
for name in crc32c xxh3; do
	run "$xfer" --set core.plugin-dir="$tmp/fewer" get --integrity "$name" xfer://127.0.0.1:1/x "$tmp"
	is "$status" 2 "$name is chosen and not installed"
	like "$(cat "$err")" "^xfer: the integrity '$name' is not installed: $tmp/fewer/integrity-$name\.so: No such file" "... which is said"
done

run "$xfer" plugins nonsense
is "$status" 2 "a name that is not there"
like "$(cat "$err")" "^xfer: plugins: there is no plug-in 'nonsense' in $built" "... is told with the folder"

# ---- explained -------------------------------------------------------------------------------------------------------

printf '[pipeline]\nintegrity = crc32, sha256\n[liveness.udp]\ninterval = 300ms\n' >"$tmp/xfer.ini"
run "$xfer" -c "$tmp/xfer.ini" --set liveness.udp.dead-after=9s plugins udp
like_file "$out" '^  meaning    .*alive' "one that is asked for is explained"
like_file "$out" '^  chosen     by \[pipeline\] liveness$' "... whether it is chosen"
like_file "$out" '^  to choose  \[pipeline\] liveness = udp on both sides$' "... how to choose it"
like_file "$out" "^        now 300ms, by $tmp/xfer\.ini line 4\$" "... what is set, and where"
like_file "$out" '^        now 9s, by --set$' "... or by whom"
run "$xfer" -c "$tmp/xfer.ini" plugins sha256
like_file "$out" '^  chosen     as number 2 of 2 in \[pipeline\] integrity$' "the place in a list of preferences"
like_file "$out" '2\^128 tries$' "what the strength means"
run "$xfer" -c "$tmp/xfer.ini" plugins blake2b
like_file "$out" '^  chosen     no$' "one that is not chosen"
run "$xfer" -c "$tmp/xfer.ini" --set daemon.listen='tcp://127.0.0.1:1, tcp://127.0.0.1:2' plugins tcp
like_file "$out" '^  chosen     by \[pipeline\] transport and by 2 items of \[daemon\] listen$' "a transport, by items of listen too"
like_file "$out" 'whoever is on the way can read and change' "... and what it does not do"
run "$xfer" -c "$tmp/xfer.ini" plugins
is "$(grep -cE '^  (meaning|chosen)|^        now' "$out")" 0 "the list explains nothing"

# ---- by path ---------------------------------------------------------------------------------------------------------

mkdir "$tmp/plugins"
cp "$built/integrity-sha256.so" "$tmp/plugins/other-name.so"
run "$xfer" plugins "$tmp/plugins/other-name.so"
is "$status" 0 "a path, whatever the file is called"
like_file "$out" '^integrity sha256 ' "... is loaded from where it lies"
like_file "$out" "^  file +$tmp/plugins/other-name\.so\$" "... and told by its path"
run "$xfer" plugins "$tmp/plugins/missing.so"
is "$status" 2 "a path that is not there"
like "$(cat "$err")" "^xfer: .*$tmp/plugins/missing\.so.*No such file" "... is told"

# ---- what cannot be loaded -------------------------------------------------------------------------------------------

rm "$tmp/plugins/other-name.so"
cp "$built/liveness-none.so" "$tmp/plugins"
echo "this is no object" >"$tmp/plugins/integrity-broken.so"
run "$xfer" --set core.plugin-dir="$tmp/plugins" plugins
is "$status" 0 "a broken plug-in does not hide the others"
like_file "$out" '^liveness none ' "... which are listed"
like_file "$out" "^cannot be loaded: $tmp/plugins/integrity-broken\.so\$" "... the broken one too"
like_file "$out" "^  cause +cannot be loaded: $tmp/plugins/integrity-broken\.so: .*(ELF|too short|invalid)" "... with the cause"
cp "$built/integrity-sha256.so" "$tmp/plugins/integrity-another.so"
cp "$built/integrity-sha256.so" "$tmp/plugins/sha256.so"
ln -s nowhere "$tmp/plugins/transport-nowhere.so"
mkdir "$tmp/plugins/transport-folder.so"
run "$xfer" --set core.plugin-dir="$tmp/plugins" plugins
for cause in "integrity-another:its name 'sha256' does not match the file's, 'another'" "sha256:its name is not KIND-NAME.so" \
	"transport-nowhere:No such file or directory" "transport-folder:not a regular file"; do
	is "$(grep -A 1 "^cannot be loaded: $tmp/plugins/${cause%%:*}\.so\$" "$out" | tail -n 1)" "  cause      ${cause#*:}" \
		"... ${cause%%:*} too"
done
rm -r "$tmp/plugins/integrity-another.so" "$tmp/plugins/sha256.so" "$tmp/plugins/transport-nowhere.so" \
	"$tmp/plugins/transport-folder.so"
longer=$top_builddir/tests/plugins/broken/integrity-longer.so
run "$xfer" plugins "$longer"
like_file "$out" "^  ABI        1\.[0-9]+ \(newer than this program's 1\.[0-9]+\), threads" "one that is newer than the program says so"
run "$xfer" --set core.plugin-dir="$tmp/plugins" plugins broken
is "$status" 2 "asked for by name it is an error"
like "$(cat "$err")" '^xfer: .*integrity-broken\.so' "... that names the file"

mkdir "$tmp/empty"
run "$xfer" --set core.plugin-dir="$tmp/empty" plugins
is "$status" 0 "an empty folder"
like "$(cat "$err")" 'warning: .*plugin-dir' "... is warned of"
run "$xfer" --set core.plugin-dir="$tmp/nowhere" plugins
is "$status" 2 "a folder that is not there"
like "$(cat "$err")" "^xfer: .*$tmp/nowhere" "... is named"

# ---- JSON ------------------------------------------------------------------------------------------------------------

run "$xfer" --set core.plugin-dir="$tmp/plugins" plugins --json
is "$status" 0 "as JSON"
is "$(grep -c '^{"type":"plugin",.*}$' "$out")" 2 "... an object for each"
like_file "$out" '"kind":"liveness","name":"none",.*"abi":"'"$abi"'","threads":"parallel-objects"' "... with what it says of itself"
like_file "$out" '"name":"interval","type":"duration","default":"500ms","range":"50ms to 1m"' "... and its options"
like_file "$out" '"path":"[^"]*integrity-broken\.so","error":"' "... or the cause why it does not"
run "$xfer" --set core.plugin-dir="$tmp/plugins" --set liveness.none.interval=300ms plugins --json none
like_file "$out" '"name":"interval",.*"value":"300ms","value_file":"--set","value_line":0}' "... what is set, and where"
if command -v python3 >/dev/null; then
	run "$xfer" plugins --json
	check "... and every line is JSON" python3 -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    assert json.loads(line)["type"] == "plugin"' "$out"
else
	skip "... and every line is JSON" "there is no python3"
fi

done_testing
