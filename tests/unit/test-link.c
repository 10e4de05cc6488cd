/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link over a transport whose descriptor does not tell all: it holds bytes that it has received, and bytes that it has
 * taken, while the descriptor is silent.
 */
#include "link-rig.h"

enum {
	FRAMES = 300 * 1000,   /* of CREDIT: more than a link takes in one turn */
	TAKES_NOTHING_FOR = 3, /* calls of sendv() that hold what they take */
	PAUSE_AT = 1000,       /* frames, some way into the first buffer */
	TURNS = 100            /* in which nothing happens */
};

struct rig {
	struct link_rig base;
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
	uv_idle_t idle;
	bool (*over)(const struct rig *rig);
};

/* ---- the transport ---- */

static ssize_t fake_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	struct rig *rig = (struct rig *)conn;
	(void)flags;
	size_t left = rig->holds.len - rig->given, take = left < len ? left : len;
	if (take == 0)
		return -EAGAIN;
	memcpy(bytes, rig->holds.data + rig->given, take);
	rig->given += take;
	return (ssize_t)take;
}

static ssize_t fake_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	struct rig *rig = (struct rig *)conn;
	size_t took = 0;
	(void)flags;
	if (rig->full)
		return -EAGAIN;
	for (int i = 0; i < count; i++)
		took += iov[i].iov_len;
	if (rig->plain) {
		rig->sent += took;
		return (ssize_t)took;
	}
	rig->held += took;
	if (count == 0 && ++rig->empty < TAKES_NOTHING_FOR)
		return -EAGAIN;
	if (count > 0)
		return (ssize_t)took;
	rig->sent += rig->held;
	rig->held = 0;
	return 0;
}

static int fake_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	out->events = ((struct rig *)conn)->held > 0 ? XFER_POLL_WRITE : 0;
	return link_rig_poll(conn, out);
}

/* ---- the owner ---- */

static void look(struct rig *rig)
{
	if (rig->over(rig))
		loop_stop(rig->base.loop);
}

static void on_ready(struct link *link)
{
	look(list_entry(link, struct rig, base.link));
}

static int on_frame(struct link *link, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct rig *rig = list_entry(link, struct rig, base.link);
	(void)bytes;
	(void)buffer;
	(void)err;
	assert_int_equal(header->type, FRAME_CREDIT);
	if (++rig->seen == rig->pause_at)
		link_pause(link);
	look(rig);
	return 0;
}

static void on_sent(struct link *link)
{
	struct rig *rig = list_entry(link, struct rig, base.link);
	rig->told++;
	look(rig);
}

static void on_ended(struct link *link, const struct error *err)
{
	(void)link;
	fail_msg("%s", err->text);
}

static const struct link_watch watch = {
	.ready = on_ready, .frame = on_frame, .settled = link_rig_nothing, .sent = on_sent, .ended = on_ended
};

/* Until `over`, or patience is. */
static void run(struct rig *rig, bool (*over)(const struct rig *rig))
{
	rig->over = over;
	link_rig_timeout(&rig->base, LINK_RIG_PATIENCE);
	if (!over(rig))
		loop_run(rig->base.loop);
	uv_timer_stop(&rig->base.timer);
}

static struct rig *rig_open(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rig->base.plugin.transport = (struct xfer_transport_ops){ .recv = fake_recv,
		                                                  .sendv = fake_sendv,
		                                                  .poll = fake_poll };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, rig->base.fds), 0);
	link_rig_open(&rig->base, &watch, 0);
	return rig;
}

static void rig_close(struct rig *rig)
{
	link_rig_close(&rig->base);
	buf_free(&rig->holds);
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
	assert_false(rig->base.timed_out);
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
	assert_int_equal(message_credit_write(link_control(&rig->base.link), 0, 1), 0);
	size_t len = link_control(&rig->base.link)->len;
	run(rig, all_sent);
	assert_false(rig->base.timed_out);
	assert_int_equal(rig->sent, len);
	assert_int_equal(rig->empty, TAKES_NOTHING_FOR);
	/* And then it waits no more. */
	assert_false(rig->base.link.holding);
	assert_int_equal(rig->base.link.events & XFER_POLL_WRITE, 0);
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
	uv_idle_init(&rig->base.loop->uv, &rig->idle);
	rig->idle.data = rig;
	uv_idle_start(&rig->idle, on_turn);
	run(rig, turned);
	assert_false(rig->base.timed_out);
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
	assert_true(rig->base.link.ready);
	rig->told = 0;
	rig->full = true;
	assert_int_equal(message_credit_write(link_control(&rig->base.link), 0, 1), 0);
	link_flush(&rig->base.link);
	assert_true(link_blocked(&rig->base.link));
	rig->full = false;
	assert_int_equal(message_credit_write(link_control(&rig->base.link), 0, 2), 0);
	link_flush(&rig->base.link);
	assert_int_equal(link_control_queued(&rig->base.link), 0);
	assert_false(told(rig));
	run(rig, told);
	assert_false(rig->base.timed_out);
	rig_close(rig);
}

/* Who pauses gets what is in the buffer, and nothing more until it goes on; nor is the loop kept busy by what waits. */
static void test_pauses(void **state)
{
	(void)state;
	struct rig *rig = rig_open();
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(message_credit_write(&rig->holds, 0, i), 0);
	assert_int_equal(write(rig->base.fds[1], "", 1), 1); /* the descriptor can be read */
	rig->pause_at = PAUSE_AT;
	turn(rig);
	assert_in_range(rig->seen, PAUSE_AT, FRAMES / 2);
	assert_true(rig->given <= LENDING_SCRATCH);
	assert_int_equal(rig->base.link.events & XFER_POLL_READ, 0);

	link_go_on(&rig->base.link);
	run(rig, all_seen);
	assert_false(rig->base.timed_out);
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
