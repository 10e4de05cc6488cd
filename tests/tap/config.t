#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# A mistake in the configuration: both programs name file and line and end with 2, and nothing was started. What is right is
# what --dump-config prints, and it prints what it reads.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

ini=$tmp/xfer.ini
mkdir "$tmp/pub"
echo content >"$tmp/pub/file"

# refused NAME LINE ERE: the configuration on standard input is.
refused() {
	cat >"$ini"
	for program in "$xferd --check-config" "$xferd" "$xfer digest $tmp/pub/file"; do
		label=$(echo "${program#"$top_builddir/"}" | cut -d ' ' -f 1-2)
		# A daemon that starts nonetheless is ended by patience.
		# shellcheck disable=SC2086
		run timeout "$patience" ${program%% *} -c "$ini" ${program#"${program%% *}"}
		if [ "$status" = 2 ] && [ ! -s "$out" ] && grep -Eq -e "$ini:$2: .*$3" "$err" &&
			! grep -q 'listening on' "$err"; then
			ok "$1 ($label)"
		else
			not_ok "$1 ($label)" "status $status, wanted 2 and $ini:$2: .*$3"
			diag_file "$out"
			diag_file "$err"
		fi
	done
}

refused "an unknown section" 1 'unknown section \[demon\]' <<-END
	[demon]
	workers = 1
END
refused "an unknown key" 3 "unknown key 'worker'" <<-END
	[daemon]
	listen = 127.0.0.1:0
	worker = 1
END
refused "a key that is there twice" 4 "'workers' is there twice" <<-END
	[daemon]
	workers = 1
	listen = 127.0.0.1:0
	workers = 1
END
refused "a section that is there twice" 4 'the section \[daemon\] is there twice' <<-END
	[daemon]
	workers = 1
	[core]
	[daemon]
END
refused "an over-long line" 2 'longer than [0-9]+ bytes' <<-END
	[daemon]
	listen = 127.0.0.1:0 ; $(printf '%0300d' 0)
END
refused "a value out of range" 2 'chunk-size = 32M: out of range, it is 1K to 16M' <<-END
	[pipeline]
	chunk-size = 32M
END
refused "a value that is none" 2 'workers = many: not a whole number' <<-END
	[daemon]
	workers = many
END
refused "an export without a path" 1 'export.pub\] has no path' <<-END
	[export.pub]
	access = read-only
END
refused "what is no line of a configuration" 2 'neither' <<-END
	[daemon]
	workers
END
refused "an unknown key of a plug-in" 5 "unknown key 'colour'" <<-END
	[daemon]
	listen = 127.0.0.1:0

	[transport.tcp]
	colour = red
END
refused "a bad value of a plug-in" 2 'interval = fast: not a duration' <<-END
	[liveness.udp]
	interval = fast
END

run "$xferd" --check-config -c "$tmp/nowhere.ini"
is "$status" 2 "a file that is not there"
like_file "$err" "$tmp/nowhere.ini" "... is named"
run "$xferd" --check-config -c "$ini" --set daemon.workers=0
is "$status" 2 "a bad --set"
like_file "$err" '--set' "... is named"

# ---- what is right ---------------------------------------------------------------------------------------------------

write_config "$ini" "$tmp/pub" read-write
run "$xferd" --check-config -c "$ini"
is "$status" 0 "a good file passes --check-config"

run "$xferd" --dump-config -c "$ini" --set daemon.workers=3 --set pipeline.chunk-size=4096
is "$status" 0 "--dump-config"
like_file "$out" '^workers = 3$' "... shows what --set set"
like_file "$out" '^chunk-size = 4K$' "... in the form of the file"
like_file "$out" '^access = read-write$' "... and what the file says"
like_file "$out" "^plugin-dir = $top_builddir/plugins/\.libs$" "... and the plug-ins of the build tree"
cp "$out" "$tmp/dumped.ini"
run "$xferd" --dump-config -c "$tmp/dumped.ini"
check "what was dumped says the same" cmp "$tmp/dumped.ini" "$out"

run "$xferd" --check-config -c "$top_builddir/etc/xfer.ini" --set "export.pub.path=$tmp/pub"
is "$status" 0 "the sample passes --check-config"
[ "$status" = 0 ] || diag_file "$err"

done_testing
