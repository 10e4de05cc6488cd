/* SPDX-License-Identifier: BSD-2-Clause */
#include "alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	bool armed, paused;
	uint64_t count; /* allocations since alloc_fail() */
	uint64_t first, behind;
	uint64_t refused;
	long live;
} alloc;

void alloc_fail(uint64_t first, uint64_t count)
{
	alloc.armed = true;
	alloc.paused = false;
	alloc.count = 0;
	alloc.refused = 0;
	alloc.first = first;
	alloc.behind = first + count;
}

uint64_t alloc_stop(uint64_t *failed)
{
	alloc.armed = false;
	if (failed != NULL)
		*failed = alloc.refused;
	return alloc.count;
}

void alloc_pause(bool pause)
{
	alloc.paused = pause;
}

long alloc_live(void)
{
	return alloc.live;
}

static bool refused(void)
{
	if (!alloc.armed || alloc.paused)
		return false;
	alloc.count++;
	if (alloc.count < alloc.first || alloc.count >= alloc.behind)
		return false;
	alloc.refused++;
	errno = ENOMEM;
	return true;
}

static void *counted(void *memory)
{
	alloc.live += memory != NULL;
	return memory;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
int __wrap_asprintf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
	return refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
	void *moved = refused() ? NULL : __real_realloc(memory, size);

	return memory == NULL ? counted(moved) : moved;
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
	void *moved = refused() ? NULL : __real_reallocarray(memory, count, size);

	return memory == NULL ? counted(moved) : moved;
}

char *__wrap_strdup(const char *text)
{
	return refused() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t len)
{
	return refused() ? NULL : counted(__real_strndup(text, len));
}

__attribute__((format(printf, 2, 0))) static int print(char **out, const char *format, va_list args)
{
	int n = refused() ? -1 : vasprintf(out, format, args);

	alloc.live += n >= 0;
	return n;
}

int __wrap_asprintf(char **out, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = print(out, format, args);
	va_end(args);
	return n;
}

int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list args;
	int n;

	(void)flag;
	va_start(args, format);
	n = print(out, format, args);
	va_end(args);
	return n;
}

void __wrap_free(void *memory)
{
	alloc.live -= memory != NULL;
	__real_free(memory);
}
