/* SPDX-License-Identifier: BSD-2-Clause */
/* What a transfer noted of what it wrote, for the next connection: store/journal.h without a disk. It may be wrong. */
#ifndef XFER_TESTS_SIM_JOURNAL_H
#define XFER_TESTS_SIM_JOURNAL_H

#include "sim.h"

/* A file as it was listed, and what is claimed of it. */
struct sim_past {
	struct list link;
	uint32_t number;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t chunks;
	uint64_t *claims; /* hashes; 0 = nothing is claimed */
	char name[];
};

struct sim_journal {
	struct sim *sim;
	struct list files; /* the newest last */
	uint32_t numbers;
};

void sim_journal_make(struct sim_journal *journal, struct sim *sim);
/* The last file of that name; NULL. */
struct sim_past *sim_journal_find(const struct sim_journal *journal, const char *name);
struct sim_past *sim_journal_number(const struct sim_journal *journal, uint32_t number);
/* A file begins, with what the source's listing says of it. */
struct sim_past *sim_journal_file(struct sim_journal *journal, const char *name, uint64_t size, int64_t mtime,
                                  uint32_t mtime_ns, uint64_t chunks);
/* Nothing of it is of any use: the transfer is done. */
void sim_journal_clear(struct sim_journal *journal);
/* The process died: the last notes did not reach the disk, or what is there is not what was written. */
void sim_journal_tear(struct sim_journal *journal, bool lies);

#endif
