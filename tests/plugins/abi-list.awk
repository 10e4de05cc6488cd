# SPDX-License-Identifier: BSD-2-Clause
#
# Reads xfer/plugin.h and writes a program that prints what compiled plug-ins depend on: the size of each struct and union,
# place, size and declaration of each field, the value of each constant, and the names of the other macros. All of it is
# found in the header, so nothing that is added there can be forgotten.

function squeezed(text)
{
	gsub(/[ \t\n]+/, " ", text)
	gsub(/\( /, "(", text)
	sub(/^ /, "", text)
	sub(/ $/, "", text)
	return text
}

# One declaration in a struct or union, without its semicolon.
function field(text,    name)
{
	text = squeezed(text)
	sub(/ XFER_PRINTF\(.*$/, "", text)
	if (text == "")
		return
	name = text
	if (match(name, /\(\*[a-z_0-9]+\)\(/))
		name = substr(name, RSTART + 2, RLENGTH - 4)
	else {
		sub(/\[.*$/, "", name)
		sub(/^.*[ *]/, "", name)
	}
	gsub(/"/, "\\\"", text)
	print "\tprintf(\"" tag "." name " %zu %zu  " text "\\n\", offsetof(" kind " " tag ", " name "), sizeof(((" kind " " \
		tag " *)0)->" name "));"
}

function constant(name)
{
	name = squeezed(name)
	sub(/ =.*$/, "", name)
	if (name != "")
		print "\tprintf(\"" name " = %lld\\n\", (long long)(" name "));"
}

{ all = all $0 "\n" }

END {
	while (match(all, /\/\*([^*]|\*+[^*\/])*\*+\//))
		all = substr(all, 1, RSTART - 1) " " substr(all, RSTART + RLENGTH)
	print "#include <xfer/plugin.h>\n#include <stdio.h>\nint main(void)\n{"
	count = split(all, line, "\n")
	rest = ""
	for (i = 1; i <= count; i++) {
		text = line[i]
		while (text ~ /\\$/)
			text = substr(text, 1, length(text) - 1) line[++i]
		if (text !~ /^#/) {
			rest = rest text "\n"
			continue
		}
		if (text !~ /^#define XFER_/)
			continue
		split(text, word, " ")
		name = word[2]
		value = squeezed(substr(text, index(text, name) + length(name)))
		if (name ~ /\(/ || value == "" || value ~ /^[^"(0-9U]/) {
			sub(/\(.*$/, "", name)
			if (!(name in seen))
				print "\tputs(\"" name "\");"
			seen[name] = 1
		} else if (value ~ /^"/)
			print "\tprintf(\"" name " = \\\"%s\\\"\\n\", " name ");"
		else
			constant(name)
	}
	while (match(rest, /(struct|union|enum)( xfer_[a-z_]+)? \{[^}]*\}/)) {
		body = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		split(body, word, " ")
		kind = word[1]
		tag = word[2]
		sub(/^[^{]*\{/, "", body)
		sub(/\}$/, "", body)
		if (kind == "enum") {
			parts = split(body, part, ",")
			for (i = 1; i <= parts; i++)
				constant(part[i])
			continue
		}
		print "\tprintf(\"" kind " " tag " %zu\\n\", sizeof(" kind " " tag "));"
		parts = split(body, part, ";")
		for (i = 1; i <= parts; i++)
			field(part[i])
	}
	print "\treturn 0;\n}"
}
