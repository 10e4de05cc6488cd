/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind the pieces of a sink's orders, and what the disk makes of each piece. */
#ifndef XFER_TESTS_SIM_WRITER_H
#define XFER_TESTS_SIM_WRITER_H

#include "session/sink.h"
#include "sim-disk.h"
#include "sim-journal.h"

/* A frame in memory: what a lent buffer is in the program. */
struct sim_token {
	unsigned refs;
	uint32_t len; /* bytes of payload */
	uint8_t bytes[];
};

/* Where a file goes. */
struct sim_place {
	struct sim_disk *disk;
	struct sim_journal *journal; /* NULL: nothing is noted */
	struct sim_node *node;       /* what it is to be a copy of; NULL: nobody knows */
	uint32_t chunk_size, digest_size;
};

/* What a sink keeps as a file's handle. */
struct sim_writer {
	struct list link; /* in the receiver's list of them */
	struct sim_place place;
	enum sink_reuse reuse;
	const char *path, *final, *name; /* final: NULL in a staging folder; name: in the journal */
	uint64_t size, chunks;
	int64_t mtime; /* as listed */
	uint32_t mtime_ns;
	struct sim_past *past; /* what the journal claims, or notes; NULL: nothing yet */
	struct sim_name *file; /* open, at path; NULL: not yet */
	uint64_t *counted;     /* hashes of the chunks that count; 0 = not yet */
	uint64_t count;        /* of them */
	bool made, published, over;
	int code;     /* the first failure; stays */
	unsigned out; /* pieces of it under way */
	bool alone;   /* one of them has to be the only one */
};

struct sim_writer *sim_writer_make(const struct sim_place *place, const struct sink_file *file);
/* Carries out a piece: sets its code. */
void sim_writer_piece(struct sim_writer *writer, struct sink_piece *piece, bool sync);
/* What the receiver does when a piece came back that ends the file. */
void sim_writer_free(struct sim_writer *writer);
void sim_dir_piece(struct sim_disk *disk, struct sink_dir_piece *piece);
/* sim-keep.c: what is there of a file, and whether it is right. */
void sim_probe(const struct sim_place *place, unsigned flags, struct sink_probe *probe);
void sim_keep(struct sim_writer *writer, struct sink_keep *piece);

/* ---- between the two ---- */

/* The chunk counts from now on; false: it did already. */
bool sim_writer_count(struct sim_writer *writer, uint64_t index, uint64_t hash);
/* Opens what is there at path; -ENOENT. */
int sim_writer_resume(struct sim_writer *writer);
void sim_writer_note(struct sim_writer *writer, uint64_t index, uint64_t hash);

#endif
