/* SPDX-License-Identifier: BSD-2-Clause */
/* URLs and hosts: what they are taken apart into, and what is refused in which words. */
#include "unit.h"

#include "engine/url.h"

#include <stdlib.h>
#include <string.h>

static void good(const char *text, const char *transport, const char *user, const char *authority, const char *host,
                 unsigned port, const char *path, bool slash)
{
	struct url url;
	struct error err;

	error_clear(&err);
	assert_int_equal(url_parse(&url, text, &err), 0);
	if (transport != NULL)
		assert_string_equal(url.transport, transport);
	else
		assert_null(url.transport);
	if (user != NULL)
		assert_string_equal(url.user, user);
	else
		assert_null(url.user);
	assert_string_equal(url.authority, authority);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, path);
	assert_int_equal(url.slash, slash);
	url_free(&url);
	assert_null(url.path);
}

static void refused(const char *text, const char *words)
{
	struct url url = { .port = 7 };
	struct error err;

	error_clear(&err);
	assert_true(url_parse(&url, text, &err) < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_contains(err.text, words);
	/* Outputs are set on success only. */
	assert_int_equal(url.port, 7);
	assert_null(url.path);
}

static void test_parts(void **state)
{
	(void)state;
	good("xfer://host/pub/file", NULL, NULL, "host", "host", 15010, "pub/file", false);
	good("xfer://host:99/pub/", NULL, NULL, "host:99", "host", 99, "pub", true);
	good("xfer://me@host:65535/a/b/c", NULL, "me", "host:65535", "host", 65535, "a/b/c", false);
	good("xfer+tls://host/pub", "tls", NULL, "host", "host", 15010, "pub", false);
	good("xfer+my-own2://host", "my-own2", NULL, "host", "host", 15010, "", false);
	good("xfer://host/", NULL, NULL, "host", "host", 15010, "", true);
}

static void test_ipv6(void **state)
{
	(void)state;
	good("xfer://[::1]/pub", NULL, NULL, "[::1]", "::1", 15010, "pub", false);
	good("xfer://u@[fe80::1%25eth0]:7/pub", NULL, "u", "[fe80::1%25eth0]:7", "fe80::1%eth0", 7, "pub", false);
	good("xfer://[fe80::1%eth0]/pub", NULL, NULL, "[fe80::1%eth0]", "fe80::1%eth0", 15010, "pub", false);
	good("xfer://[::ffff:10.0.0.1]/", NULL, NULL, "[::ffff:10.0.0.1]", "::ffff:10.0.0.1", 15010, "", true);
	refused("xfer://[::1/pub", "']' behind the address is missing");
	refused("xfer://[host]/pub", "not an IPv6 address");
	refused("xfer://[]/pub", "not an IPv6 address");
	refused("xfer://[fe80::1%]/pub", "not an IPv6 address");
	refused("xfer://[::1]x/pub", "behind ']'");
	refused("xfer://::1/pub", "in brackets");
}

static void test_percent(void **state)
{
	(void)state;
	good("xfer://h/pub/a%20b%25%FF%0a", NULL, NULL, "h", "h", 15010, "pub/a b%\xff\n", false);
	good("xfer://h/pub/a b?c#d\xc3\xa9", NULL, NULL, "h", "h", 15010, "pub/a b?c#d\xc3\xa9", false);
	good("xfer://a%40b@h/pub", NULL, "a@b", "h", "h", 15010, "pub", false);
	good("xfer+unix://%2Frun%2Fx.sock/pub", "unix", NULL, "%2Frun%2Fx.sock", "/run/x.sock", 15010, "pub", false);
	refused("xfer://h/pub/%00", "%00 cannot be part of a name");
	refused("xfer://h/pub/a%2Fb", "%2F cannot be part of a name");
	refused("xfer://h/pub/a%2fb", "%2f cannot be part of a name");
	refused("xfer://h%00/pub", "%00 cannot");
	refused("xfer://a%2Fb@h/pub", "%2F cannot");
	refused("xfer://h/pub/100%", "write %25");
	refused("xfer://h/pub/%4", "write %25");
	refused("xfer://h/pub/%zz", "write %25");
}

static void test_slashes(void **state)
{
	(void)state;
	good("xfer://h//pub///a//", NULL, NULL, "h", "h", 15010, "pub/a", true);
	/* The daemon judges what leaves the export; nothing is folded away here. */
	good("xfer://h/pub/../etc/./passwd", NULL, NULL, "h", "h", 15010, "pub/../etc/./passwd", false);
}

static void test_refused(void **state)
{
	(void)state;
	refused("host/pub", "is not a URL");
	refused("http://host/pub", "is not a URL");
	refused("xfer:/host/pub", "is not a URL");
	refused("xfer+://host/pub", "is not a URL");
	refused("xfer+TLS://host/pub", "is not a URL");
	refused("xfer+a234567890123456789012345678901x://h/pub", "is not a URL");
	refused("", "is not a URL");
	refused("xfer:///pub", "no host");
	refused("xfer://:99/pub", "no host");
	refused("xfer://@h/pub", "no name before the '@'");
	refused("xfer://h:/pub", "port ''");
	refused("xfer://h:0/pub", "port '0'");
	refused("xfer://h:65536/pub", "port '65536'");
	refused("xfer://h:15010x/pub", "port '15010x'");
	refused("xfer://h:99999999999999999999999/pub", "from 1 to 65535");
}

static void test_password_is_not_repeated(void **state)
{
	struct url url;
	struct error err;

	(void)state;
	error_clear(&err);
	assert_true(url_parse(&url, "xfer://me:geheim@host/pub", &err) < 0);
	assert_contains(err.text, "password");
	assert_null(strstr(err.text, "geheim"));
}

static void test_message_is_printable(void **state)
{
	struct url url;
	struct error err;

	(void)state;
	error_clear(&err);
	assert_true(url_parse(&url, "\x1b[2J\n", &err) < 0);
	assert_null(strchr(err.text, '\x1b'));
	assert_null(strchr(err.text, '\n'));
}

static void test_long_path(void **state)
{
	char text[4200] = "xfer://h/pub/";
	size_t used = strlen(text);

	(void)state;
	/* "pub/" and the rest make 4095 bytes: the longest; one more is refused. */
	memset(text + used, 'x', 4091);
	text[used + 4091] = '\0';
	good(text, NULL, NULL, "h", "h", 15010, text + strlen("xfer://h/"), false);
	text[used + 4091] = 'x';
	text[used + 4092] = '\0';
	refused(text, "longer than 4095 bytes");
}

static void test_url_is(void **state)
{
	(void)state;
	assert_true(url_is("xfer://"));
	assert_true(url_is("xfer+tls://x"));
	assert_false(url_is("xfer"));
	assert_false(url_is("xfer+tls:x"));
	assert_false(url_is("./xfer://h/pub"));
	assert_false(url_is(""));
}

static void host_good(const char *text, const char *authority, const char *host, unsigned port)
{
	struct url url;
	struct error err;

	error_clear(&err);
	assert_int_equal(url_parse_host(&url, text, &err), 0);
	assert_string_equal(url.authority, authority);
	assert_string_equal(url.host, host);
	assert_int_equal(url.port, port);
	assert_string_equal(url.path, "");
	url_free(&url);
}

static void host_refused(const char *text, const char *words)
{
	struct url url;
	struct error err;

	error_clear(&err);
	assert_true(url_parse_host(&url, text, &err) < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_contains(err.text, words);
}

static void test_hosts(void **state)
{
	(void)state;
	host_good("host", "host", "host", 15010);
	host_good("host:1", "host:1", "host", 1);
	host_good("127.0.0.1:15011", "127.0.0.1:15011", "127.0.0.1", 15011);
	host_good("[::1]", "[::1]", "::1", 15010);
	host_good("[::1]:9", "[::1]:9", "::1", 9);
	host_good("::1", "[::1]", "::1", 15010);
	host_good("fe80::1%eth0", "[fe80::1%eth0]", "fe80::1%eth0", 15010);
	host_good("xfer://host:5", "host:5", "host", 5);
	host_refused("", "empty");
	host_refused("/etc/passwd", "is not a host");
	host_refused("host:", "port ''");
	host_refused(":5", "no host");
	host_refused("a:b:c:g", "not an IPv6 address");
	host_refused("http://host", "is not a URL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_percent),
		cmocka_unit_test(test_slashes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_password_is_not_repeated),
		cmocka_unit_test(test_message_is_printable),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_url_is),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
