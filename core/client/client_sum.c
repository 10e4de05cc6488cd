/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/client_sum.h"

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

void client_sum_fill(struct client_sum *sum, struct client *client, const struct channel *channel,
                     const struct stall *stall)
{
	struct client_progress *progress = &sum->progress;

	progress->elapsed = client->loop->now - sum->began;
	if (channel != NULL)
		progress->rtt = channel_rtt(channel, &progress->loss_ppm);
	progress->stall = reconnect_waits(client, sum->waits);
	if (progress->stall == NULL && stall->text[0] != '\0')
		progress->stall = stall->text;
}

void client_sum_tell(const struct client_sum *sum, const struct client *client)
{
	if (client->watch.progress != NULL)
		client->watch.progress(client->watch.context, &sum->progress);
}

/* Where the peer was seen most often, when it had something to do. */
static const char *peer_stage(const struct client *client)
{
	uint32_t most = XFER_STAGE_IDLE + 1;

	for (uint32_t stage = most + 1; stage <= XFER_STAGE_SYNC; stage++)
		if (client->peer_stages[stage] > client->peer_stages[most])
			most = stage;
	return client->peer_stages[most] > 0 ? stall_stage(most) : NULL;
}

static void stages_fill(const struct client *client, struct client_summary *summary)
{
	static const char *const names[CLIENT_STAGES] = { [PIPELINE_READ] = "read",
		                                          [PIPELINE_HASH] = "hash",
		                                          [PIPELINE_WRITE] = "write",
		                                          [CLIENT_STAGE_SEND] = "send",
		                                          [CLIENT_STAGE_RECEIVE] = "receive" };
	struct pipeline_count counts[CLIENT_STAGES];

	pipeline_counters(client->loop->pipeline, counts);
	counts[CLIENT_STAGE_SEND] = client->loop->moved.sent;
	counts[CLIENT_STAGE_RECEIVE] = client->loop->moved.received;
	for (size_t i = 0; i < CLIENT_STAGES; i++)
		summary->stages[i] = (struct client_stage){
			.name = names[i],
			.count = counts[i],
			.threads = i < PIPELINE_STAGES ? client->loop->threads : 1,
		};
	/* One thread at a time writes to a file. */
	if (summary->files <= 1)
		summary->stages[PIPELINE_WRITE].threads = 1;
	summary->peer_stage = peer_stage(client);
}

static void sum_finish(struct client *client, struct client_sum *sum)
{
	struct client_summary *summary = sum->summary;

	loop_time(client->loop);
	summary->elapsed = client->loop->now - sum->began;
	summary->sessions = client->streams.most_live > 1 ? client->streams.most_live : 1;
	stages_fill(client, summary);
	sum->progress.elapsed = summary->elapsed;
	sum->progress.stall = NULL;
	client_sum_tell(sum, client);
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
