/* SPDX-License-Identifier: BSD-2-Clause */
/* What there has to be on the disk when a run is over, and how transfers have to have ended. */
#ifndef XFER_TESTS_SIM_JUDGE_H
#define XFER_TESTS_SIM_JUDGE_H

#include "sim-receiver.h"

void sim_judge(struct sim *sim, const struct sim_tree *tree, const struct sim_disk *disk,
               const struct sim_transfer *transfers, unsigned count, bool killed);

#endif
