/* SPDX-License-Identifier: BSD-2-Clause */
/* A tree as a stream of entries, in constant memory: one at a time, depth first. */
#include "store/descent.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WALK_TRIES = 4, /* for a name whose kind changes while we look */
	DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
};

struct store_walk {
	struct store_root *root; /* a reference */
	unsigned depth;          /* levels below the start that are shown */
	struct store_entry first;
	bool first_pending;    /* `first` was not handed out yet */
	bool up_pending;       /* the STORE_UP of a directory that is not entered comes next */
	struct stat flat;      /* that directory */
	const char *flat_name; /* lent: stays while nothing is read */
	int cause;             /* of the last STORE_UNREADABLE, -errno */
	size_t hidden_len;     /* 0: nothing is hidden */
	struct descent descent;
	char name[STORE_NAME_MAX + 1]; /* of the start */
	char hidden[STORE_NAME_MAX + 1];
	char target[PATH_MAX]; /* of the last symbolic link; also what is shown of a name that is too long */
	char text[128];
};

static int unreadable(struct store_walk *walk, struct store_entry *out, const char *what, int code)
{
	char cause[96];
	snprintf(walk->text, sizeof(walk->text), "%s%s", what, strerror_r(-code, cause, sizeof(cause)));
	walk->cause = code;
	out->kind = STORE_UNREADABLE;
	out->text = walk->text;
	return 1;
}

static const char *special_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO: return "pipe";
	case S_IFSOCK: return "socket";
	case S_IFBLK: return "block device";
	case S_IFCHR: return "character device";
	default: return "unknown kind of file";
	}
}

/* Whether what stands in the innermost directory (or the start itself) is shown with its content. */
static bool enters(const struct store_walk *walk)
{
	return walk->descent.count < walk->depth;
}

/* -EAGAIN: it is no directory any more. */
static int look_at_dir(struct store_walk *walk, int dir, const char *name, struct store_entry *out)
{
	if (!enters(walk)) { /* out->st is known */
		out->kind = STORE_DIR;
		walk->flat = out->st;
		walk->flat_name = name;
		walk->up_pending = true;
		return 1;
	}
	int fd;
	do
		fd = openat(dir, name, DIR_FLAGS);
	while (fd < 0 && errno == EINTR);
	int code = fd < 0 ? -errno : descent_push(&walk->descent, fd, walk->descent.count > 0 ? name : "");
	if (code == 0) {
		out->kind = STORE_DIR;
		out->st = descent_top(&walk->descent)->st;
		if (walk->descent.count > 1)
			out->name = descent_name(&walk->descent);
		return 1;
	}
	if (fd >= 0)
		close(fd);
	if (code == -ENOENT)
		return 0;
	if (code == -ENOTDIR || code == -ELOOP)
		return -EAGAIN;
	if (code == -ENOMEM)
		return code;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		out->st = st;
	return unreadable(walk, out, "", code);
}

static int look_at_link(struct store_walk *walk, int dir, const char *name, struct store_entry *out)
{
	ssize_t len = readlinkat(dir, name, walk->target, sizeof(walk->target));
	if (len < 0 && errno == ENOENT)
		return 0;
	if (len < 0 && errno == EINVAL)
		return -EAGAIN;
	if (len < 0 || len == (ssize_t)sizeof(walk->target))
		return unreadable(walk, out, "", len < 0 ? -errno : -ENAMETOOLONG);
	walk->target[len] = '\0';
	out->kind = STORE_SYMLINK;
	out->target = walk->target;
	return 1;
}

static int look_at(struct store_walk *walk, int dir, const char *name, unsigned char type, struct store_entry *out)
{
	if (type == DT_DIR && enters(walk)) {
		int code = look_at_dir(walk, dir, name, out);
		if (code != -EAGAIN)
			return code;
	}
	if (fstatat(dir, name, &out->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : unreadable(walk, out, "", -errno);
	if (S_ISDIR(out->st.st_mode))
		return look_at_dir(walk, dir, name, out);
	if (S_ISLNK(out->st.st_mode))
		return look_at_link(walk, dir, name, out);
	if (S_ISREG(out->st.st_mode)) {
		out->kind = STORE_FILE;
		out->sparse = out->st.st_blocks * 512 < out->st.st_size;
		return 1;
	}
	out->kind = STORE_SPECIAL;
	out->text = special_text(out->st.st_mode);
	return 1;
}

/* 1: *out is filled; 0: the name vanished or is not shown; -ENOMEM. */
static int look(struct store_walk *walk, int dir, const char *name, unsigned char type, struct store_entry *out)
{
	if (walk->hidden_len > 0 && walk->descent.count > 0 && strncmp(name, walk->hidden, walk->hidden_len) == 0)
		return 0;
	*out = (struct store_entry){ .name = name };
	size_t len = strlen(name);
	if (len > STORE_NAME_MAX) { /* some file systems have such; nothing can say it in full */
		memcpy(walk->target, name, STORE_NAME_MAX);
		walk->target[STORE_NAME_MAX] = '\0';
		out->name = walk->target;
		return unreadable(walk, out, "more than 255 bytes: ", -ENAMETOOLONG);
	}
	if (walk->descent.count > 0 && !descent_fits(&walk->descent, name))
		return unreadable(walk, out, "a path of more than 4095 bytes: ", -ENAMETOOLONG);
	for (int tries = 0; tries < WALK_TRIES; tries++) {
		int code = look_at(walk, dir, name, type, out);
		if (code != -EAGAIN)
			return code;
		type = DT_UNKNOWN;
	}
	return unreadable(walk, out, "", -EAGAIN);
}

/* The start. What is wrong with it ends the walk before it begins. */
static int look_at_start(struct store_walk *walk, const char *path)
{
	struct spot spot;
	int code;
	if (*path == '\0') {
		code = look(walk, walk->root->fd, ".", DT_UNKNOWN, &walk->first);
	} else {
		code = spot_find(&spot, NULL, walk->root, path);
		if (code < 0)
			return code;
		memcpy(walk->name, spot.name, strlen(spot.name) + 1);
		code = look(walk, spot.dir, walk->name, DT_UNKNOWN, &walk->first);
		spot_again(&spot, 0);
	}
	walk->first.name = walk->name;
	walk->flat_name = walk->name;
	return code;
}

static int open_fault(const char *path, int code, struct error *err)
{
	char shown[400];
	enum fault fault = code == -ENOMEM || code == -EMFILE || code == -ENFILE ? FAULT_LOCAL : FAULT_REFUSED;
	if (!err)
		return code;
	text_printable(shown, sizeof(shown), path, strlen(path));
	if (code == -EXDEV)
		return error_set(err, code, fault, "\"%s\" leads out of the export", shown);
	return error_system(err, code, fault, "cannot list \"%s\"", shown);
}

int store_walk_open(struct store_walk **out, struct store_root *root, const char *path, unsigned depth,
                    const char *hidden, struct error *err)
{
	size_t path_len = strlen(path);
	size_t hidden_len = hidden ? strlen(hidden) : 0;
	int code = store_path_check(path, path_len, err);
	if (code < 0)
		return code;
	if (hidden_len > STORE_NAME_MAX)
		return open_fault(path, -EINVAL, err);
	struct store_walk *walk = malloc(sizeof(*walk));
	if (!walk)
		return open_fault(path, -ENOMEM, err);
	walk->root = store_root_ref(root);
	walk->depth = depth;
	walk->first_pending = true;
	walk->up_pending = false;
	walk->hidden_len = hidden_len;
	memcpy(walk->hidden, hidden ? hidden : "", hidden_len + 1);
	walk->name[0] = '\0';
	descent_init(&walk->descent, root->walks, false, STORE_PATH_MAX - (path_len > 0 ? path_len + 1 : 0));
	code = look_at_start(walk, path);
	if (code == 1 && walk->first.kind == STORE_UNREADABLE)
		code = walk->cause;
	if (code <= 0) {
		code = open_fault(path, code == 0 ? -ENOENT : code, err);
		store_walk_close(walk);
		return code;
	}
	*out = walk;
	return 0;
}

/* Leaves the innermost directory. */
static int go_up(struct store_walk *walk, struct store_entry *out)
{
	struct descent_level *level = descent_top(&walk->descent);
	*out = (struct store_entry){ .kind = STORE_UP, .st = level->st };
	struct stat st;
	if (level->fd >= 0 && fstat(level->fd, &st) == 0)
		out->st = st;
	out->name = walk->descent.count > 1 ? descent_name(&walk->descent) : walk->name;
	descent_pop(&walk->descent);
	return 1;
}

int store_walk_next(struct store_walk *walk, struct store_entry *out)
{
	struct descent *descent = &walk->descent;
	if (walk->first_pending) {
		walk->first_pending = false;
		*out = walk->first;
		return 1;
	}
	if (walk->up_pending) {
		walk->up_pending = false;
		*out = (struct store_entry){ .kind = STORE_UP, .st = walk->flat, .name = walk->flat_name };
		return 1;
	}
	while (descent->count > 0) {
		const char *name;
		unsigned char type;
		struct descent_level *level = descent_top(descent);
		int code = level->changed ? 0 : descent_next(descent, &name, &type);
		if (code == 0)
			return go_up(walk, out);
		if (code == 1) {
			code = look(walk, level->fd, name, type, out);
			if (code != 0)
				return code;
			continue;
		}
		if (code == -ENOMEM || descent->count == 1)
			return code;
		*out = (struct store_entry){ .name = descent_name(descent), .st = level->st };
		level->changed = true; /* what is left of it is lost */
		return unreadable(walk, out, "its listing broke off: ", code);
	}
	return 0;
}

void store_walk_close(struct store_walk *walk)
{
	if (!walk)
		return;
	descent_free(&walk->descent);
	store_root_unref(walk->root);
	free(walk);
}
