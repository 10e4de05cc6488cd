/* SPDX-License-Identifier: BSD-2-Clause */
#include "store/known.h"

#include "base/clock.h"
#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* "XFERDIG" and the version; another byte order reads as another mark. */
#define KNOWN_MARK UINT64_C(0x5846455244494701)
#define SETTLED_AFTER (2 * CLOCK_SECOND)

enum { KNOWN_CHUNKS_MAX = 128 }; /* of a record: bits of `have` */

struct record {
	uint64_t mark;
	uint32_t crc;
	uint32_t digest_size;
	uint64_t written;
	uint64_t dev, ino, size;
	uint64_t mtime, ctime;
	uint32_t mtime_ns, ctime_ns;
	uint32_t chunk_size;
	uint32_t number;
	char integrity[KNOWN_NAME];
	uint64_t have[KNOWN_CHUNKS_MAX / 64];
	uint8_t digests[KNOWN_RECORD - 128];
};
_Static_assert(sizeof(struct record) == KNOWN_RECORD, "a record has the size that is drawn");

struct known {
	int fd;
	uint64_t keep;        /* s from a record's first digest until it is none; 0: for ever */
	uint64_t pairs;       /* of places for a record; at least one */
	pthread_mutex_t lock; /* one thread of this process at a time changes records */
};

/* Takes the descriptor over when it succeeds. */
static int known_make(struct known **out, int fd, uint64_t bytes, uint64_t keep)
{
	struct known *known = calloc(1, sizeof(*known));

	if (known == NULL)
		return -ENOMEM;
	int code = -pthread_mutex_init(&known->lock, NULL);
	if (code < 0) {
		free(known);
		return code;
	}
	known->fd = fd;
	known->keep = keep;
	known->pairs = bytes / (2 * KNOWN_RECORD);
	if (known->pairs == 0)
		known->pairs = 1;
	*out = known;
	return 0;
}

int known_open(struct known **out, const char *path, uint64_t bytes, struct error *err)
{
	struct known *known = NULL;
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	int code = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (code == 0 && !S_ISREG(st.st_mode))
		code = -EINVAL;
	if (code == 0)
		code = known_make(&known, fd, bytes, 0);
	if (code < 0) {
		if (fd >= 0)
			close(fd);
		return error_system(err, code, FAULT_LOCAL, "the digest store %s cannot be opened", path);
	}
	/* One that was larger: what lies behind is never looked at again. */
	if ((uint64_t)st.st_size > known->pairs * 2 * KNOWN_RECORD)
		(void)!ftruncate(fd, (off_t)(known->pairs * 2 * KNOWN_RECORD));
	*out = known;
	return 0;
}

int known_memory(struct known **out, uint64_t bytes, uint64_t keep, struct error *err)
{
	int fd = memfd_create("xfer-digests", MFD_CLOEXEC);
	int code = fd < 0 ? -errno : known_make(out, fd, bytes, keep);

	if (code == 0)
		return 0;
	if (fd >= 0)
		close(fd);
	return error_system(err, code, FAULT_LOCAL, "there is no memory for digests");
}

void known_close(struct known *known)
{
	if (known == NULL)
		return;
	close(known->fd);
	pthread_mutex_destroy(&known->lock);
	free(known);
}

static uint64_t per_record(const struct known_key *key)
{
	uint64_t fit = sizeof(((struct record *)NULL)->digests) / key->digest_size;

	return fit < KNOWN_CHUNKS_MAX ? fit : KNOWN_CHUNKS_MAX;
}

bool known_key_init(struct known_key *key, const struct store_identity *identity, const char *integrity,
                    uint32_t chunk_size, uint32_t digest_size)
{
	size_t len = strlen(integrity);

	if (len > KNOWN_NAME || digest_size == 0 || digest_size > sizeof(((struct record *)NULL)->digests) ||
	    chunk_size == 0)
		return false;
	*key = (struct known_key){ .identity = *identity, .chunk_size = chunk_size, .digest_size = digest_size };
	memcpy(key->integrity, integrity, len);
	/* The number of a record has 32 bits. */
	return identity->size / chunk_size / per_record(key) < UINT32_MAX;
}

static bool time_settled(const struct timespec *time, uint64_t now)
{
	if (time->tv_sec < 0)
		return true;
	return (uint64_t)time->tv_sec < now / CLOCK_SECOND &&
	       (uint64_t)time->tv_sec * CLOCK_SECOND + (uint64_t)time->tv_nsec + SETTLED_AFTER < now;
}

bool known_settled(const struct store_identity *identity, uint64_t now)
{
	return time_settled(&identity->mtime, now) && time_settled(&identity->ctime, now);
}

/* ---- records ---- */

static void record_key(struct record *record, const struct known_key *key, uint64_t number)
{
	const struct store_identity *identity = &key->identity;

	memset(record, 0, sizeof(*record));
	record->mark = KNOWN_MARK;
	record->digest_size = key->digest_size;
	record->dev = identity->dev;
	record->ino = identity->ino;
	record->size = identity->size;
	record->mtime = (uint64_t)identity->mtime.tv_sec;
	record->ctime = (uint64_t)identity->ctime.tv_sec;
	record->mtime_ns = (uint32_t)identity->mtime.tv_nsec;
	record->ctime_ns = (uint32_t)identity->ctime.tv_nsec;
	record->chunk_size = key->chunk_size;
	record->number = (uint32_t)number;
	memcpy(record->integrity, key->integrity, KNOWN_NAME);
}

static uint32_t record_crc(const struct record *record)
{
	size_t from = offsetof(struct record, digest_size);

	return crc32c(0, (const uint8_t *)record + from, sizeof(*record) - from);
}

static bool record_whole(const struct record *record)
{
	return record->mark == KNOWN_MARK && record->crc == record_crc(record);
}

static bool record_is(const struct record *record, const struct known_key *key, uint64_t number)
{
	const struct store_identity *identity = &key->identity;

	return record->digest_size == key->digest_size && record->dev == identity->dev &&
	       record->ino == identity->ino && record->size == identity->size &&
	       record->mtime == (uint64_t)identity->mtime.tv_sec && record->ctime == (uint64_t)identity->ctime.tv_sec &&
	       record->mtime_ns == (uint32_t)identity->mtime.tv_nsec &&
	       record->ctime_ns == (uint32_t)identity->ctime.tv_nsec && record->chunk_size == key->chunk_size &&
	       record->number == number && memcmp(record->integrity, key->integrity, KNOWN_NAME) == 0;
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

/* The first of the two places, in bytes. Which file has changed since is not in it: its old records are replaced. */
static off_t record_place(const struct known *known, const struct known_key *key, uint64_t number)
{
	uint64_t sum = mix(mix(mix(1, key->identity.dev), key->identity.ino), number);
	uint32_t crc = crc32c(0, key->integrity, KNOWN_NAME);

	sum = mix(mix(sum, key->chunk_size), crc);
	return (off_t)(sum % known->pairs * 2 * KNOWN_RECORD);
}

static bool record_read(const struct known *known, off_t place, struct record *record)
{
	ssize_t got;

	do
		got = pread(known->fd, record, sizeof(*record), place);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*record) || !record_whole(record))
		return false;
	/* One of a time to come, after the clock was set back, is older than any. */
	return known->keep == 0 || clock_real() / CLOCK_SECOND - record->written <= known->keep;
}

/* Reads the record; false: it is not there. *place is where it is, or where it is to be. */
static bool record_find(const struct known *known, const struct known_key *key, uint64_t number, struct record *record,
                        off_t *place)
{
	off_t first = record_place(known, key, number);
	bool there = record_read(known, first, record);

	*place = first;
	if (there && record_is(record, key, number))
		return true;
	uint64_t written = there ? record->written : 0;
	if (!record_read(known, first + KNOWN_RECORD, record)) {
		if (there)
			*place = first + KNOWN_RECORD;
		return false;
	}
	if (record_is(record, key, number)) {
		*place = first + KNOWN_RECORD;
		return true;
	}
	if (there && record->written < written)
		*place = first + KNOWN_RECORD;
	return false;
}

bool known_look(const struct known *known, const struct known_key *key, struct known_view *view, uint64_t index,
                uint8_t *digest)
{
	uint64_t number = index / per_record(key), i = index % per_record(key);
	struct record *record = (struct record *)(void *)view->record;
	off_t place;

	if (view->number != number + 1) {
		view->number = number + 1;
		view->right = record_find(known, key, number, record, &place);
	}
	if (!view->right || (record->have[i / 64] >> i % 64 & 1) == 0)
		return false;
	memcpy(digest, record->digests + i * key->digest_size, key->digest_size);
	return true;
}

/* Puts digests into one record; all of them belong there. */
static void record_note(struct known *known, const struct known_key *key, uint64_t first, uint64_t count,
                        const uint8_t *digests, size_t stride)
{
	uint64_t number = first / per_record(key), from = first % per_record(key);
	struct record record;
	off_t place;

	bool there = record_find(known, key, number, &record, &place);
	if (!there)
		record_key(&record, key, number);
	for (uint64_t i = from; i < from + count; i++, digests += stride) {
		memcpy(record.digests + i * key->digest_size, digests, key->digest_size);
		record.have[i / 64] |= UINT64_C(1) << i % 64;
	}
	if (!there || known->keep == 0)
		record.written = clock_real() / CLOCK_SECOND;
	record.crc = record_crc(&record);
	(void)!pwrite(known->fd, &record, sizeof(record), place);
}

void known_note(struct known *known, const struct known_key *key, uint64_t first, uint64_t count,
                const uint8_t *digests, size_t stride)
{
	uint64_t fit = per_record(key);

	pthread_mutex_lock(&known->lock);
	while (count > 0) {
		uint64_t here = fit - first % fit;

		if (here > count)
			here = count;
		record_note(known, key, first, here, digests, stride);
		first += here;
		count -= here;
		digests += here * stride;
	}
	pthread_mutex_unlock(&known->lock);
}
