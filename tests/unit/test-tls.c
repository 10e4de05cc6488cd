/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls as a real pair on the loopback: what moves, and how it ends. Who is refused is in test-tls-refuse.c. */
#include "tls-rig.h"

#include <fcntl.h>
#include <unistd.h>

enum { SIZE = 3 << 20 };

static uint8_t *data;

/* Moves `len` bytes from one end to the other; the pieces are in memory of their own, which is spoilt at once. */
static void move(const struct rig_pair *pair, struct xfer_conn *from, struct xfer_conn *to, size_t len, unsigned seed)
{
	size_t sent = 0, have = 0;
	uint8_t *got = malloc(len);
	assert_non_null(got);
	while (have < len) {
		uint8_t *copy = malloc(len - sent + 1);
		assert_non_null(copy);
		memcpy(copy, data + sent, len - sent);
		size_t left = len - sent, first = left > 0 ? (size_t)rand_r(&seed) % (left + 1) : 0;
		size_t second = left - first > 200 ? 200 : left - first;
		struct iovec iov[] = { { copy, first },
			               { copy + first, second },
			               { copy + first + second, left - first - second } };
		ssize_t took = left > 0 ? pair->ops->sendv(from, iov, 3, 0) : rig_flush(pair, from);
		memset(copy, 0xee, left);
		free(copy);
		assert_true(took >= 0 || took == -EAGAIN);
		assert_true(took <= (ssize_t)left);
		if (took > 0 && left > 0)
			sent += (size_t)took;
		for (;;) {
			size_t want = 1 + (size_t)rand_r(&seed) % 70000;
			ssize_t n = pair->ops->recv(to, got + have, want < len - have ? want : len - have, 0);
			if (n == -EAGAIN || have == len)
				break;
			assert_true(n > 0);
			have += (size_t)n;
			if (have == len)
				break;
		}
		if (have < sent)
			rig_wait(pair, to, POLLIN, 50);
	}
	assert_memory_equal(got, data, len);
	free(got);
}

static void test_stream(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make(&pair, &rig_key, &rig_key);
	/* Both small (one record at a time) and proven; cut at any place; the other direction too. */
	for (unsigned seed = 1; seed <= 3; seed++) {
		move(&pair, pair.client, pair.server, SIZE, seed);
		move(&pair, pair.server, pair.client, SIZE / 3, seed + 10);
	}
	rig_pair_break(&pair);
	/* And where TCP takes a part of it only. */
	rig_pair_make(&pair, &rig_narrow, &rig_narrow);
	move(&pair, pair.client, pair.server, SIZE, 4);
	rig_pair_break(&pair);
}

static void test_certificates(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make(&pair, &rig_certificates, &rig_certificates_daemon);
	move(&pair, pair.client, pair.server, 100000, 7);
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	assert_int_equal(pair.ops->endpoint(pair.server, &at), 0);
	assert_string_equal(at.identity, "client.test"); /* its alternative name, not "Common Client" */
	assert_int_equal(pair.ops->endpoint(pair.client, &at), 0);
	assert_string_equal(at.identity, "Common Daemon"); /* it has an address only beside it */
	rig_pair_break(&pair);
}

static void test_endpoint(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make(&pair, &rig_key, &rig_keys);
	struct xfer_endpoint client = { .struct_size = sizeof(client) }, server = { .struct_size = sizeof(server) };
	assert_int_equal(pair.ops->endpoint(pair.client, &client), 0);
	assert_int_equal(pair.ops->endpoint(pair.server, &server), 0);
	assert_string_equal(client.identity, "bob");
	assert_string_equal(server.identity, "bob");
	assert_memory_equal(server.text, "127.0.0.1:", 10);
	assert_memory_equal(&client.remote, &server.local, sizeof(struct sockaddr_in));
	rig_pair_break(&pair);
}

/* One of several keys is chosen by the user of the URL. */
static void test_user(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make_as(&pair, &rig_keys, &rig_keys, "carol");
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	assert_int_equal(pair.ops->endpoint(pair.server, &at), 0);
	assert_string_equal(at.identity, "carol");
	rig_pair_break(&pair);
}

/*
 * TCP takes no more: what was taken stays taken, poll() says that it waits, and a call without a piece sends it. Then
 * other bytes come first than those that were not taken.
 */
static void test_again(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make(&pair, &rig_narrow, &rig_narrow);
	size_t sent = 0, have = 0;
	for (;;) {
		struct iovec iov = { data + sent, SIZE - sent };
		ssize_t took = pair.ops->sendv(pair.client, &iov, 1, 0);
		if (took == -EAGAIN)
			break;
		assert_true(took > 0);
		sent += (size_t)took;
		assert_true(sent < SIZE);
	}
	assert_int_equal(rig_events(&pair, pair.client), XFER_POLL_WRITE);
	assert_int_equal(pair.ops->sendv(pair.client, NULL, 0, 0), -EAGAIN);
	uint8_t *got = malloc(SIZE);
	assert_non_null(got);
	while (have < sent) {
		ssize_t took = pair.ops->recv(pair.server, got + have, SIZE - have, 0);
		if (took > 0)
			have += (size_t)took;
		else
			assert_int_equal(took, -EAGAIN);
		(void)rig_flush(&pair, pair.client);
	}
	assert_int_equal(have, sent);
	assert_memory_equal(got, data, have);
	assert_int_equal(rig_events(&pair, pair.client), 0);
	assert_int_equal(pair.ops->sendv(pair.client, NULL, 0, 0), 0);
	struct iovec other = { (char[]){ "other" }, 5 };
	assert_int_equal(pair.ops->sendv(pair.client, &other, 1, 0), 5);
	rig_wait(&pair, pair.server, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.server, got, 100, 0), 5);
	assert_memory_equal(got, "other", 5);
	free(got);
	rig_pair_break(&pair);
}

/* Bytes that the transport holds while its descriptor is silent: more than was asked for came in one record. */
static void test_held(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[10];
	rig_pair_make(&pair, &rig_key, &rig_key);
	struct iovec iov = { data, 1000 };
	assert_int_equal(pair.ops->sendv(pair.client, &iov, 1, 0), 1000);
	rig_wait(&pair, pair.server, POLLIN, -1);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), 10);
		assert_memory_equal(got, data + 10 * i, 10);
		assert_int_equal(rig_wait(&pair, pair.server, POLLIN, 0), 0);
	}
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), -EAGAIN);
	rig_pair_break(&pair);
}

/* Small pieces travel together: three thousand of a byte in one record, not in as many. */
static void test_pieces(void **state)
{
	(void)state;
	enum { PIECES = 3000 };
	struct rig_pair pair;
	struct iovec iov[PIECES];
	uint8_t got[PIECES], raw[PIECES + 1000];
	for (size_t i = 0; i < PIECES; i++)
		iov[i] = (struct iovec){ data + i, 1 };
	rig_pair_make(&pair, &rig_key, &rig_key);
	assert_int_equal(pair.ops->sendv(pair.client, iov, PIECES, 0), PIECES);
	rig_wait(&pair, pair.server, POLLIN, -1);
	ssize_t bytes = recv(rig_fd(&pair, pair.server), raw, sizeof(raw), MSG_PEEK);
	assert_in_range(bytes, PIECES + 1, PIECES + 100);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), PIECES);
	assert_memory_equal(got, data, PIECES);
	rig_pair_break(&pair);
}

static void test_half_close(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[16];
	struct iovec iov = { (char[]){ "ping" }, 4 };
	rig_pair_make(&pair, &rig_key, &rig_key);
	assert_int_equal(pair.ops->sendv(pair.client, &iov, 1, 0), 4);
	assert_int_equal(pair.ops->shutdown(pair.client, 0), 0);
	assert_true(pair.ops->sendv(pair.client, &iov, 1, 0) < 0);
	rig_wait(&pair, pair.server, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), 4);
	rig_wait(&pair, pair.server, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), 0);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), 0);
	/* The other direction lives on. */
	assert_int_equal(pair.ops->sendv(pair.server, &iov, 1, 0), 4);
	rig_wait(&pair, pair.client, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.client, got, sizeof(got), 0), 4);
	assert_int_equal(pair.ops->shutdown(pair.server, 0), 0);
	rig_wait(&pair, pair.client, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.client, got, sizeof(got), 0), 0);
	rig_pair_break(&pair);
}

/* Shutting down waits for what TCP has not taken yet. */
static void test_shutdown_full(void **state)
{
	(void)state;
	struct rig_pair pair;
	rig_pair_make(&pair, &rig_narrow, &rig_narrow);
	size_t sent = 0, have = 0;
	for (;;) {
		struct iovec iov = { data + sent, SIZE - sent };
		assert_true(sent < SIZE);
		ssize_t took = pair.ops->sendv(pair.client, &iov, 1, 0);
		if (took < 0)
			break;
		sent += (size_t)took;
	}
	assert_int_equal(pair.ops->shutdown(pair.client, 0), -EAGAIN);
	assert_int_equal(rig_events(&pair, pair.client), XFER_POLL_WRITE);
	int rc = -EAGAIN;
	uint8_t got[65536];
	for (;;) {
		ssize_t took = pair.ops->recv(pair.server, got, sizeof(got), 0);
		if (took == 0)
			break;
		assert_true(took > 0 || took == -EAGAIN);
		have += took > 0 ? (size_t)took : 0;
		if (rc == -EAGAIN)
			rc = pair.ops->shutdown(pair.client, 0);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(have, sent);
	rig_pair_break(&pair);
}

/* Somebody on the path ends the stream: that is no end of ours. */
static void test_truncated(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[16];
	struct iovec iov = { (char[]){ "ping" }, 4 };
	rig_pair_make(&pair, &rig_key, &rig_key);
	assert_int_equal(pair.ops->sendv(pair.client, &iov, 1, 0), 4);
	assert_int_equal(shutdown(rig_fd(&pair, pair.client), SHUT_WR), 0);
	rig_wait(&pair, pair.server, POLLIN, -1);
	/* What had come before is there still, in the same call or before it. */
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), 4);
	plugin_error_clear();
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), -ECONNRESET);
	struct error err = { 0 };
	plugin_error(pair.server_plugin, -ECONNRESET, FAULT_PEER, &err);
	assert_contains(err.text, "without the end of TLS");
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), -ECONNRESET);
	rig_pair_break(&pair);
}

/* A bit that flips on the way is found by TLS. */
static void test_damaged(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[16];
	static const uint8_t record[] = { 23, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5,
		                          6,  7, 8, 9, 1,  2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5 };
	rig_pair_make(&pair, &rig_key, &rig_key);
	assert_int_equal(send(rig_fd(&pair, pair.client), record, sizeof(record), 0), sizeof(record));
	rig_wait(&pair, pair.server, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), -EPROTO);
	assert_int_equal(pair.ops->recv(pair.server, got, sizeof(got), 0), -EPROTO);
	rig_pair_break(&pair);
}

static void test_peer_death(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[16];
	struct iovec iov = { (char[]){ "ping" }, 4 };
	rig_pair_make(&pair, &rig_key, &rig_key);
	assert_int_equal(pair.ops->sendv(pair.client, &iov, 1, 0), 4);
	rig_wait(&pair, pair.server, POLLIN, -1);
	pair.ops->close(pair.server);
	pair.server = NULL;
	rig_wait(&pair, pair.client, POLLIN, -1);
	assert_int_equal(pair.ops->recv(pair.client, got, sizeof(got), 0), -ECONNRESET);
	assert_true(pair.ops->sendv(pair.client, &iov, 1, 0) < 0);
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	assert_int_equal(pair.ops->endpoint(pair.client, &at), 0);
	rig_pair_break(&pair);
}

/* Sends a byte, and receives it; returns how many went over the wire. */
static size_t byte_costs(const struct rig_pair *pair)
{
	uint8_t got[200];
	struct iovec iov = { data, 1 };
	assert_int_equal(pair->ops->sendv(pair->client, &iov, 1, 0), 1);
	rig_wait(pair, pair->server, POLLIN, -1);
	ssize_t raw = recv(rig_fd(pair, pair->server), got, sizeof(got), MSG_PEEK);
	assert_true(raw > 0);
	assert_int_equal(pair->ops->recv(pair->server, got, sizeof(got), 0), 1);
	return (size_t)raw;
}

/* The key changes many times on the way, in both directions at once. */
static void test_rekey(void **state)
{
	(void)state;
	struct rig_options often = rig_key;
	struct rig_pair pair;
	often.rekey_after = 64 * 1024;
	rig_pair_make(&pair, &often, &often);
	/* The message about it goes in front of the next byte, in a record of 27 bytes; that of the byte has 23. */
	move(&pair, pair.client, pair.server, (size_t)often.rekey_after - 1, 4);
	assert_int_equal(byte_costs(&pair), 23);
	assert_int_equal(byte_costs(&pair), 27 + 23);
	assert_int_equal(byte_costs(&pair), 23);
	move(&pair, pair.client, pair.server, SIZE, 5);
	move(&pair, pair.server, pair.client, SIZE, 6);
	rig_pair_break(&pair);
}

/* A listener and a connection that somebody else opened. */
static void test_adopt(void **state)
{
	(void)state;
	struct registry *registries[2];
	struct plugin *client = rig_plugin(&registries[0], &rig_certificates);
	struct plugin *server = rig_plugin(&registries[1], &rig_certificates_daemon);
	struct xfer_listener *listener, *heir;
	struct rig_pair pair = { .client_plugin = client, .server_plugin = server, .ops = &server->transport };
	assert_int_equal(pair_listen(server, "127.0.0.1", 0, &listener), 0);
	int fd;
	assert_int_equal(server->transport.listener_fds(listener, &fd, 1), 1);
	fd = dup(fd);
	struct xfer_listen how = { .struct_size = sizeof(how), .authority = "" };
	assert_int_equal(server->transport.listener_adopt(server->instance, &how, &fd, 1, &heir), 0);
	server->transport.listener_close(listener);

	struct sockaddr_storage address;
	socklen_t len = pair_address(&address, "127.0.0.1", pair_port(server, heir));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	struct xfer_adopt adopt = { .struct_size = sizeof(adopt), .read_fd = fd, .write_fd = fd, .authority = "" };
	/* Whom to expect has to be known. The descriptor goes with the attempt only when that was one. */
	assert_int_equal(client->transport.adopt(client->instance, &adopt, &pair.client), -EINVAL);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	adopt.authority = "127.0.0.1:1";
	/* TCP is one descriptor; two stay whose they are. */
	adopt.write_fd = dup(fd);
	assert_int_equal(client->transport.adopt(client->instance, &adopt, &pair.client), -EINVAL);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(close(adopt.write_fd), 0);
	adopt.write_fd = fd;
	assert_int_equal(client->transport.adopt(client->instance, &adopt, &pair.client), 0);
	pair.server = rig_accept(&pair, heir);
	assert_int_equal(rig_handshakes(&pair), 0);
	move(&pair, pair.client, pair.server, 10000, 3);
	server->transport.listener_close(heir);
	pair.ops->close(pair.client);
	pair.ops->close(pair.server);
	registry_destroy(registries[0]);
	registry_destroy(registries[1]);
}

static int setup(void **state)
{
	data = malloc(SIZE);
	if (data == NULL)
		return -1;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return rig_setup(state);
}

static int teardown(void **state)
{
	free(data);
	return rig_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),    cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_endpoint),  cmocka_unit_test(test_user),
		cmocka_unit_test(test_again),     cmocka_unit_test(test_held),
		cmocka_unit_test(test_pieces),    cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_shutdown_full),
		cmocka_unit_test(test_damaged),   cmocka_unit_test(test_peer_death),
		cmocka_unit_test(test_rekey),     cmocka_unit_test(test_adopt),
	};
	return cmocka_run_group_tests_name("tls", tests, setup, teardown);
}
