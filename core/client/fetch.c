/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/fetch_state.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TOTALS_REQUEST = 0xfffffff0 /* beyond what a sink uses in practice; it would skip it */ };

static struct fetch *of_receiving(struct receiving *receiving)
{
	return list_entry(receiving, struct fetch, receiving);
}

/* ---- the end ---- */

/* Nothing more will come: what is begun is tidied up. */
static void give_up(struct fetch *fetch, const struct ending *ending)
{
	if (!attempt_give_up(&fetch->attempt, ending))
		return;
	if (fetch->attempt.state == ATTEMPT_TIDYING)
		receiving_abort(&fetch->receiving); /* comes back as finished() */
	else
		client_stop(fetch->client);
}

/* The session broke the protocol, or we cannot go on with it. */
static void session_fail(struct fetch *fetch, const struct error *err)
{
	struct ending ending;

	ending_of_channel(&ending, err, &fetch->client->channel);
	/* First, so that nothing of it can be taken for the end of the job. */
	give_up(fetch, &ending);
	client_fail(fetch->client, &ending.err);
}

static void on_finished(struct receiving *receiving)
{
	struct fetch *fetch = of_receiving(receiving);

	attempt_finished(&fetch->attempt);
	client_stop(fetch->client);
}

static void on_broken(struct receiving *receiving, struct receiving_lane *lane, const struct error *err)
{
	if (lane == &receiving->main)
		session_fail(of_receiving(receiving), err);
	else
		stream_fail(list_entry(lane, struct stream, lane), err);
}

/* ---- what comes ---- */

static bool on_end(struct receiving *receiving, const struct end *end)
{
	struct client_progress *progress = &of_receiving(receiving)->sum->progress;

	if (end->request != TOTALS_REQUEST)
		return false;
	if (end->status == STATUS_OK) {
		progress->files_total = of_receiving(receiving)->files_known + end->chunks;
		progress->bytes_total = of_receiving(receiving)->bytes_known + end->size;
	}
	return true;
}

/* Which chunks of a file are not what they are at the source; a long list is cut. */
static void differs_say(struct fetch *fetch, const struct sink_event *event)
{
	char name[ERROR_TEXT_MAX / 2], text[ERROR_TEXT_MAX];
	const char *path = event->path[0] != '\0' ? event->path : fetch->place->name;
	size_t len;

	text_printable(name, sizeof(name), path, strlen(path));
	len = (size_t)snprintf(text, sizeof(text), "%s: differs", name);
	for (size_t i = 0; i < event->chunks->count && len < sizeof(text); i++) {
		const struct range *range = &event->chunks->all[i];
		const char *lead = i == 0 ? " in chunks " : ", ";

		if (len + 64 > sizeof(text)) {
			(void)snprintf(text + len, sizeof(text) - len, ", ...");
			break;
		}
		if (range->end - range->first > 1)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu-%llu", lead,
			                        (unsigned long long)range->first, (unsigned long long)range->end - 1);
		else
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu", lead,
			                        (unsigned long long)range->first);
	}
	client_say(fetch->client, LOG_LEVEL_ERROR, FAULT_INTEGRITY, text);
}

static void on_event(struct receiving *receiving, const struct sink_event *event)
{
	struct fetch *fetch = of_receiving(receiving);
	struct client *client = fetch->client;
	struct client_summary *summary = fetch->sum->summary;
	const struct suite *suite = &client->channel.suite;
	bool known = suite->limits.digest_size == 0 || event->digest != NULL;

	switch (event->kind) {
	case SINK_FILE_DONE: break;
	case SINK_UNCHANGED: return;
	case SINK_DIFFERS: differs_say(fetch, event); return;
	case SINK_SKIPPED:
	case SINK_FAILED:
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
	return fetch_begun(fetch) ? receiving_frame(&fetch->receiving.main, header, bytes, buffer, err) : 0;
}

void fetch_lost(struct fetch *fetch, const struct ending *ending)
{
	if (!attempt_lost(&fetch->attempt, ending))
		return;
	fetch->leave = fetch->client->loop->now + FETCH_GRACE;
	streams_drop(fetch->client);
}

/* Without a session: when all had come it is finished, however long a disk takes; else the rest is for the next one. */
static void alone_look(struct fetch *fetch)
{
	const struct receiving *receiving = &fetch->receiving;
	bool rests = !receiving_busy(receiving) && receiving->waiting == NULL;

	if (rests || (sink_waits(receiving->sink) && fetch->client->loop->now >= fetch->leave))
		give_up(fetch, &fetch->attempt.ending);
}

/* Follows a goaway: the rest comes from another worker. */
static void goaway_look(struct fetch *fetch)
{
	struct client *client = fetch->client;
	struct receiving_lane *main = &fetch->receiving.main;
	struct ending ending;

	if (!client->channel_live || !client->channel.goaway || !retry_wanted(&client->again.retry))
		return;
	if (fetch->leave == 0) {
		fetch->leave = client->loop->now + FETCH_GRACE;
		streams_fill(client);
	}
	sink_lane_rest(main->lane, streams_live(client) > 0);
	if ((sink_lane_idle(main->lane) || client->loop->now >= fetch->leave) && fetch_lanes_carry_on(fetch)) {
		client->channel_live = false;
		channel_finish(&client->channel); /* comes back as ended() */
		streams_fill(client);
		return;
	}
	/* Where nothing is awaited the session is not needed any more. */
	if (client->loop->now < fetch->leave || !sink_waits(fetch->receiving.sink))
		return;
	ending_away(&ending, channel_peer(&client->channel));
	fetch_lost(fetch, &ending);
	client->channel_live = false;
	channel_finish(&client->channel); /* comes back as ended() */
	alone_look(fetch);
}

static void on_work(void *context)
{
	struct fetch *fetch = context;

	if (!fetch_begun(fetch))
		return;
	receiving_pump(&fetch->receiving);
	if (fetch->attempt.state == ATTEMPT_ALONE)
		alone_look(fetch);
	if (!attempt_runs(&fetch->attempt))
		return;
	goaway_look(fetch);
	fetch_lanes_look(fetch);
	fetch_lanes_grow(fetch);
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

/* What counts of what is at the destination, for this session; opens the journal. */
static int reuse_open(struct fetch *fetch, unsigned *flags, struct journal **journal, struct error *err)
{
	const struct suite *suite = &fetch->client->channel.suite;
	bool resumed;
	int r;

	*journal = NULL;
	*flags = fetch->place->flags;
	if (*flags != 0 && suite->integrity->integrity.strength < XFER_STRENGTH_CRYPTOGRAPHIC)
		return client_weak(fetch->client, err);
	if (!fetch->place->resume)
		return 0;
	r = resume_open(&fetch->resume, suite, journal, &resumed, err);
	if (r == 0)
		*flags |= SINK_FLAG_LEAVE | (resumed ? SINK_FLAG_RESUME : 0);
	return r;
}

static void on_open(void *context)
{
	struct fetch *fetch = context;
	struct client *client = fetch->client;
	struct stat st;
	bool exists = store_stat(fetch->place->root, fetch->place->name, &st) == 0;
	struct receiving_place place = {
		.root = fetch->place->root,
		.name = fetch->place->name,
		.name_exists = exists,
		.name_is_dir = exists && S_ISDIR(st.st_mode),
		.remote = fetch->url->path,
		.hidden = fetch->place->resume ? fetch->resume.hidden : NULL,
		.sync = fetch->place->sync,
		.limit_rate = client->options.limit_rate,
		.lanes = streams_number(client),
		.shared = streams_most(client) > 1,
	};
	struct error err = { 0 };
	struct ending ending;

	snprintf(fetch->sum->summary->integrity, sizeof(fetch->sum->summary->integrity), "%s",
	         client->channel.suite.integrity->about.name);
	if (reuse_open(fetch, &place.flags, &place.journal, &err) < 0 ||
	    receiving_open(&fetch->receiving, &client->channel, &place, client->consumed, client->granted,
	                   &receiving_events, &err) < 0) {
		journal_close(place.journal);
		ending_without(&ending, &err);
		give_up(fetch, &ending);
		return;
	}
	attempt_opened(&fetch->attempt);
	stall_begin(&fetch->stall, client->loop->now);
	totals_ask(fetch);
	receiving_pump(&fetch->receiving);
	streams_begin(client);
	fetch_lanes_join(fetch);
}

static void on_ended(void *context, const struct ending *ending)
{
	struct fetch *fetch = context;
	bool known = fetch->attempt.state == ATTEMPT_ALONE || fetch_main_gone(fetch);

	if (known && ending->kind != ENDING_STOPPED)
		return; /* our own doing */
	if (ending->err.fault != FAULT_PEER || !attempt_runs(&fetch->attempt)) {
		give_up(fetch, ending);
		return;
	}
	if (fetch_lanes_carry_on(fetch))
		streams_fill(fetch->client);
	else
		fetch_lost(fetch, ending);
	on_work(fetch);
}

static void on_progress(void *context, struct xfer_progress *ours)
{
	struct fetch *fetch = context;

	if (fetch_begun(fetch))
		receiving_progress(&fetch->receiving, ours);
}

/* ---- progress ---- */

/* Names what is waited for when nothing has come for a while; ends a transfer that has stalled for too long. */
static void stall_check(struct fetch *fetch)
{
	const struct channel *channel = fetch_lanes_blame(fetch);
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	struct stall_look look = {
		.channel = channel,
		/* What is half received counts, too: a large frame takes its time. */
		.moved = sink_moved(fetch->receiving.sink) + fetch_lanes_half(fetch),
		.waits = sink_waits(fetch->receiving.sink),
		.ours = &ours,
	};
	struct sink_count count;
	struct error err = { 0 };

	/* And so does what we find at the destination: the peer may have nothing to do meanwhile. */
	sink_counts(fetch->receiving.sink, &count);
	look.moved += count.bytes;
	receiving_progress(&fetch->receiving, &ours);
	if (stall_look(&fetch->stall, &look, fetch->client->loop->now) < fetch->client->settings->stall_after)
		return;
	error_set(&err, -ETIME, FAULT_PEER, "%s stalled: %s", channel_peer(channel), fetch->stall.text);
	session_fail(fetch, &err);
}

static void progress_fill(struct fetch *fetch)
{
	struct client_progress *progress = &fetch->sum->progress;
	struct sink_count count;

	/* Between two sessions it stays as it was. */
	if (fetch_begun(fetch)) {
		sink_counts(fetch->receiving.sink, &count);
		progress->files = fetch->files_before + count.files;
		progress->bytes = fetch->bytes_before + count.bytes;
	}
	client_sum_fill(fetch->sum, fetch->client, fetch_lanes_blame(fetch), &fetch->stall);
}

static void progress_tell(void *context)
{
	struct fetch *fetch = context;

	progress_fill(fetch);
	client_sum_tell(fetch->sum, fetch->client);
}

static void on_tick(void *context)
{
	struct fetch *fetch = context;

	if (attempt_runs(&fetch->attempt) && fetch_lanes_blame(fetch) != NULL)
		stall_check(fetch);
	progress_tell(fetch);
	on_work(fetch); /* what waits for memory, or for the limit of the rate */
}

static const struct client_verb fetch_verb = {
	.open = on_open,
	.frame = on_frame,
	.work = on_work,
	.progress = on_progress,
	.tick = on_tick,
	.ended = on_ended,
	.stream_open = fetch_lanes_open,
	.stream_frame = fetch_lanes_frame,
	.stream_ended = fetch_lanes_ended,
};

/* ---- an attempt, and the next one ---- */

/* The sink goes: what it counted stays. */
static void attempt_count(struct fetch *fetch)
{
	struct client *client = fetch->client;
	struct sink_count *count = &fetch->count;
	uint64_t things;

	sink_counts(fetch->receiving.sink, count);
	sink_credit(sink_main(fetch->receiving.sink), &client->consumed, &client->granted);
	fetch_lanes_count(fetch);
	fetch->received += count->received;
	fetch->repaired += count->repaired;
	things = count->files + count->dirs + count->links;
	if (things > fetch->things)
		fetch->things = things;
	/* Where nothing is left for the next attempt, only the furthest of them counts. */
	if (fetch->place->resume)
		fetch->fresh += count->bytes - count->kept;
	else if (count->bytes > fetch->fresh)
		fetch->fresh = count->bytes;
}

static void attempt_result(struct fetch *fetch, struct ending *ending)
{
	struct error cause = { 0 };

	*ending = fetch->attempt.ending;
	/* What the user or the peer ended has no second cause beside it. */
	if (ending->kind == ENDING_DONE && sink_result(fetch->receiving.sink, &cause) != FAULT_NONE)
		client_sum_fault(fetch->sum, &cause);
}

static void attempt(void *context, struct ending *ending)
{
	struct fetch *fetch = context;

	attempt_begin(&fetch->attempt);
	fetch->leave = 0;
	fetch->stall.text[0] = '\0';
	/* What this job wrote itself counts as well: another daemon may prefer another integrity. */
	if (fetch->place->resume)
		resume_offer(&fetch->resume, &fetch->client->base.offer);
	if (client_try(fetch->client, fetch->url, &fetch_verb, fetch, ending)) {
		progress_fill(fetch);
		attempt_result(fetch, ending);
	}
	if (fetch_begun(fetch)) {
		attempt_count(fetch);
		receiving_close(&fetch->receiving);
	}
}

static uint64_t reached(void *context)
{
	const struct fetch *fetch = context;

	return fetch->fresh + fetch->things;
}

static void sum_add(const struct fetch *fetch)
{
	struct client_summary *summary = fetch->sum->summary;
	const struct sink_count *count = &fetch->count;

	summary->files += count->files;
	summary->dirs += count->dirs;
	summary->links += count->links;
	summary->skipped += count->skipped;
	summary->failed += count->failed;
	summary->bytes += count->bytes;
	summary->chunks += count->chunks;
	summary->kept += count->kept;
	summary->same += count->same;
	summary->differ += count->differ;
	summary->received += fetch->received;
	summary->repaired += fetch->repaired;
	summary->rtt = fetch->sum->progress.rtt;
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
		.files_known = sum->progress.files_total,
		.bytes_known = sum->progress.bytes_total,
	};
	const struct reconnect_job job = {
		.attempt = attempt,
		.reached = reached,
		.tick = progress_tell,
		.context = &fetch,
	};
	int r = 0;

	if (place->resume || !(place->flags & SINK_FLAG_VERIFY))
		r = resume_begin(&fetch.resume, place->root, place->name, url, err);
	if (r < 0)
		return r;
	if (!place->resume && !(place->flags & SINK_FLAG_VERIFY))
		resume_discard(&fetch.resume);
	r = reconnect_run(client, url, &job, err);
	sum->progress.stall = NULL;
	sum_add(&fetch);
	return r;
}
