/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim.h"

#include "alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256 * 1024 };

struct sim_block {
	struct sim_block *next;
	_Alignas(16) uint8_t bytes[];
};

static uint64_t running; /* for a handler of signals */
static struct sim_block *spare;
static long blocks; /* allocated by us */

void sim_begin(struct sim *sim, uint64_t seed, bool trace)
{
	*sim = (struct sim){ .seed = seed, .random = seed, .now = CLOCK_SECOND, .moved = CLOCK_SECOND, .trace = trace };
	running = seed;
}

/* Blocks of the usual size are kept for the next run. */
static void block_drop(struct sim_block *block, size_t size)
{
	if (size != BLOCK) {
		free(block);
		blocks--;
		return;
	}
	block->next = spare;
	spare = block;
}

void sim_tidy(void)
{
	while (spare != NULL) {
		struct sim_block *block = spare;

		spare = block->next;
		free(block);
		blocks--;
	}
}

long sim_live(void)
{
	return alloc_live() - blocks;
}

void sim_end(struct sim *sim)
{
	while (sim->blocks != NULL) {
		struct sim_block *block = sim->blocks;
		size_t size;

		sim->blocks = block->next;
		memcpy(&size, block->bytes, sizeof(size));
		block_drop(block, size);
	}
	heap_free(&sim->queue);
	running = 0;
}

uint64_t sim_running(void)
{
	return running;
}

/* ---- chance ---- */

/* splitmix64: any seed is as good as another. */
uint64_t sim_number(struct sim *sim)
{
	uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
	return limit > 0 ? sim_number(sim) % limit : 0;
}

bool sim_chance(struct sim *sim, unsigned percent)
{
	return sim_below(sim, 100) < percent;
}

uint64_t sim_around(struct sim *sim, uint64_t most)
{
	uint64_t z = sim_number(sim);

	if (z % 64 == 0)
		most *= 10;
	return (z >> 8) % (most + 1);
}

bool sim_strikes(struct sim *sim, enum sim_strike strike)
{
	struct sim_odds *odds = &sim->odds[strike];

	if (odds->left == 0 || sim->calm)
		return false;
	if (odds->wait > 0) {
		odds->wait--;
		return false;
	}
	odds->left--;
	odds->hits++;
	odds->wait = (unsigned)sim_below(sim, odds->spread + 1);
	return true;
}

unsigned sim_struck(const struct sim *sim)
{
	unsigned hits = 0;

	for (size_t i = 0; i < STRIKES; i++)
		hits += sim->odds[i].hits;
	return hits;
}

/* ---- memory ---- */

static void block_add(struct sim *sim, size_t size)
{
	struct sim_block *block = spare != NULL && size == BLOCK ? spare : malloc(sizeof(*block) + size);

	if (block == NULL)
		abort();
	if (block == spare)
		spare = block->next;
	else
		blocks++;
	block->next = sim->blocks;
	memcpy(block->bytes, &size, sizeof(size));
	sim->blocks = block;
	sim->at = block->bytes + 16;
	sim->room = size - 16;
}

void *sim_take_raw(struct sim *sim, size_t size)
{
	void *out;

	size = (size + 15) / 16 * 16;
	if (size > sim->room)
		block_add(sim, size + 16 > BLOCK ? size + 16 : BLOCK);
	out = sim->at;
	sim->at += size;
	sim->room -= size;
	return out;
}

void *sim_take(struct sim *sim, size_t size)
{
	return memset(sim_take_raw(sim, size), 0, size);
}

/* ---- time ---- */

void sim_after(struct sim *sim, struct sim_event *event, uint64_t delay, void (*run)(struct sim *, struct sim_event *))
{
	event->run = run;
	if (heap_set(&sim->queue, &event->node, sim->now + delay) < 0)
		abort();
}

void sim_never(struct sim *sim, struct sim_event *event)
{
	heap_remove(&sim->queue, &event->node);
}

bool sim_step(struct sim *sim)
{
	struct heap_node *node = heap_first(&sim->queue);
	struct sim_event *event = list_entry(node, struct sim_event, node);

	if (node == NULL)
		return false;
	sim->events++;
	sim_check(sim, sim->events < SIM_EVENTS_MAX, "it does not come to an end");
	sim_check(sim, node->when >= sim->now, "time goes back");
	sim->now = node->when;
	sim_check(sim, sim->now - sim->moved < SIM_STUCK, "it is stuck: nothing but heartbeats for %llu s",
	          (unsigned long long)(SIM_STUCK / CLOCK_SECOND));
	heap_remove(&sim->queue, node);
	event->run(sim, event);
	return true;
}

/* ---- verdict ---- */

__attribute__((format(printf, 2, 0))) static void say(const struct sim *sim, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	for (char *at = text; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~') /* names are any bytes */
			*at = '?';
	}
	printf("# %12.6f  %s\n", (double)sim->now / 1e9, text);
}

void sim_tell(const struct sim *sim, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(sim, format, args);
	va_end(args);
}

void sim_fail(const struct sim *sim, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(sim, format, args);
	va_end(args);
	printf("# seed %llu; again, step by step: tests/unit/test-session-sim %llu\n", (unsigned long long)sim->seed,
	       (unsigned long long)sim->seed);
	printf("not ok 1 - seed %llu\n1..1\n", (unsigned long long)sim->seed);
	exit(1);
}

void sim_enter(struct sim *sim)
{
	(void)sim;
	alloc_pause(false);
}

void sim_leave(struct sim *sim)
{
	(void)sim;
	alloc_pause(true);
}

/* ---- digests ---- */

uint64_t sim_hash(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint64_t lanes[4] = { len + 1, 2, 3, 4 };
	uint64_t sum = 0;

	for (; len >= 32; len -= 32, at += 32) {
		uint64_t words[4];

		memcpy(words, at, sizeof(words));
		for (size_t i = 0; i < 4; i++)
			lanes[i] = (lanes[i] ^ words[i]) * UINT64_C(0x9fb21c651e98df25);
	}
	for (; len > 0; len--, at++)
		lanes[len % 4] = (lanes[len % 4] ^ *at) * UINT64_C(0x9fb21c651e98df25);
	for (size_t i = 0; i < 4; i++) {
		sum = (sum ^ lanes[i] ^ (lanes[i] >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
		sum ^= sum >> 31;
	}
	return sum | 1; /* never 0, which means "not known" here and there */
}

void sim_digest(uint8_t *out, uint32_t size, uint64_t hash)
{
	for (uint32_t i = 0; i < size; i++)
		out[i] = (uint8_t)(hash >> (i % 8 * 8));
}
