/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers with units, hex, and names of any bytes made printable. */
#ifndef XFER_BASE_TEXT_H
#define XFER_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "4096", "1K", "16M", "2G", "1T" (powers of 1024; "KiB" and "k" are accepted). -EINVAL, -ERANGE. */
int text_parse_size(const char *text, uint64_t *bytes);
/* "500ms", "4s", "10m", "2h", "7d", "250us", "10ns"; a bare number is -EINVAL, save "0". Nanoseconds. */
int text_parse_duration(const char *text, uint64_t *ns);
/* A decimal int64 with optional sign and nothing behind it. */
int text_parse_int(const char *text, int64_t *value);
/* yes/no, true/false, on/off, 1/0. */
int text_parse_bool(const char *text, int *value);

enum { TEXT_NUMBER_MAX = 32 };
/* The exact inverse of the parsers: "1M" for 1048576, "1000" for 1000, "500ms", "4s". */
char *text_format_size(char out[TEXT_NUMBER_MAX], uint64_t bytes);
char *text_format_duration(char out[TEXT_NUMBER_MAX], uint64_t ns);
/* For people: "1.4 MiB", "973.2 MiB/s" is text_human_size() + "/s". */
char *text_human_size(char out[TEXT_NUMBER_MAX], uint64_t bytes);
/* For people, cut and not rounded: "0.3s", "12s", "2m0s", "1h5m". */
char *text_human_duration(char out[TEXT_NUMBER_MAX], uint64_t ns);

/* Lower-case hex; `out` holds 2 * len + 1 bytes. */
char *text_hex(char *out, const uint8_t *bytes, size_t len);

/*
 * Any bytes as printable text: control characters (those that turn the direction of a line too), DEL, backslash and
 * bytes that are not valid UTF-8 become \xHH, so that a name never moves a terminal's cursor. Cuts with "..." when it
 * does not fit. Returns out.
 */
char *text_printable(char *out, size_t size, const void *bytes, size_t len);
/* The same for a text of ours, in which names are printable already: a backslash stays what it is. */
char *text_message(char *out, size_t size, const void *bytes, size_t len);

/* Bytes of the printable UTF-8 character at the front of `bytes` (len > 0), or 0 when there is none. */
size_t text_utf8_step(const void *bytes, size_t len);

#endif
