/* SPDX-License-Identifier: BSD-2-Clause */
/* The sending half of a link: control frames and batches, as the transport takes them. */
#include "engine/link_state.h"

#include <errno.h>
#include <stdlib.h>

enum { IOV_BATCHES = 8 };

static struct link_batch *batch_at(struct link_out *out, unsigned at)
{
	return &out->batches[(out->first + at) % LINK_BATCHES_MAX];
}

static size_t batch_left(const struct link_batch *batch)
{
	return batch->len + batch->taken;
}

static void batch_drop(struct link *link, struct link_batch *batch)
{
	lent_unref(batch->buffer);
	pipes_give(link->loop->pipes, batch->pipes);
	again_destroy(batch->again);
}

/* What of a batch comes next: bytes in memory, or NULL and how much payload is in the pipes; 0 when it is not here. */
static const uint8_t *batch_next(const struct link_batch *batch, size_t *len)
{
	if (batch->piped)
		return again_at(batch->again, batch->size - batch->len, len);
	*len = batch->len;
	return batch->len > 0 ? batch->buffer->data + batch->offset : NULL;
}

/* Without a batch a link that rests needs none of it. */
static void out_drop(struct link *link)
{
	list_remove(&link->out->stuck);
	free(link->out);
	link->out = NULL;
}

void link_out_drop(struct link *link)
{
	if (link->out == NULL)
		return;
	for (unsigned i = 0; i < link->out->count; i++)
		batch_drop(link, batch_at(link->out, i));
	out_drop(link);
}

/* Adds what of a batch can be sent out of memory now; false: something else comes behind it. */
static bool iov_add(const struct link_batch *batch, struct iovec *iov, int *count)
{
	size_t len;
	const uint8_t *bytes = batch_next(batch, &len);

	if (bytes != NULL)
		iov[(*count)++] = (struct iovec){ (uint8_t *)(uintptr_t)bytes, len };
	return (bytes != NULL || len == 0) && len == batch->len && batch->taken == 0;
}

/* What can be sent now out of memory, in order. */
static int iov_fill(const struct link *link, struct iovec *iov)
{
	struct link_out *out = link->out;
	size_t control = link->control.len - link->control_sent;
	unsigned at = 0;
	int count = 0;

	/* The rest of a frame comes before anything else. */
	if (out != NULL && out->begun && !iov_add(batch_at(out, at++), iov, &count))
		return count;
	if (control > 0)
		iov[count++] = (struct iovec){ link->control.data + link->control_sent, control };
	for (; out != NULL && at < out->count && count < IOV_BATCHES; at++)
		if (!iov_add(batch_at(out, at), iov, &count))
			break;
	return count;
}

/* How much can be sent out of a pipe now, from where: payload is never the beginning of a batch. */
static size_t pipe_next(const struct link *link)
{
	const struct link_batch *batch = link->out != NULL && link->out->begun ? batch_at(link->out, 0) : NULL;
	size_t len;

	if (batch == NULL || !batch->piped || batch_next(batch, &len) != NULL)
		return 0;
	return len < batch->pipes->fill ? len : batch->pipes->fill;
}

/* The transport took n bytes out of the first pipe. */
static void pipe_sent(struct link *link, size_t n)
{
	struct link_batch *batch = batch_at(link->out, 0);
	struct pipe_lent *pipe = batch->pipes;

	pipe->fill -= n;
	if (pipe->fill > 0)
		return;
	batch->pipes = pipe->next;
	pipe->next = NULL;
	pipes_give(link->loop->pipes, pipe);
}

/* What is left of it has to be read again. */
static void pipes_drop(struct link *link, struct link_batch *batch)
{
	pipes_give(link->loop->pipes, batch->pipes);
	batch->pipes = NULL;
	batch->piped = false;
	batch->taken = batch->len;
	batch->len = 0;
}

bool link_pipes_back(struct link *link)
{
	bool had = false;

	for (unsigned i = 0; i < link->out->count; i++) {
		struct link_batch *batch = batch_at(link->out, i);

		if (!batch->piped)
			continue;
		pipes_drop(link, batch);
		had = true;
	}
	return had;
}

/* Takes up to n bytes off the first batch; returns how many. */
static size_t batch_sent(struct link *link, size_t n)
{
	struct link_out *out = link->out;
	struct link_batch *batch = batch_at(out, 0);
	size_t take = n < batch->len ? n : batch->len;

	batch->offset += take;
	batch->len -= take;
	out->queued -= take;
	out->begun = batch_left(batch) > 0;
	if (batch->len > 0)
		return take;
	if (batch->taken > 0) {
		lent_unref(batch->buffer);
		batch->buffer = NULL;
		return take;
	}
	batch_drop(link, batch);
	out->first = (uint8_t)((out->first + 1) % LINK_BATCHES_MAX);
	out->count--;
	link->batch_at = link->loop->now;
	if (out->count == 0)
		out_drop(link);
	return take;
}

/* In the order of iov_fill(). */
static void bytes_sent(struct link *link, size_t n)
{
	size_t control;

	if (link->out != NULL && link->out->begun)
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

/* The transport took all that it takes now. `moved`: it took something since it was asked last. */
static void blocked(struct link *link, bool moved)
{
	if (!link->blocked)
		link->moved_at = link->loop->now;
	if (link->out != NULL && (moved || !link->blocked)) {
		/* The one that has not moved for longest comes first. */
		list_remove(&link->out->stuck);
		list_append(&link->loop->stuck, &link->out->stuck);
	}
	link->blocked = true;
	link_poll_add(link, XFER_POLL_WRITE);
}

void link_hold(struct link *link)
{
	struct xfer_poll poll = { .struct_size = sizeof(poll) };

	link->holding = link->mute == 0 && transport_poll(link->transport, link->conn, &poll) == 0 &&
	                (poll.events & XFER_POLL_WRITE) != 0;
	if (link->holding)
		link_poll_add(link, XFER_POLL_WRITE);
}

/* All that there is was taken. */
static void unblocked(struct link *link)
{
	bool held = link->holding;

	link->blocked = false;
	if (link->out != NULL)
		list_remove(&link->out->stuck);
	link_hold(link);
	/*
	 * The owner goes on from sent(), which comes with the transport's event. When somebody else sends what was waiting,
	 * with a pong of his, the event has yet to come.
	 */
	if (!link->holding && link->willing)
		link_poll_drop(link, XFER_POLL_WRITE);
	/* It may have stopped giving because it could not send. */
	if (held && !link->holding)
		link_again(link);
	/* One that rests needs no buffer for control frames. Those behind half a batch still wait in it. */
	if (link->control.len == 0)
		buf_free(&link->control);
}

static void shut_down(struct link *link)
{
	int r = transport_shutdown(link->transport, link->conn);

	if (r == -EAGAIN) {
		link_poll_add(link, XFER_POLL_WRITE);
		return;
	}
	link->shut = false;
}

/* Sends out of memory, or out of a pipe; -EOPNOTSUPP: that is not to be. */
static ssize_t send_next(struct link *link, const struct iovec *iov, int count, size_t piped)
{
	ssize_t n;

	if (piped == 0)
		return transport_sendv(link->transport, link->conn, iov, count);
	n = transport_sendpipe(link->transport, link->conn, batch_at(link->out, 0)->pipes->out, piped);
	if (n == 0 || n > (ssize_t)piped)
		n = -EIO; /* no good plug-in does that */
	if (n > 0)
		pipe_sent(link, (size_t)n);
	return n;
}

static void flush(struct link *link)
{
	struct iovec iov[IOV_BATCHES + 1];
	size_t turn = 0;

	for (;;) {
		size_t piped = pipe_next(link);
		int count = piped > 0 ? 1 : iov_fill(link, iov);
		uint64_t begin;
		ssize_t n;

		if (count == 0 && !(link->holding && turn == 0))
			break;
		if (turn >= LINK_TURN) {
			link_poll_add(link, XFER_POLL_WRITE);
			return;
		}
		begin = clock_monotonic();
		n = send_next(link, iov, count, piped);
		loop_moved(&link->loop->moved.sent, begin, n);
		if (n == -EOPNOTSUPP && piped > 0) {
			link->pipeless = true;
			(void)link_pipes_back(link);
			continue;
		}
		if (n == -EAGAIN || n == -EINTR) {
			if (count > 0)
				blocked(link, turn > 0);
			else
				link_poll_add(link, XFER_POLL_WRITE);
			return;
		}
		if (n < 0) {
			link_mute(link, (int)n);
			return;
		}
		if (count == 0)
			break;
		link->sent_bytes += (uint64_t)n;
		link->moved_at = link->loop->now;
		turn += (size_t)n;
		bytes_sent(link, (size_t)n);
	}
	if (link->out != NULL) {
		/* What was taken back is wanted when the transport takes bytes again, and no earlier. */
		if (link->blocked && !link->willing)
			return;
		unblocked(link);
		if (link->ended || link->out->refilling)
			return;
		link->out->refilling = true;
		link->watch->refill(link);
		return;
	}
	unblocked(link);
	if (link->shut)
		shut_down(link);
}

void link_flush(struct link *link)
{
	if (!link->ready || link->conn == NULL || link->mute != 0 || (link->ended && !link->lingering))
		return;
	flush(link);
	link->willing = false;
}

struct buf *link_control(struct link *link)
{
	return &link->control;
}

/* Takes over what the batch has, also on failure. */
static int batch_add(struct link *link, struct link_batch batch)
{
	int r = 0;

	if (link->conn == NULL || link->ended) {
		r = -EPIPE;
	} else if (link->out == NULL) {
		link->out = calloc(1, sizeof(*link->out));
		if (link->out == NULL) {
			r = -ENOMEM;
		} else {
			link->out->link = link;
			list_init(&link->out->stuck);
		}
	} else if (link->out->count == LINK_BATCHES_MAX) {
		r = -ENOBUFS;
	}
	if (r < 0) {
		batch_drop(link, &batch);
		return r;
	}
	*batch_at(link->out, link->out->count) = batch;
	link->out->count++;
	link->out->queued += batch.size;
	if (link->blocked && list_empty(&link->out->stuck)) /* by control frames, so far */
		list_append(&link->loop->stuck, &link->out->stuck);
	return 0;
}

int link_batch(struct link *link, struct lent *buffer, size_t offset, size_t len, struct again *again)
{
	return batch_add(link, (struct link_batch){
				       .buffer = buffer, .offset = offset, .len = len, .size = len, .again = again });
}

int link_batch_piped(struct link *link, struct pipe_lent *pipes, size_t len, struct again *again)
{
	int r = batch_add(link, (struct link_batch){
					.piped = true, .pipes = pipes, .len = len, .size = len, .again = again });

	/* It was under way when the transport refused the one before. */
	if (r == 0 && link->pipeless)
		pipes_drop(link, batch_at(link->out, link->out->count - 1u));
	return r;
}

bool link_takes_pipes(const struct link *link)
{
	return link->transport->transport.sendpipe != NULL && !link->pipeless;
}

const struct link_batch *link_wants(const struct link *link)
{
	return link->out != NULL && link->out->refilling ? batch_at(link->out, 0) : NULL;
}

void link_refill(struct link *link, struct lent *buffer, size_t len)
{
	struct link_batch *batch;

	if (link->out == NULL || !link->out->refilling) {
		lent_unref(buffer);
		return;
	}
	link->out->refilling = false;
	batch = batch_at(link->out, 0);
	batch->buffer = buffer;
	batch->offset = 0;
	batch->len = len;
	batch->taken -= len;
	link_flush(link);
}

void link_take_back(struct link *link)
{
	struct link_out *out = link->out;

	link->paced = link->sent_bytes;
	list_remove(&out->stuck);
	for (unsigned i = 0; i < out->count; i++) {
		struct link_batch *batch = batch_at(out, i);
		size_t sent = batch->size - batch_left(batch);

		if (batch->piped)
			pipes_drop(link, batch);
		if (batch->buffer == NULL || batch->again == NULL)
			continue;
		/* The buffer of one that was noted before need not begin where the batch does. */
		if (!again_noted(batch->again) &&
		    again_note(batch->again, batch->buffer->data + batch->offset - sent, batch->size) < 0)
			continue;
		lent_unref(batch->buffer);
		batch->buffer = NULL;
		batch->taken += batch->len;
		batch->len = 0;
	}
}

uint64_t link_pace(const struct link *link)
{
	return link->sent_bytes - link->paced;
}

bool link_blocked(const struct link *link)
{
	return link->blocked;
}

size_t link_queued(const struct link *link)
{
	return link->out != NULL ? link->out->queued : 0;
}

size_t link_control_queued(const struct link *link)
{
	return link->control.len - link->control_sent;
}

unsigned link_batches(const struct link *link)
{
	return link->out != NULL ? link->out->count : 0;
}

void link_finish(struct link *link)
{
	link->shut = true;
	link_flush(link);
}
