/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk after a power loss, made from what blockfs recorded.
 *
 *   replay points RECORD SUBSETS KEEP SEED    names the moments to try, a line each
 *   replay build RECORD BASE IMAGE POINT      IMAGE becomes BASE with what was on the disk at POINT; prints the marks
 *                                             that were made before
 *   replay flushed RECORD                     names the moment of the last one with only what was flushed by then
 *   replay sum RECORD                         counts writes, flushes and marks
 *
 * A point is `first:N`: the disk has all that it was told by the first N records; or `some:FIRST:END:SEED`: it has all
 * before FIRST, which is behind a flush, and of the records from there to END, between which there is no flush, some blocks, which SEED
 * chooses: a disk may keep or lose each that was not flushed, whatever the order. For each such interval SUBSETS are
 * drawn; two that give the same disk with the same marks count once. Of all points KEEP stay (0: all), chosen by SEED; the
 * one right behind the last mark and the last of all stay always. What comes behind a mark "end" is left out.
 */
#include "blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a disk writes as one piece: the loop device's sector, and a block of the file systems on it. */
enum { SECTOR = 4096 };

struct entry {
	struct block_record head;
	const char *bytes; /* in the mapped record */
};

struct record {
	struct entry *entries;
	size_t count;
};

struct point {
	size_t first; /* all before is there */
	size_t end;   /* of [first, end) there are some */
	uint64_t seed;
	bool always; /* it is never left out */
};

struct points {
	struct point *list;
	size_t count;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *more(void *list, size_t count, size_t size)
{
	/* Powers of two. */
	if ((count & (count - 1)) != 0)
		return list;
	list = realloc(list, (count > 0 ? 2 * count : 1) * size);
	if (list == NULL)
		die("memory");
	return list;
}

/* splitmix64: each step one number. */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static struct record record_read(const char *name)
{
	struct record record = { 0 };
	const char *bytes = NULL;
	struct stat st;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		die(name);
	size_t size = (size_t)st.st_size;
	if (size > 0)
		bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		die(name);
	close(fd);
	for (size_t at = 0; at < size;) {
		struct entry entry;

		if (size - at < sizeof(entry.head))
			break; /* the last one is cut off */
		memcpy(&entry.head, bytes + at, sizeof(entry.head));
		at += sizeof(entry.head);
		entry.bytes = bytes + at;
		if (size - at < entry.head.len)
			break;
		at += entry.head.len;
		if (entry.head.kind == BLOCK_MARK && entry.head.len == 4 && memcmp(entry.bytes, "end\n", 4) == 0)
			break;
		record.entries = more(record.entries, record.count, sizeof(entry));
		record.entries[record.count++] = entry;
	}
	return record;
}

/* ---- which blocks are there ---- */

/* Some lose nearly all, some nearly nothing, some half. */
static uint64_t share_of(uint64_t *state)
{
	static const uint64_t shares[] = { 10, 50, 90 };

	return shares[draw(state) % 3];
}

/* Calls back for each block of [first, end) that is there; the same ones for the same seed. */
static void some_visit(const struct record *record, const struct point *point,
                       void (*visit)(const struct entry *entry, size_t at, size_t len, void *context), void *context)
{
	uint64_t state = point->seed;
	uint64_t share = share_of(&state);

	for (size_t i = point->first; i < point->end; i++) {
		const struct entry *entry = &record->entries[i];
		/* Most writes are there or not as a whole, some in parts. */
		bool whole = draw(&state) % 4 != 0;
		bool there = draw(&state) % 100 < share;

		if (entry->head.kind != BLOCK_WRITE)
			continue;
		for (size_t at = 0; at < entry->head.len; at += SECTOR) {
			size_t rest = entry->head.len - at;

			if (whole ? there : draw(&state) % 2 == 0)
				visit(entry, at, rest < SECTOR ? rest : SECTOR, context);
		}
	}
}

static void visit_hash(const struct entry *entry, size_t at, size_t len, void *context)
{
	uint64_t *hash = context;

	(void)len;
	*hash ^= (uintptr_t)entry->bytes + at;
	(void)draw(hash);
	*hash *= UINT64_C(0x100000001b3);
}

/* Two points with the same one give the same disk, and the same marks. */
static uint64_t point_hash(const struct record *record, const struct point *point)
{
	uint64_t hash = 0;

	some_visit(record, point, visit_hash, &hash);
	for (size_t i = point->first; i < point->end; i++)
		if (record->entries[i].head.kind == BLOCK_MARK)
			visit_hash(&record->entries[i], 0, 0, &hash);
	return hash;
}

/* ---- points ---- */

static void points_add(struct points *points, const struct point *point)
{
	points->list = more(points->list, points->count, sizeof(*point));
	points->list[points->count++] = *point;
}

static bool is_mark(const struct record *record, size_t at)
{
	return at < record->count && record->entries[at].head.kind == BLOCK_MARK;
}

/* Behind each write, or the marks that follow it: they ask for more of the same disk. */
static void points_prefixes(struct points *points, const struct record *record)
{
	size_t marked = record->count;

	while (marked > 0 && !is_mark(record, marked - 1))
		marked--;
	for (size_t n = 0; n <= record->count; n++) {
		struct point point = { .first = n, .end = n };
		bool wrote = n == 0 || record->entries[n - 1].head.kind == BLOCK_WRITE;

		point.always = n == record->count || n == marked;
		/* What was said behind a flush is asked for too. */
		if (n > 0 && is_mark(record, n - 1))
			wrote = true;
		if ((wrote || point.always) && !is_mark(record, n))
			points_add(points, &point);
	}
}

static void points_interval(struct points *points, const struct record *record, size_t first, size_t end,
                            size_t subsets, uint64_t *state)
{
	uint64_t *seen = calloc(subsets + 1, sizeof(*seen));
	size_t count = 0;

	if (seen == NULL)
		die("memory");
	for (size_t n = 0; n < subsets && first < end; n++) {
		struct point point = { .first = first };
		bool known = false;

		point.end = n % 2 == 0 ? end : first + 1 + draw(state) % (end - first);
		point.seed = draw(state) >> 32;
		uint64_t hash = point_hash(record, &point);
		for (size_t i = 0; i < count && !known; i++)
			known = seen[i] == hash;
		if (known)
			continue;
		seen[count++] = hash;
		points_add(points, &point);
	}
	free(seen);
}

static void points_subsets(struct points *points, const struct record *record, size_t subsets, uint64_t seed)
{
	size_t first = 0;

	for (size_t n = 0; n <= record->count; n++)
		if (n == record->count || record->entries[n].head.kind == BLOCK_FLUSH) {
			points_interval(points, record, first, n, subsets, &seed);
			first = n + 1;
		}
}

/* Chooses by their order what to keep: each of those left has the same chance. */
static void points_print(const struct points *points, size_t keep, uint64_t seed)
{
	size_t left = 0;

	for (size_t i = 0; i < points->count; i++)
		left += !points->list[i].always;
	if (keep == 0 || keep > left)
		keep = left;
	for (size_t i = 0; i < points->count; i++) {
		const struct point *point = &points->list[i];

		if (!point->always) {
			bool chosen = draw(&seed) % left < keep;

			left--;
			if (!chosen)
				continue;
			keep--;
		}
		if (point->first == point->end)
			printf("first:%zu\n", point->first);
		else
			printf("some:%zu:%zu:%" PRIu64 "\n", point->first, point->end, point->seed);
	}
}

static struct point point_parse(const char *text, const struct record *record)
{
	struct point point = { 0 };

	if (sscanf(text, "some:%zu:%zu:%" SCNu64, &point.first, &point.end, &point.seed) != 3) {
		errno = EINVAL;
		if (sscanf(text, "first:%zu", &point.first) != 1)
			die(text);
		point.end = point.first;
	}
	errno = ERANGE;
	if (point.first > point.end || point.end > record->count)
		die(text);
	return point;
}

/* ---- the image ---- */

static void put(int image, const char *bytes, size_t len, uint64_t offset)
{
	if (pwrite(image, bytes, len, (off_t)offset) != (ssize_t)len)
		die("the image");
}

static void visit_put(const struct entry *entry, size_t at, size_t len, void *context)
{
	const int *image = context;

	put(*image, entry->bytes + at, len, entry->head.offset + at);
}

/* A new file, with holes where the other has them. */
static int image_copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat st;
	off_t at = 0;

	if (in < 0 || out < 0 || fstat(in, &st) < 0 || ftruncate(out, st.st_size) < 0)
		die(in < 0 ? from : to);
	while ((at = lseek(in, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(in, at, SEEK_HOLE);

		if (end < 0 || lseek(out, at, SEEK_SET) < 0)
			die(from);
		while (at < end)
			if (sendfile(out, in, &at, (size_t)(end - at)) <= 0)
				die(to);
	}
	close(in);
	return out;
}

static void image_build(const struct record *record, const char *base, const char *name, const struct point *point)
{
	int image = image_copy(base, name);

	for (size_t i = 0; i < point->first; i++) {
		const struct entry *entry = &record->entries[i];

		if (entry->head.kind == BLOCK_WRITE)
			put(image, entry->bytes, entry->head.len, entry->head.offset);
	}
	some_visit(record, point, visit_put, &image);
	if (close(image) < 0)
		die(name);
	for (size_t i = 0; i < point->end; i++)
		if (record->entries[i].head.kind == BLOCK_MARK)
			fwrite(record->entries[i].bytes, 1, record->entries[i].head.len, stdout);
}

static size_t record_count(const struct record *record, enum block_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < record->count; i++)
		count += record->entries[i].head.kind == kind;
	return count;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	struct record record;

	if (strcmp(verb, "points") == 0 && argc == 6) {
		struct points points = { 0 };
		uint64_t seed = strtoull(argv[5], NULL, 10);

		record = record_read(argv[2]);
		points_prefixes(&points, &record);
		points_subsets(&points, &record, strtoul(argv[3], NULL, 10), seed);
		points_print(&points, strtoul(argv[4], NULL, 10), seed + 1);
		free(points.list);
	} else if (strcmp(verb, "build") == 0 && argc == 6) {
		record = record_read(argv[2]);
		struct point point = point_parse(argv[5], &record);
		image_build(&record, argv[3], argv[4], &point);
	} else if (strcmp(verb, "flushed") == 0 && argc == 3) {
		record = record_read(argv[2]);
		size_t end = record.count;
		while (end > 0 && record.entries[end - 1].head.kind != BLOCK_FLUSH)
			end--;
		printf("first:%zu\n", end);
	} else if (strcmp(verb, "sum") == 0 && argc == 3) {
		record = record_read(argv[2]);
		printf("%zu writes, %zu flushes, %zu marks\n", record_count(&record, BLOCK_WRITE),
		       record_count(&record, BLOCK_FLUSH), record_count(&record, BLOCK_MARK));
	} else {
		fprintf(stderr,
		        "usage: replay points RECORD SUBSETS KEEP SEED | build RECORD BASE IMAGE POINT | flushed RECORD | sum RECORD\n");
		return 2;
	}
	free(record.entries);
	return fflush(stdout) == 0 ? 0 : 1;
}
