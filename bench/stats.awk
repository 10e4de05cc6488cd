# SPDX-License-Identifier: BSD-2-Clause
# Reads the lines that bench/run recorded and makes the figures; the END of table.awk, json.awk, page.awk or chart.awk,
# which is read behind this one, shows them. For cases case_at[1..cases] and their rows row_at[case, 1..rows[case]]:
#   kind label check command   [case, row]
#   runs                       [case, row]         rounds that the row took part in
#   seconds                    [case, row, round]
#   rate_mid rate_low rate_high  [case, row]       in unit(case)
#   cpu_there cpu_here         [case, row]         median, in per(case)
#   mib_there mib_here         [case, row]         highest of all rounds
# Of the plug-ins that hash: hash_name hash_bits hash_size hash_chunk hash_rate hash_low hash_high hash_cpu [1..hashes],
# as bench/hash.c prints them.
# Functions ratio(case, ours, peer) sets ratio_mid, ratio_low, ratio_high from the rounds that both took part in;
# ratio_there() the same of the daemons' processor seconds.

BEGIN { FS = "\t" }

$1 == "meta" { meta[$2] = $3; meta_at[++metas] = $2 }
$1 == "version" { version[$2] = $3; version_at[++versions] = $2 }
$1 == "missing" { missing[$2] = $3; missing_at[++missings] = $2 }
$1 == "goal" {
	goal_kind[++goals] = $2
	goal_case[goals] = $3
	goal_ours[goals] = $4
	goal_peer[goals] = $5
	goal_value[goals] = $6
}
$1 == "case" {
	case_unit[$2] = $3
	case_count[$2] = $4 # of the unit, in one run
	case_per[$2] = $5
	case_scale[$2] = $6 # of what the processor seconds are for, in one run
	case_title[$2] = $7
}
$1 == "row" {
	if (!($2 in rows))
		case_at[++cases] = $2
	row_at[$2, ++rows[$2]] = $3
	kind[$2, $3] = $4
	label[$2, $3] = $5
	check[$2, $3] = $6
	command[$2, $3] = $7
}
$1 == "hash" {
	hash_name[++hashes] = $2
	hash_bits[hashes] = $3
	hash_size[hashes] = $4
	hash_chunk[hashes] = $5
	hash_rate[hashes] = $6
	hash_low[hashes] = $7
	hash_high[hashes] = $8
	hash_cpu[hashes] = $9
}
$1 == "run" {
	runs[$2, $3]++
	round_of[$2, $3, runs[$2, $3]] = $4
	seconds[$2, $3, $4] = $5
	run_here[$2, $3, $4] = $6
	run_there[$2, $3, $4] = $7
	run_kib_here[$2, $3, $4] = $8
	run_kib_there[$2, $3, $4] = $9
	if ($8 > 1024 * mib_here[$2, $3])
		mib_here[$2, $3] = $8 / 1024
	if ($9 > 1024 * mib_there[$2, $3])
		mib_there[$2, $3] = $9 / 1024
}

# Sorts list[1..n]; the median. Its neighbours' mean where n is even.
function middle(list, n,    i, j, value)
{
	for (i = 2; i <= n; i++) {
		value = list[i]
		for (j = i - 1; j > 0 && list[j] > value; j--)
			list[j + 1] = list[j]
		list[j + 1] = value
	}
	if (n == 0)
		return 0
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function rate(case, seconds)
{
	return case_count[case] / seconds
}

function unit(case)
{
	return case_unit[case]
}

function per(case)
{
	return case_per[case]
}

function digits(case, value)
{
	return sprintf("%.*f", case_unit[case] == "GB/s" ? 2 : 0, value)
}

function title(case)
{
	return case_title[case]
}

# Sets the three of list[1..n]; n.
function ratio_set(list, n)
{
	ratio_mid = middle(list, n)
	ratio_low = n ? list[1] : 0
	ratio_high = n ? list[n] : 0
	return n
}

function ratio(case, ours, peer,    i, n, list, round)
{
	n = 0
	for (i = 1; i <= runs[case, ours]; i++) {
		round = round_of[case, ours, i]
		if ((case, peer, round) in seconds)
			list[++n] = seconds[case, peer, round] / seconds[case, ours, round]
	}
	return ratio_set(list, n)
}

function ratio_there(case, ours, peer,    i, n, list, round)
{
	n = 0
	for (i = 1; i <= runs[case, ours]; i++) {
		round = round_of[case, ours, i]
		if ((case, peer, round) in run_there && run_there[case, peer, round] > 0)
			list[++n] = run_there[case, ours, round] / run_there[case, peer, round]
	}
	return ratio_set(list, n)
}

# What came of goal g, for people; "" where it was not measured. Sets goal_reached.
#   rate   so many times as fast as the peer, at least
#   cpu    so many processor seconds of both sides, at the most (the peer is "-"); of the daemon alone with "daemon"
#   there  so many times the processor seconds of the peer's daemon at ours, at the most
#   later  so many milliseconds more than the peer for each, at the most
function goal_text(g,    name, ours, peer, value, is)
{
	name = goal_case[g]
	ours = goal_ours[g]
	peer = goal_peer[g]
	value = goal_value[g]
	if (goal_kind[g] == "cpu") {
		if (!runs[name, ours])
			return ""
		is = peer == "daemon" ? cpu_there[name, ours] : cpu[name, ours]
		goal_reached = is <= value
		return sprintf("%s takes %.3f %s%s, expected at the most %s", label[name, ours], is, per(name), \
			peer == "daemon" ? " at the daemon" : "", value)
	}
	if (goal_kind[g] == "there") {
		if (ratio_there(name, ours, peer) == 0)
			return ""
		goal_reached = ratio_mid <= value
		return sprintf("%s takes %.2f times (%.2f-%.2f) the processor time at the daemon of %s; expected at the most %.2f", \
			label[name, ours], ratio_mid, ratio_low, ratio_high, label[name, peer], value)
	}
	if (ratio(name, ours, peer) == 0)
		return ""
	if (goal_kind[g] == "later") {
		is = 1000 / rate_mid[name, ours] - 1000 / rate_mid[name, peer]
		goal_reached = is <= value
		return sprintf("%s takes %.1f ms each, %.1f ms more than %s; expected at the most %s more", label[name, ours], \
			1000 / rate_mid[name, ours], is, label[name, peer], value)
	}
	goal_reached = ratio_mid >= value
	return sprintf("%s is %.2f times as fast as %s; expected at least %.2f", label[name, ours], ratio_mid, label[name, peer], value)
}

# Of ours, the highest peak of one side, MiB, where that side is one client; and what is expected.
function most_memory(    c, r, name, row, most)
{
	most = 0
	for (c = 1; c <= cases; c++) {
		name = case_at[c]
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			if (kind[name, row] != "ours" || name == "clients")
				continue
			most = mib_there[name, row] > most ? mib_there[name, row] : most
			most = mib_here[name, row] > most ? mib_here[name, row] : most
		}
	}
	return most
}

BEGIN { MEMORY_EXPECTED = 64 }

END {
	for (c = 1; c <= cases; c++) {
		name = case_at[c]
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			n = runs[name, row]
			scale = case_scale[name]
			for (i = 1; i <= n; i++) {
				round = round_of[name, row, i]
				list_rate[i] = rate(name, seconds[name, row, round])
				list_here[i] = run_here[name, row, round] / scale
				list_there[i] = run_there[name, row, round] / scale
				list_both[i] = list_here[i] + list_there[i]
			}
			rate_mid[name, row] = middle(list_rate, n)
			rate_low[name, row] = n ? list_rate[1] : 0
			rate_high[name, row] = n ? list_rate[n] : 0
			cpu_here[name, row] = middle(list_here, n)
			cpu_there[name, row] = middle(list_there, n)
			cpu[name, row] = middle(list_both, n)
		}
	}
}
