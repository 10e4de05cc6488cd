/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer digest PATH...: the digests that a daemon would give for these files. */
#include "json.h"
#include "verb.h"

#include <string.h>

static void on_message(void *data, enum log_level level, enum fault fault, const char *text)
{
	struct verb_context *context = data;
	console_message(context->console, level, fault, text);
}

static void print_digest(const struct verb_context *context, const char *path, const char *digest)
{
	struct json json;

	console_ready(context->console);
	if (context->args->json) {
		json_begin(&json, stdout, "digest");
		json_name(&json, "path", path, strlen(path));
		json_text(&json, "digest", digest);
		json_end(&json);
		return;
	}
	printf("%s  ", digest);
	console_name(stdout, path, strlen(path));
	printf("\n");
}

int verb_digest(struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	struct client_watch watch = { .context = context, .message = on_message };
	uint32_t chunk_size = args->chunk_size > 0 ? args->chunk_size : context->settings->chunk_size;
	char digest[MESSAGE_DIGEST_TEXT_MAX];
	enum fault all = FAULT_NONE;
	struct client *client;
	int result = 0;
	int code = verb_client_create(context, &watch, &client, err);

	if (code < 0)
		return code;
	/* One that cannot be read does not keep the others from being told. */
	for (size_t i = 0; i < args->operand_count && all != FAULT_INTERRUPTED; i++) {
		if (console_output_lost(context->console))
			break;
		error_clear(err);
		code = client_digest(client, args->operands[i], chunk_size, digest, err);
		if (code == 0) {
			print_digest(context, args->operands[i], digest);
			continue;
		}
		console_error(context->console, err);
		all = err->fault == FAULT_INTERRUPTED ? FAULT_INTERRUPTED : verb_fault_join(all, err->fault);
		result = code;
	}
	client_destroy(client);
	error_clear(err);
	if (err != NULL && result < 0) {
		err->code = result;
		err->fault = all;
	}
	return result;
}
