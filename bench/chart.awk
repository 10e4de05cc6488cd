# SPDX-License-Identifier: BSD-2-Clause
# The results as a chart: bars of the median, whiskers from lowest to highest. Behind stats.awk.

function escaped(text)
{
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	return text
}

function colour(kind)
{
	return kind == "ours" ? "#1a6fb0" : kind == "peer" ? "#9a9a9a" : "#d9d9d9"
}

function panel(name,    r, row, most, scale, bar, low, high)
{
	printf "<text x=\"20\" y=\"%d\" font-size=\"15\" font-weight=\"bold\">%s, %s</text>\n", y, escaped(title(name)), unit(name)
	y += 14
	most = 0
	for (r = 1; r <= rows[name]; r++)
		most = rate_high[name, row_at[name, r]] > most ? rate_high[name, row_at[name, r]] : most
	scale = most > 0 ? BAR / most : 0
	for (r = 1; r <= rows[name]; r++) {
		row = row_at[name, r]
		bar = rate_mid[name, row] * scale
		low = LEFT + rate_low[name, row] * scale
		high = LEFT + rate_high[name, row] * scale
		printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + 15, escaped(label[name, row])
		printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"18\" fill=\"%s\"/>\n", LEFT, y + 2, bar, colour(kind[name, row])
		printf "<path d=\"M%.1f %dH%.1fM%.1f %dv6M%.1f %dv6\" stroke=\"#222\"/>\n", low, y + 11, high, low, y + 8, high, y + 8
		printf "<text x=\"%.1f\" y=\"%d\">%s<tspan fill=\"#666\">  %s %s</tspan></text>\n", high + 8, y + 15, \
			digits(name, rate_mid[name, row]), sprintf("%.2f", cpu[name, row]), per(name)
		y += ROW
	}
	y += 34
}

END {
	LEFT = 320; BAR = 420; ROW = 24
	height = 50
	for (c = 1; c <= cases; c++)
		height += 48 + ROW * rows[case_at[c]]
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"%d\" font-family=\"sans-serif\" font-size=\"13\">\n", height
	print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
	y = 30
	for (c = 1; c <= cases; c++)
		panel(case_at[c])
	printf "<text x=\"20\" y=\"%d\" fill=\"#666\">%s, %d processors; %s; medians of %d rounds</text>\n</svg>\n", height - 14, \
		escaped(meta["cpu"]), meta["processors"], meta["date"], meta["rounds"]
}
