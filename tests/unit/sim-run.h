/* SPDX-License-Identifier: BSD-2-Clause */
/* A run of the simulator: everything that one seed stands for. */
#ifndef XFER_TESTS_SIM_RUN_H
#define XFER_TESTS_SIM_RUN_H

#include "sim.h"

/* What runs did, summed up: a simulator in which nothing happens finds nothing. */
struct sim_sum {
	uint64_t runs, events, connections, transfers, complete, failed, given_up;
	uint64_t chunks, repaired, files, dirs, links;
	uint64_t hits[STRIKES];
};

/* Ends the program where an invariant is broken. */
void sim_run(uint64_t seed, bool trace, struct sim_sum *sum);

#endif
