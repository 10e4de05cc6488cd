/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A large sorted list of numbers in little memory: what the journal claims. Up to INDEX_RUN entries stay in memory; more
 * go to a file without a name, in sorted runs that index_seal() merges, and are looked up there. It is read with pread(2)
 * and not mapped, since a mapping turns a full or failing disk into SIGBUS. Only core/store and its unit tests include
 * this.
 */
#ifndef XFER_STORE_INDEX_H
#define XFER_STORE_INDEX_H

#include <stddef.h>
#include <stdint.h>

enum {
	INDEX_RUN = 16384,   /* entries gathered before they are sorted and written: 384 KiB */
	INDEX_FENCES = 4096, /* entries of the file that are known without reading it */
	INDEX_AHEAD = 64     /* entries that a cursor reads at once */
};

/* Ordered by major, then minor, then at: of equals the one that was recorded last is the last. */
struct index_entry {
	uint64_t major, minor;
	uint64_t at; /* where the record is */
};

struct index;

/* Makes a file without a name: 0 and *fd, or -errno. Called once more than INDEX_RUN entries have come. */
typedef int (*index_file)(void *context, int *fd);

int index_new(struct index **out, index_file make, void *context);
void index_free(struct index *index); /* NULL is allowed */

/* -ENOMEM, or what the disk says: then there is nothing to be done with the index but to free it. */
int index_add(struct index *index, const struct index_entry *entry);
/* Sorts; only then it may be read, from any thread. */
int index_seal(struct index *index);

/* How many entries are less than this one. */
int index_rank(const struct index *index, const struct index_entry *entry, uint64_t *rank);
/* Entries from `rank` on: how many there were, at most `max`, 0 at the end; -errno. */
int index_read(const struct index *index, uint64_t rank, struct index_entry *out, size_t max);
/* The last of those with this major and minor. -ENOENT. */
int index_last(const struct index *index, uint64_t major, uint64_t minor, struct index_entry *out);

/* Reads in order, a few entries ahead. */
struct index_cursor {
	const struct index *index; /* lent */
	uint64_t rank;             /* of the first behind those read ahead */
	size_t next, count;        /* in ahead */
	struct index_entry ahead[INDEX_AHEAD];
};
/* Starts at the first entry that is not less than (major, minor, 0). */
int index_seek(struct index_cursor *cursor, const struct index *index, uint64_t major, uint64_t minor);
/* The next one: 1, 0 at the end, -errno. */
int index_next(struct index_cursor *cursor, struct index_entry *out);

#endif
