/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer put SRC... URL: sends, shows progress, and says at the end what the daemon has and how it was verified. */
#include "transfer.h"

#include <errno.h>

static int parse_dest(struct url *out, const char *text, struct error *err)
{
	int code;

	if (!url_is(text))
		return error_set(err, -EINVAL, FAULT_USAGE,
		                 "put: the destination '%.200s' is no URL; one comes last: xfer://HOST/EXPORT/PATH",
		                 text);
	code = url_parse(out, text, err);
	if (code == 0 && out->path[0] == '\0') {
		url_free(out);
		code = error_set(
			err, -EINVAL, FAULT_USAGE,
			"'%.200s' names no export: write xfer://HOST/EXPORT/PATH; `xfer ls` of the URL shows the exports",
			text);
	}
	if (code < 0)
		error_prefix(err, "put");
	return code;
}

static int check_sources(const struct args *args, struct error *err)
{
	for (size_t i = 0; i + 1 < args->operand_count; i++) {
		if (url_is(args->operands[i]))
			return error_set(err, -EINVAL, FAULT_USAGE,
			                 "put: the source '%.200s' is a URL; only the destination, the last one, is",
			                 args->operands[i]);
		if (args->operands[i][0] == '\0')
			return error_set(err, -EINVAL, FAULT_USAGE, "put: a source is empty");
	}
	return 0;
}

static int run(struct verb_context *context, const struct url *url, struct error *err)
{
	const struct args *args = context->args;
	struct client_watch watch;
	struct client_summary summary = { 0 };
	struct client *client;
	int code;

	transfer_watch(context, &watch);
	code = verb_client_create(context, &watch, &client, err);
	if (code < 0)
		return code;
	code = client_put(client, (const char *const *)args->operands, args->operand_count - 1, url, &summary, err);
	client_destroy(client);
	if (code < 0 && err->fault == FAULT_INTERRUPTED)
		error_set(
			err, code, FAULT_INTERRUPTED,
			"put: interrupted; nothing incomplete stands under a final name, the same command sends the rest");
	transfer_print(context, &summary, code < 0 ? err->fault : FAULT_NONE);
	return code;
}

int verb_put(struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	struct url url;
	int code = check_sources(args, err);

	if (code == 0)
		code = parse_dest(&url, args->operands[args->operand_count - 1], err);
	if (code < 0)
		return code;
	code = run(context, &url, err);
	url_free(&url);
	return code;
}
