/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport that damages its stream: it does what it was told and nothing else, so that other tests may rely on it. */
#include "pair.h"

static struct registry *registry;
static struct plugin *tcp;
static uint8_t *data;

enum { SIZE = 100000 };

/* As the options table says. */
struct order {
	const char *fault;
	const char *direction;
	uint64_t at, every, length;
	int64_t bit, times, skip;
	uint64_t piece;
	const char *mark;
};

static struct plugin *faulty(struct registry **own, const struct order *order)
{
	union xfer_value values[] = {
		{ .text = order->fault },
		{ .text = order->direction != NULL ? order->direction : "send" },
		{ .number = order->at },
		{ .number = order->every },
		{ .number = order->length > 0 ? order->length : 1 },
		{ .integer = order->bit },
		{ .integer = order->times },
		{ .integer = order->skip },
		{ .number = order->piece },
		{ .text = order->mark != NULL ? order->mark : "" },
	};
	return pair_transport(own, "transport-faulty.so", values);
}

/* Moves SIZE bytes through a pair of which the side that sends (or receives) is faulty. Returns what arrived. */
static size_t run(const struct order *order, uint8_t *got, ssize_t *end)
{
	struct registry *own;
	struct plugin *bad = faulty(&own, order);
	bool sends = order->direction == NULL || strcmp(order->direction, "send") == 0;
	struct pair pair;
	pair_make(&pair, sends ? bad : tcp, sends ? tcp : bad, "127.0.0.1");
	size_t have = pair_move(&pair, data, SIZE, got, SIZE + 1, end);
	pair_break(&pair);
	registry_destroy(own);
	return have;
}

static const char *const DIRECTIONS[] = { "send", "recv" };

static void test_none(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	struct order order = { .fault = "none" };
	assert_int_equal(run(&order, got, &end), SIZE);
	assert_int_equal(end, 0);
	assert_memory_equal(got, data, SIZE);
}

static void test_short(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	for (size_t i = 0; i < COUNT(DIRECTIONS); i++) {
		struct order order = { .fault = "short", .direction = DIRECTIONS[i], .piece = i * 7 };
		assert_int_equal(run(&order, got, &end), SIZE);
		assert_int_equal(end, 0);
		assert_memory_equal(got, data, SIZE);
	}
}

static void test_flip(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	static const uint64_t places[] = { 0, 1, 4097, SIZE - 1 };
	for (size_t i = 0; i < COUNT(DIRECTIONS); i++)
		for (size_t k = 0; k < COUNT(places); k++) {
			struct order order = { .fault = "flip", .direction = DIRECTIONS[i], .at = places[k], .bit = 3 };
			assert_int_equal(run(&order, got, &end), SIZE);
			assert_int_equal(got[places[k]], data[places[k]] ^ 8);
			got[places[k]] ^= 8;
			assert_memory_equal(got, data, SIZE);
		}
	/* Again and again, but no more than three times. */
	for (size_t i = 0; i < COUNT(DIRECTIONS); i++) {
		struct order order = {
			.fault = "flip", .direction = DIRECTIONS[i], .at = 10, .every = 1000, .times = 3
		};
		assert_int_equal(run(&order, got, &end), SIZE);
		for (size_t at = 10; at < 3000; at += 1000)
			got[at] ^= 1;
		assert_memory_equal(got, data, SIZE);
	}
}

static void test_drop(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	for (size_t i = 0; i < COUNT(DIRECTIONS); i++) {
		struct order order = { .fault = "drop", .direction = DIRECTIONS[i], .at = 5000, .length = 777 };
		assert_int_equal(run(&order, got, &end), SIZE - 777);
		assert_int_equal(end, 0);
		assert_memory_equal(got, data, 5000);
		assert_memory_equal(got + 5000, data + 5777, SIZE - 5777);
	}
}

static void test_truncate(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	for (size_t i = 0; i < COUNT(DIRECTIONS); i++) {
		struct order order = { .fault = "truncate", .direction = DIRECTIONS[i], .at = 5000 };
		assert_int_equal(run(&order, got, &end), 5000);
		assert_int_equal(end, 0);
		assert_memory_equal(got, data, 5000);
	}
}

static void test_close(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	struct order order = { .fault = "close", .direction = "recv", .at = 5000 };
	assert_int_equal(run(&order, got, &end), 5000);
	assert_int_equal(end, -ECONNRESET);
	assert_memory_equal(got, data, 5000);
	/* Sent bytes may get lost with the connection; none comes after the offset. */
	order.direction = "send";
	assert_true(run(&order, got, &end) <= 5000);
}

static void test_stall(void **state)
{
	uint8_t *got = *state;
	ssize_t end;
	struct order order = { .fault = "stall", .direction = "send", .at = 5000 };
	struct registry *own;
	struct plugin *bad = faulty(&own, &order);
	struct pair pair;
	pair_make(&pair, bad, tcp, "127.0.0.1");
	assert_int_equal(pair_move(&pair, data, SIZE, got, SIZE + 1, &end), 5000);
	assert_int_equal(end, -EAGAIN);
	/* The other direction is not touched. */
	struct iovec iov = { data, 100 };
	assert_int_equal(tcp->transport.sendv(pair.server, &iov, 1, 0), 100);
	pair_wait(bad, pair.client, XFER_POLL_READ);
	assert_int_equal(bad->transport.recv(pair.client, got, 200, 0), 100);
	pair_break(&pair);
	registry_destroy(own);

	/* Receiving: what comes vanishes, so that the descriptor does not shout. */
	order.direction = "recv";
	bad = faulty(&own, &order);
	pair_make(&pair, tcp, bad, "127.0.0.1");
	iov.iov_len = 6000;
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), 6000);
	size_t have = 0;
	for (ssize_t n; have < 5000; have += (size_t)n) {
		pair_wait(bad, pair.server, XFER_POLL_READ);
		n = bad->transport.recv(pair.server, got, 6000, 0);
		assert_true(n > 0);
	}
	assert_int_equal(have, 5000);
	pair_wait(bad, pair.server, XFER_POLL_READ);
	assert_int_equal(bad->transport.recv(pair.server, got, 6000, 0), -EAGAIN);
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	bad->transport.poll(pair.server, &poll_for);
	struct pollfd wait = { .fd = poll_for.read_fd, .events = POLLIN };
	assert_int_equal(poll(&wait, 1, 0), 0);
	pair_break(&pair);
	registry_destroy(own);
}

/* `times` counts in the process, `skip` leaves the first connections alone. */
static void test_counts(void **state)
{
	uint8_t *got = *state;
	struct order order = { .fault = "flip", .at = 5, .times = 1, .skip = 1 };
	struct registry *own;
	struct plugin *bad = faulty(&own, &order);
	static const bool flipped[] = { false, true, false };
	for (size_t i = 0; i < COUNT(flipped); i++) {
		struct pair pair;
		ssize_t end;
		pair_make(&pair, bad, tcp, "127.0.0.1");
		assert_int_equal(pair_move(&pair, data, SIZE, got, SIZE + 1, &end), SIZE);
		assert_int_equal(memcmp(got, data, SIZE) != 0, flipped[i]);
		pair_break(&pair);
	}
	registry_destroy(own);
}

/* What has the mark is damaged wherever and however it arrives, as often as it was ordered. */
static void test_mark(void **state)
{
	static const uint64_t pieces[] = { 0, 1, 5 };
	static const size_t places[] = { 0, 4090, SIZE - 6 };
	uint8_t *got = *state;
	ssize_t end;
	for (size_t i = 0; i < COUNT(places); i++)
		memcpy(data + places[i], "<mark>", 6);
	for (size_t i = 0; i < COUNT(pieces); i++)
		for (size_t times = 0; times < 3; times++) {
			struct order order = {
				.fault = "flip",
				.direction = "recv",
				.mark = "<mark>",
				.times = (int64_t)times,
				.piece = pieces[i],
			};
			assert_int_equal(run(&order, got, &end), SIZE);
			for (size_t k = 0; k < COUNT(places) && (times == 0 || k < times); k++)
				got[places[k] + 5] ^= 1;
			assert_memory_equal(got, data, SIZE);
		}
}

static int setup(void **state)
{
	uint8_t *got = malloc(SIZE + 1);
	data = malloc(SIZE);
	if (data == NULL || got == NULL)
		return -1;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	tcp = pair_transport(&registry, "tcp", NULL);
	*state = got;
	return 0;
}

static int teardown(void **state)
{
	registry_destroy(registry);
	free(data);
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),  cmocka_unit_test(test_short),    cmocka_unit_test(test_flip),
		cmocka_unit_test(test_drop),  cmocka_unit_test(test_truncate), cmocka_unit_test(test_close),
		cmocka_unit_test(test_stall), cmocka_unit_test(test_counts),   cmocka_unit_test(test_mark),
	};
	return cmocka_run_group_tests_name("faulty", tests, setup, teardown);
}
