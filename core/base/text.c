/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers with units, hex, and names of any bytes made printable. */
#include "base/text.h"
#include "base/checked.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct text_unit {
	const char *suffix;
	uint64_t factor;
};

/* Ascending: the formatters take the last one that divides. */
static const struct text_unit SIZE_UNITS[] = {
	{ "", 1 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
};

static const struct text_unit DURATION_UNITS[] = {
	{ "ns", 1 },
	{ "us", UINT64_C(1000) },
	{ "ms", UINT64_C(1000000) },
	{ "s", UINT64_C(1000000000) },
	{ "m", UINT64_C(60) * 1000000000 },
	{ "h", UINT64_C(3600) * 1000000000 },
	{ "d", UINT64_C(86400) * 1000000000 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reads decimal digits; *end is what follows them. */
static int text_digits(const char *text, uint64_t *number, const char **end)
{
	uint64_t sum = 0;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++)
		if (checked_mul_u64(sum, 10, &sum) || checked_add_u64(sum, (uint64_t)(*text - '0'), &sum))
			return -ERANGE;
	*number = sum;
	*end = text;
	return 0;
}

int text_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t number;
	int rc = text_digits(text, &number, &text);
	if (rc < 0)
		return rc;

	uint64_t factor = 1;
	if (*text != '\0') {
		size_t i;
		for (i = 1; i < COUNT(SIZE_UNITS); i++)
			if (strncasecmp(text, SIZE_UNITS[i].suffix, 1) == 0)
				break;
		if (i == COUNT(SIZE_UNITS) || (text[1] != '\0' && strcmp(text + 1, "iB") != 0))
			return -EINVAL;
		factor = SIZE_UNITS[i].factor;
	}
	return checked_mul_u64(number, factor, bytes) ? -ERANGE : 0;
}

int text_parse_duration(const char *text, uint64_t *ns)
{
	uint64_t number;
	int rc = text_digits(text, &number, &text);
	if (rc < 0)
		return rc;
	if (*text == '\0' && number == 0) {
		*ns = 0;
		return 0;
	}
	for (size_t i = 0; i < COUNT(DURATION_UNITS); i++)
		if (strcmp(text, DURATION_UNITS[i].suffix) == 0)
			return checked_mul_u64(number, DURATION_UNITS[i].factor, ns) ? -ERANGE : 0;
	return -EINVAL;
}

int text_parse_int(const char *text, int64_t *value)
{
	bool negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	uint64_t number;
	int rc = text_digits(text, &number, &text);
	if (rc < 0)
		return rc;
	if (*text != '\0')
		return -EINVAL;
	if (number > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -ERANGE;
	/* Negated in unsigned numbers: INT64_MIN has no positive twin. */
	*value = negative ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

int text_parse_bool(const char *text, int *value)
{
	static const char *const WORDS[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	for (size_t i = 0; i < COUNT(WORDS); i++)
		if (strcasecmp(text, WORDS[i]) == 0) {
			*value = (int)(i % 2);
			return 0;
		}
	return -EINVAL;
}

static char *text_format_unit(char out[TEXT_NUMBER_MAX], uint64_t number, const struct text_unit *units, size_t count)
{
	size_t i = count - 1;
	while (i > 0 && number % units[i].factor != 0)
		i--;
	snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 "%s", number / units[i].factor, units[i].suffix);
	return out;
}

char *text_format_size(char out[TEXT_NUMBER_MAX], uint64_t bytes)
{
	if (bytes == 0)
		return memcpy(out, "0", sizeof("0"));
	return text_format_unit(out, bytes, SIZE_UNITS, COUNT(SIZE_UNITS));
}

char *text_format_duration(char out[TEXT_NUMBER_MAX], uint64_t ns)
{
	if (ns == 0)
		return memcpy(out, "0", sizeof("0"));
	return text_format_unit(out, ns, DURATION_UNITS, COUNT(DURATION_UNITS));
}

char *text_human_size(char out[TEXT_NUMBER_MAX], uint64_t bytes)
{
	static const char *const UNITS[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	if (bytes < 1024) {
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 " B", bytes);
		return out;
	}
	double number = (double)bytes;
	size_t unit = 0;
	/* 1023.95 would be printed as 1024.0. */
	while (number >= 1023.95 && unit + 1 < COUNT(UNITS)) {
		number /= 1024;
		unit++;
	}
	snprintf(out, TEXT_NUMBER_MAX, "%.1f %s", number, UNITS[unit]);
	return out;
}

char *text_human_duration(char out[TEXT_NUMBER_MAX], uint64_t ns)
{
	const uint64_t second = 1000000000;
	uint64_t seconds = ns / second;

	if (seconds < 10 && ns % second >= second / 10)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 ".%" PRIu64 "s", seconds, ns % second / (second / 10));
	else if (seconds < 60)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 "s", seconds);
	else if (seconds < 3600)
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 "m%" PRIu64 "s", seconds / 60, seconds % 60);
	else
		snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64 "h%" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
	return out;
}

char *text_hex(char *out, const uint8_t *bytes, size_t len)
{
	static const char DIGITS[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = DIGITS[bytes[i] >> 4];
		out[2 * i + 1] = DIGITS[bytes[i] & 15];
	}
	out[2 * len] = '\0';
	return out;
}

/* The length of the UTF-8 sequence at `s` and its code point, or 0 when it is not a valid one (RFC 3629). */
static size_t text_utf8_decode(const uint8_t *s, size_t len, uint32_t *point)
{
	static const uint32_t SMALLEST[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t step = 0;
	if (s[0] < 0x80)
		step = 1;
	else if (s[0] >= 0xc2 && s[0] < 0xe0)
		step = 2;
	else if (s[0] >= 0xe0 && s[0] < 0xf0)
		step = 3;
	else if (s[0] >= 0xf0 && s[0] < 0xf5)
		step = 4;
	if (step == 0 || step > len)
		return 0;
	uint32_t sum = step == 1 ? s[0] : s[0] & (0xffu >> (step + 1));
	for (size_t i = 1; i < step; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		sum = sum << 6 | (s[i] & 0x3fu);
	}
	if (sum < SMALLEST[step] || (sum >= 0xd800 && sum < 0xe000) || sum > 0x10ffff)
		return 0;
	*point = sum;
	return step;
}

size_t text_utf8_step(const void *bytes, size_t len)
{
	uint32_t point;
	size_t step = text_utf8_decode(bytes, len, &point);
	if (step == 0 || point < 0x20 || (point >= 0x7f && point < 0xa0))
		return 0;
	/* Line and paragraph separators, and the marks that turn the direction of what follows. */
	if ((point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069))
		return 0;
	return step;
}

static char *printable(char *out, size_t size, const void *bytes, size_t len, bool backslash)
{
	const uint8_t *in = bytes;
	size_t at = 0;   /* bytes written */
	size_t keep = 0; /* where "..." would still fit */

	if (size == 0)
		return out;
	while (len > 0) {
		char hex[5];
		const void *piece = in;
		size_t step = in[0] == '\\' && !backslash ? 0 : text_utf8_step(in, len);
		size_t room = step;
		if (step == 0) {
			snprintf(hex, sizeof(hex), "\\x%02x", in[0]);
			piece = hex;
			step = 1;
			room = sizeof(hex) - 1;
		}
		if (at + room >= size) {
			size_t dots = size - 1 - keep < 3 ? size - 1 - keep : 3;
			memset(out + keep, '.', dots);
			at = keep + dots;
			break;
		}
		memcpy(out + at, piece, room);
		at += room;
		if (at + sizeof("...") <= size)
			keep = at;
		in += step;
		len -= step;
	}
	out[at] = '\0';
	return out;
}

char *text_printable(char *out, size_t size, const void *bytes, size_t len)
{
	return printable(out, size, bytes, len, false);
}

char *text_message(char *out, size_t size, const void *bytes, size_t len)
{
	return printable(out, size, bytes, len, true);
}
