/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether root may run what is in a file: nobody else could have put it there. */
#ifndef XFER_REGISTRY_TRUST_H
#define XFER_REGISTRY_TRUST_H

#include "base/error.h"

/*
 * The file behind `path` (without symbolic links) is a regular one. As root also: it and its folder belong to root and
 * only root may write them. -EACCES and the like, FAULT_USAGE.
 */
int trust_file(const char *path, struct error *err);

#endif
