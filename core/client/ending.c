/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/ending.h"

#include "engine/channel.h"

#include <errno.h>

/* The peer said it itself. */
static enum ending_kind kind_told(enum status said)
{
	switch (said) {
	case STATUS_SHUTDOWN:
	case STATUS_IDLE: return ENDING_AWAY;
	case STATUS_LIMIT: return ENDING_BUSY;
	case STATUS_DEAD: return ENDING_SILENT;
	case STATUS_PROTOCOL: return ENDING_NONSENSE;
	default: return ENDING_FINAL;
	}
}

static enum ending_kind kind_of(const struct error *err, const struct ending_words *words)
{
	if (err->fault == FAULT_INTERRUPTED)
		return ENDING_STOPPED;
	if (words->told)
		return kind_told(words->said);
	if (err->fault == FAULT_CONNECT)
		return ENDING_CONNECT;
	/* We left ourselves, for we were sent away. */
	if (err->fault == FAULT_NONE && words->goaway)
		return ENDING_AWAY;
	/* A stall is no loss: the peer lives, and what blocks it blocks the next session as well. */
	if (err->fault != FAULT_PEER || err->code == -ETIME)
		return ENDING_FINAL;
	if (words->goaway)
		return ENDING_AWAY;
	switch (err->code) {
	case -ETIMEDOUT: return ENDING_SILENT;
	case -EPROTO:
	case -EBADMSG: return ENDING_NONSENSE;
	default: return ENDING_BROKEN;
	}
}

void ending_judge(struct ending *out, const struct error *err, const struct ending_words *words)
{
	out->kind = kind_of(err, words);
	out->err = *err;
}

void ending_of_channel(struct ending *out, const struct error *err, const struct channel *channel)
{
	const struct ending_words words = {
		.goaway = channel->goaway,
		.told = channel->refused,
		.said = channel->said,
	};

	ending_judge(out, err, &words);
}

void ending_without(struct ending *out, const struct error *err)
{
	ending_judge(out, err, &(struct ending_words){ 0 });
}

void ending_away(struct ending *out, const char *peer)
{
	out->kind = ENDING_AWAY;
	error_set(&out->err, -ECONNRESET, FAULT_PEER, "%s shuts down or reloads", peer);
}

void ending_stopped(struct ending *out)
{
	out->kind = ENDING_STOPPED;
	error_set(&out->err, -EINTR, FAULT_INTERRUPTED, "interrupted");
}

enum status ending_status(const struct error *err)
{
	if (err->fault == FAULT_INTEGRITY)
		return STATUS_INTEGRITY;
	return err->code == -ETIME ? STATUS_STALLED : STATUS_PROTOCOL;
}

int ending_result(const struct ending *ending, struct error *err)
{
	if (ending->kind == ENDING_DONE)
		return 0;
	*err = ending->err;
	return err->code < 0 ? err->code : -EIO;
}
