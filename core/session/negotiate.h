/* SPDX-License-Identifier: BSD-2-Clause */
/* What two sides settle on in HELLO and WELCOME. Pure: names and numbers in, names and numbers out. */
#ifndef XFER_SESSION_NEGOTIATE_H
#define XFER_SESSION_NEGOTIATE_H

#include "base/error.h"
#include "wire/message.h"

/* What one side is ready for. Names are borrowed. */
struct offer {
	const char *const *integrity; /* in order of preference */
	size_t integrity_count;
	const char *liveness;
	uint32_t chunk_size; /* the client's wish, the daemon's upper bound; bytes */
	uint8_t boot_id[MESSAGE_BOOT_ID];
};

/* -EINVAL when there are more names than a HELLO holds. */
int negotiate_hello(const struct offer *ours, struct message_hello *out, struct error *err);

/*
 * The daemon's answer, as far as it follows from the two offers: version, chunk size (the smaller one), integrity (the
 * first of the client's that is in ours), liveness (ours when both name it, else "none"). Slot, key, port and times are
 * the caller's to fill. On failure *status is what to tell the client.
 */
int negotiate_answer(const struct offer *ours, const struct message_hello *hello, struct message_welcome *out,
                     enum status *status, struct error *err);

/* The client's check that the answer lies within what it offered. */
int negotiate_accept(const struct offer *ours, const struct message_welcome *welcome, struct error *err);

#endif
