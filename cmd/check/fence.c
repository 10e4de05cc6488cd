/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory between two pages that nobody may touch. */
#include "fence.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int fence_make(struct fence *fence, size_t size)
{
	size_t page = page_size();
	size = (size + page - 1) / page * page;
	uint8_t *all = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return -errno;
	if (mprotect(all + page, size, PROT_READ | PROT_WRITE) < 0) {
		int rc = -errno;
		munmap(all, size + 2 * page);
		return rc;
	}
	fence->bytes = all + page;
	fence->size = size;
	return 0;
}

void fence_free(struct fence *fence)
{
	size_t page = page_size();
	if (fence->bytes != NULL)
		munmap(fence->bytes - page, fence->size + 2 * page);
	fence->bytes = NULL;
}

uint8_t *fence_end(const struct fence *fence, size_t len)
{
	return fence->bytes + fence->size - len;
}

void fence_lock(const struct fence *fence, bool locked)
{
	(void)mprotect(fence->bytes, fence->size, locked ? PROT_READ : PROT_READ | PROT_WRITE);
}
