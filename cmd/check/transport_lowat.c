/* SPDX-License-Identifier: BSD-2-Clause */
/* The check of a transport plug-in whose descriptor is to tell when enough is there: XFER_CAP_LOWAT. */
#include "line.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
	LEAST = 4096, /* bytes that are asked for, as the core does at most */
	LITTLE = 100,
	PIECE = 1000 /* of one recv() */
};

/* One direction of a line. What is sent are the bytes of a sequence, one after the other. */
struct trickle {
	struct xfer_conn *from, *to;
	int fd; /* of `to`, for reading */
	size_t sent, taken;
	uint8_t bytes[2 * LEAST]; /* the sequence */
};

static bool is_readable(int fd, int ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	return poll(&wait, 1, ms) > 0;
}

static enum kit_outcome ask_for(struct kit *kit, const struct trickle *trickle, int least)
{
	if (setsockopt(trickle->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least)) < 0)
		return kit_failed(kit, "SO_RCVLOWAT cannot be set on the descriptor for reading: %s", strerror(errno));
	return KIT_OK;
}

/* What lies at the descriptor is what was sent and not received yet, once all has come. */
static enum kit_outcome await_bytes(struct kit *kit, const struct trickle *trickle)
{
	const size_t want = trickle->sent - trickle->taken;
	const struct iovec none = { NULL, 0 };
	const bool idle = false;
	uint8_t seen[sizeof(trickle->bytes) + 1];
	ssize_t there = 0;
	for (int i = 0; i < LINE_PATIENCE / 10; i++) {
		there = recv(trickle->fd, seen, sizeof(seen), MSG_PEEK | MSG_DONTWAIT);
		if (there > (ssize_t)want ||
		    (there > 0 && memcmp(seen, trickle->bytes + trickle->taken, (size_t)there) != 0))
			return kit_failed(kit,
			                  "the descriptor has %zd bytes, which are others than the %zu that were sent",
			                  there, want);
		if (there == (ssize_t)want || (there < 0 && errno == EAGAIN && want == 0))
			return KIT_OK;
		if ((line_poll(kit, trickle->from).events & XFER_POLL_WRITE) != 0)
			(void)KIT_SIZE(kit, transport, sendv, trickle->from, &none, 0, 0);
		line_wait(kit, &trickle->from, &idle, 1, 10);
	}
	return kit_failed(kit, "the descriptor has %zd bytes of %zu that were sent and not received",
	                  there > 0 ? there : 0, want);
}

/* Sends as much more, and that it is done if it `shuts`. */
static enum kit_outcome send_more(struct kit *kit, struct trickle *trickle, size_t len, bool shuts)
{
	struct line_end from = {
		.conn = trickle->from, .send = trickle->bytes + trickle->sent, .send_len = len, .shuts = shuts
	};
	struct line_end none = { .conn = trickle->to };
	enum kit_outcome outcome = line_move(kit, &from, &none);
	trickle->sent += from.sent;
	if (outcome == KIT_OK && from.broken != 0)
		outcome = kit_returned(kit, "sendv()", from.broken, "for %zu bytes", len);
	return outcome;
}

/* Sends as much more as is too little, and nothing is told about it. */
static enum kit_outcome send_silently(struct kit *kit, struct trickle *trickle, size_t len)
{
	enum kit_outcome outcome = send_more(kit, trickle, len, false);
	if (outcome == KIT_OK)
		outcome = await_bytes(kit, trickle);
	if (outcome == KIT_OK && is_readable(trickle->fd, 0))
		return kit_failed(kit, "the descriptor is readable with %zu bytes, where SO_RCVLOWAT asks for %d",
		                  trickle->sent - trickle->taken, LEAST);
	return outcome;
}

static enum kit_outcome await_told(struct kit *kit, const struct trickle *trickle, const char *why)
{
	if (is_readable(trickle->fd, LINE_PATIENCE))
		return KIT_OK;
	return kit_failed(kit, "the descriptor is not readable in 10 s with %zu bytes and %s",
	                  trickle->sent - trickle->taken, why);
}

/* recv() once, which has something. */
static enum kit_outcome take(struct kit *kit, struct trickle *trickle)
{
	uint8_t got[PIECE];
	ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recv, trickle->to, got, sizeof(got), 0);
	if (rc <= 0 || rc > PIECE || (size_t)rc > trickle->sent - trickle->taken)
		return kit_returned(kit, "recv()", rc, "when the descriptor had %zu bytes",
		                    trickle->sent - trickle->taken);
	if (memcmp(got, trickle->bytes + trickle->taken, (size_t)rc) != 0)
		return kit_failed(kit, "bytes arrive as others when SO_RCVLOWAT is set");
	trickle->taken += (size_t)rc;
	return KIT_OK;
}

/* All that there is, however little; then `end`. */
static enum kit_outcome take_all(struct kit *kit, struct trickle *trickle, ssize_t end)
{
	enum kit_outcome outcome = KIT_OK;
	uint8_t one;
	while (outcome == KIT_OK && trickle->taken < trickle->sent)
		outcome = take(kit, trickle);
	if (outcome != KIT_OK)
		return outcome;
	ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, recv, trickle->to, &one, 1, 0);
	return rc == end ? KIT_OK : kit_returned(kit, "recv()", rc, "when all was received");
}

/* The one after the other, until something is not as it has to be. */
static enum kit_outcome trickle_run(struct kit *kit, struct trickle *trickle)
{
	enum kit_outcome outcome = ask_for(kit, trickle, LEAST);
	if (outcome == KIT_OK)
		outcome = send_silently(kit, trickle, LEAST - 1);
	if (outcome == KIT_OK)
		outcome = send_more(kit, trickle, 1, false);
	if (outcome == KIT_OK)
		outcome = await_told(kit, trickle, "SO_RCVLOWAT asks for no more");
	/* What recv() leaves stays where it is counted, and the option as it was set. */
	if (outcome == KIT_OK)
		outcome = take(kit, trickle);
	if (outcome == KIT_OK)
		outcome = send_silently(kit, trickle, LITTLE);
	if (outcome == KIT_OK)
		outcome = take_all(kit, trickle, -EAGAIN);
	if (outcome == KIT_OK)
		outcome = send_silently(kit, trickle, LITTLE);
	if (outcome == KIT_OK)
		outcome = ask_for(kit, trickle, 1);
	if (outcome == KIT_OK)
		outcome = await_told(kit, trickle, "SO_RCVLOWAT set back");
	if (outcome == KIT_OK)
		outcome = take_all(kit, trickle, -EAGAIN);
	if (outcome == KIT_OK)
		outcome = ask_for(kit, trickle, LEAST);
	if (outcome == KIT_OK)
		outcome = send_silently(kit, trickle, LITTLE);
	if (outcome == KIT_OK)
		outcome = send_more(kit, trickle, 0, true);
	if (outcome == KIT_OK)
		outcome = await_told(kit, trickle, "the end");
	return outcome == KIT_OK ? take_all(kit, trickle, 0) : outcome;
}

/* The sockets of two connections, or both ends of one, are not one and the same. */
static enum kit_outcome apart(struct kit *kit, struct xfer_conn *const *conns, size_t count)
{
	struct stat all[4];
	for (size_t i = 0; i < count; i++) {
		if (fstat(line_poll(kit, conns[i]).read_fd, &all[i]) < 0 || !S_ISSOCK(all[i].st_mode))
			return kit_failed(kit, "the descriptor for reading is no socket");
		for (size_t k = 0; k < i; k++)
			if (all[k].st_dev == all[i].st_dev && all[k].st_ino == all[i].st_ino)
				return kit_failed(kit, "two connections read from one socket");
	}
	return KIT_OK;
}

static enum kit_outcome check_apart(struct kit *kit, struct line *line)
{
	struct xfer_conn *conns[4] = { line->a, line->b };
	enum kit_outcome outcome = KIT_OK;
	/* Adopted ones are what they were given. */
	if (line->listener == NULL)
		return apart(kit, conns, 2);
	outcome = line_open_many(line, &conns[2], &conns[3], 1);
	if (outcome == KIT_OK)
		outcome = apart(kit, conns, 4);
	line_drop(line, &conns[2]);
	line_drop(line, &conns[3]);
	return outcome;
}

enum kit_outcome check_lowat(struct kit *kit)
{
	struct trickle trickle;
	if ((kit->plugin->about.capabilities & XFER_CAP_LOWAT) == 0)
		return kit_skipped(kit, "it does not say that its descriptor heeds SO_RCVLOWAT");
	for (int first = 0; first < 2; first++) {
		struct line line;
		enum kit_outcome outcome = line_open(kit, &line);
		if (outcome == KIT_OK)
			outcome = check_apart(kit, &line);
		if (outcome != KIT_OK)
			return outcome;
		trickle = (struct trickle){ .from = first == 0 ? line.a : line.b, .to = first == 0 ? line.b : line.a };
		trickle.fd = line_poll(kit, trickle.to).read_fd;
		kit_fill(kit, trickle.bytes, sizeof(trickle.bytes));
		outcome = trickle_run(kit, &trickle);
		if (outcome == KIT_OK && line_poll(kit, trickle.to).read_fd != trickle.fd)
			outcome = kit_failed(kit, "poll() names another descriptor than before");
		if (outcome != KIT_OK)
			return outcome;
		line_end(&line);
	}
	return kit_ok(kit, "silent with %d bytes of %d, told of the last one and of an end; recv() gives what there is",
	              LEAST - 1, LEAST);
}
