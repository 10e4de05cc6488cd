/* SPDX-License-Identifier: BSD-2-Clause */
/* An error with its text. */
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Ends a text of which only `size` bytes were kept with "...", never in the middle of a UTF-8 sequence. */
static void error_cut(char *text, size_t size)
{
	size_t end = size - sizeof("...");
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, "...", sizeof("..."));
}

/* A text goes to a terminal and into a log of lines: whatever a caller let through must not act there. */
static void error_tame(char *text)
{
	size_t left = strlen(text);
	while (left > 0) {
		size_t step = text_utf8_step(text, left);
		if (step == 0) {
			*text = *text == '\n' || *text == '\t' ? ' ' : '?';
			step = 1;
		}
		text += step;
		left -= step;
	}
}

int error_setv(struct error *err, int code, enum fault fault, const char *format, va_list args)
{
	if (err == NULL)
		return code;
	char text[ERROR_TEXT_MAX]; /* the arguments may point into err->text */
	int len = vsnprintf(text, sizeof(text), format, args);
	if (len < 0)
		snprintf(text, sizeof(text), "%s", format);
	else if ((size_t)len >= sizeof(text))
		error_cut(text, sizeof(text));
	error_tame(text);
	err->code = code;
	err->fault = fault;
	memcpy(err->text, text, sizeof(text));
	return code;
}

int error_set(struct error *err, int code, enum fault fault, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_setv(err, code, fault, format, args);
	va_end(args);
	return code;
}

int error_system(struct error *err, int code, enum fault fault, const char *format, ...)
{
	if (err == NULL)
		return code;
	va_list args;
	va_start(args, format);
	error_setv(err, code, fault, format, args);
	va_end(args);

	char reason[128];
	const char *text = strerror_r(-code, reason, sizeof(reason));
	size_t room = sizeof(err->text) - strlen(err->text);
	if ((size_t)snprintf(err->text + sizeof(err->text) - room, room, ": %s", text) >= room)
		error_cut(err->text, sizeof(err->text));
	return code;
}

void error_prefix(struct error *err, const char *format, ...)
{
	if (err == NULL || err->code == 0)
		return;
	struct error prefix;
	va_list args;
	va_start(args, format);
	error_setv(&prefix, err->code, err->fault, format, args);
	va_end(args);
	error_set(err, err->code, err->fault, "%s: %s", prefix.text, err->text);
}

void error_append(struct error *err, const char *hint)
{
	if (err == NULL || err->code == 0)
		return;
	size_t len = strlen(err->text);
	if ((size_t)snprintf(err->text + len, sizeof(err->text) - len, "%s", hint) >= sizeof(err->text) - len)
		error_cut(err->text, sizeof(err->text));
}

void error_clear(struct error *err)
{
	if (err == NULL)
		return;
	err->code = 0;
	err->fault = FAULT_NONE;
	err->text[0] = '\0';
}
