/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/resume.h"

#include "engine/transfer_id.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where it goes, told from any folder: the same place has the same text in every run. */
static char *destination(struct store_root *root, const char *name)
{
	char *folder = realpath(store_root_path(root), NULL);
	char *text = NULL;

	if (folder != NULL && asprintf(&text, "%s/%s", folder, name) < 0)
		text = NULL;
	free(folder);
	return text;
}

static char *source(const struct url *url)
{
	char *text;

	if (asprintf(&text, "xfer%s%s://%s%s%s/%s", url->transport != NULL ? "+" : "",
	             url->transport != NULL ? url->transport : "", url->user != NULL ? url->user : "",
	             url->user != NULL ? "@" : "", url->authority, url->path) < 0)
		return NULL;
	return text;
}

int resume_begin(struct resume *out, struct store_root *root, const char *name, const struct url *url,
                 struct error *err)
{
	char *from = source(url), *to = destination(root, name);
	int r = from != NULL && to != NULL ? 0 : -ENOMEM;

	*out = (struct resume){ .root = root, .name = name };
	if (r == 0)
		r = transfer_id_make(out->id, from, to);
	if (r == 0) {
		snprintf(out->source, sizeof(out->source), "%s", from);
		transfer_id_name(out->hidden, out->id);
		snprintf(out->journal, sizeof(out->journal), "%s.j", out->hidden);
	} else {
		error_system(err, r, FAULT_LOCAL, "%s: no id for the transfer", name);
	}
	free(from);
	free(to);
	return r;
}

void resume_offer(const struct resume *resume, struct offer *offer)
{
	struct journal_suite suite;
	const char **names = (const char **)offer->integrity;

	if (journal_peek(resume->root, resume->journal, &suite) < 0)
		return;
	for (size_t i = 0; i < offer->integrity_count; i++) {
		const char *name = names[i];

		if (strcmp(name, suite.integrity) != 0)
			continue;
		memmove(&names[1], &names[0], i * sizeof(names[0]));
		names[0] = name;
		if (suite.chunk_size >= FRAME_CHUNK_MIN_SIZE && suite.chunk_size <= FRAME_CHUNK_MAX_SIZE)
			offer->chunk_size = suite.chunk_size;
		return;
	}
}

int resume_open(const struct resume *resume, const struct suite *suite, struct journal **out, bool *resumed,
                struct error *err)
{
	struct journal_head head = { .source = resume->source, .partial = resume->hidden, .target = resume->name };
	struct journal_suite cut = {
		.chunk_size = suite->limits.chunk_size,
		.digest_size = suite->limits.digest_size,
	};
	int r;

	memcpy(head.id, resume->id, sizeof(head.id));
	snprintf(cut.integrity, sizeof(cut.integrity), "%s", suite->integrity->about.name);
	r = journal_open(out, resume->root, resume->journal, &head, &cut, resumed, err);
	if (r == -EBUSY)
		error_set(err, r, FAULT_LOCAL, "the same transfer is running already (%s/%s is locked)",
		          store_root_path(resume->root), resume->journal);
	return r;
}

bool resume_published(const struct resume *resume)
{
	return journal_published(resume->root, resume->journal, resume->id, resume->name);
}

void resume_discard(const struct resume *resume)
{
	struct journal_about about;
	struct journal *journal;

	if (journal_take(&journal, resume->root, resume->journal, &about) < 0)
		return;
	journal_about_free(&about);
	(void)store_remove(resume->root, resume->hidden);
	(void)journal_remove(journal);
}
