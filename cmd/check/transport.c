/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a transport plug-in: listeners, connections, and bytes that move; and the list of all. */
#include "fence.h"
#include "line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STREAM_LEN = 1500000,
	VOLUME_LEN = 4 * 1024 * 1024, /* bytes of a round, each way */
	VOLUME_ROUNDS = 6,
	PIECE_COUNT = 5000,              /* in one call: more than the system takes at a time */
	PARTIAL_MAX = 128 * 1024 * 1024, /* bytes that are taken while nobody reads them: no buffer is so large */
	PARTIAL_STEP = 64 * 1024
};

static enum kit_outcome check_listener(struct kit *kit)
{
	struct line line;
	struct fence fence;
	int fds[LINE_FDS + 1];
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	if (fence_make(&fence, LINE_TEXT) < 0)
		return kit_failed(kit, "no memory for the check");
	for (int i = 0; i <= LINE_FDS; i++)
		fds[i] = -7;
	int count = KIT_CALL(kit, transport, listener_fds, line.listener, fds, 0);
	if (count <= 0 || fds[0] != -7)
		return kit_failed(kit, "listener_fds() returned %d and wrote %s with room for none", count,
		                  fds[0] != -7 ? "one" : "none");
	if (count > LINE_FDS || KIT_CALL(kit, transport, listener_fds, line.listener, fds, (size_t)count) != count ||
	    fds[count] != -7)
		return kit_failed(kit, "listener_fds() returned %d and then something else, or wrote more", count);
	for (int i = 0; i < count; i++)
		if (line_fd_wrong(fds[i]) != NULL)
			return kit_failed(kit, "descriptor %d of the listener %s", fds[i], line_fd_wrong(fds[i]));
	/* Every size that is too small, at the end of memory; then just enough. */
	char whole[LINE_TEXT];
	int rc = KIT_CALL(kit, transport, listener_address, line.listener, whole, sizeof(whole));
	if (rc != 0 || memchr(whole, '\0', sizeof(whole)) == NULL)
		return kit_returned(kit, "listener_address()", rc, "or gave a text without an end");
	for (size_t size = 1; size <= strlen(whole) + 1; size++) {
		char *text = (char *)fence_end(&fence, size);
		rc = KIT_CALL(kit, transport, listener_address, line.listener, text, size);
		if (rc != (size <= strlen(whole) ? -ENOSPC : 0))
			return kit_returned(kit, "listener_address()", rc, "with room for %zu of %zu bytes", size,
			                    strlen(whole) + 1);
		if (rc == 0 && strcmp(text, whole) != 0)
			return kit_failed(kit, "listener_address() gave another text with just enough room");
	}
	line_end(&line);
	fence_free(&fence);
	return kit_ok(kit, "%d descriptors, '%.100s'", count, whole);
}

static enum kit_outcome check_in_use(struct kit *kit)
{
	struct line line;
	struct xfer_listener *second = NULL;
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	int rc = line_listen_at(&line, line.bound, &second);
	bool said = plugin_error_said(kit->plugin) != NULL;
	if (rc != -EADDRINUSE)
		return kit_returned(kit, "listen()", rc, "where another one listens");
	if (!said)
		return kit_failed(kit, "listen() returned -EADDRINUSE without a text");
	if (second != NULL)
		return kit_failed(kit, "listen() set its result, and failed");
	/* The first one is none the worse for it. */
	if ((outcome = line_open_many(&line, &line.a, &line.b, 1)) != KIT_OK)
		return outcome;
	line_end(&line);
	return kit_ok(kit, "-EADDRINUSE, with a text");
}

static enum kit_outcome check_nobody(struct kit *kit)
{
	struct line line;
	struct xfer_conn *conn = NULL;
	enum kit_outcome outcome = line_listen(kit, &line);
	for (int i = 0; i < 4 && outcome == KIT_OK; i++) {
		int rc = KIT_CALL(kit, transport, accept, line.listener, &conn, 0);
		if (rc != -EAGAIN)
			return kit_returned(kit, "accept()", rc, "while nobody waits");
		if (conn != NULL)
			return kit_failed(kit, "accept() set its result, and returned -EAGAIN");
		if (i == 1)
			outcome = line_open_many(&line, &line.a, &line.b, 1);
	}
	if (outcome != KIT_OK)
		return outcome;
	line_end(&line);
	return kit_ok(kit, "-EAGAIN, before and after a connection");
}

/* Where somebody listened a moment ago. */
static enum kit_outcome check_refused(struct kit *kit)
{
	struct line line;
	struct xfer_conn *conn = NULL;
	const bool writes = true;
	char name[32];
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	if (kit->subject->connect != NULL)
		return kit_skipped(kit, "somebody may listen at --connect");
	line_listener_close(&line);
	int rc = line_dial(&line, &conn);
	for (int i = 0; i < LINE_PATIENCE / 100 && conn != NULL; i++) {
		rc = KIT_CALL(kit, transport, handshake, conn, 0);
		if (rc != -EAGAIN)
			break;
		line_wait(kit, &conn, &writes, 1, 100);
	}
	bool said = plugin_error_said(kit->plugin) != NULL;
	if (rc >= 0 || rc == -EAGAIN)
		return kit_failed(kit, "a connection to where nobody listens: %s", kit_errno(name, rc));
	if (!said)
		return kit_failed(kit, "it is refused with %s, without a text", kit_errno(name, rc));
	line_drop(&line, &conn);
	return kit_ok(kit, "%s, with a text", kit_errno(name, rc));
}

/* ---- a connection ----------------------------------------------------------------------------------------------- */

static enum kit_outcome check_handshake(struct kit *kit)
{
	struct line line;
	enum kit_outcome outcome = line_listen(kit, &line);
	bool a_through = false, b_through = false;
	if (outcome != KIT_OK)
		return outcome;
	int rc = line_dial(&line, &line.a);
	if (rc != 0)
		return kit_returned(kit, "connect()", rc, "to '%s'%s", line.authority, line_made(&line));
	struct xfer_poll first = line_poll(kit, line.a);
	for (int i = 0; i < LINE_PATIENCE / 10 && !(a_through && b_through); i++) {
		if (line.b == NULL && (rc = KIT_CALL(kit, transport, accept, line.listener, &line.b, 0)) != 0 &&
		    rc != -EAGAIN)
			return kit_returned(kit, "accept()", rc, "%s", "");
		struct xfer_conn *const conns[] = { line.a, line.b };
		bool *const through[] = { &a_through, &b_through };
		for (int k = 0; k < 2; k++) {
			if (conns[k] == NULL || *through[k])
				continue;
			rc = KIT_CALL(kit, transport, handshake, conns[k], 0);
			*through[k] = rc == 0;
			if (rc != 0 && rc != -EAGAIN)
				return kit_returned(kit, "handshake()", rc, "of a connection on this machine");
			struct xfer_poll now = line_poll(kit, conns[k]);
			if (rc == -EAGAIN && (now.events & (XFER_POLL_READ | XFER_POLL_WRITE)) == 0)
				return kit_failed(kit,
				                  "handshake() returned -EAGAIN, and poll() wants to wait for nothing");
			if ((now.events & ~(XFER_POLL_READ | XFER_POLL_WRITE)) != 0)
				return kit_failed(kit, "poll() wants events %#x, which there are not", now.events);
		}
		/* One through, the other not: nothing to wait for but the other's events. */
		const bool waits[] = { false, false };
		struct xfer_conn *const left[] = { a_through ? NULL : line.a, b_through ? NULL : line.b };
		line_wait(kit, left, waits, 2, 10);
	}
	if (!a_through || !b_through)
		return kit_failed(kit, "the handshake does not end");
	for (int k = 0; k < 2; k++) {
		struct xfer_poll now = line_poll(kit, k == 0 ? line.a : line.b);
		const char *wrong = line_fd_wrong(now.read_fd);
		if (wrong == NULL)
			wrong = line_fd_wrong(now.write_fd);
		if (wrong != NULL)
			return kit_failed(kit, "the descriptor of %s connection %s", k == 0 ? "a begun" : "an accepted",
			                  wrong);
		if (k == 0 && (now.read_fd != first.read_fd || now.write_fd != first.write_fd))
			return kit_failed(kit, "poll() names other descriptors than before the handshake");
	}
	line_end(&line);
	return kit_ok(kit, "both ends through, descriptors %s", "non-blocking and close-on-exec");
}

static enum kit_outcome endpoint_check(struct kit *kit, struct xfer_conn *conn, const struct fence *fence,
                                       struct xfer_endpoint *out, const char *when)
{
	struct xfer_endpoint *endpoint = (struct xfer_endpoint *)(void *)fence_end(fence, sizeof(*endpoint));
	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->struct_size = sizeof(*endpoint);
	int rc = KIT_CALL(kit, transport, endpoint, conn, endpoint);
	if (rc != 0)
		return kit_returned(kit, "endpoint()", rc, "%s", when);
	const char *const texts[] = { endpoint->text, endpoint->identity };
	const size_t sizes[] = { sizeof(endpoint->text), sizeof(endpoint->identity) };
	for (int i = 0; i < 2; i++) {
		if (memchr(texts[i], '\0', sizes[i]) == NULL)
			return kit_failed(kit, "%s of endpoint() has no end, %s", i == 0 ? "text" : "identity", when);
		for (const char *at = texts[i]; *at != '\0'; at++)
			if ((unsigned char)*at < ' ' || *at == 0x7f)
				return kit_failed(kit, "%s of endpoint() is not printable, %s",
				                  i == 0 ? "text" : "identity", when);
	}
	*out = *endpoint;
	return KIT_OK;
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
	                                      : ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

static enum kit_outcome check_endpoint(struct kit *kit)
{
	struct line line;
	struct fence fence;
	struct xfer_endpoint a, b;
	bool inet = line_inet(kit);
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	if (fence_make(&fence, sizeof(a)) < 0)
		return kit_failed(kit, "no memory for the check");
	int rc = line_dial(&line, &line.a);
	if (rc != 0)
		return kit_returned(kit, "connect()", rc, "to '%s'%s", line.authority, line_made(&line));
	if ((outcome = endpoint_check(kit, line.a, &fence, &a, "before the handshake")) != KIT_OK)
		return outcome;
	line_drop(&line, &line.a);
	line_end(&line);
	if ((outcome = line_open(kit, &line)) != KIT_OK ||
	    (outcome = endpoint_check(kit, line.a, &fence, &a, "of who connected")) != KIT_OK ||
	    (outcome = endpoint_check(kit, line.b, &fence, &b, "of who accepted")) != KIT_OK)
		return outcome;
	if (a.text[0] == '\0' || b.text[0] == '\0')
		return kit_failed(kit, "endpoint() has an empty text after the handshake");
	const struct sockaddr_storage *const all[] = { &a.remote, &a.local, &b.remote, &b.local };
	for (int i = 0; i < 4; i++) {
		bool is_inet = all[i]->ss_family == AF_INET || all[i]->ss_family == AF_INET6;
		if (inet ? !is_inet : all[i]->ss_family != AF_UNSPEC)
			return kit_failed(kit, "an address of endpoint() is of family %d", all[i]->ss_family);
	}
	if (inet && (port_of(&a.local) != port_of(&b.remote) || port_of(&a.remote) != port_of(&b.local)))
		return kit_failed(kit, "the two ends name different ports");
	if ((kit->plugin->about.capabilities & XFER_CAP_SECURE) != 0 && a.identity[0] == '\0' && b.identity[0] == '\0')
		return kit_failed(kit, "nobody has an identity on a connection that is called secure");
	line_drop(&line, &line.b);
	if ((outcome = endpoint_check(kit, line.a, &fence, &b, "when the peer is gone")) != KIT_OK)
		return outcome;
	line_end(&line);
	fence_free(&fence);
	return kit_ok(kit, "'%s'", a.text);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/* Both ways at once, cut at random on both sides, as the plug-in's maker and the network would never do it. */
static enum kit_outcome check_stream(struct kit *kit)
{
	struct line line;
	uint8_t *bytes = malloc(4 * (size_t)STREAM_LEN);
	enum kit_outcome outcome = line_open(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, 2 * (size_t)STREAM_LEN);
	struct line_end ends[2];
	for (int i = 0; i < 2; i++)
		ends[i] = (struct line_end){
			.conn = i == 0 ? line.a : line.b,
			.send = bytes + (size_t)i * STREAM_LEN,
			.send_len = STREAM_LEN,
			.got = bytes + (2 + (size_t)i) * STREAM_LEN,
			.got_max = STREAM_LEN,
			.piece_max = i == 0 ? 3000 : 700,
			.pieces = i == 0 ? 7 : 60,
			.recv_max = i == 0 ? 5000 : 900,
		};
	if ((outcome = line_move(kit, &ends[0], &ends[1])) != KIT_OK ||
	    (outcome = line_compare(kit, &ends[0], &ends[1], "from who connected")) != KIT_OK ||
	    (outcome = line_compare(kit, &ends[1], &ends[0], "from who accepted")) != KIT_OK)
		return outcome;
	/* Nothing is left. */
	ssize_t more = (ssize_t)KIT_SIZE(kit, transport, recv, line.b, bytes, STREAM_LEN, 0);
	if (more != -EAGAIN)
		return kit_returned(kit, "recv()", more, "when all was received");
	line_end(&line);
	free(bytes);
	return kit_ok(kit, "%d bytes each way at once, in short pieces and short reads", STREAM_LEN);
}

/* As much as a fault that is rare would need to be seen, in large pieces. */
static enum kit_outcome check_volume(struct kit *kit)
{
	struct line line;
	enum kit_outcome outcome = line_open(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	struct xfer_conn *const ends[] = { line.a, line.b };
	const struct xfer_poll before[] = { line_poll(kit, line.a), line_poll(kit, line.b) };
	for (int i = 0; i < VOLUME_ROUNDS && outcome == KIT_OK; i++)
		outcome = line_exchange(kit, line.a, line.b, VOLUME_LEN, "a long stream");
	for (int i = 0; i < 2 && outcome == KIT_OK; i++) {
		struct xfer_poll now = line_poll(kit, ends[i]);
		if (now.read_fd != before[i].read_fd || now.write_fd != before[i].write_fd)
			outcome = kit_failed(kit, "poll() names other descriptors after %d MiB than before",
			                     VOLUME_ROUNDS * VOLUME_LEN / 1024 / 1024);
	}
	if (outcome != KIT_OK)
		return outcome;
	line_end(&line);
	return kit_ok(kit, "%d MiB each way at once", VOLUME_ROUNDS * VOLUME_LEN / 1024 / 1024);
}

static enum kit_outcome check_pieces(struct kit *kit)
{
	struct line line;
	static struct iovec pieces[PIECE_COUNT];
	uint8_t *bytes = malloc(2 * (size_t)PIECE_COUNT * 8);
	size_t len = 0, sent = 0, got = 0;
	enum kit_outcome outcome = line_open(kit, &line);
	const bool reads = false;
	if (outcome != KIT_OK)
		return outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	for (size_t i = 0; i < PIECE_COUNT; i++)
		len += 1 + i % 7;
	uint8_t *back = bytes + len;
	kit_fill(kit, bytes, len);
	for (size_t rounds = 0; sent < len || got < len; rounds++) {
		size_t at = 0;
		int count = 0;
		/* What is left, cut where it was cut before. */
		for (size_t i = 0; i < PIECE_COUNT; at += 1 + i % 7, i++) {
			size_t end = at + 1 + i % 7, from = at > sent ? at : sent;
			if (end <= sent)
				continue;
			pieces[count].iov_base = bytes + from;
			pieces[count++].iov_len = end - from;
		}
		ssize_t rc = count > 0 ? (ssize_t)KIT_SIZE(kit, transport, sendv, line.a, pieces, count, 0) : 0;
		if ((rc <= 0 && rc != -EAGAIN && count > 0) || rc > (ssize_t)(len - sent))
			return kit_returned(kit, "sendv()", rc, "for %d pieces of 1 to 7 bytes", count);
		sent += rc > 0 ? (size_t)rc : 0;
		rc = (ssize_t)KIT_SIZE(kit, transport, recv, line.b, back + got, len - got + 1, 0);
		if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)(len - got))
			return kit_returned(kit, "recv()", rc, "after %zu of %zu bytes", got, len);
		got += rc > 0 ? (size_t)rc : 0;
		if (rc == -EAGAIN)
			line_wait(kit, &line.b, &reads, 1, 100);
		if (rounds > 2 * PIECE_COUNT)
			return kit_failed(kit, "%zu of %zu bytes after %zu rounds", got, len, rounds);
	}
	if (memcmp(bytes, back, len) != 0)
		return kit_failed(kit, "the bytes of many pieces arrive as others");
	line_end(&line);
	free(bytes);
	return kit_ok(kit, "%d pieces of 1 to 7 bytes at once", PIECE_COUNT);
}

/* Nobody reads: there has to be an end to what is taken. Then somebody reads, and all of it is there. */
static enum kit_outcome check_partial(struct kit *kit)
{
	struct line line;
	uint8_t step[PARTIAL_STEP], got[PARTIAL_STEP];
	size_t sent = 0, have = 0;
	const bool idle = false;
	bool shut = false;
	enum kit_outcome outcome = line_open(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	kit_fill(kit, step, sizeof(step));
	for (int silent = 0; silent < 3;) {
		size_t at = sent % sizeof(step);
		const struct iovec piece = { step + at, sizeof(step) - at };
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, sendv, line.a, &piece, 1, 0);
		if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)piece.iov_len)
			return kit_returned(kit, "sendv()", rc, "after %zu bytes that nobody read", sent);
		sent += rc > 0 ? (size_t)rc : 0;
		if (sent > PARTIAL_MAX)
			return kit_failed(kit, "sendv() takes more than %d MiB that nobody reads",
			                  PARTIAL_MAX / 1024 / 1024);
		/* The kernel may still move some of it to the other side. */
		if (rc == -EAGAIN)
			line_wait(kit, &line.a, &idle, 1, 10);
		silent = rc == -EAGAIN ? silent + 1 : 0;
	}
	for (int silent = 0; have < sent;) {
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recv, line.b, got, have == 0 ? 1 : sizeof(got), 0);
		if (rc == -EAGAIN && silent++ < LINE_PATIENCE / 100) {
			/* Some transports have to send what they took. */
			if (!shut)
				shut = KIT_CALL(kit, transport, shutdown, line.a, 0) == 0;
			line_wait(kit, &line.b, &idle, 1, 100);
			continue;
		}
		if (rc <= 0)
			return kit_returned(kit, "recv()", rc, "after %zu of %zu bytes", have, sent);
		silent = 0;
		for (size_t i = 0; i < (size_t)rc; i++)
			if (got[i] != step[(have + i) % sizeof(step)])
				return kit_failed(kit, "byte %zu of %zu that had to wait arrives as another one",
				                  have + i, sent);
		have += (size_t)rc;
	}
	line_end(&line);
	return kit_ok(kit, "-EAGAIN after %zu KiB, all of which arrive", sent / 1024);
}

const struct kit_check kit_transport_checks[] = {
	{ "listener", "a listener names its descriptors and its address, in any room there is", check_listener },
	{ "in-use", "a second listener at an address is refused with -EADDRINUSE and a text", check_in_use },
	{ "nobody", "accept() returns -EAGAIN when nobody waits", check_nobody },
	{ "refused", "a connection to where nobody listens fails with a text", check_refused },
	{ "handshake", "handshake() ends on both sides, poll() says what for it waits", check_handshake },
	{ "endpoint", "endpoint() gives printable texts with an end, and addresses that fit", check_endpoint },
	{ "stream", "bytes arrive as they were sent, both ways at once", check_stream },
	{ "volume", "megabytes arrive as they were sent, by the same descriptors to the end", check_volume },
	{ "pieces", "sendv() takes thousands of pieces, or some of them", check_pieces },
	{ "partial", "sendv() returns -EAGAIN when nobody reads, and loses nothing that it took", check_partial },
	{ "sendfile", "sendfile() sends the bytes of the file and leaves its offset alone", check_sendfile },
	{ "sendpipe", "sendpipe() sends the bytes of a pipe, and leaves there what it does not take", check_sendpipe },
	{ "recvpipe", "recvpipe() moves what has come into a pipe, and loses nothing when that is full",
	  check_recvpipe },
	{ "lowat", "a descriptor that heeds SO_RCVLOWAT is silent until as much is there, or the end", check_lowat },
	{ "half-close", "after shutdown() the peer reads to the end, and still sends", check_half_close },
	{ "peer-close", "a peer that closes without a word ends the connection, which holds no other bytes",
	  check_peer_close },
	{ "peer-killed", "a peer that is killed while it sends ends the connection", check_peer_killed },
	{ "strangers", "who connects and says nothing, or nonsense, disturbs nobody else", check_strangers },
	{ "many", "some hundred connections at once, each with its own bytes", check_many_connections },
	{ "listener-adopt", "the descriptors of a listener make a listener, which its connections outlive",
	  check_listener_adopt },
	{ "adopt", "open descriptors make a connection; what is refused stays as it is", check_adopt },
	{ "no-room", "without a free descriptor calls fail, and what waited is accepted later", check_no_room },
	{ "leaks", "connections that come and go leave nothing behind", check_transport_leaks },
	{ 0 },
};
