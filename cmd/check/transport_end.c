/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a transport plug-in that concern the end of a connection, expected or not. */
#include "line.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	HALF_LEN = 400000,
	DEAD_LEN = 300000,
	KILLED_AFTER = 200000,         /* bytes received from who is then killed */
	KILLED_REST = 64 * 1024 * 1024 /* bytes that may have been on their way */
};

/* Each side in turn says that it is done while the other one still sends. */
enum kit_outcome check_half_close(struct kit *kit)
{
	struct line line;
	uint8_t *bytes = malloc(4 * (size_t)HALF_LEN), one;
	enum kit_outcome outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, 2 * (size_t)HALF_LEN);
	for (int first = 0; first < 2; first++) {
		if ((outcome = line_open(kit, &line)) != KIT_OK)
			return outcome;
		struct xfer_conn *early = first == 0 ? line.a : line.b, *late = first == 0 ? line.b : line.a;
		struct line_end from = { .conn = early, .send = bytes, .send_len = HALF_LEN, .shuts = true };
		struct line_end to = {
			.conn = late, .got = bytes + 2 * (size_t)HALF_LEN, .got_max = HALF_LEN, .to_end = true
		};
		if ((outcome = line_move(kit, &from, &to)) != KIT_OK ||
		    (outcome = line_compare(kit, &from, &to, "the half that is closed first")) != KIT_OK)
			return outcome;
		from = (struct line_end){ .conn = late, .send = bytes + HALF_LEN, .send_len = HALF_LEN, .shuts = true };
		to = (struct line_end){
			.conn = early, .got = bytes + 3 * (size_t)HALF_LEN, .got_max = HALF_LEN, .to_end = true
		};
		if ((outcome = line_move(kit, &from, &to)) != KIT_OK ||
		    (outcome = line_compare(kit, &from, &to, "the other half, sent after the first was closed")) !=
		            KIT_OK)
			return outcome;
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recv, late, &one, 1, 0);
		if (rc != 0)
			return kit_returned(kit, "recv()", rc, "a second time at the end, not 0");
		line_end(&line);
	}
	free(bytes);
	return kit_ok(kit, "%d bytes, the end, and as many back, from either side", HALF_LEN);
}

/*
 * Receives until the connection is over, for `patience` ms at most. What comes has to be the sequence that `want`
 * repeats. *end is what recv() returned at last, -EAGAIN when there is no end.
 */
static enum kit_outcome receive_to_end(struct kit *kit, struct xfer_conn *conn, const uint8_t *want, size_t want_len,
                                       size_t max, size_t *have, ssize_t *end)
{
	uint8_t got[16384];
	const bool idle = false;
	uint64_t moved = clock_monotonic();
	for (;;) {
		*end = (ssize_t)KIT_SIZE(kit, transport, recv, conn, got, sizeof(got), 0);
		if (*end == -EAGAIN && clock_monotonic() - moved < LINE_PATIENCE * CLOCK_MS) {
			line_wait(kit, &conn, &idle, 1, 100);
			continue;
		}
		if (*end <= 0)
			return KIT_OK;
		moved = clock_monotonic();
		for (size_t i = 0; i < (size_t)*end; i++)
			if (got[i] != want[(*have + i) % want_len])
				return kit_failed(kit, "byte %zu before the end arrives as another one", *have + i);
		*have += (size_t)*end;
		if (*have > max)
			return kit_failed(kit, "%zu bytes arrive where %zu were sent", *have, max);
	}
}

/* A connection without its peer: sending to it does not go on for ever, nor does it end the process. */
static enum kit_outcome send_to_nobody(struct kit *kit, struct xfer_conn *conn)
{
	static const uint8_t bytes[65536];
	const struct iovec piece = { (void *)(uintptr_t)bytes, sizeof(bytes) };
	const bool writes = true;
	for (int i = 0; i < LINE_PATIENCE / 10; i++) {
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, sendv, conn, &piece, 1, 0);
		if (rc < 0 && rc != -EAGAIN)
			return KIT_OK;
		if (rc == 0)
			return kit_failed(kit, "sendv() returned 0 when the peer was gone");
		line_wait(kit, &conn, &writes, 1, 10);
	}
	return kit_failed(kit, "sendv() never fails although the peer is gone");
}

static enum kit_outcome judge_end(struct kit *kit, struct xfer_conn *conn, ssize_t end, const char *what)
{
	char name[32];
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	if (end == -EPERM)
		return kit_failed(kit, "recv() returned -1 when the peer %s: it is -errno that counts, and not errno",
		                  what);
	if (end == -EAGAIN)
		return kit_failed(kit, "recv() returns -EAGAIN for 10 s after the peer %s", what);
	/* On one machine nobody cuts the wire. */
	const uint64_t wired = XFER_CAP_SECURE | XFER_CAP_INET;
	if (end == 0 && (kit->plugin->about.capabilities & wired) == wired)
		return kit_failed(kit,
		                  "recv() returned 0 although the peer %s and did not say that it is done: whoever "
		                  "cuts the wire could end a stream",
		                  what);
	if (end > 0)
		return kit_failed(kit, "recv() returned %s", kit_errno(name, end));
	int rc = KIT_CALL(kit, transport, endpoint, conn, &endpoint);
	return rc == 0 ? KIT_OK : kit_returned(kit, "endpoint()", rc, "when the peer %s", what);
}

enum kit_outcome check_peer_close(struct kit *kit)
{
	struct line line;
	uint8_t *bytes = malloc(DEAD_LEN);
	char name[32];
	ssize_t end = 0;
	size_t have = 0;
	enum kit_outcome outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, DEAD_LEN);
	/* Whoever closes first, with its bytes on their way and with some that it has not read. */
	for (int first = 0; first < 2; first++) {
		if ((outcome = line_open(kit, &line)) != KIT_OK)
			return outcome;
		struct xfer_conn **gone = first == 0 ? &line.a : &line.b, *left = first == 0 ? line.b : line.a;
		struct iovec piece = { bytes, DEAD_LEN };
		ssize_t took = (ssize_t)KIT_SIZE(kit, transport, sendv, *gone, &piece, 1, 0);
		if (took <= 0)
			return kit_returned(kit, "sendv()", took, "of a new connection");
		piece.iov_len = 1000;
		(void)KIT_SIZE(kit, transport, sendv, left, &piece, 1, 0);
		line_drop(&line, gone);
		have = 0;
		if ((outcome = receive_to_end(kit, left, bytes, DEAD_LEN, (size_t)took, &have, &end)) != KIT_OK ||
		    (outcome = judge_end(kit, left, end, "closed")) != KIT_OK ||
		    (outcome = send_to_nobody(kit, left)) != KIT_OK)
			return outcome;
		line_end(&line);
	}
	free(bytes);
	return kit_ok(kit, "recv() is %s at last, and sendv() fails", kit_errno(name, end));
}

/* ---- a peer that is killed -------------------------------------------------------------------------------------- */

/* The peer: sends the same bytes again and again, until somebody kills it. */
static void victim(struct line *line, const uint8_t *bytes, size_t len)
{
	struct kit kit = *line->kit;
	const bool writes = true;
	bool through = false;
	size_t sent = 0;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	kit.inside = &kit.report->inside[1];
	line->kit = &kit;
	if (line_dial(line, &line->a) != 0)
		_exit(1);
	for (;;) {
		if (!through) {
			int rc = KIT_CALL(&kit, transport, handshake, line->a, 0);
			through = rc == 0;
			if (rc != 0 && rc != -EAGAIN)
				_exit(2);
		} else {
			const struct iovec piece = { (void *)(uintptr_t)(bytes + sent % len), len - sent % len };
			ssize_t rc = (ssize_t)KIT_SIZE(&kit, transport, sendv, line->a, &piece, 1, 0);
			if (rc <= 0 && rc != -EAGAIN)
				_exit(3);
			sent += rc > 0 ? (size_t)rc : 0;
		}
		line_wait(&kit, &line->a, &writes, 1, 1000);
	}
}

static enum kit_outcome receive_until_killed(struct kit *kit, struct line *line, pid_t pid, const uint8_t *bytes,
                                             size_t len)
{
	char name[32];
	ssize_t end = -EAGAIN;
	size_t have = 0;
	uint64_t start = clock_monotonic();
	bool through = false, killed = false;
	const bool idle = false;
	enum kit_outcome outcome;
	while (!killed) {
		uint8_t got[4096];
		if (clock_monotonic() - start > 3 * LINE_PATIENCE * CLOCK_MS)
			return kit_failed(kit, "%zu bytes come from another process in 30 s", have);
		if (line->b == NULL) {
			int rc = KIT_CALL(kit, transport, accept, line->listener, &line->b, 0);
			if (rc != 0 && rc != -EAGAIN)
				return kit_returned(kit, "accept()", rc, "of another process");
			if (rc != 0)
				line_await(line, 100);
			continue;
		}
		if (!through) {
			int rc = KIT_CALL(kit, transport, handshake, line->b, 0);
			if (rc != 0 && rc != -EAGAIN)
				return kit_returned(kit, "handshake()", rc, "with another process");
			through = rc == 0;
			if (rc != 0)
				line_wait(kit, &line->b, &idle, 1, 100);
			continue;
		}
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recv, line->b, got, sizeof(got), 0);
		if (rc <= 0 && rc != -EAGAIN)
			return kit_returned(kit, "recv()", rc, "from another process");
		for (size_t i = 0; rc > 0 && i < (size_t)rc; i++)
			if (got[i] != bytes[(have + i) % len])
				return kit_failed(kit, "byte %zu of another process arrives as another one", have + i);
		have += rc > 0 ? (size_t)rc : 0;
		if (rc == -EAGAIN)
			line_wait(kit, &line->b, &idle, 1, 100);
		if (have >= KILLED_AFTER) {
			kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			killed = true;
		}
	}
	if ((outcome = receive_to_end(kit, line->b, bytes, len, have + KILLED_REST, &have, &end)) != KIT_OK ||
	    (outcome = judge_end(kit, line->b, end, "was killed")) != KIT_OK ||
	    (outcome = send_to_nobody(kit, line->b)) != KIT_OK)
		return outcome;
	return kit_ok(kit, "recv() is %s after %zu bytes", kit_errno(name, end), have);
}

enum kit_outcome check_peer_killed(struct kit *kit)
{
	struct line line;
	uint8_t *bytes = malloc(DEAD_LEN);
	enum kit_outcome outcome = line_listen(kit, &line);
	if (outcome != KIT_OK)
		return outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, DEAD_LEN);
	pid_t pid = fork();
	if (pid < 0)
		return kit_failed(kit, "no process for the check");
	if (pid == 0)
		victim(&line, bytes, DEAD_LEN);
	outcome = receive_until_killed(kit, &line, pid, bytes, DEAD_LEN);
	if (outcome != KIT_OK) {
		int status = 0;
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
			kit->report->outcome = KIT_NONE;
			return kit_failed(kit, "the other process died of signal %d", WTERMSIG(status));
		}
		return outcome;
	}
	line_end(&line);
	free(bytes);
	return outcome;
}
