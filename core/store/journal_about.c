/* SPDX-License-Identifier: BSD-2-Clause */
/* Journals seen from outside: what they are for, and whether they are in use. */
#include "store/journal_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEEK_BYTES = 3 * JOURNAL_SUITE_EVERY /* at the end, that hold a SUITE unless they are damaged */ };

static int last_suite(int fd, uint64_t from, struct journal_suite *out)
{
	struct scan scan;
	struct record record;
	struct journal_suite suite;
	bool found = false;
	int code = scan_open(&scan, fd, from);
	if (code < 0)
		return code;
	while ((code = scan_next(&scan, &record)) == 1) {
		if (record.type == RECORD_SUITE && record_get_suite(&record, &suite)) {
			*out = suite;
			found = true;
		}
	}
	scan_close(&scan);
	return code < 0 ? code : found ? 0 : -ENOENT;
}

int journal_peek(struct store_root *root, const char *path, struct journal_suite *out)
{
	struct stat st;
	int fd;
	int code = journal_file_there(root, path, O_RDONLY, &fd, &st);
	if (code < 0)
		return code == -ENOMEM ? code : -ENOENT;
	uint64_t size = (uint64_t)st.st_size;
	code = last_suite(fd, size > PEEK_BYTES ? size - PEEK_BYTES : 0, out);
	if (code == -ENOENT && size > PEEK_BYTES)
		code = last_suite(fd, 0, out);
	close(fd);
	return code == -ENOMEM ? code : code < 0 ? -ENOENT : 0;
}

void journal_about_free(struct journal_about *about)
{
	free(about->source);
	free(about->partial);
	free(about->target);
	about->source = NULL;
	about->partial = NULL;
	about->target = NULL;
}

/* The first head of the file; none is no error. */
static int read_about(int fd, const struct stat *st, struct journal_about *out)
{
	struct scan scan;
	struct record record;
	struct record_text source, partial, target;
	*out = (struct journal_about){ .size = (uint64_t)st->st_size, .touched = st->st_mtim };
	int code = scan_open(&scan, fd, 0);
	if (code < 0)
		return code;
	while (!out->readable && (code = scan_next(&scan, &record)) == 1) {
		if (record.type != RECORD_HEAD || !record_get_head(&record, out->id, &source, &partial, &target))
			continue;
		out->source = strndup(source.bytes, source.len);
		out->partial = strndup(partial.bytes, partial.len);
		out->target = strndup(target.bytes, target.len);
		out->readable = out->source && out->partial && out->target;
		if (!out->readable) {
			code = -ENOMEM;
			break;
		}
	}
	scan_close(&scan);
	if (code < 0)
		journal_about_free(out);
	return code < 0 ? code : 0;
}

int journal_about(struct store_root *root, const char *path, struct journal_about *out, bool *busy)
{
	struct stat st;
	int fd;
	int code = journal_file_there(root, path, O_RDONLY, &fd, &st);
	if (code < 0)
		return code;
	code = read_about(fd, &st, out);
	*busy = code == 0 && journal_file_busy(fd);
	close(fd);
	return code;
}

bool journal_published(struct store_root *root, const char *path, const uint8_t id[JOURNAL_ID], const char *target)
{
	struct journal_about about;
	struct stat st;
	bool busy;
	if (journal_about(root, path, &about, &busy) < 0)
		return false;
	bool published = about.readable && memcmp(about.id, id, JOURNAL_ID) == 0 && strcmp(about.target, target) == 0 &&
	                 store_stat(root, about.partial, &st) == -ENOENT;
	journal_about_free(&about);
	return published;
}

int journal_take(struct journal **out, struct store_root *root, const char *path, struct journal_about *about)
{
	const struct journal_head none = { .source = "", .partial = "" };
	struct journal *journal;
	struct stat st;
	int code = journal_new(&journal, root, path, &none);
	if (code < 0)
		return code;
	code = journal_file_open(root, path, &journal->fd, &st);
	if (code == 0)
		code = read_about(journal->fd, &st, about);
	if (code < 0) {
		journal_close(journal);
		/* Whoever removed it may not have come to the folder. */
		if (code == -ENOENT)
			journal_file_tidy(root, path);
		return code;
	}
	journal->mute = true;
	*out = journal;
	return 0;
}

int journal_files(struct journal *journal, void (*each)(void *context, const char *path, size_t len), void *context)
{
	struct scan scan;
	struct record record;
	int code = scan_open(&scan, journal->fd, 0);
	if (code < 0)
		return code;
	while ((code = scan_next(&scan, &record)) == 1) {
		struct journal_file file;
		struct record_text path;
		if (record.type == RECORD_FILE && record_get_file(&record, &file, &path))
			each(context, path.bytes, path.len);
	}
	scan_close(&scan);
	return code;
}
