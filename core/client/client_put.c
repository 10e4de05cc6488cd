/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer put: what each source is, as cp(1) would have it, and one after the other. */
#include "base/text.h"
#include "client/push.h"
#include "engine/transfer_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct put {
	struct push_session session;
	const char *const *paths;
	const struct url *url;
	uint16_t flags; /* MESSAGE_PUT_* */
	bool lost;      /* the session is, and was not to be had again */
};

/* A source of the command line, opened. */
struct put_source {
	struct push_source source;
	char *bare; /* owned: the path without slashes at its end; what `source` points at lies in it */
};

static int source_fail(struct error *err, int code, const char *path)
{
	char shown[512];

	return error_system(err, code, FAULT_LOCAL, "%s", text_printable(shown, sizeof(shown), path, strlen(path)));
}

/* What has a name in a folder: the folder is opened, or for a folder the thing itself, so that nothing leads beside it. */
static int source_open_named(struct put_source *out, const char *path, char *base, const struct stat *st,
                             struct error *err)
{
	const char *folder = path;
	char *dir = NULL;
	int r;

	out->source.is_dir = S_ISDIR(st->st_mode);
	out->source.is_file = S_ISREG(st->st_mode);
	out->source.size = out->source.is_file ? (uint64_t)st->st_size : 0;
	out->source.rest = out->source.is_dir ? "" : base;
	if (!out->source.is_dir) {
		dir = base == out->bare ? strdup(".") : strndup(out->bare, (size_t)(base - out->bare));
		if (dir == NULL)
			return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
		folder = dir;
	}
	r = store_root_open(&out->source.root, folder, err);
	free(dir);
	if (r < 0 && err != NULL)
		err->fault = FAULT_LOCAL;
	return r;
}

/* Both as they are told from any folder: the same source and the same place have the same texts in every run. */
static int source_identify(struct put_source *out, const struct url *url, struct error *err)
{
	const struct push_source *source = &out->source;
	char *folder = realpath(store_root_path(source->root), NULL);
	char *from = NULL, *to = NULL;
	int r = -ENOMEM;

	if (folder != NULL && asprintf(&from, "%s%s%s%s", folder, source->is_dir ? "" : "/", source->rest,
	                               source->name[0] == '\0' ? "/." : "") < 0)
		from = NULL;
	if (asprintf(&to, "xfer%s%s://%s/%s", url->transport != NULL ? "+" : "",
	             url->transport != NULL ? url->transport : "", url->authority, url->path) < 0)
		to = NULL;
	if (from != NULL && to != NULL)
		r = transfer_id_make(out->source.id, from, to);
	free(folder);
	free(from);
	free(to);
	return r < 0 ? error_system(err, r, FAULT_LOCAL, "no id for the transfer") : 0;
}

static int source_open(struct put_source *out, const char *path, struct error *err)
{
	size_t len = strlen(path), bare = len;
	struct stat st;
	char *base;

	while (bare > 1 && path[bare - 1] == '/')
		bare--;
	*out = (struct put_source){ .bare = strndup(path, bare) };
	if (out->bare == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	base = strrchr(out->bare, '/');
	base = base != NULL ? base + 1 : out->bare;
	/* A slash behind a link means what it leads to. */
	if ((bare < len ? stat(path, &st) : lstat(path, &st)) < 0)
		return source_fail(err, -errno, path);
	if (strncmp(base, STORE_HIDDEN, sizeof(STORE_HIDDEN) - 1) == 0)
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: names that begin with %s are for unfinished files",
		                 path, STORE_HIDDEN);
	out->source.name = base;
	/* "/", "." and ".." say where something is, not what it is called. */
	if (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		out->source.name = "";
	return source_open_named(out, path, base, &st, err);
}

static void source_close(struct put_source *source)
{
	store_root_unref(source->source.root);
	free(source->bare);
}

static int put_one(void *context, size_t index, struct client_sum *sum, struct error *err)
{
	struct put *put = context;
	struct client *client = put->session.client;
	struct put_source source;
	struct error cause = { 0 };
	int r;

	if (put->lost)
		return 0; /* it is the same daemon for all of them */
	r = source_open(&source, put->paths[index], &cause);
	if (r == 0)
		r = source_identify(&source, put->url, &cause);
	if (r < 0) {
		sum->summary->failed++;
		client_say(client, LOG_LEVEL_ERROR, cause.fault, cause.text);
		client_sum_fault(sum, &cause);
	} else {
		r = push_run(&put->session, put->url, &source.source, put->flags, sum, err);
		put->lost = r < 0;
	}
	source_close(&source);
	return put->lost ? r : 0;
}

int client_put(struct client *client, const char *const *paths, size_t count, const struct url *url,
               struct client_summary *summary, struct error *err)
{
	struct put put = { .session = { .client = client }, .paths = paths, .url = url };
	const struct client_sources sources = { .count = count, .one = put_one, .context = &put };
	int r;

	*summary = (struct client_summary){ 0 };
	if (count > 1)
		put.flags |= MESSAGE_PUT_INTO;
	if (client->options.no_sync)
		put.flags |= MESSAGE_PUT_NO_SYNC;
	if (client->options.no_resume)
		put.flags |= MESSAGE_PUT_NO_RESUME;
	if (client->options.update)
		put.flags |= MESSAGE_PUT_UPDATE | (client->options.compare ? MESSAGE_PUT_CHECKSUM : 0);
	r = client_sum_run(client, &sources, summary, err);
	push_session_close(&put.session);
	return r;
}
