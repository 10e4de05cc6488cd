/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What abandoned puts left expires: at the start of a worker and every hour, the journals of each read-write export are
 * looked at, and those that nobody has written to for [daemon] partial-keep go, with what they name. One worker does it for
 * all; in a storage thread, so that a slow disk stops nobody.
 */
#ifndef XFER_DAEMON_EXPIRE_H
#define XFER_DAEMON_EXPIRE_H

#include "daemon/serve.h"
#include "engine/loop.h"

struct expire {
	struct loop_owner owner;
	struct loop *loop;
	struct log *log;
	const struct serve_export *exports; /* the server's */
	size_t count, at;
	uint64_t keep; /* ns */
	struct deadline deadline;
	struct expire_job job;
	bool stopped;
};

/* Begins. keep == 0: nothing ever expires. -ENOMEM. */
int expire_open(struct expire *expire, struct loop *loop, const struct serve_base *base, uint64_t keep);
/* No further turn is begun. One that runs comes back to the loop. */
void expire_stop(struct expire *expire);
/* No turn runs. Also for one that was never opened, if it is all zeroes. */
void expire_close(struct expire *expire);

#endif
