/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where every field of the plug-in ABI lies, against the list that was written down when its minor came out. What fails
 * here breaks plug-ins that people have: fields are appended (their struct's size grows: then XFER_ABI_MINOR does too,
 * and the list of the new minor is added), never moved, widened or taken away.
 */
#include "unit.h"

#include <xfer/plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
	const char *name;
	size_t offset;
	size_t size;
};

#define SIZE(type)                                                                                                     \
	{                                                                                                              \
#type, 0, sizeof(struct type)                                                                          \
	}
#define FIELD(type, field)                                                                                             \
	{                                                                                                              \
#type "." #field, offsetof(struct type, field), sizeof(((struct type *)NULL)->field)                   \
	}

static const struct place PLACES[] = {
	SIZE(xfer_option),
	FIELD(xfer_option, name),
	FIELD(xfer_option, type),
	FIELD(xfer_option, flags),
	FIELD(xfer_option, default_text),
	FIELD(xfer_option, min),
	FIELD(xfer_option, max),
	FIELD(xfer_option, unit),
	FIELD(xfer_option, help),
	SIZE(xfer_params),
	FIELD(xfer_params, struct_size),
	FIELD(xfer_params, count),
	FIELD(xfer_params, values),
	SIZE(xfer_host),
	FIELD(xfer_host, struct_size),
	FIELD(xfer_host, context),
	FIELD(xfer_host, log),
	FIELD(xfer_host, error),
	FIELD(xfer_host, now),
	FIELD(xfer_host, random),
	SIZE(xfer_listen),
	FIELD(xfer_listen, struct_size),
	FIELD(xfer_listen, address),
	FIELD(xfer_listen, address_len),
	FIELD(xfer_listen, authority),
	FIELD(xfer_listen, flags),
	SIZE(xfer_connect),
	FIELD(xfer_connect, struct_size),
	FIELD(xfer_connect, address),
	FIELD(xfer_connect, address_len),
	FIELD(xfer_connect, authority),
	FIELD(xfer_connect, host),
	FIELD(xfer_connect, user),
	FIELD(xfer_connect, flags),
	SIZE(xfer_adopt),
	FIELD(xfer_adopt, struct_size),
	FIELD(xfer_adopt, read_fd),
	FIELD(xfer_adopt, write_fd),
	FIELD(xfer_adopt, server),
	FIELD(xfer_adopt, authority),
	FIELD(xfer_adopt, flags),
	SIZE(xfer_poll),
	FIELD(xfer_poll, struct_size),
	FIELD(xfer_poll, read_fd),
	FIELD(xfer_poll, write_fd),
	FIELD(xfer_poll, events),
	SIZE(xfer_endpoint),
	FIELD(xfer_endpoint, struct_size),
	FIELD(xfer_endpoint, remote),
	FIELD(xfer_endpoint, local),
	FIELD(xfer_endpoint, text),
	FIELD(xfer_endpoint, identity),
	SIZE(xfer_transport_ops),
	FIELD(xfer_transport_ops, struct_size),
	FIELD(xfer_transport_ops, listen),
	FIELD(xfer_transport_ops, listener_adopt),
	FIELD(xfer_transport_ops, listener_fds),
	FIELD(xfer_transport_ops, listener_address),
	FIELD(xfer_transport_ops, listener_close),
	FIELD(xfer_transport_ops, accept),
	FIELD(xfer_transport_ops, connect),
	FIELD(xfer_transport_ops, adopt),
	FIELD(xfer_transport_ops, handshake),
	FIELD(xfer_transport_ops, sendv),
	FIELD(xfer_transport_ops, recv),
	FIELD(xfer_transport_ops, sendfile),
	FIELD(xfer_transport_ops, poll),
	FIELD(xfer_transport_ops, endpoint),
	FIELD(xfer_transport_ops, shutdown),
	FIELD(xfer_transport_ops, close),
	SIZE(xfer_known_answer),
	FIELD(xfer_known_answer, input),
	FIELD(xfer_known_answer, input_len),
	FIELD(xfer_known_answer, digest),
	SIZE(xfer_integrity_ops),
	FIELD(xfer_integrity_ops, struct_size),
	FIELD(xfer_integrity_ops, digest_size),
	FIELD(xfer_integrity_ops, strength),
	FIELD(xfer_integrity_ops, known_answers),
	FIELD(xfer_integrity_ops, known_answer_size),
	FIELD(xfer_integrity_ops, known_answer_count),
	FIELD(xfer_integrity_ops, digest),
	FIELD(xfer_integrity_ops, digest_many),
	FIELD(xfer_integrity_ops, hash_create),
	FIELD(xfer_integrity_ops, hash_update),
	FIELD(xfer_integrity_ops, hash_finish),
	FIELD(xfer_integrity_ops, hash_destroy),
	SIZE(xfer_progress),
	FIELD(xfer_progress, struct_size),
	FIELD(xfer_progress, received),
	FIELD(xfer_progress, verified),
	FIELD(xfer_progress, durable),
	FIELD(xfer_progress, stage),
	FIELD(xfer_progress, stage_age_ms),
	FIELD(xfer_progress, rtt_us),
	FIELD(xfer_progress, loss_ppm),
	SIZE(xfer_peer_params),
	FIELD(xfer_peer_params, struct_size),
	FIELD(xfer_peer_params, role),
	FIELD(xfer_peer_params, flags),
	FIELD(xfer_peer_params, slot),
	FIELD(xfer_peer_params, key),
	FIELD(xfer_peer_params, interval),
	FIELD(xfer_peer_params, dead_after),
	FIELD(xfer_peer_params, now),
	SIZE(xfer_heard),
	FIELD(xfer_heard, struct_size),
	FIELD(xfer_heard, sequence),
	FIELD(xfer_heard, rtt),
	FIELD(xfer_heard, is_answer),
	FIELD(xfer_heard, reply),
	SIZE(xfer_asked),
	FIELD(xfer_asked, struct_size),
	FIELD(xfer_asked, sequence),
	FIELD(xfer_asked, is_question),
	SIZE(xfer_liveness_stats),
	FIELD(xfer_liveness_stats, struct_size),
	FIELD(xfer_liveness_stats, sent),
	FIELD(xfer_liveness_stats, received),
	FIELD(xfer_liveness_stats, lost),
	FIELD(xfer_liveness_stats, rejected),
	FIELD(xfer_liveness_stats, rtt_last),
	FIELD(xfer_liveness_stats, rtt_min),
	FIELD(xfer_liveness_stats, rtt_smoothed),
	FIELD(xfer_liveness_stats, rtt_max),
	FIELD(xfer_liveness_stats, last_heard),
	SIZE(xfer_liveness_ops),
	FIELD(xfer_liveness_ops, struct_size),
	FIELD(xfer_liveness_ops, datagram_size),
	FIELD(xfer_liveness_ops, timing),
	FIELD(xfer_liveness_ops, peer_create),
	FIELD(xfer_liveness_ops, peer_destroy),
	FIELD(xfer_liveness_ops, datagram_in),
	FIELD(xfer_liveness_ops, datagram_out),
	FIELD(xfer_liveness_ops, verdict),
	FIELD(xfer_liveness_ops, next_deadline),
	FIELD(xfer_liveness_ops, stats),
	FIELD(xfer_liveness_ops, progress_set),
	FIELD(xfer_liveness_ops, progress_get),
	SIZE(xfer_plugin),
	FIELD(xfer_plugin, struct_size),
	FIELD(xfer_plugin, abi_major),
	FIELD(xfer_plugin, abi_minor),
	FIELD(xfer_plugin, option_size),
	FIELD(xfer_plugin, kind),
	FIELD(xfer_plugin, name),
	FIELD(xfer_plugin, version),
	FIELD(xfer_plugin, summary),
	FIELD(xfer_plugin, capabilities),
	FIELD(xfer_plugin, thread_model),
	FIELD(xfer_plugin, options),
	FIELD(xfer_plugin, option_count),
	FIELD(xfer_plugin, create),
	FIELD(xfer_plugin, destroy),
	FIELD(xfer_plugin, transport),
	FIELD(xfer_plugin, integrity),
	FIELD(xfer_plugin, liveness),
};

static void test_golden(void **state)
{
	(void)state;
	if (sizeof(void *) != 8)
		skip(); /* the list was made with 64-bit pointers */
	const char *source = getenv("top_srcdir");
	char path[1024];
	snprintf(path, sizeof(path), "%s/tests/unit/abi-1.0-lp64.txt", source != NULL ? source : ".");
	FILE *golden = fopen(path, "re");
	assert_non_null(golden);
	char line[256];
	for (size_t i = 0; i < COUNT(PLACES); i++) {
		char want[256];
		snprintf(want, sizeof(want), "%s %zu %zu\n", PLACES[i].name, PLACES[i].offset, PLACES[i].size);
		if (fgets(line, sizeof(line), golden) == NULL)
			fail_msg("%s is not in the list", PLACES[i].name);
		assert_string_equal(want, line);
	}
	assert_null(fgets(line, sizeof(line), golden));
	fclose(golden);
}

/* The fields listed above are all that there are: no gap that alignment does not explain. */
static void test_complete(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(PLACES);) {
		size_t whole = PLACES[i++].size, end = 0;
		for (; i < COUNT(PLACES) && strchr(PLACES[i].name, '.') != NULL; i++) {
			assert_true(PLACES[i].offset >= end && PLACES[i].offset - end < 8);
			end = PLACES[i].offset + PLACES[i].size;
		}
		assert_true(whole >= end && whole - end < 8);
	}
}

/* Numbers that stand in compiled plug-ins. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(XFER_ABI_MAJOR, 1);
	assert_string_equal(XFER_PLUGIN_SYMBOL, "xfer_plugin_v1");
	assert_true(XFER_KIND_TRANSPORT == 1 && XFER_KIND_INTEGRITY == 2 && XFER_KIND_LIVENESS == 3);
	assert_true(XFER_THREADS_SERIALIZE == 0 && XFER_THREADS_PARALLEL_OBJECTS == 1);
	assert_true(XFER_LOG_ERROR == 0 && XFER_LOG_WARN == 1 && XFER_LOG_INFO == 2 && XFER_LOG_DEBUG == 3);
	assert_true(XFER_OPTION_BOOL == 1 && XFER_OPTION_INT == 2 && XFER_OPTION_SIZE == 3 &&
	            XFER_OPTION_DURATION == 4 && XFER_OPTION_STRING == 5);
	assert_true(XFER_OPTION_REQUIRED == 1 && XFER_OPTION_SECRET == 2);
	assert_true(XFER_CAP_INET == 1 && XFER_CAP_SECURE == 2);
	assert_true(XFER_POLL_READ == 1 && XFER_POLL_WRITE == 2);
	assert_true(XFER_DIGEST_MAX == 64 && XFER_KEY_SIZE == 16 && XFER_DATAGRAM_MAX == 512);
	assert_true(XFER_STRENGTH_NONE == 0 && XFER_STRENGTH_ACCIDENTAL == 1 && XFER_STRENGTH_CRYPTOGRAPHIC == 112);
	assert_true(XFER_UNKNOWN == 0 && XFER_ALIVE == 1 && XFER_SUSPECT == 2 && XFER_DEAD == 3);
	assert_true(XFER_ROLE_ASKER == 1 && XFER_ROLE_ANSWERER == 2 && XFER_PEER_STEADY == 1);
	assert_true(XFER_STAGE_IDLE == 0 && XFER_STAGE_READ == 1 && XFER_STAGE_HASH == 2 && XFER_STAGE_SEND == 3 &&
	            XFER_STAGE_RECEIVE == 4 && XFER_STAGE_WRITE == 5 && XFER_STAGE_SYNC == 6);
	assert_int_equal(sizeof(union xfer_value), 8);
	assert_int_equal(sizeof(enum xfer_kind), sizeof(int));
}

/* Which field the other side has, by its struct_size. */
static void test_has(void **state)
{
	(void)state;
	struct xfer_host host = { .struct_size = offsetof(struct xfer_host, now) + sizeof(host.now) };
	assert_true(XFER_HAS(&host, now));
	assert_false(XFER_HAS(&host, random));
	host.struct_size -= 1;
	assert_false(XFER_HAS(&host, now));
	assert_true(XFER_HAS(&host, error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_has),
	};
	return cmocka_run_group_tests_name("abi", tests, NULL, NULL);
}
