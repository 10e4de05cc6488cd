/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Digests that are known: of chunks of files that have not changed since, so that a source need not hash them again. In
 * a file of a bounded size, which several processes share and which may be lost, cut or damaged at any time; or in memory,
 * for a moment, for those who fetch the same at the same time.
 *
 *   | record | record | ... |        KNOWN_RECORD bytes each; a record of zeroes is empty
 *
 *   record:  mark, version and byte order in it        8
 *            CRC-32C of all that follows               4
 *            digest size                               4
 *            when it was written, s since 1970         8
 *            device, inode, size                      24
 *            mtime, ctime: seconds, then nanoseconds  24
 *            chunk size, number of this record         8
 *            name of the integrity, zeroes behind it  32
 *            bit i: digest i is known                 16
 *            digests of consecutive chunks             up to the end
 *
 * Numbers are this machine's. A file's records lie where a hash of their key says, in one of two places; the younger
 * stays where both are taken. There is no lock between processes: who reads a record that is being written finds that
 * its CRC is wrong, and of two who write one record one is lost.
 */
#ifndef XFER_STORE_KNOWN_H
#define XFER_STORE_KNOWN_H

#include "base/error.h"
#include "store/store.h"

enum { KNOWN_RECORD = 4096, KNOWN_NAME = 32 };

struct known;

/* Opens or makes the file, of about `bytes` bytes. Every error is FAULT_LOCAL with the path. */
int known_open(struct known **out, const char *path, uint64_t bytes, struct error *err);
/* In memory, of this process alone. A record is forgotten `keep` seconds (at least 1) after its first digest. */
int known_memory(struct known **out, uint64_t bytes, uint64_t keep, struct error *err);
void known_close(struct known *known); /* NULL is allowed */

/* What digests are of. */
struct known_key {
	struct store_identity identity;
	uint32_t chunk_size, digest_size;
	char integrity[KNOWN_NAME]; /* filled up with zeroes */
};
/* False: nothing is kept under such a name or of such digests. */
bool known_key_init(struct known_key *key, const struct store_identity *identity, const char *integrity,
                    uint32_t chunk_size, uint32_t digest_size);

/*
 * Whether content read from now on can be told by the identity: it last changed more than two seconds before `now` (ns
 * since 1970). Until then another change could have the same times.
 */
bool known_settled(const struct store_identity *identity, uint64_t now);

/* A record that was read, for looking at several of its chunks. Zeroed first. */
struct known_view {
	uint64_t number; /* 1 + that of the record; 0: there is none */
	bool right;      /* it is the one looked for */
	_Alignas(8) uint8_t record[KNOWN_RECORD];
};
/* Copies the digest of a chunk; false: it is not known. Any thread; reads a file. */
bool known_look(const struct known *known, const struct known_key *key, struct known_view *view, uint64_t index,
                uint8_t *digest);
/*
 * The digests of chunks from `first` are known from now on, `stride` bytes from one to the next. What cannot be written
 * is forgotten. Any thread; reads and writes a file.
 */
void known_note(struct known *known, const struct known_key *key, uint64_t first, uint64_t count,
                const uint8_t *digests, size_t stride);

#endif
