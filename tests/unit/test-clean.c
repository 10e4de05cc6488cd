/* SPDX-License-Identifier: BSD-2-Clause */
/* What abandoned transfers left: all of it is found and goes, and nothing else does. */
#include "scratch.h"

#include "journal-rig.h"

#include "store/clean.h"

#include <limits.h>
#include <time.h>

#define ID_A "00112233aabbccdd"
#define ID_B "00112233aabbccde"
#define A STORE_HIDDEN ID_A
#define B STORE_HIDDEN ID_B

static void put_tree(struct scratch *s)
{
	put_file(s->fd, "mine", "");
	put_file(s->fd, STORE_HIDDEN "notes", ""); /* not ours, nor are these: */
	put_file(s->fd, A ".txt", "");
	put_file(s->fd, A "0", "");
	put_file(s->fd, STORE_HIDDEN "00112233AABBCCDD", "");
	put_file(s->fd, A ".12.34", "");
	put_file(s->fd, A ".", "");
	put_file(s->fd, ID_A ".j", "");
	assert_int_equal(mkdirat(s->fd, B ".j", 0700), 0);
	assert_int_equal(mkfifoat(s->fd, B, 0600), 0);
	assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "dir/deep", 0700), 0);
}

/* A journal of the transfer, left by it or still open. */
static struct journal *put_journal(struct scratch *s, const char *path, const char *target, bool stays)
{
	struct journal_head head = { "id", "xfer://host/pub/a", A, target };
	struct journal *journal;
	bool resumed;
	assert_int_equal(journal_open(&journal, s->root, path, &head, &rig_1m, &resumed, NULL), 0);
	rig_add(journal, "a", 1);
	assert_int_equal(journal_flush(journal), 0);
	if (stays)
		return journal;
	journal_close(journal);
	return NULL;
}

static void look_at(struct clean *clean, struct scratch *s, const char *place)
{
	char path[400];
	struct error err = { 0 };
	assert_int_equal(clean_open(clean, NULL), 0);
	snprintf(path, sizeof(path), "%s/%s", s->in, place);
	if (clean_look(clean, path, &err) < 0 || clean_sort(clean, &err) < 0)
		fail_msg("%s", err.text);
}

/* All items as text, relative to the scratch folder: "a b c"; transfers apart by "|". */
static void assert_found(const struct clean *clean, const struct scratch *s, const char *expected)
{
	char text[2048] = "", real[PATH_MAX];
	size_t len = 0;
	assert_non_null(realpath(s->in, real));
	for (size_t i = 0; i < clean->transfer_count; i++) {
		const struct clean_transfer *transfer = &clean->transfers[i];
		for (size_t k = 0; k < transfer->count; k++) {
			const char *path = transfer->items[k].path;
			assert_int_equal(strncmp(path, real, strlen(real)), 0);
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
			                        len == 0 ? ""
			                        : k == 0 ? "|"
			                                 : " ",
			                        path + strlen(real) + 1);
		}
	}
	assert_string_equal(text, expected);
}

static void names_of_ours_are_found(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	put_tree(s);
	look_at(&clean, s, "");
	assert_found(&clean, s, "");
	clean_close(&clean);

	put_file(s->fd, A, "partial");
	put_file(s->fd, "dir/deep/" A ".1f", "part of a tree");
	assert_int_equal(symlinkat("nowhere", s->fd, "dir/" A ".0"), 0);
	assert_int_equal(mkdirat(s->fd, "dir/" B, 0700), 0);
	assert_int_equal(mkdirat(s->fd, "dir/" B "/sub", 0700), 0);
	put_file(s->fd, "dir/" B "/sub/file", "12345");
	put_file(s->fd, "dir/" B "/" A, "in a staging folder, of that");
	put_journal(s, "dir/" B ".j", "dir/tree", false);
	put_journal(s, JOURNAL_FOLDER "/" ID_A ".j", "a", false);
	look_at(&clean, s, "");
	assert_found(&clean, s, A " " JOURNAL_FOLDER "/" ID_A ".j dir/" A ".0 dir/deep/" A ".1f|dir/" B " dir/" B ".j");
	const struct clean_transfer *tree = &clean.transfers[1];
	assert_int_equal(tree->items[0].kind, CLEAN_FOLDER);
	assert_int_equal(tree->items[0].files, 2);
	assert_true(tree->items[0].size > 0 && tree->size == tree->items[0].size + tree->items[1].size);
	assert_int_equal(tree->items[1].kind, CLEAN_JOURNAL);
	assert_string_equal(tree->source, "xfer://host/pub/a");
	assert_string_equal(tree->target, "dir/tree");
	assert_false(tree->busy);
	assert_int_equal(clean.transfers[0].items[0].kind, CLEAN_PARTIAL);
	assert_non_null(clean.transfers[0].journal);
	clean_close(&clean);
}

static void what_was_to_become_the_place_is_found(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	put_tree(s);
	put_file(s->fd, A, "partial");
	put_journal(s, A ".j", "film", false);
	assert_int_equal(mkfifoat(s->fd, "film", 0600), 0); /* whether it is there or not */
	look_at(&clean, s, "film");
	assert_found(&clean, s, A " " A ".j");
	clean_close(&clean);
	assert_int_equal(unlinkat(s->fd, "film", 0), 0);
	look_at(&clean, s, "film");
	assert_found(&clean, s, A " " A ".j");
	clean_close(&clean);
	look_at(&clean, s, "film//");
	assert_found(&clean, s, A " " A ".j");
	clean_close(&clean);
	look_at(&clean, s, "other");
	assert_found(&clean, s, "");
	clean_close(&clean);
	look_at(&clean, s, "dir");
	assert_found(&clean, s, "");
	clean_close(&clean);
	/* A tree that goes into one that is there: parts in it, the journal beside it. */
	assert_int_equal(mkdirat(s->fd, "film", 0700), 0);
	put_file(s->fd, "film/" A ".7", "part");
	look_at(&clean, s, "film");
	assert_found(&clean, s, A " " A ".j film/" A ".7");
	clean_close(&clean);
	/* What was left, by its name: with what belongs to it and stands beside. */
	look_at(&clean, s, A);
	assert_found(&clean, s, A " " A ".j");
	clean_close(&clean);
}

static void a_place_that_cannot_be_is_told(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	struct error err = { 0 };
	char path[400];
	assert_int_equal(clean_open(&clean, NULL), 0);
	snprintf(path, sizeof(path), "%s/none/none", s->in);
	assert_int_equal(clean_look(&clean, path, &err), -ENOENT);
	assert_int_equal(err.fault, FAULT_LOCAL);
	assert_contains(err.text, "none/none");
	clean_close(&clean);
}

/* Twice asked for, and once below the other. */
static void what_is_found_twice_counts_once(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	char path[400];
	put_file(s->fd, A, "partial");
	put_journal(s, A ".j", "film", false);
	assert_int_equal(clean_open(&clean, NULL), 0);
	snprintf(path, sizeof(path), "%s/film", s->in);
	assert_int_equal(clean_look(&clean, path, NULL), 0);
	assert_int_equal(clean_look(&clean, s->in, NULL), 0);
	assert_int_equal(clean_look(&clean, s->in, NULL), 0);
	assert_int_equal(clean_sort(&clean, NULL), 0);
	assert_found(&clean, s, A " " A ".j");
	clean_close(&clean);
}

static void what_runs_is_left_alone(void **state)
{
	struct scratch *s = *state;
	const char *const places[] = { A ".j", "dir/" A ".j", JOURNAL_FOLDER "/" ID_A ".j" };
	struct clean clean;
	put_tree(s);
	put_file(s->fd, "dir/deep/" A ".1", "part");
	for (unsigned i = 0; i < COUNT(places); i++) {
		/* The journal stands above what is asked for. */
		struct journal *journal = put_journal(s, places[i], "dir/deep", true);
		look_at(&clean, s, "dir/deep/" A ".1");
		assert_found(&clean, s, "dir/deep/" A ".1");
		assert_true(clean.transfers[0].busy);
		assert_false(clean_may(&clean.transfers[0], INT64_MAX, 0));
		assert_int_equal(clean_remove(&clean, &clean.transfers[0]), -EBUSY);
		assert_true(exists(s->fd, "dir/deep/" A ".1"));
		clean_close(&clean);
		/* It begins while we look. */
		journal_close(journal);
		look_at(&clean, s, "dir");
		assert_false(clean.transfers[0].busy);
		bool resumed;
		struct journal_head head = { "id", "", A, NULL };
		assert_int_equal(journal_open(&journal, s->root, places[i], &head, &rig_1m, &resumed, NULL), 0);
		assert_int_equal(clean_remove(&clean, &clean.transfers[0]), -EBUSY);
		assert_true(clean.transfers[0].busy);
		clean_close(&clean);
		assert_int_equal(journal_remove(journal), 0);
		assert_true(exists(s->fd, "dir/deep/" A ".1"));
	}
}

static void all_of_a_transfer_goes(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	put_tree(s);
	put_file(s->fd, "dir/deep/" A ".1f", "part of a tree");
	assert_int_equal(mkdirat(s->fd, "dir/" B, 0700), 0);
	assert_int_equal(mkdirat(s->fd, "dir/" B "/sub", 0500), 0);
	put_journal(s, "dir/" B ".j", "dir/tree", false);
	put_journal(s, JOURNAL_FOLDER "/" ID_A ".j", "a", false);
	look_at(&clean, s, "");
	assert_found(&clean, s, JOURNAL_FOLDER "/" ID_A ".j dir/deep/" A ".1f|dir/" B " dir/" B ".j");
	for (size_t i = 0; i < clean.transfer_count; i++) {
		assert_int_equal(clean_remove(&clean, &clean.transfers[i]), 0);
		for (size_t k = 0; k < clean.transfers[i].count; k++)
			assert_true(clean.transfers[i].items[k].gone && clean.transfers[i].items[k].code == 0);
	}
	clean_close(&clean);
	look_at(&clean, s, "");
	assert_found(&clean, s, "");
	clean_close(&clean);
	assert_false(exists(s->fd, JOURNAL_FOLDER));
	assert_true(exists(s->fd, "mine") && exists(s->fd, STORE_HIDDEN "notes") && exists(s->fd, A ".txt"));
	assert_true(exists(s->fd, "dir/deep") && exists(s->fd, B ".j") && exists(s->fd, B));
}

/* A part was asked for: the journal of the whole is not taken away from it. */
static void a_journal_not_asked_for_stays(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	put_tree(s);
	put_file(s->fd, "dir/" A ".1", "part");
	put_journal(s, A ".j", "dir", false);
	look_at(&clean, s, "dir/" A ".1");
	assert_int_equal(clean_remove(&clean, &clean.transfers[0]), 0);
	clean_close(&clean);
	assert_true(exists(s->fd, A ".j"));
	assert_false(exists(s->fd, "dir/" A ".1"));
}

static void what_cannot_go_keeps_its_journal(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	put_tree(s);
	put_file(s->fd, "dir/" A ".1", "part");
	put_file(s->fd, A, "part");
	put_journal(s, A ".j", "dir", false);
	assert_int_equal(fchmodat(s->fd, "dir", 0755, 0), 0);
	assert_int_equal(fchmodat(s->fd, A ".j", 0666, 0), 0);
	if (!become_somebody(s))
		skip();
	look_at(&clean, s, "");
	int code = clean_remove(&clean, &clean.transfers[0]);
	become_root_again();
	if (geteuid() == 0) {
		assert_int_equal(code, -EACCES);
		assert_true(exists(s->fd, "dir/" A ".1") && exists(s->fd, A ".j"));
		for (size_t i = 0; i < clean.transfers[0].count; i++)
			assert_int_equal(
				clean.transfers[0].items[i].gone,
				clean.transfers[0].items[i].path[strlen(clean.transfers[0].items[i].path) - 1] == 'd');
	}
	clean_close(&clean);
}

/* A folder in whose place a link is put between looking and removing. */
static void links_are_not_followed(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	int out = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(out, A, "somebody else's");
	put_tree(s);
	put_file(s->fd, "dir/" A, "part");
	look_at(&clean, s, "");
	assert_found(&clean, s, "dir/" A);
	assert_int_equal(renameat(s->fd, "dir", s->fd, "moved"), 0);
	assert_int_equal(symlinkat("../out", s->fd, "dir"), 0);
	assert_true(clean_remove(&clean, &clean.transfers[0]) < 0);
	assert_false(clean.transfers[0].items[0].gone);
	assert_true(exists(out, A) && exists(s->fd, "moved/" A));
	clean_close(&clean);
	/* Nor are they looked into. */
	look_at(&clean, s, "");
	assert_found(&clean, s, "moved/" A);
	clean_close(&clean);
	close(out);
}

static void age_counts(void **state)
{
	struct scratch *s = *state;
	struct clean clean;
	const int64_t now = time(NULL);
	put_file(s->fd, A, "part");
	put_file(s->fd, B, "part");
	put_journal(s, B ".j", "x", false);
	look_at(&clean, s, "");
	const struct clean_transfer *bare = &clean.transfers[0], *known = &clean.transfers[1];
	assert_true(bare->changed >= now - 1 && known->changed >= now - 1);
	assert_true(!clean_may(bare, now, -1) && clean_may(known, now, -1));
	assert_true(!clean_may(bare, now + 3500, -1) && clean_may(bare, now + 3700, -1));
	assert_true(clean_may(bare, now, 0) && clean_may(known, now, 0));
	assert_true(!clean_may(bare, now + 86000, 86400) && clean_may(bare, now + 86500, 86400));
	assert_true(!clean_may(known, now + 86000, 86400) && clean_may(known, now + 86500, 86400));
	assert_true(!clean_may(known, now - 86500, 86400) && clean_may(known, now - 86500, 0)); /* a clock set back */
	clean_close(&clean);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_ONE(names_of_ours_are_found),        SCRATCH_ONE(what_was_to_become_the_place_is_found),
		SCRATCH_ONE(a_place_that_cannot_be_is_told), SCRATCH_ONE(what_is_found_twice_counts_once),
		SCRATCH_ONE(what_runs_is_left_alone),        SCRATCH_ONE(all_of_a_transfer_goes),
		SCRATCH_ONE(a_journal_not_asked_for_stays),  SCRATCH_ONE(what_cannot_go_keeps_its_journal),
		SCRATCH_ONE(links_are_not_followed),         SCRATCH_ONE(age_counts),
	};
	return cmocka_run_group_tests_name("clean", tests, NULL, NULL);
}
