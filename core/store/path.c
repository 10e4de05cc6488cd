/* SPDX-License-Identifier: BSD-2-Clause */
/* The validator of names: the only way by which a peer's bytes become a path. */
#include "store/beneath.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* What is wrong with a component, or NULL. */
static const char *component_fault(const char *name, size_t len)
{
	if (len == 0)
		return "empty component";
	if (len > STORE_NAME_MAX)
		return "component longer than 255 bytes";
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return "component \".\" or \"..\"";
	return NULL;
}

static const char *path_fault(const char *path, size_t len)
{
	if (len > STORE_PATH_MAX)
		return "longer than 4095 bytes";
	if (memchr(path, '\0', len))
		return "NUL byte";
	if (len > 0 && path[0] == '/')
		return "absolute path";
	for (size_t at = 0; len > 0 && at <= len;) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t part = slash ? (size_t)(slash - (path + at)) : len - at;
		const char *fault = component_fault(path + at, part);
		if (fault)
			return fault;
		at += part + 1;
	}
	return NULL;
}

bool store_path_hidden(const char *path)
{
	for (const char *at = path; at != NULL; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, STORE_HIDDEN, sizeof(STORE_HIDDEN) - 1) == 0)
			return true;
	}
	return false;
}

static int refuse(const char *what, const char *name, size_t len, const char *fault, struct error *err)
{
	char shown[256];
	if (!err)
		return -EINVAL;
	return error_set(err, -EINVAL, FAULT_REFUSED, "%s \"%s\" refused: %s", what,
	                 text_printable(shown, sizeof(shown), name, len), fault);
}

int store_path_check(const char *path, size_t len, struct error *err)
{
	const char *fault = path_fault(path, len);
	return fault ? refuse("path", path, len, fault, err) : 0;
}

int store_name_check(const char *name, size_t len, struct error *err)
{
	const char *fault = component_fault(name, len);
	if (!fault && memchr(name, '\0', len))
		fault = "NUL byte";
	if (!fault && memchr(name, '/', len))
		fault = "'/' in a name";
	return fault ? refuse("name", name, len, fault, err) : 0;
}

int store_hidden_name(char out[STORE_HIDDEN_NAME_MAX])
{
	uint8_t random[8];
	ssize_t got;
	do
		got = getrandom(random, sizeof(random), 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(random))
		return got < 0 ? -errno : -EIO;
	memcpy(out, STORE_HIDDEN, sizeof(STORE_HIDDEN) - 1);
	text_hex(out + sizeof(STORE_HIDDEN) - 1, random, sizeof(random));
	return 0;
}
