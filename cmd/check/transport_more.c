/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a transport plug-in that concern many connections, strangers, and descriptors. */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MANY_CONNECTIONS = 300,
	MANY_LEN = 2000, /* bytes each way */
	STRANGERS = 12,
	LEAK_CONNECTIONS = 150,
	LEAK_CONNECTIONS_WARMUP = 40,
	FDS_KEPT = 64 /* descriptors for everything else */
};

enum kit_outcome check_many_connections(struct kit *kit)
{
	struct line line;
	struct rlimit limit;
	static struct xfer_conn *as[MANY_CONNECTIONS], *bs[MANY_CONNECTIONS];
	size_t count = MANY_CONNECTIONS;
	enum kit_outcome outcome;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		if (limit.rlim_cur < 2 * count + FDS_KEPT)
			count = limit.rlim_cur > 2 * FDS_KEPT ? (size_t)(limit.rlim_cur - FDS_KEPT) / 2 : 1;
	}
	if ((outcome = line_listen(kit, &line)) != KIT_OK || (outcome = line_open_many(&line, as, bs, count)) != KIT_OK)
		return outcome;
	/* Who is connected to whom, nobody knows yet. */
	for (size_t i = 0; i < count; i++) {
		const struct iovec piece = { &i, sizeof(i) };
		if ((outcome = KIT_OK, KIT_SIZE(kit, transport, sendv, as[i], &piece, 1, 0)) != sizeof(i))
			return kit_failed(kit, "sendv() does not take %zu bytes on a new connection", sizeof(i));
	}
	static struct xfer_conn *ordered[MANY_CONNECTIONS];
	for (size_t i = 0; i < count; i++) {
		size_t number = 0, got = 0;
		struct line_end none = { .conn = as[i] };
		struct line_end end = { .conn = bs[i], .got = (uint8_t *)&number, .got_max = sizeof(number) };
		if ((outcome = line_move(kit, &end, &none)) != KIT_OK)
			return outcome;
		got = end.got_len;
		if (got != sizeof(number) || number >= count || ordered[number] != NULL)
			return kit_failed(kit, "connection %zu of %zu carries the bytes of another one", i, count);
		ordered[number] = bs[i];
	}
	for (size_t i = 0; i < count; i++)
		if ((outcome = line_exchange(kit, as[i], ordered[i], MANY_LEN, "one of many connections")) != KIT_OK)
			return outcome;
	/* Every other one goes, and the rest does not notice. */
	for (size_t i = 0; i < count; i += 2) {
		line_drop(&line, &as[i]);
		line_drop(&line, &ordered[i]);
	}
	for (size_t i = 1; i < count; i += 2) {
		if ((outcome = line_exchange(kit, ordered[i], as[i], MANY_LEN, "what is left of many connections")) !=
		    KIT_OK)
			return outcome;
		line_drop(&line, &as[i]);
		line_drop(&line, &ordered[i]);
	}
	line_end(&line);
	return kit_ok(kit, "%zu connections at once", count);
}

/* ---- strangers -------------------------------------------------------------------------------------------------- */

/* A socket that is connected to the listener, without the plug-in; -1: it is none that can be. */
static int stranger(struct kit *kit, struct line *line)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int fd;
	if (KIT_CALL(kit, transport, listener_fds, line->listener, &fd, 1) < 1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -1;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What it does with a stranger is its own choice, as long as every call comes back and the connection can be closed. */
static enum kit_outcome bear(struct kit *kit, struct line *line, bool wait_for_end)
{
	struct xfer_conn *conn = NULL;
	uint8_t got[4096];
	const bool idle = false;
	int rc = -EAGAIN;
	for (int i = 0; i < 20 && rc == -EAGAIN; i++) {
		rc = KIT_CALL(kit, transport, accept, line->listener, &conn, 0);
		if (rc == -EAGAIN)
			line_await(line, 10);
	}
	if (rc == -EAGAIN)
		return KIT_OK; /* it was refused before */
	if (rc != 0)
		return kit_returned(kit, "accept()", rc, "of a stranger");
	for (int i = 0; i < 50; i++) {
		rc = KIT_CALL(kit, transport, handshake, conn, 0);
		if (rc != -EAGAIN)
			break;
		line_wait(kit, &conn, &idle, 1, wait_for_end ? 20 : 0);
		if (!wait_for_end)
			break;
	}
	for (int i = 0; rc == 0 && i < 50; i++) {
		ssize_t n = (ssize_t)KIT_SIZE(kit, transport, recv, conn, got, sizeof(got), 0);
		if (n == 0 || (n < 0 && n != -EAGAIN) || (n == -EAGAIN && !wait_for_end))
			break;
		if (n > (ssize_t)sizeof(got))
			return kit_returned(kit, "recv()", n, "for %zu bytes", sizeof(got));
		if (n == -EAGAIN)
			line_wait(kit, &conn, &idle, 1, 20);
	}
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	rc = KIT_CALL(kit, transport, endpoint, conn, &endpoint);
	if (rc != 0)
		return kit_returned(kit, "endpoint()", rc, "of a stranger");
	line_drop(line, &conn);
	return KIT_OK;
}

enum kit_outcome check_strangers(struct kit *kit)
{
	struct line line;
	uint8_t noise[5000];
	int silent[STRANGERS];
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	for (int i = 0; i < STRANGERS; i++) {
		silent[i] = stranger(kit, &line);
		if (silent[i] < 0)
			return kit_skipped(kit, "its listener is no socket to which others can connect");
		bool goes = i % 3 == 1, talks = i % 3 == 2 || i % 6 == 1;
		kit_fill(kit, noise, sizeof(noise));
		if (i % 4 == 1)
			memset(noise, 0, sizeof(noise));
		if (talks && send(silent[i], noise, 1 + (size_t)kit_below(kit, sizeof(noise)), MSG_NOSIGNAL) < 0)
			return kit_failed(kit, "a stranger cannot send: %s", strerror(errno));
		if (goes) {
			close(silent[i]);
			silent[i] = -1;
		}
		if ((outcome = bear(kit, &line, goes)) != KIT_OK)
			return outcome;
	}
	/* One that was not even accepted is still there. */
	int waiting = stranger(kit, &line);
	if (waiting < 0)
		return kit_failed(kit, "the listener takes nobody any more");
	if ((outcome = bear(kit, &line, false)) != KIT_OK ||
	    (outcome = line_open_many(&line, &line.a, &line.b, 1)) != KIT_OK ||
	    (outcome = line_exchange(kit, line.a, line.b, 10000, "beside strangers")) != KIT_OK)
		return outcome;
	for (int i = 0; i < STRANGERS; i++)
		if (silent[i] >= 0)
			close(silent[i]);
	close(waiting);
	line_end(&line);
	return kit_ok(kit, "%d of them: silent, talking nonsense, going at once", STRANGERS + 1);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------ */

static void plain(int fd)
{
	(void)fcntl(fd, F_SETFD, 0);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/* listener_adopt() of what is no listener; the descriptors stay. */
static enum kit_outcome adopt_wrong(struct kit *kit, const int *fds, size_t count, const char *what)
{
	const struct xfer_listen how = { .struct_size = sizeof(how), .authority = "" };
	struct xfer_listener *listener = NULL;
	char name[32];
	int rc = KIT_CALL(kit, transport, listener_adopt, kit->plugin->instance, &how, fds, count, &listener);
	if (rc != -EINVAL)
		return kit_failed(kit, "listener_adopt() returned %s for %s, not -EINVAL", kit_errno(name, rc), what);
	for (size_t i = 0; i < count; i++)
		if (fcntl(fds[i], F_GETFD) < 0)
			return kit_failed(kit, "listener_adopt() refused %s and closed it", what);
	return KIT_OK;
}

enum kit_outcome check_listener_adopt(struct kit *kit)
{
	struct line line;
	int fds[LINE_FDS], pipes[2], pair[2];
	char before[LINE_TEXT], after[LINE_TEXT];
	struct xfer_listener *adopted = NULL;
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	const struct xfer_listen how = { .struct_size = sizeof(how), .authority = "" };
	int count = KIT_CALL(kit, transport, listener_fds, line.listener, fds, LINE_FDS);
	int rc = KIT_CALL(kit, transport, listener_address, line.listener, before, sizeof(before));
	if (rc != 0 || count < 1 || count > LINE_FDS)
		return kit_failed(kit, "a listener without descriptors or address");
	for (int i = 0; i < count; i++) {
		fds[i] = dup(fds[i]);
		plain(fds[i]);
	}
	rc = KIT_CALL(kit, transport, listener_adopt, kit->plugin->instance, &how, fds, (size_t)count, &adopted);
	if (rc != 0)
		return kit_returned(kit, "listener_adopt()", rc, "for the descriptors of a listener");
	int theirs[LINE_FDS];
	int adopted_count = KIT_CALL(kit, transport, listener_fds, adopted, theirs, LINE_FDS);
	if (adopted_count != count)
		return kit_failed(kit, "%d descriptors were adopted, and listener_fds() names %d", count,
		                  adopted_count);
	for (int i = 0; i < count; i++)
		if (line_fd_wrong(theirs[i]) != NULL)
			return kit_failed(kit, "an adopted descriptor %s", line_fd_wrong(theirs[i]));
	/* The first one goes, as a worker does. */
	line_listener_close(&line);
	line.listener = adopted;
	rc = KIT_CALL(kit, transport, listener_address, line.listener, after, sizeof(after));
	if (rc != 0 || strcmp(before, after) != 0)
		return kit_failed(kit, "the address was '%.60s', and is '%.60s' when it is adopted", before,
		                  rc == 0 ? after : "none");
	if ((outcome = line_open_many(&line, &line.a, &line.b, 1)) != KIT_OK)
		return outcome;
	/* What was accepted lives on. */
	line_listener_close(&line);
	if ((outcome = line_exchange(kit, line.a, line.b, 10000, "whose listener was adopted, and is closed")) !=
	    KIT_OK)
		return outcome;
	line_end(&line);
	for (int i = 0; i < count; i++)
		if (fcntl(fds[i], F_GETFD) >= 0)
			return kit_failed(kit, "listener_close() leaves an adopted descriptor open");

	if (pipe2(pipes, O_CLOEXEC) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return kit_failed(kit, "no descriptors for the check");
	if ((outcome = adopt_wrong(kit, pipes, 1, "a pipe")) != KIT_OK ||
	    (outcome = adopt_wrong(kit, pair, 1, "a connected socket")) != KIT_OK ||
	    (outcome = adopt_wrong(kit, pair, 0, "no descriptor at all")) != KIT_OK)
		return outcome;
	return kit_ok(kit, "%d descriptors of '%.100s'; a pipe and a connected socket are refused", count, after);
}

static int adopt(struct kit *kit, int fd, int server, struct xfer_conn **out)
{
	const struct xfer_adopt how = {
		.struct_size = sizeof(how), .read_fd = fd, .write_fd = fd, .server = server, .authority = ""
	};
	return KIT_CALL(kit, transport, adopt, kit->plugin->instance, &how, out);
}

enum kit_outcome check_adopt(struct kit *kit)
{
	struct line line = { .kit = kit };
	int fds[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);
	enum kit_outcome outcome;
	if (kit->plugin->transport.adopt == NULL)
		return kit_skipped(kit, "it has no adopt()");
	if (!line_raw_pair(kit, fds) || file < 0)
		return kit_failed(kit, "no descriptors for the check");
	for (int i = 0; i < 2; i++) {
		int rc = adopt(kit, fds[i], i, i == 0 ? &line.a : &line.b);
		if (rc != 0 && (fcntl(fds[0], F_GETFD) < 0 || fcntl(fds[1], F_GETFD) < 0))
			return kit_failed(kit, "adopt() refused a descriptor and closed it");
		if (rc == -EINVAL && !line_inet(kit))
			return kit_skipped(kit, "it does not adopt a pair of sockets");
		if (rc != 0)
			return kit_returned(kit, "adopt()", rc, "for one end of a connection");
	}
	if ((outcome = line_open_many(&line, &line.a, &line.b, 1)) != KIT_OK)
		return outcome;
	/* They may be others than those that were given. */
	for (int i = 0; i < 2; i++) {
		struct xfer_poll now = line_poll(kit, i == 0 ? line.a : line.b);
		const char *wrong = line_fd_wrong(now.read_fd) != NULL ? line_fd_wrong(now.read_fd)
		                                                       : line_fd_wrong(now.write_fd);
		if (wrong != NULL)
			return kit_failed(kit, "an adopted descriptor %s", wrong);
	}
	if ((outcome = line_exchange(kit, line.a, line.b, 100000, "over adopted descriptors")) != KIT_OK)
		return outcome;
	line_end(&line);
	if (fcntl(fds[0], F_GETFD) >= 0 || fcntl(fds[1], F_GETFD) >= 0)
		return kit_failed(kit, "close() leaves an adopted descriptor open");
	int rc = adopt(kit, file, 1, &line.a);
	if (rc < 0 && fcntl(file, F_GETFD) < 0)
		return kit_failed(kit, "adopt() refused a file and closed it");
	line_end(&line);
	return kit_ok(kit, "both ends of a connection");
}

/* ---- scarcity --------------------------------------------------------------------------------------------------- */

enum kit_outcome check_no_room(struct kit *kit)
{
	struct line line;
	struct rlimit limit, none;
	struct xfer_listener *listener = NULL;
	char name[32];
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	int rc = line_dial(&line, &line.a);
	if (rc != 0)
		return kit_returned(kit, "connect()", rc, "to '%s'%s", line.authority, line_made(&line));
	int next = dup(STDERR_FILENO);
	if (next < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return kit_failed(kit, "no descriptor for the check");
	close(next);
	none = (struct rlimit){ (rlim_t)next, limit.rlim_max };
	unsigned before = census_descriptors();
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return kit_failed(kit, "the limit of descriptors cannot be set");
	struct xfer_conn *conn = NULL;
	int accepted = KIT_CALL(kit, transport, accept, line.listener, &conn, 0);
	int dialled = line_dial(&line, &conn);
	int listened = line_inet(kit) ? line_listen_at(&line, "127.0.0.1:0", &listener) : -EMFILE;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (accepted >= 0 || dialled >= 0 || listened >= 0 || conn != NULL || listener != NULL)
		return kit_failed(kit, "without a free descriptor accept() is %d, connect() %d and listen() %d",
		                  accepted, dialled, listened);
	if (accepted != -EMFILE && accepted != -EAGAIN)
		return kit_failed(kit, "without a free descriptor accept() returns %s, not -EMFILE",
		                  kit_errno(name, accepted));
	if (census_descriptors() != before)
		return kit_failed(kit, "calls that failed left %u descriptors, where there were %u",
		                  census_descriptors(), before);
	/* The one that waited is still there, and comes now. */
	bool through[2] = { false, false };
	const bool writes[2] = { true, true };
	for (int i = 0; i < LINE_PATIENCE / 10 && !(through[0] && through[1]); i++) {
		struct xfer_conn *const conns[] = { line.a, line.b };
		if (line.b == NULL)
			rc = KIT_CALL(kit, transport, accept, line.listener, &line.b, 0);
		for (int k = 0; k < 2; k++)
			if (conns[k] != NULL && !through[k])
				through[k] = KIT_CALL(kit, transport, handshake, conns[k], 0) == 0;
		line_wait(kit, conns, writes, 2, 1);
	}
	if (!through[0] || !through[1])
		return kit_failed(kit, "a connection that waited while there was no descriptor is lost");
	if ((outcome = line_exchange(kit, line.a, line.b, 1000, "after it waited for a descriptor")) != KIT_OK)
		return outcome;
	line_end(&line);
	return kit_ok(kit, "accept() %s, connect() fails too, and who waited comes in later",
	              kit_errno(name, accepted));
}

enum kit_outcome check_transport_leaks(struct kit *kit)
{
	struct census before;
	char text[128];
	for (unsigned round = 0; round < LEAK_CONNECTIONS_WARMUP + LEAK_CONNECTIONS; round++) {
		struct line line;
		if (round == LEAK_CONNECTIONS_WARMUP)
			census_take(&before);
		enum kit_outcome outcome = line_open(kit, &line);
		if (outcome == KIT_OK && round % 4 == 0)
			outcome = line_exchange(kit, line.a, line.b, 1000, "one of many rounds");
		/* Some are closed before they were through. */
		if (outcome == KIT_OK && line.listener != NULL && round % 4 == 1) {
			struct xfer_conn *conn = NULL;
			if (line_dial(&line, &conn) == 0)
				line_drop(&line, &conn);
		}
		if (outcome != KIT_OK)
			return outcome;
		line_end(&line);
	}
	if (census_growth(&before, LEAK_CONNECTIONS, text) != NULL)
		return kit_failed(kit, "%s of connections", text);
	return kit_ok(kit, "%d connections and their listeners", LEAK_CONNECTIONS);
}
