/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads xfer:// URLs and the HOST[:PORT] of `xfer ping`, and says exactly what is wrong with the others. */
#include "engine/url.h"

#include "base/text.h"
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 200 }; /* bytes of a URL in a message */

static const char *shown(char out[SHOWN_MAX], const char *text)
{
	return text_printable(out, SHOWN_MAX, text, strlen(text));
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory while reading a URL");
}

/* A plug-in's name: [a-z][a-z0-9-]*, as far as it goes. */
static size_t name_span(const char *text)
{
	if (*text < 'a' || *text > 'z')
		return 0;
	return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

/* What stands behind "xfer://" or "xfer+NAME://", or NULL; the name (not terminated) if there is one. */
static const char *scheme_skip(const char *text, const char **name, size_t *name_len)
{
	*name = NULL;
	*name_len = 0;
	if (strncmp(text, "xfer", 4) != 0)
		return NULL;
	text += 4;
	if (*text == '+') {
		*name = text + 1;
		*name_len = name_span(*name);
		if (*name_len == 0 || *name_len > MESSAGE_NAME_MAX)
			return NULL;
		text = *name + *name_len;
	}
	return strncmp(text, "://", 3) == 0 ? text + 3 : NULL;
}

bool url_is(const char *text)
{
	const char *name;
	size_t name_len;
	return scheme_skip(text, &name, &name_len) != NULL;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Decodes len bytes into a new string. What could not come out as it went in is refused: %00 ends a name early, and
 * %2F (where `slash_refused`) would make two names of one.
 */
static int decode(char **out, const char *text, size_t len, bool slash_refused, const char *whole, struct error *err)
{
	char url[SHOWN_MAX];
	char *bytes = malloc(len + 1);
	size_t used = 0;
	int code;

	if (bytes == NULL)
		return no_memory(err);
	for (size_t at = 0; at < len; at++) {
		if (text[at] != '%') {
			bytes[used++] = text[at];
			continue;
		}
		int high = at + 1 < len ? hex_value(text[at + 1]) : -1;
		int low = at + 2 < len ? hex_value(text[at + 2]) : -1;
		if (high < 0 || low < 0) {
			code = error_set(
				err, -EINVAL, FAULT_USAGE,
				"URL '%s': a '%%' needs two hexadecimal digits behind it; write %%25 for a percent sign",
				shown(url, whole));
			goto refused;
		}
		int byte = high * 16 + low;
		if (byte == 0 || (byte == '/' && slash_refused)) {
			code = error_set(err, -EINVAL, FAULT_USAGE, "URL '%s': %%%.2s cannot be part of a name",
			                 shown(url, whole), text + at + 1);
			goto refused;
		}
		bytes[used++] = (char)byte;
		at += 2;
	}
	bytes[used] = '\0';
	*out = bytes;
	return 0;

refused:
	free(bytes);
	return code;
}

/* The decoded path without leading, trailing and repeated slashes, in place. */
static void path_tidy(char *path)
{
	char *to = path;
	for (const char *from = path; *from != '\0'; from++) {
		if (*from == '/' && (to == path || to[-1] == '/'))
			continue;
		*to++ = *from;
	}
	if (to > path && to[-1] == '/')
		to--;
	*to = '\0';
}

static int port_parse(unsigned *out, const char *text, size_t len, const char *whole, struct error *err)
{
	char url[SHOWN_MAX];
	unsigned port = 0;
	bool good = len > 0 && len <= 5;

	for (size_t at = 0; good && at < len; at++) {
		good = text[at] >= '0' && text[at] <= '9';
		port = port * 10 + (unsigned)(text[at] - '0');
	}
	if (!good || port == 0 || port > 65535)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s': the port '%.*s' is not a number from 1 to 65535",
		                 shown(url, whole), (int)(len > 20 ? 20 : len), text);
	*out = port;
	return 0;
}

/* What stands between brackets: an IPv6 address, with the zone as "%zone" or, as RFC 6874 has it, "%25zone". */
static int bracket_parse(char **out, const char *text, size_t len, const char *whole, struct error *err)
{
	char url[SHOWN_MAX];
	const char *percent = memchr(text, '%', len);
	size_t address_len = percent != NULL ? (size_t)(percent - text) : len;
	const char *zone = percent != NULL ? percent + 1 : text + len;
	size_t zone_len = (size_t)(text + len - zone);

	if (zone_len > 2 && strncmp(zone, "25", 2) == 0) {
		zone += 2;
		zone_len -= 2;
	}
	bool good = memchr(text, ':', address_len) != NULL && (percent == NULL || zone_len > 0);
	for (size_t at = 0; good && at < address_len; at++)
		good = hex_value(text[at]) >= 0 || text[at] == ':' || text[at] == '.';
	for (size_t at = 0; good && at < zone_len; at++)
		good = strchr("%/@[]", zone[at]) == NULL && zone[at] > ' ';
	if (!good)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s': what stands in brackets is not an IPv6 address",
		                 shown(url, whole));

	char *host = malloc(len + 1);
	if (host == NULL)
		return no_memory(err);
	memcpy(host, text, address_len);
	if (percent != NULL) {
		host[address_len++] = '%';
		memcpy(host + address_len, zone, zone_len);
		address_len += zone_len;
	}
	host[address_len] = '\0';
	*out = host;
	return 0;
}

static int user_parse(struct url *url, const char *text, size_t len, const char *whole, struct error *err)
{
	char as_shown[SHOWN_MAX];

	if (len == 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s': there is no name before the '@'",
		                 shown(as_shown, whole));
	/* Not shown: it may be a secret, and messages end up in logs. */
	if (memchr(text, ':', len) != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "a URL may not hold a password: everybody on this machine can read command lines; "
		                 "write user@host");
	return decode(&url->user, text, len, true, whole, err);
}

/* [user@]host[:port] */
static int authority_parse(struct url *url, const char *text, size_t len, const char *whole, struct error *err)
{
	char as_shown[SHOWN_MAX];
	const char *end = text + len;
	const char *at_sign = memrchr(text, '@', len);
	const char *host_end;
	int code;

	if (at_sign != NULL) {
		code = user_parse(url, text, (size_t)(at_sign - text), whole, err);
		if (code < 0)
			return code;
		text = at_sign + 1;
	}
	url->authority = strndup(text, (size_t)(end - text));
	if (url->authority == NULL)
		return no_memory(err);

	url->port = URL_PORT_DEFAULT;
	if (text < end && *text == '[') {
		const char *close = memchr(text, ']', (size_t)(end - text));
		if (close == NULL)
			return error_set(err, -EINVAL, FAULT_USAGE, "'%s': the ']' behind the address is missing",
			                 shown(as_shown, whole));
		code = bracket_parse(&url->host, text + 1, (size_t)(close - text - 1), whole, err);
		if (code < 0)
			return code;
		host_end = close + 1;
		if (host_end < end && *host_end != ':')
			return error_set(err, -EINVAL, FAULT_USAGE, "'%s': behind ']' only ':' and a port may follow",
			                 shown(as_shown, whole));
	} else {
		host_end = memchr(text, ':', (size_t)(end - text));
		if (host_end == NULL)
			host_end = end;
		else if (memchr(host_end + 1, ':', (size_t)(end - host_end - 1)) != NULL)
			return error_set(err, -EINVAL, FAULT_USAGE,
			                 "'%s': an IPv6 address stands in brackets, as in [::1]",
			                 shown(as_shown, whole));
		if (host_end == text)
			return error_set(err, -EINVAL, FAULT_USAGE, "'%s': there is no host in it",
			                 shown(as_shown, whole));
		/* A slash is fine here: a transport may take a path of a socket for its authority. */
		code = decode(&url->host, text, (size_t)(host_end - text), false, whole, err);
		if (code < 0)
			return code;
	}
	if (host_end < end)
		return port_parse(&url->port, host_end + 1, (size_t)(end - host_end - 1), whole, err);
	return 0;
}

static int parse(struct url *url, const char *text, struct error *err)
{
	char as_shown[SHOWN_MAX];
	const char *name;
	size_t name_len;
	const char *rest = scheme_skip(text, &name, &name_len);

	if (rest == NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s' is not a URL: write xfer://HOST/EXPORT/PATH",
		                 shown(as_shown, text));
	if (name != NULL) {
		url->transport = strndup(name, name_len);
		if (url->transport == NULL)
			return no_memory(err);
	}
	size_t authority_len = strcspn(rest, "/");
	int code = authority_parse(url, rest, authority_len, text, err);
	if (code < 0)
		return code;

	const char *path = rest + authority_len;
	size_t path_len = strlen(path);
	code = decode(&url->path, path, path_len, true, text, err);
	if (code < 0)
		return code;
	url->slash = path_len > 0 && path[path_len - 1] == '/';
	path_tidy(url->path);
	if (strlen(url->path) > MESSAGE_PATH_MAX)
		return error_set(err, -ENAMETOOLONG, FAULT_USAGE, "URL '%s': the path is longer than %d bytes",
		                 shown(as_shown, text), MESSAGE_PATH_MAX);
	return 0;
}

/* "HOST", "HOST:PORT", "[::1]:PORT"; an IPv6 address alone is taken without brackets too. */
static int parse_host(struct url *url, const char *text, struct error *err)
{
	char as_shown[SHOWN_MAX];
	const char *colon = strchr(text, ':');
	int code;

	if (strchr(text, '/') != NULL)
		return error_set(err, -EINVAL, FAULT_USAGE, "'%s' is not a host: write HOST, HOST:PORT or xfer://HOST",
		                 shown(as_shown, text));
	if (*text == '\0')
		return error_set(err, -EINVAL, FAULT_USAGE, "the host is empty: write HOST or HOST:PORT");
	url->path = strdup("");
	if (url->path == NULL)
		return no_memory(err);
	if (*text == '[' || colon == NULL || strchr(colon + 1, ':') == NULL || strchr(text, '@') != NULL)
		return authority_parse(url, text, strlen(text), text, err);

	code = bracket_parse(&url->host, text, strlen(text), text, err);
	if (code < 0)
		return code;
	size_t size = strlen(url->host) + 3;
	url->authority = malloc(size);
	if (url->authority == NULL)
		return no_memory(err);
	stpcpy(stpcpy(stpcpy(url->authority, "["), url->host), "]");
	url->port = URL_PORT_DEFAULT;
	return 0;
}

static int parse_with(struct url *out, const char *text, struct error *err,
                      int (*parser)(struct url *url, const char *text, struct error *err))
{
	struct url url = { .port = URL_PORT_DEFAULT };
	int code = parser(&url, text, err);

	if (code < 0)
		url_free(&url);
	else
		*out = url;
	return code;
}

int url_parse(struct url *out, const char *text, struct error *err)
{
	return parse_with(out, text, err, parse);
}

int url_parse_host(struct url *out, const char *text, struct error *err)
{
	return parse_with(out, text, err, strstr(text, "://") != NULL ? parse : parse_host);
}

void url_free(struct url *url)
{
	free(url->transport);
	free(url->user);
	free(url->authority);
	free(url->host);
	free(url->path);
	*url = (struct url){ 0 };
}
