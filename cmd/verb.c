/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs have in common. */
#include "verb.h"

int verb_client_create(struct verb_context *context, const struct client_watch *watch, struct client **out,
                       struct error *err)
{
	const struct args *args = context->args;
	enum progress_style style = context->console->progress.style;

	context->options = (struct client_options){
		.transport = args->transport,
		.integrity = args->integrity,
		.limit_rate = args->limit_rate,
		.streams = args->streams,
		.no_resume = args->no_resume,
		.update = args->update || args->checksum,
		.compare = args->checksum,
		.retry = {
			.tries = args->retries,
			.span = args->retry_for,
			.first = args->retries_wanted,
		},
		/* A percentage costs a walk through the tree on the other side: only where somebody looks at it. */
		.totals = (args->verb == VERB_GET || args->verb == VERB_PUT) && style == PROGRESS_TERMINAL,
		.no_sync = args->no_sync,
	};
	return client_create(out, context->settings, &context->options, watch, context->console->log, err);
}

enum fault verb_fault_join(enum fault all, enum fault one)
{
	return all == FAULT_NONE || all == one ? one : FAULT_MIXED;
}
