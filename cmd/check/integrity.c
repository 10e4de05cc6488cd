/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of an integrity plug-in: however the input is cut and whichever call is made, the digest is the same. */
#include "integrity.h"

#include "base/text.h"
#include "registry/known_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPLIT_LEN = 523,     /* bytes: some blocks of every digest there is, and a rest */
	SPLIT_SAMPLES = 700, /* pairs of cuts */
	MANY_MAX = 67,       /* buffers at once: more than four times the lanes of any processor */
	LONG_LEN = 3 * 1024 * 1024 + 7
};

void out_reset(struct out *out)
{
	memset(out, OUT_FILL, sizeof(*out));
}

static const uint8_t *first_changed(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != OUT_FILL)
			return &bytes[i];
	return NULL;
}

enum kit_outcome out_check(struct kit *kit, const struct out *out, const uint8_t *want, const char *call,
                           const char *where)
{
	uint32_t size = kit->plugin->integrity.digest_size;
	if (first_changed(out->before, sizeof(out->before)) != NULL)
		return kit_failed(kit, "%s wrote in front of the digest, %s", call, where);
	if (first_changed(out->bytes + size, sizeof(out->bytes) - size) != NULL)
		return kit_failed(kit, "%s wrote beyond the digest's %u bytes, %s", call, size, where);
	if (memcmp(out->bytes, want, size) != 0) {
		char have_hex[2 * XFER_DIGEST_MAX + 1], want_hex[2 * XFER_DIGEST_MAX + 1];
		return kit_failed(kit, "%s gave %s instead of %s, %s", call, text_hex(have_hex, out->bytes, size),
		                  text_hex(want_hex, want, size), where);
	}
	return KIT_OK;
}

enum kit_outcome whole_digest(struct kit *kit, const void *bytes, size_t len, uint8_t *want)
{
	int rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, bytes, len, want, 0);
	return rc == 0 ? KIT_OK : kit_returned(kit, "digest()", rc, "for %zu bytes", len);
}

enum kit_outcome hash_make(struct kit *kit, struct xfer_hash **out)
{
	struct xfer_hash *hash = NULL;
	int rc = KIT_CALL(kit, integrity, hash_create, kit->plugin->instance, &hash);
	if (rc != 0)
		return kit_returned(kit, "hash_create()", rc, "%s", "");
	if (hash == NULL)
		return kit_failed(kit, "hash_create() returned 0 and gave no state");
	*out = hash;
	return KIT_OK;
}

enum kit_outcome hash_end(struct kit *kit, struct xfer_hash *hash, const uint8_t *want, const char *where)
{
	struct out out;
	out_reset(&out);
	int rc = KIT_CALL(kit, integrity, hash_finish, hash, out.bytes, 0);
	if (rc != 0)
		return kit_returned(kit, "hash_finish()", rc, "%s", where);
	return out_check(kit, &out, want, "hash_finish()", where);
}

enum kit_outcome hash_parts(struct kit *kit, struct xfer_hash *hash, const uint8_t *bytes, const size_t *lens,
                            size_t count, const uint8_t *want, const char *where)
{
	for (size_t i = 0; i < count; i++) {
		int rc = KIT_CALL(kit, integrity, hash_update, hash, bytes, lens[i], 0);
		if (rc != 0)
			return kit_returned(kit, "hash_update()", rc, "%s", where);
		bytes += lens[i];
	}
	return hash_end(kit, hash, want, where);
}

static enum kit_outcome check_known(struct kit *kit)
{
	struct error err;
	if (known_answer_check(kit->plugin, kit->plugin->instance, &err) < 0)
		return kit_failed(kit, "%s", err.text);
	return kit_ok(kit, "%zu known answers", kit->plugin->integrity.known_answer_count);
}

static enum kit_outcome check_strength(struct kit *kit)
{
	const struct xfer_integrity_ops *ops = &kit->plugin->integrity;
	/* Who tries 2^(n/2) inputs of an n-bit digest finds two with the same: the strength is half the bits. */
	if (ops->strength > XFER_STRENGTH_ACCIDENTAL && ops->strength > ops->digest_size * 4)
		return kit_failed(kit, "strength %u with a digest of %u bytes, which is %u bits at most", ops->strength,
		                  ops->digest_size, ops->digest_size * 4);
	return kit_ok(kit, "digest_size %u, strength %u", ops->digest_size, ops->strength);
}

static enum kit_outcome check_empty(struct kit *kit)
{
	static const uint8_t byte;
	uint8_t want[XFER_DIGEST_MAX];
	struct out out;
	struct xfer_hash *hash;
	enum kit_outcome outcome = whole_digest(kit, &byte, 0, want);
	if (outcome != KIT_OK)
		return outcome;
	out_reset(&out);
	int rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, NULL, 0, out.bytes, 0);
	if (rc != 0)
		return kit_returned(kit, "digest()", rc, "for no bytes at NULL");
	if ((outcome = out_check(kit, &out, want, "digest()", "for no bytes at NULL")) != KIT_OK ||
	    (outcome = hash_make(kit, &hash)) != KIT_OK ||
	    (outcome = hash_end(kit, hash, want, "without an update")) != KIT_OK)
		return outcome;
	rc = KIT_CALL(kit, integrity, hash_update, hash, NULL, 0, 0);
	if (rc == 0)
		rc = KIT_CALL(kit, integrity, hash_update, hash, &byte, 0, 0);
	if (rc != 0)
		return kit_returned(kit, "hash_update()", rc, "for no bytes");
	if ((outcome = hash_end(kit, hash, want, "after two updates of no bytes")) != KIT_OK)
		return outcome;
	KIT_VOID(kit, integrity, hash_destroy, hash);
	if (kit->plugin->integrity.digest_size == 0) {
		/* Then there is no place to write to. */
		rc = KIT_CALL(kit, integrity, digest, kit->plugin->instance, &byte, 1, NULL, 0);
		if (rc != 0)
			return kit_returned(kit, "digest()", rc, "with out NULL");
	}
	return kit_ok(kit, "digest() at NULL and elsewhere, a stream without and with empty updates");
}

static enum kit_outcome check_splits(struct kit *kit)
{
	uint8_t bytes[SPLIT_LEN], want[XFER_DIGEST_MAX];
	char where[80];
	struct xfer_hash *hash;
	enum kit_outcome outcome;
	kit_fill(kit, bytes, sizeof(bytes));
	if ((outcome = whole_digest(kit, bytes, sizeof(bytes), want)) != KIT_OK ||
	    (outcome = hash_make(kit, &hash)) != KIT_OK)
		return outcome;
	for (size_t cut = 0; cut <= SPLIT_LEN && outcome == KIT_OK; cut++) {
		const size_t lens[] = { cut, SPLIT_LEN - cut };
		snprintf(where, sizeof(where), "%d bytes cut at %zu", SPLIT_LEN, cut);
		outcome = hash_parts(kit, hash, bytes, lens, 2, want, where);
	}
	for (size_t i = 0; i < SPLIT_SAMPLES && outcome == KIT_OK; i++) {
		size_t a = (size_t)kit_below(kit, SPLIT_LEN + 1), b = (size_t)kit_below(kit, SPLIT_LEN + 1);
		const size_t lens[] = { a < b ? a : b, a < b ? b - a : a - b, SPLIT_LEN - (a < b ? b : a) };
		snprintf(where, sizeof(where), "%d bytes cut at %zu and %zu", SPLIT_LEN, lens[0], lens[0] + lens[1]);
		outcome = hash_parts(kit, hash, bytes, lens, 3, want, where);
	}
	KIT_VOID(kit, integrity, hash_destroy, hash);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "%d cuts in two, %d in three", SPLIT_LEN + 1, SPLIT_SAMPLES);
}

/* Two states in turn, of which one is finished and goes on with another stream; a third is destroyed in its middle. */
static enum kit_outcome check_streams(struct kit *kit)
{
	uint8_t a[300], b[400], want_a[XFER_DIGEST_MAX], want_b[XFER_DIGEST_MAX];
	struct xfer_hash *one, *two, *three;
	enum kit_outcome outcome;
	kit_fill(kit, a, sizeof(a));
	kit_fill(kit, b, sizeof(b));
	if ((outcome = whole_digest(kit, a, sizeof(a), want_a)) != KIT_OK ||
	    (outcome = whole_digest(kit, b, sizeof(b), want_b)) != KIT_OK ||
	    (outcome = hash_make(kit, &one)) != KIT_OK || (outcome = hash_make(kit, &two)) != KIT_OK ||
	    (outcome = hash_make(kit, &three)) != KIT_OK)
		return outcome;
	int rc = KIT_CALL(kit, integrity, hash_update, three, b, 77, 0);
	for (size_t at = 0; at < sizeof(a) && rc == 0; at += 50) {
		rc = KIT_CALL(kit, integrity, hash_update, one, a + at, 50, 0);
		if (rc == 0)
			rc = KIT_CALL(kit, integrity, hash_update, two, b + at, 50, 0);
	}
	if (rc != 0)
		return kit_returned(kit, "hash_update()", rc, "with three states in turn");
	const size_t rest = sizeof(b) - sizeof(a), all = sizeof(b);
	KIT_VOID(kit, integrity, hash_destroy, three);
	if ((outcome = hash_end(kit, one, want_a, "with other streams under way")) != KIT_OK ||
	    (outcome = hash_parts(kit, two, b + sizeof(a), &rest, 1, want_b, "with other streams under way")) !=
	            KIT_OK ||
	    (outcome = hash_parts(kit, one, b, &all, 1, want_b, "the second stream of a state")) != KIT_OK)
		return outcome;
	KIT_VOID(kit, integrity, hash_destroy, one);
	KIT_VOID(kit, integrity, hash_destroy, two);
	return kit_ok(kit, "three states in turn, one of them used again, one destroyed in the middle of its stream");
}

/* All lengths around the blocks of any digest, the empty one among them, in one piece of memory. */
static enum kit_outcome check_many(struct kit *kit)
{
	static const size_t LENGTHS[] = {
		0, 1, 3, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 135, 136, 200, 255, 1000
	};
	enum { LENGTH_COUNT = sizeof(LENGTHS) / sizeof(LENGTHS[0]) };
	uint8_t bytes[4096], (*want)[XFER_DIGEST_MAX] = calloc(MANY_MAX, sizeof(*want));
	struct out *outs = calloc(MANY_MAX, sizeof(*outs));
	uint8_t *places[MANY_MAX];
	struct iovec buffers[MANY_MAX];
	enum kit_outcome outcome = KIT_OK;
	if (kit->plugin->integrity.digest_many == NULL)
		return kit_skipped(kit, "it has no digest_many()");
	if (want == NULL || outs == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, sizeof(bytes));
	for (size_t count = 1; count <= MANY_MAX && outcome == KIT_OK; count++) {
		for (size_t i = 0; i < count && outcome == KIT_OK; i++) {
			/* Rounds of equal lengths, and of mixed ones. */
			size_t len = LENGTHS[count % 4 == 0 ? count % LENGTH_COUNT : kit_below(kit, LENGTH_COUNT)];
			buffers[i].iov_base = bytes + kit_below(kit, sizeof(bytes) - len);
			buffers[i].iov_len = len;
			out_reset(&outs[i]);
			places[i] = outs[i].bytes;
			outcome = whole_digest(kit, buffers[i].iov_base, len, want[i]);
		}
		if (outcome != KIT_OK)
			break;
		int rc = KIT_CALL(kit, integrity, digest_many, kit->plugin->instance, buffers, count, places, 0);
		if (rc != 0)
			outcome = kit_returned(kit, "digest_many()", rc, "for %zu buffers", count);
		for (size_t i = 0; i < count && outcome == KIT_OK; i++) {
			char where[80];
			snprintf(where, sizeof(where), "buffer %zu of %zu, with %zu bytes", i + 1, count,
			         buffers[i].iov_len);
			outcome = out_check(kit, &outs[i], want[i], "digest_many()", where);
		}
	}
	free(outs);
	free(want);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "1 to %d buffers of 0 to 1000 bytes", MANY_MAX);
}

static enum kit_outcome check_long(struct kit *kit)
{
	static const size_t STEPS[] = { 65536, 65535, 1024 * 1024 + 1 };
	uint8_t *bytes = malloc(LONG_LEN), want[XFER_DIGEST_MAX];
	struct xfer_hash *hash;
	enum kit_outcome outcome;
	if (bytes == NULL)
		return kit_failed(kit, "no memory for the check");
	kit_fill(kit, bytes, LONG_LEN);
	if ((outcome = whole_digest(kit, bytes, LONG_LEN, want)) != KIT_OK ||
	    (outcome = hash_make(kit, &hash)) != KIT_OK)
		return outcome;
	for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]) && outcome == KIT_OK; i++) {
		size_t lens[LONG_LEN / 65535 + 1], count = 0;
		for (size_t at = 0; at < LONG_LEN; at += lens[count++])
			lens[count] = LONG_LEN - at < STEPS[i] ? LONG_LEN - at : STEPS[i];
		outcome = hash_parts(kit, hash, bytes, lens, count, want, "3 MiB in large pieces");
	}
	KIT_VOID(kit, integrity, hash_destroy, hash);
	free(bytes);
	return outcome != KIT_OK ? outcome : kit_ok(kit, "%d bytes whole and in pieces up to 1 MiB", LONG_LEN);
}

/* No digest is worth its name that does not see one bit. */
static enum kit_outcome check_notices(struct kit *kit)
{
	uint8_t bytes[300], want[XFER_DIGEST_MAX], other[XFER_DIGEST_MAX];
	uint32_t size = kit->plugin->integrity.digest_size;
	enum kit_outcome outcome;
	if (size == 0)
		return kit_skipped(kit, "it makes no digest");
	kit_fill(kit, bytes, sizeof(bytes));
	if ((outcome = whole_digest(kit, bytes, sizeof(bytes), want)) != KIT_OK)
		return outcome;
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if ((outcome = whole_digest(kit, bytes, sizeof(bytes), other)) != KIT_OK)
			return outcome;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (memcmp(want, other, size) == 0)
			return kit_failed(kit, "the digest of %zu bytes stays when bit %zu of byte %zu changes",
			                  sizeof(bytes), bit % 8, bit / 8);
	}
	if ((outcome = whole_digest(kit, bytes, sizeof(bytes), other)) != KIT_OK)
		return outcome;
	if (memcmp(want, other, size) != 0)
		return kit_failed(kit, "the same bytes have another digest the second time");
	return kit_ok(kit, "each of %zu bits", 8 * sizeof(bytes));
}

const struct kit_check kit_integrity_checks[] = {
	{ "known-answers", "every known answer comes out with the configured values too", check_known },
	{ "strength", "the strength is not above half the bits of the digest", check_strength },
	{ "empty", "no bytes have one digest, at NULL and in a stream too", check_empty },
	{ "splits", "a stream has the digest of the whole, wherever it is cut", check_splits },
	{ "streams", "streams do not touch each other, and hash_finish() begins the next one", check_streams },
	{ "many", "digest_many() gives for each buffer what digest() gives", check_many },
	{ "lanes", "digest_many() does so with large buffers too, and with as many as lanes() asks for", check_lanes },
	{ "long", "megabytes have one digest, whole and in pieces", check_long },
	{ "chunk", "the largest chunk has one digest, which notices each of its ends", check_chunk },
	{ "same", "all processes and instances give one digest", check_same },
	{ "notices", "each changed bit changes the digest, and the same bytes have the same", check_notices },
	{ "aligned", "input and digest may lie at any address", check_aligned },
	{ "bounds", "nothing is read or written beyond a buffer, nor is the input written", check_bounds },
	{ "threads", "calls in several threads, as its thread model allows them, give the right digests",
	  check_threads },
	{ "leaks", "what is made and destroyed thousands of times leaves nothing behind", check_integrity_leaks },
	{ 0 },
};
