/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves bytes between two ends of a transport plug-in, both ways at once. */
#include "line.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX = 64, GUARD = 32, GUARD_FILL = 0x5c };

/* Cuts what is left into pieces at random; returns how many. */
static int cut(struct kit *kit, const struct line_end *end, struct iovec *pieces)
{
	const uint8_t *at = end->send + end->sent;
	size_t left = end->send_len - end->sent;
	int most = end->pieces > 0 && end->pieces < PIECES_MAX ? end->pieces : 1;
	int wanted = 1 + (int)kit_below(kit, (uint64_t)most), count = 0;
	while (left > 0 && count < wanted) {
		size_t len = end->piece_max > 0 ? 1 + (size_t)kit_below(kit, end->piece_max) : left;
		len = len < left ? len : left;
		memcpy(&pieces[count].iov_base, &at, sizeof(at));
		pieces[count++].iov_len = len;
		at += len;
		left -= len;
	}
	return count;
}

/* What was taken, but held: poll() asks to be called for it. As below. */
static bool send_held(struct kit *kit, struct line_end *end, enum kit_outcome *outcome)
{
	const struct iovec none = { NULL, 0 };
	if (end->broken != 0 || (line_poll(kit, end->conn).events & XFER_POLL_WRITE) == 0)
		return false;
	ssize_t rc = (ssize_t)KIT_SIZE(kit, transport, sendv, end->conn, &none, 0, 0);
	if (rc == -EAGAIN)
		return false;
	if (rc > 0)
		*outcome = kit_failed(kit, "sendv() returned %zd for no piece", rc);
	else if (rc == -EINVAL)
		*outcome = kit_returned(kit, "sendv()", rc, "for no piece, which poll() had asked for");
	else if (rc == 0 && (line_poll(kit, end->conn).events & XFER_POLL_WRITE) != 0)
		*outcome = kit_failed(kit, "sendv() returned 0 for no piece, and poll() still asks for it");
	else if (rc < 0)
		end->broken = rc;
	return true;
}

/* Returns whether something moved; a failure in *outcome. */
static bool send_some(struct kit *kit, struct line_end *end, enum kit_outcome *outcome)
{
	bool moved = false;
	while (end->sent < end->send_len && end->broken == 0) {
		struct iovec pieces[PIECES_MAX];
		int count = cut(kit, end, pieces);
		size_t offered = 0;
		for (int i = 0; i < count; i++)
			offered += pieces[i].iov_len;
		ssize_t took = (ssize_t)KIT_SIZE(kit, transport, sendv, end->conn, pieces, count, 0);
		if (took == -EAGAIN)
			break;
		if (took == 0 || (took > 0 && (size_t)took > offered)) {
			*outcome = kit_failed(kit, "sendv() returned %zd for %zu bytes", took, offered);
			return false;
		}
		moved = true;
		if (took < 0)
			end->broken = took;
		else
			end->sent += (size_t)took;
	}
	if (end->sent == end->send_len && !end->shut)
		moved = send_held(kit, end, outcome) || moved;
	if (*outcome != KIT_OK)
		return false;
	if (end->sent == end->send_len && end->shuts && !end->shut && end->broken == 0) {
		int rc = KIT_CALL(kit, transport, shutdown, end->conn, 0);
		end->shut = rc == 0;
		if (rc != 0 && rc != -EAGAIN)
			end->broken = rc;
		moved = moved || rc != -EAGAIN;
	}
	return moved;
}

static bool receive_some(struct kit *kit, struct line_end *end, enum kit_outcome *outcome)
{
	bool moved = false;
	while ((end->got_len < end->got_max || end->to_end) && !end->ended && end->broken == 0) {
		uint8_t one[1 + GUARD];
		size_t room = end->got_max - end->got_len;
		size_t len = end->recv_max > 0 ? 1 + (size_t)kit_below(kit, end->recv_max) : room;
		uint8_t *at = end->got + end->got_len;
		len = len < room ? len : room;
		if (room == 0) { /* for the end only */
			at = one;
			len = 1;
			memset(one, GUARD_FILL, sizeof(one));
		}
		ssize_t got = (ssize_t)KIT_SIZE(kit, transport, recv, end->conn, at, len, 0);
		if (got == -EAGAIN)
			break;
		if (got > 0 && ((size_t)got > len || room == 0)) {
			*outcome = kit_failed(kit, "recv() returned %zd for %zu bytes%s", got, len,
			                      room == 0 ? ", more than were sent" : "");
			return false;
		}
		moved = true;
		if (got < 0)
			end->broken = got;
		else if (got == 0)
			end->ended = true;
		else
			end->got_len += (size_t)got;
	}
	return moved;
}

static bool is_done(const struct line_end *end)
{
	return end->broken != 0 || (end->sent == end->send_len && (!end->shuts || end->shut) &&
	                            (end->ended || (end->got_len == end->got_max && !end->to_end)));
}

enum kit_outcome line_move(struct kit *kit, struct line_end *a, struct line_end *b)
{
	enum kit_outcome outcome = KIT_OK;
	uint64_t moved_at = clock_monotonic();
	while (!is_done(a) || !is_done(b)) {
		/* The one is done and broken: what the other still waits for may never come. */
		bool moved = send_some(kit, a, &outcome);
		moved = (outcome == KIT_OK && receive_some(kit, b, &outcome)) || moved;
		moved = (outcome == KIT_OK && send_some(kit, b, &outcome)) || moved;
		moved = (outcome == KIT_OK && receive_some(kit, a, &outcome)) || moved;
		if (outcome != KIT_OK)
			return outcome;
		if (moved) {
			moved_at = clock_monotonic();
			continue;
		}
		if (clock_monotonic() - moved_at > LINE_PATIENCE * CLOCK_MS)
			return kit_failed(
				kit,
				"nothing moves for 10 s: sent %zu of %zu and %zu of %zu bytes, received %zu of "
				"%zu and %zu of %zu%s",
				a->sent, a->send_len, b->sent, b->send_len, a->got_len, a->got_max, b->got_len,
				b->got_max, a->to_end || b->to_end ? ", waiting for an end" : "");
		/* Who is done may still have to hand on what it took. */
		struct xfer_conn *const conns[] = { a->ended || a->broken != 0 ? NULL : a->conn,
			                            b->ended || b->broken != 0 ? NULL : b->conn };
		const bool writes[] = { a->sent < a->send_len || (a->shuts && !a->shut),
			                b->sent < b->send_len || (b->shuts && !b->shut) };
		line_wait(kit, conns, writes, 2, 1000);
	}
	return KIT_OK;
}

enum kit_outcome line_compare(struct kit *kit, const struct line_end *from, const struct line_end *to, const char *what)
{
	char name[32];
	if (from->broken != 0 || to->broken != 0)
		return kit_failed(kit, "%s broke off with %s after %zu of %zu bytes", what,
		                  kit_errno(name, from->broken != 0 ? from->broken : to->broken), to->got_len,
		                  from->send_len);
	for (size_t i = 0; i < to->got_len && i < from->send_len; i++)
		if (to->got[i] != from->send[i])
			return kit_failed(kit, "%s: byte %zu of %zu arrives as another one", what, i, from->send_len);
	if (to->got_len != from->send_len)
		return kit_failed(kit, "%s: %zu bytes arrive of %zu", what, to->got_len, from->send_len);
	return KIT_OK;
}

enum kit_outcome line_exchange(struct kit *kit, struct xfer_conn *a, struct xfer_conn *b, size_t len, const char *what)
{
	uint8_t *bytes = malloc(4 * len);
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, 2 * len);
	struct line_end ends[2] = {
		{ .conn = a, .send = bytes, .send_len = len, .got = bytes + 2 * len, .got_max = len },
		{ .conn = b, .send = bytes + len, .send_len = len, .got = bytes + 3 * len, .got_max = len },
	};
	enum kit_outcome outcome = line_move(kit, &ends[0], &ends[1]);
	if (outcome == KIT_OK)
		outcome = line_compare(kit, &ends[0], &ends[1], what);
	if (outcome == KIT_OK)
		outcome = line_compare(kit, &ends[1], &ends[0], what);
	free(bytes);
	return outcome;
}
