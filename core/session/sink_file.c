/* SPDX-License-Identifier: BSD-2-Clause */
/* The files of a sink: what each is made of, when it is listed. */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t sink_file_chunks(const struct sink *sink, uint64_t size)
{
	uint64_t chunk = sink->params.chunk_size;

	return size / chunk + (size % chunk != 0);
}

/* The name of a file as messages show it. */
const char *sink_file_text(const struct sink *sink, const struct sink_file *file, char *out, size_t size)
{
	char full[MESSAGE_PATH_MAX + 2];
	int n = snprintf(full, sizeof(full), "%s%s%s", sink->remote, file->name[0] != '\0' ? "/" : "", file->name);

	return text_printable(out, size, full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1);
}

/* FNV-1a, 64 bits: the same file of a tree has the same hidden name in every run. */
static uint64_t name_hash(const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return hash;
}

static int file_paths(struct sink *sink, struct sink_file *file)
{
	char *folder;

	if (sink->staged) {
		file->path = sink_local_path(sink, file->name);
		return file->path == NULL ? -ENOMEM : 0;
	}
	file->final = sink_local_path(sink, file->name);
	folder = file->dir != NULL ? sink_local_path(sink, file->dir->name) : NULL;
	if (file->dir == NULL)
		file->path = strdup(sink->partial);
	else if (folder != NULL && asprintf(&file->path, "%s%s%s.%016llx", folder, folder[0] != '\0' ? "/" : "",
	                                    sink->hidden, (unsigned long long)name_hash(file->name)) < 0)
		file->path = NULL;
	free(folder);
	return file->path == NULL || file->final == NULL ? -ENOMEM : 0;
}

/* Both the path at the source and the one here. */
static bool path_fits(const struct sink_file *file, const struct sink *sink)
{
	return strlen(sink->remote) + 1 + strlen(file->name) <= MESSAGE_PATH_MAX &&
	       strlen(file->path) <= MESSAGE_PATH_MAX;
}

/* Something of it may be there already. */
static bool file_unknown(const struct sink *sink)
{
	unsigned flags = sink->params.flags;

	if (flags & (SINK_FLAG_RESUME | SINK_FLAG_VERIFY))
		return true;
	return (flags & SINK_FLAG_UPDATE) && !sink->staged && sink->params.name_exists;
}

int sink_file_add(struct sink *sink, struct sink_dir *dir, const struct entry *entry, struct error *err)
{
	size_t dir_len = dir != NULL ? strlen(dir->name) : 0;
	size_t name_len = dir != NULL ? entry->name_len : 0;
	struct sink_file *file = calloc(1, sizeof(*file) + dir_len + 1 + name_len + 1);

	if (file == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a file");
	memcpy(file->name, dir != NULL ? dir->name : "", dir_len);
	if (dir_len > 0)
		file->name[dir_len++] = '/';
	memcpy(file->name + dir_len, entry->name, name_len);
	list_init(&file->link);
	file->size = entry->size;
	file->chunks = sink_file_chunks(sink, entry->size);
	file->mode = entry->mode;
	file->mtime = entry->mtime;
	file->mtime_ns = entry->mtime_ns;
	file->dir = dir;
	if (file_paths(sink, file) < 0) {
		free(file->path);
		free(file->final);
		free(file);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a file");
	}
	if (dir != NULL)
		dir->pending++;
	sink->live++;
	sink->texts += sink_file_texts(file);
	sink->count.listed += file->size;
	file->state = file_unknown(sink) ? SINK_FILE_UNKNOWN : SINK_FILE_FRESH;
	sink_file_move(sink, file, file->state);
	if (!path_fits(file, sink))
		sink_file_fail(sink, file, FAULT_LOCAL, "its path is longer than %d bytes", MESSAGE_PATH_MAX);
	return 0;
}
