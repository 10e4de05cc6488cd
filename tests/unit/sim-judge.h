/* SPDX-License-Identifier: BSD-2-Clause */
/* What there has to be on the disk when a run is over, and how transfers have to have ended. */
#ifndef XFER_TESTS_SIM_JUDGE_H
#define XFER_TESTS_SIM_JUDGE_H

#include "sim-receiver.h"

/* Whether all files of the node stand there. */
bool sim_judge_same(struct sim *sim, const struct sim_disk *disk, const struct sim_node *node,
                    const struct sim_name *name);
/* sim-fill.c: an older copy of the node at `path`; alike: what differs may have the same size and time. */
void sim_fill(struct sim *sim, struct sim_disk *disk, struct sim_node *node, const char *path, bool alike);
void sim_judge(struct sim *sim, const struct sim_tree *tree, const struct sim_disk *disk,
               const struct sim_transfer *transfers, unsigned count, bool killed);

#endif
