# SPDX-License-Identifier: BSD-2-Clause
# The results as JSON. Behind stats.awk.

function quoted(text)
{
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	gsub(/[\001-\037]/, " ", text)
	return "\"" text "\""
}

function ratios(name, row,    text, i, peer)
{
	text = ""
	for (i = 1; i <= rows[name]; i++) {
		peer = row_at[name, i]
		if (kind[name, peer] != "ours" && ratio(name, row, peer) > 0)
			text = text sprintf("%s\n          %s: {\"median\": %.4f, \"lowest\": %.4f, \"highest\": %.4f}", \
				text == "" ? "" : ",", quoted(peer), ratio_mid, ratio_low, ratio_high)
	}
	return text
}

function all_runs(name, row,    text, i, round)
{
	text = ""
	for (i = 1; i <= runs[name, row]; i++) {
		round = round_of[name, row, i]
		text = text sprintf("%s\n          {\"round\": %d, \"seconds\": %.6f, \"cpu_daemon\": %.6f, \"cpu_client\": %.6f, " \
			"\"peak_kib_daemon\": %d, \"peak_kib_client\": %d}", (i > 1 ? "," : ""), round, seconds[name, row, round], \
			run_there[name, row, round], run_here[name, row, round], run_kib_there[name, row, round], \
			run_kib_here[name, row, round])
	}
	return text
}

END {
	printf "{\n  \"machine\": {"
	for (m = 1; m <= metas; m++)
		printf "%s\n    %s: %s", (m > 1 ? "," : ""), quoted(meta_at[m]), quoted(meta[meta_at[m]])
	printf "\n  },\n  \"versions\": {"
	for (m = 1; m <= versions; m++)
		printf "%s\n    %s: %s", (m > 1 ? "," : ""), quoted(version_at[m]), quoted(version[version_at[m]])
	printf "\n  },\n  \"missing\": ["
	for (m = 1; m <= missings; m++)
		printf "%s{\"program\": %s, \"package\": %s}", (m > 1 ? ", " : ""), quoted(missing_at[m]), \
			quoted(missing[missing_at[m]])
	printf "],\n  \"cases\": {"
	for (c = 1; c <= cases; c++) {
		name = case_at[c]
		printf "%s\n    %s: {\n      \"rate_unit\": %s, \"cpu_unit\": %s, \"rows\": [", (c > 1 ? "," : ""), quoted(name), \
			quoted(unit(name)), quoted(per(name))
		for (r = 1; r <= rows[name]; r++) {
			row = row_at[name, r]
			printf "%s\n       {\"name\": %s, \"kind\": %s, \"label\": %s, \"verified\": %s,\n        \"command\": %s,\n", \
				(r > 1 ? "," : ""), quoted(row), quoted(kind[name, row]), quoted(label[name, row]), \
				quoted(check[name, row]), quoted(command[name, row])
			printf "        \"rate\": {\"median\": %.4f, \"lowest\": %.4f, \"highest\": %.4f},\n", rate_mid[name, row], \
				rate_low[name, row], rate_high[name, row]
			printf "        \"cpu\": {\"both\": %.4f, \"daemon\": %.4f, \"client\": %.4f},\n", cpu[name, row], \
				cpu_there[name, row], cpu_here[name, row]
			printf "        \"peak_mib\": {\"daemon\": %.1f, \"client\": %.1f},\n", mib_there[name, row], mib_here[name, row]
			if (kind[name, row] == "ours")
				printf "        \"times_as_fast_as\": {%s\n        },\n", ratios(name, row)
			printf "        \"runs\": [%s\n        ]}", all_runs(name, row)
		}
		printf "\n      ]\n    }"
	}
	printf "\n  },\n  \"hash\": ["
	for (h = 1; h <= hashes; h++)
		printf "%s\n    {\"integrity\": %s, \"strength\": %d, \"digest_bytes\": %d, \"chunk_bytes\": %d, \"rate_unit\": \"GB/s\", " \
			"\"rate\": {\"median\": %.4f, \"lowest\": %.4f, \"highest\": %.4f}, \"cpu_s_per_gib\": %.4f}", \
			(h > 1 ? "," : ""), quoted(hash_name[h]), hash_bits[h], hash_size[h], hash_chunk[h], hash_rate[h], hash_low[h], \
			hash_high[h], hash_cpu[h]
	printf "\n  ],\n  \"expected\": ["
	first = 1
	for (g = 1; g <= goals; g++) {
		text = goal_text(g)
		if (text == "")
			continue
		printf "%s\n    {\"case\": %s, \"kind\": %s, \"ours\": %s, \"peer\": %s, \"value\": %s, \"text\": %s, \"reached\": %s}", \
			first ? "" : ",", quoted(goal_case[g]), quoted(goal_kind[g]), quoted(goal_ours[g]), quoted(goal_peer[g]), \
			goal_value[g], quoted(text), goal_reached ? "true" : "false"
		first = 0
	}
	printf "\n  ],\n  \"most_memory_mib\": %.1f\n}\n", most_memory()
}
