/* SPDX-License-Identifier: BSD-2-Clause */
/* What is there already counts: broken off transfers that go on, old files of which parts are still right. */
#include "pipe-write.h"

#include <sys/file.h>

static void a_run_that_broke_off_goes_on(void **state)
{
	struct put put;
	put_begin(&put, *state, true);
	assert_false(put.resumed);
	put_first_run(&put, 1 << 3 | 1 << 9);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_place place = put_place(&put, WRITE_RESUME, TEN);
	struct probe_piece *probe = put_probe(&put, &place, 0);
	assert_int_equal(probe->found, PROBE_CLAIMS);
	assert_int_equal(probe->claims.count, 2);
	assert_int_equal(probe->claims.all[0].end, 3);
	assert_int_equal(probe->claims.all[1].first, 4);
	assert_int_equal(probe->claims.all[1].end, 9);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, probe->number);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), ALL & ~(1 << 3 | 1 << 9));
	assert_int_equal(put_keep(&put, file, 2, 2, NULL), 0); /* counted once */
	put_finish(&put, file, ALL & ~(1 << 3 | 1 << 9));
	put_end(&put);
}

static void what_is_damaged_on_disk_is_not_kept(void **state)
{
	struct put put;
	put_begin(&put, *state, true);
	put_first_run(&put, 0);
	put_damage(&put, ".xfer-partial", 2 * RIG_CHUNK + 1000);
	put_damage(&put, ".xfer-partial", TEN - 1);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), ALL & ~(1 << 2 | 1 << 9));
	put_finish(&put, file, ALL & ~(1 << 2 | 1 << 9));
	put_end(&put);
}

/* What is written in several parts is noted with the CRC of each whole chunk, wherever the parts end. */
static void chunks_written_in_parts_are_known_by_their_crc(void **state)
{
	enum { COUNT_OF = 30 };
	static const uint32_t cuts[] = { 1024, 60 * 1024, 64 * 1024 };
	for (size_t i = 0; i < COUNT(cuts); i++) {
		struct rig *rig = *state;
		struct put put;
		uint64_t size = COUNT_OF * (uint64_t)cuts[i] - 100;
		rig_suite(rig, cuts[i], 0);
		put_begin(&put, rig, true);
		struct write_file *file = put_file_open(&put, WRITE_NEW, size, 0);
		put_run_chunks(&put, file, SEED, size, 0, COUNT_OF, 0);
		assert_int_equal(put_op(&put, file, WRITE_CLOSE, size), 0);
		write_file_destroy(file);
		put_again(&put, cuts[i], 0);
		put_damage(&put, ".xfer-partial", 5 * (uint64_t)cuts[i]);
		file = put_file_open(&put, WRITE_RESUME, size, 1);
		for (uint64_t k = 0; k < COUNT_OF; k++)
			assert_int_equal(put_keep(&put, file, k, 1, NULL), k != 5);
		put_run_chunks(&put, file, SEED, size, 5, 6, 0);
		put_last(&put, file, WRITE_PUBLISH, size);
		put_run(&put, 0);
		write_file_destroy(file);
		put_is(&put, "copy", SEED, size);
		assert_int_equal(journal_remove(put.journal), 0);
		put.journal = NULL;
		put_end(&put);
		assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
	}
}

/* A partial that is too short, and one that is gone: the journal lied. */
static void a_lying_journal_costs_no_more_than_its_chunks(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	put_first_run(&put, 0);
	int fd = openat(rig->scratch->fd, ".xfer-partial", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 4 * RIG_CHUNK + 1), 0);
	close(fd);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), 0xf);
	put_finish(&put, file, 0xf);
	file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), 0);
	assert_false(exists(rig->scratch->fd, ".xfer-partial")); /* looking makes nothing */
	put_finish(&put, file, 0);
	put_end(&put);
}

/* The first run was cut otherwise: then the CRC of its chunks says what is right. */
static void cut_anew(struct rig *rig, uint32_t before, uint32_t digest_before, uint32_t now, uint32_t digest_now)
{
	struct put put;
	rig_suite(rig, before, digest_before);
	put_begin(&put, rig, true);
	put_first_run(&put, 0);
	put_damage(&put, ".xfer-partial", 5 * RIG_CHUNK);
	put_again(&put, now, digest_now);
	struct write_place place = put_place(&put, WRITE_RESUME, TEN);
	struct probe_piece *probe = put_probe(&put, &place, 0);
	assert_int_equal(probe->found, PROBE_CLAIMS);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, probe->number);
	uint64_t chunks = put_chunks(&put, TEN), kept = 0, wrong = 0;
	uint32_t larger = before > now ? before : now;
	for (uint64_t i = 0; i < chunks; i++) {
		kept |= put_keep(&put, file, i, 1, NULL) << i;
		if (i * now / larger == 5 * RIG_CHUNK / larger)
			wrong |= UINT64_C(1) << i;
	}
	assert_int_equal(kept, ((UINT64_C(1) << chunks) - 1) & ~wrong);
	put_finish(&put, file, kept);
	assert_int_equal(journal_remove(put.journal), 0);
	put.journal = NULL;
	put_end(&put);
	assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
}

static void claims_of_another_cut_count_by_their_crc(void **state)
{
	static const uint32_t sizes[][2] = {
		{ RIG_CHUNK, 2 * RIG_CHUNK },
		{ 4 * RIG_CHUNK, RIG_CHUNK },
		{ RIG_CHUNK, 16 * RIG_CHUNK },
		{ RIG_CHUNK, RIG_CHUNK },
	};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		cut_anew(*state, sizes[i][0], RIG_DIGEST, sizes[i][1], RIG_DIGEST);
		cut_anew(*state, sizes[i][0], 0, sizes[i][1], RIG_DIGEST);
		cut_anew(*state, sizes[i][0], RIG_DIGEST, sizes[i][1], 0);
		cut_anew(*state, sizes[i][0], 0, sizes[i][1], 0);
	}
}

/* Many files and chunks in one job, and several jobs: the plug-in sees many buffers at once. */
static void chunks_are_digested_together(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	put_first_run(&put, 0);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	for (uint64_t i = 0; i < 5; i++)
		put_keep_piece(&put, file, 2 * i, 2, NULL);
	rig->integrity.calls_many = 0;
	rig_run(rig, &put.keep.job, JOB_KEEP);
	assert_int_equal(rig->integrity.calls_many, 1);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(put.keep.pieces[i].kept, 3);
	put_finish(&put, file, ALL);
	put_end(&put);
}

static void pieces_that_do_not_fit_are_refused(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 0 }, { 0, 11 }, { 10, 1 }, { UINT64_MAX, 2 } };
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	put_first_run(&put, 0);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	for (size_t i = 0; i < COUNT(ranges); i++) {
		for (int zeroes = 0; zeroes < 2; zeroes++)
			put_keep_piece(&put, file, ranges[i][0], ranges[i][1], NULL)->zeroes = zeroes;
	}
	rig_run(rig, &put.keep.job, JOB_KEEP);
	for (size_t i = 0; i < put.keep.count; i++) {
		assert_int_equal(put.keep.pieces[i].code, -ERANGE);
		assert_int_equal(put.keep.pieces[i].kept, 0);
	}
	/* More than the buffer holds. */
	put.keep.count = 0;
	put.keep.buffer->size = 6 * RIG_CHUNK;
	put_keep_piece(&put, file, 0, 5, NULL);
	put_keep_piece(&put, file, 5, 5, NULL);
	rig_run(rig, &put.keep.job, JOB_KEEP);
	assert_int_equal(put.keep.pieces[0].kept, 0x1f);
	assert_int_equal(put.keep.pieces[1].code, -ENOBUFS);
	put_finish(&put, file, 0x1f);
	put_end(&put);
}

/* ---- holes ---- */

static bool is_zero(struct rig *rig, const char *name, uint64_t from, uint64_t to)
{
	int fd = openat(rig->scratch->fd, name, O_RDONLY | O_CLOEXEC);
	bool zero = true;
	assert_true(fd >= 0);
	for (uint64_t at = from; at < to && zero; at++) {
		uint8_t byte = 1;
		assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
		zero = byte == 0;
	}
	close(fd);
	return zero;
}

/* Where the source has holes now, an earlier run left something. */
static void holes_are_made_where_something_stands(void **state)
{
	struct rig *rig = *state;
	struct put put;
	enum { LARGE = 4 * RIG_CHUNK, SIZE = 10 * LARGE, HALF = LARGE / 2 };
	rig_suite(rig, LARGE, RIG_DIGEST);
	put_begin(&put, rig, true);
	rig_file(rig, ".xfer-partial", 99, SIZE + 1000); /* and it is too long */
	struct write_file *file = put_file_open(&put, WRITE_RESUME, SIZE, 0);
	put_run_chunks(&put, file, SEED, SIZE, 0, 4, 0);
	struct write_piece *hole = put_piece(&put, file, WRITE_HOLE);
	hole->first = 4;
	hole->count = 4;
	struct write_piece *sparse = put_chunk(&put, file, SEED, SIZE, 8);
	memset(put.bytes, 0, HALF);
	rig_digest(&rig->integrity, put.bytes, LARGE, put.bytes + LARGE, 0);
	sparse->chunk.flags = FRAME_CHUNK_SPARSE;
	hole = put_piece(&put, file, WRITE_HOLE);
	hole->first = 9;
	hole->count = 1;
	put_last(&put, file, WRITE_PUBLISH, SIZE);
	put_run(&put, 0);
	write_file_destroy(file);
	struct stat st;
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &st, 0), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_true(is_zero(rig, "copy", 4 * LARGE, 8 * LARGE + HALF));
	assert_true(is_zero(rig, "copy", 9 * LARGE, SIZE));
	assert_false(is_zero(rig, "copy", 8 * LARGE + HALF, 9 * LARGE));
	assert_false(is_zero(rig, "copy", 3 * LARGE, 4 * LARGE));
	put_end(&put);
}

static void zeroes_are_kept(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	rig_put(rig, ".xfer-partial", SEED, 0, 2 * RIG_CHUNK, 7 * RIG_CHUNK);
	put_damage(&put, ".xfer-partial", 4 * RIG_CHUNK);
	put_damage(&put, ".xfer-partial", 4 * RIG_CHUNK); /* zeroes, but data */
	struct write_file *file = put_file_open(&put, WRITE_RESUME, 10 * RIG_CHUNK, 0);
	assert_false(put_keep_zeroes(&put, file, 1, 2));
	assert_true(put_keep_zeroes(&put, file, 2, 8)); /* what is behind the end will be */
	assert_int_equal(put_op(&put, file, WRITE_PUBLISH, 10 * RIG_CHUNK), -ENODATA);
	put_run_chunks(&put, file, SEED, 10 * RIG_CHUNK, 0, 2, 0);
	assert_int_equal(put_op(&put, file, WRITE_PUBLISH, 10 * RIG_CHUNK), 0);
	write_file_destroy(file);
	assert_true(is_zero(rig, "copy", 2 * RIG_CHUNK, 10 * RIG_CHUNK));
	/* Of an old file it has to be there. */
	file = put_file_open(&put, WRITE_OLD, 11 * RIG_CHUNK, 0);
	assert_false(put_keep_zeroes(&put, file, 2, 9));
	assert_true(put_keep_zeroes(&put, file, 2, 8));
	write_file_destroy(file);
	put_end(&put);
}

/* ---- an old file ---- */

/* `copy` is of another version: chunks 1 and 6 differ from those of SEED. */
static void old_file(struct put *put)
{
	rig_file(put->rig, "copy", SEED, TEN);
	put_damage(put, "copy", RIG_CHUNK);
	put_damage(put, "copy", 7 * RIG_CHUNK - 1);
}

static void chunks_of_an_old_file_are_copied(void **state)
{
	static const uint64_t runs[][2] = { { 7, 3 }, { 2, 4 }, { 0, 1 } };
	struct rig *rig = *state;
	struct put put;
	uint8_t digests[10 * RIG_DIGEST];
	put_begin(&put, rig, true);
	put_digests(&put, SEED, TEN, digests);
	old_file(&put);
	struct write_place place = put_place(&put, WRITE_OLD, TEN);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_NOTHING);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_OLD);
	struct write_file *file = put_file_open(&put, WRITE_OLD, TEN, 0);
	assert_int_equal(put_keep(&put, file, 0, 10, digests), ALL & ~0x42);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	for (size_t i = 0; i < COUNT(runs); i++) {
		struct write_piece *copy = put_piece(&put, file, WRITE_COPY);
		copy->first = runs[i][0];
		copy->count = runs[i][1];
	}
	put_run(&put, 0);
	/* A run that breaks off now finds in the partial what was copied there. */
	assert_int_equal(put_op(&put, file, WRITE_CLOSE, TEN), 0);
	write_file_destroy(file);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct probe_piece *probe = put_probe(&put, &place, PROBE_UPDATE);
	assert_int_equal(probe->found, PROBE_CLAIMS);
	file = put_file_open(&put, WRITE_RESUME, TEN, probe->number);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), ALL & ~0x42);
	put_finish(&put, file, ALL & ~0x42);
	put_end(&put);
}

static void copies_do_not_leave_the_old_file(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, false);
	rig_file(rig, "copy", SEED, 4 * RIG_CHUNK);
	struct write_file *file = put_file_open(&put, WRITE_OLD, TEN, 0);
	put_piece(&put, file, WRITE_COPY)->first = 11;
	put_run(&put, -ERANGE);
	struct write_piece *copy = put_piece(&put, file, WRITE_COPY);
	copy->first = 3;
	copy->count = 2;
	put_run(&put, -ESTALE); /* it ends there */
	write_file_destroy(file);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	put_end(&put);
}

enum meddle { MEDDLE_WRITE, MEDDLE_REPLACE };

/* Somebody meddles with the old file while it is used. */
static void meddle(struct put *put, enum meddle how)
{
	int dir = put->rig->scratch->fd;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 99 } };
	if (how == MEDDLE_WRITE) {
		put_damage(put, "copy", 0);
		assert_int_equal(utimensat(dir, "copy", times, 0), 0);
	} else {
		rig_file(put->rig, "other", 77, 100);
		assert_int_equal(renameat(dir, "other", dir, "copy"), 0);
	}
}

static void an_old_file_that_changes_is_noticed(void **state)
{
	struct rig *rig = *state;
	struct put put;
	uint8_t digests[10 * RIG_DIGEST];
	put_begin(&put, rig, false);
	put_digests(&put, SEED, TEN, digests);
	for (enum meddle how = MEDDLE_WRITE; how <= MEDDLE_REPLACE; how++) {
		for (int late = 0; late < 2; late++) {
			/* Replaced under its name it is still whole behind our descriptor. */
			int code = how == MEDDLE_REPLACE ? 0 : -ESTALE;
			rig_file(rig, "copy", SEED, TEN);
			struct write_file *file = put_file_open(&put, WRITE_OLD, TEN, 0);
			assert_int_equal(put_keep(&put, file, 0, 10, digests), ALL);
			if (!late)
				meddle(&put, how);
			struct write_piece *copy = put_piece(&put, file, WRITE_COPY);
			copy->count = 10;
			put_run(&put, late ? 0 : code);
			if (late)
				meddle(&put, how);
			assert_int_equal(put_op(&put, file, WRITE_PUBLISH, TEN), code);
			assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
			write_file_destroy(file);
			assert_false(exists(rig->scratch->fd, ".xfer-partial"));
			if (code == 0)
				put_is(&put, "copy", SEED, TEN);
			assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
		}
	}
	put_end(&put);
}

/* An old file that turns out to be right stays, and gets mode and times. */
static void an_old_file_that_is_right_stays(void **state)
{
	struct rig *rig = *state;
	struct put put;
	struct stat before, after;
	uint8_t digests[10 * RIG_DIGEST], digest[RIG_DIGEST], made[RIG_DIGEST];
	put_begin(&put, rig, true);
	put_digests(&put, SEED, TEN, digests);
	rig_file(rig, "copy", SEED, TEN);
	rig_file_digest(rig, "copy", TEN, digest);
	for (int again = 0; again < 2; again++) {
		/* What an earlier run began is of no use any more. */
		put_file(rig->scratch->fd, ".xfer-partial", "of an earlier run");
		assert_int_equal(fstatat(rig->scratch->fd, "copy", &before, 0), 0);
		struct write_place place = put_place(&put, WRITE_OLD, TEN);
		place.sync = true;
		struct write_file *file = put_file_at(&put, &place, TEN);
		assert_int_equal(put_op(&put, file, WRITE_SETTLE, TEN), -ENODATA);
		assert_int_equal(put_keep(&put, file, 0, 10, digests), ALL);
		struct write_piece *settle = put_last(&put, file, WRITE_SETTLE, TEN);
		settle->made = made;
		settle->digest = digest;
		put_run(&put, 0);
		write_file_destroy(file);
		put_is(&put, "copy", SEED, TEN);
		assert_memory_equal(made, digest, RIG_DIGEST);
		assert_int_equal(fstatat(rig->scratch->fd, "copy", &after, 0), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		if (again) /* nothing to set: it is not touched */
			assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	}
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	put_end(&put);
}

static void what_is_only_looked_at_is_never_changed(void **state)
{
	struct rig *rig = *state;
	struct put put;
	struct stat before, after;
	uint8_t digests[10 * RIG_DIGEST];
	put_begin(&put, rig, false);
	put_digests(&put, SEED, TEN, digests);
	old_file(&put);
	put_file(rig->scratch->fd, ".xfer-partial", "of another run");
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &before, 0), 0);
	struct write_place place = put_place(&put, WRITE_STANDS, TEN);
	struct write_file *file = put_file_at(&put, &place, TEN);
	assert_int_equal(put_keep(&put, file, 0, 10, digests), ALL & ~0x42);
	assert_int_equal(put_op(&put, file, WRITE_SETTLE, TEN), -ENODATA);
	put_chunk(&put, file, SEED, TEN, 1);
	put_run(&put, -EROFS);
	assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
	write_file_destroy(file);

	rig_file(rig, "copy", SEED, TEN);
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &before, 0), 0);
	file = put_file_at(&put, &place, TEN);
	assert_int_equal(put_keep(&put, file, 0, 10, digests), ALL);
	assert_int_equal(put_op(&put, file, WRITE_SETTLE, TEN), 0);
	write_file_destroy(file);
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &after, 0), 0);
	assert_int_equal(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	assert_true(exists(rig->scratch->fd, ".xfer-partial"));

	/* Not there at all. */
	assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
	file = put_file_at(&put, &place, TEN);
	put.keep.count = 0;
	put_keep_piece(&put, file, 0, 10, digests);
	rig_run(rig, &put.keep.job, JOB_KEEP);
	assert_int_equal(put.keep.pieces[0].code, -ENOENT);
	write_file_destroy(file);
	put_end(&put);
}

/* ---- what becomes of a partial ---- */

static void a_partial_goes_only_when_it_is_abandoned(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	put_first_run(&put, 1);
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	put_run_chunks(&put, file, SEED, TEN, 0, 1, 0);
	write_file_destroy(file);
	assert_true(exists(rig->scratch->fd, ".xfer-partial"));
	/* Somebody else is at it. */
	int fd = openat(rig->scratch->fd, ".xfer-partial", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	put_chunk(&put, file, SEED, TEN, 3);
	put_run(&put, -EBUSY);
	assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
	write_file_destroy(file);
	file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
	write_file_destroy(file);
	assert_true(exists(rig->scratch->fd, ".xfer-partial"));
	close(fd);

	file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_op(&put, file, WRITE_ABANDON, TEN), 0);
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	write_file_destroy(file);
	put_end(&put);
}

static void the_same_transfer_twice_is_refused(void **state)
{
	struct rig *rig = *state;
	struct put put, twin;
	char text[256];
	put_begin(&put, rig, true);
	put_begin(&twin, rig, true);
	struct write_file *file = put_file_open(&put, WRITE_NEW, TEN, 0);
	put_run_chunks(&put, file, SEED, TEN, 0, 5, 0);
	/* Nothing is begun, not even what the other one has not open. */
	put_file(rig->scratch->fd, "next", "the other's");
	struct write_place place = put_place(&twin, WRITE_NEW, TEN);
	place.path = "new";
	struct write_file *fresh = put_file_at(&twin, &place, TEN);
	place.path = "next";
	place.reuse = WRITE_RESUME;
	struct write_file *next = put_file_at(&twin, &place, TEN);
	put_chunk(&twin, fresh, SEED, TEN, 0);
	put_chunk(&twin, next, SEED, TEN, 0);
	put_run_any(&twin);
	assert_int_equal(twin.write.journal_code, -EBUSY);
	assert_int_equal(twin.write.pieces[0].code, -EBUSY);
	assert_int_equal(twin.write.pieces[1].code, -EBUSY);
	put_clear(&twin);
	assert_false(exists(rig->scratch->fd, "new"));
	assert_int_equal(put_op(&twin, fresh, WRITE_ABANDON, TEN), 0);
	assert_int_equal(put_op(&twin, next, WRITE_ABANDON, TEN), 0);
	write_file_destroy(fresh);
	write_file_destroy(next);
	assert_string_equal(get_file(rig->scratch->fd, "next", text), "the other's");
	put_finish(&put, file, 0x1f);
	put_end(&twin);
	put_end(&put);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_run_that_broke_off_goes_on),
		RIG_TEST(what_is_damaged_on_disk_is_not_kept),
		RIG_TEST(chunks_written_in_parts_are_known_by_their_crc),
		RIG_TEST(a_lying_journal_costs_no_more_than_its_chunks),
		RIG_TEST(claims_of_another_cut_count_by_their_crc),
		RIG_TEST(chunks_are_digested_together),
		RIG_TEST(pieces_that_do_not_fit_are_refused),
		RIG_TEST(holes_are_made_where_something_stands),
		RIG_TEST(zeroes_are_kept),
		RIG_TEST(chunks_of_an_old_file_are_copied),
		RIG_TEST(copies_do_not_leave_the_old_file),
		RIG_TEST(an_old_file_that_changes_is_noticed),
		RIG_TEST(an_old_file_that_is_right_stays),
		RIG_TEST(what_is_only_looked_at_is_never_changed),
		RIG_TEST(a_partial_goes_only_when_it_is_abandoned),
		RIG_TEST(the_same_transfer_twice_is_refused),
	};
	return cmocka_run_group_tests_name("pipe-reuse", tests, NULL, NULL);
}
