# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
#
# What the tests have in common that break a transfer at each system call of one side; sourced behind lib.sh.
#
#   begin_points; record SIDE VERB WHAT; echo "pwritev:2 kill" >FILE; each_point SIDE VERB WHAT FILE function
#
# SIDE is `client` or `daemon` (its worker), VERB get or put, WHAT is
#   file    five chunks and a part, which come in more than one piece
#   tree    to a new name
#   merge   the same tree into one that is there, with another content of one file
#   pipes   a file without digests, of which all but the first chunk goes through pipes
# Whatever the verb, it goes from $from to $into: both are exports, and the local side is the same folder.

syscalls=$top_builddir/tests/faults/syscalls
from=$tmp/from
into=$tmp/into
# How both sides work, so that the same calls come again: few threads, and a file in several pieces.
daemon_set="--set core.threads=1 --set pipeline.chunk-size=256K --set pipeline.memory=8M"
client_set="$daemon_set --set pipeline.chunk-size=64K --limit-rate 4M --no-progress --json"
# The peer of one that is looked at so closely, on a machine that is busy, must not take it for dead.
soon="--set liveness.udp.interval=100ms --set liveness.udp.dead-after=20s"
# Seconds after which a broken transfer hangs: far above all deadlines of it.
hang=${XFER_FAULTS_HANG:-60}

# begin_points: the sources, or the end of the test where nothing can be traced.
begin_points() {
	[ -x "$syscalls" ] || skip_all "tests/faults/syscalls is not built"
	if sanitized; then
		# The leak checker traces too, and only one can.
		traced="env ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
	else
		traced=
	fi
	status=0
	# shellcheck disable=SC2086
	$traced "$syscalls" true 2>"$err" || status=$?
	[ $status != 77 ] || skip_all "$(cat "$err")"
	begin_sources 330000 200000
}

# begin_sources BYTES BYTES: of the file, and of the large one in the tree; and how a daemon serves them.
begin_sources() {
	mkdir -p "$from/tree/sub/deep" "$into"
	make_file "$from/file" "$1"
	make_file "$from/tree/large" "$2"
	make_file "$from/pipes" $((4 * 262144 + 150001))
	bytes_file=$1
	bytes_tree=$(($2 + 65536 + 10))
	make_file "$from/tree/one" 65536
	make_file "$from/tree/sub/small" 10
	: >"$from/tree/sub/deep/empty"
	ln -s nowhere "$from/tree/sub/link"
	touch -d '2001-02-03 04:05:06.123456789 UTC' "$from/file" "$from/tree/sub"
	list_tree "$from/tree" >"$tmp/tree-a"
	cat >"$tmp/xferd.ini" <<-END
		[pipeline]
		integrity = sha256, crc32, none
		[daemon]
		listen = 127.0.0.1:0
		[export.from]
		path = $from
		[export.into]
		path = $into
		access = read-write
	END
	deaths=0
	daemon_pid=
}

# fresh_daemon: one that lost no worker yet, where the one before was: a transfer is known by it. (Who loses one after the other is careful, and starts the next one later.)
fresh_daemon() {
	if [ -n "$daemon_pid" ]; then
		stop_daemon
	fi
	# shellcheck disable=SC2086
	need_daemon -c "$tmp/xferd.ini" $daemon_set $soon --set "daemon.listen=127.0.0.1:${daemon_port:-0}"
	url=xfer://$daemon_address
	worker=$(worker_pid 0)
	idle=$(descriptors)
	idle_pipes=$(pipes_open)
	deaths=0
}

# need_worker: $worker is one that serves.
need_worker() {
	if [ -z "$daemon_pid" ] || [ "$deaths" -ge 2 ]; then
		fresh_daemon
	elif ! kill -0 "$worker" 2>/dev/null; then
		deaths=$((deaths + 1))
		worker=$(worker_pid 0 $((deaths + 1)))
		[ -n "$worker" ] || fresh_daemon
	fi
}

# fresh WHAT: nothing of a transfer is there, nor of an installation.
fresh() {
	# The daemon holds the folder itself open.
	rm -rf "$HOME/.local"
	find "$into" -mindepth 1 -delete
	[ "$1" = merge ] || return 0
	mkdir "$into/tree"
	echo old >"$into/tree/large"
}

# transfer_line VERB WHAT: what the command is given.
transfer_line() {
	name=$2
	[ "$2" != merge ] || name=tree
	[ "$2" != pipes ] || printf '%s ' --integrity none --set pipeline.chunk-size=256K
	if [ "$1" = get ]; then
		echo "$url/from/$name $into"
	else
		echo "$from/$name $url/into"
	fi
}

# first_run SIDE VERB WHAT ARGUMENTS...: the command under the driver with these arguments; its status in $status.
first_run() {
	first_side=$1
	first_verb=$2
	first_what=$3
	shift 3
	tracing="$traced $syscalls -t $hang -o $tmp/report"
	[ "$first_side" = client ] || tracing="$syscalls -t $hang -o $tmp/report -p $worker"
	# shellcheck disable=SC2046,SC2086
	run $tracing "$@" "$xfer" $client_set $soon "$first_verb" --retry-for 0 $(transfer_line "$first_verb" "$first_what")
}

# again VERB WHAT: the same command, nobody traced. What was there before is listed in $tmp/there.
again() {
	find "$into" -mindepth 1 -printf '%P %s\n' | sort >"$tmp/there"
	# shellcheck disable=SC2046,SC2086
	run timeout -s KILL "$hang" "$xfer" $client_set $soon "$1" $(transfer_line "$1" "$2")
}

# record SIDE VERB WHAT: the points that every one of some runs reached, into the file $points, in their order.
record() {
	points=$tmp/points
	: >"$points.all"
	: >"$tmp/there"
	record_runs=${XFER_FAULTS_RECORDS:-5}
	for record_run in $(seq "$record_runs"); do
		need_worker
		fresh "$3"
		first_run "$1" "$2" "$3"
		if [ "$status" != 0 ] || ! whole "$3" || [ -n "$(leftovers "$into")" ]; then
			not_ok "$1, $2 $3: a run that nothing breaks" "status $status"
			diag_file "$err"
			return 1
		fi
		grep '^call ' "$tmp/report" >"$tmp/report.last"
		cat "$tmp/report.last" >>"$points.all"
	done
	# Of the last run, those that came in each; with what came of it.
	awk -v runs="$record_runs" 'NR == FNR { seen[$3]++; next } seen[$3] == runs { print $3, $4 }' \
		"$points.all" "$tmp/report.last" >"$points.marked"
	cut -d ' ' -f 1 "$points.marked" >"$points"
	diag "$1, $2 $3: $(wc -l <"$tmp/report.last") calls recorded, $(wc -l <"$points") of them in each of $record_runs runs"
}

# descriptors: how many the worker has open, but for pipes, which it keeps for a while and lends to the next session. The
# fewest that were ever seen are those it has without sessions.
descriptors() {
	find "/proc/$worker/fd" -type l ! -lname 'pipe:*' 2>/dev/null | wc -l
}
pipes_open() {
	find "/proc/$worker/fd" -lname 'pipe:*' 2>/dev/null | wc -l
}
at_rest() {
	seen=$(descriptors)
	[ "$seen" -ge "$idle" ] || idle=$seen
	[ "$seen" -le "$idle" ] && [ -z "$(find "/proc/$worker/fd" -lname "$into/*" 2>/dev/null)" ]
}

# piped_back: the pipes are given back to the system, which takes ten seconds or twenty.
pipes_at_rest() {
	[ "$(pipes_open)" -le "$idle_pipes" ]
}
piped_back() {
	[ -z "$daemon_pid" ] || ! kill -0 "$worker" 2>/dev/null || await pipes_at_rest
}

# settled: all sessions of the worker have ended, and their work too.
settled() {
	await at_rest
}

# ---- what has to be true ---------------------------------------------------------------------------------------------

# whole WHAT: it is there.
whole() {
	case $1 in
	file | pipes) cmp -s "$from/$1" "$into/$1" ;;
	# Without what is left beside the files: that is another matter.
	*) [ -d "$into/tree" ] && list_tree "$into/tree" | grep -azv '^[^ ]*/\.xfer-' >"$tmp/tree-b" &&
		cmp -s "$tmp/tree-a" "$tmp/tree-b" && diff -r --no-dereference -x '.xfer-*' "$from/tree" "$into/tree" >/dev/null ;;
	esac
}

# sound WHAT: each file that stands under its final name is complete.
sound() {
	case $1 in
	file | pipes)
		[ ! -e "$into/$1" ] || cmp -s "$from/$1" "$into/$1"
		return
		;;
	esac
	for sound_name in large one sub/small sub/deep/empty; do
		[ -e "$into/tree/$sound_name" ] || continue
		cmp -s "$from/tree/$sound_name" "$into/tree/$sound_name" && continue
		[ "$1 $sound_name" = "merge large" ] && [ "$(cat "$into/tree/large")" = old ] || return 1
	done
}

# appears WHAT: the same; and a tree that is new is all there, or not at all. (The times of folders are another matter: the
# same command again is writing into them by then.)
appears() {
	sound "$1" && { [ "$1" != tree ] || [ ! -e "$into/tree" ] ||
		diff -r --no-dereference -x '.xfer-*' "$from/tree" "$into/tree" >/dev/null; }
}

# claimed: bytes that the journals in $into claim, as they are drawn in core/store/journal.h.
claimed() {
	find "$into" -path '*.j' -type f -exec perl -e '
		for my $name (@ARGV) {
			local $/;
			open(my $file, "<", $name) or next;
			my ($bytes, $at) = (<$file> // "", 0);
			while ($at + 12 <= length $bytes) {
				my ($type, $mark, $length, $number) = unpack("CCvV", substr($bytes, $at, 8));
				last if $mark != 0xA1 || $at + 12 + $length > length $bytes;
				if ($type == 4) {
					my ($offset, $chunk) = unpack("Q<V", substr($bytes, $at + 8, 12));
					$claims{"$name $number $offset"} = $chunk;
				}
				$at += 12 + $length;
			}
		}
		$sum += $_ for values %claims;
		print $sum // 0, "\n"' {} +
}

# total WHAT: bytes of the source.
total() {
	case $1 in
	file) echo "$bytes_file" ;;
	pipes) stat -c %s "$from/pipes" ;;
	*) echo "$bytes_tree" ;;
	esac
}

# number NAME: of the summary of the last run.
number() {
	sed -n "s/.*\"type\": *\"summary\".*\"$1\": *\([0-9]*\).*/\1/p" "$out"
}

# ---- looking at points -----------------------------------------------------------------------------------------------

sample=${XFER_FAULTS_POINTS:-}
seed=${XFER_FAULTS_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
# Calls of a run are not the same in the next one, where threads wait for each other: some points want several attempts.
attempts=${XFER_FAULTS_ATTEMPTS:-${sample:+3}}
attempts=${attempts:-30}

# chance N: a number below N into $chance; the same again with the same seed.
chance() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	chance=$((seed / 65536 % $1))
}

# some FILE: its lines, or as many of them as are wanted, by chance.
some() {
	if [ -n "$sample" ]; then
		awk -v seed="$seed" 'BEGIN { srand(seed) } { print rand() "\t" $0 }' "$1" | sort -n | head -n "$sample" | cut -f 2-
	else
		cat "$1"
	fi
}

# wrong WHY: of the point that is being looked at, $point_now; with all that tells more.
wrong() {
	failures=$((failures + 1))
	diag "sh $0 $point_now: $*"
	diag_file "$err"
	diag_file "$tmp/there"
	if [ -n "$daemon_pid" ]; then
		tail -n 8 "$daemon_log" >"$tmp/log"
		diag_file "$tmp/log"
	fi
}

# each_point SIDE VERB WHAT FILE FUNCTION: calls FUNCTION SIDE VERB WHAT POINT DEED for each line `POINT DEED...` of FILE, until
# it succeeds: the point was reached. One result for all of them.
each_point() {
	failures=0
	reached=0
	tried=0
	missed=
	# Another descriptor: what is run here reads standard input.
	exec 9<"$4"
	while read -r point deeds <&9; do
		for deed in $deeds; do
			tried=$((tried + 1))
			attempt=0
			point_now="$1 $2 $3 $point $deed"
			until "$5" "$1" "$2" "$3" "$point" "$deed"; do
				attempt=$((attempt + 1))
				[ $attempt -lt "$attempts" ] || break
			done
			if [ $attempt -lt "$attempts" ]; then
				reached=$((reached + 1))
			else
				missed="$missed $point"
			fi
			# Enough is known then.
			[ $failures -lt "${XFER_FAULTS_ENOUGH:-5}" ] || break 2
		done
	done
	exec 9<&-
	piped_back || wrong "the worker has $(pipes_open) pipes open, and not the $idle_pipes of one without sessions"
	is "$failures" 0 "$1, $2 $3: $reached points reached of $tried"
	if [ -n "$sample" ]; then
		[ -z "$missed" ] || diag "not reached:$missed"
	else
		is "$missed" "" "$1, $2 $3: and none was not reached"
	fi
}

# each_sweep SWEEP: calls SWEEP SIDE VERB WHAT for all of them; where only some points are wanted, for one WHAT by chance.
each_sweep() {
	diag "XFER_FAULTS_SEED=$seed"
	for side in client daemon; do
		for verb in get put; do
			kinds="file tree merge pipes"
			if [ -n "$sample" ]; then
				chance 4
				kinds=$(echo "$kinds" | cut -d ' ' -f $((chance + 1)))
			fi
			for what in $kinds; do
				"$1" "$side" "$verb" "$what"
			done
		done
	done
}
