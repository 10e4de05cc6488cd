/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a transfer: which chunks of which files were checked and written, so that the same transfer goes on
 * where it broke off. A hint only: what it claims is checked against the disk again before it counts, and a record
 * that is torn or damaged costs its chunks, never correctness.
 *
 * The file is a run of records, appended. Numbers are little-endian; each record has a CRC-32C over all of it before the
 * CRC. A reader leaves out a record that does not check, looks for the next one that does, and claims nothing in between.
 *
 *   0      1      2             4                 8
 *   +------+------+-------------+-----------------+------------------------------------+----------+
 *   | type | 0xA1 | length      | number          | length bytes of body               | crc32c   |
 *   +------+------+-------------+-----------------+------------------------------------+----------+
 *
 *   1 HEAD   the transfer's id 16, then source string16 (at most 1023 bytes), partial string16 and target string16 (both
 *            beneath the root)
 *   2 SUITE  chunk size u32, digest size u32, integrity string8: `number` (0 to 15) means this suite, in all of the file
 *   3 FILE   size u64, mtime i64, mtime ns u32, path string16: `number` means this file. Numbers begin at 1 and grow by
 *            one with each FILE record, so a number that the bytes in front leave no room for is a forged one
 *   4 CHUNK  offset u64, length u32, crc32c of the content u32, suite u8, digest as received (digest size bytes): a
 *            chunk of the file `number`; offset is a multiple of the chunk size
 *
 * HEAD is written once by each run of the transfer, SUITE again at least every 32 KiB. The file is made by the first flush
 * that has something to say, so a transfer that needs none leaves none; while it is open it is locked (a lock of the open
 * file, fcntl(2)). All calls may be made from any thread; those that open, read or write block.
 */
#ifndef XFER_STORE_JOURNAL_H
#define XFER_STORE_JOURNAL_H

#include "base/error.h"
#include "base/ranges.h"
#include "store/store.h"

enum {
	JOURNAL_ID = 16,
	JOURNAL_DIGEST_MAX = 64,
	JOURNAL_NAME_MAX = 31,
	JOURNAL_CHUNK_MAX = 64 << 20 /* bytes */
};

/*
 * Names, of which ID is the first 8 bytes of the transfer's id in hex; by them others find what was left (clean.h,
 * pipeline/expire.h): STORE_HIDDEN "ID" is the partial, STORE_HIDDEN "ID.j" the journal beside it. The journal of a put is
 * "ID.j" in this folder at the top of the export; see journal_open().
 */
#define JOURNAL_FOLDER STORE_HIDDEN "puts"

struct journal;

/* What chunks are cut and digested with. */
struct journal_suite {
	uint32_t chunk_size;  /* bytes */
	uint32_t digest_size; /* bytes; 0 = none */
	char integrity[JOURNAL_NAME_MAX + 1];
};

struct journal_head {
	uint8_t id[JOURNAL_ID];
	const char *source;  /* for people: a URL, or who puts what; only the front is kept of a long one */
	const char *partial; /* beneath the root: the partial file or the staging folder */
	const char *target;  /* beneath the root: what it is to become; for `xfer clean`. NULL: not said */
};

/* A file as the source's listing told of it: its identity. */
struct journal_file {
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	const char *path; /* relative to what is transferred; "" for a file at the top */
};

struct journal_chunk {
	uint64_t offset; /* bytes */
	uint32_t length;
	uint32_t crc;          /* CRC-32C of the content */
	const uint8_t *digest; /* digest_size bytes of the suite */
};

/*
 * Opens the journal `path` beneath root, or prepares to make it. *resumed: one was there, of the same transfer id, and
 * its records were read (an index of them in a file without a name, not in memory). One of another id, or without a head
 * that can be read, begins anew. -EBUSY: another process, or another session of this one, has it open. Everything given is
 * copied, of root a reference is kept.
 *
 * Where the last folder of `path` is called JOURNAL_FOLDER, it is made with the file and removed with the last one in it.
 */
int journal_open(struct journal **out, struct store_root *root, const char *path, const struct journal_head *head,
                 const struct journal_suite *suite, bool *resumed, struct error *err);
/* Lets go of the file and of the lock; the file stays. What was not flushed is lost. NULL is allowed. */
void journal_close(struct journal *journal);
/* Removes the file, then as journal_close(). -errno when it could not be removed. NULL is allowed. */
int journal_remove(struct journal *journal);
/* There is a file, of this run or of an earlier one, and nothing failed to get into it. */
bool journal_whole(struct journal *journal);

/* ---- journals of others: resume, clean, expire ---- */

/*
 * The suite that the last records of a journal were made with, to be offered first: without opening or locking it.
 * -ENOENT: there is none, or none that can be read.
 */
int journal_peek(struct store_root *root, const char *path, struct journal_suite *out);

/* What a journal says of itself. */
struct journal_about {
	bool readable; /* it has a head: the id and these texts are set */
	uint8_t id[JOURNAL_ID];
	char *source, *partial, *target; /* owned; any bytes but NUL. NULL where !readable; target "": not said */
	uint64_t size;                   /* bytes */
	struct timespec touched;         /* when something was last written */
};
void journal_about_free(struct journal_about *about);
/* Without locking it. *busy: a transfer that runs has it. -ENOENT; -EINVAL for what is no file. */
int journal_about(struct store_root *root, const char *path, struct journal_about *out, bool *busy);
/*
 * The transfer of this id has given `target` its name: the journal says that this was to be, and what was to become it is
 * not there any more. Only nobody who was to be told of it has answered yet.
 */
bool journal_published(struct store_root *root, const char *path, const uint8_t id[JOURNAL_ID], const char *target);
/*
 * Takes the lock of an abandoned journal, for journal_files(), journal_remove() and journal_close(): nothing else can be
 * done with it. While it is held no transfer goes on where that one ended. -EBUSY, -ENOENT, -EINVAL for what is no file.
 */
int journal_take(struct journal **out, struct store_root *root, const char *path, struct journal_about *about);
/* Tells the path of each file that a taken journal names, as it stands there: not terminated, any bytes. -errno. */
int journal_files(struct journal *journal, void (*each)(void *context, const char *path, size_t len), void *context);

/* ---- what was there before ---- */

/*
 * The file of that path in the journal that was read: its number and identity as recorded (path is NULL), and the chunks
 * that it claims, as ranges of chunks of the suite given to journal_open() (at most RANGES_MAX of them; those of old
 * chunks of another size count where together they cover a whole chunk). Where the same path was recorded twice, the later
 * one counts. -ENOENT. The caller frees *claims (ranges_free()).
 */
int journal_find(struct journal *journal, const char *path, uint32_t *number, struct journal_file *out,
                 struct ranges *claims);
/*
 * What is claimed of `length` bytes from `offset` on: one record of the same suite where that is a chunk of it, or those
 * of other cuts that together leave no gap. Up to `max` claims in ascending order; the first may begin before offset,
 * the last may end behind, and they may overlap. The count, at least 1; where max was too few for all of it, ask again
 * from the end of the last on. -ENOENT: not all is claimed.
 */
struct journal_claim {
	uint64_t offset;
	uint32_t length;
	uint32_t crc;
	bool same; /* cut and digested as our suite says: digest is valid */
	uint8_t digest[JOURNAL_DIGEST_MAX];
};
int journal_claims(struct journal *journal, uint32_t number, uint64_t offset, uint32_t length,
                   struct journal_claim *out, size_t max);

/* ---- what is new ---- */

/*
 * Records are gathered and written by journal_flush() in one call. -ENOMEM; -EINVAL for a path beyond 4095 bytes. A number
 * is given to a file once; a file found by journal_find() goes on with the number that it has. A journal that says nothing
 * any more gives the number 0, of which it takes chunks and forgets them.
 */
int journal_add_file(struct journal *journal, const struct journal_file *file, uint32_t *number);
int journal_add_chunks(struct journal *journal, uint32_t number, const struct journal_chunk *chunks, size_t count);
/* Makes the file, where it is not there yet: what is begun now can be found by it. As journal_flush() otherwise. */
int journal_announce(struct journal *journal);
/*
 * Writes what was gathered. An error is told once; from then on the journal takes nothing more and says nothing (a
 * transfer goes on without one). Only -EBUSY is the transfer's end: the same one has begun at the same moment, and was
 * quicker to make the file.
 */
int journal_flush(struct journal *journal);
/* What was flushed is on disk, and the file's name too; nothing where there is no file. */
int journal_sync(struct journal *journal);

#endif
