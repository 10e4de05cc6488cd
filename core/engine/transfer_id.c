/* SPDX-License-Identifier: BSD-2-Clause */
/* The id of a transfer, and the number of this installation that is in it. */
#include "engine/transfer_id.h"

#include "base/text.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { HASH_SIZE = 32, LINE = 2 * TRANSFER_ID + 1 /* hex digits and a newline */ };

/* ---- hashing ---- */

/* The front of SHA-256 over texts, each with its NUL, and over `number` in front of them. */
static int hash_texts(uint8_t out[TRANSFER_ID], const uint8_t number[TRANSFER_ID], const char *const texts[],
                      size_t count)
{
	uint8_t hash[HASH_SIZE];
	unsigned size = 0;
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool right = sha256 && context && EVP_DigestInit_ex2(context, sha256, NULL) == 1 &&
	             EVP_DigestUpdate(context, number, TRANSFER_ID) == 1;
	for (size_t i = 0; right && i < count; i++)
		right = EVP_DigestUpdate(context, texts[i], strlen(texts[i]) + 1) == 1;
	right = right && EVP_DigestFinal_ex(context, hash, &size) == 1 && size == HASH_SIZE;
	EVP_MD_CTX_free(context);
	EVP_MD_free(sha256);
	if (!right)
		return -EIO;
	memcpy(out, hash, TRANSFER_ID);
	return 0;
}

/* ---- the installation's number ---- */

/* 0, or -errno; -EBADMSG: there is a file, and something else in it. */
static int read_number(const char *path, uint8_t out[TRANSFER_ID])
{
	char line[LINE + 1];
	uint8_t number[TRANSFER_ID];
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = store_read(fd, line, sizeof(line), 0);
	close(fd);
	if (got != LINE)
		return got < 0 ? (int)got : -EBADMSG;
	for (size_t i = 0; i < TRANSFER_ID; i++) {
		unsigned value;
		if (strspn(line + 2 * i, "0123456789abcdef") < 2 || sscanf(line + 2 * i, "%2x", &value) != 1)
			return -EBADMSG;
		number[i] = (uint8_t)value;
	}
	if (line[LINE - 1] != '\n')
		return -EBADMSG;
	memcpy(out, number, sizeof(number));
	return 0;
}

static int random_line(char line[LINE + 1])
{
	uint8_t number[TRANSFER_ID];
	ssize_t got;
	do
		got = getrandom(number, sizeof(number), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(number))
		return got < 0 ? -errno : -EIO;
	text_hex(line, number, sizeof(number));
	line[LINE - 1] = '\n';
	line[LINE] = '\0';
	return 0;
}

/* Writes a new number beside and puts it in its place whole. Unless `replace`, one that is there meanwhile stays. */
static int write_number(const char *path, bool replace)
{
	char beside[PATH_MAX + 16];
	char line[LINE + 1];
	int code = random_line(line);
	if (code < 0)
		return code;
	snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	struct iovec iov = { .iov_base = line, .iov_len = LINE };
	code = store_writev(fd, &iov, 1, 0);
	if (code == 0)
		code = store_sync_fd(fd);
	close(fd);
	if (code == 0 && replace)
		code = rename(beside, path) < 0 ? -errno : 0;
	else if (code == 0)
		code = link(beside, path) < 0 && errno != EEXIST ? -errno : 0;
	if (code < 0 && !replace) /* a file system without hard links */
		code = renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) < 0 && errno != EEXIST ? -errno
		                                                                                            : 0;
	(void)unlink(beside);
	return code;
}

/* Makes the folders in which `path` lies, those that are missing. */
static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int code = mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES ? -errno : 0;
		*slash = '/';
		if (code < 0)
			return code;
	}
	return 0;
}

static int installation_path(char out[PATH_MAX])
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len = -1;
	if (state && *state == '/')
		len = snprintf(out, PATH_MAX, "%s/xfer/installation", state);
	else if (home && *home == '/')
		len = snprintf(out, PATH_MAX, "%s/.local/state/xfer/installation", home);
	return len < 0 ? -ENOENT : len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int kept_number(uint8_t out[TRANSFER_ID])
{
	char path[PATH_MAX];
	int code = installation_path(path);
	if (code < 0)
		return code;
	code = read_number(path, out);
	if (code != -ENOENT && code != -EBADMSG)
		return code;
	bool replace = code == -EBADMSG;
	code = make_folders(path);
	if (code == 0)
		code = write_number(path, replace);
	/* Another process may have been quicker: what stands there now is the number. */
	return code < 0 ? code : read_number(path, out);
}

/* Always the same for one user of one machine. */
static int number_of_host(uint8_t out[TRANSFER_ID])
{
	static const uint8_t none[TRANSFER_ID];
	char host[HOST_NAME_MAX + 1] = "", user[24];
	const char *const texts[] = { "xfer installation", host, user };
	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	snprintf(user, sizeof(user), "%lu", (unsigned long)geteuid());
	return hash_texts(out, none, texts, sizeof(texts) / sizeof(texts[0]));
}

/* ---- ids ---- */

int transfer_id_make(uint8_t out[TRANSFER_ID], const char *source, const char *destination)
{
	const char *const texts[] = { "xfer transfer", source, destination };
	uint8_t number[TRANSFER_ID];
	int code = kept_number(number);
	if (code < 0)
		code = number_of_host(number);
	return code < 0 ? code : hash_texts(out, number, texts, sizeof(texts) / sizeof(texts[0]));
}

char *transfer_id_name(char out[TRANSFER_ID_NAME_MAX], const uint8_t id[TRANSFER_ID])
{
	_Static_assert(sizeof(STORE_HIDDEN) + TRANSFER_ID <= TRANSFER_ID_NAME_MAX, "a name has room");
	memcpy(out, STORE_HIDDEN, sizeof(STORE_HIDDEN) - 1);
	text_hex(out + sizeof(STORE_HIDDEN) - 1, id, TRANSFER_ID / 2);
	return out;
}
