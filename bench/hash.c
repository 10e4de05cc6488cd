/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast each integrity plug-in of a folder is, and what it costs, in one thread.
 *
 *   hash FOLDER ROUNDS MILLISECONDS
 *           one line for each plug-in and length of chunk, fields apart by tabs: name, bits against collisions (0: no
 *           digest, 1: against accidents only), bytes of the digest, bytes of a chunk, GB/s (median, lowest, highest),
 *           processor seconds per GiB (median)
 *
 * The chunks are hashed many at once where the plug-in can, as the programs do: large ones as many as it has lanes.
 * All of them together are 12 MiB, so they come from the processor's last cache or its memory, not from its first. In a
 * round each plug-in computes for so many milliseconds; the next round goes the other way round.
 */
#include "config/options.h"
#include "registry/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORK = 12 << 20, PLUGINS_MAX = 64, ROUNDS_MAX = 99, MANY_MAX = 64 };

static const size_t CHUNKS[] = { 1 << 20, 4 << 10 };
enum { CHUNKS_COUNT = sizeof(CHUNKS) / sizeof(CHUNKS[0]) };

struct figures {
	double rate[ROUNDS_MAX]; /* GB/s */
	double cost[ROUNDS_MAX]; /* s/GiB */
};

struct bench {
	struct registry *registry;
	struct plugin *plugins[PLUGINS_MAX];
	struct figures *figures; /* owned; [plug-in * CHUNKS_COUNT + chunk] */
	size_t count;
	uint8_t *work; /* owned; WORK bytes */
	int rounds;
	double seconds; /* of each */
};

static double seconds_of(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int complain(const char *what, int code)
{
	fprintf(stderr, "hash: %s: %s\n", what, strerror(-code));
	return -1;
}

/* All of the work once. */
static int hash_all(const struct bench *bench, const struct plugin *plugin, size_t chunk)
{
	static uint8_t digests[MANY_MAX][XFER_DIGEST_MAX];
	struct iovec buffers[MANY_MAX];
	uint8_t *outs[MANY_MAX];
	size_t many = chunk >= 1 << 20 ? plugin->lanes : MANY_MAX;
	int rc = 0;

	for (size_t at = 0; at + many * chunk <= WORK && rc == 0; at += many * chunk) {
		for (size_t i = 0; i < many; i++) {
			buffers[i] = (struct iovec){ bench->work + at + i * chunk, chunk };
			outs[i] = digests[i];
		}
		rc = plugin_digest_many(plugin, buffers, many, outs);
	}
	return rc;
}

static int measure(const struct bench *bench, size_t which, size_t chunk, int round)
{
	const struct plugin *plugin = bench->plugins[which];
	struct figures *figures = &bench->figures[which * CHUNKS_COUNT + chunk];
	double bytes = 0;
	int rc = hash_all(bench, plugin, CHUNKS[chunk]); /* and the code is in the cache */
	double cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID), start = seconds_of(CLOCK_MONOTONIC), took = 0;

	while (rc == 0 && took < bench->seconds) {
		rc = hash_all(bench, plugin, CHUNKS[chunk]);
		bytes += WORK;
		took = seconds_of(CLOCK_MONOTONIC) - start;
	}
	if (rc < 0)
		return complain(plugin->section, rc);
	figures->rate[round] = bytes / 1e9 / took;
	figures->cost[round] = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu) / (bytes / 1073741824);
	return 0;
}

static int order(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static double middle(const double *sorted, int n)
{
	return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void print(const struct bench *bench, size_t which, size_t chunk)
{
	const struct plugin *plugin = bench->plugins[which];
	struct figures *figures = &bench->figures[which * CHUNKS_COUNT + chunk];
	int n = bench->rounds;

	qsort(figures->rate, (size_t)n, sizeof(double), order);
	qsort(figures->cost, (size_t)n, sizeof(double), order);
	printf("%s\t%" PRIu32 "\t%" PRIu32 "\t%zu\t%.3f\t%.3f\t%.3f\t%.4f\n", plugin->about.name,
	       plugin->integrity.strength, plugin->integrity.digest_size, CHUNKS[chunk], middle(figures->rate, n),
	       figures->rate[0], figures->rate[n - 1], middle(figures->cost, n));
}

/* Those that compute something; what cannot be loaded or wants an option is told and left out. */
static void on_seen(void *data, const char *path, const struct plugin *seen, const struct error *why)
{
	struct bench *bench = data;
	union xfer_value values[256];
	struct plugin *plugin;
	struct error err = { 0 };

	if (seen == NULL) {
		fprintf(stderr, "hash: %s\n", why->text);
		return;
	}
	if (seen->about.kind != XFER_KIND_INTEGRITY || seen->integrity.digest_size == 0 || bench->count == PLUGINS_MAX)
		return;
	if (registry_load(bench->registry, XFER_KIND_INTEGRITY, path, &plugin, &err) < 0 ||
	    options_fill(plugin->options, plugin->about.option_count, NULL, values, &err) < 0 ||
	    plugin_start(plugin, values, &err) < 0) {
		fprintf(stderr, "hash: %s\n", err.text);
		return;
	}
	bench->plugins[bench->count++] = plugin;
}

static int run(struct bench *bench)
{
	for (int round = 0; round < bench->rounds; round++) {
		for (size_t i = 0; i < bench->count * CHUNKS_COUNT; i++) {
			size_t turn = round % 2 == 0 ? i : bench->count * CHUNKS_COUNT - 1 - i;
			if (measure(bench, turn / CHUNKS_COUNT, turn % CHUNKS_COUNT, round) < 0)
				return -1;
		}
	}
	for (size_t chunk = 0; chunk < CHUNKS_COUNT; chunk++)
		for (size_t i = 0; i < bench->count; i++)
			print(bench, i, chunk);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench bench = { 0 };
	struct error err = { 0 };
	int rc = -1;

	if (argc == 4) {
		bench.rounds = atoi(argv[2]);
		bench.seconds = atoi(argv[3]) / 1e3;
	}
	if (argc != 4 || bench.rounds < 1 || bench.rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: hash FOLDER ROUNDS(1 to %d) MILLISECONDS\n", ROUNDS_MAX);
		return 2;
	}
	bench.work = malloc(WORK);
	bench.figures = calloc(PLUGINS_MAX * CHUNKS_COUNT, sizeof(*bench.figures));
	if (bench.work == NULL || bench.figures == NULL) {
		complain(argv[1], -ENOMEM);
		goto out;
	}
	uint64_t seed = 1;
	for (size_t i = 0; i < WORK; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		bench.work[i] = (uint8_t)(seed >> 56);
	}
	if (registry_create(&bench.registry, argv[1], NULL, &err) < 0 ||
	    registry_scan(bench.registry, on_seen, &bench, &err) < 0)
		fprintf(stderr, "hash: %s\n", err.text);
	else
		rc = run(&bench);
	registry_destroy(bench.registry);
out:
	free(bench.work);
	free(bench.figures);
	return rc < 0 ? 1 : 0;
}
