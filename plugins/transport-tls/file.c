/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: files with secrets in them. */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 }; /* bytes */

static int tls_file_check(const struct tls *tls, const char *what, const char *path, unsigned forbidden,
                          const struct stat *st)
{
	const struct xfer_host *host = tls->host;
	unsigned mode = (unsigned)st->st_mode & 07777u;

	if (!S_ISREG(st->st_mode)) {
		host->error(host, "%s %s: not a regular file", what, path);
		return -EINVAL;
	}
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		host->error(host, "%s %s: it belongs to user %u, who could change it; chown it to user %u", what, path,
		            (unsigned)st->st_uid, (unsigned)geteuid());
		return -EINVAL;
	}
	if ((mode & forbidden) != 0) {
		host->error(host, "%s %s: others may read or write it (mode %04o); chmod %s it", what, path, mode,
		            forbidden == 077u ? "600" : "o-rwx,g-w");
		return -EINVAL;
	}
	if (st->st_size > FILE_MAX) {
		host->error(host, "%s %s: longer than %d bytes", what, path, FILE_MAX);
		return -EINVAL;
	}
	return 0;
}

void tls_file_free(char *bytes, size_t len)
{
	OPENSSL_cleanse(bytes, len);
	free(bytes);
}

static int tls_file_fill(int fd, size_t size, char **out, size_t *len)
{
	char *bytes = malloc(size + 1);
	size_t have = 0;
	int rc = 0;

	if (bytes == NULL)
		return -ENOMEM;
	while (have < size) {
		ssize_t got = read(fd, bytes + have, size - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = -errno;
		if (got <= 0)
			break;
		have += (size_t)got;
	}
	if (rc < 0) {
		tls_file_free(bytes, have);
		return rc;
	}
	bytes[have] = '\0';
	*out = bytes;
	*len = have;
	return 0;
}

int tls_file_read(const struct tls *tls, const char *what, const char *path, unsigned forbidden, char **out,
                  size_t *len)
{
	struct stat st;
	/* Whatever it is: opening it must not block. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (rc == 0) {
		rc = tls_file_check(tls, what, path, forbidden, &st);
		if (rc == 0)
			rc = tls_file_fill(fd, (size_t)st.st_size, out, len);
	} else {
		tls->host->error(tls->host, "%s %s: %s", what, path, strerror(-rc));
		rc = -EINVAL;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}
