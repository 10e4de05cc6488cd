/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic on numbers that came from elsewhere: true = it overflowed and *out is not set. */
#ifndef XFER_BASE_CHECKED_H
#define XFER_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline __attribute__((warn_unused_result)) bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return true;
	*out = sum;
	return false;
}

static inline __attribute__((warn_unused_result)) bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t product;
	if (__builtin_mul_overflow(a, b, &product))
		return true;
	*out = product;
	return false;
}

#endif
