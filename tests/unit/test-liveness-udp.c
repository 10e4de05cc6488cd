/* SPDX-License-Identifier: BSD-2-Clause */
/* liveness-udp, one datagram at a time: the hash, what is accepted, what is refused, what is answered. */
#include "liveness.h"

#include "datagram.h"
#include "siphash.h"

/* The published answers for the key 00 01 … 0f and the messages "", 00, 00 01, … */
static const uint64_t siphash_answers[64] = {
	UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
	UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
	UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
	UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
	UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
	UINT64_C(0xa129ca6149be45e5), UINT64_C(0x3f2acc7f57c29bdb), UINT64_C(0x699ae9f52cbe4794),
	UINT64_C(0x4bc1b3f0968dd39c), UINT64_C(0xbb6dc91da77961bd), UINT64_C(0xbed65cf21aa2ee98),
	UINT64_C(0xd0f2cbb02e3b67c7), UINT64_C(0x93536795e3a33e88), UINT64_C(0xa80c038ccd5ccec8),
	UINT64_C(0xb8ad50c6f649af94), UINT64_C(0xbce192de8a85b8ea), UINT64_C(0x17d835b85bbb15f3),
	UINT64_C(0x2f2e6163076bcfad), UINT64_C(0xde4daaaca71dc9a5), UINT64_C(0xa6a2506687956571),
	UINT64_C(0xad87a3535c49ef28), UINT64_C(0x32d892fad841c342), UINT64_C(0x7127512f72f27cce),
	UINT64_C(0xa7f32346f95978e3), UINT64_C(0x12e0b01abb051238), UINT64_C(0x15e034d40fa197ae),
	UINT64_C(0x314dffbe0815a3b4), UINT64_C(0x027990f029623981), UINT64_C(0xcadcd4e59ef40c4d),
	UINT64_C(0x9abfd8766a33735c), UINT64_C(0x0e3ea96b5304a7d0), UINT64_C(0xad0c42d6fc585992),
	UINT64_C(0x187306c89bc215a9), UINT64_C(0xd4a60abcf3792b95), UINT64_C(0xf935451de4f21df2),
	UINT64_C(0xa9538f0419755787), UINT64_C(0xdb9acddff56ca510), UINT64_C(0xd06c98cd5c0975eb),
	UINT64_C(0xe612a3cb9ecba951), UINT64_C(0xc766e62cfcadaf96), UINT64_C(0xee64435a9752fe72),
	UINT64_C(0xa192d576b245165a), UINT64_C(0x0a8787bf8ecb74b2), UINT64_C(0x81b3e73d20b49b6f),
	UINT64_C(0x7fa8220ba3b2ecea), UINT64_C(0x245731c13ca42499), UINT64_C(0xb78dbfaf3a8d83bd),
	UINT64_C(0xea1ad565322a1a0b), UINT64_C(0x60e61c23a3795013), UINT64_C(0x6606d7e446282b93),
	UINT64_C(0x6ca4ecb15c5f91e1), UINT64_C(0x9f626da15c9625f3), UINT64_C(0xe51b38608ef25f57),
	UINT64_C(0x958a324ceb064572),
};

static void test_siphash_vectors(void **state)
{
	uint8_t bytes[64];
	struct siphash_key key;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	key = siphash_key(bytes);
	for (size_t len = 0; len < 64; len++)
		assert_true(siphash24(&key, bytes, len) == siphash_answers[len]);
}

/* A pair of peers, and the last datagram of each. */
struct pair {
	const struct xfer_liveness_ops *ops;
	struct xfer_peer *asker;
	struct xfer_peer *answerer;
	uint8_t question[XFER_DATAGRAM_MAX];
	uint8_t answer[XFER_DATAGRAM_MAX];
	uint64_t now;
};

static int pair_setup(void **state)
{
	static struct pair pair;
	struct xfer_peer_params params = liveness_params(XFER_ROLE_ASKER, 100 * S);

	pair = (struct pair){ .ops = xfer_plugin_v1()->liveness, .now = 100 * S };
	pair.asker = liveness_peer(&params);
	params.role = XFER_ROLE_ANSWERER;
	pair.answerer = liveness_peer(&params);
	*state = &pair;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *pair = *state;

	pair->ops->peer_destroy(pair->asker);
	pair->ops->peer_destroy(pair->answerer);
	return 0;
}

static ssize_t pair_out(struct pair *pair, struct xfer_peer *peer, uint8_t *bytes)
{
	struct xfer_asked asked = { .struct_size = sizeof(asked) };

	return pair->ops->datagram_out(peer, bytes, XFER_DATAGRAM_MAX, pair->now, &asked);
}

static int pair_in(struct pair *pair, struct xfer_peer *peer, const uint8_t *bytes, size_t len,
                   struct xfer_heard *heard)
{
	*heard = (struct xfer_heard){ .struct_size = sizeof(*heard) };
	return pair->ops->datagram_in(peer, bytes, len, pair->now, heard);
}

static void test_question_and_answer(void **state)
{
	struct pair *pair = *state;
	struct xfer_heard heard;
	const ssize_t size = (ssize_t)pair->ops->datagram_size;

	assert_true(size > 0 && size + 8 <= 80);
	assert_int_equal(pair->ops->verdict(pair->asker, pair->now), XFER_UNKNOWN);
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now), XFER_UNKNOWN);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), 0);

	assert_int_equal(pair_out(pair, pair->asker, pair->question), size);
	assert_int_equal(pair_out(pair, pair->asker, pair->question + 100), 0);
	pair->now += 3 * MS;
	assert_int_equal(pair_in(pair, pair->answerer, pair->question, (size_t)size, &heard), 0);
	assert_int_equal(heard.sequence, 1);
	assert_true(heard.reply && !heard.is_answer && heard.rtt == 0);
	assert_true(pair->ops->next_deadline(pair->answerer, pair->now) <= pair->now);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), size);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer + 100), 0); /* exactly one */
	pair->now += 4 * MS;
	assert_int_equal(pair_in(pair, pair->asker, pair->answer, (size_t)size, &heard), 0);
	assert_int_equal(heard.sequence, 1);
	assert_true(!heard.reply && heard.is_answer && heard.rtt == 7 * MS);
	assert_int_equal(pair_out(pair, pair->asker, pair->question), 0); /* no answer to an answer */
	assert_int_equal(pair->ops->verdict(pair->asker, pair->now), XFER_ALIVE);
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now), XFER_ALIVE);
	assert_true(liveness_stats(pair->asker).rtt_last == 7 * MS);
	assert_true(liveness_stats(pair->asker).rtt_smoothed == 7 * MS);
	assert_true(liveness_stats(pair->asker).last_heard == pair->now);
}

/* Lets one exchange go through. */
static void pair_exchange(struct pair *pair)
{
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;

	pair->now = pair->ops->next_deadline(pair->asker, pair->now);
	while (pair_out(pair, pair->asker, pair->question) == 0)
		pair->now = pair->ops->next_deadline(pair->asker, pair->now);
	assert_int_equal(pair_in(pair, pair->answerer, pair->question, size, &heard), 0);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), (int)size);
	pair->now += MS;
	assert_int_equal(pair_in(pair, pair->asker, pair->answer, size, &heard), 0);
}

static void test_every_flipped_bit(void **state)
{
	struct pair *pair = *state;
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;

	assert_int_equal(pair_out(pair, pair->asker, pair->question), (int)size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		pair->question[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pair_in(pair, pair->answerer, pair->question, size, &heard), -EBADMSG);
		assert_int_equal(pair_out(pair, pair->answerer, pair->answer), 0);
		pair->question[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now), XFER_UNKNOWN);
	assert_int_equal(pair_in(pair, pair->answerer, pair->question, size, &heard), 0);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), (int)size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		pair->answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(pair_in(pair, pair->asker, pair->answer, size, &heard), -EBADMSG);
		pair->answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(pair->ops->verdict(pair->asker, pair->now), XFER_UNKNOWN);
	assert_int_equal(pair_in(pair, pair->asker, pair->answer, size, &heard), 0);
	assert_int_equal(liveness_stats(pair->asker).rejected, size * 8);
	assert_int_equal(liveness_stats(pair->answerer).rejected, size * 8);
}

static void test_every_length(void **state)
{
	struct pair *pair = *state;
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;
	uint8_t small[8];
	struct xfer_asked asked = { .struct_size = sizeof(asked) };

	assert_int_equal(pair->ops->datagram_out(pair->asker, small, sizeof(small), pair->now, &asked), -EMSGSIZE);
	assert_int_equal(pair_out(pair, pair->asker, pair->question), (int)size);
	for (size_t len = 0; len <= XFER_DATAGRAM_MAX; len++)
		if (len != size)
			assert_int_equal(pair_in(pair, pair->answerer, pair->question, len, &heard), -EBADMSG);
}

static void test_reflected(void **state)
{
	struct pair *pair = *state;
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;

	assert_int_equal(pair_out(pair, pair->asker, pair->question), (int)size);
	assert_int_equal(pair_in(pair, pair->asker, pair->question, size, &heard), -EBADMSG);
	assert_int_equal(pair_in(pair, pair->answerer, pair->question, size, &heard), 0);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), (int)size);
	assert_int_equal(pair_in(pair, pair->answerer, pair->answer, size, &heard), -EBADMSG);
	assert_int_equal(pair_out(pair, pair->answerer, pair->answer), 0);
}

static void test_other_session(void **state)
{
	struct pair *pair = *state;
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;
	struct xfer_peer_params params = liveness_params(XFER_ROLE_ANSWERER, pair->now);
	struct xfer_peer *other;

	assert_int_equal(pair_out(pair, pair->asker, pair->question), (int)size);
	params.slot ^= 1;
	other = liveness_peer(&params);
	assert_int_equal(pair_in(pair, other, pair->question, size, &heard), -EBADMSG);
	pair->ops->peer_destroy(other);
	params.slot ^= 1;
	params.key[15] ^= 1;
	other = liveness_peer(&params);
	assert_int_equal(pair_in(pair, other, pair->question, size, &heard), -EBADMSG);
	pair->ops->peer_destroy(other);
}

/* Questions of the last 64 may come in any order, each once; older ones never. Of answers the same holds. */
static void test_replayed_and_reordered(void **state)
{
	enum { COUNT = 80, KEPT = 64 };
	struct pair *pair = *state;
	struct xfer_heard heard;
	const size_t size = pair->ops->datagram_size;
	static uint8_t questions[COUNT][XFER_DATAGRAM_MAX];
	static uint8_t answers[COUNT][XFER_DATAGRAM_MAX];

	for (int i = 0; i < COUNT; i++) {
		while (pair_out(pair, pair->asker, questions[i]) == 0)
			pair->now = pair->ops->next_deadline(pair->asker, pair->now);
		if (i >= COUNT - KEPT)
			continue;
		/* The answers to the early ones are held back. */
		assert_int_equal(pair_in(pair, pair->answerer, questions[i], size, &heard), 0);
		assert_int_equal(pair_out(pair, pair->answerer, answers[i]), (int)size);
	}
	assert_int_equal(pair_in(pair, pair->answerer, questions[COUNT - 1], size, &heard), 0);
	assert_int_equal(pair_out(pair, pair->answerer, answers[COUNT - 1]), (int)size);
	for (int i = 0; i < COUNT - 1; i++) {
		int fresh = i >= COUNT - KEPT;

		assert_int_equal(pair_in(pair, pair->answerer, questions[i], size, &heard), fresh ? 0 : -EBADMSG);
		assert_int_equal(pair_out(pair, pair->answerer, fresh ? answers[i] : pair->answer),
		                 fresh ? (int)size : 0);
	}
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(pair_in(pair, pair->answerer, questions[i], size, &heard), -EBADMSG);
	for (int i = COUNT - 1; i >= 0; i--)
		assert_int_equal(pair_in(pair, pair->asker, answers[i], size, &heard),
		                 i >= COUNT - KEPT ? 0 : -EBADMSG);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(pair_in(pair, pair->asker, answers[i], size, &heard), -EBADMSG);
	assert_int_equal(liveness_stats(pair->asker).received, KEPT);
}

static void test_progress(void **state)
{
	struct pair *pair = *state;
	const struct xfer_progress ours = {
		.struct_size = sizeof(ours),
		.received = UINT64_C(0x0102030405060708),
		.verified = UINT64_C(0x1112131415161718),
		.durable = UINT64_C(0x2122232425262728),
		.stage = XFER_STAGE_SYNC,
		.stage_age_ms = 40000,
	};
	struct xfer_progress theirs = { .struct_size = sizeof(theirs) };

	pair->ops->progress_get(pair->answerer, &theirs);
	assert_true(theirs.received == 0 && theirs.stage == 0);
	pair->ops->progress_set(pair->asker, &ours);
	pair_exchange(pair);
	pair_exchange(pair);
	pair->ops->progress_get(pair->answerer, &theirs);
	assert_true(theirs.received == ours.received && theirs.verified == ours.verified);
	assert_true(theirs.durable == ours.durable && theirs.stage == ours.stage);
	assert_true(theirs.stage_age_ms == ours.stage_age_ms);
	/* The asker's own figures travel with it. */
	assert_int_equal(theirs.rtt_us, 1000);
	assert_true(liveness_stats(pair->answerer).rtt_last == MS);
	pair->ops->progress_set(pair->answerer, &ours);
	pair_exchange(pair);
	pair->ops->progress_get(pair->asker, &theirs);
	assert_true(theirs.received == ours.received && theirs.stage_age_ms == ours.stage_age_ms);
}

/* RFC 6298: the first measurement is the mean, each further one moves it by an eighth. */
static void test_round_trips(void **state)
{
	static const uint64_t delays[] = { 80 * MS, 160 * MS, 8 * MS };
	struct pair *pair = *state;
	struct xfer_heard heard;
	struct xfer_liveness_stats stats;
	const size_t size = pair->ops->datagram_size;

	for (size_t i = 0; i < 3; i++) {
		while (pair_out(pair, pair->asker, pair->question) == 0)
			pair->now = pair->ops->next_deadline(pair->asker, pair->now);
		assert_int_equal(pair_in(pair, pair->answerer, pair->question, size, &heard), 0);
		assert_int_equal(pair_out(pair, pair->answerer, pair->answer), (int)size);
		pair->now += delays[i];
		assert_int_equal(pair_in(pair, pair->asker, pair->answer, size, &heard), 0);
		assert_true(heard.rtt == delays[i]);
	}
	stats = liveness_stats(pair->asker);
	assert_true(stats.rtt_min == 8 * MS && stats.rtt_max == 160 * MS && stats.rtt_last == 8 * MS);
	assert_true(stats.rtt_smoothed == 79750000); /* 80; 70 + 20 = 90; 78.75 + 1 = 79.75 */
	assert_true(stats.sent == 3 && stats.received == 3 && stats.lost == 0);
}

/* The clock of the core stands still while the observer does; a `now` that goes back is taken as the latest known. */
static void test_time_never_goes_back(void **state)
{
	struct pair *pair = *state;

	pair_exchange(pair);
	pair->ops->verdict(pair->asker, pair->now + 10 * S);
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now), XFER_ALIVE);
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now + 4 * S), XFER_DEAD);
	assert_int_equal(pair->ops->verdict(pair->answerer, pair->now), XFER_DEAD);
}

/* Silence is no proof of death while nothing was asked. */
static void test_dead_only_after_questions(void **state)
{
	struct pair *pair = *state;

	for (int i = 0; i < 5; i++)
		pair_exchange(pair);
	pair->now += 5 * S;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pair->ops->verdict(pair->asker, pair->now), XFER_SUSPECT);
		pair->now = pair->ops->next_deadline(pair->asker, pair->now);
		while (pair_out(pair, pair->asker, pair->question) == 0)
			pair->now = pair->ops->next_deadline(pair->asker, pair->now);
	}
	assert_int_equal(pair->ops->verdict(pair->asker, pair->now), XFER_DEAD);
}

static void test_bad_params(void **state)
{
	struct xfer_peer_params params = liveness_params(XFER_ROLE_ASKER, S);
	const struct xfer_liveness_ops *ops = xfer_plugin_v1()->liveness;
	struct xfer_peer *peer = NULL;
	uint64_t interval = 0;
	uint64_t dead_after = 0;
	void *instance = NULL;
	int errors = 0;

	(void)state;
	params.interval = 0;
	assert_int_equal(ops->peer_create(NULL, &params, &peer), -EINVAL);
	params = liveness_params((enum xfer_role)3, S);
	assert_int_equal(ops->peer_create(NULL, &params, &peer), -EINVAL);
	assert_null(peer);

	assert_int_equal(liveness_create(2 * S, 5 * S, &errors, &instance), -EINVAL);
	assert_int_equal(errors, 1);
	assert_null(instance);
	assert_int_equal(liveness_create(2 * S, 6 * S, &errors, &instance), 0);
	assert_int_equal(errors, 1);
	ops->timing(instance, &interval, &dead_after);
	assert_true(interval == 2 * S && dead_after == 6 * S);
	xfer_plugin_v1()->destroy(instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test_setup_teardown(test_question_and_answer, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_every_flipped_bit, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_every_length, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_reflected, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_other_session, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_replayed_and_reordered, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_progress, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_round_trips, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_time_never_goes_back, pair_setup, pair_teardown),
		cmocka_unit_test_setup_teardown(test_dead_only_after_questions, pair_setup, pair_teardown),
		cmocka_unit_test(test_bad_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
