/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An asker and an answerer of a liveness plug-in in simulated time, and a network between them that delays, loses,
 * reorders and repeats.
 */
#ifndef XFER_CMD_CHECK_DUO_H
#define XFER_CMD_CHECK_DUO_H

#include "check.h"
#include "fence.h"

enum { DUO_FLIGHTS = 512, DUO_TIMES = 4096 };

struct duo_flight {
	uint64_t at; /* when it arrives */
	bool to_asker;
	bool again; /* it was delivered once already */
	uint8_t bytes[XFER_DATAGRAM_MAX];
};

/* Of this process alone; too large for a stack. */
struct duo {
	struct kit *kit;
	struct xfer_peer *asker;
	struct xfer_peer *answerer;
	struct fence in; /* what datagram_in() gets lies at its end */
	size_t size;     /* of a datagram */
	struct xfer_peer_params params;
	uint64_t interval;   /* ns */
	uint64_t dead_after; /* ns, eight intervals at least */
	uint64_t now;
	/* The network. */
	uint64_t delay;  /* ns, one way */
	uint64_t jitter; /* up to so many ns more */
	unsigned loss;   /* of a hundred */
	bool repeats;    /* each datagram arrives a second time */
	bool stepped;    /* time goes on in small steps, whatever next_deadline() says */
	size_t flight_count;
	struct duo_flight flights[DUO_FLIGHTS];
	/* What happened. */
	size_t question_count;
	uint64_t questions[DUO_TIMES]; /* when they were asked */
	size_t refused;                /* datagrams delivered for the first time, and not taken */
	size_t taken_again;            /* repeated ones that were taken */
	size_t wakes;                  /* turns that nothing but next_deadline() called for */
	bool died;                     /* the asker's verdict was DEAD at some time */
};

/*
 * Both ends of one session. KIT_SKIPPED for a plug-in without datagrams. `flags` are the asker's, XFER_PEER_*. duo_end()
 * in any case but KIT_OK's absence.
 */
enum kit_outcome duo_begin(struct kit *kit, struct duo **out, uint32_t flags);
void duo_end(struct duo *duo);
/* Other peers in the place of these, at the beginning of another session. */
enum kit_outcome duo_renew(struct duo *duo);

enum kit_outcome duo_peer(struct kit *kit, const struct xfer_peer_params *params, struct xfer_peer **out);
/* datagram_out() into `bytes`, which holds XFER_DATAGRAM_MAX. */
ssize_t duo_out(struct duo *duo, struct xfer_peer *peer, uint8_t *bytes, struct xfer_asked *asked);
int duo_in(struct duo *duo, struct xfer_peer *peer, const uint8_t *bytes, size_t len, struct xfer_heard *heard);
enum xfer_verdict duo_verdict(struct duo *duo, struct xfer_peer *peer);
uint64_t duo_deadline(struct duo *duo, struct xfer_peer *peer);
struct xfer_liveness_stats duo_stats(struct duo *duo, struct xfer_peer *peer);
const char *duo_verdict_name(enum xfer_verdict verdict);

/* The next question, as soon as it is due (at most ten intervals later); false when none comes. */
bool duo_ask(struct duo *duo, uint8_t *question);
/* A question, its answer, both delivered after `delay`. */
enum kit_outcome duo_exchange(struct duo *duo);
/* Lets time go on for `span` ns, and the network work. */
void duo_run(struct duo *duo, uint64_t span);

/* ---- liveness_forge.c ---- */
enum kit_outcome check_repetition(struct kit *kit);
enum kit_outcome check_forgery(struct kit *kit);
enum kit_outcome check_lengths(struct kit *kit);
enum kit_outcome check_sessions(struct kit *kit);
/* ---- liveness_time.c ---- */
enum kit_outcome check_interval(struct kit *kit);
enum kit_outcome check_haste(struct kit *kit);
enum kit_outcome check_steady(struct kit *kit);
enum kit_outcome check_verdicts(struct kit *kit);
enum kit_outcome check_deadlines(struct kit *kit);
enum kit_outcome check_loss(struct kit *kit);
enum kit_outcome check_reordering(struct kit *kit);

#endif
