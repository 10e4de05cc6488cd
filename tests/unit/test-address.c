/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/address: the items of [daemon] listen, and what is wrong with those that are not. */
#include "unit.h"

#include "engine/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void splits(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *host;
		unsigned port;
	} good[] = {
		{ "127.0.0.1:15011", "127.0.0.1", 15011 }, { "localhost:0", "localhost", 0 },
		{ "[::1]:65535", "::1", 65535 },           { "[::1]", "::1", 15010 },
		{ "example", "example", 15010 },           { ":15012", "", 15012 },
	};
	for (size_t at = 0; at < COUNT(good); at++) {
		char host[ADDRESS_HOST_MAX];
		unsigned port;
		struct error err = { 0 };
		assert_int_equal(address_split(good[at].text, host, &port, &err), 0);
		assert_string_equal(host, good[at].host);
		assert_int_equal(port, good[at].port);
	}
}

static void refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *why;
	} bad[] = {
		{ "127.0.0.1:", "missing" },
		{ "127.0.0.1:x", "not a number" },
		{ "127.0.0.1:1 ", "not a number" },
		{ "::1:15010", "brackets" },
		{ "h:65536", "above 65535" },
		{ "h:99999999999999999999", "above 65535" },
		{ "[::1", "']' is missing" },
		{ "[::1]15010", "behind ']'" },
		{ "[]:1", "empty" },
	};
	for (size_t at = 0; at < COUNT(bad); at++) {
		char host[ADDRESS_HOST_MAX];
		unsigned port;
		struct error err = { 0 };
		assert_int_equal(address_split(bad[at].text, host, &port, &err), -EINVAL);
		assert_int_equal(err.fault, FAULT_USAGE);
		assert_contains(err.text, bad[at].why);
		assert_contains(err.text, bad[at].text);
	}
	char longer[ADDRESS_HOST_MAX + 8];
	char host[ADDRESS_HOST_MAX];
	unsigned port;
	memset(longer, 'h', sizeof longer);
	longer[ADDRESS_HOST_MAX] = '\0';
	assert_int_equal(address_split(longer, host, &port, NULL), -EINVAL);
	longer[ADDRESS_HOST_MAX - 1] = '\0';
	assert_int_equal(address_split(longer, host, &port, NULL), 0);
}

static void resolves_numbers(void **state)
{
	(void)state;
	struct addrinfo *found;
	unsigned port;
	assert_int_equal(address_resolve("[::1]:15011", false, &found, &port, NULL), 0);
	assert_int_equal(found->ai_family, AF_INET6);
	assert_int_equal(port, 15011);
	freeaddrinfo(found);
	assert_int_equal(address_resolve(":15011", false, &found, &port, NULL), 0);
	assert_int_equal(found->ai_family, AF_INET);
	const struct sockaddr_in *any = (const struct sockaddr_in *)(const void *)found->ai_addr;
	assert_int_equal(any->sin_addr.s_addr, INADDR_ANY);
	assert_int_equal(ntohs(any->sin_port), 15011);
	freeaddrinfo(found);
	assert_int_equal(address_resolve("127.0.0.1:15011", true, &found, &port, NULL), 0);
	const struct sockaddr_in *one = (const struct sockaddr_in *)(const void *)found->ai_addr;
	assert_int_equal(one->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(ntohs(one->sin_port), 0);
	assert_int_equal(port, 0);
	freeaddrinfo(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits),
		cmocka_unit_test(refuses),
		cmocka_unit_test(resolves_numbers),
	};
	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
