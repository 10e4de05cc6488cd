/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether an integrity plug-in computes what it promises. */
#include "registry/known_answer.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum {
	KNOWN_LANES = 17,  /* buffers given to digest_many() at once: more than the lanes of any CPU's vectors */
	KNOWN_MARGIN = 16, /* bytes behind a digest that have to stay as they are */
	KNOWN_FILL = 0xa5
};

struct known_out {
	uint8_t bytes[XFER_DIGEST_MAX + KNOWN_MARGIN];
};

static struct xfer_known_answer known_answer_at(const struct xfer_integrity_ops *ops, size_t i)
{
	struct xfer_known_answer answer = { 0 };
	size_t size = ops->known_answer_size < sizeof(answer) ? ops->known_answer_size : sizeof(answer);
	memcpy(&answer, (const char *)ops->known_answers + i * ops->known_answer_size, size);
	return answer;
}

/* rc is what the call returned, `how` its name. */
static int known_answer_compare(const struct plugin *plugin, const struct known_out *got,
                                const struct xfer_known_answer *answer, const char *how, int rc, struct error *err)
{
	uint32_t size = plugin->integrity.digest_size;
	if (rc != 0) {
		struct error cause;
		plugin_error(plugin, rc < 0 ? rc : -EPROTO, FAULT_USAGE, &cause);
		return error_set(err, cause.code, FAULT_USAGE, "%s failed on a known answer: %s", how, cause.text);
	}
	if (memcmp(got->bytes, answer->digest, size) != 0) {
		char have[2 * XFER_DIGEST_MAX + 1], want[2 * XFER_DIGEST_MAX + 1];
		return error_set(err, -EBADMSG, FAULT_USAGE,
		                 "it failed a known answer of %zu bytes: %s gave %s, expected %s", answer->input_len,
		                 how, text_hex(have, got->bytes, size), text_hex(want, answer->digest, size));
	}
	for (size_t i = size; i < sizeof(got->bytes); i++)
		if (got->bytes[i] != KNOWN_FILL)
			return error_set(err, -EBADMSG, FAULT_USAGE, "%s wrote beyond the digest's %u bytes", how,
			                 size);
	return 0;
}

static void known_out_reset(struct known_out *out)
{
	memset(out, KNOWN_FILL, sizeof(*out));
}

static int known_answer_once(const struct plugin *plugin, const struct xfer_known_answer *answer, struct error *err)
{
	struct known_out out;
	known_out_reset(&out);
	int rc = plugin_digest(plugin, answer->input, answer->input_len, out.bytes);
	return known_answer_compare(plugin, &out, answer, "digest()", rc, err);
}

/* The whole at once, cut in the middle, and byte by byte, all by one state: it has to be fresh after each. */
static int known_answer_stream(const struct plugin *plugin, const struct xfer_known_answer *answer, struct error *err)
{
	const uint8_t *input = answer->input;
	size_t len = answer->input_len;
	size_t steps[] = { len, len / 2 + 1, 1 };

	struct xfer_hash *hash = NULL;
	struct known_out out;
	known_out_reset(&out);
	int rc = plugin_hash_create(plugin, &hash);
	if (rc != 0)
		return known_answer_compare(plugin, &out, answer, "hash_create()", rc, err);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++) {
		for (size_t at = 0; at < len && rc == 0; at += steps[i])
			rc = plugin_hash_update(plugin, hash, input + at, len - at < steps[i] ? len - at : steps[i]);
		if (rc != 0) {
			rc = known_answer_compare(plugin, &out, answer, "hash_update()", rc, err);
			break;
		}
		known_out_reset(&out);
		rc = plugin_hash_finish(plugin, hash, out.bytes);
		rc = known_answer_compare(plugin, &out, answer, "hash_finish()", rc, err);
	}
	plugin_hash_destroy(plugin, hash);
	return rc;
}

/* All known answers in turn side by side, so that lanes of different lengths meet. */
static int known_answer_many(const struct plugin *plugin, struct error *err)
{
	const struct xfer_integrity_ops *ops = &plugin->integrity;
	if (ops->digest_many == NULL)
		return 0;
	for (size_t count = 1; count <= KNOWN_LANES; count++) {
		struct iovec buffers[KNOWN_LANES];
		struct known_out outs[KNOWN_LANES];
		uint8_t *places[KNOWN_LANES];
		for (size_t i = 0; i < count; i++) {
			struct xfer_known_answer answer = known_answer_at(ops, i % ops->known_answer_count);
			/* iov_base is not const, but nobody writes there. */
			memcpy(&buffers[i].iov_base, &answer.input, sizeof(void *));
			buffers[i].iov_len = answer.input_len;
			known_out_reset(&outs[i]);
			places[i] = outs[i].bytes;
		}
		int rc = plugin_digest_many(plugin, buffers, count, places);
		for (size_t i = 0; i < count; i++) {
			struct xfer_known_answer answer = known_answer_at(ops, i % ops->known_answer_count);
			int bad = known_answer_compare(plugin, &outs[i], &answer, "digest_many()", rc, err);
			if (bad < 0)
				return bad;
		}
	}
	return 0;
}

static int known_answer_all(const struct plugin *plugin, struct error *err)
{
	const struct xfer_integrity_ops *ops = &plugin->integrity;
	for (size_t i = 0; i < ops->known_answer_count; i++) {
		struct xfer_known_answer answer = known_answer_at(ops, i);
		if (answer.digest == NULL || (answer.input == NULL && answer.input_len > 0))
			return error_set(err, -EINVAL, FAULT_USAGE, "known answer %zu is NULL", i + 1);
		int rc = known_answer_once(plugin, &answer, err);
		if (rc == 0)
			rc = known_answer_stream(plugin, &answer, err);
		if (rc < 0)
			return rc;
	}
	return known_answer_many(plugin, err);
}

int known_answer_check(struct plugin *plugin, void *instance, struct error *err)
{
	if (plugin->integrity.digest_size == 0)
		return 0;
	void *before = plugin->instance;
	plugin->instance = instance;
	int rc = known_answer_all(plugin, err);
	plugin->instance = before;
	return rc;
}
