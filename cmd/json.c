/* SPDX-License-Identifier: BSD-2-Clause */
/* A writer of JSON lines without a tree: what is told is written at once. */
#include "json.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void write_string(FILE *out, const char *text)
{
	size_t left = strlen(text);

	fputc('"', out);
	while (left > 0) {
		size_t step = text_utf8_step(text, left);
		unsigned char byte = (unsigned char)*text;
		if (step > 1)
			fwrite(text, 1, step, out);
		else if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (step == 1)
			fputc(byte, out);
		else if (byte < 0x80)
			fprintf(out, "\\u%04x", byte);
		else
			fputs("\\ufffd", out);
		step = step > 0 ? step : 1;
		text += step;
		left -= step;
	}
	fputc('"', out);
}

/* The comma, and the key if there is one. */
static void write_key(struct json *json, const char *key)
{
	if (!json->first)
		fputc(',', json->out);
	json->first = false;
	if (key != NULL) {
		write_string(json->out, key);
		fputc(':', json->out);
	}
}

void json_begin(struct json *json, FILE *out, const char *type)
{
	*json = (struct json){ .out = out, .first = true };
	fputc('{', out);
	json_text(json, "type", type);
}

void json_end(struct json *json)
{
	fputs("}\n", json->out);
}

void json_text(struct json *json, const char *key, const char *text)
{
	write_key(json, key);
	if (text != NULL)
		write_string(json->out, text);
	else
		fputs("null", json->out);
}

void json_name(struct json *json, const char *key, const char *bytes, size_t len)
{
	/* Each byte becomes four at most, so that nothing is ever cut. */
	char *text = malloc(4 * len + 4);

	write_key(json, key);
	if (text != NULL)
		write_string(json->out, text_printable(text, 4 * len + 4, bytes, len));
	else
		fputs("null", json->out);
	free(text);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	write_key(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	write_key(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void json_seconds(struct json *json, const char *key, uint64_t ns)
{
	write_key(json, key);
	fprintf(json->out, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

void json_bool(struct json *json, const char *key, bool value)
{
	write_key(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_open(struct json *json, const char *key, char bracket)
{
	write_key(json, key);
	fputc(bracket, json->out);
	json->first = true;
}

void json_close(struct json *json, char bracket)
{
	fputc(bracket, json->out);
	json->first = false;
}
