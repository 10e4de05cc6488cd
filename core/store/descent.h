/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the store: the directories between the top of a tree and where we are in it, for those who read it (walk.c)
 * and those who take it away (remove.c).
 *
 *   top (always open) ... closed ... closed ... [ the innermost DESCENT_OPEN - 1: open, each with its buffer ]
 *
 * A closed one is opened again by its path beneath the top, which follows no link, and must be the same directory.
 */
#ifndef XFER_STORE_DESCENT_H
#define XFER_STORE_DESCENT_H

#include "store/beneath.h"

enum {
	DESCENT_OPEN = 32,         /* descriptors at most */
	DESCENT_BUFFER = 32 * 1024 /* bytes, of each that is open */
};

struct descent_level {
	int fd;              /* owned; -1 while closed */
	size_t path_len;     /* of the descent's path up to here; 0 for the top */
	struct stat st;      /* as it was when we went in */
	int64_t at;          /* where the directory is read on: behind the entry that was returned last */
	char *buffer;        /* owned; NULL until it is read, and while closed */
	size_t filled, next; /* bytes in the buffer, and consumed of them */
	bool changed;        /* the user's; false at first */
	unsigned passes;     /* the user's; 0 at first */
};

struct descent {
	struct descent_level *levels; /* owned */
	size_t count, cap;
	size_t first_open;             /* of the levels beyond the top */
	size_t path_max;               /* bytes that path may have */
	bool walks;                    /* no openat2(2) */
	bool rewinds;                  /* what is opened again is read from its start: its entries are being removed */
	char *spare;                   /* owned; a buffer for the next level, or NULL */
	char path[STORE_PATH_MAX + 2]; /* of the innermost, relative to the top, a '/' before each name */
};

/* path_max: bytes left for paths below the top. Nothing is open yet: push the top first, with the name "". */
void descent_init(struct descent *descent, bool walks, bool rewinds, size_t path_max);
void descent_free(struct descent *descent);
/* Whether `name` in the innermost directory has a path that is short enough. */
bool descent_fits(const struct descent *descent, const char *name);
/* Goes into a directory that is open as fd, which is the descent's on success. -ENOMEM, -ENAMETOOLONG, what fstat() says. */
int descent_push(struct descent *descent, int fd, const char *name);
/* Leaves the innermost; its name stays valid until the next push. */
void descent_pop(struct descent *descent);
struct descent_level *descent_top(struct descent *descent); /* the innermost; there is one */
const char *descent_name(const struct descent *descent);    /* the innermost's; "" for the top */
/* Makes sure that the innermost is open. -ESTALE when something else has its name. */
int descent_resume(struct descent *descent);
/* The next name in the innermost, type as in d_type; valid until the next call. 1, 0 at the end, -errno. */
int descent_next(struct descent *descent, const char **name, unsigned char *type);
/* Starts reading the innermost (open) again. */
int descent_rewind(struct descent *descent);

#endif
