#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What `xfer` says to a command line or a configuration that is wrong: one line on standard error, nothing on standard output, status
# 2; and what it prints when it is asked for help.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

# refused ERE ARGUMENTS...: status 2, and one line that matches.
refused() {
	wanted=$1
	shift
	run "$xfer" "$@"
	if [ "$status" = 2 ] && [ ! -s "$out" ] && [ "$(wc -l <"$err")" -eq 1 ] && grep -Eq -e "^xfer: .*$wanted" "$err"; then
		ok "refused: xfer $*"
	else
		not_ok "refused: xfer $*" "status $status, wanted: $wanted"
		diag_file "$out"
		diag_file "$err"
	fi
}

# ---- the command line ------------------------------------------------------------------------------------------------

refused 'xfer --help'
refused "no verb 'fetch'; verbs are get, put, verify, ls, ping, digest, plugins, clean" fetch
refused "put: .*xfer put SRC xfer://HOST/EXPORT/PATH" put xfer://host/pub
refused "put: the destination 'folder' is no URL" put file folder
refused "put: the source 'xfer://host/a' is a URL" put xfer://host/a xfer://host/pub
refused "names no export" put file xfer://host/
refused 'a verb comes first' xfer://host/pub/file .
refused 'there is no option --nonsense' --nonsense
refused 'get: there is no option -x' get -x xfer://host/pub/file .
refused 'get: option -R belongs to .xfer ls.' get -R xfer://host/pub/file .
refused 'option -R belongs to .xfer ls. and stands behind it' -R ls xfer://host/pub
refused 'option --set needs a value' ls xfer://host/pub --set
refused 'takes no value' ls --json=yes xfer://host/pub
refused 'SECTION.KEY=VALUE' ls xfer://host/pub --set nonsense
refused '--streams 65: it takes a number' get --streams 65 xfer://host/pub/file .
refused '--streams 0: it takes a number' get --streams 0 xfer://host/pub/file .
refused '--limit-rate fast: it takes bytes a second' get --limit-rate fast xfer://host/pub/file .
refused '--count 0' ping -c 0 host
refused '--interval soon' ping -i soon host
refused '--chunk-size 32M: it takes a size from 1K to 16M' digest --chunk-size 32M file

refused 'get: write where from and where to' get
refused 'get: write where from and where to' get xfer://host/pub/file
refused 'ls: write what to list' ls
refused "ls: 'b' is one too many" ls a b
refused 'ping: write whom to ask' ping
refused 'digest: write which files' digest
refused 'is one too many' plugins a b
refused 'argument 1 is empty' ls ''

# ---- URLs ------------------------------------------------------------------------------------------------------------

refused "get: 'host/file' is not a URL: write xfer://HOST/EXPORT/PATH" get host/file .
refused 'get: .* is not a URL' get http://host/pub/file .
refused 'names no export' get xfer://host/ .
refused 'the destination .* is a URL' get xfer://host/pub/file xfer://host/pub/other
refused '%2F cannot be part of a name' get xfer://host/pub/a%2Fb .
refused '%00 cannot be part of a name' ls xfer://host/pub/a%00b
refused 'write %25 for a percent sign' ls xfer://host/pub/100%
refused 'the port .* is not a number' ls xfer://host:port/pub
refused 'stands in brackets' ls xfer://::1/pub
refused 'password' ls xfer://me:secret@host/pub
unlike "$(cat "$err")" secret "a password is not repeated"
refused 'ping: .* is not a host' ping /tmp

# A word that would act on the terminal is shown, not obeyed.
run "$xfer" "$(printf 'a\033[2Jb\nc')"
is "$status" 2 "a verb of control characters is refused"
is "$(wc -l <"$err")" 1 "... in one line"
like "$(cat "$err")" '\\x1b\[2Jb\\x0ac' "... that shows them"

# ---- the configuration -----------------------------------------------------------------------------------------------

refused "$tmp/missing.ini: No such file" -c "$tmp/missing.ini" plugins
printf '[core]\nthreads = auto\ncolour = red\n' >"$tmp/unknown.ini"
refused "$tmp/unknown.ini:3: .*colour" -c "$tmp/unknown.ini" plugins
refused 'chunk-size' --set pipeline.chunk-size=17M plugins
refused 'colour' plugins --set core.colour=red
mkdir -p "$HOME/.config/xfer"
cp "$tmp/unknown.ini" "$HOME/.config/xfer/xfer.ini"
refused "$HOME/.config/xfer/xfer.ini:3: .*colour" plugins
run "$xfer" -c /dev/null plugins
is "$status" 0 "with -c the user's configuration is not read"
rm "$HOME/.config/xfer/xfer.ini"

# ---- help and output -------------------------------------------------------------------------------------------------

for words in --help 'get --help' 'ls --help' 'ping --help' 'digest --help' 'plugins --help' '--help get' '--version'; do
	# shellcheck disable=SC2086
	run "$xfer" $words
	is "$status" 0 "xfer $words"
	check "... on standard output" test -s "$out"
	check "... alone" test ! -s "$err"
done
run "$xfer" --version
like "$(cat "$out")" '^xfer [0-9]+\.[0-9]+' "the version"
run "$xfer" -- digest -- --help
is "$status" 7 "behind -- everything is an operand"
like "$(cat "$err")" 'xfer: .*--help.*: No such file or directory' "... even --help"

run "$xfer" --json ls nonsense
is "$status" 2 "--json: a usage error"
like "$(cat "$out")" '^\{"type":"error","status":2,"cause":"usage","text":"ls: .*nonsense.*"\}$' "... is an object on standard output"
like "$(cat "$err")" '^xfer: ls: ' "... and a line on standard error"
run "$xfer" ls --json --nonsense
like "$(cat "$out")" '^\{"type":"error","status":2' "... where the option itself was not reached, too"

if [ -w /dev/full ]; then
	status=0
	"$xfer" --help >/dev/full 2>"$err" || status=$?
	is "$status" 7 "a full disk behind standard output is an error"
	like "$(cat "$err")" 'xfer: cannot write to standard output' "... that is told"
else
	skip "a full disk behind standard output is an error" "there is no /dev/full"
fi
status=0
"$xfer" plugins >&- 2>&- <&- || status=$?
is "$status" 0 "standard descriptors that are closed do no harm"

done_testing
