/* SPDX-License-Identifier: BSD-2-Clause */
/* Which congestion control transport-tcp takes: on the loopback reno, unless another is configured. */
#include "pair.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

static void congestion_of(struct plugin *tcp, struct xfer_conn *conn, char name[16])
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	socklen_t len = 15;
	memset(name, 0, 16);
	assert_int_equal(tcp->transport.poll(conn, &poll_for), 0);
	assert_int_equal(getsockopt(poll_for.read_fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), 0);
}

/* Both ends between two addresses of the loopback have it. */
static void both_have(const char *chosen, const char *host, const char *expected)
{
	struct registry *registry;
	struct plugin *tcp = pair_transport(&registry, "tcp", NULL);
	union xfer_value values[32] = { { 0 } };
	for (size_t i = 0; i < tcp->about.option_count; i++) {
		if (strcmp(tcp->options[i].name, "backlog") == 0)
			values[i].integer = 5;
		if (strcmp(tcp->options[i].name, "congestion") == 0)
			values[i].text = chosen;
	}
	registry_destroy(registry);
	tcp = pair_transport(&registry, "tcp", values);
	struct xfer_listener *listener;
	if (pair_listen(tcp, host, 0, &listener) == 0) { /* there may be no IPv6 */
		tcp->transport.listener_close(listener);
		struct pair pair;
		char name[16];
		pair_make(&pair, tcp, tcp, host);
		congestion_of(tcp, pair.client, name);
		assert_string_equal(name, expected);
		congestion_of(tcp, pair.server, name);
		assert_string_equal(name, expected);
		pair_break(&pair);
	}
	registry_destroy(registry);
}

static void test_the_loopback_has_reno(void **state)
{
	(void)state;
	both_have("", "127.0.0.1", "reno");
	both_have("", "::1", "reno");
}

static void test_what_is_configured_counts(void **state)
{
	(void)state;
	char system[16] = "";
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "re");
	if (file == NULL)
		skip();
	assert_int_equal(fscanf(file, "%15s", system), 1);
	fclose(file);
	both_have(system, "127.0.0.1", system);
	both_have(system, "::1", system);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_loopback_has_reno),
		cmocka_unit_test(test_what_is_configured_counts),
	};
	return cmocka_run_group_tests_name("tcp-near", tests, NULL, NULL);
}
