/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer get: where each source goes, as cp(1) would have it, and one job after the other. */
#include "base/text.h"
#include "client/fetch.h"
#include "engine/resume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The folder and the name in it that DEST means, when it is no folder itself. Both owned by the caller. */
static int dest_split(const char *dest, char **folder, char **name, struct error *err)
{
	size_t len = strlen(dest);
	const char *base;
	char *bare;

	while (len > 1 && dest[len - 1] == '/')
		len--;
	bare = strndup(dest, len);
	if (bare == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	base = last_component(bare);
	*name = strdup(base);
	if (base == bare)
		*folder = strdup(".");
	else
		*folder = strndup(bare, base - bare > 1 ? (size_t)(base - bare) - 1 : 1);
	free(bare);
	if (*name != NULL && *folder != NULL && store_name_check(*name, strlen(*name), NULL) == 0)
		return 0;
	free(*name);
	free(*folder);
	return error_set(err, -EINVAL, FAULT_USAGE, "%s is no name to write to", dest);
}

static int dest_open(const char *dest, bool several, struct store_root **root, char **name, struct error *err)
{
	struct stat st;
	char *folder = NULL;
	int r = stat(dest, &st) < 0 ? -errno : 0;

	*name = NULL;
	/* What cannot be looked at may be a folder: taken for none, what is in it would be written over. */
	if (r < 0 && r != -ENOENT && r != -ENOTDIR)
		return error_system(err, r, FAULT_LOCAL, "%s", dest);
	if (r == 0 && S_ISDIR(st.st_mode)) {
		r = store_root_open(root, dest, err);
		if (r < 0 && err != NULL)
			err->fault = FAULT_LOCAL;
		return r;
	}
	if (several || (dest[0] != '\0' && dest[strlen(dest) - 1] == '/'))
		return error_set(err, -ENOTDIR, FAULT_LOCAL, "%s is no folder", dest);
	r = dest_split(dest, &folder, name, err);
	if (r < 0)
		return r;
	r = store_root_open(root, folder, err);
	free(folder);
	if (r < 0) {
		free(*name);
		if (err != NULL)
			err->fault = FAULT_LOCAL;
	}
	return r;
}

/* A job of one or more URLs. */
struct get {
	struct client *client;
	const struct url *urls;
	struct store_root *root; /* owned */
	char *name;              /* owned; NULL: each source keeps its own */
	unsigned flags;          /* SINK_FLAG_* */
	bool resume;
};

/*
 * The folder that DEST is was made by an earlier run of this command, which was killed when all but its journal was done: the
 * tree went by that name, and does so again.
 */
static void dest_ours(struct get *get, const char *dest)
{
	struct store_root *root = NULL;
	struct resume resume;
	char *folder, *name;
	size_t len = strlen(dest);

	if (get->name != NULL || !get->resume || len == 0 || dest[len - 1] == '/' ||
	    dest_split(dest, &folder, &name, NULL) < 0)
		return;
	if (store_root_open(&root, folder, NULL) == 0 && resume_begin(&resume, root, name, get->urls, NULL) == 0 &&
	    resume_published(&resume)) {
		struct store_root *inside = get->root;

		get->root = root;
		get->name = name;
		root = inside;
		name = NULL;
	}
	store_root_unref(root);
	free(folder);
	free(name);
}

static int get_one(void *context, size_t index, struct client_sum *sum, struct error *err)
{
	const struct get *get = context;
	const struct url *url = &get->urls[index];
	const struct fetch_place place = {
		.root = get->root,
		.name = get->name != NULL ? get->name : last_component(url->path),
		.flags = get->flags,
		.resume = get->resume,
		.sync = !get->client->options.no_sync,
	};

	if (url->path[0] == '\0')
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "xfer://%s names no export; xfer ls xfer://%s shows what there is", url->authority,
		                 url->authority);
	return fetch_run(get->client, url, &place, sum, err);
}

int client_get(struct client *client, const struct url *urls, size_t count, const char *dest,
               struct client_summary *summary, struct error *err)
{
	const struct client_options *options = &client->options;
	struct get get = { .client = client, .urls = urls, .resume = !options->no_resume };
	const struct client_sources sources = { .count = count, .one = get_one, .context = &get };
	int r;

	if (options->update)
		get.flags = SINK_FLAG_UPDATE | (options->compare ? SINK_FLAG_COMPARE : 0);
	*summary = (struct client_summary){ 0 };
	r = dest_open(dest, count > 1, &get.root, &get.name, err);
	if (r < 0)
		return r;
	if (count == 1)
		dest_ours(&get, dest);
	r = client_sum_run(client, &sources, summary, err);
	store_root_unref(get.root);
	free(get.name);
	return r;
}

/* The copy itself, in the folder that holds it: "." and ".." are folders with names, too. */
static int copy_open(const char *path, struct store_root **root, char **name, struct error *err)
{
	char *real = realpath(path, NULL);
	char *folder = NULL;
	int r;

	if (real == NULL)
		return error_system(err, -errno, FAULT_LOCAL, "%s", path);
	r = strcmp(real, "/") == 0
	            ? error_set(err, -EINVAL, FAULT_USAGE, "the root of all files is no copy of anything")
	            : dest_split(real, &folder, name, err);
	if (r == 0) {
		r = store_root_open(root, folder, err);
		if (r < 0)
			free(*name);
	}
	free(folder);
	free(real);
	return r;
}

int client_verify(struct client *client, const struct url *url, const char *path, struct client_summary *summary,
                  struct error *err)
{
	struct get get = { .client = client, .urls = url, .flags = SINK_FLAG_VERIFY };
	const struct client_sources sources = { .count = 1, .one = get_one, .context = &get };
	int r = copy_open(path, &get.root, &get.name, err);

	*summary = (struct client_summary){ 0 };
	if (r < 0)
		return r;
	r = client_sum_run(client, &sources, summary, err);
	store_root_unref(get.root);
	free(get.name);
	return r;
}
