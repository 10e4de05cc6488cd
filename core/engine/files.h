/* SPDX-License-Identifier: BSD-2-Clause */
/* How many files a process may have open: each session is a descriptor, and so is each file that is read or written. */
#ifndef XFER_ENGINE_FILES_H
#define XFER_ENGINE_FILES_H

#include <stddef.h>

/*
 * As many as the system lets us have, and where it lets us have any number, `want` at least: the usual soft limit is there
 * for programs that use select(2). Returns how many it is now; SIZE_MAX where that cannot be known.
 */
size_t files_raise(size_t want);

#endif
