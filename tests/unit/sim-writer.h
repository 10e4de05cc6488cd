/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind the pieces of a sink's orders, and what the disk makes of each piece. */
#ifndef XFER_TESTS_SIM_WRITER_H
#define XFER_TESTS_SIM_WRITER_H

#include "session/sink.h"
#include "sim-disk.h"

/* A frame in memory: what a lent buffer is in the program. */
struct sim_token {
	unsigned refs;
	uint32_t len; /* bytes of payload */
	uint8_t bytes[];
};

/* What a sink keeps as a file's handle. */
struct sim_writer {
	struct list link; /* in the receiver's list of them */
	struct sim_disk *disk;
	struct sim_node *node; /* what it is to be a copy of; NULL: nobody knows */
	const char *path, *final;
	uint32_t digest_size;
	struct sim_name *name; /* NULL: not made yet */
	struct sim_content content;
	bool published, over;
	bool broken;  /* what is in it may be anything: damage that no digest can show */
	int code;     /* the first failure; stays */
	unsigned out; /* pieces of it under way */
	bool alone;   /* one of them has to be the only one */
};

/* A new one for `file`. */
struct sim_writer *sim_writer_make(struct sim_disk *disk, struct sim_node *node, const struct sink_file *file,
                                   uint32_t chunk_size, uint32_t digest_size);
/* Carries out a piece: sets its code. */
void sim_writer_piece(struct sim_writer *writer, struct sink_piece *piece, bool sync);
/* What the receiver does when a piece came back that ends the file. */
void sim_writer_free(struct sim_writer *writer);
void sim_dir_piece(struct sim_disk *disk, struct sink_dir_piece *piece);
/* Whether a complete file is the version. */
bool sim_content_is(struct sim *sim, const struct sim_content *content, struct sim_version *version);

#endif
