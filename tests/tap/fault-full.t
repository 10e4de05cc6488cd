#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A destination that takes no more, or nothing at all: status 7, a message with file and cause, and nothing half-done.
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
small=$tmp/small
trap 'umount "$small" 2>/dev/null; clean_up' EXIT
mkdir "$pub" "$pub/tree" "$pub/tree/folder" "$pub/many" "$small"
make_file "$pub/file" 16777216
make_file "$pub/fits" 1000000
for n in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39; do
	make_file "$pub/tree/$n" 200000
	make_file "$pub/tree/folder/$n" 20000
	echo "$n" >"$pub/many/$n"
	mkdir "$pub/many/folder $n"
	ln -s nowhere "$pub/many/link $n"
done
write_config "$tmp/xferd.ini" "$pub"
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# fails NAME ERE COMMAND...: with status 7 and a line of the client's that names a file and its cause. Nothing hidden is left.
fails() {
	fails_name=$1
	fails_line=$2
	shift 2
	run "$@"
	is "$status" 7 "$fails_name: status"
	like_file "$err" "^xfer: $fails_line" "$fails_name: file and cause are named"
	unlike "$(cat "$err")" '\.xfer-' "$fails_name: and no name that nobody knows"
	is "$(leftovers "$tmp")" "" "$fails_name: nothing hidden is left"
}

nothing() {
	is "$(ls -A "$small")" "" "$1: nothing is there"
}

# ---- full ----

tiny() {
	umount "$small" 2>/dev/null
	mount -t tmpfs -o "size=$1,nr_inodes=$2,mode=755" none "$small" || bail_out "cannot mount"
}

if [ "$XFER_TEST_MOUNTS" = yes ]; then
	tiny 4m 1000
	full='No space left on device'
	fails "full, a file" "pub/file: .*$full" "$xfer" get "$url/file" "$small/got"
	nothing "full, a file"
	fails "full, a file of small chunks, no credit to spare" "pub/file: .*$full" \
		"$xfer" get --integrity crc32 --set pipeline.chunk-size=4K "$url/file" "$small"
	nothing "full, a file of small chunks, no credit to spare"
	fails "full, a tree" "pub/tree/[a-z0-9/]*: .*$full" "$xfer" get "$url/tree" "$small/got"
	nothing "full, a tree"
	is "$(df -k --output=used "$small" | tail -n 1 | tr -d ' ')" 0 "full: all of the room is given back"

	# Into a folder that is there, file by file: what fits is there, whole.
	mkdir "$small/tree"
	echo mine >"$small/tree/39"
	fails "full, into a folder" "pub/tree/[a-z0-9/]*: .*$full" "$xfer" get "$url/tree" "$small"
	echo mine >"$pub/tree/mine"
	bad=
	count=0
	for file in "$small"/tree/[0-9]* "$small"/tree/folder/[0-9]*; do
		[ -f "$file" ] || continue
		count=$((count + 1))
		cmp -s "$file" "$pub/${file#"$small"/}" || cmp -s "$file" "$pub/tree/mine" || bad="$bad $file"
	done
	rm "$pub/tree/mine"
	is "$bad" "" "full, into a folder: each of the $count files that are there is whole"
	rm -r "$small/tree"

	# The next file of the same command is not tried for nothing, and what was there is still there.
	run "$xfer" get -q "$url/fits" "$small"
	is "$status" 0 "what fits: status"
	fails "full, several" "pub/file: .*$full" "$xfer" get "$url/file" "$url/fits" "$small"
	check "full, several: what was there" cmp "$pub/fits" "$small/fits"
	rm "$small/fits"

	# A file system may have room and no names.
	tiny 4m 20
	fails "no inodes" "pub/many/[a-z0-9 /]*: .*$full" "$xfer" get "$url/many" "$small/got"
	nothing "no inodes"

	mount -o remount,bind,ro "$small" || bail_out "cannot mount"
	fails "read-only, a file" 'pub/file: .*Read-only file system' "$xfer" get "$url/file" "$small/got"
	fails "read-only, a tree" 'pub/tree: .*Read-only file system' "$xfer" get "$url/tree" "$small/got"
	is "$(wc -l <"$err")" 1 "read-only, a tree: once"
	fails "read-only, a link" 'pub/many/link 10: .*Read-only file system' "$xfer" get "$url/many/link%2010" "$small/got"
	nothing "read-only"
	umount "$small"
else
	skip "a full file system" "none can be mounted here: it takes root or user namespaces"
fi

# ---- as large as a file may be ----

# limited COMMAND...: no file grows above 2 MiB, and the signal that says so does what it does by default.
limited() {
	# shellcheck disable=SC3045 # dash and bash have it
	(ulimit -f 4096 && exec env --default-signal=XFSZ "$@")
}
if (ulimit -f 4096 && env --default-signal=XFSZ true) 2>/dev/null; then
	fails "too large" 'pub/file: .*File too large' limited "$xfer" get "$url/file" "$small/got"
	nothing "too large"
	run limited "$xfer" get -q "$url/tree" "$small/got"
	is "$status" 0 "the limit is one of a file: status"
	rm -rf "$small/got"
else
	skip "too large" "the size of files cannot be limited here"
fi

# ---- a log that takes no more ----

# It costs lines, and nothing else: neither a log on a full disk nor one that nobody reads any more ends a daemon.
real=$xferd
xferd=$tmp/xferd
if (ulimit -f 1 && env --default-signal=XFSZ true) 2>/dev/null; then
	# shellcheck disable=SC2016 # the script's own
	printf '#!/bin/sh\nulimit -S -f 2 && exec env --default-signal=XFSZ "%s" "$@"\n' "$real" >"$xferd"
	chmod +x "$xferd"
	stop_daemon
	need_daemon -c "$tmp/xferd.ini"
	for n in 1 2 3 4 5 6 7 8; do
		run "$xfer" get -q "xfer://$daemon_address/pub/fits" "$small/got"
		[ "$status" = 0 ] || break
	done
	is "$n, $status" "8, 0" "a log that may not grow: the daemon serves"
	is "$(stat -c %s "$daemon_log")" 1024 "a log that may not grow: it did not"
	rm -f "$small/got"
	stop_daemon
	is "$daemon_status" 0 "a log that may not grow: the daemon stops"
else
	skip "a log that may not grow" "the size of files cannot be limited here"
	stop_daemon
fi
mkfifo "$tmp/reader"
# shellcheck disable=SC2016 # the script's own
printf '#!/bin/sh\nexec env --default-signal=PIPE "%s" "$@" 2>"%s"\n' "$real" "$tmp/reader" >"$xferd"
chmod +x "$xferd"
"$xferd" -c "$tmp/xferd.ini" &
daemon_pid=$!
remember $daemon_pid
daemon_address=$(sed -n 's/.*listening on \([^ ]*\).*/\1/p;T;q' "$tmp/reader")
for n in 1 2 3; do
	run "$xfer" get -q "xfer://$daemon_address/pub/fits" "$small/got"
	[ "$status" = 0 ] || break
done
is "$n, $status" "3, 0" "a log that nobody reads: the daemon serves"
rm -f "$small/got"
kill -HUP $daemon_pid
stop_daemon
is "$daemon_status" 0 "a log that nobody reads: the daemon reloads, and stops"
xferd=$real
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# ---- unwritable ----

# On the way of a file, on the way of a tree, into a folder of a tree.
chmod 555 "$small"
fails "unwritable, a file" 'pub/file: .*Permission denied' unprivileged "$xfer" get "$url/file" "$small/got"
fails "unwritable, a file into it" 'pub/file: .*Permission denied' unprivileged "$xfer" get "$url/file" "$small"
fails "unwritable, a small file" 'pub/many/10: .*Permission denied' unprivileged "$xfer" get "$url/many/10" "$small"
fails "unwritable, a link" 'pub/many/link 10: .*Permission denied' unprivileged "$xfer" get "$url/many/link%2010" "$small"
fails "unwritable, a tree" 'pub/tree: .*Permission denied' unprivileged "$xfer" get "$url/tree" "$small"
is "$(grep -c . "$err")" 1 "unwritable, a tree: once"
nothing "unwritable"
chmod 755 "$small"
mkdir -p "$small/many/folder 10" "$small/tree/folder"
chmod 555 "$small/tree/folder"
fails "an unwritable folder in a tree" 'pub/tree/folder/1[0-9]: .*Permission denied' \
	unprivileged "$xfer" get "$url/tree" "$small"
is "$(ls -A "$small/tree/folder")" "" "an unwritable folder in a tree: nothing is in it"
is "$(find "$small/tree" -type f | wc -l)" 30 "an unwritable folder in a tree: all else is there"
chmod 755 "$small/tree/folder"
rm -rf "$small/many" "$small/tree"

# As somebody else, as far as there is one here.
chmod 755 "$tmp" && chmod 755 "$HOME"
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ "$(id -u)" != 0 ]; then
	skip "as nobody" "only root becomes somebody else"
elif ! $nobody "$xfer" plugins >/dev/null 2>"$tmp/nobody"; then
	skip "as nobody" "nobody cannot run the build: $(head -n 1 "$tmp/nobody" | tr -d '#')"
else
	# shellcheck disable=SC2086 # a command
	fails "as nobody, a file" 'pub/file: .*Permission denied' $nobody "$xfer" get "$url/file" "$small/got"
	# shellcheck disable=SC2086 # a command
	fails "as nobody, a tree" 'pub/tree: .*Permission denied' $nobody "$xfer" get "$url/tree" "$small/got"
	echo theirs >"$small/fits"
	# shellcheck disable=SC2086 # a command
	fails "as nobody, a file of somebody else" 'pub/fits: .*Permission denied' $nobody "$xfer" get "$url/fits" "$small"
	is "$(cat "$small/fits")" theirs "as nobody, a file of somebody else: it is what it was"
	rm "$small/fits"
fi

# ---- a destination that goes away in the middle ----

mkdir "$small/gone"
"$xfer" get --limit-rate 5M "$url/file" "$small/gone" >"$out" 2>"$err" &
pid=$!
remember $pid
bytes_came() {
	[ -n "$(find "$small/gone" -name '.xfer-*' -type f -size +0)" ]
}
check "a destination that goes away: it was under way" await bytes_came
rm -rf "$small/gone"
status=0
wait $pid || status=$?
is "$status" 7 "a destination that goes away: status"
like_file "$err" 'pub/file: .*No such file or directory' "a destination that goes away: file and cause are named"
nothing "a destination that goes away"

run "$xfer" get -q "$url/tree" "$small/tree"
is "$status" 0 "where there is room: status"
check "where there is room: all is the same" same_tree "$pub/tree" "$small/tree"
stop_daemon
is "$daemon_status" 0 "the daemon stops"

done_testing
