/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link whose peer sends a byte now and then: it is told of nothing before the frame's rest is there, or 4 KiB, or the
 * end, where the transport's descriptor can do that; and it has all of it when it is looked at.
 */
#include "unit.h"

#include "engine/lending.h"
#include "engine/link.h"
#include "wire/message.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BODY = 8000,          /* bytes of a frame */
	BEGINNING = 100,      /* what comes of it at first */
	FEW = 50,             /* what is not worth to be told */
	ENOUGH = 4096,        /* what is */
	PATIENCE = 10 * 1000, /* ms, for what has to come */
	QUIET = 200           /* ms, several looks at who is slow, in which nothing may come */
};

struct rig {
	struct link link;
	struct loop *loop;
	struct plugin plugin;
	struct frame_limits limits;
	int fds[2]; /* the link's, and its peer's */
	struct buf frames;
	size_t sent;
	uint64_t wanted; /* bytes that are waited for */
	unsigned seen;   /* frames */
	unsigned slow;   /* calls of slow() */
	bool ended, timed_out;
	uv_timer_t timer;
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
	ssize_t got = recv(the_rig->fds[0], bytes, len, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}

static int fake_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	(void)conn;
	out->read_fd = the_rig->fds[0];
	out->write_fd = the_rig->fds[0];
	return 0;
}

static void fake_close(struct xfer_conn *conn)
{
	(void)conn;
}

/* ---- the owner ---- */

static void look(struct rig *rig)
{
	if (rig->link.ready && rig->link.received >= rig->wanted)
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
	assert_int_equal(header->type, FRAME_ENTRIES);
	rig->seen++;
	return 0;
}

static void on_nothing(struct link *link)
{
	(void)link;
}

static void on_slow(struct link *link)
{
	list_entry(link, struct rig, link)->slow++;
}

static void on_ended(struct link *link, const struct error *err)
{
	struct rig *rig = list_entry(link, struct rig, link);
	(void)err;
	rig->ended = true;
	loop_stop(rig->loop);
}

static const struct link_watch watch = { .ready = on_ready,
	                                 .frame = on_frame,
	                                 .settled = on_nothing,
	                                 .slow = on_slow,
	                                 .sent = on_nothing,
	                                 .ended = on_ended };

static void on_timer(uv_timer_t *timer)
{
	struct rig *rig = timer->data;
	rig->timed_out = rig->link.received < rig->wanted;
	loop_stop(rig->loop);
}

/* So long; or at once when as many bytes have come as are wanted, if any are. */
static void run_for(struct rig *rig, unsigned ms)
{
	uv_timer_start(&rig->timer, on_timer, ms, 0);
	while (!rig->ended) {
		loop_time(rig->loop);
		uv_run(&rig->loop->uv, UV_RUN_ONCE);
		if (!uv_is_active((uv_handle_t *)&rig->timer) || (rig->wanted > 0 && rig->link.received >= rig->wanted))
			break;
	}
	uv_timer_stop(&rig->timer);
}

static void send_some(struct rig *rig, size_t len)
{
	assert_int_equal(send(rig->fds[1], rig->frames.data + rig->sent, len, MSG_NOSIGNAL), len);
	rig->sent += len;
}

/* All that was sent arrives. */
static void arrives(struct rig *rig)
{
	rig->wanted = rig->sent;
	rig->timed_out = false;
	run_for(rig, PATIENCE);
	assert_false(rig->timed_out);
	assert_int_equal(rig->link.received, rig->sent);
}

/* What was sent last does not, all by itself. */
static void stays(struct rig *rig)
{
	uint64_t before = rig->link.received;
	rig->wanted = 0;
	run_for(rig, QUIET);
	assert_int_equal(rig->link.received, before);
}

static int least_of(const struct rig *rig)
{
	int least = 0;
	socklen_t len = sizeof(least);
	assert_int_equal(getsockopt(rig->fds[0], SOL_SOCKET, SO_RCVLOWAT, &least, &len), 0);
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

static void on_loop_settled(void *context)
{
	(void)context;
}

/* Open, with the beginning of a frame that came two seconds ago, and a byte of it now. */
static struct rig *rig_open(uint64_t capabilities, uint64_t patience)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct loop_settings settings = {
		.threads = 1, .memory = 8 << 20, .settled = on_loop_settled, .patience = patience
	};
	uint8_t body[BODY] = { 0 };
	struct error err = { 0 };
	size_t start;
	assert_non_null(rig);
	the_rig = rig;
	rig->limits.control_max = FRAME_CONTROL_MAX;
	rig->plugin.about.capabilities = capabilities;
	rig->plugin.transport = (struct xfer_transport_ops){
		.handshake = fake_handshake, .recv = fake_recv, .poll = fake_poll, .close = fake_close
	};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(message_body_begin(&rig->frames, &start), 0);
		assert_int_equal(buf_append(&rig->frames, body, sizeof(body)), 0);
		assert_int_equal(message_body_seal(&rig->frames, start, FRAME_ENTRIES, 1), 0);
	}
	tcp_pair(rig->fds);
	assert_int_equal(loop_create(&rig->loop, &settings, &err), 0);
	lending_shares(rig->loop);
	uv_timer_init(&rig->loop->uv, &rig->timer);
	rig->timer.data = rig;
	assert_int_equal(link_open(&rig->link, rig->loop, &rig->plugin, (struct xfer_conn *)rig, &rig->limits, &watch,
	                           &err),
	                 0);
	send_some(rig, BEGINNING);
	arrives(rig);
	rig->link.rx_at -= 2 * CLOCK_SECOND;
	send_some(rig, 1);
	arrives(rig);
	assert_true(rig->link.polled.slow);
	return rig;
}

static void rig_close(struct rig *rig)
{
	link_close(&rig->link);
	uv_close((uv_handle_t *)&rig->timer, NULL);
	loop_destroy(rig->loop);
	buf_free(&rig->frames);
	close(rig->fds[0]);
	if (rig->fds[1] >= 0)
		close(rig->fds[1]);
	free(rig);
}

/* ---- tests ---- */

static void test_is_told_of_enough(void **state)
{
	(void)state;
	struct rig *rig = rig_open(XFER_CAP_LOWAT, CLOCK_SECOND);
	assert_true(link_untold(&rig->link));
	assert_int_equal(rig->slow, 1);
	assert_int_equal(least_of(rig), ENOUGH);
	send_some(rig, FEW);
	stays(rig);
	/* Whoever looks has it. */
	link_look(&rig->link);
	assert_int_equal(rig->link.received, rig->sent);
	assert_true(link_untold(&rig->link));
	assert_int_equal(rig->slow, 2);
	/* Who sends more is not slow any more, and told of each byte. */
	send_some(rig, ENOUGH);
	arrives(rig);
	assert_false(link_untold(&rig->link));
	assert_false(rig->link.polled.slow);
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
	assert_true(link_untold(&rig->link));
	assert_int_equal(least_of(rig), len - rig->sent);
	send_some(rig, len - rig->sent - 1);
	stays(rig);
	send_some(rig, 1);
	arrives(rig);
	assert_int_equal(rig->seen, 1);
	assert_false(link_untold(&rig->link));
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
	rig->link.rx_at -= 2 * CLOCK_SECOND;
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
	close(rig->fds[1]);
	rig->fds[1] = -1;
	rig->wanted = UINT64_MAX;
	run_for(rig, PATIENCE);
	assert_true(rig->ended);
	assert_int_equal(rig->link.received, rig->sent);
	rig_close(rig);
}

/* Where the descriptor cannot do it, or nobody would look, each byte arrives. */
static void test_is_told_of_all(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct rig *rig = rig_open(i == 0 ? 0 : XFER_CAP_LOWAT, i == 0 ? CLOCK_SECOND : 0);
		assert_false(link_untold(&rig->link));
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
