/* SPDX-License-Identifier: BSD-2-Clause */
/* What all checks use: results, numbers that look random, instances. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum kit_outcome tell(struct kit *kit, enum kit_outcome outcome, const char *format, va_list args)
	XFER_PRINTF(3, 0);

static enum kit_outcome tell(struct kit *kit, enum kit_outcome outcome, const char *format, va_list args)
{
	struct kit_report *report = kit->report;
	if (report->outcome != KIT_FAILED) {
		vsnprintf(report->seen, sizeof(report->seen), format, args);
		report->outcome = outcome;
	}
	return outcome;
}

enum kit_outcome kit_ok(struct kit *kit, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(kit, KIT_OK, format, args);
	va_end(args);
	return KIT_OK;
}

enum kit_outcome kit_failed(struct kit *kit, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(kit, KIT_FAILED, format, args);
	va_end(args);
	return KIT_FAILED;
}

enum kit_outcome kit_skipped(struct kit *kit, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	tell(kit, KIT_SKIPPED, format, args);
	va_end(args);
	return KIT_SKIPPED;
}

const char *kit_errno(char text[32], int64_t rc)
{
	const char *name = rc < 0 && rc > -4096 ? strerrorname_np((int)-rc) : NULL;
	if (name != NULL)
		snprintf(text, 32, "-%s", name);
	else
		snprintf(text, 32, "%lld", (long long)rc);
	return text;
}

enum kit_outcome kit_returned(struct kit *kit, const char *call, int64_t rc, const char *where, ...)
{
	char name[32], place[160];
	const char *said = plugin_error_said(kit->plugin);
	va_list args;
	va_start(args, where);
	vsnprintf(place, sizeof(place), where, args);
	va_end(args);
	return kit_failed(kit, "%s returned %s%s%s%s%s%s", call, kit_errno(name, rc), said != NULL ? " (" : "",
	                  said != NULL ? said : "", said != NULL ? ")" : "", place[0] != '\0' ? " " : "", place);
}

/* splitmix64 */
uint64_t kit_random(struct kit *kit)
{
	uint64_t z = kit->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t kit_below(struct kit *kit, uint64_t bound)
{
	return kit_random(kit) % bound;
}

int kit_sample(struct kit *kit, void *instance, uint8_t digest[XFER_DIGEST_MAX])
{
	uint8_t bytes[KIT_SAMPLE];
	struct kit same = { .random = 77 };
	kit_fill(&same, bytes, sizeof(bytes));
	return KIT_CALL(kit, integrity, digest, instance, bytes, sizeof(bytes), digest, 0);
}

void kit_fill(struct kit *kit, void *bytes, size_t len)
{
	uint8_t *at = bytes;
	while (len > 0) {
		uint64_t word = kit_random(kit);
		size_t part = len < sizeof(word) ? len : sizeof(word);
		memcpy(at, &word, part);
		at += part;
		len -= part;
	}
}

int kit_create(struct kit *kit, const union xfer_value *values, void **out)
{
	struct xfer_params params = {
		.struct_size = sizeof(params),
		.count = kit->plugin->about.option_count,
		.values = values,
	};
	void *instance = NULL;
	int rc = KIT_CALL(kit, about, create, &kit->plugin->host, &params, &instance);
	if (rc == 0 && instance == NULL)
		return -EPROTO;
	if (rc == 0)
		*out = instance;
	return rc;
}
