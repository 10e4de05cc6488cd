/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of an integrity plug-in at the sizes of real transfers, and that all who compute a digest agree. */
#include "integrity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_MAX = 16 * 1024 * 1024, /* bytes: the largest there is */
	CHUNK_STEP = 1024 * 1024,
	MANY_LARGE = 24,
	MANY_LARGE_LEN = 70000, /* bytes at most */
	LANES_MAX = 1024
};

/* One digest by whoever computes it: the other side is another process, with other values of its options. */
enum kit_outcome check_same(struct kit *kit)
{
	uint8_t here[XFER_DIGEST_MAX] = { 0 }, there[XFER_DIGEST_MAX] = { 0 };
	uint32_t size = kit->plugin->integrity.digest_size;
	void *other;
	if (size == 0)
		return kit_skipped(kit, "it makes no digest");
	int rc = kit_sample(kit, kit->plugin->instance, here);
	if (rc != 0)
		return kit_returned(kit, "digest()", rc, "for %d bytes", KIT_SAMPLE);
	if (memcmp(here, kit->habits->sample, size) != 0)
		return kit_failed(kit, "%d bytes have another digest than in the process that loaded it first",
		                  KIT_SAMPLE);
	if ((rc = kit_create(kit, kit->values, &other)) != 0)
		return kit_returned(kit, "create()", rc, "of a second instance");
	if ((rc = kit_sample(kit, other, there)) != 0)
		return kit_returned(kit, "digest()", rc, "of a second instance");
	KIT_VOID(kit, about, destroy, other);
	if (memcmp(here, there, size) != 0)
		return kit_failed(kit, "%d bytes have another digest in a second instance", KIT_SAMPLE);
	return kit_ok(kit, "two processes, two instances");
}

/* The largest chunk in one call, in a stream, and with a bit changed where counters of all widths end. */
enum kit_outcome check_chunk(struct kit *kit)
{
	static const size_t CHANGED[] = { 1 << 16, 1 << 22, 1 << 23, CHUNK_MAX - 1 };
	uint8_t *bytes = malloc(CHUNK_MAX), want[XFER_DIGEST_MAX] = { 0 }, other[XFER_DIGEST_MAX];
	uint32_t size = kit->plugin->integrity.digest_size;
	size_t lens[CHUNK_MAX / CHUNK_STEP + 1], count = 0;
	struct xfer_hash *hash;
	enum kit_outcome outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, CHUNK_MAX);
	for (size_t at = 0; at < CHUNK_MAX; at += lens[count++])
		lens[count] = CHUNK_MAX - at < CHUNK_STEP ? CHUNK_MAX - at : CHUNK_STEP;
	if ((outcome = whole_digest(kit, bytes, CHUNK_MAX, want)) != KIT_OK ||
	    (outcome = hash_make(kit, &hash)) != KIT_OK ||
	    (outcome = hash_parts(kit, hash, bytes, lens, count, want, "16 MiB in pieces of 1 MiB")) != KIT_OK)
		return outcome;
	KIT_VOID(kit, integrity, hash_destroy, hash);
	for (size_t i = 0; i < sizeof(CHANGED) / sizeof(CHANGED[0]) && size > 0; i++) {
		bytes[CHANGED[i]] ^= 0x10;
		if ((outcome = whole_digest(kit, bytes, CHUNK_MAX, other)) != KIT_OK)
			return outcome;
		bytes[CHANGED[i]] ^= 0x10;
		if (memcmp(want, other, size) == 0)
			return kit_failed(kit, "the digest of 16 MiB stays when byte %zu changes", CHANGED[i]);
	}
	free(bytes);
	return kit_ok(kit, "16 MiB, the largest chunk, whole, in pieces, and changed");
}

/* digest_many() of `count` buffers of up to `most` bytes, each at an odd address. */
static enum kit_outcome many_at(struct kit *kit, const uint8_t *bytes, size_t most, size_t count)
{
	struct iovec *buffers = calloc(count, sizeof(*buffers));
	struct out *outs = calloc(count, sizeof(*outs));
	uint8_t want[XFER_DIGEST_MAX], **places = calloc(count, sizeof(*places));
	enum kit_outcome outcome = KIT_OK;
	if (buffers == NULL || outs == NULL || places == NULL)
		return kit_failed(kit, "no memory for the check");
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = bytes + 1 + 2 * kit_below(kit, most / 2);
		memcpy(&buffers[i].iov_base, &at, sizeof(at));
		buffers[i].iov_len = i % 3 == 0 ? most : (size_t)kit_below(kit, most);
		out_reset(&outs[i]);
		places[i] = outs[i].bytes;
	}
	int rc = KIT_CALL(kit, integrity, digest_many, kit->plugin->instance, buffers, count, places, 0);
	if (rc != 0)
		outcome = kit_returned(kit, "digest_many()", rc, "for %zu buffers", count);
	for (size_t i = 0; i < count && outcome == KIT_OK; i++) {
		char where[120];
		snprintf(where, sizeof(where), "buffer %zu of %zu, with %zu bytes at an odd address", i + 1, count,
		         buffers[i].iov_len);
		outcome = whole_digest(kit, buffers[i].iov_base, buffers[i].iov_len, want);
		if (outcome == KIT_OK)
			outcome = out_check(kit, &outs[i], want, "digest_many()", where);
	}
	free(buffers);
	free(outs);
	free(places);
	return outcome;
}

/* As the core calls digest_many(): with chunks, and with as many as lanes() asks for. */
enum kit_outcome check_lanes(struct kit *kit)
{
	const struct xfer_integrity_ops *ops = &kit->plugin->integrity;
	uint8_t *bytes = malloc(2 * (size_t)MANY_LARGE_LEN + 2);
	if (ops->digest_many == NULL && ops->lanes == NULL)
		return kit_skipped(kit, "it has neither digest_many() nor lanes()");
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	uint32_t lanes = ops->lanes == NULL ? 1 : (uint32_t)KIT_SIZE(kit, integrity, lanes, kit->plugin->instance);
	if (lanes > LANES_MAX)
		return kit_failed(kit, "lanes() is %u: so many are never offered", lanes);
	if (ops->digest_many == NULL)
		return lanes <= 1 ? kit_ok(kit, "lanes() is %u, without a digest_many()", lanes)
		                  : kit_failed(kit, "lanes() is %u, and there is no digest_many() to take them", lanes);
	kit_fill(kit, bytes, 2 * (size_t)MANY_LARGE_LEN + 2);
	const size_t counts[] = { lanes > 1 ? lanes - 1 : 1, lanes > 1 ? lanes : 2, lanes + 1, 2 * (size_t)lanes };
	enum kit_outcome outcome = many_at(kit, bytes, MANY_LARGE_LEN, MANY_LARGE);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && outcome == KIT_OK; i++)
		outcome = many_at(kit, bytes, 5000, counts[i]);
	free(bytes);
	if (outcome != KIT_OK)
		return outcome;
	return kit_ok(kit, "%d buffers of up to %d bytes; lanes() is %u, so many, less and more", MANY_LARGE,
	              MANY_LARGE_LEN, lanes);
}
