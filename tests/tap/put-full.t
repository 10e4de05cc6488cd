#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A daemon whose disk takes no more, or nothing at all: status 7, a message with file and cause, and nothing half-done.
# In a mount namespace of its own, so that the small file systems go away with it, however it ends.
if [ -z "${XFER_TEST_MOUNTS-}" ]; then
	own=
	[ "$(id -u)" = 0 ] || own=--map-root-user
	export XFER_TEST_MOUNTS=no
	# Plug-ins of somebody else are not loaded as root, such a root included.
	# shellcheck disable=SC2086 # an option or none
	if [ "$(stat -c %u .)" = "$(id -u)" ] && unshare --mount $own mount -t tmpfs none "${TMPDIR:-/tmp}" 2>/dev/null; then
		XFER_TEST_MOUNTS=yes
		exec unshare --mount $own sh "$0"
	fi
fi
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

pub=$tmp/pub
src=$tmp/src
trap 'umount "$pub" 2>/dev/null; clean_up' EXIT
mkdir "$pub" "$src" "$src/tree" "$src/tree/folder" "$src/many"
make_file "$src/file" 16777216
make_file "$src/fits" 1000000
for n in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39; do
	make_file "$src/tree/$n" 200000
	make_file "$src/tree/folder/$n" 20000
	echo "$n" >"$src/many/$n"
	mkdir "$src/many/folder $n"
	ln -s nowhere "$src/many/link $n"
done

# fails NAME ERE ARGUMENTS...: the put, with status 7 and a line that says where, what and why; nothing hidden is left.
fails() {
	fails_name=$1
	fails_line=$2
	shift 2
	run "$xfer" put "$@"
	is "$status" 7 "$fails_name: status"
	like_file "$err" "^xfer: at the daemon: $fails_line" "$fails_name: file and cause are named"
	unlike "$(cat "$err")" '\.xfer-' "$fails_name: and no name that nobody knows"
	is "$(leftovers "$pub")" "" "$fails_name: nothing hidden is left"
}

nothing() {
	is "$(ls -A "$pub")" "" "$1: nothing is there"
}

# serve SIZE INODES: an export of that size.
serve() {
	mount -t tmpfs -o "size=$1,nr_inodes=$2,mode=755" none "$pub" || bail_out "cannot mount"
	write_config "$tmp/xferd.ini" "$pub" read-write
	need_daemon -c "$tmp/xferd.ini"
	url=xfer://$daemon_address/pub
}

# unserve NAME
unserve() {
	stop_daemon
	is "$daemon_status" 0 "$1: the daemon lives"
	umount "$pub" || bail_out "cannot unmount"
}

if [ "$XFER_TEST_MOUNTS" = yes ]; then
	full='No space left on device'
	serve 4m 1000
	fails "full, a file" "file: .*$full" "$src/file" "$url"
	nothing "full, a file"
	fails "full, a file of small chunks" "file: .*$full" --integrity crc32 --set pipeline.chunk-size=4K "$src/file" "$url"
	nothing "full, a file of small chunks"
	fails "full, a tree" "tree/[a-z0-9/]*: .*$full" "$src/tree" "$url/new"
	nothing "full, a tree"
	is "$(df -k --output=used "$pub" | tail -n 1 | tr -d ' ')" 0 "full: all of the room is given back"
	# What was there is there, and what fits comes behind what does not.
	run "$xfer" put -q "$src/file" "$src/fits" "$url"
	is "$status" 7 "full, several: status"
	check "full, several: what fits is there" cmp "$pub/fits" "$src/fits"
	echo old >"$pub/file"
	fails "full, over a file" "file: .*$full" "$src/file" "$url"
	is "$(cat "$pub/file")" old "full, over a file: which is as it was"
	unserve "full"

	serve 4m 20
	fails "no inodes" "many/[a-z0-9 /]*: .*$full" "$src/many" "$url/new"
	nothing "no inodes"
	mount -o remount,bind,ro "$pub" || bail_out "cannot mount"
	fails "read-only, a file" 'file: .*Read-only file system' "$src/file" "$url"
	fails "read-only, a tree" 'tree: .*Read-only file system' "$src/tree" "$url"
	is "$(wc -l <"$err")" 1 "read-only, a tree: once"
	nothing "read-only"
	unserve "no inodes"
else
	skip "a full file system" "none can be mounted here: it takes root or user namespaces"
fi

# ---- a folder that the daemon may not write to ----

real=$xferd
cat >"$tmp/xferd" <<-END
	#!/bin/sh
	$(command -v setpriv >/dev/null && [ "$(id -u)" = 0 ] &&
	echo exec setpriv --bounding-set=-dac_override,-dac_read_search "'$real'" '"$@"' || echo "exec '$real'" '"$@"')
END
chmod +x "$tmp/xferd"
xferd=$tmp/xferd
write_config "$tmp/xferd.ini" "$pub" read-write
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
chmod 555 "$pub"
fails "unwritable, a file" 'fits: .*Permission denied' "$src/fits" "$url"
fails "unwritable, a small file" '10: .*Permission denied' "$src/many/10" "$url"
fails "unwritable, a tree" 'tree: .*Permission denied' "$src/tree" "$url"
is "$(wc -l <"$err")" 1 "unwritable, a tree: once"
nothing "unwritable"
chmod 755 "$pub"
mkdir -p "$pub/many/folder 10"
chmod 555 "$pub/many/folder 10"
echo x >"$src/many/folder 10/file"
fails "an unwritable folder in a tree" 'many/folder 10/file: .*Permission denied' "$src/many" "$url"
check "an unwritable folder in a tree: all else is there" cmp "$pub/many/39" "$src/many/39"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
