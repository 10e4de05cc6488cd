/* SPDX-License-Identifier: BSD-2-Clause */
/* What dlopen(3) does not find out by itself, or dies of: a shared object that is cut short, or another machine's. */
#ifndef XFER_REGISTRY_OBJECT_H
#define XFER_REGISTRY_OBJECT_H

#include "base/error.h"

/*
 * 0 for a file that can be mapped, and for one that is no shared object of this class at all, of which dlopen() says so.
 * -ENOEXEC, FAULT_USAGE with the path. Regular files only: others are not opened.
 */
int object_check(const char *path, struct error *err);

#endif
