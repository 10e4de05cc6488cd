/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What abandoned transfers left lying: partial files, staging folders and journals, known by their names and told apart by
 * the transfer's id in them. Nothing that a running transfer holds is ever removed: its journal is locked.
 *
 *	clean_open(), clean_look() at each place, clean_sort(), then the transfers, and clean_close()
 */
#ifndef XFER_STORE_CLEAN_H
#define XFER_STORE_CLEAN_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum clean_kind { CLEAN_JOURNAL = 1, CLEAN_PARTIAL, CLEAN_FOLDER };

enum { CLEAN_ID = 16 /* hex digits in a name */ };

struct clean_item {
	enum clean_kind kind;
	char *path;      /* owned; absolute, without symbolic links */
	uint64_t size;   /* bytes on disk, of a folder with all that is in it */
	uint64_t files;  /* in a folder, below it too */
	int64_t changed; /* seconds since 1970: the last change of anything of it (ctime, which nobody can set) */
	char *wanted;    /* owned; it stands beside what was asked for, and counts only if it was to become this name */
	char id[CLEAN_ID + 1];
	bool gone; /* clean_remove() has removed it */
	int code;  /* -errno: or why it has not */
};

/* All of one transfer. */
struct clean_transfer {
	struct clean_item *items; /* lent, sorted by path; at least one */
	size_t count;
	char *journal;         /* owned; the path of one, which need not be among the items. NULL: there is none */
	char *source, *target; /* owned, as the journal says; NULL where it does not */
	uint64_t size;         /* bytes on disk, of all items */
	int64_t changed;       /* of what changed last */
	bool busy;             /* a transfer that runs holds it */
};

struct clean {
	struct store_root *root;  /* the root of everything */
	struct clean_item *items; /* owned */
	size_t count, cap;
	struct clean_transfer *transfers; /* owned, sorted by the paths of their first items */
	size_t transfer_count;
	/* What could not be looked at; may be NULL. Both are the caller's to set. */
	void (*unreadable)(void *context, const char *path, const char *text);
	void *context;
};

/* Fills it; sets no callback. */
int clean_open(struct clean *clean, struct error *err);
void clean_close(struct clean *clean);

/*
 * Gathers what lies at or below `place`, and what stands beside it and was to become it: `place` itself need not be there.
 * FAULT_LOCAL; -ENOENT: neither it nor the folder that would hold it.
 */
int clean_look(struct clean *clean, const char *place, struct error *err);
/* Sorts what was gathered into transfers. Once, behind the last clean_look(). */
int clean_sort(struct clean *clean, struct error *err);

/*
 * Whether it may be removed: nobody holds it, and it has not changed for `older` seconds. A transfer without a journal
 * cannot be seen to run: where no age is asked for (a negative one), it is spared for an hour.
 */
bool clean_may(const struct clean_transfer *transfer, int64_t now, int64_t older);
/* Removes all of it, journals last. -EBUSY: it has begun to run meanwhile; else the first error. Items say what became of them. */
int clean_remove(struct clean *clean, struct clean_transfer *transfer);

#endif
