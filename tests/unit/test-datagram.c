/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/datagram: what is asked of a socket at all addresses is answered from the one that was asked. */
#include "unit.h"

#include "engine/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned port_of(int fd)
{
	struct sockaddr_in6 local; /* the port is at the same place in both families */
	socklen_t len = sizeof(local);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &len), 0);
	return ntohs(local.sin6_port);
}

/* Of a client at `from` that hears `asked` alone. */
static int client_open(const char *from, const char *asked, unsigned port)
{
	struct sockaddr_in local = { .sin_family = AF_INET };
	struct sockaddr_in remote = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET, from, &local.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, asked, &remote.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&remote, sizeof(remote)), 0);
	return fd;
}

static void await_readable(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	if (poll(&wait, 1, 30000) != 1)
		fail_msg("nothing comes");
}

/* One datagram, as its bytes and where it came from. */
static int receive_one(int fd, char *bytes, size_t size, struct datagram_path *path)
{
	struct datagram_item item;
	int r = datagram_receive(fd, &item, 1);
	if (r < 0)
		return r;
	assert_int_equal(r, 1);
	memcpy(bytes, item.bytes, item.len < size ? item.len : size);
	*path = item.path;
	return (int)item.len;
}

static int send_one(int fd, const char *bytes, size_t len, const struct datagram_path *path)
{
	struct datagram_item item = { .path = *path, .len = len };
	memcpy(item.bytes, bytes, len);
	return datagram_send(fd, &item, 1) == 1 ? 0 : -1;
}

/* The question comes as it was sent, and the answer from where it was asked. */
static void ask(int server, const char *from, const char *asked)
{
	int client = client_open(from, asked, port_of(server));
	struct datagram_path path;
	char bytes[16];
	char text[INET_ADDRSTRLEN];

	assert_int_equal(send(client, "hello?", 6, 0), 6);
	await_readable(server);
	assert_int_equal(receive_one(server, bytes, sizeof(bytes), &path), 6);
	assert_memory_equal(bytes, "hello?", 6);
	assert_non_null(inet_ntop(AF_INET, &path.peer.in.sin_addr, text, sizeof(text)));
	assert_string_equal(text, from);
	assert_int_equal(ntohs(path.peer.in.sin_port), port_of(client));
	assert_int_equal(send_one(server, "yes", 3, &path), 0);
	await_readable(client);
	assert_int_equal(recv(client, bytes, sizeof(bytes), 0), 3);
	close(client);
}

static void answers_from_the_address_that_was_asked(void **state)
{
	(void)state;
	int server;
	assert_int_equal(datagram_open("0.0.0.0:0", -1, &server, NULL), 0);
	ask(server, "127.0.0.1", "127.0.0.1");
	ask(server, "127.0.0.1", "127.0.0.2");
	ask(server, "127.0.0.3", "127.0.0.2");
	close(server);
}

static void needs_no_address_where_it_has_one(void **state)
{
	(void)state;
	int server;
	struct datagram_path path;
	char bytes[4];
	assert_int_equal(datagram_open("127.0.0.2:0", -1, &server, NULL), 0);
	ask(server, "127.0.0.1", "127.0.0.2");
	assert_int_equal(receive_one(server, bytes, sizeof(bytes), &path), -EAGAIN);
	close(server);
}

/* There is one loopback address; whole programs are tested with more. */
static void takes_ipv6(void **state)
{
	(void)state;
	int server, client;
	struct datagram_path path;
	char bytes[4];
	char text[INET6_ADDRSTRLEN];
	if (datagram_open("[::1]:0", -1, &client, NULL) < 0) {
		print_message("# skipped: this machine has no IPv6\n");
		skip();
	}
	assert_int_equal(datagram_open("[::]:0", -1, &server, NULL), 0);
	struct datagram_path to = { .family = AF_UNSPEC, .peer_len = sizeof(to.peer.in6) };
	to.peer.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		                             .sin6_addr = IN6ADDR_LOOPBACK_INIT,
		                             .sin6_port = htons((uint16_t)port_of(server)) };
	assert_int_equal(send_one(client, "a", 1, &to), 0);
	await_readable(server);
	assert_int_equal(receive_one(server, bytes, sizeof(bytes), &path), 1);
	assert_int_equal(path.family, AF_INET6);
	assert_non_null(inet_ntop(AF_INET6, &path.local.in6.ipi6_addr, text, sizeof(text)));
	assert_string_equal(text, "::1");
	assert_int_equal(send_one(server, "b", 1, &path), 0);
	await_readable(client);
	assert_int_equal(receive_one(client, bytes, sizeof(bytes), &path), 1);
	close(server);
	close(client);
}

/* As a service manager may make it: one socket for both families. */
static void takes_ipv4_where_the_listener_does(void **state)
{
	(void)state;
	const int off = 0;
	int server;
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0) {
		print_message("# skipped: this machine has no IPv6\n");
		skip();
	}
	assert_int_equal(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(datagram_open("[::]:0", listener, &server, NULL), 0);
	int client = client_open("127.0.0.1", "127.0.0.2", port_of(server));
	struct datagram_path path;
	char bytes[4];
	assert_int_equal(send(client, "a", 1, 0), 1);
	await_readable(server);
	assert_int_equal(receive_one(server, bytes, sizeof(bytes), &path), 1);
	assert_int_equal(send_one(server, "b", 1, &path), 0);
	await_readable(client);
	assert_int_equal(recv(client, bytes, sizeof(bytes), 0), 1);
	close(client);
	close(server);
	close(listener);
}

static void tells_what_was_too_long(void **state)
{
	(void)state;
	int server;
	struct datagram_path path;
	char bytes[4], longer[DATAGRAM_ROOM + 3] = { 0 };
	assert_int_equal(datagram_open("127.0.0.1:0", -1, &server, NULL), 0);
	int client = client_open("127.0.0.1", "127.0.0.1", port_of(server));
	assert_int_equal(send(client, longer, sizeof(longer), 0), sizeof(longer));
	await_readable(server);
	assert_int_equal(receive_one(server, bytes, sizeof(bytes), &path), sizeof(longer));
	close(server);
	close(client);
}

/* Each with its own addresses; and one that cannot be sent takes none of the others along. */
static void moves_many_at_once(void **state)
{
	(void)state;
	int server, clients[3];
	struct datagram_item items[DATAGRAM_ITEMS];
	unsigned got = 0;
	char bytes[4];
	assert_int_equal(datagram_open("0.0.0.0:0", -1, &server, NULL), 0);
	for (int i = 0; i < 3; i++) {
		const char *asked[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3" };
		clients[i] = client_open("127.0.0.1", asked[i], port_of(server));
		assert_int_equal(send(clients[i], &"abc"[i], 1, 0), 1);
	}
	while (got < 3) {
		await_readable(server);
		int n = datagram_receive(server, items + got, DATAGRAM_ITEMS - got);
		assert_true(n > 0);
		got += (unsigned)n;
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(items[i].len, 1);
		assert_int_equal(items[i].bytes[0], "abc"[i]);
	}
	items[3] = items[2];
	items[1].path.peer.in.sin_port = 0; /* to nowhere */
	assert_int_equal(datagram_send(server, items, 4), 3);
	await_readable(clients[0]);
	assert_int_equal(recv(clients[0], bytes, sizeof(bytes), 0), 1);
	assert_int_equal(bytes[0], 'a');
	for (int i = 0; i < 2; i++) {
		await_readable(clients[2]);
		assert_int_equal(recv(clients[2], bytes, sizeof(bytes), 0), 1);
		assert_int_equal(bytes[0], 'c');
	}
	assert_int_equal(recv(clients[1], bytes, sizeof(bytes), MSG_DONTWAIT), -1);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_from_the_address_that_was_asked),
		cmocka_unit_test(needs_no_address_where_it_has_one),
		cmocka_unit_test(takes_ipv6),
		cmocka_unit_test(takes_ipv4_where_the_listener_does),
		cmocka_unit_test(tells_what_was_too_long),
		cmocka_unit_test(moves_many_at_once),
	};
	return cmocka_run_group_tests_name("datagram", tests, NULL, NULL);
}
