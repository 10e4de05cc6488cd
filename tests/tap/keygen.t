#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xfer keygen: a key of 256 bits, in a file of its own that nobody else can read, never over another one.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

cd "$tmp" || bail_out "no folder"
umask 000
run "$xfer" keygen laptop
is "$status" 0 "makes a key"
is "$(stat -c %a laptop.key)" 600 "in NAME.key, for its owner alone, whatever the umask"
like "$(cat laptop.key)" '^laptop:[0-9a-f]{64}$' "a line with its name and 256 bits"
is "$(wc -l <laptop.key)" 1 "and nothing else"
secret=$(sed 's/.*://' laptop.key)
unlike "$(cat "$out" "$err")" "$secret" "the key itself is not shown"
like_file "$out" "^  key-file = $tmp/laptop.key\$" "what to write into xfer.ini: the absolute path"
like_file "$out" '^  listen = tls://' "... on the daemon's side"
like_file "$out" '^  transport = tls' "... and on the client's"

cp laptop.key before
run "$xfer" keygen laptop
is "$status" 7 "a key is never overwritten: status"
like_file "$err" 'laptop.key" is there already' "... which is said"
check "... and it is what it was" cmp before laptop.key
ln -s nowhere link.key
run "$xfer" keygen link
is "$status" 7 "nor is a link followed"
check "... to anywhere" test ! -e nowhere

run "$xfer" keygen -o other.file bob@example.org
is "$status" 0 "-o names the file"
like "$(cat other.file)" '^bob@example\.org:[0-9a-f]{64}$' "a name with a host in it"
is "$(cut -d : -f 2 laptop.key other.file | sort -u | wc -l)" 2 "each key is another"
umask 777
run "$xfer" keygen -o masked.file m
is "$status:$(stat -c %a masked.file)" 0:600 "a umask that forbids everything changes nothing"
umask 022

run "$xfer" keygen -o - carol
is "$status" 0 "-o - prints the line"
like "$(cat "$out")" '^carol:[0-9a-f]{64}$' "... and only that"
run "$xfer" keygen --json -o json.file dave
is "$(cat "$out")" "{\"type\":\"key\",\"name\":\"dave\",\"file\":\"$tmp/json.file\",\"bits\":256}" "--json"
run "$xfer" keygen -q -o quiet.file
is "$status:$(cat "$out")" 0: "-q says nothing"
like "$(cat quiet.file)" '^[A-Za-z0-9._-]+:[0-9a-f]{64}$' "without a name it is the machine's"

for name in 'a b' 'a:b' 'a,b' 'a/b' "$(printf '%0129d' 0)"; do
	run "$xfer" keygen -o wrong.file "$name"
	is "$status" 2 "no name: '$(printf %.20s "$name")'"
done
run "$xfer" keygen ''
is "$status" 2 "no name: an empty one"
check "and nothing is made" test ! -e wrong.file
run "$xfer" keygen -o missing/folder/key
is "$status" 7 "a folder that is not there: status"
like_file "$err" 'cannot make "missing/folder/key": No such file' "... and cause"
if [ -w /dev/full ]; then
	run "$xfer" keygen -o /dev/full
	is "$status" 7 "a device is no new file"
fi
done_testing
