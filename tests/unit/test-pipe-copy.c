/* SPDX-License-Identifier: BSD-2-Clause */
/* Files through read jobs, frames and write jobs: what arrives is what was there. */
#include "pipe-copy.h"

/* Copies `from` and compares content, digest, mode and mtime. */
static void copy_whole(struct rig *rig, const char *from, uint64_t size, uint64_t per_job, struct copy *copy)
{
	struct stat before, after;
	uint8_t digest[RIG_DIGEST];
	copy_begin(copy, rig, from, size);
	copy_read(copy, per_job);
	copy_write(copy, ".xfer-partial", "copy", size);
	rig_same(rig, from, "copy");
	assert_false(exists(rig->scratch->fd, ".xfer-partial"));
	assert_int_equal(copy->chunks + copy->holes, copy->total);
	assert_int_equal(copy->end.ends, 1);
	assert_int_equal(copy->end.status, STATUS_OK);
	assert_int_equal(copy->end.end.chunks, copy->total);
	assert_int_equal(copy->end.end.size, size);
	if (rig->suite.limits.digest_size > 0) {
		rig_file_digest(rig, from, size, digest);
		assert_non_null(copy->end.end.digest);
		assert_memory_equal(copy->end.end.digest, digest, RIG_DIGEST);
	} else {
		assert_null(copy->end.end.digest);
	}
	assert_int_equal(fstatat(rig->scratch->fd, from, &before, 0), 0);
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &after, 0), 0);
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	copy_drop(copy);
	assert_int_equal(lend_out(rig->lender), 0);
	assert_int_equal(unlinkat(rig->scratch->fd, "copy", 0), 0);
}

static const uint64_t sizes[] = { 0, 1, RIG_CHUNK - 1, RIG_CHUNK, RIG_CHUNK + 1, 10 * RIG_CHUNK, 333 * RIG_CHUNK + 17 };

static void files_of_all_sizes_arrive(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		rig_file(rig, "file", (unsigned)i, sizes[i]);
		copy_whole(rig, "file", sizes[i], 16, &copy);
		assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	}
}

static void files_of_all_sizes_arrive_undigested(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_suite(rig, RIG_CHUNK, 0);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		rig_file(rig, "file", (unsigned)i, sizes[i]);
		copy_whole(rig, "file", sizes[i], 16, &copy);
		assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	}
	assert_int_equal(rig->integrity.calls_many, 0);
}

static void files_of_all_sizes_arrive_with_a_checksum(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig->plugin.integrity.strength = XFER_STRENGTH_ACCIDENTAL;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		rig_file(rig, "file", (unsigned)i, sizes[i]);
		copy_whole(rig, "file", sizes[i], 16, &copy);
		assert_int_equal(unlinkat(rig->scratch->fd, "file", 0), 0);
	}
}

static void small_chunks_fill_a_job(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	uint64_t size = 3 * 1024 * 1024 + 5;
	rig_suite(rig, FRAME_CHUNK_MIN_SIZE, RIG_DIGEST);
	rig_file(rig, "file", 5, size);
	copy_whole(rig, "file", size, read_job_payload(&rig->suite) / FRAME_CHUNK_MIN_SIZE, &copy);
	assert_int_equal(rig->integrity.buffers_max, 128); /* BATCH_MAX: a full call of the plug-in */
}

static void large_chunks_are_alone_in_a_job(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_suite(rig, 4 * 1024 * 1024, RIG_DIGEST);
	assert_int_equal(read_job_payload(&rig->suite), 4 * 1024 * 1024);
	rig_file(rig, "file", 6, 9 * 1024 * 1024);
	copy_whole(rig, "file", 9 * 1024 * 1024, 1, &copy);
}

static void ranges_come_in_any_order(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	uint64_t size = 400 * RIG_CHUNK;
	rig_file(rig, "file", 7, size);
	rig_threads(rig, 4, 4);
	for (int round = 0; round < 5; round++)
		copy_whole(rig, "file", size, 1, &copy);
}

static void sparse_files_stay_sparse(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	struct stat st;
	uint64_t size = 10000 * (uint64_t)RIG_CHUNK + 100;
	/* Data in the middle of a chunk of its own, a block that is half of one, and the rest holes. */
	rig_suite(rig, 4 * RIG_CHUNK, RIG_DIGEST);
	rig_put(rig, "file", 8, 40 * RIG_CHUNK, 44 * RIG_CHUNK, size);
	rig_put(rig, "file", 8, 81 * RIG_CHUNK, 82 * RIG_CHUNK, size);
	assert_int_equal(fstatat(rig->scratch->fd, "file", &st, 0), 0);
	if (st.st_blocks * 512 > 16 * RIG_CHUNK)
		skip(); /* a file system without holes */

	copy_begin(&copy, rig, "file", size);
	uint64_t next = 0;
	while (next < copy.total) { /* one after the other, as far as each comes */
		struct read_job *job = copy_job(&copy, next, copy.total - next, true);
		job->pieces[0].chunks_before = next;
		rig_run(rig, &job->job, JOB_READ);
		assert_int_equal(job->pieces[0].status, STATUS_OK);
		assert_true(job->pieces[0].chunks > 0);
		next += job->pieces[0].chunks;
	}
	assert_true(copy.jobs[copy.count - 1]->pieces[0].ended);
	copy_write(&copy, ".xfer-partial", "copy", size);
	rig_same(rig, "file", "copy");
	assert_int_equal(copy.chunks, 3); /* two with data, and the short one at the end */
	assert_int_equal(copy.sparse, 2);
	assert_int_equal(copy.holes, copy.total - 3);
	assert_true(copy.end.end.flags & END_SPARSE);
	assert_int_equal(fstatat(rig->scratch->fd, "copy", &st, 0), 0);
	assert_true(st.st_blocks * 512 <= 16 * RIG_CHUNK);
	copy_drop(&copy);
}

static void payload_max_is_kept(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 9, 10 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 10 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 0, MESSAGE_ALL, true);
	job->payload_max = 3 * RIG_CHUNK + RIG_CHUNK / 2;
	rig_run(rig, &job->job, JOB_READ);
	assert_int_equal(job->pieces[0].chunks, 3);
	assert_int_equal(job->pieces[0].bytes, 3 * RIG_CHUNK);
	assert_int_equal(job->pieces[0].total, 10);
	assert_false(job->pieces[0].ended);
	copy_frames(&copy, job);
	assert_int_equal(copy.chunks, 3);
	assert_int_equal(copy.end.ends, 0);
	/* The first payload lies on a page. */
	size_t overhead = frame_chunk_overhead(&rig->suite.limits);
	assert_int_equal((uintptr_t)(job->buffer->data + job->out_offset + overhead) % 4096, 0);
	copy_drop(&copy);
}

static void a_part_has_no_file_digest(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	rig_file(rig, "file", 10, 10 * RIG_CHUNK);
	copy_begin(&copy, rig, "file", 10 * RIG_CHUNK);
	struct read_job *job = copy_job(&copy, 4, 3, true);
	job->pieces[0].part = true;
	rig_run(rig, &job->job, JOB_READ);
	copy_frames(&copy, job);
	assert_int_equal(copy.chunks, 3);
	assert_int_equal(copy.end.ends, 1);
	assert_int_equal(copy.end.status, STATUS_OK);
	assert_null(copy.end.end.digest);
	assert_int_equal(copy.end.end.chunks, 3);
	copy_drop(&copy);
}

/* A tree's files: all read by one job, which ends them all in one frame; all written and published by one. */
static void many_small_files_are_one_job(void **state)
{
	struct rig *rig = *state;
	struct copy copies[READ_PIECES_MAX];
	struct read_job *job = calloc(1, sizeof(*job));
	struct write_job *write = calloc(1, sizeof(*write));
	struct frame_limits *limits = &rig->suite.limits;
	char name[32];
	assert_non_null(job);
	assert_non_null(write);
	assert_int_equal(mkdirat(rig->scratch->fd, "stage", 0700), 0);
	job->buffer = lend_get(rig->lender, read_job_buffer_size(&rig->suite));
	job->payload_max = read_job_payload(&rig->suite);
	job->count = READ_PIECES_MAX;
	for (unsigned i = 0; i < READ_PIECES_MAX; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		rig_file(rig, name, i, i * 61);
		copy_begin(&copies[i], rig, name, i * 61);
		job->pieces[i] = (struct read_piece){
			.file = copies[i].from, .request = 100 + i, .count = MESSAGE_ALL, .end = true
		};
	}
	rig_run(rig, &job->job, JOB_READ);
	assert_int_equal(rig->integrity.calls_many, 1);
	assert_int_equal(rig->integrity.buffers_max, READ_PIECES_MAX - 1); /* the first is empty */

	uint8_t *at = job->buffer->data + job->out_offset, *stop = at + job->out_len;
	for (unsigned i = 0; i < READ_PIECES_MAX; i++) {
		assert_true(job->pieces[i].ended);
		snprintf(name, sizeof(name), "stage/file-%u", i);
		struct write_place place = { .root = rig->scratch->root, .path = name };
		assert_int_equal(write_file_create(&copies[i].to, &place, &rig->suite, i * 61), 0);
		if (i == 0)
			continue;
		struct write_piece *piece = &write->pieces[write->count++];
		*piece = (struct write_piece){ .file = copies[i].to, .op = WRITE_CHUNK };
		assert_int_equal(frame_chunk_read(at, limits, &piece->chunk, NULL), 0);
		assert_int_equal(piece->chunk.request, 100 + i);
		at += frame_chunk_overhead(limits) + piece->chunk.length;
	}
	struct frame_header header;
	assert_int_equal(frame_header_read(at, limits, &header, NULL), 0);
	assert_int_equal(header.type, FRAME_ENDS);
	assert_ptr_equal(at + FRAME_HEADER + header.length, stop);
	size_t cursor = 0;
	struct end end;
	for (unsigned i = 0; i < READ_PIECES_MAX; i++) {
		assert_int_equal(message_end_read(at + FRAME_HEADER, header.length, &cursor, RIG_DIGEST, &end, NULL),
		                 0);
		assert_int_equal(end.request, 100 + i);
		write->pieces[write->count++] = (struct write_piece){
			.file = copies[i].to,
			.op = WRITE_PUBLISH,
			.size = i * 61,
			.chunks = i > 0,
			.digest = end.digest,
			.meta = { .mode = end.mode, .mtime = { .tv_sec = end.mtime } },
		};
	}
	rig_run(rig, &write->job, JOB_WRITE);
	for (size_t i = 0; i < write->count; i++)
		assert_int_equal(write->pieces[i].code, 0);
	for (unsigned i = 0; i < READ_PIECES_MAX; i++) {
		char from[32];
		snprintf(from, sizeof(from), "file-%u", i);
		snprintf(name, sizeof(name), "stage/file-%u", i);
		rig_same(rig, from, name);
		write_file_destroy(copies[i].to);
		copies[i].to = NULL;
		copy_drop(&copies[i]);
	}
	lent_unref(job->buffer);
	free(job);
	free(write);
}

static void stages_are_counted(void **state)
{
	struct rig *rig = *state;
	struct copy copy;
	struct pipeline_count counts[PIPELINE_STAGES];
	rig_file(rig, "file", 11, 32 * RIG_CHUNK);
	copy_whole(rig, "file", 32 * RIG_CHUNK, 8, &copy);
	pipeline_counters(rig->pipeline, counts);
	assert_int_equal(counts[PIPELINE_READ].calls, 5);
	assert_int_equal(counts[PIPELINE_READ].bytes, 32 * RIG_CHUNK);
	assert_int_equal(counts[PIPELINE_WRITE].calls, 1);
	assert_int_equal(counts[PIPELINE_WRITE].bytes, 32 * RIG_CHUNK);
	assert_int_equal(counts[PIPELINE_HASH].calls, 6);
	assert_int_equal(counts[PIPELINE_HASH].bytes, 64 * RIG_CHUNK);
	assert_true(counts[PIPELINE_HASH].busy_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(files_of_all_sizes_arrive),
		RIG_TEST(files_of_all_sizes_arrive_with_a_checksum),
		RIG_TEST(files_of_all_sizes_arrive_undigested),
		RIG_TEST(small_chunks_fill_a_job),
		RIG_TEST(large_chunks_are_alone_in_a_job),
		RIG_TEST(ranges_come_in_any_order),
		RIG_TEST(sparse_files_stay_sparse),
		RIG_TEST(payload_max_is_kept),
		RIG_TEST(a_part_has_no_file_digest),
		RIG_TEST(many_small_files_are_one_job),
		RIG_TEST(stages_are_counted),
	};
	return cmocka_run_group_tests_name("pipe-copy", tests, NULL, NULL);
}
