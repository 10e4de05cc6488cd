/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link whose peer sends a byte now and then: it is told of nothing before the frame's rest is there, or 4 KiB, or the
 * end, where the transport's descriptor can do that; and it has all of it when it is looked at.
 */
#include "link-rig.h"

#include <netinet/in.h>

enum {
	BODY = 8000,     /* bytes of a frame */
	BEGINNING = 100, /* what comes of it at first */
	FEW = 50,        /* what is not worth to be told */
	ENOUGH = 4096,   /* what is */
	QUIET = 200      /* ms, several looks at who is slow, in which nothing may come */
};

struct rig {
	struct link_rig base;
	struct buf frames;
	size_t sent;
	uint64_t wanted; /* bytes that are waited for */
	unsigned seen;   /* frames */
	unsigned slow;   /* calls of slow() */
	bool ended;
};

/* ---- the transport ---- */

static ssize_t fake_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	(void)flags;
	ssize_t got = recv(((struct rig *)conn)->base.fds[0], bytes, len, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}

/* ---- the owner ---- */

static void look(struct rig *rig)
{
	if (rig->base.link.ready && rig->base.link.received >= rig->wanted)
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
	assert_int_equal(header->type, FRAME_ENTRIES);
	rig->seen++;
	return 0;
}

static void on_slow(struct link *link)
{
	list_entry(link, struct rig, base.link)->slow++;
}

static void on_ended(struct link *link, const struct error *err)
{
	struct rig *rig = list_entry(link, struct rig, base.link);
	(void)err;
	rig->ended = true;
	loop_stop(rig->base.loop);
}

static const struct link_watch watch = { .ready = on_ready,
	                                 .frame = on_frame,
	                                 .settled = link_rig_nothing,
	                                 .slow = on_slow,
	                                 .sent = link_rig_nothing,
	                                 .ended = on_ended };

/* So long; or at once when as many bytes have come as are wanted, if any are. */
static void run_for(struct rig *rig, unsigned ms)
{
	link_rig_timeout(&rig->base, ms);
	while (!rig->ended) {
		loop_time(rig->base.loop);
		uv_run(&rig->base.loop->uv, UV_RUN_ONCE);
		if (rig->base.timed_out || (rig->wanted > 0 && rig->base.link.received >= rig->wanted))
			break;
	}
	uv_timer_stop(&rig->base.timer);
}

static void send_some(struct rig *rig, size_t len)
{
	assert_int_equal(send(rig->base.fds[1], rig->frames.data + rig->sent, len, MSG_NOSIGNAL), len);
	rig->sent += len;
}

/* All that was sent arrives. */
static void arrives(struct rig *rig)
{
	rig->wanted = rig->sent;
	run_for(rig, LINK_RIG_PATIENCE);
	assert_int_equal(rig->base.link.received, rig->sent);
}

/* What was sent last does not, all by itself. */
static void stays(struct rig *rig)
{
	uint64_t before = rig->base.link.received;
	rig->wanted = 0;
	run_for(rig, QUIET);
	assert_int_equal(rig->base.link.received, before);
}

static int least_of(const struct rig *rig)
{
	int least = 0;
	socklen_t len = sizeof(least);
	assert_int_equal(getsockopt(rig->base.fds[0], SOL_SOCKET, SO_RCVLOWAT, &least, &len), 0);
	return least;
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&at, sizeof(at)), 0);
	fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fds[0] >= 0);
	close(listener);
}

/* Open, with the beginning of a frame that came two seconds ago, and a byte of it now. */
static struct rig *rig_open(uint64_t capabilities, uint64_t patience)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint8_t body[BODY] = { 0 };
	size_t start;
	assert_non_null(rig);
	rig->base.plugin.about.capabilities = capabilities;
	rig->base.plugin.transport.recv = fake_recv;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(message_body_begin(&rig->frames, &start), 0);
		assert_int_equal(buf_append(&rig->frames, body, sizeof(body)), 0);
		assert_int_equal(message_body_seal(&rig->frames, start, FRAME_ENTRIES, 1), 0);
	}
	tcp_pair(rig->base.fds);
	link_rig_open(&rig->base, &watch, patience);
	send_some(rig, BEGINNING);
	arrives(rig);
	rig->base.link.rx_at -= 2 * CLOCK_SECOND;
	send_some(rig, 1);
	arrives(rig);
	assert_true(rig->base.link.polled.slow);
	return rig;
}

static void rig_close(struct rig *rig)
{
	link_rig_close(&rig->base);
	buf_free(&rig->frames);
	free(rig);
}

/* ---- tests ---- */

static void test_is_told_of_enough(void **state)
{
	(void)state;
	struct rig *rig = rig_open(XFER_CAP_LOWAT, CLOCK_SECOND);
	assert_true(link_untold(&rig->base.link));
	assert_int_equal(rig->slow, 1);
	assert_int_equal(least_of(rig), ENOUGH);
	send_some(rig, FEW);
	stays(rig);
	/* Whoever looks has it. */
	link_look(&rig->base.link);
	assert_int_equal(rig->base.link.received, rig->sent);
	assert_true(link_untold(&rig->base.link));
	assert_int_equal(rig->slow, 2);
	/* Who sends more is not slow any more, and told of each byte. */
	send_some(rig, ENOUGH);
	arrives(rig);
	assert_false(link_untold(&rig->base.link));
	assert_false(rig->base.link.polled.slow);
	assert_int_equal(least_of(rig), 1);
	rig_close(rig);
}

/* The frame's last byte is told of, whatever has come before it, and not the one before. */
static void test_is_told_of_the_rest(void **state)
{
	(void)state;
	struct rig *rig = rig_open(XFER_CAP_LOWAT, CLOCK_SECOND);
	size_t len = rig->frames.len / 2;
	send_some(rig, ENOUGH);
	arrives(rig);
	send_some(rig, 1);
	arrives(rig);
	assert_true(link_untold(&rig->base.link));
	assert_int_equal(least_of(rig), len - rig->sent);
	send_some(rig, len - rig->sent - 1);
	stays(rig);
	send_some(rig, 1);
	arrives(rig);
	assert_int_equal(rig->seen, 1);
	assert_false(link_untold(&rig->base.link));
	assert_int_equal(least_of(rig), 1);
	rig_close(rig);
}

/* Even the rest of a header. */
static void test_is_told_of_a_header(void **state)
{
	(void)state;
	struct rig *rig = rig_open(XFER_CAP_LOWAT, CLOCK_SECOND);
	size_t len = rig->frames.len / 2;
	send_some(rig, len - rig->sent + 3);
	arrives(rig);
	assert_int_equal(rig->seen, 1);
	rig->base.link.rx_at -= 2 * CLOCK_SECOND;
	send_some(rig, 1);
	arrives(rig);
	assert_int_equal(least_of(rig), FRAME_HEADER - 4);
	send_some(rig, FRAME_HEADER - 5);
	stays(rig);
	send_some(rig, 1);
	arrives(rig);
	rig_close(rig);
}

static void test_is_told_of_the_end(void **state)
{
	(void)state;
	struct rig *rig = rig_open(XFER_CAP_LOWAT, CLOCK_SECOND);
	send_some(rig, FEW);
	close(rig->base.fds[1]);
	rig->base.fds[1] = -1;
	rig->wanted = UINT64_MAX;
	run_for(rig, LINK_RIG_PATIENCE);
	assert_true(rig->ended);
	assert_int_equal(rig->base.link.received, rig->sent);
	rig_close(rig);
}

/* Where the descriptor cannot do it, or nobody would look, each byte arrives. */
static void test_is_told_of_all(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rig *rig = rig_open(i == 0 ? 0 : XFER_CAP_LOWAT, i == 0 ? CLOCK_SECOND : 0);
		assert_false(link_untold(&rig->base.link));
		assert_int_equal(rig->slow, 0);
		assert_int_equal(least_of(rig), 1);
		send_some(rig, FEW);
		arrives(rig);
		rig_close(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_told_of_enough),   cmocka_unit_test(test_is_told_of_the_rest),
		cmocka_unit_test(test_is_told_of_a_header), cmocka_unit_test(test_is_told_of_the_end),
		cmocka_unit_test(test_is_told_of_all),
	};
	return cmocka_run_group_tests_name("link-slow", tests, NULL, NULL);
}
