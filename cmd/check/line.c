/* SPDX-License-Identifier: BSD-2-Clause */
/* Two connected ends of a transport plug-in in one process. */
#include "line.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool line_inet(const struct kit *kit)
{
	return (kit->plugin->about.capabilities & XFER_CAP_INET) != 0;
}

int line_address(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	char host[LINE_TEXT];
	const char *colon = strrchr(text, ':');
	size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
	if (colon == NULL || host_len >= sizeof(host))
		return -EINVAL;
	if (text[0] == '[' && host_len > 2 && text[host_len - 1] == ']') {
		text++;
		host_len -= 2;
	}
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
		return -EINVAL;
	memcpy(out, list->ai_addr, list->ai_addrlen);
	*len = list->ai_addrlen;
	freeaddrinfo(list);
	return 0;
}

int line_listen_at(struct line *line, const char *authority, struct xfer_listener **out)
{
	struct kit *kit = line->kit;
	struct sockaddr_storage address;
	struct xfer_listen how = { .struct_size = sizeof(how), .authority = authority };
	if (line_inet(kit)) {
		if (line_address(authority, &address, &how.address_len) < 0)
			return -EINVAL;
		how.address = (const struct sockaddr *)&address;
	}
	return KIT_CALL(kit, transport, listen, kit->plugin->instance, &how, out);
}

/* Whom to call, for who listens at line->bound. */
static enum kit_outcome aim(struct line *line)
{
	const char *connect = line->kit->subject->connect;
	const char *text = connect != NULL ? connect : line->bound;
	if (line_inet(line->kit)) {
		if (line_address(text, &line->address, &line->address_len) < 0)
			return kit_failed(line->kit, "'%s' is no address with a port", text);
		snprintf(line->authority, sizeof(line->authority), "%s", text);
		snprintf(line->host, sizeof(line->host), "%.*s", (int)(strrchr(text, ':') - text), text);
		return KIT_OK;
	}
	/* In a URL, a slash of the authority is encoded. */
	size_t used = 0;
	for (; *text != '\0' && used + 4 < sizeof(line->authority); text++)
		used += (size_t)snprintf(line->authority + used, 4, *text == '/' && connect == NULL ? "%%2F" : "%c",
		                         *text);
	snprintf(line->host, sizeof(line->host), "%s", line->authority);
	return KIT_OK;
}

enum kit_outcome line_listen(struct kit *kit, struct line *line)
{
	const char *authority = kit->subject->listen;
	char made[LINE_TEXT];
	*line = (struct line){ .kit = kit };
	snprintf(made, sizeof(made), "%s/socket", kit->folder);
	if (authority == NULL)
		authority = line_inet(kit) ? "127.0.0.1:0" : made;
	int rc = line_listen_at(line, authority, &line->listener);
	if (rc == -EOPNOTSUPP || rc == -ENOSYS)
		return kit_skipped(kit, "it does not listen");
	if (rc != 0)
		return kit_returned(kit, "listen()", rc, "at '%s'", authority);
	snprintf(line->bound, sizeof(line->bound), "%s", authority);
	if (line_inet(kit)) {
		rc = KIT_CALL(kit, transport, listener_address, line->listener, line->bound, sizeof(line->bound));
		if (rc != 0)
			return kit_returned(kit, "listener_address()", rc, "%s", "");
	}
	return aim(line);
}

const char *line_made(const struct line *line)
{
	const struct kit_subject *subject = line->kit->subject;
	bool made = !line_inet(line->kit) && subject->listen == NULL && subject->connect == NULL;
	return made ? ", which was made up: a path, encoded as in a URL; --listen names another" : "";
}

enum kit_outcome line_listener_close(struct line *line)
{
	if (line->listener != NULL)
		KIT_VOID(line->kit, transport, listener_close, line->listener);
	line->listener = NULL;
	return KIT_OK;
}

int line_dial(struct line *line, struct xfer_conn **out)
{
	struct xfer_connect how = {
		.struct_size = sizeof(how),
		.address = line_inet(line->kit) ? (const struct sockaddr *)&line->address : NULL,
		.address_len = line_inet(line->kit) ? line->address_len : 0,
		.authority = line->authority,
		.host = line->host,
	};
	return KIT_CALL(line->kit, transport, connect, line->kit->plugin->instance, &how, out);
}

void line_drop(struct line *line, struct xfer_conn **conn)
{
	if (*conn != NULL)
		KIT_VOID(line->kit, transport, close, *conn);
	*conn = NULL;
}

void line_end(struct line *line)
{
	line_drop(line, &line->a);
	line_drop(line, &line->b);
	line_listener_close(line);
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

struct xfer_poll line_poll(struct kit *kit, struct xfer_conn *conn)
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for), .read_fd = -1, .write_fd = -1 };
	(void)KIT_CALL(kit, transport, poll, conn, &poll_for);
	return poll_for;
}

void line_wait(struct kit *kit, struct xfer_conn *const *conns, const bool *writes, size_t count, int ms)
{
	struct pollfd *wait = calloc(2 * count + 1, sizeof(*wait));
	nfds_t used = 0;
	for (size_t i = 0; wait != NULL && i < count; i++) {
		if (conns[i] == NULL)
			continue;
		struct xfer_poll poll_for = line_poll(kit, conns[i]);
		wait[used++] = (struct pollfd){ .fd = poll_for.read_fd, .events = POLLIN };
		if (writes[i] || (poll_for.events & XFER_POLL_WRITE) != 0)
			wait[used++] = (struct pollfd){ .fd = poll_for.write_fd, .events = POLLOUT };
	}
	(void)poll(wait, used, ms);
	free(wait);
}

static int listener_fds(struct line *line, int fds[LINE_FDS])
{
	int count = KIT_CALL(line->kit, transport, listener_fds, line->listener, fds, LINE_FDS);
	return count < LINE_FDS ? count : LINE_FDS;
}

void line_await(struct line *line, int ms)
{
	struct pollfd wait[LINE_FDS];
	int fds[LINE_FDS], count = listener_fds(line, fds);
	for (int i = 0; i < count; i++)
		wait[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	(void)poll(wait, count > 0 ? (nfds_t)count : 0, ms);
}

/* As the core waits during a handshake: for exactly what poll() says. */
static void wait_handshakes(struct line *line, struct xfer_conn *const *conns, const bool *through, size_t count)
{
	struct kit *kit = line->kit;
	struct pollfd *wait = calloc(2 * count + LINE_FDS, sizeof(*wait));
	int fds[LINE_FDS];
	nfds_t used = 0;
	bool blind = false;
	for (size_t i = 0; wait != NULL && i < count; i++) {
		if (conns[i] == NULL || through[i])
			continue;
		struct xfer_poll poll_for = line_poll(kit, conns[i]);
		blind = blind || poll_for.events == 0;
		if ((poll_for.events & XFER_POLL_READ) != 0)
			wait[used++] = (struct pollfd){ .fd = poll_for.read_fd, .events = POLLIN };
		if ((poll_for.events & XFER_POLL_WRITE) != 0)
			wait[used++] = (struct pollfd){ .fd = poll_for.write_fd, .events = POLLOUT };
	}
	int listening = line->listener != NULL ? listener_fds(line, fds) : 0;
	for (int i = 0; wait != NULL && i < listening; i++)
		wait[used++] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	(void)poll(wait, used, blind ? 1 : 100);
	free(wait);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* One step of each handshake that is not through; counts those that are, in *done. */
static enum kit_outcome handshakes(struct kit *kit, struct xfer_conn *const *conns, bool *through, size_t count,
                                   size_t *done)
{
	for (size_t i = 0; i < count; i++) {
		if (conns[i] == NULL || through[i])
			continue;
		int rc = KIT_CALL(kit, transport, handshake, conns[i], 0);
		if (rc != 0 && rc != -EAGAIN)
			return kit_returned(kit, "handshake()", rc, "of a connection on this machine");
		through[i] = rc == 0;
		*done += rc == 0;
	}
	return KIT_OK;
}

static enum kit_outcome open_all(struct line *line, struct xfer_conn **conns, bool *through, size_t count)
{
	struct kit *kit = line->kit;
	size_t dialled = conns[0] != NULL ? count : 0, accepted = dialled, done = 0;
	uint64_t moved = clock_monotonic();
	while (done < 2 * count) {
		size_t before = dialled + accepted + done;
		int rc = 0;
		if (dialled < count)
			rc = line_dial(line, &conns[dialled]);
		if (rc != 0)
			return kit_returned(kit, "connect()", rc, "to '%s'%s", line->authority, line_made(line));
		dialled += dialled < count;
		while (accepted < count) {
			struct xfer_conn *conn = NULL;
			rc = KIT_CALL(kit, transport, accept, line->listener, &conn, 0);
			if (rc == -EAGAIN)
				break;
			if (rc != 0)
				return kit_returned(kit, "accept()", rc, "when %zu were accepted", accepted);
			conns[count + accepted++] = conn;
		}
		enum kit_outcome outcome = handshakes(kit, conns, through, 2 * count, &done);
		if (outcome != KIT_OK)
			return outcome;
		if (dialled + accepted + done > before)
			moved = clock_monotonic();
		else if (clock_monotonic() - moved > LINE_PATIENCE * CLOCK_MS)
			return kit_failed(kit,
			                  "%zu connections begun, %zu accepted, %zu handshakes through, and no more",
			                  dialled, accepted, done);
		else
			wait_handshakes(line, conns, through, 2 * count);
	}
	return KIT_OK;
}

enum kit_outcome line_open_many(struct line *line, struct xfer_conn **as, struct xfer_conn **bs, size_t count)
{
	struct xfer_conn **conns = calloc(2 * count, sizeof(struct xfer_conn *));
	bool *through = calloc(2 * count, sizeof(*through));
	enum kit_outcome outcome = KIT_FAILED;
	if (conns == NULL || through == NULL) {
		outcome = kit_failed(line->kit, "no memory for the check");
	} else {
		if (line->listener == NULL) { /* adopted */
			conns[0] = as[0];
			conns[1] = bs[0];
		}
		outcome = open_all(line, conns, through, count);
		memcpy(as, conns, count * sizeof(struct xfer_conn *));
		memcpy(bs, conns + count, count * sizeof(struct xfer_conn *));
	}
	free(conns);
	free(through);
	return outcome;
}

bool line_raw_pair(const struct kit *kit, int fds[2])
{
	struct sockaddr_storage address;
	socklen_t len;
	if (!line_inet(kit))
		return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = line_address("127.0.0.1:0", &address, &len) == 0 && listening >= 0 &&
	            bind(listening, (struct sockaddr *)&address, len) == 0 && listen(listening, 1) == 0 &&
	            getsockname(listening, (struct sockaddr *)&address, &len) == 0;
	fds[0] = good ? socket(AF_INET, SOCK_STREAM, 0) : -1;
	good = good && connect(fds[0], (struct sockaddr *)&address, len) == 0;
	fds[1] = good ? accept(listening, NULL, NULL) : -1;
	if (listening >= 0)
		close(listening);
	return good && fds[1] >= 0;
}

/* For a transport that never listens: both ends of a pair of sockets. */
static enum kit_outcome open_adopted(struct kit *kit, struct line *line)
{
	int fds[2];
	if (kit->plugin->transport.adopt == NULL)
		return kit_skipped(kit, "it neither listens nor adopts");
	if (!line_raw_pair(kit, fds))
		return kit_failed(kit, "no pair of sockets");
	for (int i = 0; i < 2; i++) {
		const struct xfer_adopt how = {
			.struct_size = sizeof(how), .read_fd = fds[i], .write_fd = fds[i], .server = i, .authority = ""
		};
		struct xfer_conn **conn = i == 0 ? &line->a : &line->b;
		if (KIT_CALL(kit, transport, adopt, kit->plugin->instance, &how, conn) != 0) {
			close(fds[0]);
			close(fds[1]);
			return kit_skipped(kit, "it does not listen, nor does it adopt both ends of a pair of sockets");
		}
	}
	return line_open_many(line, &line->a, &line->b, 1);
}

enum kit_outcome line_open(struct kit *kit, struct line *line)
{
	enum kit_outcome outcome = line_listen(kit, line);
	if (outcome == KIT_SKIPPED)
		return open_adopted(kit, line);
	return outcome == KIT_OK ? line_open_many(line, &line->a, &line->b, 1) : outcome;
}

const char *line_fd_wrong(int fd)
{
	int status = fcntl(fd, F_GETFL), flags = fcntl(fd, F_GETFD);
	if (status < 0 || flags < 0)
		return "is not open";
	if ((status & O_NONBLOCK) == 0)
		return "is blocking";
	return (flags & FD_CLOEXEC) == 0 ? "is not close-on-exec" : NULL;
}
