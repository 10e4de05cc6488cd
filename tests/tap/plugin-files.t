#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Files that are no plug-ins, as both programs meet them: status 2, and a message with file and cause.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

built=$top_builddir/plugins/.libs
broken=$top_builddir/tests/plugins/broken
mkdir "$tmp/plugins" "$tmp/more" "$tmp/pub"
cp "$built"/*.so "$tmp/plugins"
write_config "$tmp/xferd.ini" "$tmp/pub"
printf '[core]\nplugin-dir = %s\n' "$tmp/plugins" >>"$tmp/xferd.ini"
object=$tmp/plugins/integrity-odd.so

# refused NAME ERE: by its path in the client, by its name in the daemon; neither hangs.
refused() {
	run timeout "$patience" "$xfer" plugins "$object"
	is "$status" 2 "$1: the client refuses it"
	like_file "$err" "^xfer: .*$object: .*$2" "$1: with file and cause"
	run timeout "$patience" "$xferd" -c "$tmp/xferd.ini" --set pipeline.integrity=odd -t
	is "$status" 2 "$1: the daemon refuses it"
	like_file "$err" "^xferd: .*$object: .*$2" "$1: with file and cause"
	rm -rf "$object"
}

echo "this is no object, but it is long enough to have an ELF header if it had one" >"$object"
refused "a text" 'invalid ELF header'
: >"$object"
refused "an empty file" 'file too short'
cp "$broken/integrity-no-symbol.so" "$object"
refused "an object without the symbol" 'it is no plug-in: it does not export xfer_plugin_v1'
cp "$broken/integrity-unresolved.so" "$object"
refused "unresolved symbols" 'undefined symbol: nobody_has_this'
cp "$built/integrity-sha256.so" "$object"
printf '\367\0' | dd of="$object" bs=1 seek=18 conv=notrunc 2>"$tmp/dd"
refused "another architecture" 'made for another kind of processor'
head -c 5000 "$built/integrity-sha256.so" >"$object"
refused "a file that is cut short" 'cut short: it has 5000 bytes'
mkdir "$object"
refused "a folder" 'not a regular file'
mkfifo "$object"
refused "a FIFO" 'not a regular file'
ln -s nowhere "$object"
run "$xfer" plugins "$object"
is "$status" 2 "a link that leads nowhere is refused"
like_file "$err" "^xfer: .*$object.*No such file" "... with file and cause"
rm "$object"
cp "$built/integrity-crc32.so" "$object"
run "$xferd" -c "$tmp/xferd.ini" --set pipeline.integrity=odd -t
is "$status" 2 "another name than its file's is refused"
like_file "$err" "^xferd: .*$object: its name 'crc32' does not match the file's, 'odd'" "... with file and cause"
run "$xferd" -c "$tmp/xferd.ini" --set "pipeline.integrity=sha256, $object" -t
is "$status" 0 "... but not by its path"
rm "$object"

# ---- two with one name ------------------------------------------------------------------------------------------------

cp "$built/integrity-sha256.so" "$tmp/more"
run "$xferd" -c "$tmp/xferd.ini" --set "pipeline.integrity=sha256, $tmp/more/integrity-sha256.so" -t
is "$status" 2 "two plug-ins of one name, one of them by its path"
like_file "$err" "more/integrity-sha256\.so: another integrity named 'sha256' is loaded already, from $tmp/plugins/integrity-sha256\.so" \
	"... are both named"
run "$xferd" -c "$tmp/xferd.ini" --set "pipeline.integrity=sha256, $tmp/plugins/integrity-sha256.so" -t
is "$status" 2 "one plug-in by its name and its path"
like_file "$err" "the integrity 'sha256' is named twice" "... is told"

# ---- what others can write ------------------------------------------------------------------------------------------

if [ "$(id -u)" = 0 ]; then
	cp "$built/integrity-crc32.so" "$tmp/more"
	object=$tmp/more/integrity-crc32.so
	chmod 666 "$object"
	run "$xfer" plugins "$object"
	is "$status" 2 "a file that others can write is refused"
	like_file "$err" "$object: not loaded as root: the file .* is writable by others \(mode 0666\); chmod go-w it" "... with what to do"
	chmod 644 "$object"
	chmod 777 "$tmp/more"
	run "$xfer" plugins "$object"
	is "$status" 2 "a file in a folder that others can write is refused"
	like_file "$err" "$object: not loaded as root: its folder \($tmp/more\) is writable by others \(mode 0777\)" "... with the folder"
	chmod 755 "$tmp/more"
	run "$xfer" plugins "$object"
	is "$status" 0 "neither is: loaded"
else
	skip "what others can write is refused" "only root has to beware of it"
fi

done_testing
