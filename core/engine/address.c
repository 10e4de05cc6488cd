/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and resolves the items of [daemon] listen. */
#include "engine/address.h"

#include "engine/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int bad_address(const char *text, const char *why, struct error *err)
{
	return error_set(err, -EINVAL, FAULT_USAGE, "[daemon] listen = %s: %s", text, why);
}

static int parse_port(const char *text, const char *digits, unsigned *port, struct error *err)
{
	unsigned value = 0;
	if (*digits == '\0')
		return bad_address(text, "the port is missing behind ':'", err);
	for (const char *at = digits; *at != '\0'; at++) {
		if (*at < '0' || *at > '9')
			return bad_address(text, "the port is not a number", err);
		value = value * 10 + (unsigned)(*at - '0');
		if (value > 65535)
			return bad_address(text, "the port is above 65535", err);
	}
	*port = value;
	return 0;
}

int address_split(const char *text, char host[ADDRESS_HOST_MAX], unsigned *port, struct error *err)
{
	const char *from = text;
	const char *end;
	const char *rest; /* ":PORT" or "" */
	if (*text == '[') {
		from = text + 1;
		end = strchr(from, ']');
		if (end == NULL)
			return bad_address(text, "']' is missing", err);
		if (end == from)
			return bad_address(text, "the brackets are empty", err);
		rest = end + 1;
		if (*rest != '\0' && *rest != ':')
			return bad_address(text, "':' and a port belong behind ']'", err);
	} else {
		end = strchr(from, ':');
		if (end == NULL)
			end = from + strlen(from);
		rest = end;
		if (*rest == ':' && strchr(rest + 1, ':') != NULL)
			return bad_address(text, "an IPv6 address stands in brackets: [::1]:15010", err);
	}
	size_t len = (size_t)(end - from);
	if (len >= ADDRESS_HOST_MAX)
		return bad_address(text, "the name is too long", err);
	unsigned number = URL_PORT_DEFAULT;
	if (*rest == ':') {
		int code = parse_port(text, rest + 1, &number, err);
		if (code < 0)
			return code;
	}
	memcpy(host, from, len);
	host[len] = '\0';
	*port = number;
	return 0;
}

int address_resolve(const char *text, bool any_port, struct addrinfo **out, unsigned *port, struct error *err)
{
	char host[ADDRESS_HOST_MAX];
	char service[16];
	unsigned number;
	int code = address_split(text, host, &number, err);
	if (code < 0)
		return code;
	if (any_port)
		number = 0;
	snprintf(service, sizeof service, "%u", number);
	struct addrinfo hints = { .ai_family = *host == '\0' ? AF_INET : AF_UNSPEC,
		                  .ai_socktype = SOCK_STREAM,
		                  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	int status = getaddrinfo(*host == '\0' ? NULL : host, service, &hints, out);
	if (status == 0) {
		*port = number;
		return 0;
	}
	return bad_address(text, status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status), err);
}
