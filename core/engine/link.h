/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link: one connection of a transport plug-in, driven by the loop, with frames going in and out.
 *
 * Receiving: bytes go into a lent buffer and frames are taken where they lie; whoever wants a payload to stay takes a
 * reference to the buffer. When nothing is half received there is no buffer. Sending: control frames go before batches
 * that have not begun; a batch is a run of whole frames that the pipeline made.
 */
#ifndef XFER_ENGINE_LINK_H
#define XFER_ENGINE_LINK_H

#include "base/buf.h"
#include "engine/loop.h"
#include "registry/registry.h"
#include "wire/frame.h"

struct link;

struct link_watch {
	/* The handshake is done. */
	void (*ready)(struct link *link);
	/*
	 * A whole frame: `bytes` points at its header, in `buffer`. Control frames have their CRC checked, chunk frames are
	 * for frame_chunk_read(). Returns 0, or an error that closes the link.
	 */
	int (*frame)(struct link *link, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
	             struct error *err);
	/* All frames that had come are handled: a good moment to start work and to send. */
	void (*settled)(struct link *link);
	/* Something was sent; link_queued() is smaller than it was. */
	void (*sent)(struct link *link);
	/* The end, once; err->code 0 when the peer closed in order. Only link_close() is left to do. */
	void (*ended)(struct link *link, const struct error *err);
	/* The last callback: the struct may be freed. */
	void (*closed)(struct link *link);
};

enum { LINK_BATCHES_MAX = 64 };

struct link_batch {
	struct lent *buffer;
	size_t offset;
	size_t len;
};

struct link {
	struct loop *loop;
	const struct plugin *transport;
	const struct link_watch *watch;
	struct xfer_conn *conn; /* owned; NULL once closed */
	uv_poll_t read_poll;
	uv_poll_t *write_poll;             /* owned; only where the transport writes to another descriptor */
	const struct frame_limits *limits; /* the owner's; they change with the welcome */
	struct lent *rx;                   /* NULL while nothing is half received */
	size_t rx_start, rx_fill;          /* frames before start are handled; bytes before fill are received */
	struct buf control;                /* control frames to be sent */
	size_t control_sent;
	struct link_batch *batches; /* owned ring, allocated at the first batch */
	uint8_t batch_first, batch_count;
	bool batch_begun; /* part of the first batch is sent: it comes before control frames */
	bool ready;
	bool large;   /* the last frame was large: ask for no more than the next header */
	bool blocked; /* the transport did not take all that there is */
	bool ended;
	bool broken; /* the transport failed: nothing can be sent any more */
	bool linger; /* the last words count: link_close() waits until the peer has heard them */
	bool lingering;
	bool shut;          /* the write side is to be shut down when all is sent */
	int mute;           /* why nothing can be sent any more, -errno; 0 = it can */
	struct list thirst; /* in loop.thirsty: wants a receive buffer and there was none */
	uint32_t events;    /* what the polls wait for */
	uint8_t open_handles;
	struct deadline patience;      /* the end of lingering, or of listening to who is mute */
	size_t queued;                 /* bytes of batches not sent */
	uint64_t received, sent_bytes; /* bytes, all in all */
	uint64_t received_at;          /* steady ns, when bytes came last */
	uint64_t moved_at;             /* while blocked: when bytes were taken last, or when it began to be blocked */
	uint64_t batch_at;             /* when the last batch was taken whole; 0 = never */
	void *owner;
};

/* Takes over conn, also on failure. limits are borrowed and may change between frames. */
int link_open(struct link *link, struct loop *loop, const struct plugin *transport, struct xfer_conn *conn,
              const struct frame_limits *limits, const struct link_watch *watch, void *owner, struct error *err);
/* Where control frames are written to, by the message_X_write() functions; link_flush() afterwards. */
struct buf *link_control(struct link *link);
/* Takes over one reference to the buffer. -ENOBUFS when LINK_BATCHES_MAX are queued. */
int link_batch(struct link *link, struct lent *buffer, size_t offset, size_t len);
/* Sends what can be sent now. */
void link_flush(struct link *link);
/* There is something to send that the transport does not take: see moved_at. */
bool link_blocked(const struct link *link);
size_t link_queued(const struct link *link);
unsigned link_batches(const struct link *link);
/* Those who had no buffer to receive into try again; called when buffers came back. */
void links_feed(struct loop *loop);
/* Bytes of control frames that are not sent yet. */
size_t link_control_queued(const struct link *link);
/* Sends what is queued, then says that no more will come. */
void link_finish(struct link *link);
/*
 * At once, or with `linger` when the peer has closed too, at most a second later: a connection that is closed with bytes
 * unread takes back what was sent last. watch->closed() comes later, from the loop.
 */
void link_close(struct link *link);

#endif
