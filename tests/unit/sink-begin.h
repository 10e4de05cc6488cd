/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of the sink do again and again, checked as they go. */
#ifndef XFER_TESTS_SINK_BEGIN_H
#define XFER_TESTS_SINK_BEGIN_H

#include "unit.h"

#include "sink-rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAYBE __attribute__((unused))

static MAYBE struct rig *rig_make(unsigned flags)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig, flags);
	return rig;
}

static MAYBE void rig_drop(struct rig *rig)
{
	rig_free(rig);
	free(rig);
}

/* Begins, and takes the LIST. */
static MAYBE struct rig *rig_start(unsigned flags)
{
	struct rig *rig = rig_make(flags);

	assert_int_equal(rig_begin(rig), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->list_count, 1);
	return rig;
}

/* A file at the top, asked for: its READ. */
static MAYBE const struct rig_read *one_file(struct rig *rig, uint64_t size)
{
	rig_entry(rig, ENTRY_FILE, "x", size);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
	assert_int_equal(rig_frames(rig, CLOCK_SECOND), 0);
	assert_int_equal(rig->asked_count, 1);
	assert_string_equal(rig->asked[0].path, "export/x");
	assert_int_equal(rig->asked[0].size, size);
	return &rig->asked[0];
}

static MAYBE enum fault result(struct rig *rig, const char *words)
{
	struct error err = { 0 };
	enum fault fault = sink_result(rig->sink, &err);

	assert_true(sink_finished(rig->sink));
	assert_contains(err.text, words);
	return fault;
}

/* A folder with so many files of ten bytes, all of it listed. */
static MAYBE void tree(struct rig *rig, unsigned files)
{
	char name[16];

	rig_entry(rig, ENTRY_DIR, "x", 0);
	for (unsigned i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		rig_entry(rig, ENTRY_FILE, name, 10);
	}
	rig_entry(rig, ENTRY_UP, "", 0);
	assert_int_equal(rig_list(rig, NULL), 0);
	assert_int_equal(rig_end(rig, RIG_LIST, STATUS_OK, 0, NULL), 0);
}

#endif
