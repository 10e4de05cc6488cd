/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one session knows of its peer. An answerer, of which a daemon has one per session, is a struct xfer_peer alone;
 * an asker remembers its questions as well.
 */
#ifndef LIVENESS_UDP_PEER_H
#define LIVENESS_UDP_PEER_H

#include "datagram.h"

#include <xfer/plugin.h>

enum { WINDOW = 64 }; /* questions remembered, for replays and for loss; one bit each */

/* What sessions in which nothing moves do not have. */
struct moves {
	struct progress ours;
	struct progress theirs;
};

struct xfer_peer {
	struct siphash_key key;
	uint64_t slot;
	uint64_t interval;     /* ns */
	uint64_t dead_after;   /* ns */
	uint64_t now;          /* the latest ever seen: time never goes back */
	uint64_t last_heard;   /* `now` of the last accepted datagram; see `heard` */
	uint64_t sequence;     /* asker: of the last question asked; answerer: the highest one heard; 0 = none yet */
	uint64_t window;       /* bit i: question `sequence - i` was answered (asker) or heard (answerer) */
	uint64_t due_asked_at; /* answerer: of the question to answer, with `due` */
	struct moves *moves;   /* owned; NULL as long as neither side has said anything but "idle" */
	uint32_t sent;         /* datagrams */
	uint32_t received;     /* datagrams accepted */
	uint32_t rejected;     /* datagrams */
	uint32_t told_rtt;     /* answerer: us, as the asker told last, at the least and at the most; 0 = not yet */
	uint32_t told_rtt_min;
	uint32_t told_rtt_max;
	uint32_t told_loss; /* answerer: ppm */
	uint8_t due;        /* answerer: 1 + how far `sequence` is ahead of the question to answer; 0: none is */
	uint8_t role;       /* enum xfer_role */
	uint8_t heard;      /* 1: a datagram was accepted */
	uint8_t steady;     /* asker, 1: never faster than the interval */
};

_Static_assert(sizeof(struct xfer_peer) <= 128 - sizeof(size_t), "a daemon keeps thousands: 128 bytes of the heap");

struct asker {
	struct xfer_peer peer; /* first: the pointer to it is the pointer to the asker */
	uint64_t born;         /* the `now` of creation; "asked at" counts from here */
	uint64_t last_asked;   /* ns, nominal, so that late calls do not add up to a drift */
	uint64_t heard_at;     /* sequence of the last question asked when the peer was last heard */
	uint64_t judge_next;   /* sequence of the first question not yet seen as answered or missed */
	uint64_t settle_next;  /* sequence of the first question not yet settled as answered or lost */
	uint64_t lost;         /* questions given up */
	uint64_t losses;       /* the settled questions, latest in bit 0: 1 = lost */
	uint64_t rtt_last;     /* ns, as are the next four; 0 = none yet */
	uint64_t rtt_min;
	uint64_t rtt_smoothed;
	uint64_t rtt_max;
	uint64_t rtt_variation; /* RFC 6298's RTTVAR */
	uint32_t settled;       /* bits of `losses` that count, at most WINDOW */
	uint32_t misses;        /* unanswered questions since the peer was last heard */
	uint64_t asked[WINDOW]; /* ns since `born`: when question n was asked, at n % WINDOW */
};

void asker_start(struct asker *asker);
/* Brings misses and losses up to peer.now. */
void asker_judge(struct asker *asker);
uint64_t asker_due(const struct asker *asker); /* ns: when the next question is */
/* The next question's sequence; its time is peer.now. */
uint64_t asker_ask(struct asker *asker);
/* Takes an answer and gives its round trip in ns; -EBADMSG when that question was not asked or is answered already. */
int asker_answered(struct asker *asker, const struct datagram *answer, uint64_t *rtt);
/* When misses or losses change next if nothing is heard; UINT64_MAX: never. */
uint64_t asker_deadline(const struct asker *asker);
uint32_t asker_loss_ppm(const struct asker *asker);

#endif
