/* SPDX-License-Identifier: BSD-2-Clause */
/* The storage stage of place jobs. */
#include "pipeline/place.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int folder_look(struct store_root *root, const char *path)
{
	int fd;
	int code = store_open(root, path, O_PATH | O_DIRECTORY, 0, &fd);

	if (code == 0)
		close(fd);
	return code;
}

static int parent_look(struct store_root *root, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
	int code = parent != NULL ? folder_look(root, parent) : -ENOMEM;

	free(parent);
	return code;
}

static int place_fail(struct place_job *job, int code, const char *what)
{
	char text[128];

	job->status = stage_status(code);
	/* Not what a source has to say, but what the destination has. */
	if (job->status == STATUS_IO || job->status == STATUS_SPECIAL || job->status == STATUS_CHANGED)
		job->status = STATUS_STORE;
	if (code == -ENOENT || code == -ENOTDIR)
		return error_set(&job->err, code, FAULT_REFUSED, "%s", what);
	return error_set(&job->err, code, FAULT_REFUSED, "%s", stage_text(code, text, sizeof(text)));
}

/*
 * An earlier run made what is there now: a tree that was to have this name. Who looks only at what is there would take it for a
 * folder to put it into.
 */
static bool place_ours(const struct place_job *job)
{
	return !job->into && job->journal_path != NULL && job->path[0] != '\0' &&
	       journal_published(job->root, job->journal_path, job->id, job->path);
}

/* The path, by what is there. */
static int place_find(struct place_job *job)
{
	int code = folder_look(job->root, job->path);

	if (code == 0 && !place_ours(job)) {
		bool below = job->path[0] != '\0' && job->name[0] != '\0';

		if (asprintf(&job->final, "%s%s%s", job->path, below ? "/" : "", job->name) < 0) {
			job->final = NULL;
			return place_fail(job, -ENOMEM, "");
		}
		return 0;
	}
	if (code < 0 && code != -ENOENT && code != -ENOTDIR)
		return place_fail(job, code, "");
	if (job->into)
		return place_fail(job, code, "there is no such folder");
	code = parent_look(job->root, job->path);
	if (code < 0)
		return place_fail(job, code, "the folder to put it into is not there");
	job->final = strdup(job->path);
	return job->final != NULL ? 0 : place_fail(job, -ENOMEM, "");
}

static int place_look(struct place_job *job)
{
	struct stat st;
	int code = place_find(job);

	if (code < 0)
		return code;
	code = store_stat(job->root, job->final, &st);
	if (code == -ENOENT)
		return 0;
	if (code < 0)
		return place_fail(job, code, "");
	job->exists = true;
	job->is_dir = S_ISDIR(st.st_mode);
	return 0;
}

static int place_journal(struct place_job *job)
{
	struct journal_head head = { .source = job->source, .target = job->final };
	struct journal_suite suite = {
		.chunk_size = job->job.suite->limits.chunk_size,
		.digest_size = job->job.suite->limits.digest_size,
	};
	const char *slash = strrchr(job->final, '/');
	int folder = slash != NULL ? (int)(slash - job->final) + 1 : 0;
	char *partial;
	int code;

	if (job->journal_path == NULL)
		return 0;
	if (asprintf(&partial, "%.*s%s", folder, job->final, job->hidden) < 0)
		return place_fail(job, -ENOMEM, "");
	head.partial = partial;
	memcpy(head.id, job->id, sizeof(head.id));
	snprintf(suite.integrity, sizeof(suite.integrity), "%s", job->job.suite->integrity->about.name);
	code = journal_open(&job->journal, job->root, job->journal_path, &head, &suite, &job->resumed, &job->err);
	free(partial);
	if (code == 0)
		return 0;
	job->journal = NULL;
	job->status = code == -EBUSY ? STATUS_BUSY : STATUS_STORE;
	return error_set(&job->err, code, FAULT_LOCAL, "%s",
	                 code == -EBUSY ? status_text(STATUS_BUSY) : "its journal cannot be opened");
}

/* Not the one of somebody else whose id begins alike. */
static void place_forget(struct place_job *job)
{
	struct journal_about about;
	struct journal *journal;
	int code = journal_take(&journal, job->root, job->journal_path, &about);

	if (code == 0) {
		bool ours = about.readable && memcmp(about.id, job->id, sizeof(about.id)) == 0;

		journal_about_free(&about);
		if (ours)
			code = journal_remove(journal);
		else
			journal_close(journal);
	}
	if (code == 0 || code == -ENOENT || code == -EINVAL)
		return;
	job->status = code == -EBUSY ? STATUS_BUSY : STATUS_STORE;
	error_set(&job->err, code, FAULT_LOCAL, "%s",
	          code == -EBUSY ? status_text(STATUS_BUSY) : "its journal cannot be removed");
}

uint64_t place_stage_storage(struct place_job *job)
{
	job->journal = NULL;
	job->resumed = false;
	job->final = NULL;
	job->exists = false;
	job->is_dir = false;
	job->status = STATUS_OK;
	error_clear(&job->err);
	if (job->forget)
		place_forget(job);
	else if (place_look(job) < 0 || place_journal(job) < 0) {
		free(job->final);
		job->final = NULL;
	}
	return 0;
}
