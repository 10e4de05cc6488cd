/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/negotiate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void name_copy(char out[MESSAGE_NAME_MAX + 1], const char *name)
{
	snprintf(out, MESSAGE_NAME_MAX + 1, "%s", name);
}

int negotiate_hello(const struct offer *ours, struct message_hello *out, struct error *err)
{
	struct message_hello hello = {
		.version_min = MESSAGE_VERSION,
		.version_max = MESSAGE_VERSION,
		.chunk_size = ours->chunk_size,
		.integrity_count = ours->integrity_count,
	};

	if (ours->integrity_count == 0 || ours->integrity_count > MESSAGE_INTEGRITIES_MAX)
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "between 1 and %d integrity plug-ins can be offered, not %zu", MESSAGE_INTEGRITIES_MAX,
		                 ours->integrity_count);
	for (size_t i = 0; i < ours->integrity_count; i++)
		name_copy(hello.integrity[i], ours->integrity[i]);
	name_copy(hello.liveness, ours->liveness);
	memcpy(hello.boot_id, ours->boot_id, sizeof(hello.boot_id));
	*out = hello;
	return 0;
}

static const char *common_integrity(const struct offer *ours, const struct message_hello *hello)
{
	for (size_t theirs = 0; theirs < hello->integrity_count; theirs++) {
		for (size_t i = 0; i < ours->integrity_count; i++) {
			if (strcmp(hello->integrity[theirs], ours->integrity[i]) == 0)
				return ours->integrity[i];
		}
	}
	return NULL;
}

static void names_join(char *out, size_t size, const char *const *names, size_t count)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count && len < size; i++) {
		int n = snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "", names[i]);
		len += n > 0 ? (size_t)n : 0;
	}
}

static int refuse_integrity(const struct offer *ours, const struct message_hello *hello, struct error *err)
{
	const char *theirs[MESSAGE_INTEGRITIES_MAX];
	char here[160], there[160];

	for (size_t i = 0; i < hello->integrity_count; i++)
		theirs[i] = hello->integrity[i];
	names_join(here, sizeof(here), ours->integrity, ours->integrity_count);
	names_join(there, sizeof(there), theirs, hello->integrity_count);
	return error_set(err, -EPROTONOSUPPORT, FAULT_INTEGRITY,
	                 "no integrity in common: the client offers %s, the daemon accepts %s; "
	                 "name one of both in [pipeline] integrity",
	                 there, here);
}

int negotiate_answer(const struct offer *ours, const struct message_hello *hello, struct message_welcome *out,
                     enum status *status, struct error *err)
{
	struct message_welcome welcome = { .version = MESSAGE_VERSION };
	const char *integrity;

	if (hello->version_min > MESSAGE_VERSION || hello->version_max < MESSAGE_VERSION) {
		*status = STATUS_VERSION;
		return error_set(err, -EPROTONOSUPPORT, FAULT_PEER,
		                 "no protocol version in common: the client speaks %u to %u, the daemon %u",
		                 hello->version_min, hello->version_max, MESSAGE_VERSION);
	}
	if (hello->chunk_size < FRAME_CHUNK_MIN_SIZE || hello->chunk_size > FRAME_CHUNK_MAX_SIZE) {
		*status = STATUS_PROTOCOL;
		return error_set(err, -EPROTO, FAULT_PEER, "a chunk size of %u bytes is outside 1K to 16M",
		                 hello->chunk_size);
	}
	integrity = common_integrity(ours, hello);
	if (integrity == NULL) {
		*status = STATUS_INTEGRITY;
		return refuse_integrity(ours, hello, err);
	}
	name_copy(welcome.integrity, integrity);
	name_copy(welcome.liveness, strcmp(hello->liveness, ours->liveness) == 0 ? ours->liveness : "none");
	welcome.chunk_size = hello->chunk_size < ours->chunk_size ? hello->chunk_size : ours->chunk_size;
	memcpy(welcome.boot_id, ours->boot_id, sizeof(welcome.boot_id));
	*out = welcome;
	return 0;
}

int negotiate_accept(const struct offer *ours, const struct message_welcome *welcome, struct error *err)
{
	bool offered = false;

	if (welcome->version != MESSAGE_VERSION)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the daemon chose protocol version %u, which was not offered", welcome->version);
	if (welcome->chunk_size < FRAME_CHUNK_MIN_SIZE || welcome->chunk_size > ours->chunk_size)
		return error_set(err, -EPROTO, FAULT_PEER,
		                 "the daemon chose a chunk size of %u bytes, which is more than the %u offered",
		                 welcome->chunk_size, ours->chunk_size);
	for (size_t i = 0; i < ours->integrity_count; i++)
		offered = offered || strcmp(welcome->integrity, ours->integrity[i]) == 0;
	if (!offered)
		return error_set(err, -EPROTO, FAULT_INTEGRITY, "the daemon chose integrity %s, which was not offered",
		                 welcome->integrity);
	if (welcome->interval_ms == 0 || welcome->dead_after_ms == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the daemon gave no times for liveness");
	if (welcome->requests_max == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "the daemon allows no requests");
	return 0;
}
