/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/files.h"

#include <stdint.h>
#include <sys/resource.h>

size_t files_raise(size_t want)
{
	struct rlimit limit, more;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SIZE_MAX;
	more = limit;
	if (more.rlim_max < want)
		more.rlim_max = want; /* root may */
	more.rlim_cur = more.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return more.rlim_cur;
	more = (struct rlimit){ limit.rlim_max, limit.rlim_max };
	return setrlimit(RLIMIT_NOFILE, &more) == 0 ? more.rlim_cur : limit.rlim_cur;
}
