#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# `xfer plugins`: what is installed, one of them, one by its path, and what cannot be loaded.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$top_builddir/plugins/.libs

run "$xfer" plugins
is "$status" 0 "the list of all"
plugins='transport-tcp integrity-sha256 integrity-blake2b integrity-crc32 integrity-none liveness-udp liveness-none'
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
is "$(grep -c '^  ABI        1\.0, threads ' "$out")" "$(echo $plugins | wc -w)" "the version of the interface and the thread model of each"
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
like_file "$out" "^  cause +.*integrity-broken\.so.*(ELF|too short|invalid)" "... with the cause"
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
like_file "$out" '"kind":"liveness","name":"none",.*"abi":"1\.0","threads":"parallel-objects"' "... with what it says of itself"
like_file "$out" '"name":"interval","type":"duration","default":"500ms","range":"50ms to 1m"' "... and its options"
like_file "$out" '"path":"[^"]*integrity-broken\.so","error":"' "... or the cause why it does not"
if command -v python3 >/dev/null; then
	run "$xfer" plugins --json
	check "... and every line is JSON" python3 -c 'import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    assert json.loads(line)["type"] == "plugin"' "$out"
else
	skip "... and every line is JSON" "there is no python3"
fi

done_testing
