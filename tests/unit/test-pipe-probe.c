/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes into the journal when, and what a probe makes of it. */
#include "pipe-write.h"

/* ---- what the journal has when ---- */

/* A small file of a tree, in a staging folder or merged. */
static struct write_place small_place(struct put *put, bool merged)
{
	struct write_place place = put_place(put, WRITE_NEW, 1000);
	place.path = merged ? ".xfer-partial" : "copy";
	place.final = merged ? "copy" : NULL;
	place.name = "tree/small";
	return place;
}

static void a_small_file_is_noted_when_it_is_published(void **state)
{
	struct rig *rig = *state;
	for (int merged = 0; merged < 2; merged++) {
		for (int sync = 0; sync < 2; sync++) {
			struct put put;
			put_begin(&put, rig, true);
			struct write_place place = small_place(&put, merged);
			place.sync = sync;
			struct write_file *file = put_file_at(&put, &place, 1000);
			put_chunk(&put, file, SEED, 1000, 0);
			put_run(&put, 0);
			/* Not published: nothing of it is claimed. */
			assert_int_equal(exists(rig->scratch->fd, ".xfer-journal"), merged);
			if (merged)
				put_again(&put, RIG_CHUNK, RIG_DIGEST);
			assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_NOTHING);
			write_file_destroy(file);
			place.journal = put.journal;
			file = put_file_at(&put, &place, 1000);
			put_chunk(&put, file, SEED, 1000, 0);
			put_last(&put, file, WRITE_PUBLISH, 1000);
			put_run(&put, 0);
			write_file_destroy(file);
			put_again(&put, RIG_CHUNK, RIG_DIGEST);
			place.journal = put.journal;
			struct probe_piece *probe = put_probe(&put, &place, 0);
			assert_int_equal(probe->found, PROBE_STANDS);
			assert_true(probe->number != 0);
			place.reuse = merged ? WRITE_OLD : WRITE_RESUME;
			place.number = probe->number;
			file = put_file_at(&put, &place, 1000);
			assert_int_equal(put_keep(&put, file, 0, 1, NULL), 1);
			assert_int_equal(put_op(&put, file, merged ? WRITE_SETTLE : WRITE_PUBLISH, 1000), 0);
			write_file_destroy(file);
			put_is(&put, "copy", SEED, 1000);
			assert_int_equal(journal_remove(put.journal), 0);
			put.journal = NULL;
			put_end(&put);
			assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
		}
	}
}

/* Of an old file too, once it was copied. */
static void a_small_file_that_was_copied_is_noted(void **state)
{
	struct rig *rig = *state;
	struct put put;
	uint8_t digest[RIG_DIGEST];
	put_begin(&put, rig, true);
	put_digests(&put, SEED, 1000, digest);
	rig_file(rig, "copy", SEED, 1500);
	struct write_place place = small_place(&put, true);
	place.reuse = WRITE_OLD;
	struct write_file *file = put_file_at(&put, &place, 1000);
	assert_int_equal(put_keep(&put, file, 0, 1, digest), 1);
	put_piece(&put, file, WRITE_COPY)->count = 1;
	put_last(&put, file, WRITE_PUBLISH, 1000);
	put_run(&put, 0);
	write_file_destroy(file);
	put_is(&put, "copy", SEED, 1000);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_STANDS);
	put_end(&put);
}

/* A sparse file under its final name stands too, when its holes are not many. */
static void a_sparse_file_stands(void **state)
{
	static const uint64_t holes[] = { 1, 1024, 1025 };
	struct rig *rig = *state;
	for (size_t i = 0; i < COUNT(holes); i++) {
		for (int kept = 0; kept < 2; kept++) {
			struct put put;
			uint64_t size = (holes[i] + 3) * RIG_CHUNK;
			put_begin(&put, rig, true);
			rig_put(rig, ".xfer-partial", SEED, 0, 0, size);
			struct write_file *file = put_file_open(&put, kept ? WRITE_RESUME : WRITE_NEW, size, 0);
			put_run_chunks(&put, file, SEED, size, 0, 2, 0);
			if (kept) {
				assert_true(put_keep_zeroes(&put, file, 2, holes[i]));
			} else {
				struct write_piece *hole = put_piece(&put, file, WRITE_HOLE);
				hole->first = 2;
				hole->count = holes[i];
				put_run(&put, 0);
			}
			put_chunk(&put, file, SEED, size, holes[i] + 2);
			put_last(&put, file, WRITE_PUBLISH, size);
			put_run(&put, 0);
			write_file_destroy(file);
			put_again(&put, RIG_CHUNK, RIG_DIGEST);
			struct write_place place = put_place(&put, WRITE_OLD, size);
			struct probe_piece *probe = put_probe(&put, &place, 0);
			bool stands = holes[i] <= 1024;
			assert_int_equal(probe->found, stands ? PROBE_STANDS : PROBE_NOTHING);
			file = put_file_open(&put, WRITE_OLD, size, probe->number);
			for (uint64_t at = 0; stands && at < holes[i] + 3; at += 64) {
				uint64_t count = holes[i] + 3 - at < 64 ? holes[i] + 3 - at : 64;
				assert_true(put_keep(&put, file, at, count, NULL) == UINT64_MAX >> (64 - count));
			}
			write_file_destroy(file);
			assert_int_equal(journal_remove(put.journal), 0);
			put.journal = NULL;
			put_end(&put);
		}
	}
}

/* The name of a partial that is to be is in the journal before it is there. */
static void a_partial_is_announced(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	struct write_place place = small_place(&put, true);
	place.path = "no-such-folder/.xfer-partial";
	struct write_file *file = put_file_at(&put, &place, 1000);
	put_chunk(&put, file, SEED, 1000, 0);
	put_run(&put, -ENOENT);
	write_file_destroy(file);
	char text[256];
	ssize_t len = -1;
	int fd = openat(rig->scratch->fd, ".xfer-journal", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	len = read(fd, text, sizeof(text));
	close(fd);
	assert_true(len > 0);
	assert_non_null(memmem(text, (size_t)len, "tree/small", 10));
	put_end(&put);
}

static void a_file_of_its_own_needs_no_journal(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, false);
	struct write_file *file = put_file_open(&put, WRITE_NEW, TEN, 0);
	put_finish(&put, file, 0);
	assert_false(exists(rig->scratch->fd, ".xfer-journal"));
	put_end(&put);
}

/* ---- probes ---- */

static void set_times(struct rig *rig, const char *name, time_t seconds, long ns)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { seconds, ns } };
	assert_int_equal(utimensat(rig->scratch->fd, name, times, 0), 0);
}

static void a_probe_tells_what_others_left(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, false);
	struct write_place place = put_place(&put, WRITE_NEW, TEN);
	const unsigned both = PROBE_UPDATE | PROBE_COMPARE;
	assert_int_equal(put_probe(&put, &place, both)->found, PROBE_NOTHING);
	rig_file(rig, "copy", SEED, TEN);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_NOTHING);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_OLD);
	assert_int_equal(put.probe.pieces[0].size, TEN);
	set_times(rig, "copy", PUT_SECONDS, PUT_NS);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_SAME);
	assert_int_equal(put_probe(&put, &place, both)->found, PROBE_OLD);
	set_times(rig, "copy", PUT_SECONDS, PUT_NS + 1);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_OLD);
	rig_file(rig, "copy", SEED, TEN + 1);
	set_times(rig, "copy", PUT_SECONDS, PUT_NS);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_OLD);
	assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
	assert_int_equal(symlinkat("elsewhere", rig->scratch->fd, "copy"), 0);
	assert_int_equal(put_probe(&put, &place, both)->found, PROBE_NOTHING);
	assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
	assert_int_equal(mkdirat(rig->scratch->fd, "copy", 0755), 0);
	assert_int_equal(put_probe(&put, &place, both)->found, PROBE_NOTHING);
	place.path = "none/.xfer-partial";
	place.final = "none/copy";
	assert_int_equal(put_probe(&put, &place, both)->found, PROBE_NOTHING);
	put_end(&put);
}

static void a_probe_tells_what_an_earlier_run_left(void **state)
{
	struct rig *rig = *state;
	struct put put;
	put_begin(&put, rig, true);
	put_first_run(&put, 2);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	struct write_place place = put_place(&put, WRITE_RESUME, TEN);
	struct write_place later = place, other = place;
	later.identity.mtime_ns++;
	other.name = "another";
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_CLAIMS);
	assert_int_equal(put_probe(&put, &later, 0)->found, PROBE_CHANGED);
	assert_int_equal(put.probe.pieces[0].number, 0);
	assert_int_equal(put.probe.pieces[0].claims.count, 0);
	assert_int_equal(put_probe(&put, &other, 0)->found, PROBE_NOTHING);
	/* All of it is claimed, but it does not stand yet. */
	struct write_file *file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	put_run_chunks(&put, file, SEED, TEN, 1, 2, 0);
	assert_int_equal(put_op(&put, file, WRITE_CLOSE, TEN), 0);
	write_file_destroy(file);
	put_again(&put, RIG_CHUNK, RIG_DIGEST);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_CLAIMS);
	file = put_file_open(&put, WRITE_RESUME, TEN, 1);
	assert_int_equal(put_keep(&put, file, 0, 10, NULL), ALL);
	put_finish(&put, file, ALL);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_STANDS);
	assert_int_equal(put_probe(&put, &later, 0)->found, PROBE_OLD); /* the source has changed since */
	/* Somebody else's by now. */
	set_times(rig, "copy", PUT_SECONDS + 1, 0);
	assert_int_equal(put_probe(&put, &place, 0)->found, PROBE_NOTHING);
	assert_int_equal(put_probe(&put, &place, PROBE_UPDATE)->found, PROBE_OLD);
	put_end(&put);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_small_file_is_noted_when_it_is_published),
		RIG_TEST(a_small_file_that_was_copied_is_noted),
		RIG_TEST(a_sparse_file_stands),
		RIG_TEST(a_partial_is_announced),
		RIG_TEST(a_file_of_its_own_needs_no_journal),
		RIG_TEST(a_probe_tells_what_others_left),
		RIG_TEST(a_probe_tells_what_an_earlier_run_left),
	};
	return cmocka_run_group_tests_name("pipe-probe", tests, NULL, NULL);
}
