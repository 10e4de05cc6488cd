#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer put of trees: names of any bytes, links, modes, times, holes; into a folder that is there; what cannot be represented
# or read; and that a daemon is served nothing but what is put.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
command -v perl >/dev/null || skip_all "there is no perl"

# ---- a tree with everything that is kept ----

long=$(printf '%0255d' 0)
src=$tmp/src
pub=$tmp/pub
mkdir "$pub" "$src" "$src/empty folder" "$src/modes" "$src/links" "$src/$long"
: >"$src/empty file"
echo long >"$src/$long/$long"
# Every byte but NUL and slash, newline and such as are no UTF-8 among them.
perl -e '
	chdir shift or die;
	mkdir "names" or die;
	for (1 .. 255) {
		my $name = chr $_;
		next if $name =~ m{[/.]};
		for my $full ("names/$name", "names/in $name middle") {
			open my $file, ">", $full or die "$_: $!";
			print $file "file $_\n";
		}
		mkdir "names/folder $name" or die "$_: $!";
	}
	symlink "to\n\xff\x01", "links/any bytes" or die;
	symlink "x" x 4095, "links/longest" or die;
' "$src" || bail_out "cannot make the tree"
echo inside >"$src/links/file"
ln -s file "$src/links/relative"
ln -s nowhere/at/all "$src/links/dangling"
ln -s /etc/passwd "$src/links/absolute"
ln -s ../../../../.. "$src/links/outwards"
ln -s . "$src/links/circle"
for mode in 400 600 644 755 700 444 777; do
	echo $mode >"$src/modes/$mode"
	chmod $mode "$src/modes/$mode"
done
mkdir "$src/modes/folder 555" "$src/modes/folder 711"
echo x >"$src/modes/folder 555/file"
chmod 555 "$src/modes/folder 555"
chmod 711 "$src/modes/folder 711"
deep=$src/deep
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
	deep=$deep/level-$n
	mkdir -p "$deep"
	make_file "$deep/file" $((n * 1000))
done
make_file "$src/large" 5000000
truncate -s 10M "$src/hole"
touch -d '1969-12-31 23:59:58.999999999 UTC' "$src/modes/400"
touch -h -d '2003-03-03 03:03:03.333333333 UTC' "$src/links/dangling"
touch -d '2004-04-04 04:04:04.444444444 UTC' "$src/empty folder" "$src/links"

for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$pub" read-write
	need_daemon -c "$tmp/xferd.ini"
	url=xfer://$daemon_address/pub
	run "$xfer" put "$src" "$url/new-$workers"
	is "$status" 0 "workers=$workers: status"
	is "$(cat "$err")" "" "workers=$workers: nothing to say"
	check "workers=$workers: the tree is the same" same_tree "$src" "$pub/new-$workers"
	is "$(leftovers "$pub")" "" "workers=$workers: nothing hidden is left"
	check "workers=$workers: the daemon logs a line of it" wait_line "$daemon_log" \
		"transfer peer=127.* verb=put file=pub/new-$workers files=[0-9]+ .* failed=0 .*result=ok"
	run "$xfer" put -q --integrity crc32 --set pipeline.chunk-size=1K "$src" "$url/new-$workers"
	is "$status" 0 "workers=$workers: into a folder that is there: status"
	check "workers=$workers: it lands below it" same_tree "$src" "$pub/new-$workers/src"
	rm -rf "$pub/new-$workers"
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
done
workers=1
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub

# ---- into what is there ----

rm -rf "${pub:?}"/*
small=$tmp/small
mkdir -p "$small/both" "$small/ours" "$pub/small/both" "$pub/small/theirs"
echo new >"$small/both/file"
echo new >"$small/ours/file"
ln -s new "$small/both/link"
echo old >"$pub/small/both/file"
echo old >"$pub/small/both/kept"
echo old >"$pub/small/both/link"
echo old >"$pub/small/theirs/file"
chmod 750 "$small/both"
run "$xfer" put "$small" "$url"
is "$status" 0 "into a tree that is there: status"
is "$(cat "$pub/small/both/file" "$pub/small/both/kept" "$pub/small/ours/file" "$pub/small/theirs/file")" \
	"$(printf 'new\nold\nnew\nold')" "into a tree that is there: the new is new, the rest is as it was"
is "$(readlink "$pub/small/both/link")" new "into a tree that is there: a link replaces a file"
is "$(stat -c %a "$pub/small/both")" 750 "into a tree that is there: a folder has the new mode"

# What is in a folder, without its name: into the export, whose own mode is the administrator's.
chmod 700 "$pub"
chmod 755 "$small"
(cd "$small" && run "$xfer" put . "$url" && exit "$status")
is $? 0 "what is in a folder, into the export: status"
check "what is in a folder, into the export: is there" cmp "$pub/ours/file" "$small/ours/file"
is "$(stat -c %a "$pub")" 700 "what is in a folder, into the export: which keeps its mode"
run "$xfer" put "$small/." "$url/fresh"
is "$status" 0 "what is in a folder, to a new name: status"
check "what is in a folder, to a new name: the same tree" same_tree "$small" "$pub/fresh"
run "$xfer" put "$small/ours/.." "$url/fresh"
is "$status" 0 "a path that ends with ..: status"
check "a path that ends with ..: nothing of such a name" same_tree "$small" "$pub/fresh"

# What does not fit what is there.
echo old >"$pub/file"
run "$xfer" put "$small" "$url/file"
is "$status" 7 "a tree over a file: status"
is "$(cat "$pub/file")" old "a tree over a file: which is as it was"
run "$xfer" put "$small/both/file" "$url/small/theirs"
mkdir "$pub/both/file.d"
cp "$small/both/file" "$small/both/file.d"
run "$xfer" put "$small/both/file.d" "$url/both"
is "$status" 7 "a file over a folder: status"
check "a file over a folder: which is as it was" test -d "$pub/both/file.d"
rm "$small/both/file.d"

# ---- links ----

ln -s both "$small/to-both"
run "$xfer" put "$small/to-both" "$url/kept-link"
is "$status" 0 "a link as such: status"
is "$(readlink "$pub/kept-link")" both "a link as such: is a link"
run "$xfer" put "$small/to-both/" "$url/followed"
is "$status" 0 "a link with a slash: status"
check "a link with a slash: is what it leads to" same_tree "$small/both" "$pub/followed"
rm "$small/to-both"

# ---- what cannot be represented ----

mkdir "$src/special"
echo x >"$src/special/file"
mkfifo "$src/special/pipe"
perl -MSocket -e 'socket my $s, AF_UNIX, SOCK_STREAM, 0 or die; chdir shift; bind $s, sockaddr_un("socket") or die' \
	"$src/special" || bail_out "cannot make a socket"
run "$xfer" put "$src/special" "$url/special"
is "$status" 1 "special files: status"
like_file "$err" 'special/pipe: skipped' "the pipe is named"
like_file "$err" 'special/socket: skipped' "the socket is named"
like_file "$out" '^skipped 2, failed 0' "they are counted"
is "$(ls "$pub/special")" file "all else is there"
run "$xfer" put "$src/special/pipe" "$url/pipe"
is "$status" 1 "a special file by itself: status"
check "and nothing is made" test ! -e "$pub/pipe"

# ---- what may not be read ----

mkdir -p "$src/secret/folder"
echo x >"$src/secret/file"
echo x >"$src/secret/open"
chmod 000 "$src/secret/file" "$src/secret/folder"
if unprivileged true 2>/dev/null; then
	run unprivileged "$xfer" put "$src/secret" "$url/secret"
	is "$status" 7 "unreadable: status"
	like_file "$err" 'secret/file.*ermission' "an unreadable file is named, with the cause"
	like_file "$err" 'secret/folder.*ermission' "so is an unreadable folder"
	check "all else is there" cmp "$pub/secret/open" "$src/secret/open"
	check "and nothing of the file" test ! -e "$pub/secret/file"
else
	skip "unreadable: status" "capabilities cannot be dropped here"
fi
chmod -R u+rwx "$src/secret"
stop_daemon
is "$daemon_status" 0 "stops"

done_testing
