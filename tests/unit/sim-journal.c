/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-journal.h"

#include <string.h>

void sim_journal_make(struct sim_journal *journal, struct sim *sim)
{
	*journal = (struct sim_journal){ .sim = sim };
	list_init(&journal->files);
}

struct sim_past *sim_journal_find(const struct sim_journal *journal, const char *name)
{
	for (struct list *node = journal->files.prev; node != &journal->files; node = node->prev) {
		struct sim_past *past = list_entry(node, struct sim_past, link);

		if (strcmp(past->name, name) == 0)
			return past;
	}
	return NULL;
}

struct sim_past *sim_journal_number(const struct sim_journal *journal, uint32_t number)
{
	for (struct list *node = journal->files.prev; node != &journal->files; node = node->prev) {
		struct sim_past *past = list_entry(node, struct sim_past, link);

		if (past->number == number)
			return past;
	}
	return NULL;
}

struct sim_past *sim_journal_file(struct sim_journal *journal, const char *name, uint64_t size, int64_t mtime,
                                  uint32_t mtime_ns, uint64_t chunks)
{
	size_t len = strlen(name) + 1;
	struct sim_past *past = sim_take(journal->sim, sizeof(*past) + len);

	memcpy(past->name, name, len);
	past->number = ++journal->numbers;
	past->size = size;
	past->mtime = mtime;
	past->mtime_ns = mtime_ns;
	past->chunks = chunks;
	past->claims = sim_take(journal->sim, chunks * sizeof(*past->claims));
	list_append(&journal->files, &past->link);
	return past;
}

void sim_journal_clear(struct sim_journal *journal)
{
	list_init(&journal->files);
}

void sim_journal_tear(struct sim_journal *journal, bool lies)
{
	struct sim *sim = journal->sim;

	for (struct list *node = journal->files.next; node != &journal->files;) {
		struct sim_past *past = list_entry(node, struct sim_past, link);

		node = node->next;
		if (sim_chance(sim, 10)) {
			list_remove(&past->link);
			continue;
		}
		for (uint64_t i = 0; i < past->chunks && i < 64; i++) {
			if (sim_chance(sim, 10))
				past->claims[i] = 0;
			else if (lies && sim_chance(sim, 20))
				past->claims[i] = sim_number(sim) | 1;
		}
	}
}
