/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp as a real pair on the loopback. */
#include "pair.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct registry *registry;
static struct plugin *tcp;
static uint8_t *data;

enum { SIZE = 3 << 20 };

static const char *const HOSTS[] = { "127.0.0.1", "::1" };

static bool has_ipv6(void)
{
	struct xfer_listener *listener;
	if (pair_listen(tcp, "::1", 0, &listener) < 0)
		return false;
	tcp->transport.listener_close(listener);
	return true;
}

static int fd_of(struct xfer_conn *conn)
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	assert_int_equal(tcp->transport.poll(conn, &poll_for), 0);
	assert_int_equal(poll_for.read_fd, poll_for.write_fd);
	return poll_for.read_fd;
}

static int option_of(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

static void test_stream(void **state)
{
	(void)state;
	uint8_t *got = malloc(SIZE);
	assert_non_null(got);
	for (size_t i = 0; i < (has_ipv6() ? 2u : 1u); i++) {
		struct pair pair;
		ssize_t end;
		pair_make(&pair, tcp, tcp, HOSTS[i]);
		memset(got, 0, SIZE);
		assert_int_equal(pair_move(&pair, data, SIZE, got, SIZE, &end), SIZE);
		assert_memory_equal(got, data, SIZE);
		pair_break(&pair);
	}
	free(got);
}

static void test_descriptors(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	struct xfer_conn *conns[] = { pair.client, pair.server };
	for (size_t i = 0; i < COUNT(conns); i++) {
		int fd = fd_of(conns[i]);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
		tcp->transport.poll(conns[i], &poll_for);
		assert_int_equal(poll_for.events, 0);
	}
	pair_break(&pair);
}

static void test_endpoint(void **state)
{
	(void)state;
	struct pair pair;
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	struct xfer_endpoint client = { .struct_size = sizeof(client) }, server = { .struct_size = sizeof(server) };
	assert_int_equal(tcp->transport.endpoint(pair.client, &client), 0);
	assert_int_equal(tcp->transport.endpoint(pair.server, &server), 0);
	assert_memory_equal(&client.remote, &server.local, sizeof(struct sockaddr_in));
	assert_memory_equal(&client.local, &server.remote, sizeof(struct sockaddr_in));
	char want[64];
	snprintf(want, sizeof(want), "127.0.0.1:%u", ntohs(((struct sockaddr_in *)&server.remote)->sin_port));
	assert_string_equal(server.text, want);
	assert_string_equal(server.identity, "");
	pair_break(&pair);

	if (!has_ipv6())
		return;
	pair_make(&pair, tcp, tcp, HOSTS[1]);
	assert_int_equal(tcp->transport.endpoint(pair.server, &server), 0);
	assert_memory_equal(server.text, "[::1]:", 6);
	pair_break(&pair);
}

/* Silence, a full pipe, and going on after it. */
static void test_again(void **state)
{
	(void)state;
	struct pair pair;
	uint8_t got[65536];
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	assert_int_equal(tcp->transport.recv(pair.server, got, sizeof(got), 0), -EAGAIN);
	size_t sent = 0, have = 0;
	for (;;) {
		struct iovec iov = { data, SIZE };
		ssize_t took = tcp->transport.sendv(pair.client, &iov, 1, 0);
		if (took == -EAGAIN)
			break;
		assert_true(took > 0);
		sent += (size_t)took;
	}
	assert_true(sent > 0);
	while (have < sent) {
		ssize_t took = tcp->transport.recv(pair.server, got, sizeof(got), 0);
		if (took == -EAGAIN) {
			pair_wait(tcp, pair.server, XFER_POLL_READ);
			continue;
		}
		assert_true(took > 0);
		have += (size_t)took;
	}
	assert_int_equal(have, sent);
	pair_wait(tcp, pair.client, XFER_POLL_WRITE);
	pair_break(&pair);
}

/* More pieces than one system call takes. */
static void test_many_pieces(void **state)
{
	(void)state;
	enum { PIECES = 3000 };
	struct pair pair;
	static struct iovec iov[PIECES];
	for (size_t i = 0; i < PIECES; i++)
		iov[i] = (struct iovec){ data + i, 1 };
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	ssize_t took = tcp->transport.sendv(pair.client, iov, PIECES, 0);
	assert_true(took > 0 && took <= PIECES);
	uint8_t got[PIECES];
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	ssize_t have = tcp->transport.recv(pair.server, got, sizeof(got), 0);
	assert_true(have > 0);
	assert_memory_equal(got, data, (size_t)have);
	pair_break(&pair);
}

static void test_half_close(void **state)
{
	(void)state;
	struct pair pair;
	uint8_t got[16];
	struct iovec iov = { (char[]){ "ping" }, 4 };
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), 4);
	assert_int_equal(tcp->transport.shutdown(pair.client, 0), 0);
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), -EPIPE); /* and no SIGPIPE */
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recv(pair.server, got, sizeof(got), 0), 4);
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recv(pair.server, got, sizeof(got), 0), 0);
	assert_int_equal(tcp->transport.recv(pair.server, got, sizeof(got), 0), 0);
	/* The other direction lives on. */
	assert_int_equal(tcp->transport.sendv(pair.server, &iov, 1, 0), 4);
	pair_wait(tcp, pair.client, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recv(pair.client, got, sizeof(got), 0), 4);
	pair_break(&pair);
}

static void test_peer_death(void **state)
{
	(void)state;
	struct pair pair;
	uint8_t got[16];
	struct iovec iov = { (char[]){ "ping" }, 4 };
	pair_make(&pair, tcp, tcp, HOSTS[0]);
	/* Closed with unread bytes, as a killed process leaves it: a reset. */
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), 4);
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	tcp->transport.close(pair.server);
	pair.server = NULL;
	pair_wait(tcp, pair.client, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recv(pair.client, got, sizeof(got), 0), -ECONNRESET);
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), -EPIPE);
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	assert_int_equal(tcp->transport.endpoint(pair.client, &endpoint), 0);
	assert_string_equal(endpoint.text, "?");
	pair_break(&pair);
}

static void test_refused(void **state)
{
	(void)state;
	struct xfer_listener *listener;
	assert_int_equal(pair_listen(tcp, HOSTS[0], 0, &listener), 0);
	unsigned port = pair_port(tcp, listener);

	/* In use. */
	struct xfer_listener *second;
	struct error err = { 0 };
	char want[128];
	int rc = pair_listen(tcp, HOSTS[0], port, &second);
	assert_int_equal(rc, -EADDRINUSE);
	plugin_error(tcp, rc, FAULT_USAGE, &err);
	snprintf(want, sizeof(want), "transport tcp: cannot listen on 127.0.0.1:%u: Address already in use", port);
	assert_string_equal(err.text, want);

	/* And free again at once, with connections of it around: SO_REUSEADDR. */
	struct xfer_conn *client;
	assert_int_equal(pair_connect(tcp, HOSTS[0], port, &client), 0);
	struct xfer_conn *server = pair_accept(tcp, listener);
	tcp->transport.listener_close(listener);
	tcp->transport.close(server);
	assert_int_equal(pair_listen(tcp, HOSTS[0], port, &listener), 0);
	tcp->transport.close(client);
	tcp->transport.listener_close(listener);

	/* Nobody there. */
	rc = pair_connect(tcp, HOSTS[0], port, &client);
	if (rc == 0) {
		struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
		tcp->transport.poll(client, &poll_for);
		assert_int_equal(poll_for.events, XFER_POLL_WRITE);
		rc = pair_handshake(tcp, client);
		tcp->transport.close(client);
	}
	assert_int_equal(rc, -ECONNREFUSED);
	plugin_error(tcp, rc, FAULT_CONNECT, &err);
	snprintf(want, sizeof(want), "transport tcp: cannot connect to 127.0.0.1:%u: Connection refused", port);
	assert_string_equal(err.text, want);

	/* Not an address of ours. */
	struct sockaddr_storage address = { .ss_family = AF_UNIX };
	struct xfer_listen how = { .struct_size = sizeof(how),
		                   .address = (struct sockaddr *)&address,
		                   .address_len = sizeof(address),
		                   .authority = "" };
	assert_int_equal(tcp->transport.listen(tcp->instance, &how, &listener), -EAFNOSUPPORT);
}

/* A network of its own in which every connection begins at one port: 0 = it is there. */
static int one_port_network(const char *port)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int rc = fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
	close(fd);
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
	char range[32];
	int len = snprintf(range, sizeof(range), "%s %s", port, port);
	if (rc == 0 && (fd < 0 || write(fd, range, (size_t)len) < 0))
		rc = -errno;
	close(fd);
	return rc;
}

enum { MIRROR_FOUND = 0, MIRROR_MISSED = 1, MIRROR_UNTESTED = 77 };

static int mirror_child(void)
{
	if (one_port_network("40000") < 0)
		return MIRROR_UNTESTED;
	struct xfer_conn *conn;
	int rc = pair_connect(tcp, "127.0.0.1", 40000, &conn);
	if (rc == 0) {
		while ((rc = tcp->transport.handshake(conn, 0)) == -EAGAIN)
			pair_wait(tcp, conn, XFER_POLL_WRITE);
		tcp->transport.close(conn);
	}
	return rc == -ECONNREFUSED ? MIRROR_FOUND : MIRROR_MISSED;
}

/* Nobody listens, but the kernel chooses that very port for our end: we must not talk to ourselves. */
static void test_mirror(void **state)
{
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(mirror_child());
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == MIRROR_UNTESTED)
		skip();
	assert_int_equal(WEXITSTATUS(status), MIRROR_FOUND);
}

static void test_adopt(void **state)
{
	(void)state;
	/* A listener handed over, as a supervisor does it. */
	struct xfer_listener *listener, *heir;
	assert_int_equal(pair_listen(tcp, HOSTS[0], 0, &listener), 0);
	unsigned port = pair_port(tcp, listener);
	int fds[2] = { -1, -1 };
	assert_int_equal(tcp->transport.listener_fds(listener, NULL, 0), 1);
	assert_int_equal(tcp->transport.listener_fds(listener, fds, 2), 1);
	assert_int_equal(fds[1], -1);
	int copy = dup(fds[0]);
	assert_int_equal(fcntl(copy, F_SETFL, 0), 0); /* as socket activation gives it */
	struct xfer_listen how = { .struct_size = sizeof(how), .authority = "" };
	assert_int_equal(tcp->transport.listener_adopt(tcp->instance, &how, &copy, 1, &heir), 0);
	assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
	assert_int_equal(pair_port(tcp, heir), port);
	tcp->transport.listener_close(listener);
	struct xfer_conn *client, *server;
	assert_int_equal(tcp->transport.accept(heir, &server, 0), -EAGAIN);
	assert_int_equal(pair_connect(tcp, HOSTS[0], port, &client), 0);
	server = pair_accept(tcp, heir);
	assert_int_equal(pair_handshake(tcp, client), 0);

	/* What is no listener, and too many of them. */
	int two[2] = { fd_of(client), fd_of(server) };
	struct xfer_listener *none;
	assert_int_equal(tcp->transport.listener_adopt(tcp->instance, &how, two, 1, &none), -EINVAL);
	assert_int_equal(tcp->transport.listener_adopt(tcp->instance, &how, two, 2, &none), -EINVAL);
	assert_int_equal(tcp->transport.listener_adopt(tcp->instance, &how, two, 0, &none), -EINVAL);
	tcp->transport.listener_close(heir);

	/* A connection handed over. */
	int fd = dup(fd_of(server));
	struct xfer_adopt adopt = {
		.struct_size = sizeof(adopt), .read_fd = fd, .write_fd = fd, .server = 1, .authority = ""
	};
	struct xfer_conn *adopted;
	assert_int_equal(tcp->transport.adopt(tcp->instance, &adopt, &adopted), 0);
	assert_int_equal(pair_handshake(tcp, adopted), 0);
	struct iovec iov = { (char[]){ "x" }, 1 };
	uint8_t got[4];
	assert_int_equal(tcp->transport.sendv(client, &iov, 1, 0), 1);
	pair_wait(tcp, adopted, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recv(adopted, got, sizeof(got), 0), 1);
	tcp->transport.close(adopted);
	tcp->transport.close(client);
	tcp->transport.close(server);

	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	adopt = (struct xfer_adopt){
		.struct_size = sizeof(adopt), .read_fd = pipes[0], .write_fd = pipes[1], .authority = ""
	};
	assert_int_equal(tcp->transport.adopt(tcp->instance, &adopt, &adopted), -EINVAL);
	adopt.write_fd = pipes[0];
	assert_int_equal(tcp->transport.adopt(tcp->instance, &adopt, &adopted), -EINVAL);
	assert_true(fcntl(pipes[0], F_GETFD) >= 0); /* still ours */
	close(pipes[0]);
	close(pipes[1]);
}

static size_t option_index(const struct plugin *plugin, const char *name)
{
	for (size_t i = 0; i < plugin->about.option_count; i++)
		if (strcmp(plugin->options[i].name, name) == 0)
			return i;
	fail_msg("no option %s", name);
	return 0;
}

static void test_options(void **state)
{
	(void)state;
	static const char *const names[] = { "backlog",    "send-buffer", "receive-buffer", "send-ahead",
		                             "congestion", "keepalive",   "allow-plaintext" };
	assert_int_equal(tcp->about.option_count, COUNT(names));
	union xfer_value values[COUNT(names)] = { { 0 } };
	values[option_index(tcp, "backlog")].integer = 5;
	values[option_index(tcp, "send-buffer")].number = 300000;
	values[option_index(tcp, "receive-buffer")].number = 200000;
	values[option_index(tcp, "congestion")].text = "reno";
	values[option_index(tcp, "keepalive")].boolean = 1;
	struct registry *own;
	struct plugin *tuned = pair_transport(&own, "tcp", values);
	struct pair pair;
	pair_make(&pair, tuned, tuned, HOSTS[0]);
	int fds[] = { fd_of(pair.client), fd_of(pair.server) };
	for (size_t i = 0; i < COUNT(fds); i++) {
		char congestion[16] = "";
		socklen_t len = sizeof(congestion);
		assert_int_equal(getsockopt(fds[i], IPPROTO_TCP, TCP_CONGESTION, congestion, &len), 0);
		assert_string_equal(congestion, "reno");
		assert_int_equal(option_of(fds[i], SOL_SOCKET, SO_KEEPALIVE), 1);
		/* The kernel doubles it for its own book-keeping, and may cap it. */
		assert_true(option_of(fds[i], SOL_SOCKET, SO_SNDBUF) >= 212992);
		assert_int_not_equal(option_of(fds[i], SOL_SOCKET, SO_SNDBUF), 2626560);
	}
	pair_break(&pair);
	registry_destroy(own);

	/* A congestion control that the kernel does not know: said by name. */
	values[option_index(tcp, "congestion")].text = "snail";
	tuned = pair_transport(&own, "tcp", values);
	struct xfer_listener *listener;
	int rc = pair_listen(tuned, HOSTS[0], 0, &listener);
	assert_int_equal(rc, -ENOENT);
	struct error err = { 0 };
	plugin_error(tuned, rc, FAULT_USAGE, &err);
	assert_contains(err.text, "congestion control 'snail'");
	registry_destroy(own);
}

/* With allow-plaintext; the registry is the caller's. */
static struct plugin *plain_tcp(struct registry **own)
{
	union xfer_value values[16] = { { 0 } };
	assert_true(tcp->about.option_count <= COUNT(values));
	values[option_index(tcp, "backlog")].integer = 5;
	values[option_index(tcp, "congestion")].text = "";
	values[option_index(tcp, "allow-plaintext")].boolean = 1;
	return pair_transport(own, "tcp", values);
}

static void assert_plain_refused(int rc, const char *where, const char *line)
{
	struct error err = { 0 };
	assert_int_equal(rc, -EINVAL);
	plugin_error(tcp, rc, FAULT_USAGE, &err);
	assert_contains(err.text, where);
	assert_contains(err.text, line);
	assert_contains(err.text, "'[transport.tls]'");
	assert_contains(err.text, "'key-file = FILE'");
	assert_contains(err.text, "'allow-plaintext = yes' in [transport.tcp]");
}

static int dial(struct plugin *plugin, const char *host, unsigned port, struct xfer_conn **out)
{
	struct sockaddr_storage address;
	const struct xfer_connect how = { .struct_size = sizeof(how),
		                          .address = (struct sockaddr *)&address,
		                          .address_len = pair_address(&address, host, port),
		                          .authority = "",
		                          .host = "" };
	plugin_error_clear();
	return plugin->transport.connect(plugin->instance, &how, out);
}

/* Nothing leaves this machine: what is refused makes no socket, and what is not is at the loopback. */
static void test_plaintext(void **state)
{
	(void)state;
	static const char *const OFF[] = { "0.0.0.0", "192.0.2.1", "126.255.255.255", "128.0.0.1" };
	static const char *const OFF6[] = { "::", "2001:db8::1", "::2", "::ffff:192.0.2.1", "::ffff:0.0.0.0" };
	struct xfer_listener *listener;
	struct xfer_conn *conn;
	struct registry *own;
	struct plugin *plain = plain_tcp(&own);
	bool six = has_ipv6();
	for (size_t i = 0; i < COUNT(OFF); i++) {
		assert_plain_refused(pair_listen(tcp, OFF[i], 15010, &listener), OFF[i], "'listen = tls://");
		if (i > 0)
			assert_plain_refused(dial(tcp, OFF[i], 15010, &conn), OFF[i],
			                     "'transport = tls' in [pipeline]");
	}
	for (size_t i = 0; six && i < COUNT(OFF6); i++) {
		assert_plain_refused(pair_listen(tcp, OFF6[i], 15010, &listener), OFF6[i], "'listen = tls://[");
		if (i > 0)
			assert_plain_refused(dial(tcp, OFF6[i], 15010, &conn), OFF6[i], "'transport = tls' in");
	}

	/* Whoever opened it, a listener is where it is. */
	assert_int_equal(pair_listen(plain, "0.0.0.0", 0, &listener), 0);
	const struct xfer_listen how = { .struct_size = sizeof(how), .authority = "0.0.0.0:7" };
	struct xfer_listener *adopted;
	unsigned port = pair_port(plain, listener);
	int fd;
	plain->transport.listener_fds(listener, &fd, 1);
	fd = dup(fd);
	plugin_error_clear();
	assert_plain_refused(tcp->transport.listener_adopt(tcp->instance, &how, &fd, 1, &adopted),
	                     "0.0.0.0:", "'listen = tls://0.0.0.0:7'");
	assert_int_equal(plain->transport.listener_adopt(plain->instance, &how, &fd, 1, &adopted), 0);
	plain->transport.listener_close(adopted);

	/* The loopback has many names. */
	static const char *const ON[] = { "127.0.0.1", "127.255.0.1", "0.0.0.0", "::ffff:127.0.0.1" };
	for (size_t i = 0; i < (six ? COUNT(ON) : 3); i++) {
		assert_int_equal(dial(tcp, ON[i], port, &conn), 0);
		tcp->transport.close(conn);
	}
	plain->transport.listener_close(listener);
	registry_destroy(own);
}

static void test_address(void **state)
{
	(void)state;
	struct xfer_listener *listener;
	char text[64], small[8];
	assert_int_equal(pair_listen(tcp, "127.0.0.2", 0, &listener), 0);
	assert_int_equal(tcp->transport.listener_address(listener, text, sizeof(text)), 0);
	assert_memory_equal(text, "127.0.0.2:", 10);
	assert_int_equal(tcp->transport.listener_address(listener, small, sizeof(small)), -ENOSPC);
	tcp->transport.listener_close(listener);

	if (!has_ipv6())
		return;
	/* Both families side by side on one port: an IPv6 socket is for IPv6 only. */
	struct registry *own;
	struct plugin *plain = plain_tcp(&own);
	struct xfer_listener *four;
	assert_int_equal(pair_listen(plain, "::", 0, &listener), 0);
	int fd;
	plain->transport.listener_fds(listener, &fd, 1);
	assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(pair_listen(plain, "0.0.0.0", pair_port(plain, listener), &four), 0);
	plain->transport.listener_close(four);
	plain->transport.listener_close(listener);
	registry_destroy(own);
}

static int setup(void **state)
{
	(void)state;
	data = malloc(SIZE);
	if (data == NULL)
		return -1;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	tcp = pair_transport(&registry, "tcp", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	registry_destroy(registry);
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),      cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_endpoint),    cmocka_unit_test(test_again),
		cmocka_unit_test(test_many_pieces), cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_peer_death),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mirror),      cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_options),     cmocka_unit_test(test_plaintext),
		cmocka_unit_test(test_address),
	};
	return cmocka_run_group_tests_name("tcp", tests, setup, teardown);
}
