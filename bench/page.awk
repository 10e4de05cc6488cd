# SPDX-License-Identifier: BSD-2-Clause
# The results as the part of BENCHMARKS.md that changes with them. Behind stats.awk.

function ratio_table(name,    i, j, peer, row, text, line, n)
{
	n = 0
	for (i = 1; i <= rows[name]; i++)
		n += kind[name, row_at[name, i]] != "ours"
	if (n == 0)
		return
	text = "| times as fast as"
	line = "|---"
	for (i = 1; i <= rows[name]; i++) {
		if (kind[name, row_at[name, i]] != "ours") {
			text = text " | " cell(label[name, row_at[name, i]])
			line = line "|---"
		}
	}
	print text " |\n" line "|"
	for (i = 1; i <= rows[name]; i++) {
		row = row_at[name, i]
		if (kind[name, row] != "ours")
			continue
		text = "| " cell(label[name, row])
		for (j = 1; j <= rows[name]; j++) {
			peer = row_at[name, j]
			if (kind[name, peer] != "ours") {
				n = ratio(name, row, peer)
				text = text (n ? sprintf(" | %.2f (%.2f-%.2f)", ratio_mid, ratio_low, ratio_high) : " | -")
			}
		}
		print text " |"
	}
}

# A bar inside a cell of a table.
function cell(text)
{
	gsub(/[|]/, "\\\\|", text)
	return text
}

END {
	printf "Measured %s on %s, %d processors, %s GiB; %s, Linux %s; files in %s; TCP congestion control %s.\n", \
		meta["date"], meta["cpu"], meta["processors"], meta["memory_gib"], meta["system"], meta["kernel"], \
		meta["file_system"], meta["congestion_control"]
	printf "%s", meta["xfer"]
	for (m = 1; m <= versions; m++)
		printf "; %s", version[version_at[m]]
	printf ".\n\nProcessor seconds by %s. Load before it began: %s.\n", meta["accounting"], meta["load"]
	for (m = 1; m <= missings; m++)
		printf "Missing: %s (package %s).\n", missing_at[m], missing[missing_at[m]]
	for (c = 1; c <= cases; c++) {
		name = case_at[c]
		printf "\n### %s\n\n", title(name)
		printf "| | verified | %s | %s, daemon + client | peak MiB, daemon + client |\n|---|---|---|---|---|\n", \
			unit(name), per(name)
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			mark = kind[name, row] == "ours" ? "**" : ""
			printf "| %s%s%s | %s | %s%s%s (%s-%s) | %.3f = %.3f + %.3f | %.1f + %.1f |\n", mark, cell(label[name, row]), mark, \
				check[name, row], mark, digits(name, rate_mid[name, row]), mark, digits(name, rate_low[name, row]), \
				digits(name, rate_high[name, row]), cpu[name, row], cpu_there[name, row], cpu_here[name, row], \
				mib_there[name, row], mib_here[name, row]
		}
		print ""
		ratio_table(name)
		printf "\n"
		for (g = 1; g <= goals; g++) {
			text = goal_case[g] == name ? goal_text(g) : ""
			if (text != "")
				printf "- %s: %s\n", text, (goal_reached ? "reached" : "**missed**")
		}
	}
	if (hashes > 0)
		printf "\n### The digests alone, in one thread\n\n| integrity | digest | of chunks of | GB/s | CPU s/GiB |\n|---|---|---|---|---|\n"
	for (h = 1; h <= hashes; h++)
		printf "| %s | %d bytes | %d KiB | **%.2f** (%.2f-%.2f) | %.3f |\n", hash_name[h], hash_size[h], hash_chunk[h] / 1024, \
			hash_rate[h], hash_low[h], hash_high[h], hash_cpu[h]
	if (most_memory() > 0)
		printf "\nClient and daemon took %.1f MiB each at the most; expected below %d: %s\n", \
			most_memory(), MEMORY_EXPECTED, (most_memory() < MEMORY_EXPECTED ? "reached" : "**missed**")
}
