/* SPDX-License-Identifier: BSD-2-Clause */
/* config/allow: which addresses a list lets in. */
#include "unit.h"

#include "config/allow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static bool permits(const char *list, const char *from)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, from, &v4.sin_addr) == 1)
		return allow_permits(list, (const struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, from, &v6.sin6_addr), 1);
	return allow_permits(list, (const struct sockaddr *)&v6);
}

static void permits_everybody_without_a_list(void **state)
{
	(void)state;
	struct sockaddr local = { .sa_family = AF_UNIX };
	assert_true(permits(NULL, "192.0.2.1"));
	assert_true(permits(NULL, "2001:db8::1"));
	assert_true(allow_permits(NULL, &local));
	assert_false(allow_permits("0.0.0.0/0, ::/0", &local));
}

static void compares_addresses(void **state)
{
	(void)state;
	assert_true(permits("192.0.2.1", "192.0.2.1"));
	assert_false(permits("192.0.2.1", "192.0.2.2"));
	assert_true(permits("10.0.0.0/8, ::1", "::1"));
	assert_false(permits("10.0.0.0/8, ::1", "::2"));
	assert_true(permits("10.0.0.0/8, ::1", "10.255.0.1"));
	assert_false(permits("10.0.0.0/8, ::1", "11.0.0.1"));
	assert_true(permits("10.0.0.0/8 ,\t0000:0000:0000:0000:0000:ffff:192.168.100.100/128", "192.168.100.100"));
}

static void counts_bits(void **state)
{
	(void)state;
	assert_true(permits("192.0.2.128/25", "192.0.2.255"));
	assert_false(permits("192.0.2.128/25", "192.0.2.127"));
	assert_true(permits("192.0.2.0/31", "192.0.2.1"));
	assert_false(permits("192.0.2.0/31", "192.0.2.2"));
	assert_true(permits("0.0.0.0/0", "203.0.113.9"));
	assert_false(permits("0.0.0.0/0", "2001:db8::1"));
	assert_true(permits("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(permits("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(permits("::/0", "2001:db8::1"));
}

static void takes_mapped_addresses_for_what_they_are(void **state)
{
	(void)state;
	assert_true(permits("192.0.2.0/24", "::ffff:192.0.2.7"));
	assert_false(permits("192.0.2.0/24", "::ffff:192.0.3.7"));
}

static void refuses_what_is_no_address(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"example.org", "10.0.0.0/33",  "10.0.0/8", "::1/129", "10.0.0.0/",
		"10.0.0.0/-1", "10.0.0.0/8/8", "[::1]",    "/8",
	};
	struct error err = { 0 };
	for (size_t i = 0; i < COUNT(BAD); i++) {
		assert_int_equal(allow_check(BAD[i], &err), -EINVAL);
		assert_contains(err.text, BAD[i]);
		assert_false(permits(BAD[i], "10.0.0.1"));
	}
	assert_int_equal(allow_check("", &err), -EINVAL);
	assert_int_equal(allow_check("10.0.0.1,,10.0.0.2", &err), -EINVAL);
	assert_int_equal(allow_check("10.0.0.0/8, ::1", &err), 0);
}

static void compares_names(void **state)
{
	(void)state;
	assert_true(allow_names(NULL, "alice"));
	assert_true(allow_names(NULL, ""));
	assert_true(allow_names("alice", "alice"));
	assert_true(allow_names("bob ,\talice , carol", "alice"));
	assert_true(allow_names("bob, carol the first", "carol the first"));
	assert_false(allow_names("alice", "alic"));
	assert_false(allow_names("alice", "alice2"));
	assert_false(allow_names("alice", "Alice"));
	assert_false(allow_names("alice, bob", "alice, bob"));
	assert_false(allow_names("alice", ""));
	assert_false(allow_names("", ""));
	assert_false(allow_names("alice,,bob", ""));
}

static void refuses_what_is_no_name(void **state)
{
	(void)state;
	static const char *const BAD[] = { "", " ", "a,", ",a", "a,,b", "a, b, a", "a\tb", "\x01" };
	struct error err = { 0 };
	char longest[ALLOW_NAME_MAX + 2];
	for (size_t i = 0; i < COUNT(BAD); i++) {
		assert_true(allow_check_names(BAD[i], &err) < 0);
		assert_int_equal(err.fault, FAULT_USAGE);
	}
	assert_int_equal(allow_check_names("alice, client.example.org, CN=a b", &err), 0);
	memset(longest, 'x', sizeof(longest));
	longest[ALLOW_NAME_MAX + 1] = '\0';
	assert_int_equal(allow_check_names(longest, &err), -EINVAL);
	longest[ALLOW_NAME_MAX] = '\0';
	assert_int_equal(allow_check_names(longest, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits_everybody_without_a_list),
		cmocka_unit_test(compares_addresses),
		cmocka_unit_test(counts_bits),
		cmocka_unit_test(takes_mapped_addresses_for_what_they_are),
		cmocka_unit_test(refuses_what_is_no_address),
		cmocka_unit_test(compares_names),
		cmocka_unit_test(refuses_what_is_no_name),
	};
	return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
