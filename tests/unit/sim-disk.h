/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk of the sink: names, and operations on them that fail when the seed wants it. */
#ifndef XFER_TESTS_SIM_DISK_H
#define XFER_TESTS_SIM_DISK_H

#include "base/nameset.h"
#include "base/table.h"
#include "sim-tree.h"

/* What is in a file on the disk. */
struct sim_content {
	uint64_t size; /* bytes that it is to have */
	uint64_t chunks;
	uint32_t chunk_size;
	uint64_t *hashes; /* of chunks; 0 = never written, SIM_UNKNOWN = anything */
};
enum { SIM_UNKNOWN = 2 }; /* no hash is even */

struct sim_name {
	struct list link; /* in parent.children */
	struct list children;
	struct sim_name *parent;
	enum sim_kind kind;
	uint64_t id;
	uint64_t
		closed; /* directory: in which transfer it got its mode and times; nothing may change in it after that */
	uint16_t mode;
	int64_t mtime;
	uint32_t mtime_ns;
	struct sim_content *content; /* of a file */
	const char *target;          /* of a link */
	bool whole;                  /* a file that was published */
	const void *lock;            /* who has it open to write to it; NULL: nobody */
	size_t name_len;
	char name[];
};

struct sim_disk {
	struct sim *sim;
	struct table names; /* by parent and name */
	struct sim_name *root;
	uint64_t ids;
	uint64_t transfer; /* serial */
	bool full;
	bool frozen; /* nothing may be changed: digests are only compared */
};

void sim_disk_make(struct sim_disk *disk, struct sim *sim);
void sim_disk_free(struct sim_disk *disk);

/* Without failing: what is there; NULL. */
struct sim_name *sim_disk_look(const struct sim_disk *disk, const char *path);
struct sim_name *sim_disk_child(const struct sim_disk *disk, const struct sim_name *dir, const char *name, size_t len);

/* Of a chunk as it would be read. */
uint64_t sim_content_hash(const struct sim_content *content, uint64_t index);
/* Whether it is the version, all of it. */
bool sim_content_is(struct sim *sim, const struct sim_content *content, struct sim_version *version);
struct sim_content *sim_content_make(struct sim *sim, uint64_t size, uint32_t chunk_size);
/* The same, as far as it goes, for a file of another size. */
void sim_content_resize(struct sim *sim, struct sim_content *content, uint64_t size);

/* As those of store.h. */
int sim_disk_dir(struct sim_disk *disk, const char *path);
int sim_disk_create(struct sim_disk *disk, const char *path, struct sim_name **out);
int sim_disk_link(struct sim_disk *disk, const char *path, const char *target, struct sim_name **out);
int sim_disk_rename(struct sim_disk *disk, const char *from, const char *to, bool no_replace);
int sim_disk_remove(struct sim_disk *disk, const char *path);
int sim_disk_sweep(struct sim_disk *disk, const char *path, const struct nameset *names);
int sim_disk_meta(struct sim_disk *disk, const char *path, uint16_t mode, int64_t mtime, uint32_t mtime_ns);
/* Writing, reading, syncing: what a failing disk makes of it. */
int sim_disk_fault(struct sim_disk *disk, bool needs_room);

#endif
