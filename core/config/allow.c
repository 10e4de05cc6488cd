/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may use an export, by address and by name. */
#include "config/allow.h"
#include "base/text.h"
#include "config/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

/* An address in the shape of IPv6; IPv4 is mapped into it, so that one comparison serves both. */
struct network {
	uint8_t bytes[16];
	unsigned bits; /* of them that count: 0 to 128 */
};

enum { V4_MAPPED_BITS = 96 };

static const uint8_t V4_MAPPED[12] = { [10] = 0xff, [11] = 0xff };

static void network_map_v4(struct network *network, const void *address)
{
	memcpy(network->bytes, V4_MAPPED, sizeof(V4_MAPPED));
	memcpy(network->bytes + sizeof(V4_MAPPED), address, 4);
}

/* `item` is "ADDRESS" or "ADDRESS/BITS". */
static int network_parse(const char *item, struct network *out)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(item, '/');
	size_t len = slash == NULL ? strlen(item) : (size_t)(slash - item);
	if (len >= sizeof(address))
		return -EINVAL;
	memcpy(address, item, len);
	address[len] = '\0';

	struct in_addr v4;
	unsigned skip = 0; /* bits in front of those that the item counts */
	if (inet_pton(AF_INET, address, &v4) == 1) {
		network_map_v4(out, &v4);
		skip = V4_MAPPED_BITS;
	} else if (inet_pton(AF_INET6, address, out->bytes) != 1) {
		return -EINVAL;
	}

	int64_t bits = 128 - (int64_t)skip;
	if (slash != NULL) {
		int64_t given;
		if (text_parse_int(slash + 1, &given) < 0 || given < 0 || given > bits)
			return -EINVAL;
		bits = given;
	}
	out->bits = skip + (unsigned)bits;
	return 0;
}

static bool network_has(const struct network *network, const uint8_t address[16])
{
	size_t whole = network->bits / 8;
	unsigned rest = network->bits % 8;
	if (memcmp(network->bytes, address, whole) != 0)
		return false;
	return rest == 0 || (network->bytes[whole] ^ address[whole]) >> (8 - rest) == 0;
}

int allow_check(const char *text, struct error *err)
{
	struct names items = { 0 };
	int rc = names_split(&items, text);
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "a list of addresses and networks, such as 10.0.0.0/8, ::1");
	for (size_t i = 0; rc == 0 && i < items.count; i++) {
		struct network network;
		if (network_parse(items.list[i], &network) < 0)
			rc = error_set(err, -EINVAL, FAULT_USAGE, "'%s' is neither an address nor a network",
			               items.list[i]);
	}
	names_free(&items);
	return rc;
}

/* The next item of a list without its blanks, not terminated; false at the end. */
static bool item_next(const char **rest, const char **item, size_t *len)
{
	if (*rest == NULL)
		return false;
	*item = *rest + strspn(*rest, " \t");
	const char *end = *item + strcspn(*item, ",");
	*rest = *end == '\0' ? NULL : end + 1;
	*len = (size_t)(end - *item);
	while (*len > 0 && ((*item)[*len - 1] == ' ' || (*item)[*len - 1] == '\t'))
		--*len;
	return true;
}

static bool list_has(const char *text, const uint8_t address[16])
{
	char copy[INET6_ADDRSTRLEN + sizeof("/128")];
	const char *item;
	size_t len;
	while (item_next(&text, &item, &len)) {
		struct network network;
		if (len >= sizeof(copy))
			continue;
		memcpy(copy, item, len);
		copy[len] = '\0';
		if (network_parse(copy, &network) == 0 && network_has(&network, address))
			return true;
	}
	return false;
}

bool allow_permits(const char *text, const struct sockaddr *from)
{
	struct network peer;
	if (text == NULL)
		return true;
	if (from->sa_family == AF_INET)
		network_map_v4(&peer, &((const struct sockaddr_in *)(const void *)from)->sin_addr);
	else if (from->sa_family == AF_INET6)
		memcpy(peer.bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
	else
		return false;
	return list_has(text, peer.bytes);
}

int allow_check_names(const char *text, struct error *err)
{
	struct names items = { 0 };
	int rc = names_split(&items, text);
	if (rc < 0)
		return error_set(err, rc, FAULT_USAGE, "a list of names is needed, none of them twice");
	for (size_t i = 0; rc == 0 && i < items.count; i++) {
		if (strlen(items.list[i]) > ALLOW_NAME_MAX)
			rc = error_set(err, -EINVAL, FAULT_USAGE, "'%.20s...' is longer than %d bytes", items.list[i],
			               ALLOW_NAME_MAX);
		for (const char *c = items.list[i]; rc == 0 && *c != '\0'; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				rc = error_set(err, -EINVAL, FAULT_USAGE, "a name has no control characters");
	}
	names_free(&items);
	return rc;
}

bool allow_names(const char *text, const char *name)
{
	const char *item;
	size_t len;
	if (text == NULL)
		return true;
	while (name[0] != '\0' && item_next(&text, &item, &len))
		if (strlen(name) == len && memcmp(name, item, len) == 0)
			return true;
	return false;
}
