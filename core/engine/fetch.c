/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/fetch.h"

#include "engine/stall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TOTALS_REQUEST = 0xfffffff0 /* beyond what a sink uses in practice; it would skip it */ };

struct fetch {
	struct client *client;
	const struct url *url;
	const struct fetch_place *place;
	struct client_sum *sum;
	struct receiving receiving;
	bool begun;                          /* receiving is open */
	bool over;                           /* nothing more comes from the session */
	bool done;                           /* all is published or removed */
	uint64_t files_before, bytes_before; /* of earlier sources */
	struct error err;                    /* why the session ended */
	uint64_t taken;                      /* bytes of frames that came, without liveness */
	struct stall stall;
};

static struct fetch *of_receiving(struct receiving *receiving)
{
	return list_entry(receiving, struct fetch, receiving);
}

/* ---- the end ---- */

/* Nothing more will come: what is begun is tidied up. */
static void fetch_give_up(struct fetch *fetch, const struct error *err)
{
	if (fetch->over || fetch->done)
		return;
	fetch->over = true;
	fetch->err = *err;
	if (fetch->begun)
		receiving_abort(&fetch->receiving);
	else
		client_stop(fetch->client);
}

/* The session broke the protocol, or we cannot go on with it. */
static void session_fail(struct fetch *fetch, const struct error *err)
{
	struct error said = *err;
	enum status status = err->fault == FAULT_INTEGRITY ? STATUS_INTEGRITY
	                     : err->code == -ETIME         ? STATUS_DEAD
	                                                   : STATUS_PROTOCOL;

	if (fetch->client->channel_live) {
		fetch->client->channel_live = false;
		channel_fail(&fetch->client->channel, status, &said); /* comes back as ended() */
	}
	fetch_give_up(fetch, &said);
}

static void on_finished(struct receiving *receiving)
{
	struct fetch *fetch = of_receiving(receiving);

	fetch->done = true;
	client_stop(fetch->client);
}

static void on_broken(struct receiving *receiving, const struct error *err)
{
	session_fail(of_receiving(receiving), err);
}

/* ---- what comes ---- */

static bool on_end(struct receiving *receiving, const struct end *end)
{
	struct client_progress *progress = &of_receiving(receiving)->sum->progress;

	if (end->request != TOTALS_REQUEST)
		return false;
	if (end->status == STATUS_OK) {
		progress->files_total += end->chunks;
		progress->bytes_total += end->size;
	}
	return true;
}

static void on_event(struct receiving *receiving, const struct sink_event *event)
{
	struct fetch *fetch = of_receiving(receiving);
	struct client *client = fetch->client;
	struct client_summary *summary = fetch->sum->summary;
	const struct suite *suite = &client->channel.suite;
	bool known = suite->limits.digest_size == 0 || event->digest != NULL;

	if (event->kind != SINK_FILE_DONE) {
		client_say(client, event->kind == SINK_SKIPPED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, event->fault,
		           event->text);
		return;
	}
	if (known)
		message_digest_text(summary->digest, suite->integrity->about.name, suite->limits.chunk_size,
		                    event->digest, suite->limits.digest_size);
	if (client->watch.file != NULL)
		client->watch.file(client->watch.context, event->path[0] != '\0' ? event->path : fetch->place->name,
		                   event->bytes, known ? summary->digest : "");
}

static int on_frame(void *context, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct fetch *fetch = context;

	fetch->taken += FRAME_HEADER + header->length;
	return fetch->begun ? receiving_frame(&fetch->receiving, header, bytes, buffer, err) : 0;
}

static void on_work(void *context)
{
	struct fetch *fetch = context;

	if (fetch->begun)
		receiving_pump(&fetch->receiving);
}

/* ---- beginning ---- */

static const struct receiving_watch receiving_events = {
	.event = on_event,
	.end = on_end,
	.broken = on_broken,
	.finished = on_finished,
};

static void totals_ask(struct fetch *fetch)
{
	const struct message_list list = {
		.flags = MESSAGE_LIST_TOTALS,
		.depth = MESSAGE_DEPTH_ALL,
		.path = fetch->url->path,
		.path_len = strlen(fetch->url->path),
	};

	if (fetch->client->options.totals)
		(void)message_list_write(channel_control(&fetch->client->channel), TOTALS_REQUEST, &list);
}

static void on_open(void *context)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;
	const struct receiving_place place = {
		.root = fetch->place->root,
		.name = fetch->place->name,
		.name_exists = fetch->place->name_exists,
		.name_is_dir = fetch->place->name_is_dir,
		.remote = fetch->url->path,
		.sync = true,
		.limit_rate = client->options.limit_rate,
	};
	struct error err = { 0 };

	snprintf(fetch->sum->summary->integrity, sizeof(fetch->sum->summary->integrity), "%s",
	         client->channel.suite.integrity->about.name);
	if (receiving_open(&fetch->receiving, &client->channel, &place, client->consumed, client->granted,
	                   &receiving_events, &err) < 0) {
		fetch_give_up(fetch, &err);
		return;
	}
	fetch->begun = true;
	stall_begin(&fetch->stall, client->loop->now);
	totals_ask(fetch);
	receiving_pump(&fetch->receiving);
}

static void on_ended(void *context, const struct error *err)
{
	fetch_give_up(context, err);
}

static void on_progress(void *context, struct xfer_progress *ours)
{
	struct fetch *fetch = context;

	if (fetch->begun)
		receiving_progress(&fetch->receiving, ours);
}

/* ---- progress ---- */

/* Names what is waited for when nothing has come for a while; ends a transfer that has stalled for too long. */
static void stall_check(struct fetch *fetch)
{
	const struct channel *channel = &fetch->client->channel;
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	const struct stall_look look = {
		.channel = channel,
		/* What is half received counts, too: a large frame takes its time. */
		.moved = fetch->taken + (channel->link.rx_fill - channel->link.rx_start),
		.waits = sink_waits(fetch->receiving.sink),
		.ours = &ours,
	};
	struct error err = { 0 };

	receiving_progress(&fetch->receiving, &ours);
	if (stall_look(&fetch->stall, &look, fetch->client->loop->now) < fetch->client->settings->stall_after)
		return;
	error_set(&err, -ETIME, FAULT_PEER, "%s stalled: %s", channel_peer(channel), fetch->stall.text);
	session_fail(fetch, &err);
}

static void progress_fill(struct fetch *fetch)
{
	struct client_progress *progress = &fetch->sum->progress;
	struct sink_count count = { 0 };

	if (fetch->begun)
		sink_counts(fetch->receiving.sink, &count);
	progress->files = fetch->files_before + count.files;
	progress->bytes = fetch->bytes_before + count.bytes;
	progress->elapsed = fetch->client->loop->now - fetch->sum->began;
	if (fetch->client->channel_live)
		progress->rtt = channel_rtt(&fetch->client->channel, &progress->loss_ppm);
	progress->stall = fetch->stall.text[0] != '\0' ? fetch->stall.text : NULL;
}

static void on_tick(void *context)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;

	if (fetch->begun && client->channel_live && !fetch->over)
		stall_check(fetch);
	progress_fill(fetch);
	if (client->watch.progress != NULL)
		client->watch.progress(client->watch.context, &fetch->sum->progress);
	on_work(fetch); /* what waits for memory, or for the limit of the rate */
}

static const struct client_verb fetch_verb = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.progress = on_progress,
	.tick = on_tick,
	.ended = on_ended,
};

/* ---- the sum ---- */

static void sum_add(struct fetch *fetch)
{
	struct client_summary *summary = fetch->sum->summary;
	struct client *client = fetch->client;
	struct sink_count count;
	uint64_t loss;

	sink_counts(fetch->receiving.sink, &count);
	summary->files += count.files;
	summary->dirs += count.dirs;
	summary->links += count.links;
	summary->skipped += count.skipped;
	summary->failed += count.failed;
	summary->bytes += count.bytes;
	summary->received += count.received;
	summary->chunks += count.chunks;
	summary->repaired += count.repaired;
	summary->rtt = client->channel_live ? channel_rtt(&client->channel, &loss) : fetch->sum->progress.rtt;
	sink_credit(fetch->receiving.sink, &client->consumed, &client->granted);
}

static int fetch_result(struct fetch *fetch, struct error *err)
{
	struct error cause = { 0 };

	/* What the user or the peer ended has no second cause beside it. */
	if (fetch->over) {
		client_sum_fault(fetch->sum, &fetch->err);
		*err = fetch->err;
		return fetch->err.code < 0 ? fetch->err.code : -EIO;
	}
	if (sink_result(fetch->receiving.sink, &cause) != FAULT_NONE)
		client_sum_fault(fetch->sum, &cause);
	return 0;
}

int fetch_run(struct client *client, const struct url *url, const struct fetch_place *place, struct client_sum *sum,
              struct error *err)
{
	struct fetch fetch = {
		.client = client,
		.url = url,
		.place = place,
		.sum = sum,
		.files_before = sum->progress.files,
		.bytes_before = sum->progress.bytes,
	};
	int r;

	if (client->interrupted)
		return error_set(err, -EINTR, FAULT_INTERRUPTED, "interrupted");
	client->verb = &fetch_verb;
	client->context = &fetch;
	r = client_connect(client, url, err);
	if (r == 0) {
		client_run(client, &fetch_verb, &fetch);
		progress_fill(&fetch);
		r = fetch_result(&fetch, err);
	}
	client->verb = NULL;
	if (fetch.begun) {
		sum_add(&fetch);
		receiving_close(&fetch.receiving);
	}
	return r;
}
