#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Power losses: no torn file under a final name, nothing that was said to be done is lost, and the same command completes
# what was left. Of each transfer some moments, others with XFER_POWER_SEED=N; `make check-faults-power` tries all.
# XFER_POWER_SAVE=DIR keeps disk and record of what fails; XFER_POWER_FS="xfs" and XFER_POWER_SUBSETS=N make that shorter.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"
. "$top_srcdir/tests/tap/power.sh"
power_namespace "$0" "$@"

seed=${XFER_POWER_SEED:-1}
long=${XFER_POWER-}
# More than a chunk, more than a sync.
large_size=12000000
window=1048576 # sync-window
options="--set pipeline.chunk-size=64K --set pipeline.sync-window=$window --set pipeline.integrity=sha256"

# ---- sources, and what is there before -------------------------------------------------------------------------------

src=$tmp/src
before=$tmp/before
mkdir -p "$src/over" "$src/new/tree/sub/deep" "$src/merge/tree/sub/empty" "$src/merge/tree/made/deep" \
	"$before/over" "$before/new" "$before/merge/tree/sub"
make_file "$src/over/file" 1500000
make_file "$before/over/file" 900000
mkdir "$src/large" "$before/large"
make_file "$src/large/file" $large_size
make_file "$src/new/tree/large" 700000
for n in 1 2 3 4 5; do
	make_file "$src/new/tree/small$n" $((n * 3000))
	make_file "$src/new/tree/sub/deep/small$n" $((n * 500))
done
: >"$src/new/tree/sub/empty"
ln -s small1 "$src/new/tree/link"
chmod 750 "$src/new/tree/sub"
for n in 1 2 3 4 5 6 7 8; do
	make_file "$src/merge/tree/$n" $((n * 2000))
	make_file "$src/merge/tree/sub/$n" $((n * 700))
	[ $n -gt 4 ] || make_file "$before/merge/tree/$n" $((n * 1500))
	[ $n -le 4 ] || make_file "$before/merge/tree/sub/$n" 100
done
make_file "$before/merge/tree/sub/other" 5000
make_file "$src/merge/tree/made/deep/file" 4000
ln -s sub/1 "$src/merge/tree/link"
ln -s old "$before/merge/tree/link"
ln -s nowhere "$src/merge/tree/made/link"

# The same size, and some of it another content: of an older version, or by damage that nobody sees in size and time.
mkdir "$src/update" "$before/update" "$src/repair" "$before/repair"
for name in update repair; do
	make_file "$src/$name/file" 600000
	cp -p "$src/$name/file" "$before/$name/file"
	make_file "$tmp/damage" 100000
	dd if="$tmp/damage" of="$before/$name/file" bs=1000 seek=250 conv=notrunc status=none
done
touch -d '2001-02-03 04:05:06 UTC' "$before/update/file"
touch -r "$src/repair/file" "$before/repair/file"

# sums DIR: a line for each file of it that has a name of the user's.
sums() {
	(cd "$1" && find . -name '.xfer-*' -prune -o -name lost+found -prune -o -type f -print0 | xargs -0r sha256sum)
}
# entries DIR NAME: a line for each entry that a transfer has to make there, with all but content.
entries() {
	case $2 in
	over | large | update | repair) list_tree "$1/$2" | tr '\0' '\n' | grep '^\./file ' ;;
	*) list_tree "$1/$2/tree" | tr '\0' '\n' | grep -v '^\./sub/other ' ;;
	esac | grep -v '/\.xfer-'
}
sums "$before" >"$tmp/sums-before"
for name in over new merge large update repair; do
	(cd "$src" && find "./$name" -type f -print0 | xargs -0r sha256sum) >"$tmp/sums-$name"
	entries "$src" $name >"$tmp/entries-$name"
done

# ---- one transfer ----------------------------------------------------------------------------------------------------

nosync=$top_builddir/tests/preload/.libs/nosync.so
without= # which syncs the side that writes leaves out
if sanitized; then
	# A sanitizer's library wants to be the first of all; one that is in the program itself lets nobody in front.
	sanitizer=$(ldd "$xfer" | sed -n 's/.*=> \(.*lib[at]san\.so[^ ]*\).*/\1/p' | head -n 1)
	nosync=${sanitizer:+$sanitizer:$nosync}
fi
# The program of the side that writes, as `without` has it.
for program in xfer xferd; do
	cat >"$tmp/$program-sink" <<-END
		#!/bin/sh
		[ -z "\$XFER_TEST_NOSYNC" ] || export LD_PRELOAD="$nosync"
		exec "$top_builddir/$program" "\$@"
	END
	chmod +x "$tmp/$program-sink"
done

# transfer VERB NAME [OPTIONS...]: brings src/NAME onto the disk. A put is to a daemon there.
transfer() {
	transfer_verb=$1
	transfer_to=$2
	shift 2
	case $transfer_to in
	over | large | update | repair) transfer_what=$transfer_to/file ;;
	*) transfer_what=$transfer_to/tree ;;
	esac
	case $transfer_verb-$transfer_to in
	*-update) set -- --update "$@" ;;
	get-repair) set -- --repair "$@" ;;
	put-repair) set -- --update --checksum "$@" ;;
	esac
	# shellcheck disable=SC2086
	if [ "$transfer_verb" = get ]; then
		XFER_TEST_NOSYNC=$without "$tmp/xfer-sink" get --json $options "$@" "xfer://$get_address/pub/$transfer_what" "$disk/$transfer_to"
	else
		"$xfer" put --json $options "$@" "$src/$transfer_what" "xfer://$put_address/pub/$transfer_to"
	fi
}

# There is a daemon for puts as long as the disk is mounted. Always at the same address, which makes it the same command;
# one that nobody else would take.
put_address=
sink_begin() {
	[ "$1" = put ] || return 0
	xferd=$tmp/xferd-sink
	XFER_TEST_NOSYNC=$without
	export XFER_TEST_NOSYNC
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/put.ini" $options --set "daemon.listen=${put_address:-127.15.$(($$ / 250 % 250)).$(($$ % 250 + 1)):0}"
	XFER_TEST_NOSYNC=
	put_address=$daemon_address
	put_pid=$daemon_pid
}
sink_end() {
	[ "$1" = put ] || return 0
	kill -TERM "$put_pid"
	wait "$put_pid"
}

# record_transfer VERB NAME: what the disk is told by a transfer. Each line that the client prints is a mark.
record_transfer() {
	disk_begin || bail_out "$(cat "$tmp/blockfs.err")"
	sink_begin "$1"
	transfer "$1" "$2" 2>"$tmp/record.err" | while IFS= read -r line; do
		mark "$line"
	done
	sink_end "$1"
	disk_end
}

said_done() {
	grep -aq '"type":"summary","status":0,' "$1"
}

# judge NAME: what is wrong with the disk after a loss, a line each; nothing when all is well.
judge() {
	judge_tree=
	[ "$1" != new ] || [ ! -e "$disk/new/tree" ] || judge_tree=there
	sums "$disk" >"$tmp/sums-there"
	# Of a tree that gets its name at the end, no file is done before.
	awk -v name="$1" -v tree="$judge_tree" '
		FILENAME ~ /sums-before$/ { old[$2] = $1; next }
		FILENAME ~ /sums-there$/ { there[$2] = $1; next }
		FILENAME ~ /told$/ {
			if ($0 ~ /"type":"summary","status":0,/)
				all = 1
			if (name != "new" && match($0, /"type":"file","path":"[^"]*"/)) {
				path = substr($0, RSTART + 22, RLENGTH - 23)
				told["./" name "/" (name == "merge" ? "tree/" : "") path] = 1
			}
			next
		}
		{ new[$2] = $1 }
		END {
			for (path in new) {
				done = all || path in told
				if (path in there && there[path] == new[path])
					continue
				if (path in there && path in old && there[path] == old[path]) {
					if (done)
						print "done, and the old version is there: " path
				} else if (path in there)
					print "torn: " path
				else if (path in old)
					print "gone: " path
				else if (done)
					print "done and lost: " path
				else if (tree != "")
					print "missing in a tree with its final name: " path
			}
			for (path in old)
				if (!(path in new) && there[path] != old[path])
					print "changed: " path
			for (path in there)
				if (!(path in new) && !(path in old))
					print "whoever made this: " path
		}' "$tmp/sums-before" "$tmp/sums-there" "$told" "$tmp/sums-$1"
	# Modes, times, links and folders. (A later run is writing into them.)
	if [ "$judge_tree" = there ] && [ "$row_loss" = 1 ] || said_done "$told_now"; then
		entries "$disk" "$1" >"$tmp/entries-there"
		diff "$tmp/entries-$1" "$tmp/entries-there" | sed -n 's/^[<>]/entry: &/p'
	fi
}

# again VERB NAME: the same command completes it.
again() {
	sink_begin "$1"
	transfer "$1" "$2" >"$tmp/again.out" 2>"$tmp/again.err" || echo "again: status $?: $(cat "$tmp/again.err")"
	sink_end "$1"
	echo '"type":"summary","status":0,' >"$told"
	cp "$told" "$told_now"
	judge "$2" | sed 's/^/again: /'
	leftovers "$disk" | sed 's/^/again: left over: /'
}

row_loss=1 # how many there are of the same command
past=$tmp/past         # what a user was told before this record
told_now=$tmp/told-now # and in it
: >"$past"

# try_points VERB NAME [again]: the moments in $tmp/points; what is wrong, behind its moment, into $tmp/wrong.
try_points() {
	: >"$tmp/wrong"
	while read -r point <&3; do
		power_loss "$point"
		cp "$told" "$told_now"
		cat "$past" >>"$told"
		if power_back 2>"$tmp/findings"; then
			judge "$2" >"$tmp/findings" 2>&1
			[ -z "${3-}" ] || again "$1" "$2" >>"$tmp/findings" 2>&1
			power_gone
		else
			echo "cannot be mounted" >>"$tmp/findings"
		fi
		sed "s/^/$point: /" "$tmp/findings" >>"$tmp/wrong"
	done 3<"$tmp/points"
}

# row VERB NAME LOSSES: the same command again and again, each time until a moment at which the power is lost; and after the
# last the same has to be true as after one. What a user was told before counts.
row() {
	row_base=$base
	: >"$past"
	for row_loss in $(seq "$3"); do
		record_transfer "$1" "$2"
		power_points 4 2 $((seed + row_loss)) >"$tmp/points"
		[ "$row_loss" -lt "$3" ] || break
		power_loss "$(awk -v seed=$((seed + row_loss)) \
			'BEGIN { srand(seed) } rand() * NR < 1 { point = $0 } END { print point }' "$tmp/points")"
		cat "$told" >>"$past"
		base=$tmp/memory/row$row_loss
		cp --sparse=always "$tmp/memory/image" "$base"
	done
	try_points "$1" "$2" again
	base=$row_base
	row_loss=1
	rm -f "$tmp/memory/row"*
	: >"$past"
	what="$1, $2, $power_fs: $3 losses in a row, the last at $(wc -l <"$tmp/points") moments"
	if [ ! -s "$tmp/wrong" ]; then
		ok "$what"
	else
		not_ok "$what" "seed $seed"
		diag_file "$tmp/wrong"
		diag_file "$tmp/record.err"
	fi
}

# holds VERB NAME SUBSETS KEEP: as power_points has the last two.
holds() {
	record_transfer "$1" "$2"
	power_points "$3" "$4" "$seed" >"$tmp/points"
	try_points "$1" "$2" again
	what="$1, $2, $power_fs $(power_options): $(wc -l <"$tmp/points") moments of $("$replay" sum "$record")"
	if [ ! -s "$tmp/wrong" ] && said_done "$record"; then
		ok "$what"
	else
		not_ok "$what" "seed $seed"
		diag_file "$tmp/wrong"
		diag_file "$tmp/record.err"
		[ -z "${XFER_POWER_SAVE-}" ] || cp "$base" "$record" "$XFER_POWER_SAVE"
	fi
}

# notices VERB NAME WHICH ERE: the same with syncs that do nothing has to be found wrong.
notices() {
	if sanitized && [ -z "$sanitizer" ]; then
		skip "syncs that are missing" "the sanitizer is in the program, so that no library comes before it"
		return
	fi
	without=$3
	record_transfer "$1" "$2"
	without=
	power_points 4 1 "$seed" >"$tmp/points"
	try_points "$1" "$2"
	if said_done "$record"; then
		like_file "$tmp/wrong" "$4" "$1, $2, $power_fs: without syncs ($3) the test fails"
	else
		not_ok "$1, $2: without syncs ($3)" "$(cat "$tmp/record.err")"
	fi
}

# written: how many bytes there are of what has no final name yet. (Blocks would not do: xfs takes more in advance.)
written() {
	find "$disk/large" -name '.xfer-*' ! -name '*.j' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}
enough_written() {
	[ "$(written)" -ge 6000000 ]
}
flushes() {
	"$replay" sum "$record" | sed 's/.* \([0-9]*\) flushes.*/\1/'
}
# A sync that began before has ended, and another one, however slow the disk is; or the file is complete.
synced_since() {
	[ "$(flushes)" -ge $(($1 + 8)) ] || [ -e "$disk/large/file" ]
}

# lose_in_middle VERB RATE: a loss in the middle of a large file, when the disk has nothing but what was flushed. Fails when
# it came too late, and all of it was there.
lose_in_middle() {
	disk_begin || bail_out "$(cat "$tmp/blockfs.err")"
	sink_begin "$1"
	transfer "$1" large --limit-rate "$2" >"$tmp/record.out" 2>"$tmp/record.err" &
	costs_pid=$!
	remember $costs_pid
	await enough_written
	before_loss=$(written)
	await synced_since "$(flushes)"
	mark end # what comes now is not replayed
	wait $costs_pid
	sink_end "$1"
	disk_end
	power_loss "$("$replay" flushed "$record")"
	power_back || bail_out "cannot be mounted"
	[ -e "$disk/large/file" ] || return 0
	power_gone
	return 1
}

# costs VERB: it costs what was not yet synced.
costs() {
	lose_in_middle "$1" 12M || lose_in_middle "$1" 6M || lose_in_middle "$1" 2M ||
		bail_out "what was lost was complete, however slow it came"
	again "$1" large >"$tmp/wrong" 2>&1
	power_gone
	is "$(cat "$tmp/wrong")" "" "$1, large, $power_fs: completed after a loss"
	most=$((large_size - before_loss + window + 1048576))
	received=$(sed -n 's/.*"type":"summary".*"received":\([0-9]*\).*/\1/p' "$tmp/again.out")
	if [ "${received:-$large_size}" -le $most ]; then
		ok "$1, large, $power_fs: it costs no more than was not synced ($received of at most $most bytes came again)"
	else
		not_ok "$1, large, $power_fs: $received bytes came again, more than $most"
	fi
}

# ---- all of them -----------------------------------------------------------------------------------------------------

write_config "$tmp/get.ini" "$src"
write_config "$tmp/put.ini" "$disk" read-write
need_daemon -c "$tmp/get.ini"
get_address=$daemon_address

# all_hold NAMES SUBSETS KEEP
all_hold() {
	for verb in get put; do
		for name in $1; do
			holds $verb $name "$2" "$3"
		done
	done
}

power_base ext4 "$before" || skip_all "no ext4 in a loop device: $(tail -n 1 "$tmp/mkfs")"
disk_begin || skip_all "no disk of our own: $(tail -n 1 "$tmp/blockfs.err")"
disk_end
if [ -z "$long" ]; then
	all_hold "over new merge" 4 2
	holds get update 4 2
	holds put repair 4 2
	row get over 2
	row put merge 3
	costs get
	costs put
	notices get merge files 'torn: '
	notices get over folders 'done, and the old version is there: '
	notices put new all 'done and lost: '
else
	for fs in ${XFER_POWER_FS:-ext4 ext4-ordered xfs}; do
		power_data=
		[ $fs != ext4-ordered ] || power_data=ordered
		if ! power_base ${fs%-*} "$before"; then
			skip "$fs" "$(tail -n 1 "$tmp/mkfs")"
			continue
		fi
		all_hold "over new merge update repair" "${XFER_POWER_SUBSETS:-200}" "${XFER_POWER_KEEP:-0}"
		for verb in get put; do
			for name in over new merge update repair; do
				row $verb $name 3
			done
			costs $verb
			notices $verb over folders 'done, and the old version is there: '
			notices $verb merge folders 'done and lost: '
			notices $verb new all 'done and lost: '
			if [ $fs != ext4-ordered ]; then
				notices $verb over files 'torn: '
				notices $verb merge files 'torn: '
			fi
		done
	done
fi
done_testing
