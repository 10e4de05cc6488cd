/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzz target: what libFuzzer calls, and seeds to start from. With --enable-fuzzing it is linked with libFuzzer;
 * else with main.c, which runs seeds and damaged seeds as an ordinary test.
 */
#ifndef XFER_TESTS_FUZZ_H
#define XFER_TESTS_FUZZ_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Always 0. What must not be ends in abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

extern const char fuzz_name[];
/* Appends seed `i`: 1, 0 = there are no more, -errno. */
int fuzz_seed(size_t i, struct buf *out);

#endif
