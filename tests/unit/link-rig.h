/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of a link stand on: a loop, and a link over two sockets, whose transport is the test's own. */
#ifndef XFER_TESTS_LINK_RIG_H
#define XFER_TESTS_LINK_RIG_H

#include "unit.h"

#include "engine/lending.h"
#include "engine/link.h"
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINK_RIG_PATIENCE = 10 * 1000 /* ms, for what has to come */ };

/* A test has it as the first member `base` of its own, which is also the transport's connection. */
struct link_rig {
	struct link link;
	struct loop *loop; /* owned */
	struct plugin plugin;
	struct frame_limits limits;
	int fds[2]; /* the link's, and its peer's; -1: closed */
	bool timed_out;
	uv_timer_t timer; /* of link_rig_timeout() */
};

/* ---- the transport, beside what a test adds ---- */

static inline int link_rig_handshake(struct xfer_conn *conn, uint32_t flags)
{
	(void)conn;
	(void)flags;
	return 0;
}

static inline int link_rig_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	const struct link_rig *rig = (const struct link_rig *)conn;

	out->read_fd = rig->fds[0];
	out->write_fd = rig->fds[0];
	return 0;
}

static inline void link_rig_shut(struct xfer_conn *conn)
{
	(void)conn;
}

/* ---- the owner ---- */

static inline void link_rig_nothing(struct link *link)
{
	(void)link;
}

static inline void link_rig_settled(void *context)
{
	(void)context;
}

static inline void link_rig_late(uv_timer_t *timer)
{
	struct link_rig *rig = timer->data;

	rig->timed_out = true;
	loop_stop(rig->loop);
}

/* The loop stops in `ms`, unless the timer is stopped. */
static inline void link_rig_timeout(struct link_rig *rig, unsigned ms)
{
	rig->timed_out = false;
	uv_timer_start(&rig->timer, link_rig_late, ms, 0);
}

/* ---- both ---- */

/* `fds` and `plugin` are filled; the descriptors are the rig's from now on. `patience` as in struct loop_settings. */
static inline void link_rig_open(struct link_rig *rig, const struct link_watch *watch, uint64_t patience)
{
	const struct loop_settings settings = {
		.threads = 1, .memory = 8 << 20, .settled = link_rig_settled, .patience = patience
	};
	struct error err = { 0 };

	rig->limits.control_max = FRAME_CONTROL_MAX;
	rig->plugin.transport.handshake = link_rig_handshake;
	rig->plugin.transport.close = link_rig_shut;
	if (rig->plugin.transport.poll == NULL)
		rig->plugin.transport.poll = link_rig_poll;
	assert_int_equal(loop_create(&rig->loop, &settings, &err), 0);
	lending_shares(rig->loop);
	uv_timer_init(&rig->loop->uv, &rig->timer);
	rig->timer.data = rig;
	assert_int_equal(link_open(&rig->link, rig->loop, &rig->plugin, (struct xfer_conn *)rig, &rig->limits, watch,
	                           &err),
	                 0);
}

static inline void link_rig_close(struct link_rig *rig)
{
	link_close(&rig->link);
	uv_close((uv_handle_t *)&rig->timer, NULL);
	loop_destroy(rig->loop);
	for (int i = 0; i < 2; i++)
		if (rig->fds[i] >= 0)
			close(rig->fds[i]);
}

#endif
