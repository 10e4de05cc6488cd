# SPDX-License-Identifier: BSD-2-Clause
# The results of bench/far as a table: MB/s, median (lowest-highest), for each wire. Of `one` (a file) and `small` (as many
# bytes in 2,000 files) the seconds, and how many round trips the many need more than the one.

function middle(list, n,    i, j, value)
{
	for (i = 2; i <= n; i++) {
		value = list[i]
		for (j = i - 1; j > 0 && list[j] > value; j--)
			list[j + 1] = list[j]
		list[j + 1] = value
	}
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function bulk(row)
{
	return row != "one" && row != "small"
}

BEGIN { FS = "\t" }

{
	wire = $1 "\t" $2
	if (!(wire in seen))
		wires[++wire_count] = wire
	seen[wire] = 1
	if (!($3 in row_seen))
		rows[++row_count] = $3
	row_seen[$3] = 1
	n[wire, $3]++
	seconds[wire, $3, n[wire, $3]] = $5
}

END {
	printf "| |"
	for (w = 1; w <= wire_count; w++) {
		split(wires[w], part, "\t")
		printf " %d ms, %.1f %% lost |", part[1], part[2] / 1e4
	}
	printf "\n|---|"
	for (w = 1; w <= wire_count; w++)
		printf "---|"
	print ""
	for (r = 1; r <= row_count; r++) {
		printf "| %s |", rows[r]
		for (w = 1; w <= wire_count; w++) {
			count = n[wires[w], rows[r]]
			split(wires[w], part, "\t")
			split("", list)
			for (i = 1; i <= count; i++) {
				time = seconds[wires[w], rows[r], i]
				list[i] = bulk(rows[r]) ? mib * 1.048576 / time : time
			}
			if (count == 0) {
				printf " - |"
				continue
			}
			mid[wires[w], rows[r]] = middle(list, count)
			printf bulk(rows[r]) ? " %.1f (%.1f-%.1f)" : " %.2f s (%.2f-%.2f)", mid[wires[w], rows[r]], list[1], list[count]
			if (rows[r] == "small" && n[wires[w], "one"])
				printf ", %.1f round trips more", (mid[wires[w], "small"] - mid[wires[w], "one"]) / (part[1] / 1000)
			printf " |"
		}
		print ""
	}
}
