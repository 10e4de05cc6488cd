/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: what one run of a transfer wrote is what the next one reads, and nobody else. */
#include "scratch.h"

#include "journal-rig.h"

#include <fcntl.h>
#include <sys/resource.h>

static void what_was_written_is_read(void **state)
{
	struct scratch *s = *state;
	uint32_t number, found;
	struct journal_file file;
	struct ranges claims;
	struct journal *journal = rig_open(s, &rig_1m, false);
	assert_int_equal(journal_find(journal, "a", &found, &file, &claims), -ENOENT);
	assert_int_equal(journal_claims(journal, 1, 0, RIG_1M, (struct journal_claim[1]){ 0 }, 1), -ENOENT);
	number = rig_add(journal, "a", 5 * RIG_1M + 17);
	assert_int_equal(number, 1);
	rig_chunks(journal, &rig_1m, number, 5 * RIG_1M + 17, 0, 2);
	rig_chunks(journal, &rig_1m, number, 5 * RIG_1M + 17, 4, 6);
	number = rig_add(journal, "dir/\n\xff", 0);
	assert_int_equal(number, 2);
	number = rig_add(journal, "", 10);
	rig_chunks(journal, &rig_1m, number, 10, 0, 1);
	assert_false(exists(s->fd, RIG_PATH));
	assert_int_equal(journal_flush(journal), 0);
	assert_int_equal(journal_sync(journal), 0);
	assert_true(exists(s->fd, RIG_PATH));
	journal_close(journal);

	journal = rig_open(s, &rig_1m, true);
	assert_int_equal(journal_find(journal, "a", &found, &file, &claims), 0);
	assert_int_equal(found, 1);
	assert_true(file.size == 5 * RIG_1M + 17 && file.mtime == RIG_MTIME && file.mtime_ns == RIG_MTIME_NS);
	assert_null(file.path);
	rig_assert_ranges(&claims, "0-1 4-5");
	rig_assert_claim(journal, &rig_1m, 1, 1, RIG_1M);
	rig_assert_claim(journal, &rig_1m, 1, 5, 17);
	assert_int_equal(journal_claims(journal, 1, 2 * RIG_1M, RIG_1M, (struct journal_claim[1]){ 0 }, 1), -ENOENT);
	assert_int_equal(journal_find(journal, "dir/\n\xff", &found, &file, &claims), 0);
	assert_true(found == 2 && file.size == 0);
	rig_assert_ranges(&claims, "");
	assert_int_equal(journal_find(journal, "", &found, &file, &claims), 0);
	assert_true(found == 3 && file.size == 10);
	rig_assert_ranges(&claims, "0-0");
	rig_assert_claim(journal, &rig_1m, 3, 0, 10);
	assert_int_equal(journal_find(journal, "dir", &found, &file, &claims), -ENOENT);
	/* It goes on where it was. */
	rig_chunks(journal, &rig_1m, 1, 5 * RIG_1M + 17, 2, 3);
	assert_int_equal(rig_add(journal, "b", 1), 4);
	assert_int_equal(journal_flush(journal), 0);
	journal_close(journal);
	journal = rig_open(s, &rig_1m, true);
	rig_assert_found(journal, "a", 1, "0-2 4-5");
	rig_assert_found(journal, "b", 4, "");
	assert_int_equal(journal_remove(journal), 0);
	assert_false(exists(s->fd, RIG_PATH));
	assert_int_equal(journal_remove(NULL), 0);
	journal_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(what_was_written_is_read),
	};
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
