/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link over a transport whose descriptor does not tell all: it holds bytes that it has received, and bytes that it has
 * taken, while the descriptor is silent.
 */
#include "unit.h"

#include "engine/lending.h"
#include "engine/link.h"
#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FRAMES = 300 * 1000,   /* of CREDIT: more than a link takes in one turn */
	PATIENCE = 10 * 1000,  /* ms */
	TAKES_NOTHING_FOR = 3, /* calls of sendv() that hold what they take */
	PAUSE_AT = 1000,       /* frames, some way into the first buffer */
	TURNS = 100            /* in which nothing happens */
};

struct rig {
	struct link link;
	struct loop *loop;
	struct plugin plugin;
	struct frame_limits limits;
	int fds[2];
	struct buf holds; /* what the transport has received and not given yet */
	size_t given;
	unsigned seen; /* frames */
	size_t held;   /* bytes that were taken and not sent */
	size_t sent;
	unsigned empty;    /* calls of sendv() without a piece */
	unsigned pause_at; /* behind so many frames the owner wants no more; 0: never */
	unsigned turns;    /* of the loop, while they are counted */
	bool full;         /* the transport takes nothing */
	bool plain;        /* and what it takes is sent: it holds nothing */
	unsigned told;     /* calls of sent() */
	bool timed_out;
	uv_timer_t timer;
	uv_idle_t idle;
	bool (*over)(const struct rig *rig);
};

static struct rig *the_rig; /* what the transport's callbacks find */

/* ---- the transport ---- */

static int fake_handshake(struct xfer_conn *conn, uint32_t flags)
{
	(void)conn;
	(void)flags;
	return 0;
}

static ssize_t fake_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	(void)conn;
	(void)flags;
	size_t left = the_rig->holds.len - the_rig->given, take = left < len ? left : len;
	if (take == 0)
		return -EAGAIN;
	memcpy(bytes, the_rig->holds.data + the_rig->given, take);
	the_rig->given += take;
	return (ssize_t)take;
}

static ssize_t fake_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	size_t took = 0;
	(void)conn;
	(void)flags;
	if (the_rig->full)
		return -EAGAIN;
	for (int i = 0; i < count; i++)
		took += iov[i].iov_len;
	if (the_rig->plain) {
		the_rig->sent += took;
		return (ssize_t)took;
	}
	the_rig->held += took;
	if (count == 0 && ++the_rig->empty < TAKES_NOTHING_FOR)
		return -EAGAIN;
	if (count > 0)
		return (ssize_t)took;
	the_rig->sent += the_rig->held;
	the_rig->held = 0;
	return 0;
}

static int fake_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	(void)conn;
	out->read_fd = the_rig->fds[0];
	out->write_fd = the_rig->fds[0];
	out->events = the_rig->held > 0 ? XFER_POLL_WRITE : 0;
	return 0;
}

static void fake_close(struct xfer_conn *conn)
{
	(void)conn;
}

/* ---- the owner ---- */

static void look(struct rig *rig)
{
	if (rig->over(rig))
		loop_stop(rig->loop);
}

static void on_ready(struct link *link)
{
	look(list_entry(link, struct rig, link));
}

static int on_frame(struct link *link, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct rig *rig = list_entry(link, struct rig, link);
	(void)bytes;
	(void)buffer;
	(void)err;
	assert_int_equal(header->type, FRAME_CREDIT);
	if (++rig->seen == rig->pause_at)
		link_pause(link);
	look(rig);
	return 0;
}

static void on_settled(struct link *link)
{
	(void)link;
}

static void on_sent(struct link *link)
{
	struct rig *rig = list_entry(link, struct rig, link);
	rig->told++;
	look(rig);
}

static void on_ended(struct link *link, const struct error *err)
{
	(void)link;
	fail_msg("%s", err->text);
}

static const struct link_watch watch = {
	.ready = on_ready, .frame = on_frame, .settled = on_settled, .sent = on_sent, .ended = on_ended
};

static void on_timeout(uv_timer_t *timer)
{
	struct rig *rig = timer->data;
	rig->timed_out = true;
	loop_stop(rig->loop);
}

/* Until `over`, or patience is. */
static void run(struct rig *rig, bool (*over)(const struct rig *rig))
{
	rig->over = over;
	uv_timer_start(&rig->timer, on_timeout, PATIENCE, 0);
	if (!over(rig))
		loop_run(rig->loop);
	uv_timer_stop(&rig->timer);
}

static void on_loop_settled(void *context)
{
	(void)context;
}

static struct rig *rig_open(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct loop_settings settings = { .threads = 1, .memory = 8 << 20, .settled = on_loop_settled };
	struct error err = { 0 };
	assert_non_null(rig);
	the_rig = rig;
	rig->limits.control_max = FRAME_CONTROL_MAX;
	rig->plugin.transport = (struct xfer_transport_ops){ .handshake = fake_handshake,
		                                             .recv = fake_recv,
		                                             .sendv = fake_sendv,
		                                             .poll = fake_poll,
		                                             .close = fake_close };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, rig->fds), 0);
	assert_int_equal(loop_create(&rig->loop, &settings, &err), 0);
	lending_shares(rig->loop);
	uv_timer_init(&rig->loop->uv, &rig->timer);
	rig->timer.data = rig;
	assert_int_equal(link_open(&rig->link, rig->loop, &rig->plugin, (struct xfer_conn *)rig, &rig->limits, &watch,
	                           &err),
	                 0);
	return rig;
}

static void rig_close(struct rig *rig)
{
	link_close(&rig->link);
	uv_close((uv_handle_t *)&rig->timer, NULL);
	loop_destroy(rig->loop);
	buf_free(&rig->holds);
	close(rig->fds[0]);
	close(rig->fds[1]);
	free(rig);
}

/* ---- tests ---- */

static bool all_seen(const struct rig *rig)
{
	return rig->seen == FRAMES;
}

/* More than fits into one turn, and no byte of it at the descriptor. */
static void test_receives_what_is_held(void **state)
{
	(void)state;
	struct rig *rig = rig_open();
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(message_credit_write(&rig->holds, 0, i), 0);
	assert_true(rig->holds.len > 4 << 20);
	run(rig, all_seen);
	assert_false(rig->timed_out);
	assert_int_equal(rig->given, rig->holds.len);
	rig_close(rig);
}

static bool all_sent(const struct rig *rig)
{
	return rig->sent > 0 && rig->held == 0;
}

/* Taken whole, and still to be sent: the link waits for writing though it has nothing more, and calls until it is. */
static void test_sends_what_is_held(void **state)
{
	(void)state;
	struct rig *rig = rig_open();
	assert_int_equal(message_credit_write(link_control(&rig->link), 0, 1), 0);
	size_t len = link_control(&rig->link)->len;
	run(rig, all_sent);
	assert_false(rig->timed_out);
	assert_int_equal(rig->sent, len);
	assert_int_equal(rig->empty, TAKES_NOTHING_FOR);
	/* And then it waits no more. */
	assert_false(rig->link.holding);
	assert_int_equal(rig->link.events & XFER_POLL_WRITE, 0);
	rig_close(rig);
}

static void on_turn(uv_idle_t *idle)
{
	struct rig *rig = idle->data;
	rig->turns++;
	look(rig);
}

static bool turned(const struct rig *rig)
{
	return rig->turns == TURNS;
}

/* So many turns of the loop, whatever happens in them. */
static void turn(struct rig *rig)
{
	rig->turns = 0;
	uv_idle_init(&rig->loop->uv, &rig->idle);
	rig->idle.data = rig;
	uv_idle_start(&rig->idle, on_turn);
	run(rig, turned);
	assert_false(rig->timed_out);
	uv_close((uv_handle_t *)&rig->idle, NULL);
}

static bool told(const struct rig *rig)
{
	return rig->told > 0;
}

/* What waited goes out with a frame of somebody else's, and not in a turn of the link's: the owner is told all the same. */
static void test_tells_who_waits(void **state)
{
	(void)state;
	struct rig *rig = rig_open();
	rig->plain = true;
	turn(rig);
	assert_true(rig->link.ready);
	rig->told = 0;
	rig->full = true;
	assert_int_equal(message_credit_write(link_control(&rig->link), 0, 1), 0);
	link_flush(&rig->link);
	assert_true(link_blocked(&rig->link));
	rig->full = false;
	assert_int_equal(message_credit_write(link_control(&rig->link), 0, 2), 0);
	link_flush(&rig->link);
	assert_int_equal(link_control_queued(&rig->link), 0);
	assert_false(told(rig));
	run(rig, told);
	assert_false(rig->timed_out);
	rig_close(rig);
}

/* Who pauses gets what is in the buffer, and nothing more until it goes on; nor is the loop kept busy by what waits. */
static void test_pauses(void **state)
{
	(void)state;
	struct rig *rig = rig_open();
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(message_credit_write(&rig->holds, 0, i), 0);
	assert_int_equal(write(rig->fds[1], "", 1), 1); /* the descriptor can be read */
	rig->pause_at = PAUSE_AT;
	turn(rig);
	assert_in_range(rig->seen, PAUSE_AT, FRAMES / 2);
	assert_true(rig->given <= LENDING_SCRATCH);
	assert_int_equal(rig->link.events & XFER_POLL_READ, 0);

	link_go_on(&rig->link);
	run(rig, all_seen);
	assert_false(rig->timed_out);
	assert_int_equal(rig->given, rig->holds.len);
	rig_close(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receives_what_is_held),
		cmocka_unit_test(test_sends_what_is_held),
		cmocka_unit_test(test_tells_who_waits),
		cmocka_unit_test(test_pauses),
	};
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
