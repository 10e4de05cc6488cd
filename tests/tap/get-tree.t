#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer get of trees: names of any bytes, links, modes, times, holes, and what cannot be represented.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
command -v perl >/dev/null || skip_all "there is no perl"

# ---- a tree with everything that is kept ----

long=$(printf '%0255d' 0)
pub=$tmp/pub
mkdir "$pub" "$pub/empty folder" "$pub/modes" "$pub/links" "$pub/$long"
: >"$pub/empty file"
echo long >"$pub/$long/$long"
# Every byte but NUL and slash, newline and such as are no UTF-8 among them.
perl -e '
	chdir shift or die;
	mkdir "names" or die;
	for (1 .. 255) {
		my $name = chr $_;
		next if $name =~ m{[/.]};
		for my $full ("names/$name", "names/in $name middle", "names/$name/") {
			if ($full =~ m{/\z}) {
				mkdir "names/folder $name" or die "$_: $!";
				next;
			}
			open my $file, ">", $full or die "$_: $!";
			print $file "file $_\n";
		}
	}
	open my $file, ">", "names/-rf" or die;
	symlink "to\n\xff\x01", "links/any bytes" or die;
	symlink "x" x 4095, "links/longest" or die;
' "$pub" || bail_out "cannot make the tree"
echo inside >"$pub/links/file"
ln -s file "$pub/links/relative"
ln -s nowhere/at/all "$pub/links/dangling"
ln -s /etc/passwd "$pub/links/absolute"
ln -s ../../../../.. "$pub/links/outwards"
ln -s . "$pub/links/circle"
ln -s "../empty folder" "$pub/links/folder"
for mode in 400 600 644 755 700 444 777; do
	echo $mode >"$pub/modes/$mode"
	chmod $mode "$pub/modes/$mode"
	mkdir "$pub/modes/folder $mode"
	echo $mode >"$pub/modes/folder $mode/file"
	[ $mode = 600 ] || [ $mode = 644 ] || [ $mode = 444 ] || [ $mode = 400 ] || chmod $mode "$pub/modes/folder $mode"
done
chmod 555 "$pub/modes/folder 400"
# A chain of folders.
deep=$pub/deep
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
	deep=$deep/level-$n
	mkdir -p "$deep"
	make_file "$deep/file" $((n * 1000))
done
touch -d '1969-12-31 23:59:58.999999999 UTC' "$pub/modes/400"
touch -d '2038-01-19 03:14:08.000000001 UTC' "$pub/modes/600"
touch -h -d '2003-03-03 03:03:03.333333333 UTC' "$pub/links/dangling"
touch -d '2004-04-04 04:04:04.444444444 UTC' "$pub/empty folder" "$pub/links"

workers=1
for workers in 1 3; do
	write_config "$tmp/xferd.ini" "$pub"
	need_daemon -c "$tmp/xferd.ini"
	run "$xfer" get "xfer://$daemon_address/pub" "$tmp/got-$workers"
	is "$status" 0 "workers=$workers: status"
	is "$(cat "$err")" "" "workers=$workers: nothing to say"
	check "workers=$workers: the tree is the same" same_tree "$pub" "$tmp/got-$workers"
	is "$(leftovers "$tmp")" "" "workers=$workers: nothing hidden is left"
	run "$xfer" get -q --integrity crc32 --set pipeline.chunk-size=1K "xfer://$daemon_address/pub" "$tmp/got-$workers"
	is "$status" 0 "workers=$workers: a second time, into it: status"
	check "workers=$workers: which is a tree within" same_tree "$pub" "$tmp/got-$workers/pub"
	rm -rf "$tmp/got-$workers/pub"
	stop_daemon
	is "$daemon_status" 0 "workers=$workers: stops"
done

need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
run "$xfer" get "$url/modes" "$tmp/unprivileged-source"
is "$status" 0 "status"

# ---- setuid and setgid ----

mkdir "$pub/bits"
echo x >"$pub/bits/file"
chmod 6755 "$pub/bits/file"
run "$xfer" get "$url/bits" "$tmp/bits"
is "$(stat -c %a "$tmp/bits/file")" 755 "setuid and setgid are not taken over"
rm -r "$pub/bits"

# ---- a single link ----

run "$xfer" get "$url/links/dangling" "$tmp/a-link"
is "$status" 0 "a single link: status"
is "$(readlink "$tmp/a-link")" nowhere/at/all "a single link is kept as a link"

# ---- what cannot be represented ----

mkdir "$pub/special"
echo x >"$pub/special/file"
mkfifo "$pub/special/pipe"
perl -MSocket -e 'socket my $s, AF_UNIX, SOCK_STREAM, 0 or die; chdir shift; bind $s, sockaddr_un("socket") or die' \
	"$pub/special" || bail_out "cannot make a socket"
run "$xfer" get "$url/special" "$tmp/special"
is "$status" 1 "special files: status"
like_file "$err" 'special/pipe' "the pipe is named"
like_file "$err" 'special/socket' "the socket is named"
like_file "$out" '^skipped 2, failed 0' "they are counted"
is "$(ls "$tmp/special")" file "all else is there"
run "$xfer" get "$url/special/pipe" "$tmp/pipe"
is "$status" 1 "a special file by itself: status"
check "and nothing is made" test ! -e "$tmp/pipe"
if mknod "$pub/special/device" c 1 5 2>/dev/null; then
	run "$xfer" get "$url/special" "$tmp/special"
	like_file "$err" 'special/device' "a device is named"
	rm "$pub/special/device"
else
	skip "a device is named" "none can be made here"
fi
stop_daemon

# ---- what the daemon may not read ----

mkdir -p "$pub/secret/folder"
echo x >"$pub/secret/file"
echo x >"$pub/secret/open"
echo x >"$pub/secret/folder/file"
chmod 000 "$pub/secret/file" "$pub/secret/folder"
real=$xferd
cat >"$tmp/xferd" <<-END
	#!/bin/sh
	$(command -v setpriv >/dev/null && [ "$(id -u)" = 0 ] &&
	echo exec setpriv --bounding-set=-dac_override,-dac_read_search "'$real'" '"$@"' || echo "exec '$real'" '"$@"')
END
chmod +x "$tmp/xferd"
xferd=$tmp/xferd
need_daemon -c "$tmp/xferd.ini"
url=xfer://$daemon_address/pub
xferd=$real
run "$xfer" get "$url/secret" "$tmp/secret"
is "$status" 4 "unreadable: status"
like_file "$err" 'secret/file.*ermission' "an unreadable file is named, with the cause"
like_file "$err" 'secret/folder.*ermission' "so is an unreadable folder"
check "all else is there" cmp "$tmp/secret/open" "$pub/secret/open"
check "and nothing of the file" test ! -e "$tmp/secret/file"
stop_daemon
is "$daemon_status" 0 "stops"
chmod -R u+rwx "$pub/secret"

done_testing
