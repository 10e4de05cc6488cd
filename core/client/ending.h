/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How something ended: a session, or an attempt of a job that used one or several. Gets, puts, listings and further
 * sessions have the same word for it, which is found in one place, ending_judge(), and by which retry.h decides.
 */
#ifndef XFER_CLIENT_ENDING_H
#define XFER_CLIENT_ENDING_H

#include "base/error.h"
#include "wire/message.h"

#include <stdbool.h>

struct channel;

enum ending_kind {
	ENDING_NONE,    /* it goes on */
	ENDING_DONE,    /* as it should; what failed of it was told */
	ENDING_STOPPED, /* the user interrupted */
	ENDING_FINAL,   /* another try changes nothing: refused, integrity, usage, local */
	ENDING_AWAY,    /* the daemon said goaway: another worker is there, or will be */
	ENDING_SILENT,  /* the peer is dead */
	ENDING_BROKEN,  /* the stream ended and nobody said why */
	ENDING_CONNECT, /* no connection, or nobody who says hello */
	ENDING_BUSY,    /* the daemon has no room now */
	ENDING_NONSENSE /* the protocol was broken, by a peer or on the way */
};

struct ending {
	enum ending_kind kind;
	struct error err; /* but for NONE and DONE */
};

/* What a session said before it ended, beside the error. */
struct ending_words {
	bool goaway; /* GOAWAY was heard */
	bool told;   /* it ended by an ERROR of the peer, with this status */
	enum status said;
};

/* words: all zero where there was no session. */
void ending_judge(struct ending *out, const struct error *err, const struct ending_words *words);
/* Of the channel's session, which is over or will be. */
void ending_of_channel(struct ending *out, const struct error *err, const struct channel *channel);
/* No session was had: a local failure, no connection. */
void ending_without(struct ending *out, const struct error *err);
/* A DONE said that the daemon goes away, or we follow a goaway. */
void ending_away(struct ending *out, const char *peer);
void ending_stopped(struct ending *out);
/* What the peer is told when it is we who end the session. */
enum status ending_status(const struct error *err);
/* 0 for DONE, else what *err gets, a code below 0. */
int ending_result(const struct ending *ending, struct error *err);

#endif
