/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes JSON, one object per line. Every string is valid UTF-8: names, which may be any bytes, are first made printable
 * (\xHH for what is not), texts get U+FFFD for a byte that is no printable UTF-8.
 */
#ifndef XFER_CMD_JSON_H
#define XFER_CMD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;  /* borrowed */
	bool first; /* nothing stands in the innermost object or array yet */
};

/* Starts an object of a line: {"type":"file". */
void json_begin(struct json *json, FILE *out, const char *type);
void json_end(struct json *json); /* and the newline */

/* In an object each value has a key; in an array key is NULL. */
void json_text(struct json *json, const char *key, const char *text); /* NULL writes null */
void json_name(struct json *json, const char *key, const char *bytes, size_t len);
void json_number(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
/* ns as seconds with nine digits behind the point. */
void json_seconds(struct json *json, const char *key, uint64_t ns);
void json_bool(struct json *json, const char *key, bool value);
void json_open(struct json *json, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);                 /* '}' or ']' */

#endif
