/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a transport plug-in: what it sends out of files and pipes, and receives into pipes. */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	FILE_LEN = 700001,
	WAITING_MAX = 128 * 1024 * 1024, /* bytes that are taken while nobody reads them: no buffer is so large */
	STEP = 64 * 1024
};

/* A file, and the same bytes in memory with as much room behind them for what arrives. What fails ends the process. */
static enum kit_outcome file_make(struct kit *kit, uint8_t **out, int *fd)
{
	uint8_t *file = malloc(2 * (size_t)FILE_LEN);
	*fd = memfd_create("check", MFD_CLOEXEC);
	if (file == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, file, FILE_LEN);
	*out = file;
	return *fd >= 0 && pwrite(*fd, file, FILE_LEN, 0) == FILE_LEN ? KIT_OK
	                                                              : kit_failed(kit, "no file for the check");
}

static enum kit_outcome sendfile_move(struct kit *kit, struct line *line, int fd, const uint8_t *file, uint8_t *got)
{
	const size_t from = 4097;
	const bool writes[] = { true, false };
	size_t sent = from, have = 0;
	int silent = 0;
	while (have < FILE_LEN - from) {
		ssize_t rc = 0;
		if (sent < FILE_LEN) {
			size_t len = 1 + (size_t)kit_below(kit, 100000);
			rc = (ssize_t)KIT_SIZE(kit, transport, sendfile, line->a, fd, sent, len, 0);
			if (rc == -EOPNOTSUPP && sent == from)
				return kit_skipped(kit, "it does not send from a file");
			if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)len)
				return kit_returned(kit, "sendfile()", rc, "for %zu bytes at %zu of %d", len, sent,
				                    FILE_LEN);
			sent += rc > 0 ? (size_t)rc : 0;
		}
		ssize_t n = (ssize_t)KIT_SIZE(kit, transport, recv, line->b, got + have, FILE_LEN - from - have, 0);
		if (n <= 0 && n != -EAGAIN)
			return kit_returned(kit, "recv()", n, "after %zu bytes of a file", have);
		have += n > 0 ? (size_t)n : 0;
		silent = n > 0 ? 0 : silent + 1;
		if (silent > LINE_PATIENCE / 100)
			return kit_failed(kit, "%zu of %zu bytes of a file arrive", have, FILE_LEN - from);
		if (n == -EAGAIN && (rc == -EAGAIN || sent == FILE_LEN)) {
			struct xfer_conn *const conns[] = { sent < FILE_LEN ? line->a : NULL, line->b };
			line_wait(kit, conns, writes, 2, 100);
		}
	}
	if (memcmp(got, file + from, FILE_LEN - from) != 0)
		return kit_failed(kit, "the bytes of a file arrive as others");
	return KIT_OK;
}

enum kit_outcome check_sendfile(struct kit *kit)
{
	struct line line;
	if (kit->plugin->transport.sendfile == NULL)
		return kit_skipped(kit, "it has no sendfile()");
	uint8_t *file;
	int fd;
	enum kit_outcome outcome = line_open(kit, &line);
	if (outcome == KIT_OK)
		outcome = file_make(kit, &file, &fd);
	if (outcome != KIT_OK)
		return outcome;
	if (lseek(fd, 11, SEEK_SET) != 11)
		return kit_failed(kit, "no file for the check");
	if ((outcome = sendfile_move(kit, &line, fd, file, file + FILE_LEN)) != KIT_OK)
		return outcome;
	if (lseek(fd, 0, SEEK_CUR) != 11)
		return kit_failed(kit, "sendfile() moved the offset of the file to %ld", (long)lseek(fd, 0, SEEK_CUR));
	ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, sendfile, line.a, fd, FILE_LEN, 100, 0);
	if (rc != 0)
		return kit_returned(kit, "sendfile()", rc, "at the end of the file");
	/* What follows by other means stands behind it. */
	if ((outcome = line_exchange(kit, line.a, line.b, 5000, "after a file")) != KIT_OK)
		return outcome;
	line_end(&line);
	close(fd);
	free(file);
	return kit_ok(kit, "%d bytes of a file, its offset unmoved, 0 at its end", FILE_LEN - 4097);
}

/* Puts the file's bytes from `from` into the pipe, as many as go: half of the time by reference, half of them copied. */
static ssize_t pipe_fill(struct kit *kit, int to, int fd, const uint8_t *file, size_t from)
{
	size_t len = 1 + (size_t)kit_below(kit, 100000);
	off_t at = (off_t)from;
	if (len > FILE_LEN - from)
		len = FILE_LEN - from;
	ssize_t got = kit_below(kit, 2) == 0 ? write(to, file + from, len) : splice(fd, &at, to, NULL, len, 0);
	return got < 0 && errno == EAGAIN ? 0 : got;
}

static enum kit_outcome sendpipe_move(struct kit *kit, struct line *line, const int *pipes, int fd, const uint8_t *file,
                                      uint8_t *got)
{
	const bool writes[] = { true, false };
	size_t filled = 0, sent = 0, have = 0;
	int silent = 0, left;
	while (have < FILE_LEN) {
		ssize_t rc = 0, n = filled < FILE_LEN ? pipe_fill(kit, pipes[1], fd, file, filled) : 0;
		if (n < 0)
			return kit_failed(kit, "no pipe for the check");
		filled += (size_t)n;
		if (sent < filled) {
			size_t len = 1 + (size_t)kit_below(kit, filled - sent);
			rc = (ssize_t)KIT_SIZE(kit, transport, sendpipe, line->a, pipes[0], len, 0);
			if (rc == -EOPNOTSUPP && sent == 0)
				return kit_skipped(kit, "it does not send from a pipe on this connection");
			if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)len)
				return kit_returned(kit, "sendpipe()", rc, "for %zu bytes at %zu of %d", len, sent,
				                    FILE_LEN);
			sent += rc > 0 ? (size_t)rc : 0;
			if (ioctl(pipes[0], FIONREAD, &left) < 0 || (size_t)left != filled - sent)
				return kit_returned(kit, "sendpipe()", rc, "and left %d bytes of %zu in the pipe", left,
				                    filled - sent + (rc > 0 ? (size_t)rc : 0));
		}
		n = (ssize_t)KIT_SIZE(kit, transport, recv, line->b, got + have, FILE_LEN - have, 0);
		if (n <= 0 && n != -EAGAIN)
			return kit_returned(kit, "recv()", n, "after %zu bytes out of a pipe", have);
		have += n > 0 ? (size_t)n : 0;
		silent = n > 0 ? 0 : silent + 1;
		if (silent > LINE_PATIENCE / 100)
			return kit_failed(kit, "%zu of %zu bytes out of a pipe arrive", have, sent);
		if (n == -EAGAIN && (rc == -EAGAIN || sent == FILE_LEN)) {
			struct xfer_conn *const conns[] = { sent < FILE_LEN ? line->a : NULL, line->b };
			line_wait(kit, conns, writes, 2, 100);
		}
	}
	return memcmp(got, file, FILE_LEN) == 0 ? KIT_OK : kit_failed(kit, "the bytes of a pipe arrive as others");
}

/* Into a full connection: what it does not take stays in the pipe. */
static enum kit_outcome sendpipe_fill(struct kit *kit, struct line *line, const int *pipes)
{
	static const uint8_t step[STEP];
	size_t in = 0;
	int left;
	for (size_t sent = 0; sent < WAITING_MAX;) {
		ssize_t n = write(pipes[1], step, sizeof(step));
		in += n > 0 ? (size_t)n : 0;
		ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, sendpipe, line->a, pipes[0], in, 0);
		if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)in)
			return kit_returned(kit, "sendpipe()", rc, "for %zu bytes that nobody reads", in);
		in -= rc > 0 ? (size_t)rc : 0;
		if (ioctl(pipes[0], FIONREAD, &left) < 0 || (size_t)left != in)
			return kit_returned(kit, "sendpipe()", rc, "and the pipe holds %d bytes, not %zu", left, in);
		if (rc == -EAGAIN)
			return KIT_OK;
		sent += (size_t)rc;
	}
	return kit_failed(kit, "sendpipe() never returns -EAGAIN while nobody reads");
}

/* A line, a pipe, and a file to move through both. */
struct piping {
	struct line line;
	int pipes[2];
	uint8_t *file; /* FILE_LEN bytes, and room for as many */
	int fd;
};

static enum kit_outcome piping_open(struct kit *kit, struct piping *piping)
{
	enum kit_outcome outcome = line_open(kit, &piping->line);
	if (outcome == KIT_OK)
		outcome = file_make(kit, &piping->file, &piping->fd);
	if (outcome == KIT_OK && pipe2(piping->pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		outcome = kit_failed(kit, "no pipe for the check");
	return outcome;
}

static void piping_end(struct piping *piping)
{
	line_end(&piping->line);
	close(piping->pipes[0]);
	close(piping->pipes[1]);
	close(piping->fd);
	free(piping->file);
}

enum kit_outcome check_sendpipe(struct kit *kit)
{
	struct piping piping;
	struct line *line = &piping.line;
	if (kit->plugin->transport.sendpipe == NULL)
		return kit_skipped(kit, "it has no sendpipe()");
	enum kit_outcome outcome = piping_open(kit, &piping);
	if (outcome == KIT_OK)
		outcome = sendpipe_move(kit, line, piping.pipes, piping.fd, piping.file, piping.file + FILE_LEN);
	/* What follows by other means stands behind it. */
	if (outcome == KIT_OK)
		outcome = line_exchange(kit, line->a, line->b, 5000, "after a pipe");
	if (outcome == KIT_OK)
		outcome = sendpipe_fill(kit, line, piping.pipes);
	if (outcome != KIT_OK)
		return outcome;
	piping_end(&piping);
	return kit_ok(kit, "%d bytes out of a pipe; what is not taken stays there", FILE_LEN);
}

/* What the pipe holds beyond `before`, else than recvpipe() said. */
static bool pipe_differs(const int *pipes, size_t before, ssize_t rc)
{
	int there;
	return ioctl(pipes[0], FIONREAD, &there) < 0 || (size_t)there != before + (rc > 0 ? (size_t)rc : 0);
}

/* Now by recvpipe(), now by recv(); what is in the pipe is taken out only now and then, so that it is full for a while. */
static enum kit_outcome recvpipe_move(struct kit *kit, struct line *line, const int *pipes, const uint8_t *file,
                                      uint8_t *got)
{
	const bool writes[] = { true, false };
	size_t sent = 0, have = 0, in = 0;
	int silent = 0;
	while (have < FILE_LEN) {
		const struct iovec iov = { .iov_base = (void *)(uintptr_t)(file + sent), .iov_len = FILE_LEN - sent };
		ssize_t rc = sent < FILE_LEN ? (ssize_t)KIT_SIZE(kit, transport, sendv, line->a, &iov, 1, 0) : 0;
		if (rc < 0 && rc != -EAGAIN)
			return kit_returned(kit, "sendv()", rc, "after %zu bytes", sent);
		sent += rc > 0 ? (size_t)rc : 0;
		size_t len = 1 + (size_t)kit_below(kit, 100000), most = FILE_LEN - have - in;
		bool piped = in > 0 || kit_below(kit, 4) > 0;
		len = len < most ? len : most;
		if (len > 0 && piped)
			rc = (ssize_t)KIT_SIZE(kit, transport, recvpipe, line->b, pipes[1], len, 0);
		else if (len > 0)
			rc = (ssize_t)KIT_SIZE(kit, transport, recv, line->b, got + have, len, 0);
		else
			rc = -EAGAIN;
		if (rc == -EOPNOTSUPP && piped && have + in == 0)
			return kit_skipped(kit, "it does not receive into a pipe on this connection");
		if (rc == 0 || (rc < 0 && rc != -EAGAIN) || rc > (ssize_t)len)
			return kit_returned(kit, piped ? "recvpipe()" : "recv()", rc, "for %zu bytes after %zu", len,
			                    have + in);
		if (piped && pipe_differs(pipes, in, rc))
			return kit_returned(kit, "recvpipe()", rc, "and the pipe, which held %zu bytes, holds others",
			                    in);
		if (rc > 0 && piped)
			in += (size_t)rc;
		else if (rc > 0)
			have += (size_t)rc;
		silent = rc > 0 || in > 0 ? 0 : silent + 1;
		if (silent > LINE_PATIENCE / 100)
			return kit_failed(kit, "%zu of %zu bytes arrive, some by a pipe", have, sent);
		if (rc == -EAGAIN && in == 0) {
			struct xfer_conn *const conns[] = { sent < FILE_LEN ? line->a : NULL, line->b };
			line_wait(kit, conns, writes, 2, 100);
		}
		if (in > 0 && (rc == -EAGAIN || kit_below(kit, 8) == 0)) {
			if (read(pipes[0], got + have, in) != (ssize_t)in)
				return kit_failed(kit, "no pipe for the check");
			have += in;
			in = 0;
		}
	}
	return memcmp(got, file, FILE_LEN) == 0 ? KIT_OK : kit_failed(kit, "some bytes arrive in a pipe as others");
}

/* Nothing has come; and then the end. */
static enum kit_outcome recvpipe_end(struct kit *kit, struct line *line, const int *pipes)
{
	ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recvpipe, line->b, pipes[1], STEP, 0);
	if (rc != -EAGAIN || pipe_differs(pipes, 0, rc))
		return kit_returned(kit, "recvpipe()", rc, "where nothing has come");
	if ((rc = (ssize_t)KIT_CALL(kit, transport, shutdown, line->a, 0)) < 0 && rc != -EAGAIN)
		return kit_returned(kit, "shutdown()", rc, "after some bytes");
	for (int silent = 0; silent < LINE_PATIENCE / 100; silent++) {
		const bool writes[] = { false };
		struct xfer_conn *const conns[] = { line->b };
		rc = (ssize_t)KIT_SIZE(kit, transport, recvpipe, line->b, pipes[1], STEP, 0);
		if (rc == 0)
			return KIT_OK;
		if (rc != -EAGAIN)
			break;
		line_wait(kit, conns, writes, 1, 100);
	}
	return kit_returned(kit, "recvpipe()", rc, "after the end of what the peer sent");
}

enum kit_outcome check_recvpipe(struct kit *kit)
{
	struct piping piping;
	struct line *line = &piping.line;
	if (kit->plugin->transport.recvpipe == NULL)
		return kit_skipped(kit, "it has no recvpipe()");
	enum kit_outcome outcome = piping_open(kit, &piping);
	if (outcome == KIT_OK)
		outcome = recvpipe_move(kit, line, piping.pipes, piping.file, piping.file + FILE_LEN);
	if (outcome == KIT_OK)
		outcome = line_exchange(kit, line->a, line->b, 5000, "after a pipe");
	if (outcome == KIT_OK)
		outcome = recvpipe_end(kit, line, piping.pipes);
	if (outcome != KIT_OK)
		return outcome;
	piping_end(&piping);
	return kit_ok(kit, "%d bytes, some of them by a pipe; what it has no room for comes later", FILE_LEN);
}
