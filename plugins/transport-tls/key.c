/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: pre-shared keys, out of a file of lines NAME:KEY as other programs of TLS have it. The key is written
 * in hexadecimal, or, where it is not that, in base64. An empty line, and one that begins with '#', says nothing.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Bytes, or -1: not that, or more than TLS_KEY_MAX. */
static int key_hex(const char *text, size_t len, uint8_t *out)
{
	if (len % 2 != 0 || len / 2 > TLS_KEY_MAX)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high * 16 + low);
	}
	return (int)(len / 2);
}

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static int key_base64(const char *text, size_t len, uint8_t *out)
{
	size_t have = 0;
	unsigned bits = 0, count = 0;

	if (len % 4 != 0)
		return -1;
	for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
		len--;
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(text[i]);
		if (value < 0)
			return -1;
		bits = (bits << 6 | (unsigned)value) & 0xffffu;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		if (have == TLS_KEY_MAX)
			return -1;
		out[have++] = (uint8_t)(bits >> count);
	}
	return (int)have;
}

/* Names stand in lists of the configuration and in logs. */
static bool name_good(const char *name, size_t len)
{
	static const char also[] = "._@+-";

	if (len == 0 || len > TLS_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || strchr(also, c) == NULL))
			return false;
	}
	return true;
}

/* One line without its end. NULL when it is good, else what is wrong with it. No text holds anything of the key. */
static const char *key_line(const char *line, size_t len, struct tls_key *out)
{
	const char *colon = memchr(line, ':', len);
	size_t name_len = colon != NULL ? (size_t)(colon - line) : 0, text_len = len - name_len - 1;

	if (colon == NULL)
		return "it is no NAME:KEY";
	if (!name_good(line, name_len))
		return "the name in front of the colon is 1 to 128 letters, digits or any of . _ @ + -";
	int bytes = key_hex(colon + 1, text_len, out->bytes);
	if (bytes < 0)
		bytes = key_base64(colon + 1, text_len, out->bytes);
	if (bytes < 0)
		return "the key behind the colon is neither hexadecimal nor base64, or longer than 512 bits";
	if (bytes < TLS_KEY_MIN)
		return "the key is too short: 128 bits at least, such as 'xfer keygen' makes";
	memcpy(out->name, line, name_len);
	out->name[name_len] = '\0';
	out->len = (size_t)bytes;
	return NULL;
}

const struct tls_key *tls_keys_find(const struct tls_keys *keys, const void *name, size_t len)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (strlen(keys->list[i].name) == len && memcmp(keys->list[i].name, name, len) == 0)
			return &keys->list[i];
	}
	return NULL;
}

void tls_keys_free(struct tls_keys *keys)
{
	if (keys->list != NULL)
		OPENSSL_cleanse(keys->list, keys->count * sizeof(*keys->list));
	free(keys->list);
	*keys = (struct tls_keys){ 0 };
}

static const char *keys_take(struct tls_keys *keys, const char *line, size_t len)
{
	struct tls_key *key = &keys->list[keys->count];
	const char *wrong;

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	if (len == 0 || line[0] == '#')
		return NULL;
	wrong = key_line(line, len, key);
	if (wrong == NULL && tls_keys_find(keys, key->name, strlen(key->name)) != NULL)
		wrong = "its name stands further up already";
	if (wrong == NULL)
		keys->count++;
	return wrong;
}

int tls_keys_read(const struct tls *tls, struct tls_keys *out)
{
	struct tls_keys keys = { 0 };
	const char *wrong = NULL;
	unsigned number = 0;
	size_t len, lines = 1;
	char *text;
	int rc = tls_file_read(tls, "key-file", tls->key_file, 077u, &text, &len);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	keys.list = calloc(lines, sizeof(*keys.list));
	if (keys.list == NULL) {
		tls_file_free(text, len);
		return -ENOMEM;
	}
	for (const char *at = text; wrong == NULL && at < text + len; number++) {
		size_t left = (size_t)(text + len - at);
		const char *end = memchr(at, '\n', left);
		size_t here = end != NULL ? (size_t)(end - at) : left;

		wrong = keys_take(&keys, at, here);
		at += here + 1;
	}
	tls_file_free(text, len);
	if (wrong != NULL)
		tls->host->error(tls->host, "key-file %s: line %u: %s", tls->key_file, number, wrong);
	else if (keys.count == 0)
		tls->host->error(tls->host, "key-file %s: there is no key in it; 'xfer keygen' makes one",
		                 tls->key_file);
	if (wrong != NULL || keys.count == 0) {
		keys.count = lines;
		tls_keys_free(&keys);
		return -EINVAL;
	}
	*out = keys;
	return 0;
}
