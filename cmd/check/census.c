/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts what this process has, to find what was left behind. */
#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>

enum { LEAK_BYTES = 12 }; /* a round, on average: less than the smallest block, more than caches that fill up */

/* The sanitizers bring an allocator of their own, of which mallinfo2() knows nothing. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t census_heap(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* Entries of a folder of /proc, without those of the looking itself. */
static unsigned entries(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);
	if (dir == NULL)
		return 0;
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

unsigned census_descriptors(void)
{
	unsigned count = entries("/proc/self/fd");
	return count > 0 ? count - 1 : 0;
}

unsigned census_threads(void)
{
	return entries("/proc/self/task");
}

void census_take(struct census *census)
{
	census->descriptors = census_descriptors();
	census->threads = census_threads();
	census->heap = census_heap();
}

const char *census_growth(const struct census *before, unsigned rounds, char text[128])
{
	struct census now;
	census_take(&now);
	if (now.descriptors > before->descriptors)
		snprintf(text, 128, "%u descriptors more after %u rounds", now.descriptors - before->descriptors,
		         rounds);
	else if (now.threads > before->threads)
		snprintf(text, 128, "%u threads more after %u rounds", now.threads - before->threads, rounds);
	else if (now.heap > before->heap && now.heap - before->heap > (size_t)rounds * LEAK_BYTES)
		snprintf(text, 128, "%zu bytes of the heap more after %u rounds", now.heap - before->heap, rounds);
	else
		return NULL;
	return text;
}
