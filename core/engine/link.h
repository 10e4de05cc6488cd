/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link: one connection of a transport plug-in, driven by the loop, with frames going in and out.
 *
 * Receiving: bytes go into a lent buffer and frames are taken where they lie; whoever wants a payload to stay takes a
 * reference to the buffer. When nothing is half received there is no buffer, and none is lent for a few bytes. Sending:
 * control frames go before batches that have not begun; a batch is a run of whole frames that the pipeline made. Where a
 * batch does not get on, its buffer may be taken back, and its bytes are asked for again (lending.h).
 */
#ifndef XFER_ENGINE_LINK_H
#define XFER_ENGINE_LINK_H

#include "base/buf.h"
#include "engine/loop.h"
#include "pipeline/again.h"
#include "pipeline/pipes.h"
#include "registry/registry.h"
#include "wire/frame.h"

struct link;

struct link_watch {
	/* The handshake is done. */
	void (*ready)(struct link *link);
	/*
	 * A whole frame: `bytes` points at its header, in `buffer`. Control frames have their CRC checked, chunk frames are
	 * for frame_chunk_read(); what of a payload is in buffer->pipes is its end, and does not lie behind `bytes`.
	 * Returns 0, or an error that closes the link.
	 */
	int (*frame)(struct link *link, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
	             struct error *err);
	/* All frames that had come are handled: a good moment to start work and to send. */
	void (*settled)(struct link *link);
	/* Something was sent; link_queued() is smaller than it was. */
	void (*sent)(struct link *link);
	/* The first batch has no bytes any more and could be sent: link_refill(). */
	void (*refill)(struct link *link);
	/* It sends next to nothing, so no byte of it is told: link_look() is to be called in time. NULL is allowed. */
	void (*slow)(struct link *link);
	/* The end, once; err->code 0 when the peer closed in order. Only link_close() is left to do. */
	void (*ended)(struct link *link, const struct error *err);
	/* The last callback: the struct may be freed. */
	void (*closed)(struct link *link);
};

enum { LINK_BATCHES_MAX = 64 };

/*
 * [ sent | in the buffer | taken back ]; one of the last two is all that is left at the end, and then nothing. Or it is
 * [ sent | in `again` and in the pipes ] until its pipes are taken back, all at once.
 */
struct link_batch {
	struct lent *buffer; /* NULL: all that is left was taken back, or it is piped */
	bool piped;
	struct pipe_lent *pipes; /* the payload, in order; empty ones are given back */
	size_t offset;           /* in the buffer, of the next byte to be sent */
	size_t len;              /* bytes in the buffer, or in `again` and the pipes */
	size_t taken;            /* bytes behind them */
	size_t size;             /* bytes of the whole */
	struct again *again;     /* how to have them again, owned; NULL: they stay */
};

/* What only a link with something to send has. */
struct link_out {
	struct link *link;
	struct list stuck; /* in loop.stuck while it does not get on, with buffers that could be taken back */
	size_t queued;     /* bytes of batches not sent, wherever they are */
	uint8_t first, count;
	bool begun;     /* part of the first batch is sent: it comes before control frames */
	bool refilling; /* watch->refill() was called, link_refill() is to come */
	struct link_batch batches[LINK_BATCHES_MAX]; /* a ring */
};

/* The beginning of a frame, too short for a buffer. */
struct link_stash {
	size_t len;
	uint8_t bytes[];
};

/* The other descriptor of a transport that writes to one of its own. */
struct link_writing {
	struct polled polled;
	struct link *link;
};

/* Ten thousand sessions that rest keep one each. */
struct link {
	struct loop *loop;
	const struct plugin *transport;
	const struct link_watch *watch;
	struct xfer_conn *conn; /* owned; NULL once closed */
	struct polled polled;
	struct link_writing *writing;      /* owned; NULL: one descriptor is for both */
	const struct frame_limits *limits; /* the owner's; they change with the welcome */
	struct lent *rx;                   /* NULL between turns when no more is there than a stash holds */
	struct link_stash *stash;          /* owned, or NULL */
	uint32_t rx_start, rx_fill;        /* frames before start are handled; bytes before fill are received */
	/* In loop.thirsty: wants a receive buffer and there was none. In loop.filling: has one, half filled. */
	struct list thirst;
	struct list unread; /* in loop.unread: stopped before the transport had given all it holds; in loop.closed */
	struct buf control; /* control frames to be sent */
	size_t control_sent;
	struct link_out *out;          /* owned; NULL while there is no batch */
	struct deadline patience;      /* the end of lingering, or of listening to who is mute */
	uint64_t received, sent_bytes; /* bytes, all in all */
	uint64_t paced;                /* sent_bytes when it was new, or when its buffers were taken back */
	uint64_t rx_at;                /* steady ns, when the frame began of which the beginning is there */
	uint64_t received_at;          /* steady ns, when bytes came last */
	uint64_t moved_at;             /* while blocked: when bytes were taken last, or when it began to be blocked */
	uint64_t batch_at;             /* when the last batch was taken whole; 0 = never */
	int mute;                      /* why nothing can be sent any more, -errno; 0 = it can */
	uint8_t events;                /* what is waited for, XFER_POLL_* */
	bool ready;
	bool large;    /* the last frame was large: ask for no more than the next header */
	bool quick;    /* the last large frame came in no time: the next one gets its buffer before it is there */
	bool blocked;  /* the transport did not take all that there is */
	bool pipeless; /* it takes nothing out of pipes on this connection */
	bool willing;  /* it just said that it takes bytes */
	bool holding;  /* the transport has something to send that we gave it, or of its own */
	bool paused;   /* by link_pause(): nothing is received */
	bool piped_in; /* the owner takes chunks whose payload is in pipes */
	bool piping;   /* rx has the head of such a chunk, and the pipes into which the rest comes */
	bool unpiped;  /* the transport has put nothing into pipes, or pipes hold too little of what it gives */
	bool ended;
	bool broken; /* the transport failed: nothing can be sent any more */
	bool linger; /* the last words count: link_close() waits until the peer has heard them */
	bool lingering;
	bool shut; /* the write side is to be shut down when all is sent */
};

/* Takes over conn, also on failure. limits are borrowed and may change between frames. */
int link_open(struct link *link, struct loop *loop, const struct plugin *transport, struct xfer_conn *conn,
              const struct frame_limits *limits, const struct link_watch *watch, struct error *err);
/* Where control frames are written to, by the message_X_write() functions; link_flush() afterwards. */
struct buf *link_control(struct link *link);
/*
 * Takes over one reference to the buffer, and `again`, which tells how to have the same bytes again (NULL: they are
 * kept). -ENOBUFS when LINK_BATCHES_MAX are queued.
 */
int link_batch(struct link *link, struct lent *buffer, size_t offset, size_t len, struct again *again);
/* The same of frames whose heads are in `again` (again_note_heads()) and whose payload is in the pipes; `len`: of all. */
int link_batch_piped(struct link *link, struct pipe_lent *pipes, size_t len, struct again *again);
/* Whether the transport takes payload out of pipes, as far as is known. */
bool link_takes_pipes(const struct link *link);
/*
 * From the next frame on, whether watch->frame() takes chunks whose payload is in pipes, where the transport and the
 * integrity allow it. At first it does not.
 */
void link_pipe_in(struct link *link, bool takes);
/* The batch whose bytes are wanted again, NULL when there is none. */
const struct link_batch *link_wants(const struct link *link);
/* The next `len` of them, at the front of the buffer, of which one reference is taken over. */
void link_refill(struct link *link, struct lent *buffer, size_t len);
/* Takes back the buffers of what can be had again. */
void link_take_back(struct link *link);
/* Takes back its pipes only; false when it has none. */
bool link_pipes_back(struct link *link);
/* Bytes that were sent since it was new, or since its buffers were taken back: what it has shown to be worth. */
uint64_t link_pace(const struct link *link);
/* Sends what can be sent now. */
void link_flush(struct link *link);
/* There is something to send that the transport does not take: see moved_at. */
bool link_blocked(const struct link *link);
size_t link_queued(const struct link *link);
/*
 * Receives what has come of a peer that sends next to nothing and is not told of; of others nothing. Not out of a callback
 * of the link.
 */
void link_look(struct link *link);
/* Whether there may be something that is not told of. */
bool link_untold(const struct link *link);
/* Bytes of a frame that is not whole yet. */
size_t link_half(const struct link *link);
unsigned link_batches(const struct link *link);
/*
 * Receives nothing more, but what is in its buffer already, until link_go_on(): for an owner who cannot get rid of what
 * comes. The peer is held up by the transport.
 */
void link_pause(struct link *link);
void link_go_on(struct link *link);
/* Those who had no buffer to receive into try again; called when buffers came back. */
void links_feed(struct loop *loop);
/* Looks at those who have had a buffer to receive into for long: see lending.h. */
void links_hurry(struct loop *loop);
/* The last callback of those that are closed. */
void links_closed(struct loop *loop);
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
