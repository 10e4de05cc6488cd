/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/client_sum.h"

#include <errno.h>

void client_sum_fault(struct client_sum *sum, const struct error *err)
{
	if (sum->fault == FAULT_NONE) {
		sum->fault = err->fault;
		sum->first = *err;
	} else if (sum->fault != err->fault) {
		sum->fault = FAULT_MIXED;
	}
}

static void sum_finish(struct client *client, struct client_sum *sum)
{
	struct client_summary *summary = sum->summary;

	loop_time(client->loop);
	summary->elapsed = client->loop->now - sum->began;
	pipeline_counters(client->loop->pipeline, summary->stages);
	sum->progress.elapsed = summary->elapsed;
	sum->progress.stall = NULL;
	if (client->watch.progress != NULL)
		client->watch.progress(client->watch.context, &sum->progress);
	client_disconnect(client);
}

int client_sum_run(struct client *client, const struct client_sources *sources, struct client_summary *summary,
                   struct error *err)
{
	struct client_sum sum = { .summary = summary };
	int r = 0;

	loop_time(client->loop);
	sum.began = client->loop->now;
	for (size_t i = 0; r == 0 && i < sources->count; i++) {
		r = sources->one(sources->context, i, &sum, err);
		/* Another place may be alive; and what failed is in the sum. */
		if (r < 0 && i + 1 < sources->count && !client->interrupted) {
			client_sum_fault(&sum, err);
			client_say(client, LOG_LEVEL_ERROR, err->fault, err->text);
			client_disconnect(client);
			r = 0;
		}
	}
	sum_finish(client, &sum);
	if (r < 0 && err->fault != FAULT_INTERRUPTED) {
		client_sum_fault(&sum, err);
		err->fault = sum.fault;
	} else if (r == 0 && sum.fault != FAULT_NONE) {
		*err = sum.first;
		err->fault = sum.fault;
		err->text[0] = '\0'; /* each failure was told when it happened */
		r = err->code < 0 ? err->code : -EIO;
	}
	return r;
}
