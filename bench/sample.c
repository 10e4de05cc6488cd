/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes what is transferred: bytes that no program can compress or find twice.
 *
 *   sample file FILE BYTES
 *   sample tree FOLDER FOLDERS FILES BYTES  FILES files of BYTES each, evenly in FOLDERS folders below a new FOLDER
 *   sample touch FILE BYTES                 writes FILE and removes it: for the run, memory that is not new
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS = 128 * 1024 };

static int complain(const char *what)
{
	fprintf(stderr, "sample: %s: %s\n", what, strerror(errno));
	return -1;
}

/* xorshift64*: fast, and random enough for that. */
static void fill(uint64_t *words, size_t count, uint64_t *seed)
{
	for (size_t i = 0; i < count; i++) {
		*seed ^= *seed >> 12;
		*seed ^= *seed << 25;
		*seed ^= *seed >> 27;
		words[i] = *seed * UINT64_C(0x2545F4914F6CDD1D);
	}
}

/* With `seed` NULL all pieces are the same. */
static int make_file(const char *name, uint64_t bytes, uint64_t *words, uint64_t *seed)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return complain(name);
	while (bytes > 0) {
		size_t len = bytes < WORDS * sizeof(*words) ? (size_t)bytes : WORDS * sizeof(*words);
		if (seed != NULL)
			fill(words, (len + sizeof(*words) - 1) / sizeof(*words), seed);
		ssize_t put = write(fd, words, len);
		if (put <= 0) {
			close(fd);
			return complain(name);
		}
		bytes -= (uint64_t)put;
	}
	return close(fd) == 0 ? 0 : complain(name);
}

static int make_tree(const char *name, unsigned folders, unsigned files, uint64_t bytes, uint64_t *words,
                     uint64_t *seed)
{
	char path[PATH_MAX];

	if (mkdir(name, 0755) < 0)
		return complain(name);
	for (unsigned i = 0; i < folders; i++) {
		snprintf(path, sizeof(path), "%s/folder-%05u", name, i);
		if (mkdir(path, 0755) < 0)
			return complain(path);
	}
	for (unsigned i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "%s/folder-%05u/file-%07u", name, i % folders, i);
		if (make_file(path, bytes, words, seed) < 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t *words = calloc(WORDS, sizeof(*words));
	uint64_t seed = 0;
	int code = -1;

	if (words == NULL || getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return EXIT_FAILURE;
	seed |= 1;
	if (argc == 4 && strcmp(argv[1], "file") == 0) {
		code = make_file(argv[2], strtoull(argv[3], NULL, 10), words, &seed);
	} else if (argc == 6 && strcmp(argv[1], "tree") == 0 && strtoul(argv[3], NULL, 10) > 0) {
		code = make_tree(argv[2], (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10),
		                 strtoull(argv[5], NULL, 10), words, &seed);
	} else if (argc == 4 && strcmp(argv[1], "touch") == 0) {
		fill(words, WORDS, &seed);
		code = make_file(argv[2], strtoull(argv[3], NULL, 10), words, NULL);
		unlink(argv[2]);
	} else {
		fputs("usage: sample file FILE BYTES | tree FOLDER FOLDERS FILES BYTES | touch FILE BYTES\n", stderr);
	}
	free(words);
	return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
