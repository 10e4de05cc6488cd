/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim-disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- content ---- */

static uint32_t chunk_length(uint64_t size, uint32_t chunk_size, uint64_t index)
{
	uint64_t left = size - index * chunk_size;

	return left < chunk_size ? (uint32_t)left : chunk_size;
}

struct sim_content *sim_content_make(struct sim *sim, uint64_t size, uint32_t chunk_size)
{
	struct sim_content *content = sim_take(sim, sizeof(*content));

	content->size = size;
	content->chunk_size = chunk_size;
	content->chunks = size / chunk_size + (size % chunk_size != 0);
	content->hashes = sim_take(sim, content->chunks * sizeof(*content->hashes));
	return content;
}

void sim_content_resize(struct sim *sim, struct sim_content *content, uint64_t size)
{
	struct sim_content *next = sim_content_make(sim, size, content->chunk_size);

	for (uint64_t i = 0; i < next->chunks && i < content->chunks; i++) {
		bool same = chunk_length(size, next->chunk_size, i) ==
		            chunk_length(content->size, content->chunk_size, i);

		next->hashes[i] = same || content->hashes[i] == 0 ? content->hashes[i] : SIM_UNKNOWN;
	}
	*content = *next;
}

uint64_t sim_content_hash(const struct sim_content *content, uint64_t index)
{
	if (content->hashes[index] != 0)
		return content->hashes[index];
	return sim_zero_hash(chunk_length(content->size, content->chunk_size, index));
}

bool sim_content_is(struct sim *sim, const struct sim_content *content, struct sim_version *version)
{
	if (content->size != version->size)
		return false;
	for (uint64_t i = 0; i < content->chunks; i++) {
		if (sim_content_hash(content, i) != sim_version_hash(sim, version, content->chunk_size, i))
			return false;
	}
	return true;
}

/* ---- names ---- */

static uint64_t name_key(const struct sim_name *dir, const char *name, size_t len)
{
	return sim_hash(name, len) ^ dir->id * UINT64_C(0xff51afd7ed558ccd);
}

static struct sim_name *name_make(struct sim_disk *disk, struct sim_name *dir, const char *name, size_t len,
                                  enum sim_kind kind)
{
	struct sim_name *made = sim_take(disk->sim, sizeof(*made) + len + 1);

	list_init(&made->link);
	list_init(&made->children);
	made->id = ++disk->ids;
	made->kind = kind;
	made->parent = dir;
	made->name_len = len;
	memcpy(made->name, name, len);
	return made;
}

static void name_put(struct sim_disk *disk, struct sim_name *name)
{
	if (table_put(&disk->names, name_key(name->parent, name->name, name->name_len), name) < 0)
		abort();
	list_append(&name->parent->children, &name->link);
}

static void name_take(struct sim_disk *disk, struct sim_name *name)
{
	table_remove(&disk->names, name_key(name->parent, name->name, name->name_len));
	list_remove(&name->link);
}

void sim_disk_make(struct sim_disk *disk, struct sim *sim)
{
	*disk = (struct sim_disk){ .sim = sim };
	disk->root = name_make(disk, NULL, "", 0, SIM_DIR);
}

void sim_disk_free(struct sim_disk *disk)
{
	table_free(&disk->names);
}

struct sim_name *sim_disk_child(const struct sim_disk *disk, const struct sim_name *dir, const char *name, size_t len)
{
	struct sim_name *found = table_get(&disk->names, name_key(dir, name, len));

	sim_check(disk->sim, found == NULL || (found->parent == dir && memcmp(found->name, name, len) == 0),
	          "two names with one key");
	return found;
}

/* The folder of a path, and the name in it. */
static int spot_find(const struct sim_disk *disk, const char *path, struct sim_name **dir, const char **name)
{
	struct sim_name *at = disk->root;

	for (;;) {
		size_t len = strcspn(path, "/");

		if (path[len] == '\0') {
			*dir = at;
			*name = path;
			return 0;
		}
		at = sim_disk_child(disk, at, path, len);
		if (at == NULL)
			return -ENOENT;
		if (at->kind != SIM_DIR)
			return -ENOTDIR;
		path += len + 1;
	}
}

struct sim_name *sim_disk_look(const struct sim_disk *disk, const char *path)
{
	struct sim_name *dir;
	const char *name;

	if (*path == '\0')
		return disk->root;
	return spot_find(disk, path, &dir, &name) < 0 ? NULL : sim_disk_child(disk, dir, name, strlen(name));
}

int sim_disk_fault(struct sim_disk *disk, bool needs_room)
{
	static const int codes[] = { EIO, ENOSPC, EACCES, EDQUOT, EROFS, EMFILE, EPERM, ENOMEM };
	int code;

	if (needs_room && sim_strikes(disk->sim, STRIKE_FULL))
		disk->full = true;
	if (needs_room && disk->full && !disk->sim->calm)
		return -ENOSPC;
	if (!sim_strikes(disk->sim, STRIKE_WRITE))
		return 0;
	code = codes[sim_below(disk->sim, sizeof(codes) / sizeof(codes[0]))];
	sim_say(disk->sim, "disk: the operation fails: %s", strerror(code));
	return -code;
}

/* Who lists a directory twice gets it twice. */
static bool lied(const struct sim_disk *disk)
{
	return disk->sim->odds[STRIKE_LIE].hits > 0;
}

/* Where something is about to change. */
static int spot_change(struct sim_disk *disk, const char *path, bool needs_room, struct sim_name **dir,
                       const char **name)
{
	int r = sim_disk_fault(disk, needs_room);

	sim_check(disk->sim, !disk->frozen, "'%s' is changed, and nothing was to be", path);
	if (r == 0)
		r = spot_find(disk, path, dir, name);
	if (r == 0)
		sim_check(disk->sim, (*dir)->closed != disk->transfer || disk->transfer == 0 || lied(disk),
		          "'%s' changes a directory that has its times already", path);
	return r;
}

static int make(struct sim_disk *disk, const char *path, enum sim_kind kind, struct sim_name **out)
{
	struct sim_name *dir, *found;
	const char *name;
	int r = *path == '\0' ? -EISDIR : spot_change(disk, path, true, &dir, &name);

	if (*path == '\0' && kind == SIM_DIR)
		return 0;
	if (r < 0)
		return r;
	found = sim_disk_child(disk, dir, name, strlen(name));
	if (found != NULL && kind == SIM_DIR)
		return found->kind == SIM_DIR ? 0 : -ENOTDIR;
	if (found != NULL)
		return -EEXIST;
	found = name_make(disk, dir, name, strlen(name), kind);
	name_put(disk, found);
	if (out != NULL)
		*out = found;
	return 0;
}

int sim_disk_dir(struct sim_disk *disk, const char *path)
{
	return make(disk, path, SIM_DIR, NULL);
}

int sim_disk_create(struct sim_disk *disk, const char *path, struct sim_name **out)
{
	return make(disk, path, SIM_FILE, out);
}

static void unlink_name(struct sim_disk *disk, struct sim_name *name)
{
	struct list *node;

	while ((node = list_first(&name->children)) != NULL)
		unlink_name(disk, list_entry(node, struct sim_name, link));
	name_take(disk, name);
	name->parent = NULL;
}

int sim_disk_link(struct sim_disk *disk, const char *path, const char *target, struct sim_name **out)
{
	struct sim_name *made;
	int r = make(disk, path, SIM_LINK, &made);

	if (r == -EEXIST) { /* what is there is replaced, as cp does */
		struct sim_name *found = sim_disk_look(disk, path);

		if (found->kind == SIM_DIR)
			return -EISDIR;
		unlink_name(disk, found);
		r = make(disk, path, SIM_LINK, &made);
	}
	if (r < 0)
		return r;
	made->target = target;
	*out = made;
	return 0;
}

int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to, bool no_replace)
{
	struct sim_name *dir, *there, *what;
	const char *name;
	struct sim_name *moved;
	int r = spot_change(disk, to, true, &dir, &name);

	if (r < 0)
		return r;
	what = sim_disk_look(disk, from);
	if (what == NULL)
		return -ENOENT;
	there = sim_disk_child(disk, dir, name, strlen(name));
	if (there != NULL && no_replace)
		return -EEXIST;
	if (there != NULL && (there->kind == SIM_DIR) != (what->kind == SIM_DIR))
		return there->kind == SIM_DIR ? -EISDIR : -ENOTDIR;
	if (there != NULL && !list_empty(&there->children))
		return -ENOTEMPTY;
	if (there != NULL)
		unlink_name(disk, there);
	/* It keeps its number, and so what is in it keeps its place. */
	moved = name_make(disk, dir, name, strlen(name), what->kind);
	name_take(disk, what);
	moved->id = what->id;
	moved->closed = what->closed;
	moved->mode = what->mode;
	moved->mtime = what->mtime;
	moved->mtime_ns = what->mtime_ns;
	moved->content = what->content;
	moved->target = what->target;
	moved->whole = what->whole;
	for (struct list *node; (node = list_first(&what->children)) != NULL;) {
		list_remove(node);
		list_append(&moved->children, node);
		list_entry(node, struct sim_name, link)->parent = moved;
	}
	name_put(disk, moved);
	return 0;
}

int sim_disk_remove(struct sim_disk *disk, const char *path)
{
	struct sim_name *dir, *found;
	const char *name;
	int r = spot_change(disk, path, false, &dir, &name);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	found = sim_disk_child(disk, dir, name, strlen(name));
	if (found != NULL)
		unlink_name(disk, found);
	return 0;
}

int sim_disk_sweep(struct sim_disk *disk, const char *path, const struct nameset *names)
{
	struct sim_name *dir = sim_disk_look(disk, path);
	int r = sim_disk_fault(disk, false);

	if (r < 0 || dir == NULL)
		return r < 0 ? r : -ENOENT;
	sim_check(disk->sim, dir->closed != disk->transfer, "'%s' is swept and has its times already", path);
	for (struct list *node = dir->children.next; node != &dir->children;) {
		struct sim_name *name = list_entry(node, struct sim_name, link);

		node = node->next;
		sim_check(disk->sim, name->lock == NULL, "'%s' is swept away while it is written", name->name);
		if (!nameset_have(names, name->name, name->name_len))
			unlink_name(disk, name);
	}
	return 0;
}

int sim_disk_meta(struct sim_disk *disk, const char *path, uint16_t mode, int64_t mtime, uint32_t mtime_ns)
{
	struct sim_name *found = sim_disk_look(disk, path);
	int r = sim_disk_fault(disk, false);

	sim_check(disk->sim, !disk->frozen, "'%s' is changed, and nothing was to be", path);
	if (r < 0)
		return r;
	if (found == NULL)
		return -ENOENT;
	sim_check(disk->sim, found->kind != SIM_DIR || found->closed != disk->transfer || lied(disk),
	          "'%s' gets its mode and times twice", path);
	found->mode = mode;
	found->mtime = mtime;
	found->mtime_ns = mtime_ns;
	if (found->kind == SIM_DIR)
		found->closed = disk->transfer;
	return 0;
}
