/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer keygen [NAME]: makes a pre-shared key in a file of its own, and says what to do with it. */
#include "json.h"
#include "verb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
	KEY_BYTES = 32,
	NAME_MAX_BYTES = 128, /* what the transport takes */
	LINE_MAX_BYTES = NAME_MAX_BYTES + 2 * KEY_BYTES + 3
};

static const char NAME_BYTES[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-";

/* The name of this machine, as far as it can be a key's. */
static void name_default(char out[NAME_MAX_BYTES + 1])
{
	struct utsname names;

	snprintf(out, NAME_MAX_BYTES + 1, "%s", uname(&names) == 0 ? names.nodename : "");
	out[strspn(out, NAME_BYTES)] = '\0';
	if (out[0] == '\0')
		snprintf(out, NAME_MAX_BYTES + 1, "xfer");
}

static int key_line(char out[LINE_MAX_BYTES], const char *name, struct error *err)
{
	uint8_t key[KEY_BYTES];
	int at = snprintf(out, LINE_MAX_BYTES, "%s:", name);

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return error_system(err, -EIO, FAULT_LOCAL, "no random bytes for a key");
	for (size_t i = 0; i < sizeof(key); i++)
		at += snprintf(out + at, (size_t)(LINE_MAX_BYTES - at), "%02x", key[i]);
	snprintf(out + at, (size_t)(LINE_MAX_BYTES - at), "\n");
	explicit_bzero(key, sizeof(key));
	return 0;
}

static int line_write(int fd, const char *line)
{
	size_t len = strlen(line), done = 0;

	while (done < len) {
		ssize_t n = write(fd, line + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Only in a file that this call makes, readable by its owner alone from its first moment on. */
static int file_write(const char *path, const char *line, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return error_set(err, -EEXIST, FAULT_LOCAL,
		                 "\"%s\" is there already, and a key is never overwritten; -o names another file",
		                 path);
	if (fd < 0)
		return error_system(err, -errno, FAULT_LOCAL, "cannot make \"%s\"", path);
	/* A umask may have taken even the owner's rights. */
	int code = fchmod(fd, 0600) < 0 ? -errno : 0;
	if (code == 0)
		code = line_write(fd, line);
	if (code == 0 && fsync(fd) < 0 && errno != EINVAL)
		code = -errno;
	if (close(fd) < 0 && code == 0)
		code = -errno;
	if (code == 0)
		return 0;
	unlink(path);
	return error_system(err, code, FAULT_LOCAL, "cannot write \"%s\"", path);
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

/* The file's absolute path, which the configuration wants. The caller's; NULL: no memory. */
static char *absolute(const char *path)
{
	char *whole = realpath(path, NULL);

	return whole != NULL ? whole : strdup(path);
}

static void print_advice(const char *name, const char *path)
{
	printf("%s: a key of %d bits for '%s'. Whoever has this file is '%s', so keep it secret.\n\n", path,
	       8 * KEY_BYTES, name, name);
	printf("The daemon's xfer.ini, with its line in a file that only the daemon can read:\n\n"
	       "  [daemon]\n"
	       "  listen = tls://0.0.0.0:15010\n\n"
	       "  [transport.tls]\n"
	       "  key-file = %s\n\n"
	       "  [export.NAME]\n"
	       "  allow = %s\n\n",
	       path, name);
	printf("The client's, with a copy of the file, of mode 0600 too (scp -p brings it there):\n\n"
	       "  [pipeline]\n"
	       "  transport = tls\n\n"
	       "  [transport.tls]\n"
	       "  key-file = %s\n\n"
	       "Then: xfer get xfer://HOST/NAME/PATH .\n",
	       path);
}

static void print_json(const char *name, const char *path)
{
	struct json json;

	json_begin(&json, stdout, "key");
	json_text(&json, "name", name);
	json_name(&json, "file", path, strlen(path));
	json_number(&json, "bits", 8 * KEY_BYTES);
	json_end(&json);
}

static int key_print(const struct verb_context *context, const char *name, const char *file, struct error *err)
{
	char *path = absolute(file);

	if (path == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	console_ready(context->console);
	if (context->args->json)
		print_json(name, path);
	else if (!context->args->quiet)
		print_advice(name, path);
	free(path);
	return 0;
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static int keygen(const struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	char name[NAME_MAX_BYTES + 1], line[LINE_MAX_BYTES], file[sizeof(name) + 8];

	name_default(name);
	if (args->operand_count > 0) {
		const char *wanted = args->operands[0];
		if (wanted[strspn(wanted, NAME_BYTES)] != '\0' || strlen(wanted) > NAME_MAX_BYTES)
			return error_set(err, -EINVAL, FAULT_USAGE,
			                 "a name is at most %d letters, digits or any of . _ @ + -", NAME_MAX_BYTES);
		snprintf(name, sizeof(name), "%s", wanted);
	}
	int code = key_line(line, name, err);
	if (code < 0)
		return code;
	snprintf(file, sizeof(file), "%s.key", name);
	const char *path = args->output != NULL ? args->output : file;
	if (strcmp(path, "-") == 0) {
		fputs(line, stdout); /* to be appended to a file of several */
	} else {
		code = file_write(path, line, err);
		if (code == 0)
			code = key_print(context, name, path, err);
	}
	explicit_bzero(line, sizeof(line));
	return code;
}

int verb_keygen(struct verb_context *context, struct error *err)
{
	int code = keygen(context, err);

	if (code < 0)
		error_prefix(err, "keygen");
	return code;
}
