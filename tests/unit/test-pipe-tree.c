/* SPDX-License-Identifier: BSD-2-Clause */
/* List, check and dir jobs. */
#include "pipe-rig.h"

#include <stdatomic.h>

/* ---- list ---- */

struct listing {
	char text[65536]; /* "kind name[=text] " for each entry */
	size_t len;
	unsigned frames, jobs;
	struct end end;
	char end_text[256];
	bool ended;
};

static void listing_entry(struct listing *listing, const struct entry *entry)
{
	static const char kinds[] = "?fdulsx";
	listing->len += (size_t)snprintf(listing->text + listing->len, sizeof(listing->text) - listing->len,
	                                 "%c%.*s%s%.*s ", kinds[entry->kind], (int)entry->name_len, entry->name,
	                                 entry->text_len > 0 ? "=" : "", (int)entry->text_len, entry->text);
	assert_true(listing->len < sizeof(listing->text));
}

/* The run of a frame, whose digest must be right. */
static size_t run_of(struct rig *rig, const uint8_t *body, size_t len)
{
	uint32_t size = rig->suite.limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];
	size_t run;
	assert_int_equal(message_run_read(len, size, &run, NULL), 0);
	if (size > 0) {
		rig_digest(&rig->integrity, body, run, digest, 0);
		assert_memory_equal(digest, body + run, size);
	}
	return run;
}

static void listing_frames(struct listing *listing, struct rig *rig, const struct list_job *job)
{
	const uint8_t *at = job->out.data, *stop = at + job->out.len;
	while (at < stop) {
		struct frame_header header;
		const uint8_t *body = at + FRAME_HEADER;
		size_t cursor = 0;
		assert_int_equal(frame_header_read(at, &rig->suite.limits, &header, NULL), 0);
		assert_int_equal(frame_control_check(at, body, header.length, NULL), 0);
		size_t run = run_of(rig, body, header.length);
		if (header.type == FRAME_ENTRIES) {
			struct entry entry;
			assert_int_equal(header.request, 9);
			assert_int_equal(run, job->run);
			assert_true(run <= job->run_max);
			listing->frames++;
			while (cursor < run) {
				assert_int_equal(message_entry_read(body, run, &cursor, &entry, NULL), 0);
				listing_entry(listing, &entry);
			}
		} else {
			assert_int_equal(header.type, FRAME_ENDS);
			assert_int_equal(message_end_read(body, run, &cursor, rig->suite.limits.digest_size,
			                                  &listing->end, NULL),
			                 0);
			assert_int_equal(cursor, run);
			assert_int_equal(listing->end.request, 9);
			snprintf(listing->end_text, sizeof(listing->end_text), "%.*s", (int)listing->end.text_len,
			         listing->end.text);
			listing->ended = true;
		}
		at = body + header.length;
	}
	assert_ptr_equal(at, stop);
}

static void list_all(struct listing *listing, struct rig *rig, const char *path, unsigned depth, bool totals,
                     const char *name, uint64_t run_max)
{
	struct list_walk *walk;
	memset(listing, 0, sizeof(*listing));
	assert_int_equal(list_walk_create(&walk, rig->scratch->root, path, depth, totals, name), 0);
	while (!listing->ended) {
		struct list_job job = { .walk = walk, .request = 9, .run_max = run_max };
		rig_run(rig, &job.job, JOB_LIST);
		assert_int_equal(job.code, 0);
		listing->jobs++;
		listing_frames(listing, rig, &job);
		assert_int_equal(job.ended, listing->ended);
		buf_free(&job.out);
	}
	list_walk_destroy(walk);
}

static void a_tree_is_listed(void **state)
{
	struct rig *rig = *state;
	struct listing *listing = malloc(sizeof(*listing));
	assert_non_null(listing);
	assert_int_equal(mkdirat(rig->scratch->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(rig->scratch->fd, "a/b", 0755), 0);
	put_file(rig->scratch->fd, "a/b/file", "12345");
	assert_int_equal(symlinkat("b/file", rig->scratch->fd, "a/b/link"), 0);
	put_file(rig->scratch->fd, "a/b/.xfer-0123456789abcdef", "hidden");

	list_all(listing, rig, "a", MESSAGE_DEPTH_ALL, false, NULL, 65536);
	assert_int_equal(listing->jobs, 1);
	assert_int_equal(listing->frames, 1);
	assert_int_equal(listing->end.status, STATUS_OK);
	/* The two in the inner folder come in the file system's order. */
	if (strstr(listing->text, "ffile llink"))
		assert_string_equal(listing->text, "da db ffile llink=b/file u u ");
	else
		assert_string_equal(listing->text, "da db llink=b/file ffile u u ");

	list_all(listing, rig, "a/b/file", 0, false, NULL, 65536);
	assert_string_equal(listing->text, "ffile ");
	list_all(listing, rig, "", 1, false, "pub", 65536);
	assert_string_equal(listing->text, "dpub da u u ");
	list_all(listing, rig, "a", MESSAGE_DEPTH_ALL, true, NULL, 0);
	assert_string_equal(listing->text, "");
	assert_int_equal(listing->frames, 0);
	assert_int_equal(listing->end.chunks, 1); /* files */
	assert_int_equal(listing->end.size, 5);

	rig_suite(rig, RIG_CHUNK, 0);
	list_all(listing, rig, "a/b/file", 0, false, NULL, 65536);
	assert_string_equal(listing->text, "ffile ");
	free(listing);
}

/* A run ends when it has taken long enough, too: time stands still, or each look at it takes so long. ns; -1: as it is. */
static _Atomic int64_t look_takes = -1;
static _Atomic uint64_t time_made = 1;

uint64_t __real_clock_monotonic(void);
uint64_t __wrap_clock_monotonic(void);
uint64_t __wrap_clock_monotonic(void)
{
	if (look_takes < 0)
		return __real_clock_monotonic();
	return atomic_fetch_add(&time_made, (uint64_t)look_takes);
}

static void a_long_listing_comes_in_runs(void **state)
{
	struct rig *rig = *state;
	struct listing *small = malloc(sizeof(*small)), *large = malloc(sizeof(*large));
	char name[64];
	assert_non_null(small);
	assert_non_null(large);
	assert_int_equal(mkdirat(rig->scratch->fd, "many", 0755), 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		put_file(rig->scratch->fd, name, "");
	}
	look_takes = 0;
	list_all(small, rig, "many", 1, false, NULL, 5000);
	list_all(large, rig, "many", 1, false, NULL, UINT64_MAX);
	assert_true(small->frames > 10);
	assert_true(large->frames <= small->frames / 5);
	assert_in_range(large->jobs, 1, 3);
	assert_string_equal(small->text, large->text);
	look_takes = 1000000000;
	list_all(large, rig, "many", 1, false, NULL, UINT64_MAX);
	look_takes = -1;
	assert_in_range(large->jobs, 10, 2000);
	assert_string_equal(small->text, large->text);
	free(small);
	free(large);
}

static void a_walk_that_cannot_start_says_why(void **state)
{
	struct rig *rig = *state;
	struct listing *listing = malloc(sizeof(*listing));
	assert_non_null(listing);
	list_all(listing, rig, "none", 1, false, NULL, 65536);
	assert_int_equal(listing->end.status, STATUS_NOT_FOUND);
	assert_contains(listing->end_text, "No such file");
	list_all(listing, rig, "../out", 1, false, NULL, 65536);
	assert_int_equal(listing->end.status, STATUS_REFUSED);
	assert_string_equal(listing->text, "");
	free(listing);
}

static void names_are_listed_as_directories(void **state)
{
	struct rig *rig = *state;
	static const char *const names[] = { "pub", "upload" };
	struct listing *listing = malloc(sizeof(*listing));
	struct list_walk *walk;
	assert_non_null(listing);
	for (size_t count = 0; count <= 2; count++) {
		static const char *const expected[] = { "dexports u ", "dexports dpub u u ",
			                                "dexports dpub u dupload u u " };
		memset(listing, 0, sizeof(*listing));
		assert_int_equal(list_walk_names(&walk, names, count), 0);
		struct list_job job = { .walk = walk, .request = 9, .run_max = 65536 };
		rig_run(rig, &job.job, JOB_LIST);
		assert_true(job.ended);
		listing_frames(listing, rig, &job);
		assert_string_equal(listing->text, expected[count]);
		assert_int_equal(listing->end.status, STATUS_OK);
		buf_free(&job.out);
		list_walk_destroy(walk);
	}
	free(listing);
}

static void a_cancelled_walk_ends(void **state)
{
	struct rig *rig = *state;
	struct listing *listing = calloc(1, sizeof(*listing));
	struct list_walk *walk;
	struct list_job job = { .request = 9, .run_max = 65536, .refuse = STATUS_CANCELLED };
	assert_non_null(listing);
	assert_int_equal(list_walk_create(&walk, rig->scratch->root, "", 1, false, "pub"), 0);
	job.walk = walk;
	rig_run(rig, &job.job, JOB_LIST);
	assert_true(job.ended);
	listing_frames(listing, rig, &job);
	assert_int_equal(listing->end.status, STATUS_CANCELLED);
	buf_free(&job.out);
	list_walk_destroy(walk);
	free(listing);
}

static void a_failing_plugin_lists_nothing(void **state)
{
	struct rig *rig = *state;
	struct list_walk *walk;
	struct list_job job = { .request = 9, .run_max = 65536 };
	assert_int_equal(list_walk_create(&walk, rig->scratch->root, "", 1, false, "pub"), 0);
	job.walk = walk;
	atomic_store(&rig->integrity.fail, -EIO);
	rig_run(rig, &job.job, JOB_LIST);
	assert_int_equal(job.code, -EIO);
	assert_false(job.ended);
	assert_null(job.out.data);
	list_walk_destroy(walk);
}

/* ---- check ---- */

static int check(struct rig *rig, const uint8_t *body, size_t len)
{
	struct check_job job = { .body = body, .len = len };
	rig_run(rig, &job.job, JOB_CHECK);
	return job.code;
}

static void a_run_is_checked(void **state)
{
	struct rig *rig = *state;
	uint8_t body[500 + RIG_DIGEST];
	memset(body, 'x', sizeof(body));
	rig_digest(&rig->integrity, body, 500, body + 500, 0);
	assert_int_equal(check(rig, body, sizeof(body)), 0);
	body[499] ^= 1;
	assert_int_equal(check(rig, body, sizeof(body)), -EBADMSG);
	body[499] ^= 1;
	body[500 + RIG_DIGEST - 1] ^= 1;
	assert_int_equal(check(rig, body, sizeof(body)), -EBADMSG);
	assert_int_equal(check(rig, body, RIG_DIGEST - 1), -EBADMSG);
	assert_int_equal(check(rig, body, 0), -EBADMSG);
	rig_suite(rig, RIG_CHUNK, 0);
	assert_int_equal(check(rig, body, 100), 0);
}

/* ---- dir ---- */

static void dir_add(struct dir_job *job, struct rig *rig, enum dir_op op, const char *path, const char *target)
{
	job->pieces[job->count++] = (struct dir_piece){
		.op = op,
		.root = rig->scratch->root,
		.path = path,
		.target = target,
		.meta = { .mode = 0751, .mtime = { .tv_sec = 1234567, .tv_nsec = 89 } },
		.code = 1,
	};
}

static void a_tree_is_made_and_published(void **state)
{
	struct rig *rig = *state;
	struct dir_job job = { 0 };
	struct stat st;
	char target[64] = "";
	put_file(rig->scratch->fd, "old", "replaced by a link");
	dir_add(&job, rig, DIR_MAKE, ".xfer-stage", NULL);
	dir_add(&job, rig, DIR_MAKE, ".xfer-stage/sub", NULL);
	dir_add(&job, rig, DIR_MAKE, ".xfer-stage/sub", NULL); /* there already */
	dir_add(&job, rig, DIR_SYMLINK, ".xfer-stage/link", "sub");
	dir_add(&job, rig, DIR_SYMLINK, ".xfer-stage/link", "sub/other");
	dir_add(&job, rig, DIR_SYMLINK, "old", "anywhere");
	dir_add(&job, rig, DIR_META, ".xfer-stage/sub", NULL);
	dir_add(&job, rig, DIR_SYNC, ".xfer-stage", NULL);
	dir_add(&job, rig, DIR_SYNC, NULL, NULL);
	dir_add(&job, rig, DIR_RENAME, ".xfer-stage", "tree");
	rig_run(rig, &job.job, JOB_DIR);
	for (size_t i = 0; i < job.count; i++)
		assert_int_equal(job.pieces[i].code, 0);
	assert_int_equal(fstatat(rig->scratch->fd, "tree/sub", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtim.tv_sec, 1234567);
	assert_int_equal(st.st_mtim.tv_nsec, 89);
	assert_true(readlinkat(rig->scratch->fd, "tree/link", target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "sub/other");
	assert_int_equal(fstatat(rig->scratch->fd, "old", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_mtim.tv_sec, 1234567);
	/* Nothing hidden is left behind. */
	struct listing *listing = malloc(sizeof(*listing));
	assert_non_null(listing);
	struct dir_job gone = { 0 };
	dir_add(&gone, rig, DIR_REMOVE, "tree", NULL);
	dir_add(&gone, rig, DIR_REMOVE, "old", NULL);
	dir_add(&gone, rig, DIR_REMOVE, "never", NULL);
	rig_run(rig, &gone.job, JOB_DIR);
	for (size_t i = 0; i < gone.count; i++)
		assert_int_equal(gone.pieces[i].code, 0);
	DIR *dir = opendir(rig->scratch->in);
	unsigned entries = 0;
	while (readdir(dir))
		entries++;
	closedir(dir);
	assert_int_equal(entries, 2); /* "." and ".." */
	free(listing);
}

/* The second of two runs: what the first one left and nobody wants any more goes before the folder gets its times. */
static void a_tree_is_swept(void **state)
{
	struct rig *rig = *state;
	struct dir_job job = { 0 };
	struct nameset names = { 0 };
	struct stat st;
	assert_int_equal(mkdirat(rig->scratch->fd, "stage", 0700), 0);
	put_file(rig->scratch->fd, "stage/old", "");
	put_file(rig->scratch->fd, "stage/stays", "");
	assert_int_equal(nameset_add(&names, "sub", 3), 0);
	assert_int_equal(nameset_add(&names, "stays", 5), 0);
	dir_add(&job, rig, DIR_MAKE, "stage", NULL);
	dir_add(&job, rig, DIR_MAKE, "stage/sub", NULL);
	dir_add(&job, rig, DIR_SWEEP, "stage", NULL);
	job.pieces[2].names = &names;
	dir_add(&job, rig, DIR_META, "stage", NULL);
	rig_run(rig, &job.job, JOB_DIR);
	for (size_t i = 0; i < job.count; i++)
		assert_int_equal(job.pieces[i].code, 0);
	assert_true(job.pieces[0].existed);
	assert_false(job.pieces[1].existed);
	assert_false(exists(rig->scratch->fd, "stage/old"));
	assert_true(exists(rig->scratch->fd, "stage/stays"));
	assert_true(exists(rig->scratch->fd, "stage/sub"));
	assert_int_equal(fstatat(rig->scratch->fd, "stage", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 1234567);
	nameset_free(&names);
}

static void a_failure_does_not_stop_the_next(void **state)
{
	struct rig *rig = *state;
	struct dir_job job = { 0 };
	assert_int_equal(mkdirat(rig->scratch->fd, "dir", 0755), 0);
	put_file(rig->scratch->fd, "file", "");
	dir_add(&job, rig, DIR_MAKE, "file", NULL);
	dir_add(&job, rig, DIR_MAKE, "none/dir", NULL);
	dir_add(&job, rig, DIR_SYMLINK, "dir", "x");
	dir_add(&job, rig, DIR_SYMLINK, "file", "x");
	job.pieces[3].no_replace = true;
	dir_add(&job, rig, DIR_RENAME, "file", "dir");
	job.pieces[4].no_replace = true;
	dir_add(&job, rig, DIR_REMOVE, "../out", NULL);
	dir_add(&job, rig, DIR_MAKE, "fine", NULL);
	rig_run(rig, &job.job, JOB_DIR);
	for (size_t i = 0; i < 6; i++)
		assert_true(job.pieces[i].code < 0);
	assert_int_equal(job.pieces[2].code, -EISDIR);
	assert_int_equal(job.pieces[3].code, -EEXIST);
	assert_int_equal(job.pieces[4].code, -EEXIST);
	assert_int_equal(job.pieces[6].code, 0);
	assert_true(exists(rig->scratch->fd, "fine"));
}

static void a_tree_takes_the_place_of_another(void **state)
{
	struct rig *rig = *state;
	struct dir_job job = { 0 };
	char text[256];
	const char *made[] = { ".xfer-1", ".xfer-2", ".xfer-3", "tree", "new/tree" };
	assert_int_equal(mkdirat(rig->scratch->fd, "new", 0755), 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(mkdirat(rig->scratch->fd, made[i], 0755), 0);
	put_file(rig->scratch->fd, ".xfer-1/new", "1");
	put_file(rig->scratch->fd, "tree/old", "0");
	put_file(rig->scratch->fd, "file", "old");
	dir_add(&job, rig, DIR_RENAME, ".xfer-1", "tree");
	job.pieces[0].no_replace = true;
	dir_add(&job, rig, DIR_RENAME, ".xfer-1", "tree");
	dir_add(&job, rig, DIR_RENAME, ".xfer-2", "file");
	dir_add(&job, rig, DIR_RENAME, ".xfer-3", "fresh");
	rig_run(rig, &job.job, JOB_DIR);
	assert_int_equal(job.pieces[0].code, -EEXIST);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(job.pieces[i].code, 0);
	assert_string_equal(get_file(rig->scratch->fd, "tree/new", text), "1");
	assert_false(exists(rig->scratch->fd, "tree/old"));
	assert_true(exists(rig->scratch->fd, "fresh"));
	for (size_t i = 0; i < 3; i++)
		assert_false(exists(rig->scratch->fd, made[i]));
}

static void the_root_keeps_its_mode(void **state)
{
	struct rig *rig = *state;
	struct dir_job job = { 0 };
	struct stat before, after;
	assert_int_equal(fstat(rig->scratch->fd, &before), 0);
	dir_add(&job, rig, DIR_MAKE, "", NULL);
	dir_add(&job, rig, DIR_META, "", NULL);
	rig_run(rig, &job.job, JOB_DIR);
	assert_int_equal(job.pieces[0].code, 0);
	assert_int_equal(job.pieces[1].code, 0);
	assert_int_equal(fstat(rig->scratch->fd, &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
}

/* ---- place ---- */

/* wanted: the final path and what is there ("", "file" or "dir"); NULL: refused with the status. */
static void place(struct rig *rig, const char *path, const char *name, bool into, const char *wanted, const char *there,
                  enum status status)
{
	struct place_job job = { .root = rig->scratch->root, .path = path, .name = name, .into = into };
	rig_run(rig, &job.job, JOB_PLACE);
	assert_int_equal(job.status, status);
	if (wanted == NULL) {
		assert_null(job.final);
		assert_string_not_equal(job.err.text, "");
		return;
	}
	assert_string_equal(job.final, wanted);
	assert_int_equal(job.exists, there[0] != '\0');
	assert_int_equal(job.is_dir, strcmp(there, "dir") == 0);
	free(job.final);
}

static void something_goes_where_cp_would_have_it(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(mkdirat(rig->scratch->fd, "dir", 0755), 0);
	assert_int_equal(mkdirat(rig->scratch->fd, "dir/sub", 0755), 0);
	put_file(rig->scratch->fd, "file", "");
	put_file(rig->scratch->fd, "dir/file", "");
	assert_int_equal(symlinkat("dir", rig->scratch->fd, "link"), 0);
	assert_int_equal(symlinkat("nowhere", rig->scratch->fd, "dangling"), 0);
	assert_int_equal(symlinkat("..", rig->scratch->fd, "out"), 0);
	place(rig, "", "new", false, "new", "", STATUS_OK);
	place(rig, "", "file", false, "file", "file", STATUS_OK);
	place(rig, "", "dir", true, "dir", "dir", STATUS_OK);
	place(rig, "", "", false, "", "dir", STATUS_OK);
	place(rig, "new", "name", false, "new", "", STATUS_OK);
	place(rig, "file", "name", false, "file", "file", STATUS_OK);
	place(rig, "dir", "name", false, "dir/name", "", STATUS_OK);
	place(rig, "dir", "file", true, "dir/file", "file", STATUS_OK);
	place(rig, "dir", "", false, "dir", "dir", STATUS_OK);
	place(rig, "dir/sub", "name", true, "dir/sub/name", "", STATUS_OK);
	place(rig, "dir/new", "", false, "dir/new", "", STATUS_OK);
	place(rig, "dangling", "name", false, "dangling", "file", STATUS_OK);
	place(rig, "file", "name", true, NULL, NULL, STATUS_NOT_FOUND);
	place(rig, "new", "name", true, NULL, NULL, STATUS_NOT_FOUND);
	place(rig, "none/new", "name", false, NULL, NULL, STATUS_NOT_FOUND);
	place(rig, "file/new", "name", false, NULL, NULL, STATUS_NOT_FOUND);
	place(rig, "out", "name", false, NULL, NULL, STATUS_REFUSED);
	place(rig, "out/new", "name", false, NULL, NULL, STATUS_REFUSED);
	place(rig, "../x", "name", false, NULL, NULL, STATUS_REFUSED);
	/* A link that stays beneath leads on; the link itself is no folder. */
	place(rig, "link", "name", false, "link/name", "", STATUS_OK);
	place(rig, "", "link", false, "link", "file", STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_tree_is_listed),
		RIG_TEST(a_long_listing_comes_in_runs),
		RIG_TEST(a_walk_that_cannot_start_says_why),
		RIG_TEST(names_are_listed_as_directories),
		RIG_TEST(a_cancelled_walk_ends),
		RIG_TEST(a_failing_plugin_lists_nothing),
		RIG_TEST(a_run_is_checked),
		RIG_TEST(a_tree_is_made_and_published),
		RIG_TEST(a_tree_is_swept),
		RIG_TEST(a_failure_does_not_stop_the_next),
		RIG_TEST(a_tree_takes_the_place_of_another),
		RIG_TEST(the_root_keeps_its_mode),
		RIG_TEST(something_goes_where_cp_would_have_it),
	};
	return cmocka_run_group_tests_name("pipe-tree", tests, NULL, NULL);
}
