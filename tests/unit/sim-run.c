/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-run.h"

#include "alloc.h"
#include "sim-judge.h"
#include "sim-sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRANSFERS_MAX = 3, CONNECTIONS_MAX = 4 };

struct world {
	struct sim sim;
	struct sim_tree tree;
	struct sim_disk disk;
	struct sim_transfer transfers[TRANSFERS_MAX];
	bool killed; /* something may be left lying about */
	bool broke;  /* the connection had a reason to end early */
};

struct connection {
	struct sim_sender sender;
	struct sim_receiver receiver;
	struct sim_stream down, up; /* from the source, to the source */
};

/* ---- what the seed decides ---- */

static uint64_t one_of(struct sim *sim, const uint64_t *values, size_t count)
{
	return values[sim_below(sim, count)];
}
#define ONE_OF(sim, ...)                                                                                               \
	one_of((sim), (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static unsigned nodes_draw(struct sim *sim)
{
	uint64_t draw = sim_below(sim, 1000);

	if (draw < 200)
		return 0;
	if (draw < 600)
		return 1 + (unsigned)sim_below(sim, 6);
	if (draw < 960)
		return 6 + (unsigned)sim_below(sim, 30);
	if (draw < 999)
		return 40 + (unsigned)sim_below(sim, 200);
	return sim_chance(sim, 50) ? 3000 : 300 + (unsigned)sim_below(sim, 1500);
}

static void plan_draw(struct sim *sim)
{
	struct sim_plan *plan = &sim->plan;

	plan->source_connects = sim_chance(sim, 50);
	plan->datagrams = (enum sim_datagrams)sim_below(sim, 3);
	plan->net_delay = ONE_OF(sim, 0, 1000, 100 * 1000, 5 * CLOCK_MS, 60 * CLOCK_MS);
	plan->disk_delay = ONE_OF(sim, 0, 1000, 100 * 1000, 5 * CLOCK_MS, 200 * CLOCK_MS);
	plan->hash_delay = ONE_OF(sim, 0, 1000, 100 * 1000, 5 * CLOCK_MS, 50 * CLOCK_MS);
	plan->net_room = (uint32_t)ONE_OF(sim, 700, 3000, 20000, 200000);
	plan->chunk_client = (uint32_t)ONE_OF(sim, 1024, 1024, 2048, 4096, 16384);
	plan->chunk_daemon = (uint32_t)ONE_OF(sim, 1024, 1024, 1024, 2048, 65536);
	plan->integrity = (unsigned)sim_below(sim, 5);
	plan->requests_max = (uint32_t)ONE_OF(sim, 1, 2, 5, 40, 600);
	plan->window = ONE_OF(sim, 0, 5000, 20000, 100000);
	plan->order_payload = ONE_OF(sim, 1024, 4096, 20000, 100000);
	plan->read_payload = ONE_OF(sim, 1024, 3000, 10000, 70000);
	plan->ahead = ONE_OF(sim, 1000, 20000, 200000);
	plan->limit_rate = sim_chance(sim, 5) ? ONE_OF(sim, 5000, 100000, 10000000) : 0;
	plan->open_max = (unsigned)ONE_OF(sim, 1, 2, 8);
	plan->reads_max = (unsigned)ONE_OF(sim, 1, 2, 6);
	plan->writes_max = (unsigned)ONE_OF(sim, 1, 3, 100);
	plan->sync = sim_chance(sim, 50);
	plan->totals = sim_chance(sim, 20);
	plan->odd = sim_chance(sim, 25);
	plan->restless = sim_chance(sim, 25);
	plan->verify = sim_chance(sim, 15);
	plan->keep_payload = ONE_OF(sim, 1024, 5000, 70000);
	plan->keeps_max = (unsigned)ONE_OF(sim, 1, 2, 4);
	plan->transfers = sim_chance(sim, 70) ? 1 : 1 + (unsigned)sim_below(sim, TRANSFERS_MAX);
	plan->nodes = nodes_draw(sim);
}

/* Half of all runs meet no trouble at all; the others one kind of it, or a few. */
static void odds_draw(struct sim *sim)
{
	unsigned kinds = sim_chance(sim, 40) ? 0 : sim_chance(sim, 70) ? 1 : 1 + (unsigned)sim_below(sim, 4);

	for (unsigned i = 0; i < kinds; i++) {
		enum sim_strike strike = (enum sim_strike)sim_below(sim, STRIKES);
		struct sim_odds *odds = &sim->odds[strike];
		bool timed = strike == STRIKE_CHANGE || strike == STRIKE_VANISH || strike == STRIKE_CANCEL ||
		             strike == STRIKE_CRASH;
		bool rare = strike == STRIKE_CUT || strike == STRIKE_HANG || strike == STRIKE_FLIP ||
		            strike == STRIKE_JOURNAL;

		odds->left = sim_chance(sim, 60) ? 1 : 1 + (unsigned)sim_below(sim, 4);
		odds->spread = rare ? 0 : timed ? 1u << sim_below(sim, 9) : 1u << sim_below(sim, 6);
		odds->wait = (unsigned)sim_below(sim, odds->spread + 1);
	}
	/* These need something to go wrong before. */
	if (sim->odds[STRIKE_JOURNAL].left > 0 && sim->odds[STRIKE_CRASH].left == 0)
		sim->odds[STRIKE_CRASH] = (struct sim_odds){ .left = 1, .wait = (unsigned)sim_below(sim, 300) };
	if (sim->odds[STRIKE_ROT].left > 0 && sim->odds[STRIKE_CUT].left == 0)
		sim->odds[STRIKE_CUT] = (struct sim_odds){ .left = 1 };
	if (sim->odds[STRIKE_MEMORY].left > 0) {
		sim->odds[STRIKE_MEMORY].hits = 1;
		uint64_t first = 1 + sim_below(sim, UINT64_C(1) << sim_below(sim, 10));

		alloc_fail(first, ONE_OF(sim, 1, 1, 2, 20, 400));
		alloc_pause(true);
	}
}

/* Where digests are strong enough to be taken for what they are of, the user may want more than a copy. */
static unsigned flags_draw(struct sim *sim)
{
	uint64_t draw = sim_below(sim, 100);

	if (sim->plan.integrity % 2 == 0 || draw < 60)
		return 0;
	if (draw < 75)
		return SINK_FLAG_UPDATE;
	return draw < 90 ? SINK_FLAG_UPDATE | SINK_FLAG_COMPARE : SINK_FLAG_VERIFY;
}

static void transfers_draw(struct world *world)
{
	struct sim *sim = &world->sim;

	for (unsigned i = 0; i < sim->plan.transfers; i++) {
		struct sim_transfer *transfer = &world->transfers[i];
		const struct sim_node *node = world->tree.nodes[sim_below(sim, world->tree.count)];

		sim_node_path(sim_chance(sim, 70) ? world->tree.top : node, transfer->remote);
		/* Mostly to a place of its own, in the root or in a folder that is there. */
		const char *folder = sim_chance(sim, 20) ? "folder/" : "";
		uint64_t number = sim_chance(sim, 80) ? i : sim_below(sim, i + 1);

		snprintf(transfer->name, sizeof(transfer->name), "%sto%llu", folder, (unsigned long long)number);
		if (sim_chance(sim, 4))
			transfer->name[0] = '\0';
		transfer->flags = flags_draw(sim);
		transfer->resumes = sim_chance(sim, 60) && !(transfer->flags & SINK_FLAG_VERIFY);
		sim_journal_make(&transfer->journal, sim);
	}
}

/* Sometimes something of that name is there already. */
static void disk_fill(struct world *world)
{
	const struct sim_transfer *transfer = &world->transfers[0];
	struct sim *sim = &world->sim;
	char path[SIM_PATH_MAX];
	struct sim_name *old;

	sim->calm = true;
	if (sim_disk_dir(&world->disk, "folder") < 0)
		abort();
	if (sim_chance(sim, transfer->flags != 0 ? 80 : 10)) {
		bool alike = (transfer->flags & (SINK_FLAG_COMPARE | SINK_FLAG_VERIFY)) != 0 &&
		             sim->plan.transfers == 1;

		sim_fill(sim, &world->disk, sim_tree_find(&world->tree, transfer->remote), transfer->name, alike);
	}
	sim->calm = false;
	if (!sim_chance(sim, 8) || transfer->name[0] == '\0')
		return;
	sim->calm = true;
	snprintf(path, sizeof(path), "%s", world->transfers[0].name);
	if (sim_chance(sim, 60) && sim_disk_dir(&world->disk, path) == 0)
		snprintf(path, sizeof(path), "%s/%s", world->transfers[0].name,
		         world->tree.nodes[sim_below(sim, world->tree.count)]->name);
	if (sim_chance(sim, 70) && sim_disk_create(&world->disk, path, &old) == 0)
		old->whole = true;
	sim->calm = false;
}

/* ---- a connection ---- */

static void trouble_draw(struct world *world, struct connection *c)
{
	struct sim *sim = &world->sim;
	struct sim_stream *stream = sim_chance(sim, 70) ? &c->down : &c->up;
	uint64_t at = sim_below(sim, UINT64_C(1)
	                                     << (stream == &c->down ? 7 + sim_below(sim, 11) : 7 + sim_below(sim, 4)));

	if (sim_strikes(sim, STRIKE_CUT))
		stream->cut_at = at;
	else if (sim_strikes(sim, STRIKE_HANG))
		stream->hang_at = at;
	else if (sim_strikes(sim, STRIKE_FLIP))
		stream->flip_at = at;
	else
		return;
	world->broke = true;
}

static void connect_ends(struct world *world, struct connection *c)
{
	struct sim *sim = &world->sim;
	struct sim_end *source = &c->sender.end, *sink = &c->receiver.end;
	bool source_connects = sim->plan.source_connects;

	memset(c, 0, sizeof(*c));
	sim_stream_open(&c->down, sim, source, sink);
	sim_stream_open(&c->up, sim, sink, source);
	trouble_draw(world, c);
	sim_end_open(source, sim, source_connects, &c->down, "source", &sim_sender_watch);
	sim_end_open(sink, sim, !source_connects, &c->up, "sink", &sim_receiver_watch);
	sim_sender_make(&c->sender, &world->tree);
	sim_receiver_make(&c->receiver, &world->disk, &world->tree, world->transfers, sim->plan.transfers);
}

/* What may happen at any time. */
static void between(struct world *world, struct connection *c)
{
	struct sim *sim = &world->sim;

	if (sim_strikes(sim, STRIKE_CHANGE))
		sim_tree_change(&world->tree);
	if (sim_strikes(sim, STRIKE_VANISH))
		sim_tree_vanish(&world->tree);
	if (c->receiver.over || c->receiver.killed)
		return;
	if (sim_strikes(sim, STRIKE_CANCEL)) {
		world->broke = true;
		sim_receiver_cancel(&c->receiver);
	} else if (sim_strikes(sim, STRIKE_CRASH)) {
		world->broke = world->killed = true;
		sim_receiver_kill(&c->receiver);
		sim_end_break(&c->sender.end, &c->receiver.end);
	}
}

static bool connection_over(const struct connection *c)
{
	return c->sender.end.state == SIM_ENDED && c->receiver.end.state == SIM_ENDED && sim_sender_over(&c->sender) &&
	       sim_receiver_over(&c->receiver);
}

static void connection_run(struct world *world, struct connection *c)
{
	connect_ends(world, c);
	while (!connection_over(c)) {
		sim_check(&world->sim, sim_step(&world->sim), "nothing happens any more");
		between(world, c);
	}
	sim_stream_close(&c->down);
	sim_stream_close(&c->up);
	sim_never(&world->sim, &c->receiver.idle);
	sim_end_free(&c->sender.end);
	sim_end_free(&c->receiver.end);
	sim_check(&world->sim, heap_first(&world->sim.queue) == NULL, "something is left to happen");
}

/* What a source does that it must not: the sink may end the session over it. */
static bool source_lied(const struct sim *sim)
{
	return sim->odds[STRIKE_LIE].hits + sim->odds[STRIKE_REPEAT].hits + sim->odds[STRIKE_STRAY].hits > 0;
}

/* What an earlier run left is no longer what it was: only in what nobody sees. */
static void rot(struct world *world, struct sim_name *dir, bool hidden)
{
	for (struct list *node = dir->children.next; node != &dir->children; node = node->next) {
		struct sim_name *name = list_entry(node, struct sim_name, link);
		bool in = hidden || strncmp(name->name, ".xfer-", 6) == 0;

		rot(world, name, in);
		if (!in || name->content == NULL || name->content->chunks == 0)
			continue;
		if (sim_strikes(&world->sim, STRIKE_ROT))
			name->content->hashes[sim_below(&world->sim, name->content->chunks)] = SIM_UNKNOWN;
	}
}

static bool all_over(const struct world *world)
{
	for (unsigned i = 0; i < world->sim.plan.transfers; i++) {
		if (!world->transfers[i].over)
			return false;
	}
	return true;
}

/* ---- the world ---- */

static void world_make(struct world *world, uint64_t seed, bool trace)
{
	struct sim *sim = &world->sim;

	memset(world, 0, sizeof(*world));
	sim_begin(sim, seed, trace);
	plan_draw(sim);
	sim_tree_make(&world->tree, sim);
	sim_disk_make(&world->disk, sim);
	transfers_draw(world);
	disk_fill(world);
	odds_draw(sim);
	sim_say(sim, "a tree of %u, %u transfers, %s connects, window %llu, %u requests", world->tree.count,
	        sim->plan.transfers, sim->plan.source_connects ? "the source" : "the sink",
	        (unsigned long long)sim->plan.window, sim->plan.requests_max);
}

static void sum_add(struct sim_sum *sum, const struct world *world)
{
	sum->runs++;
	sum->events += world->sim.events;
	for (size_t i = 0; i < STRIKES; i++)
		sum->hits[i] += world->sim.odds[i].hits > 0;
	for (unsigned i = 0; i < world->sim.plan.transfers; i++) {
		const struct sim_transfer *transfer = &world->transfers[i];

		sum->transfers++;
		sum->complete += transfer->over && transfer->fault == FAULT_NONE;
		sum->failed += transfer->over && transfer->fault != FAULT_NONE;
		sum->given_up += !transfer->over;
		sum->files += transfer->count.files;
		sum->dirs += transfer->count.dirs;
		sum->links += transfer->count.links;
		sum->chunks += transfer->count.chunks;
		sum->repaired += transfer->count.repaired;
	}
}

void sim_run(uint64_t seed, bool trace, struct sim_sum *sum)
{
	static struct connection connection;
	static struct world world;
	struct sim *sim = &world.sim;
	long live = sim_live();
	bool again = true;

	world_make(&world, seed, trace);
	/* The last try meets no trouble: whatever happened before, it has to succeed. */
	for (unsigned i = 0; again; i++) {
		sim->calm = i + 1 == CONNECTIONS_MAX;
		if (sim->calm)
			alloc_stop(NULL);
		world.broke = sim->odds[STRIKE_MEMORY].hits > 0 && !sim->calm;
		connection_run(&world, &connection);
		rot(&world, world.disk.root, false);
		for (unsigned k = 0; k < 3 && sim->plan.restless && !all_over(&world); k++)
			sim->odds[STRIKE_CHANGE].hits += sim_tree_change(&world.tree);
		world.broke = world.broke || source_lied(sim);
		sum->connections++;
		again = !all_over(&world);
		sim_check(sim, !again || world.broke, "the session ended early, and there was no reason");
	}
	alloc_stop(NULL);
	sim_judge(sim, &world.tree, &world.disk, world.transfers, sim->plan.transfers, world.killed);
	sum_add(sum, &world);
	sim_disk_free(&world.disk);
	sim_end(sim);
	sim_check(sim, sim_live() == live, "%ld allocations were not freed", sim_live() - live);
}
