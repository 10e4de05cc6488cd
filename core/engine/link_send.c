/* SPDX-License-Identifier: BSD-2-Clause */
/* The sending half of a link: control frames and batches, as the transport takes them. */
#include "engine/link_state.h"

#include <errno.h>
#include <stdlib.h>

enum { IOV_BATCHES = 8 };

static int iov_fill(const struct link *link, struct iovec *iov)
{
	unsigned at = link->batch_first, left = link->batch_count;
	size_t control = link->control.len - link->control_sent;
	int count = 0;

	if (link->batch_begun) {
		const struct link_batch *batch = &link->batches[at];

		iov[count++] = (struct iovec){ batch->buffer->data + batch->offset, batch->len };
		at = (at + 1) % LINK_BATCHES_MAX;
		left--;
	}
	if (control > 0)
		iov[count++] = (struct iovec){ link->control.data + link->control_sent, control };
	for (; left > 0 && count < IOV_BATCHES; left--) {
		const struct link_batch *batch = &link->batches[at];

		iov[count++] = (struct iovec){ batch->buffer->data + batch->offset, batch->len };
		at = (at + 1) % LINK_BATCHES_MAX;
	}
	return count;
}

/* Takes up to n bytes off the first batch; returns how many. */
static size_t batch_sent(struct link *link, size_t n)
{
	struct link_batch *batch = &link->batches[link->batch_first];
	size_t take = n < batch->len ? n : batch->len;

	batch->offset += take;
	batch->len -= take;
	link->queued -= take;
	link->batch_begun = batch->len > 0;
	if (batch->len == 0) {
		lent_unref(batch->buffer);
		link->batch_first = (uint8_t)((link->batch_first + 1) % LINK_BATCHES_MAX);
		link->batch_count--;
		link->batch_at = link->loop->now;
	}
	return take;
}

/* In the order of iov_fill(). */
static void bytes_sent(struct link *link, size_t n)
{
	size_t control;

	if (link->batch_begun)
		n -= batch_sent(link, n);
	control = link->control.len - link->control_sent;
	if (n > 0 && control > 0) {
		size_t take = n < control ? n : control;

		link->control_sent += take;
		n -= take;
		if (link->control_sent == link->control.len) {
			buf_clear(&link->control);
			link->control_sent = 0;
		}
	}
	while (n > 0)
		n -= batch_sent(link, n);
}

static void shut_down(struct link *link)
{
	int r = link_ops(link)->shutdown(link->conn, 0);

	if (r == -EAGAIN) {
		link_poll_add(link, XFER_POLL_WRITE);
		return;
	}
	link->shut = false;
}

void link_flush(struct link *link)
{
	struct iovec iov[IOV_BATCHES + 1];
	size_t turn = 0;

	if (!link->ready || link->conn == NULL || link->mute != 0 || (link->ended && !link->lingering))
		return;
	for (;;) {
		int count = iov_fill(link, iov);
		ssize_t n;

		if (count == 0)
			break;
		if (turn >= LINK_TURN) {
			link_poll_add(link, XFER_POLL_WRITE);
			return;
		}
		n = link_ops(link)->sendv(link->conn, iov, count, 0);
		if (n == -EAGAIN || n == -EINTR) {
			if (!link_blocked(link))
				link->moved_at = link->loop->now;
			link->blocked = true;
			link_poll_add(link, XFER_POLL_WRITE);
			return;
		}
		if (n < 0) {
			link_mute(link, (int)n);
			return;
		}
		link->sent_bytes += (uint64_t)n;
		link->moved_at = link->loop->now;
		turn += (size_t)n;
		bytes_sent(link, (size_t)n);
	}
	link->blocked = false;
	link_poll_drop(link, XFER_POLL_WRITE);
	if (link->control.cap > 4096)
		buf_free(&link->control);
	if (link->shut)
		shut_down(link);
}

struct buf *link_control(struct link *link)
{
	return &link->control;
}

int link_batch(struct link *link, struct lent *buffer, size_t offset, size_t len)
{
	unsigned at;

	if (link->conn == NULL || link->ended) {
		lent_unref(buffer);
		return -EPIPE;
	}
	if (link->batches == NULL)
		link->batches = calloc(LINK_BATCHES_MAX, sizeof(*link->batches));
	if (link->batches == NULL || link->batch_count == LINK_BATCHES_MAX) {
		lent_unref(buffer);
		return link->batches == NULL ? -ENOMEM : -ENOBUFS;
	}
	at = ((unsigned)link->batch_first + link->batch_count) % LINK_BATCHES_MAX;
	link->batches[at] = (struct link_batch){ buffer, offset, len };
	link->batch_count++;
	link->queued += len;
	return 0;
}

bool link_blocked(const struct link *link)
{
	return link->blocked;
}

size_t link_queued(const struct link *link)
{
	return link->queued;
}

size_t link_control_queued(const struct link *link)
{
	return link->control.len - link->control_sent;
}

unsigned link_batches(const struct link *link)
{
	return link->batch_count;
}

void link_finish(struct link *link)
{
	link->shut = true;
	link_flush(link);
}
