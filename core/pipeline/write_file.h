/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to this floor: the file behind write pieces. */
#ifndef XFER_PIPELINE_WRITE_FILE_H
#define XFER_PIPELINE_WRITE_FILE_H

#include "pipeline/tally.h"
#include "pipeline/write.h"

#include <pthread.h>

struct write_file {
	struct store_root *root;
	const struct suite *suite;
	struct tally *tally;
	uint64_t size;
	char *path;
	char *final; /* NULL: path is final */
	bool sync;
	bool no_replace;
	_Atomic int code;     /* the first error of the store; 0 while there is none */
	pthread_mutex_t lock; /* guards all that follows */
	int fd;               /* -1 while closed */
	bool created;         /* stands at path */
	bool published;
	uint64_t reach; /* the file on disk is so long, bytes */
};

/* Creates it where it was not yet, and lends its descriptor. An error stays with the file. */
int write_file_open(struct write_file *file, struct store_parent *near, int *fd);
/* The bytes up to `end` were written. */
void write_file_reached(struct write_file *file, uint64_t end);
int write_file_error(struct write_file *file, int code); /* keeps the first; returns what stays */
/* The last steps, for the file as it is checked; job: to tell that it is syncing. */
int write_file_publish(struct write_file *file, struct store_parent *near, struct job *job,
                       const struct store_meta *meta);
int write_file_abandon(struct write_file *file, struct store_parent *near);

#endif
