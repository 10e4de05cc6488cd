/* SPDX-License-Identifier: BSD-2-Clause */
/* The source: what it refuses, what it orders when, and what becomes of its requests, also when memory runs out. */
#include "unit.h"

#include "alloc.h"
#include "session/source.h"

#include <errno.h>
#include <string.h>

enum { CHUNK = 1024, PAYLOAD = 4096 };

static struct source *make(uint32_t requests, unsigned open)
{
	const struct source_limits limits = {
		.requests_max = requests, .chunk_size = CHUNK, .order_payload = PAYLOAD, .open_max = open
	};
	struct source *source;

	assert_int_equal(source_create(&source, &limits), 0);
	return source;
}

static int read_flags(struct source *source, uint32_t id, uint64_t first, uint64_t count, uint64_t size, uint8_t flags)
{
	const struct message_read read = {
		.first = first, .count = count, .size = size, .flags = flags, .path = "x/y", .path_len = 3
	};
	struct error err = { 0 };
	int r = source_read(source, id, &read, &err);

	assert_true((r < 0) == (err.text[0] != '\0'));
	return r;
}

static int ask(struct source *source, uint32_t id, uint64_t size)
{
	return read_flags(source, id, 0, MESSAGE_ALL, size, 0);
}

static int list(struct source *source, uint32_t id, uint64_t credit)
{
	const struct message_list list = { .depth = MESSAGE_DEPTH_ALL, .credit = credit, .path = "x", .path_len = 1 };

	return source_list(source, id, &list, NULL);
}

static void credit(struct source *source, uint64_t total)
{
	assert_int_equal(source_credit(source, 0, total, NULL), 0);
}

static int ask_path(struct source *source, uint32_t id, const char *path)
{
	const struct message_read read = { .count = MESSAGE_ALL, .size = 1, .path = path, .path_len = strlen(path) };

	return source_read(source, id, &read, NULL);
}

/* The carrier did what was ordered of a file of `size` bytes, without a hole. */
static void fulfil(struct source_order *order, uint64_t size)
{
	for (size_t i = 0; i < order->count; i++) {
		struct source_piece *piece = &order->pieces[i];
		uint64_t room = order->digests ? order->payload_max : piece->reserved;

		piece->total = size / CHUNK + (size % CHUNK != 0);
		while (piece->chunks < piece->count && piece->first + piece->chunks < piece->total) {
			uint64_t left = size - (piece->first + piece->chunks) * CHUNK;
			uint64_t len = left < CHUNK ? left : CHUNK;

			if (piece->bytes + len > room)
				break;
			piece->bytes += len;
			piece->chunks++;
		}
		piece->ended = piece->end &&
		               (piece->chunks == piece->count || piece->first + piece->chunks == piece->total);
	}
}

static unsigned released;

static void release(void *context, struct source_request *request)
{
	assert_ptr_equal(context, &released);
	assert_non_null(request);
	released++;
}

static void back(struct source *source, struct source_order *order)
{
	source_done(source, order, release, &released);
}

static void what_is_refused(void **state)
{
	struct source *source = make(3, 2);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(ask(source, 0, 10), -EPROTO);
	assert_int_equal(list(source, 0, 10), -EPROTO);
	assert_int_equal(ask(source, 7, 10), 0);
	assert_int_equal(ask(source, 7, 10), -EPROTO);
	assert_int_equal(list(source, 7, 10), -EPROTO);
	assert_int_equal(list(source, 8, 10000), 0);
	assert_int_equal(ask(source, 8, 10), -EPROTO);
	assert_int_equal(ask(source, 9, 10), 0);
	assert_int_equal(ask(source, 10, 10), -EDQUOT);
	assert_int_equal(list(source, 10, 10), -EDQUOT);
	/* Credit never goes back; that of a request that is none, or no LIST, is nobody's. */
	credit(source, 500);
	assert_int_equal(source_credit(source, 0, 499, &err), -EPROTO);
	assert_int_equal(err.fault, FAULT_PEER);
	assert_int_equal(source_credit(source, 8, 20000, &err), 0);
	assert_int_equal(source_credit(source, 8, 19999, &err), -EPROTO);
	assert_int_equal(source_credit(source, 7, 1, &err), 0);
	assert_int_equal(source_credit(source, 999, 1, &err), 0);
	source_cancel(source, 999);
	assert_int_equal(source_pending(source), 3);
	released = 0;
	source_destroy(source, release, &released);
	assert_int_equal(released, 3);
	source_destroy(NULL, NULL, NULL);
}

static void a_source_sends_no_more_than_it_may(void **state)
{
	struct source *source = make(4, 2);
	struct source_order order, second, last;

	(void)state;
	assert_int_equal(ask(source, 7, 10 * CHUNK), 0);
	assert_false(source_next(source, &order));
	credit(source, 2 * CHUNK);
	assert_true(source_next(source, &order));
	assert_int_equal(order.payload_max, 2 * CHUNK);
	fulfil(&order, 10 * CHUNK);
	back(source, &order);
	assert_false(source_next(source, &order));
	credit(source, UINT64_MAX);
	/* The rest, in orders of four chunks, several at a time, and the end alone behind them. */
	assert_true(source_next(source, &order));
	assert_true(source_next(source, &second));
	assert_int_equal(order.pieces[0].first, 2);
	assert_int_equal(second.pieces[0].first, 6);
	assert_false(source_next(source, &last));
	fulfil(&order, 10 * CHUNK);
	fulfil(&second, 10 * CHUNK);
	back(source, &second);
	back(source, &order);
	assert_true(source_next(source, &last));
	assert_int_equal(last.pieces[0].count, 0);
	assert_true(last.pieces[0].end);
	fulfil(&last, 10 * CHUNK);
	back(source, &last);
	assert_int_equal(source_pending(source), 0);
	assert_int_equal(source_sent(source), 10 * CHUNK);
	source_destroy(source, NULL, NULL);
}

static void small_files_share_an_order(void **state)
{
	struct source *source = make(100, 2);
	struct source_order order;

	(void)state;
	for (uint32_t id = 1; id <= 70; id++)
		assert_int_equal(ask(source, id, 10), 0);
	credit(source, UINT64_MAX);
	assert_true(source_next(source, &order));
	assert_int_equal(order.count, SOURCE_PIECES_MAX);
	fulfil(&order, 10);
	back(source, &order);
	assert_int_equal(source_pending(source), 70 - SOURCE_PIECES_MAX);
	/* As much as goes into one; what is larger than that has one of its own. */
	assert_int_equal(ask(source, 1, PAYLOAD - 50), 0);
	assert_int_equal(ask(source, 2, PAYLOAD + 1), 0);
	assert_true(source_next(source, &order));
	assert_int_equal(order.count, 70 - SOURCE_PIECES_MAX);
	fulfil(&order, 10);
	back(source, &order);
	for (uint32_t id = 1; id <= 2; id++) {
		assert_true(source_next(source, &order));
		assert_int_equal(order.count, 1);
		assert_int_equal(order.pieces[0].request->id, id);
		fulfil(&order, id == 1 ? PAYLOAD - 50 : PAYLOAD + 1);
		back(source, &order);
	}
	source_destroy(source, NULL, NULL);
}

static void names_come_first_and_one_run_at_a_time(void **state)
{
	struct source *source = make(8, 2);
	struct source_order first, second;

	(void)state;
	credit(source, 1 << 20);
	assert_int_equal(ask(source, 2, 100), 0);
	assert_int_equal(list(source, 1, 9000), 0);
	assert_true(source_next(source, &first));
	assert_true(first.is_list);
	assert_int_equal(first.payload_max, 9000);
	assert_true(source_next(source, &second));
	assert_false(second.is_list);
	fulfil(&second, 100);
	back(source, &second);
	first.run = 8900;
	back(source, &first);
	/* What is left is not worth a frame; what sums up needs none. */
	assert_false(source_next(source, &first));
	assert_int_equal(source_credit(source, 1, 20000, NULL), 0);
	assert_true(source_next(source, &first));
	assert_int_equal(first.payload_max, 20000 - 8900);
	first.pieces[0].ended = true;
	back(source, &first);
	assert_int_equal(source_pending(source), 0);
	const struct message_list totals = { .flags = MESSAGE_LIST_TOTALS, .path = "x", .path_len = 1 };
	assert_int_equal(source_list(source, 1, &totals, NULL), 0);
	assert_true(source_next(source, &first));
	assert_true(first.is_list);
	source_cancel(source, 1); /* while it is walked: the next order ends it */
	back(source, &first);
	assert_true(source_next(source, &first));
	assert_true(first.pieces[0].request->cancelled);
	assert_int_equal(first.payload_max, 0);
	first.pieces[0].ended = true;
	back(source, &first);
	assert_int_equal(source_pending(source), 0);
	source_destroy(source, NULL, NULL);
}

/* Each holds descriptors as long as it is under way, and the peer says how long that is. */
static void so_many_listings_at_a_time(void **state)
{
	struct source *source = make(64, 2);
	static struct source_order orders[40];
	size_t out = 0;

	(void)state;
	for (uint32_t i = 1; i <= 40; i++)
		assert_int_equal(list(source, i, 20000), 0);
	while (out < 40 && source_next(source, &orders[out]))
		out++;
	assert_int_equal(out, 16);
	orders[3].run = 8192;
	back(source, &orders[3]); /* not over: it goes on */
	assert_true(source_next(source, &orders[3]));
	assert_int_equal(orders[3].pieces[0].request->id, 4);
	assert_false(source_next(source, &orders[out]));
	/* What is cancelled needs nothing, and is told so at once. */
	source_cancel(source, 40);
	assert_true(source_next(source, &orders[out]));
	assert_int_equal(orders[out].pieces[0].request->id, 40);
	orders[out].pieces[0].ended = true;
	back(source, &orders[out]);
	for (size_t i = 0; i < 16; i++) {
		orders[i].pieces[0].ended = true;
		back(source, &orders[i]);
	}
	for (out = 0; out < 40 && source_next(source, &orders[out]); out++)
		assert_int_equal(orders[out].pieces[0].request->id, 17 + out);
	assert_int_equal(out, 16);
	for (size_t i = 0; i < out; i++)
		back(source, &orders[i]);
	source_destroy(source, NULL, NULL);
}

static void so_many_large_files_at_a_time(void **state)
{
	struct source *source = make(8, 2);
	struct source_order orders[4];

	(void)state;
	credit(source, UINT64_MAX / 2);
	for (uint32_t id = 1; id <= 3; id++)
		assert_int_equal(ask(source, id, 10 * CHUNK), 0);
	assert_true(source_next(source, &orders[0]));
	assert_true(source_next(source, &orders[1]));
	assert_int_equal(orders[0].pieces[0].request->id, 1);
	assert_int_equal(orders[1].pieces[0].request->id, 2);
	assert_false(source_next(source, &orders[2]));
	for (size_t i = 0; i < 2; i++) {
		fulfil(&orders[i], 10 * CHUNK);
		assert_int_equal(orders[i].pieces[0].chunks, 4);
		back(source, &orders[i]);
	}
	/* They take turns, and the third begins when one has ended. */
	for (unsigned turn = 0; turn < 4; turn++)
		assert_true(source_next(source, &orders[turn]));
	assert_int_equal(orders[0].pieces[0].request->id, 1);
	assert_int_equal(orders[1].pieces[0].request->id, 2);
	assert_int_equal(orders[2].pieces[0].request->id, 1);
	assert_int_equal(orders[3].pieces[0].request->id, 2);
	for (size_t i = 0; i < 4; i++) {
		fulfil(&orders[i], 10 * CHUNK);
		back(source, &orders[i]);
	}
	assert_true(source_next(source, &orders[0]));
	assert_int_equal(orders[0].pieces[0].count, 0);
	assert_true(orders[0].pieces[0].end);
	fulfil(&orders[0], 10 * CHUNK);
	back(source, &orders[0]);
	assert_int_equal(source_pending(source), 2);
	assert_true(source_next(source, &orders[0]));
	assert_true(source_next(source, &orders[1]));
	assert_true(orders[0].pieces[0].request->id == 3 || orders[1].pieces[0].request->id == 3);
	fulfil(&orders[0], 10 * CHUNK);
	fulfil(&orders[1], 10 * CHUNK);
	back(source, &orders[0]);
	back(source, &orders[1]);
	source_destroy(source, NULL, NULL);
}

static void a_request_that_fails_ends_behind_its_chunks(void **state)
{
	struct source *source = make(8, 2);
	struct source_order first, second, end;

	(void)state;
	credit(source, UINT64_MAX / 2);
	assert_int_equal(ask(source, 1, 20 * CHUNK), 0);
	assert_true(source_next(source, &first));
	fulfil(&first, 20 * CHUNK);
	back(source, &first);
	assert_true(source_next(source, &first));
	assert_true(source_next(source, &second));
	/* The second fails while the first is out: nothing more is ordered, and the number is not free. */
	second.pieces[0].failed = true;
	second.pieces[0].total = 20;
	back(source, &second);
	assert_false(source_next(source, &end));
	assert_int_equal(ask(source, 1, 10), -EPROTO);
	fulfil(&first, 20 * CHUNK);
	back(source, &first);
	assert_true(source_next(source, &end));
	assert_true(end.pieces[0].end);
	assert_int_equal(end.pieces[0].count, 0);
	assert_int_equal(end.payload_max, 0);
	end.pieces[0].failed = end.pieces[0].ended = true;
	back(source, &end);
	assert_int_equal(source_pending(source), 0);
	assert_int_equal(ask(source, 1, 10), 0);
	source_destroy(source, NULL, NULL);
}

/* Many requests of long paths would be some megabytes of a session that nobody reads from. */
static void so_many_bytes_of_paths_at_a_time(void **state)
{
	struct source *source = make(1000, 2);
	struct source_order end;
	char path[4000];
	uint32_t id = 1;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	while (ask_path(source, id, path) == 0)
		id++;
	assert_int_equal(id - 1, MESSAGE_READ_PATHS / (sizeof(path) - 1) + 1);
	assert_int_equal(ask(source, id, 1), -EDQUOT);
	assert_int_equal(list(source, id, 10), 0);
	/* One that is over makes room for another. */
	source_cancel(source, 1);
	assert_true(source_next(source, &end));
	while (end.is_list) {
		end.pieces[0].ended = true;
		back(source, &end);
		assert_true(source_next(source, &end));
	}
	end.pieces[0].ended = true;
	back(source, &end);
	assert_int_equal(ask_path(source, 1, path), 0);
	assert_int_equal(ask_path(source, id + 1, path), -EDQUOT);
	source_destroy(source, NULL, NULL);
}

static void what_is_cancelled_ends_at_once(void **state)
{
	struct source *source = make(8, 2);
	struct source_order order, end;

	(void)state;
	/* Before it began, without any credit. */
	assert_int_equal(ask(source, 1, 20 * CHUNK), 0);
	source_cancel(source, 1);
	assert_true(source_next(source, &end));
	assert_int_equal(end.pieces[0].count, 0);
	assert_true(end.pieces[0].end);
	end.pieces[0].ended = true;
	back(source, &end);
	/* In the middle. */
	credit(source, UINT64_MAX / 2);
	assert_int_equal(ask(source, 1, 20 * CHUNK), 0);
	assert_true(source_next(source, &order));
	fulfil(&order, 20 * CHUNK);
	back(source, &order);
	assert_true(source_next(source, &order));
	source_cancel(source, 1);
	assert_false(source_next(source, &end));
	fulfil(&order, 20 * CHUNK);
	back(source, &order);
	assert_true(source_next(source, &end));
	assert_int_equal(end.pieces[0].count, 0);
	end.pieces[0].ended = true;
	back(source, &end);
	assert_int_equal(source_pending(source), 0);
	source_destroy(source, NULL, NULL);
}

static void holes_take_no_credit(void **state)
{
	struct source *source = make(8, 2);
	struct source_order order, other;

	(void)state;
	credit(source, 6 * CHUNK);
	assert_int_equal(ask(source, 1, 100 * CHUNK), 0);
	assert_true(source_next(source, &order));
	assert_int_equal(order.payload_max, PAYLOAD);
	/* One chunk, then holes: from now on one order at a time, each as far as it comes. */
	order.pieces[0].chunks = 60;
	order.pieces[0].bytes = CHUNK;
	order.pieces[0].total = 100;
	back(source, &order);
	assert_true(source_next(source, &order));
	assert_int_equal(order.pieces[0].first, 60);
	assert_int_equal(order.pieces[0].count, 40);
	assert_int_equal(order.payload_max, PAYLOAD);
	assert_false(source_next(source, &other));
	order.pieces[0].chunks = 39;
	order.pieces[0].bytes = 0;
	back(source, &order);
	assert_true(source_next(source, &order));
	assert_int_equal(order.pieces[0].first, 99);
	order.pieces[0].chunks = 1;
	order.pieces[0].bytes = CHUNK;
	order.pieces[0].ended = true;
	back(source, &order);
	assert_int_equal(source_pending(source), 0);
	assert_int_equal(source_sent(source), 2 * CHUNK);
	source_destroy(source, NULL, NULL);
}

static void digests_take_no_credit(void **state)
{
	struct source *source = make(8, 2);
	struct source_order order;

	(void)state;
	assert_int_equal(read_flags(source, 1, 0, MESSAGE_ALL, 3 * CHUNK, MESSAGE_READ_DIGESTS), 0);
	assert_int_equal(ask(source, 2, CHUNK), 0);
	assert_true(source_next(source, &order));
	assert_true(order.digests);
	assert_int_equal(order.count, 1);
	assert_int_equal(order.pieces[0].reserved, 0);
	assert_int_equal(order.payload_max, 3 * CHUNK);
	fulfil(&order, 3 * CHUNK);
	assert_true(order.pieces[0].ended);
	back(source, &order);
	assert_int_equal(source_sent(source), 0);
	assert_false(source_next(source, &order)); /* the other needs some */
	credit(source, CHUNK);
	assert_true(source_next(source, &order));
	assert_false(order.digests);
	fulfil(&order, CHUNK);
	back(source, &order);
	assert_int_equal(source_pending(source), 0);
	source_destroy(source, NULL, NULL);
}

static void a_part_is_as_much_as_was_asked_for(void **state)
{
	struct source *source = make(8, 2);
	struct source_order order;

	(void)state;
	credit(source, UINT64_MAX / 2);
	assert_int_equal(read_flags(source, 1, 3, 2, 10 * CHUNK + 1, MESSAGE_READ_PART), 0);
	assert_true(source_next(source, &order));
	assert_true(order.pieces[0].request->part);
	assert_int_equal(order.pieces[0].first, 3);
	assert_int_equal(order.pieces[0].count, 2);
	assert_int_equal(order.payload_max, 2 * CHUNK);
	fulfil(&order, 10 * CHUNK + 1);
	assert_true(order.pieces[0].ended);
	back(source, &order);
	/* Beyond the end of the file there is nothing but the end; the last chunk is a short one. */
	assert_int_equal(read_flags(source, 1, 10, 5, 10 * CHUNK + 1, MESSAGE_READ_PART), 0);
	assert_int_equal(read_flags(source, 2, 70, UINT64_MAX - 71, 10 * CHUNK + 1, MESSAGE_READ_PART), 0);
	assert_true(source_next(source, &order));
	assert_int_equal(order.count, 2);
	assert_int_equal(order.payload_max, 1);
	fulfil(&order, 10 * CHUNK + 1);
	assert_int_equal(order.pieces[0].chunks, 1);
	order.pieces[1].ended = true;
	back(source, &order);
	assert_int_equal(source_pending(source), 0);
	source_destroy(source, NULL, NULL);
}

/* Whatever cannot be allocated: the request is not there, and the next one is. */
static void without_memory_nothing_is_half_there(void **state)
{
	const struct source_limits limits = { .requests_max = 100, .chunk_size = CHUNK, .order_payload = PAYLOAD };
	long live = alloc_live();
	uint64_t failed = 1;

	(void)state;
	for (uint64_t n = 1; failed > 0; n++) {
		struct source *source = NULL;
		size_t there = 0;
		int r;

		alloc_fail(n, 1);
		r = source_create(&source, &limits);
		assert_true(r == 0 || (r == -ENOMEM && source == NULL));
		for (uint32_t id = 1; r == 0 && id < 40; id++) {
			r = id % 3 == 0 ? list(source, id, 10000) : ask(source, id, 100);
			assert_true(r == 0 || r == -ENOMEM);
			there += r == 0;
			assert_int_equal(source_pending(source), there);
			if (r < 0) {
				assert_int_equal(ask(source, id, 100), 0);
				there++;
			}
			r = 0;
		}
		(void)alloc_stop(&failed);
		released = 0;
		source_destroy(source, release, &released);
		assert_int_equal(released, there);
		assert_int_equal(alloc_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(a_source_sends_no_more_than_it_may),
		cmocka_unit_test(small_files_share_an_order),
		cmocka_unit_test(names_come_first_and_one_run_at_a_time),
		cmocka_unit_test(so_many_listings_at_a_time),
		cmocka_unit_test(so_many_large_files_at_a_time),
		cmocka_unit_test(a_request_that_fails_ends_behind_its_chunks),
		cmocka_unit_test(so_many_bytes_of_paths_at_a_time),
		cmocka_unit_test(what_is_cancelled_ends_at_once),
		cmocka_unit_test(holes_take_no_credit),
		cmocka_unit_test(digests_take_no_credit),
		cmocka_unit_test(a_part_is_as_much_as_was_asked_for),
		cmocka_unit_test(without_memory_nothing_is_half_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
