/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * liveness-udp over a simulated network, in simulated time: no false death, every real one in time, figures that are
 * right. Each trial comes from its seed; a failed one names it.
 */
#include "liveness.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* A sanitizer makes each step several times dearer; the full count runs without one. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HOURS = 20, DEATHS = 200 };
#else
enum { HOURS = 200, DEATHS = 1000 };
#endif

enum { FLIGHT_MAX = 256, OVERHEARD = 16 };

struct packet {
	uint64_t arrives;
	int to_asker;
	uint8_t bytes[XFER_DATAGRAM_MAX];
};

struct net {
	const struct xfer_liveness_ops *ops;
	struct xfer_peer *asker;
	struct xfer_peer *answerer;
	uint64_t seed;
	uint64_t random;
	uint64_t now;
	uint64_t delay_min; /* one way, ns */
	uint64_t delay_span;
	uint32_t loss_ppm; /* each way */
	int asker_stopped;
	int answerer_stopped;
	int hostile;                   /* what goes by is repeated, late, and forged */
	int steady;                    /* peers are told times as the core tells them, which leave out its own pauses */
	struct clock_steady clocks[2]; /* the answerer's, the asker's */
	uint8_t overheard[2][OVERHEARD][XFER_DATAGRAM_MAX]; /* to the answerer, to the asker */
	unsigned overheard_count[2];
	uint64_t asker_dead_at; /* first DEAD of each; 0 = none */
	uint64_t answerer_dead_at;
	uint64_t asked; /* questions sent; and the time of the last one */
	uint64_t last_asked;
	uint64_t gap_min; /* between two questions, since it was reset */
	struct packet flight[FLIGHT_MAX];
	int flying;
};

/* splitmix64 */
static uint64_t net_random(struct net *net)
{
	uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void net_start(struct net *net, uint64_t seed, uint32_t flags)
{
	struct xfer_peer_params params;

	*net = (struct net){ .ops = xfer_plugin_v1()->liveness, .seed = seed, .random = seed };
	net->now = 1000 * S + net_random(net) % (1000 * S);
	net->delay_min = 5 * MS;
	net->gap_min = UINT64_MAX;
	params = liveness_params(XFER_ROLE_ASKER, net->now);
	params.flags = flags;
	net->asker = liveness_peer(&params);
	params.flags = 0;
	params.role = XFER_ROLE_ANSWERER;
	net->answerer = liveness_peer(&params);
}

static void net_end(struct net *net)
{
	net->ops->peer_destroy(net->asker);
	net->ops->peer_destroy(net->answerer);
}

/* The time as the peer on this side knows it. */
static uint64_t net_time(struct net *net, int asker)
{
	return net->steady ? clock_steady_tick(&net->clocks[asker], net->now, NULL) : net->now;
}

/* And when that time has come. */
static uint64_t net_when(const struct net *net, int asker, uint64_t time)
{
	return net->steady && time != UINT64_MAX ? time + net->clocks[asker].forgiven : time;
}

static void net_throw(struct net *net, int to_asker, const uint8_t *bytes)
{
	struct packet *packet = &net->flight[net->flying];

	assert_true(net->flying < FLIGHT_MAX);
	packet->arrives = net->now + net->delay_min + (net->delay_span ? net_random(net) % net->delay_span : 0);
	packet->to_asker = to_asker;
	memcpy(packet->bytes, bytes, net->ops->datagram_size);
	net->flying++;
}

/* Somebody who hears all and has no key: sends again what went by, as it was and altered, to both. */
static void net_interfere(struct net *net, int to_asker, const uint8_t *bytes)
{
	unsigned *count = &net->overheard_count[to_asker];

	memcpy(net->overheard[to_asker][(*count)++ % OVERHEARD], bytes, net->ops->datagram_size);
	for (int to = 0; to < 2; to++) {
		uint8_t copy[XFER_DATAGRAM_MAX];
		unsigned have = net->overheard_count[to] < OVERHEARD ? net->overheard_count[to] : OVERHEARD;

		if (have == 0)
			continue;
		memcpy(copy, net->overheard[to][net_random(net) % have], sizeof(copy));
		net_throw(net, to, copy);
		net_throw(net, !to, copy);
		copy[net_random(net) % net->ops->datagram_size] ^= (uint8_t)(1u << net_random(net) % 8);
		net_throw(net, to, copy);
	}
}

static void net_send(struct net *net, int to_asker, const uint8_t *bytes)
{
	if (net_random(net) % 1000000 < net->loss_ppm)
		return;
	net_throw(net, to_asker, bytes);
	/* What was lost nobody can keep: who could would make an answer late, and life of it. */
	if (net->hostile)
		net_interfere(net, to_asker, bytes);
}

/* Sends what a peer has to send and notes its verdict, as the core does at a deadline. */
static void net_turn(struct net *net, int asker)
{
	struct xfer_peer *peer = asker ? net->asker : net->answerer;
	uint64_t *dead_at = asker ? &net->asker_dead_at : &net->answerer_dead_at;
	struct xfer_asked asked = { .struct_size = sizeof(asked) };
	uint8_t bytes[XFER_DATAGRAM_MAX];

	if (asker ? net->asker_stopped : net->answerer_stopped)
		return;
	uint64_t now = net_time(net, asker);

	if (net->ops->datagram_out(peer, bytes, sizeof(bytes), now, &asked) > 0) {
		assert_int_equal(asked.is_question, asker);
		if (asker && net->asked++ > 0 && net->now - net->last_asked < net->gap_min)
			net->gap_min = net->now - net->last_asked;
		if (asker)
			net->last_asked = net->now;
		net_send(net, !asker, bytes);
	}
	if (*dead_at == 0 && net->ops->verdict(peer, now) == XFER_DEAD)
		*dead_at = net->now;
}

static void net_arrive(struct net *net, int index)
{
	struct packet packet = net->flight[index];
	struct xfer_peer *peer = packet.to_asker ? net->asker : net->answerer;
	struct xfer_heard heard = { .struct_size = sizeof(heard) };

	net->flight[index] = net->flight[--net->flying];
	if (packet.to_asker ? net->asker_stopped : net->answerer_stopped)
		return;
	if (net->ops->datagram_in(peer, packet.bytes, net->ops->datagram_size, net_time(net, packet.to_asker),
	                          &heard) == 0 &&
	    heard.reply)
		net_turn(net, 0);
}

/* When this side has something to do; where it knows pauses, it looks at its clock now and then whatever comes. */
static uint64_t net_deadline(struct net *net, int asker)
{
	struct xfer_peer *peer = asker ? net->asker : net->answerer;
	uint64_t when, tick;

	if (asker ? net->asker_stopped : net->answerer_stopped)
		return UINT64_MAX;
	when = net_when(net, asker, net->ops->next_deadline(peer, net_time(net, asker)));
	tick = net->now + CLOCK_TICK;
	return net->steady && tick < when ? tick : when;
}

/* Nothing but deadlines and arrivals moves the time: what a deadline forgets is never done. */
static void net_run(struct net *net, uint64_t until)
{
	for (uint64_t steps = 0;; steps++) {
		uint64_t asker = net_deadline(net, 1);
		uint64_t answerer = net_deadline(net, 0);
		uint64_t next = asker < answerer ? asker : answerer;
		int arriving = -1;

		for (int i = 0; i < net->flying; i++) {
			if (net->flight[i].arrives < next) {
				next = net->flight[i].arrives;
				arriving = i;
			}
		}
		if (next > until)
			break;
		if (next > net->now) {
			net->now = next;
			steps = 0;
		}
		if (steps > 10) {
			print_error("seed %ju: a deadline that does not move on\n", (uintmax_t)net->seed);
			fail();
		}
		if (arriving >= 0)
			net_arrive(net, arriving);
		else
			net_turn(net, asker <= answerer);
	}
	net->now = until;
}

static void test_no_false_death(void **state)
{
	struct net net;

	(void)state;
	for (uint64_t seed = 1; seed <= HOURS; seed++) {
		struct xfer_liveness_stats stats;

		net_start(&net, seed, 0);
		net.loss_ppm = 300000;
		net.delay_span = seed % 4 * 40 * MS;
		net_run(&net, net.now + 3600 * S);
		if (net.asker_dead_at != 0 || net.answerer_dead_at != 0) {
			print_error("seed %ju: a living peer was called dead\n", (uintmax_t)seed);
			fail();
		}
		stats = liveness_stats(net.asker);
		assert_true(stats.sent > 7000);
		/* 1 - 0.7 * 0.7 = 0.51 of the questions find no answer; what is on its way is neither lost nor heard. */
		assert_true(stats.lost + stats.received + 64 >= stats.sent &&
		            stats.lost + stats.received <= stats.sent);
		assert_true(stats.lost * 100 > stats.sent * 48 && stats.lost * 100 < stats.sent * 54);
		net_end(&net);
	}
}

/* One tick for the last datagram that was on its way when the peer died. */
static void test_every_death_in_time(void **state)
{
	struct net net;
	int deaths = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= DEATHS; seed++) {
		uint64_t died;
		int *stopped = seed % 2 ? &net.answerer_stopped : &net.asker_stopped;
		uint64_t *dead_at = seed % 2 ? &net.asker_dead_at : &net.answerer_dead_at;

		net_start(&net, seed, 0);
		net.loss_ppm = (uint32_t)(net_random(&net) % 300000);
		net.delay_min = 50000 + net_random(&net) % (100 * MS);
		net.delay_span = net_random(&net) % (50 * MS) + 1;
		died = net.now + 5 * S + net_random(&net) % (60 * S);
		net_run(&net, died);
		assert_true(net.asker_dead_at == 0 && net.answerer_dead_at == 0);
		*stopped = 1;
		net_run(&net, died + 10 * S);
		if (*dead_at == 0 || *dead_at > died + net.delay_min + net.delay_span + 4 * S) {
			print_error("seed %ju: a death was noticed after %ju ms\n", (uintmax_t)seed,
			            (uintmax_t)((*dead_at - died) / MS));
			fail();
		}
		deaths++;
		net_end(&net);
	}
	assert_int_equal(deaths, DEATHS);
}

/* Who hears all and has no key makes nobody die, and keeps no dead alive. */
static void test_hostile(void **state)
{
	struct net net;

	(void)state;
	for (uint64_t seed = 1; seed <= HOURS; seed++) {
		int asker_dies = seed % 2 == 0;
		uint64_t *dead_at = asker_dies ? &net.answerer_dead_at : &net.asker_dead_at;
		uint64_t died;

		net_start(&net, seed, 0);
		net.hostile = 1;
		net.loss_ppm = 300000;
		net.delay_span = 300 * MS;
		net_run(&net, net.now + 360 * S);
		if (net.asker_dead_at != 0 || net.answerer_dead_at != 0) {
			print_error("seed %ju: a living peer was called dead\n", (uintmax_t)seed);
			fail();
		}
		died = net.now;
		*(asker_dies ? &net.asker_stopped : &net.answerer_stopped) = 1;
		for (int i = 0; i < 100; i++) {
			/* What was said before goes on being said. */
			net_interfere(&net, !asker_dies, net.overheard[!asker_dies][i % OVERHEARD]);
			net_run(&net, net.now + 100 * MS);
		}
		if (*dead_at == 0 || *dead_at > died + net.delay_min + net.delay_span + 4 * S) {
			print_error("seed %ju: a death was noticed after %ju ms\n", (uintmax_t)seed,
			            (uintmax_t)((*dead_at - died) / MS));
			fail();
		}
		net_end(&net);
	}
}

/* Who was stopped for 30 s, and goes on, calls nobody dead for it; and still notices a death afterwards. */
static void test_observer_stopped(void **state)
{
	struct net net;

	(void)state;
	for (uint64_t seed = 1; seed <= DEATHS; seed++) {
		int asker_stops = seed % 2 == 0;
		uint64_t *dead_at = asker_stops ? &net.asker_dead_at : &net.answerer_dead_at;
		uint64_t died;

		net_start(&net, seed, 0);
		net.steady = 1;
		net.loss_ppm = (uint32_t)(net_random(&net) % 300000);
		net.delay_span = net_random(&net) % (50 * MS) + 1;
		net_run(&net, net.now + 5 * S + net_random(&net) % (5 * S));
		*(asker_stops ? &net.asker_stopped : &net.answerer_stopped) = 1;
		net_run(&net, net.now + 30 * S);
		net.asker_stopped = net.answerer_stopped = 0;
		/* At once, before anything is heard. */
		net_turn(&net, asker_stops);
		net_run(&net, net.now + 60 * S);
		if (*dead_at != 0) {
			print_error("seed %ju: a peer was called dead for our own pause\n", (uintmax_t)seed);
			fail();
		}
		died = net.now;
		*(asker_stops ? &net.answerer_stopped : &net.asker_stopped) = 1;
		net_run(&net, died + 10 * S);
		assert_true(*dead_at != 0 && *dead_at <= died + net.delay_min + net.delay_span + 4 * S + CLOCK_TICK);
		net_end(&net);
	}
}

static void test_figures(void **state)
{
	struct net net;
	struct xfer_liveness_stats stats;
	struct xfer_progress theirs = { .struct_size = sizeof(theirs) };

	(void)state;
	net_start(&net, 7, 0);
	net.delay_min = 10 * MS;
	net.delay_span = 10 * MS;
	net_run(&net, net.now + 600 * S);
	stats = liveness_stats(net.asker);
	assert_int_equal(stats.sent, 1201);
	assert_int_equal(stats.lost, 0);
	assert_int_equal(stats.rejected, 0);
	assert_true(stats.rtt_min >= 20 * MS && stats.rtt_min < 22 * MS);
	assert_true(stats.rtt_max <= 40 * MS && stats.rtt_max > 38 * MS);
	assert_true(stats.rtt_smoothed > 26 * MS && stats.rtt_smoothed < 34 * MS);
	net.ops->progress_get(net.answerer, &theirs);
	assert_int_equal(theirs.loss_ppm, 0);
	stats = liveness_stats(net.answerer);
	assert_true(stats.rtt_smoothed > 26 * MS && stats.rtt_smoothed < 34 * MS);
	assert_int_equal(stats.lost, 0);

	/* Loss on one way only, so that the answerer counts all of it. */
	net.loss_ppm = 200000;
	net_run(&net, net.now + 600 * S);
	net.ops->progress_get(net.answerer, &theirs);
	assert_in_range(theirs.loss_ppm, 150000, 600000); /* 0.36 expected, over 64 questions */
	assert_int_equal(theirs.loss_ppm % 15625, 0);     /* a 64th */
	net_end(&net);
}

static void test_haste(void **state)
{
	struct net net;
	uint64_t before;

	(void)state;
	net_start(&net, 3, 0);
	net_run(&net, net.now + 10100 * MS);
	assert_true(net.gap_min == 500 * MS);
	net.loss_ppm = 1000000;
	/* Unanswered at 10.5 and 11.0: the second is missed at 11.25; from there on a question goes out every 100 ms. */
	net_run(&net, net.now + 1149 * MS);
	assert_true(net.gap_min == 500 * MS);
	net_run(&net, net.now + MS);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_SUSPECT);
	before = net.asked;
	net_run(&net, net.now + 2 * S);
	assert_int_equal(net.asked - before, 20);
	assert_true(net.gap_min >= 100 * MS);
	net.loss_ppm = 0;
	net_run(&net, net.now + 200 * MS);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_ALIVE);
	before = net.asked;
	net_run(&net, net.now + 5 * S);
	assert_in_range(net.asked - before, 10, 11);
	assert_true(net.asker_dead_at == 0 && net.answerer_dead_at == 0);
	net_end(&net);
}

static void test_steady(void **state)
{
	struct net net;

	(void)state;
	net_start(&net, 4, XFER_PEER_STEADY);
	net_run(&net, net.now + 5 * S);
	net.loss_ppm = 1000000;
	net_run(&net, net.now + 20 * S);
	assert_true(net.gap_min == 500 * MS);
	assert_int_equal(net.asked, 51);
	net_end(&net);
}

/* Nobody answers: questions go on, nobody is called dead who never lived. */
static void test_never_heard(void **state)
{
	struct net net;

	(void)state;
	net_start(&net, 5, 0);
	net.loss_ppm = 1000000;
	net_run(&net, net.now + 60 * S);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_UNKNOWN);
	assert_int_equal(net.ops->verdict(net.answerer, net.now), XFER_UNKNOWN);
	assert_true(net.asked > 120);
	net_end(&net);
}

/* Answers that come after two intervals count as lost, and yet as life. */
static void test_late_answers(void **state)
{
	struct net net;
	struct xfer_liveness_stats stats;

	(void)state;
	net_start(&net, 6, 0);
	net_run(&net, net.now + 10 * S);
	net.delay_min = 750 * MS; /* a round trip of 1.5 s, at once */
	net_run(&net, net.now + 60 * S);
	assert_true(net.asker_dead_at == 0 && net.answerer_dead_at == 0);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_ALIVE);
	stats = liveness_stats(net.asker);
	assert_true(stats.lost > 0 && stats.rtt_max >= 1500 * MS && stats.rejected == 0);
	/* A round trip that stays long becomes the usual one: no haste for ever. */
	net.gap_min = UINT64_MAX;
	net_run(&net, net.now + 10 * S);
	assert_true(net.gap_min == 500 * MS);
	net_end(&net);
}

/* A peer that was dead and speaks again is alive. */
static void test_resurrection(void **state)
{
	struct net net;

	(void)state;
	net_start(&net, 8, 0);
	net_run(&net, net.now + 5 * S);
	net.answerer_stopped = 1;
	net_run(&net, net.now + 5 * S);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_DEAD);
	net.answerer_stopped = 0;
	net_run(&net, net.now + 200 * MS);
	assert_int_equal(net.ops->verdict(net.asker, net.now), XFER_ALIVE);
	net_end(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_false_death), cmocka_unit_test(test_every_death_in_time),
		cmocka_unit_test(test_hostile),        cmocka_unit_test(test_observer_stopped),
		cmocka_unit_test(test_figures),        cmocka_unit_test(test_haste),
		cmocka_unit_test(test_steady),         cmocka_unit_test(test_never_heard),
		cmocka_unit_test(test_late_answers),   cmocka_unit_test(test_resurrection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
