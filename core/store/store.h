/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files beneath a root. Every name of a peer goes through store_path_check() and one primitive that opens beneath the
 * root (openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS; where the kernel lacks it, a walk component by
 * component with O_NOFOLLOW). These calls block: storage threads only, unless said.
 */
#ifndef XFER_STORE_STORE_H
#define XFER_STORE_STORE_H

#include "base/error.h"
#include "base/nameset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- root.c: a folder that nothing leaves ---- */

struct store_root; /* reference counted; thread-safe */

/* `path` is the administrator's word: its own symbolic links are followed. FAULT_LOCAL; -ENOTDIR for what is no folder. */
int store_root_open(struct store_root **out, const char *path, struct error *err);
struct store_root *store_root_ref(struct store_root *root);
void store_root_unref(struct store_root *root);             /* NULL is allowed */
int store_root_fd(const struct store_root *root);           /* lent */
const char *store_root_path(const struct store_root *root); /* as it was given to store_root_open() */

/*
 * Opens beneath; symbolic links are followed only where they stay beneath, and lead to no hidden name that the path itself
 * does not have (-ENOENT: what is unfinished is not there yet). -EXDEV when the path leaves the root, -ELOOP
 * for a magic link (/proc/self/root), -EINVAL for what store_path_check() refuses. O_CLOEXEC is always set. Where the
 * kernel lacks openat2(2), no symbolic link is followed at all (-ELOOP).
 */
int store_open(struct store_root *root, const char *path, int flags, mode_t mode, int *fd);

/* ---- path.c: names of a peer ---- */

/*
 * A relative path: no leading '/', no empty component, no ".", no "..", no NUL, components <= 255, all <= 4095 bytes.
 * "" is the root itself. -EINVAL (FAULT_REFUSED).
 */
int store_path_check(const char *path, size_t len, struct error *err);
int store_name_check(const char *name, size_t len, struct error *err); /* one component */

/* ---- parent.c: the folder of the last name ---- */

/*
 * A run of names in one folder needs that folder resolved only once: give the same store_parent to the X_via() calls
 * below. It belongs to one thread at a time and to a run of work that ends soon (a job): while it is held, a folder that
 * someone else moves keeps receiving names under its old path; one that was removed and made anew is found again.
 * `near` may be NULL in every X_via(), which is then plain X().
 */
struct store_parent {
	struct store_root *root; /* a reference; NULL: empty */
	int fd;                  /* owned, O_PATH */
	size_t len;              /* of path */
	char path[4096];         /* beneath root, not terminated */
};
void store_parent_init(struct store_parent *near);
void store_parent_drop(struct store_parent *near); /* gives everything back; it may be used again */

/* ---- reader.c: the source's side ---- */

/* What tells whether a file is still the one it was: device, inode, size, mtime and ctime to the nanosecond. */
struct store_identity {
	uint64_t dev, ino, size;
	struct timespec mtime, ctime;
};
void store_identity_from(struct store_identity *out, const struct stat *st);
bool store_identity_equal(const struct store_identity *a, const struct store_identity *b);

/* Opens a regular file for reading (O_NONBLOCK against pipes, then checked): -EISDIR, -ENOTSUP for special files. */
int store_open_file_via(struct store_parent *near, struct store_root *root, const char *path, int *fd, struct stat *st);
static inline int store_open_file(struct store_root *root, const char *path, int *fd, struct stat *st)
{
	return store_open_file_via(NULL, root, path, fd, st);
}
/* Reads exactly len bytes unless the file ends before: bytes read, or -errno. Retries EINTR and short reads. */
ssize_t store_read(int fd, void *bytes, size_t len, uint64_t offset);
/*
 * Finds what is at `offset`: *data = false and *end = end of the hole, or true and end of the data run, both at most
 * `size` (offset < size). Where the file system knows no holes, all is data. Moves the descriptor's file position.
 */
int store_extent(int fd, uint64_t offset, uint64_t size, bool *data, uint64_t *end);

/* ---- walk.c: a tree as a stream ---- */

enum store_kind { STORE_FILE = 1, STORE_DIR, STORE_UP, STORE_SYMLINK, STORE_SPECIAL, STORE_UNREADABLE };

struct store_entry {
	enum store_kind kind;
	bool sparse;      /* a regular file with fewer blocks than its size needs */
	struct stat st;   /* of the thing itself (lstat); for STORE_UP of the directory, taken at its end; zeroes where
	                       STORE_UNREADABLE could not find out */
	const char *name; /* last component ("" for the root), at most 255 bytes; valid until the next call */
	const char *target; /* symbolic link, else NULL */
	const char *text;   /* STORE_SPECIAL ("socket"), STORE_UNREADABLE (cause), else NULL */
};

struct store_walk;
/*
 * Starts at `path` ("" = the root). depth 0: the thing itself; UINT_MAX: everything below. Depth first, in the folder's
 * own order. Every STORE_DIR has its STORE_UP, what is in it between them (also where `depth` ends and nothing is
 * between); a directory that cannot be opened is STORE_UNREADABLE without STORE_UP. Where reading a directory breaks off
 * in the middle, an entry STORE_UNREADABLE with that directory's own name comes before its STORE_UP. What vanishes
 * meanwhile is left out silently; what has a path beyond 4095 bytes is STORE_UNREADABLE.
 *
 * Holds a bounded number of descriptors and buffers however deep it goes, follows no symbolic link (`path` itself
 * included, not its parents), leaves out names that start with `hidden` (our own partial files; copied, may be NULL).
 */
int store_walk_open(struct store_walk **out, struct store_root *root, const char *path, unsigned depth,
                    const char *hidden, struct error *err);
/* 1: *out is the next; 0: the end; -errno: the walk is over, `path` itself can no longer be read (or -ENOMEM). */
int store_walk_next(struct store_walk *walk, struct store_entry *out);
void store_walk_close(struct store_walk *walk); /* NULL is allowed */

/* ---- target.c: the sink's side, beneath a root in which we create ---- */

/* Name of our hidden files and folders: STORE_HIDDEN and 16 hex digits. */
#define STORE_HIDDEN ".xfer-"
bool store_path_hidden(const char *path); /* a component of it begins so */
enum { STORE_HIDDEN_NAME_MAX = 32 };
int store_hidden_name(char out[STORE_HIDDEN_NAME_MAX]); /* random */

/* mkdir with mode 0700; an existing directory is fine (not a symbolic link to one: -ENOTDIR). Parents must be there. */
int store_make_dir_via(struct store_parent *near, struct store_root *root, const char *path);
/* The same; *existed: it was there. */
int store_make_dir_known_via(struct store_parent *near, struct store_root *root, const char *path, bool *existed);
/* Creates a regular file that must not exist (O_EXCL), mode 0600, open for reading and writing. */
int store_create_via(struct store_parent *near, struct store_root *root, const char *path, int *fd);
/*
 * Opens a regular file that exists for reading and writing, as it is (but where its mode denies us that, it becomes
 * 0600): -ENOTSUP for what is none, a link included.
 */
int store_reopen_via(struct store_parent *near, struct store_root *root, const char *path, int *fd, struct stat *st);
int store_symlink_via(struct store_parent *near, struct store_root *root, const char *path, const char *target);
/* 0: it is a link with that target; -ESTALE: with another one; -EINVAL: it is none. */
int store_link_is_via(struct store_parent *near, struct store_root *root, const char *path, const char *target);
/* lstat beneath root. */
int store_stat_via(struct store_parent *near, struct store_root *root, const char *path, struct stat *st);
/*
 * Replaces `to` by `from`, both beneath root. no_replace: -EEXIST when `to` exists (RENAME_NOREPLACE; where the file
 * system lacks that, the nearest that is as safe: see target.c).
 */
int store_rename_via(struct store_parent *near, struct store_root *root, const char *from, const char *to,
                     bool no_replace);
/*
 * Two things of one folder change their names, in one step (RENAME_EXCHANGE). -EEXIST where the file system cannot;
 * -ENOENT when one of them is gone.
 */
int store_exchange_via(struct store_parent *near, struct store_root *root, const char *a, const char *b);

struct store_meta {
	uint16_t mode; /* permission bits; setuid, setgid and sticky are dropped */
	struct timespec mtime;
};
/* For directories and symbolic links (times only). Never follows a link in the last place. */
int store_set_meta_via(struct store_parent *near, struct store_root *root, const char *path, bool is_link,
                       const struct store_meta *meta);
/*
 * Removes a file, or a whole tree without following links. -ENOENT is no error; "" is -EINVAL. Goes on after an error
 * and returns the first one. A directory that denies us its content (a fetched one, mode 0555) is opened up first.
 */
int store_remove_via(struct store_parent *near, struct store_root *root, const char *path);
/* Removes what is in the directory `path` and not among the names, trees as store_remove_via() does. */
int store_sweep(struct store_root *root, const char *path, const struct nameset *names);

static inline int store_make_dir(struct store_root *root, const char *path)
{
	return store_make_dir_via(NULL, root, path);
}
static inline int store_create(struct store_root *root, const char *path, int *fd)
{
	return store_create_via(NULL, root, path, fd);
}
static inline int store_symlink(struct store_root *root, const char *path, const char *target)
{
	return store_symlink_via(NULL, root, path, target);
}
static inline int store_stat(struct store_root *root, const char *path, struct stat *st)
{
	return store_stat_via(NULL, root, path, st);
}
static inline int store_rename(struct store_root *root, const char *from, const char *to, bool no_replace)
{
	return store_rename_via(NULL, root, from, to, no_replace);
}
static inline int store_set_meta(struct store_root *root, const char *path, bool is_link, const struct store_meta *meta)
{
	return store_set_meta_via(NULL, root, path, is_link, meta);
}
static inline int store_remove(struct store_root *root, const char *path)
{
	return store_remove_via(NULL, root, path);
}

int store_sync_dir(struct store_root *root, const char *path);    /* fsync of a folder; "": of the root */
int store_sync_parent(struct store_root *root, const char *path); /* fsync of the folder that holds path */
int store_sync_tree(struct store_root *root);                     /* syncfs of the root's file system */

/* ---- partial.c: files that are not complete yet, each locked (flock(2)) as long as it is open ---- */

/* As store_create_via(), but what stands there is removed first: -EBUSY when somebody has it open as a partial file. */
int store_partial_make_via(struct store_parent *near, struct store_root *root, const char *path, int *fd);
/* As store_reopen_via(); -EBUSY. */
int store_partial_open_via(struct store_parent *near, struct store_root *root, const char *path, int *fd,
                           struct stat *st);
/* As store_remove_via(), but -EBUSY when somebody has it open as a partial file, we included. */
int store_partial_remove_via(struct store_parent *near, struct store_root *root, const char *path);

/* ---- copy.c: ranges of a file ---- */

/*
 * Makes bytes of `to` what they are at the same place of `from`, by sharing blocks where the file system can
 * (copy_file_range(2) does that by itself), and leaves holes where `from` has them. -ENODATA when `from` ends before.
 */
int store_copy(int from, int to, uint64_t offset, uint64_t len);
/* Makes sure that a range reads as zeroes; as a hole where that is possible. What is behind the end stays behind it. */
int store_zero(int fd, uint64_t offset, uint64_t len);

/* ---- write.c: the content of a file ---- */

/* Writes all of it at offset, retrying EINTR and short writes; iov is consumed (changed). */
int store_writev(int fd, struct iovec *iov, int count, uint64_t offset);
/*
 * As store_writev() of one buffer, but blocks of zeroes (4 KiB, aligned in the file; also a part of one at either end)
 * are not written, so that the file keeps its holes. Only for a range that was never written: what stands there stays.
 * The caller sets the size at the end, since a hole at the end does not.
 */
int store_write_sparse(int fd, const void *bytes, size_t len, uint64_t offset);
/*
 * Reserves blocks without changing the size; where that is not supported nothing happens. -ENOSPC. On disks it costs next
 * to nothing, says early that there is no room and keeps the file in one piece. On tmpfs it does not pay: measured, 2 GiB in
 * writes of 1 MiB cost the same CPU with and without (0.7 s), but with it the pages are made at once, by one
 * thread, in 0.5 s during which nothing is written.
 */
int store_reserve(int fd, uint64_t size);
int store_set_meta_fd(int fd, const struct store_meta *meta);
int store_sync_fd(int fd);      /* fsync */
int store_sync_data_fd(int fd); /* fdatasync */
/* Starts writing what was written to the file, and waits for nothing. A hint: no error of it is told. */
void store_writeback_fd(int fd);
/* What close(2) tells of failed writes (network file systems), without letting go of the descriptor and its lock. */
int store_close_check_fd(int fd);

#endif
