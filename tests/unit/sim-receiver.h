/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of a connection that wants the files: carries out the orders of sinks, one transfer after the other. */
#ifndef XFER_TESTS_SIM_RECEIVER_H
#define XFER_TESTS_SIM_RECEIVER_H

#include "sim-end.h"
#include "sim-verify.h"
#include "sim-writer.h"

/* One thing that is fetched. It outlives connections, and is begun anew by the next one where it was not finished. */
struct sim_transfer {
	char remote[SIM_PATH_MAX]; /* at the source */
	char name[64];             /* at the destination: its path; "" = the root itself */
	char hidden[32];           /* what it writes to; of its own */
	unsigned flags;            /* SINK_FLAG_* that the user wants */
	bool resumes;              /* what was begun is kept for the next connection, and noted */
	struct sim_journal journal;
	unsigned flags_now; /* of the sink that is at work */
	bool reused;        /* something may have been there that was of use */
	bool same;          /* digests were compared, and all files were what they are at the source */
	uint64_t began;     /* when its last sink did */
	unsigned sinks;     /* that were made for it */
	bool left;          /* what was begun is left for another run */
	uint64_t received;  /* payload bytes, by all its sinks */
	bool over;          /* finished, well or not */
	bool clean;         /* nothing went wrong in its time */
	bool blind;         /* under no digest: damage is not seen */
	bool stood;         /* something of its name was there when it began */
	enum fault fault;   /* the result */
	struct sink_count count;
	struct error err;
};

struct sim_receiver {
	struct sim_end end;
	struct sim_disk *disk;
	struct sim_tree *tree; /* to compare with */
	struct sim_transfer *transfers;
	unsigned count, at;
	struct sink *sink;     /* NULL: none is begun */
	struct list spare;     /* jobs that came back */
	struct list checks;    /* ENTRIES and ENDS on their way to the sink, in order */
	struct list writers;   /* handles that the sink keeps */
	struct sim_event idle; /* when a limit of the rate lets something be asked for */
	unsigned jobs;         /* orders out */
	unsigned dir_jobs;     /* of them, of directories */
	unsigned keep_jobs;    /* of them, that look at what is there */
	uint64_t consumed, granted;
	uint64_t granted_out; /* as the frames said */
	uint64_t began;       /* when the first payload was granted */
	uint64_t received;    /* payload bytes */
	uint64_t held;        /* payload bytes in tokens that the sink keeps */
	struct sim_verify verify;
	bool aborted, over, killed;
	bool alone; /* the connection is gone, and nothing more is wanted of it */
};

enum { SIM_TOTALS_REQUEST = 0x7ffffff0 /* and one less for each transfer: beyond what a sink uses */ };

extern const struct sim_end_watch sim_receiver_watch;

void sim_receiver_make(struct sim_receiver *receiver, struct sim_disk *disk, struct sim_tree *tree,
                       struct sim_transfer *transfers, unsigned count);
/* The user gives up. */
void sim_receiver_cancel(struct sim_receiver *receiver);
/* The process is killed: nothing is tidied up. */
void sim_receiver_kill(struct sim_receiver *receiver);
/* Starts what can be started, asks for what can be asked. */
void sim_receiver_pump(struct sim_receiver *receiver);
/* sim-transfer.c: begins with the next that is not finished, or closes; the sink is finished. */
void sim_transfer_begin(struct sim_receiver *receiver);
void sim_transfer_finish(struct sim_receiver *receiver);
/* sim-orders.c: takes the orders that there are. */
void sim_orders_begin(struct sim_receiver *receiver);
/* The sink, or an order of it, is done with a buffer. */
void sim_token_drop(struct sim_receiver *receiver, struct sim_token *token);
bool sim_receiver_over(const struct sim_receiver *receiver);

#endif
