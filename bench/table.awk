# SPDX-License-Identifier: BSD-2-Clause
# The results for a terminal. Behind stats.awk.

function ratio_of_row(name, row,    text, i, peer)
{
	text = ""
	for (i = 1; i <= rows[name]; i++) {
		peer = row_at[name, i]
		if (kind[name, peer] != "ours" && ratio(name, row, peer) > 0)
			text = text sprintf("    %-16s %5.2f (%.2f-%.2f)\n", peer, ratio_mid, ratio_low, ratio_high)
	}
	return text
}

END {
	for (c = 1; c <= cases; c++) {
		name = case_at[c]
		printf "\n%s, %d rounds; median (lowest-highest)\n", title(name), meta["rounds"]
		printf "%-46s %22s  %-9s  %-17s  %-13s\n", "", "", per(name), "= there + here", "peak MiB"
		printf "%-46s %22s  %-9s  %-17s  %-13s  %s\n", "", unit(name), "both", "", "there + here", "verified"
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			printf "%-46s %8s (%s)%*s  %-9.3f  %6.3f + %-6.3f    %5.1f + %-5.1f  %s\n", label[name, row], \
				digits(name, rate_mid[name, row]), \
				digits(name, rate_low[name, row]) "-" digits(name, rate_high[name, row]), \
				11 - length(digits(name, rate_low[name, row]) digits(name, rate_high[name, row])), "", \
				cpu[name, row], cpu_there[name, row], cpu_here[name, row], mib_there[name, row], \
				mib_here[name, row], check[name, row]
		}
		printf "\nHow many times as fast, round by round; median (lowest-highest)\n"
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			if (kind[name, row] == "ours")
				printf "  %s\n%s", row, ratio_of_row(name, row)
		}
	}
	if (hashes > 0)
		printf "\nThe digests alone, one thread, %d rounds; median (lowest-highest)\n%-12s %12s %8s  %-22s %s\n", meta["rounds"], \
			"integrity", "digest bytes", "chunk", "GB/s", "CPU s/GiB"
	for (h = 1; h <= hashes; h++)
		printf "%-12s %12d %7dK  %-22s %.3f\n", hash_name[h], hash_size[h], hash_chunk[h] / 1024, \
			sprintf("%.2f (%.2f-%.2f)", hash_rate[h], hash_low[h], hash_high[h]), hash_cpu[h]
	print ""
	for (g = 1; g <= goals; g++) {
		text = goal_text(g)
		if (text != "")
			printf "%-8s %s: %s\n", (goal_reached ? "reached" : "MISSED"), goal_case[g], text
	}
	if (most_memory() > 0)
		printf "%-8s memory: ours take %.1f MiB at the most, on one side, expected below %d\n", \
			(most_memory() < MEMORY_EXPECTED ? "reached" : "MISSED"), most_memory(), MEMORY_EXPECTED
	for (m = 1; m <= missings; m++)
		printf "missing: %s, so its rows are not there (Debian: apt-get install %s)\n", missing_at[m], missing[missing_at[m]]
	printf "processor seconds: %s\n", meta["accounting"]
	if (meta["load"] > 0.5)
		printf "The load was %s before it began: this machine does other things too; trust ratios more than rates.\n", meta["load"]
}
