/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration file for a test: written to a temporary place, gone with ini_file_drop(). */
#ifndef XFER_TESTS_INI_FILE_H
#define XFER_TESTS_INI_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ini_file {
	char path[64];
};

static inline void ini_file_write_bytes(struct ini_file *file, const void *bytes, size_t len)
{
	strcpy(file->path, "/tmp/xfer-ini-XXXXXX");
	int fd = mkstemp(file->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static inline void ini_file_write(struct ini_file *file, const char *text)
{
	ini_file_write_bytes(file, text, strlen(text));
}

static inline void ini_file_drop(struct ini_file *file)
{
	unlink(file->path);
}

/* The error's text is "PATH:LINE: " and what follows. */
static inline void assert_at_line(const char *text, const struct ini_file *file, unsigned line, const char *words)
{
	char place[96];
	snprintf(place, sizeof(place), "%s:%u: ", file->path, line);
	if (strncmp(text, place, strlen(place)) != 0 || strstr(text + strlen(place), words) == NULL)
		fail_msg("error text is '%s', wanted '%s' and '%s'", text, place, words);
}

#endif
