/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection that is read from one descriptor and written to another: its handshake is waited for at both. */
#include "unit.h"

#include "client/dial.h"
#include "engine/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 10000 /* ms */ };

struct rig {
	struct loop *loop;
	struct plugin plugin;
	struct dial *dial;
	uv_timer_t timer;
	int in[2], out[2];    /* pipes: the peer has in[1] and out[0] */
	unsigned handshakes;  /* that were called */
	unsigned turns;       /* of the loop */
	bool asked, answered; /* what there is to be said was written, and read */
	bool connected, timed_out;
	struct error failed;
};

static int fake_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	(void)how;
	*out = instance;
	return 0;
}

/* One byte out, which has no room at first, and then one byte in. */
static int fake_handshake(struct xfer_conn *conn, uint32_t flags)
{
	struct rig *rig = (struct rig *)(void *)conn;
	char byte = 0;

	(void)flags;
	rig->handshakes++;
	if (!rig->asked)
		rig->asked = write(rig->out[1], &byte, 1) == 1;
	if (rig->asked && !rig->answered)
		rig->answered = read(rig->in[0], &byte, 1) == 1;
	return rig->answered ? 0 : -EAGAIN;
}

static int fake_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	struct rig *rig = (struct rig *)(void *)conn;

	out->read_fd = rig->in[0];
	out->write_fd = rig->out[1];
	out->events = rig->asked ? XFER_POLL_READ : XFER_POLL_WRITE;
	return 0;
}

static void fake_close(struct xfer_conn *conn)
{
	(void)conn;
}

static void on_connected(void *context, struct xfer_conn *conn)
{
	struct rig *rig = context;

	assert_ptr_equal(conn, rig);
	rig->connected = true;
	loop_stop(rig->loop);
}

static void on_failed(void *context, const struct error *err)
{
	struct rig *rig = context;

	rig->failed = *err;
	loop_stop(rig->loop);
}

static void on_time(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	rig->timed_out = true;
	loop_stop(rig->loop);
}

static void on_idle(uv_idle_t *idle)
{
	struct rig *rig = idle->data;
	char waste[65536];

	/* The peer reads, so that there is room, and answers what it is asked. */
	if (rig->turns++ == 3)
		assert_true(read(rig->out[0], waste, sizeof(waste)) > 0);
	if (rig->asked && !rig->answered && rig->handshakes == 1)
		assert_int_equal(write(rig->in[1], "", 1), 1);
}

static void on_loop_settled(void *context)
{
	(void)context;
}

static void test_waits_at_both(void **state)
{
	const struct loop_settings settings = { .threads = 1, .memory = 8 << 20, .settled = on_loop_settled };
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct dial_watch watch = { .connected = on_connected, .failed = on_failed, .context = rig };
	struct url url = { .authority = "peer", .host = "peer" };
	struct error err = { 0 };
	uv_idle_t idle;

	(void)state;
	assert_non_null(rig);
	rig->plugin.instance = rig;
	rig->plugin.transport = (struct xfer_transport_ops){
		.connect = fake_connect, .handshake = fake_handshake, .poll = fake_poll, .close = fake_close
	};
	assert_int_equal(pipe2(rig->in, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(rig->out, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(rig->out[1], rig, sizeof(*rig)) > 0)
		;
	while (write(rig->out[1], "", 1) > 0)
		;
	assert_int_equal(loop_create(&rig->loop, &settings, &err), 0);
	uv_timer_init(&rig->loop->uv, &rig->timer);
	rig->timer.data = rig;
	uv_timer_start(&rig->timer, on_time, PATIENCE, 0);
	uv_idle_init(&rig->loop->uv, &idle);
	idle.data = rig;
	uv_idle_start(&idle, on_idle);
	assert_int_equal(dial_start(&rig->dial, rig->loop, &rig->plugin, &url, 60 * CLOCK_SECOND, &watch, &err), 0);
	loop_run(rig->loop);
	assert_string_equal(rig->failed.text, "");
	assert_false(rig->timed_out);
	assert_true(rig->connected);
	assert_int_equal(rig->handshakes, 2);
	uv_close((uv_handle_t *)&rig->timer, NULL);
	uv_close((uv_handle_t *)&idle, NULL);
	loop_destroy(rig->loop);
	for (int i = 0; i < 2; i++) {
		close(rig->in[i]);
		close(rig->out[i]);
	}
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_at_both),
	};
	return cmocka_run_group_tests_name("client, dial", tests, NULL, NULL);
}
