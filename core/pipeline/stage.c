/* SPDX-License-Identifier: BSD-2-Clause */
/* What several stages need. */
#include "pipeline/stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum status stage_status(int code)
{
	switch (-code) {
	case 0: return STATUS_OK;
	case ENOENT:
	case ENOTDIR: return STATUS_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EXDEV:
	case ELOOP:
	case EINVAL: return STATUS_REFUSED;
	case ENOTSUP:
	case EISDIR: return STATUS_SPECIAL;
	case ESTALE: return STATUS_CHANGED;
	default: return STATUS_IO;
	}
}

const char *stage_text(int code, char *out, size_t size)
{
	const char *text = "";

	if (code == -EXDEV || code == -ELOOP)
		text = "the path leads out of its export, by a symbolic link";
	else if (code < 0)
		text = strerror(-code); /* per thread in the C libraries of today */
	snprintf(out, size, "%s", text);
	return out;
}

bool stage_digest_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	unsigned differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= (unsigned)(a[i] ^ b[i]);
	return differ == 0;
}
