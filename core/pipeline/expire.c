/* SPDX-License-Identifier: BSD-2-Clause */
/* The storage stage of expire jobs. */
#include "pipeline/expire.h"
#include "pipeline/stage.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_DIGITS = JOURNAL_ID };

static void turn_free(struct expire_job *job)
{
	free(job->journal);
	journal_about_free(&job->about);
	job->journal = NULL;
	job->removed = false;
	job->code = 0;
}

void expire_job_free(struct expire_job *job)
{
	turn_free(job);
	for (size_t i = 0; i < job->count; i++)
		free(job->names[i]);
	free(job->names);
	job->names = NULL;
	job->count = 0;
	job->next = 0;
	job->listed = false;
}

/* ---- the folder ---- */

static bool is_journal(const char *name)
{
	return strspn(name, "0123456789abcdef") == ID_DIGITS && strcmp(name + ID_DIGITS, ".j") == 0;
}

static int name_add(struct expire_job *job, const char *name)
{
	/* A power of two, and no room left. */
	if ((job->count & (job->count - 1)) == 0) {
		char **names = reallocarray(job->names, job->count > 0 ? 2 * job->count : 1, sizeof(*names));

		if (names == NULL)
			return -ENOMEM;
		job->names = names;
	}
	job->names[job->count] = strdup(name);
	if (job->names[job->count] == NULL)
		return -ENOMEM;
	job->count++;
	return 0;
}

static int expire_list(struct expire_job *job)
{
	struct store_walk *walk;
	struct store_entry entry;
	int code = store_walk_open(&walk, job->root, JOURNAL_FOLDER, 1, NULL, NULL);

	job->listed = true;
	if (code < 0)
		return code == -ENOENT ? 0 : code;
	while ((code = store_walk_next(walk, &entry)) == 1) {
		if (entry.kind == STORE_FILE && is_journal(entry.name) && entry.st.st_mtim.tv_sec < job->before)
			code = name_add(job, entry.name);
		if (code < 0)
			break;
	}
	store_walk_close(walk);
	return code;
}

/* ---- what one transfer left ---- */

/* The names that it may have used, and no other's: they follow from its id. */
static char *hidden_name(char out[STORE_HIDDEN_NAME_MAX], const uint8_t id[JOURNAL_ID])
{
	memcpy(out, STORE_HIDDEN, sizeof(STORE_HIDDEN) - 1);
	text_hex(out + sizeof(STORE_HIDDEN) - 1, id, ID_DIGITS / 2);
	return out;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* A journal may be forged: what it names has to be called as its own name says. */
static bool is_right(const char *name, const struct journal_about *about, const char *hidden)
{
	return about->readable && strncmp(name, hidden + sizeof(STORE_HIDDEN) - 1, ID_DIGITS) == 0 &&
	       strcmp(last_name(about->partial), hidden) == 0;
}

/* The partial files of a tree that went into one that is there lie beside what they are to become. */
struct parts {
	struct store_root *root;
	const char *target; /* of the tree */
	const char *hidden;
	char *folder; /* owned; the last one that was looked at, NULL: none */
	int code;     /* the first error */
};

static void parts_look(struct parts *parts)
{
	struct store_walk *walk;
	struct store_entry entry;
	size_t len = strlen(parts->hidden);
	int code = store_walk_open(&walk, parts->root, parts->folder, 1, NULL, NULL);

	if (code < 0) {
		if (code != -ENOENT && code != -ENOTDIR && parts->code == 0)
			parts->code = code;
		return;
	}
	while ((code = store_walk_next(walk, &entry)) == 1) {
		char *path;

		if ((entry.kind != STORE_FILE && entry.kind != STORE_SYMLINK) ||
		    strncmp(entry.name, parts->hidden, len) != 0 || entry.name[len] != '.')
			continue;
		if (asprintf(&path, "%s%s%s", parts->folder, parts->folder[0] != '\0' ? "/" : "", entry.name) < 0)
			code = -ENOMEM;
		else
			code = store_remove(parts->root, path);
		if (code != -ENOMEM)
			free(path);
		if (code < 0)
			break;
	}
	store_walk_close(walk);
	if (code < 0 && parts->code == 0)
		parts->code = code;
}

/* Files come in the order of the listing: mostly the folder is that of the last one. */
static void on_file(void *context, const char *path, size_t len)
{
	struct parts *parts = context;
	bool joined = parts->target[0] != '\0' && len > 0;
	char *folder;

	if (asprintf(&folder, "%s%s%.*s", parts->target, joined ? "/" : "", (int)len, path) < 0) {
		parts->code = -ENOMEM;
		return;
	}
	char *slash = strrchr(folder, '/');
	*(slash != NULL ? slash : folder) = '\0';
	if (parts->folder != NULL && strcmp(parts->folder, folder) == 0) {
		free(folder);
		return;
	}
	free(parts->folder);
	parts->folder = folder;
	parts_look(parts);
}

static int left_remove(struct expire_job *job, struct journal *journal, const char *hidden)
{
	struct parts parts = { .root = job->root, .target = job->about.target, .hidden = hidden };
	int code = store_remove(job->root, job->about.partial);

	if (code == 0)
		code = journal_files(journal, on_file, &parts);
	free(parts.folder);
	return code < 0 ? code : parts.code;
}

static int expire_one(struct expire_job *job, const char *name)
{
	char hidden[STORE_HIDDEN_NAME_MAX];
	struct journal *journal;
	int code;

	if (asprintf(&job->journal, JOURNAL_FOLDER "/%s", name) < 0) {
		job->journal = NULL;
		return -ENOMEM;
	}
	code = journal_take(&journal, job->root, job->journal, &job->about);
	/* In use, gone, or not what we took it for. */
	if (code == -EBUSY || code == -ENOENT || code == -EINVAL)
		return 0;
	if (code < 0)
		return code;
	if (job->about.touched.tv_sec >= job->before) {
		journal_close(journal);
		return 0;
	}
	/* What says nothing that can be trusted names nothing, and goes alone. */
	if (is_right(name, &job->about, hidden_name(hidden, job->about.id)))
		code = left_remove(job, journal, hidden);
	if (code < 0) {
		journal_close(journal);
		return code;
	}
	code = journal_remove(journal);
	job->removed = code == 0;
	return code;
}

uint64_t expire_stage_storage(struct expire_job *job)
{
	turn_free(job);
	if (!job->listed)
		job->code = expire_list(job);
	else if (job->next < job->count)
		job->code = expire_one(job, job->names[job->next++]);
	job->done = job->next >= job->count;
	return 0;
}
