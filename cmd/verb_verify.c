/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer verify URL PATH: compares a copy with what is served, by digests, and moves no data. */
#include "json.h"
#include "verb.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>

static void on_progress(void *data, const struct client_progress *progress)
{
	struct verb_context *context = data;
	console_progress(context->console, progress);
}

static void on_message(void *data, enum log_level level, enum fault fault, const char *text)
{
	struct verb_context *context = data;
	console_message(context->console, level, fault, text);
}

static void print_json(const struct client_summary *summary, enum fault fault)
{
	struct json json;

	json_begin(&json, stdout, "summary");
	json_number(&json, "status", (uint64_t)fault);
	json_number(&json, "same", summary->same);
	json_number(&json, "differ", summary->differ);
	json_number(&json, "skipped", summary->skipped);
	json_number(&json, "bytes", summary->kept);
	json_seconds(&json, "seconds", summary->elapsed);
	json_text(&json, "integrity", summary->integrity[0] != '\0' ? summary->integrity : NULL);
	json_end(&json);
}

static void print_summary(const struct client_summary *summary)
{
	char size[TEXT_NUMBER_MAX];

	printf("%" PRIu64 " of %" PRIu64 " file%s the same under %s: %" PRIu64 " bytes (%s) compared in %.2f s\n",
	       summary->same, summary->same + summary->differ, summary->same + summary->differ == 1 ? " is" : "s are",
	       summary->integrity, summary->kept, text_human_size(size, summary->kept),
	       (double)summary->elapsed / (double)CLOCK_SECOND);
}

int verb_verify(struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	const struct client_watch watch = { .context = context, .progress = on_progress, .message = on_message };
	struct client_summary summary = { 0 };
	struct client *client;
	struct url url;
	int code = url_parse(&url, args->operands[0], err);

	if (code < 0) {
		error_prefix(err, "verify");
		return code;
	}
	code = verb_client_create(context, &watch, &client, err);
	if (code == 0) {
		code = client_verify(client, &url, args->operands[1], &summary, err);
		client_destroy(client);
		console_ready(context->console);
		if (args->json)
			print_json(&summary, code < 0 ? err->fault : FAULT_NONE);
		else if (!args->quiet && summary.same + summary.differ > 0)
			print_summary(&summary);
	}
	url_free(&url);
	return code;
}
