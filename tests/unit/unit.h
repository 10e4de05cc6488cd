/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test includes: cmocka wants these headers before it. */
#ifndef XFER_TESTS_UNIT_H
#define XFER_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The text holds the words. */
#define assert_contains(text, words) assert_non_null(strstr((text), (words)))

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
