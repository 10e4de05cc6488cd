/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target without a fuzzer. No argument: every seed, every truncation of it and some thousand damaged
 * copies, as TAP. FILE...: these inputs (to repeat what a fuzzer found). --seeds DIR: writes the seeds there, for a
 * fuzzer.
 */
#include "fuzz.h"

#include "wire-frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAMAGED = 3000, FILE_MAX = 1 << 20 };

/* Each input has an allocation of its own, so that a sanitizer sees what is read beyond it. */
static void run(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	if (exact == NULL)
		abort();
	if (len > 0)
		memcpy(exact, bytes, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static void run_seed(struct buf *seed, uint64_t *random)
{
	for (size_t len = 0; len <= seed->len; len++)
		run(seed->data, len);
	for (unsigned round = 0; round < DAMAGED && seed->len > 0; round++) {
		struct buf copy = { 0 };
		if (buf_append(&copy, seed->data, seed->len) < 0)
			abort();
		for (unsigned n = 0; n <= round % 8; n++)
			wire_random_bytes(random, copy.data + wire_random(random) % copy.len, 1);
		run(copy.data, copy.len - (round % 16 == 15 ? wire_random(random) % copy.len : 0));
		buf_free(&copy);
	}
}

static int run_seeds(void)
{
	uint64_t random = 5;
	size_t count = 0;

	for (;; count++) {
		struct buf seed = { 0 };
		int more = fuzz_seed(count, &seed);
		if (more < 0)
			printf("not ok %zu - %s: seed cannot be made\n", count + 1, fuzz_name);
		if (more <= 0)
			break;
		run_seed(&seed, &random);
		printf("ok %zu - %s: seed %zu, cut and damaged\n", count + 1, fuzz_name, count);
		buf_free(&seed);
	}
	printf("1..%zu\n", count);
	return 0;
}

static int run_file(const char *path)
{
	uint8_t *bytes = malloc(FILE_MAX);
	FILE *file = fopen(path, "rb");
	int code = 1;

	if (bytes != NULL && file != NULL) {
		run(bytes, fread(bytes, 1, FILE_MAX, file));
		code = ferror(file);
	}
	if (code != 0)
		fprintf(stderr, "%s: cannot be read\n", path);
	if (file != NULL)
		fclose(file);
	free(bytes);
	return code;
}

static int write_seeds(const char *folder)
{
	struct buf seed = { 0 };

	for (size_t i = 0; fuzz_seed(i, &seed) > 0; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s-%03zu", folder, fuzz_name, i);
		FILE *file = fopen(path, "wb");
		if (file == NULL || fwrite(seed.data, 1, seed.len, file) != seed.len || fclose(file) != 0) {
			perror(path);
			return 1;
		}
		buf_clear(&seed);
	}
	buf_free(&seed);
	return 0;
}

int main(int argc, char **argv)
{
	int code = 0;

	if (argc == 1)
		return run_seeds();
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
		return write_seeds(argv[2]);
	for (int i = 1; i < argc; i++)
		code |= run_file(argv[i]);
	return code;
}
