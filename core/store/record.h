/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of a journal: written, found again in a damaged file, taken apart. The format is drawn in journal.h. Only
 * core/store and its unit tests include this.
 */
#ifndef XFER_STORE_RECORD_H
#define XFER_STORE_RECORD_H

#include "base/buf.h"
#include "store/journal.h"

enum record_type { RECORD_HEAD = 1, RECORD_SUITE, RECORD_FILE, RECORD_CHUNK };

enum {
	RECORD_MAGIC = 0xa1, /* the format's first version */
	RECORD_START = 8,    /* bytes in front of a body */
	RECORD_EXTRA = 12,   /* bytes of a record beside its body */
	RECORD_SOURCE_MAX = 1023,
	RECORD_PATH_MAX = 4095,
	RECORD_BODY_MAX = JOURNAL_ID + 2 + RECORD_SOURCE_MAX + 2 + RECORD_PATH_MAX + 2 + RECORD_PATH_MAX,
	RECORD_FILE_MIN = RECORD_EXTRA + 8 + 8 + 4 + 2,
	RECORD_SUITES = 16 /* in one journal, numbered from 0 */
};

struct record {
	enum record_type type;
	uint32_t number;
	const uint8_t *body; /* lent until the next is read */
	uint32_t len;        /* of body */
	uint64_t at;         /* where it begins, bytes */
};

/* ---- writing: each appends one record, or -ENOMEM and nothing; -EINVAL for what has no room in one ---- */

int record_put_head(struct buf *out, const struct journal_head *head);
int record_put_suite(struct buf *out, uint32_t number, const struct journal_suite *suite);
int record_put_file(struct buf *out, uint32_t number, const struct journal_file *file);
int record_put_chunk(struct buf *out, uint32_t number, uint32_t suite, const struct journal_chunk *chunk,
                     uint32_t digest_size);

/* ---- taking apart: false where the body is not what its type says; texts are lent and not terminated ---- */

struct record_text {
	const char *bytes;
	uint32_t len;
};
bool record_get_head(const struct record *record, uint8_t id[JOURNAL_ID], struct record_text *source,
                     struct record_text *partial, struct record_text *target);
bool record_get_suite(const struct record *record, struct journal_suite *out);
bool record_get_file(const struct record *record, struct journal_file *out, struct record_text *path);
/* out->digest is lent; *digest_size is what there is of it. */
bool record_get_chunk(const struct record *record, struct journal_chunk *out, uint32_t *suite, uint32_t *digest_size);

/* ---- reading ---- */

/* Goes through a file from `at` on, record by record; what is damaged is left out. */
struct scan {
	int fd;         /* lent */
	uint64_t at;    /* file offset of bytes[next] */
	size_t next;    /* in bytes */
	size_t end;     /* of what was read */
	bool over;      /* no more to read */
	uint8_t *bytes; /* owned */
};
int scan_open(struct scan *scan, int fd, uint64_t at);
/* 1: a record that checks; 0: the end; -errno. */
int scan_next(struct scan *scan, struct record *out);
void scan_close(struct scan *scan);

/* The one record at `at`, checked: into `room` of at least RECORD_EXTRA + RECORD_BODY_MAX bytes. -ENOENT, -errno. */
int record_read(int fd, uint64_t at, uint8_t *room, struct record *out);

#endif
