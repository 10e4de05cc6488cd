/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An INI file, line by line.
 *
 * inih asks for lines through a reader and gives back keys through a handler, in lock step. So the reader knows the number of
 * the line that the handler sees, and can stop it all at the first mistake by playing the end of the file.
 */
#include "config/ini.h"
#include "config/names.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INI_NAME_MAX = 49 /* bytes; longer names of sections and keys are cut by inih without a word */
};

#define INI_SYNTAX "neither a [section] nor KEY = VALUE nor a comment"

struct ini_state {
	FILE *file;
	const char *path;
	unsigned line;         /* the one read last, counted from 1 */
	char *section;         /* of the heading read last; owned; NULL before the first */
	struct names sections; /* seen so far */
	struct names keys;     /* seen so far in this section */
	ini_take *take;
	void *context;
	struct error *err; /* may be NULL */
	int rc;            /* of the first mistake */
};

__attribute__((format(printf, 3, 4))) static int ini_fail(struct ini_state *ini, int code, const char *format, ...)
{
	if (ini->rc != 0)
		return ini->rc;
	ini->rc = code;
	va_list args;
	va_start(args, format);
	error_setv(ini->err, code, FAULT_USAGE, format, args);
	va_end(args);
	error_prefix(ini->err, "%s:%u", ini->path, ini->line);
	return code;
}

static void ini_hand_over(struct ini_state *ini, const char *key, const char *value)
{
	struct ini_line line = {
		.file = ini->path, .line = ini->line, .section = ini->section, .key = key, .value = value
	};
	int rc = ini->take(ini->context, &line, ini->err);
	if (rc < 0) {
		ini->rc = rc;
		error_prefix(ini->err, "%s:%u", ini->path, ini->line);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* `text` starts with "[". */
static void ini_heading(struct ini_state *ini, const char *text)
{
	const char *end = strchr(text, ']');
	if (end == NULL) {
		ini_fail(ini, -EINVAL, "a heading without ']'");
		return;
	}
	size_t len = (size_t)(end - text) - 1;
	const char *rest = end + 1;
	while (is_blank(*rest))
		rest++;
	if (*rest != '\0' && *rest != ';' && *rest != '#') {
		ini_fail(ini, -EINVAL, "'%s' behind a heading", rest);
		return;
	}
	if (len > INI_NAME_MAX) {
		ini_fail(ini, -EINVAL, "the name of the section is longer than %d bytes", INI_NAME_MAX);
		return;
	}

	char *section = strndup(text + 1, len);
	int rc = section == NULL ? -ENOMEM : names_add(&ini->sections, section);
	if (rc == -EEXIST)
		ini_fail(ini, rc, "the section [%s] is there twice", section);
	else if (rc < 0)
		ini_fail(ini, rc, "out of memory");
	if (rc < 0) {
		free(section);
		return;
	}
	free(ini->section);
	ini->section = section;
	names_free(&ini->keys);
	ini_hand_over(ini, NULL, NULL);
}

/* Reads one line of less than `size` bytes without its end; 0 = no more. */
static int ini_getline(struct ini_state *ini, char *text, size_t size)
{
	size_t len = 0;
	int c;

	ini->line++;
	while ((c = getc_unlocked(ini->file)) != EOF && c != '\n') {
		if (c == '\0')
			return ini_fail(ini, -EINVAL, "a NUL byte");
		if (len + 1 >= size)
			return ini_fail(ini, -EINVAL, "the line is longer than %zu bytes", size - 1);
		text[len++] = (char)c;
	}
	text[len] = '\0';
	if (c == EOF && ferror(ini->file))
		return ini_fail(ini, -errno, "%s", strerror(errno));
	return c != EOF || len > 0;
}

static char *ini_reader_next(char *text, int size, void *stream)
{
	struct ini_state *ini = stream;
	/* inih wants room for "\r\n" and NUL. */
	if (ini->rc != 0 || ini_getline(ini, text, (size_t)size - 2) <= 0)
		return NULL;

	char *start = text;
	if (ini->line == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3; /* the byte order mark of some editors */
	while (is_blank(*start))
		start++;
	/* To inih a line with blanks in front continues the one before. Here it does not matter how a line is indented. */
	memmove(text, start, strlen(start) + 1);
	if (*text == '[')
		ini_heading(ini, text);
	else if (*text != '\0' && *text != ';' && *text != '#' && strpbrk(text, "=:") == NULL)
		ini_fail(ini, -EINVAL, INI_SYNTAX);
	return ini->rc == 0 ? text : NULL;
}

static int ini_check_key(struct ini_state *ini, const char *key)
{
	/* inih keeps what it has room for: a name of this length may have been cut, and no key of ours is so long. */
	if (strlen(key) >= INI_NAME_MAX)
		return ini_fail(ini, -EINVAL, "the key '%s' is too long", key);
	if (ini->section == NULL)
		return ini_fail(ini, -EINVAL, "the key '%s' stands before the first [section]", key);
	int rc = names_add(&ini->keys, key);
	if (rc == -EEXIST)
		return ini_fail(ini, rc, "the key '%s' is there twice in [%s]", key, ini->section);
	return rc < 0 ? ini_fail(ini, rc, "out of memory") : 0;
}

static int ini_key(void *context, const char *section, const char *key, const char *value)
{
	struct ini_state *ini = context;
	(void)section; /* the reader knows it whole */
	if (ini->rc == 0 && ini_check_key(ini, key) == 0)
		ini_hand_over(ini, key, value);
	return ini->rc == 0;
}

int ini_read(const char *path, ini_take *take, void *context, struct error *err)
{
	struct ini_state ini = { .path = path, .take = take, .context = context, .err = err };
	ini.file = fopen(path, "re");
	if (ini.file == NULL)
		return error_system(err, -errno, FAULT_USAGE, "%s", path);

	int line = ini_parse_stream(ini_reader_next, &ini, ini_key, &ini);
	if (line != 0 && ini.rc == 0) {
		ini.line = line > 0 ? (unsigned)line : ini.line;
		if (line > 0)
			ini_fail(&ini, -EINVAL, INI_SYNTAX);
		else
			ini_fail(&ini, -ENOMEM, "out of memory");
	}
	fclose(ini.file);
	free(ini.section);
	names_free(&ini.sections);
	names_free(&ini.keys);
	return ini.rc;
}
