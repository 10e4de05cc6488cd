/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer get URL... DEST: fetches, shows progress, and says at the end what came and how it was verified. */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>

static int parse_source(struct url *out, const char *text, struct error *err)
{
	int code = url_parse(out, text, err);

	if (code == 0 && out->path[0] == '\0') {
		url_free(out);
		code = error_set(
			err, -EINVAL, FAULT_USAGE,
			"'%.200s' names no export: write xfer://HOST/EXPORT/PATH; `xfer ls` of the URL shows the exports",
			text);
	}
	if (code < 0)
		error_prefix(err, "get");
	return code;
}

static int run(struct verb_context *context, const struct url *urls, size_t count, const char *dest, struct error *err)
{
	struct client_watch watch;
	struct client_summary summary = { 0 };
	struct client *client;
	int code;

	transfer_watch(context, &watch);
	code = verb_client_create(context, &watch, &client, err);
	if (code < 0)
		return code;
	code = client_get(client, urls, count, dest, &summary, err);
	client_destroy(client);
	if (code < 0 && err->fault == FAULT_INTERRUPTED)
		error_set(
			err, code, FAULT_INTERRUPTED,
			"get: interrupted; nothing incomplete stands under a final name, the same command fetches the rest");
	transfer_print(context, &summary, code < 0 ? err->fault : FAULT_NONE);
	return code;
}

int verb_get(struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	const char *dest = args->operands[args->operand_count - 1];
	size_t count = args->operand_count - 1;
	size_t parsed = 0;
	int code = 0;

	if (url_is(dest))
		return error_set(
			err, -EINVAL, FAULT_USAGE,
			"get: the destination '%.200s' is a URL; a local path comes last, such as . for this folder",
			dest);
	struct url *urls = calloc(count, sizeof(*urls));
	if (urls == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "get: out of memory");
	for (; code == 0 && parsed < count; parsed += code == 0)
		code = parse_source(&urls[parsed], args->operands[parsed], err);
	if (code == 0)
		code = run(context, urls, count, dest, err);
	for (size_t i = 0; i < parsed; i++)
		url_free(&urls[i]);
	free(urls);
	return code;
}
