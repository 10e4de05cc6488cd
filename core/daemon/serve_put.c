/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/serve_put.h"

#include "base/text.h"
#include "daemon/serve_join.h"
#include "daemon/transfer_log.h"
#include "engine/receiving.h"
#include "engine/stall.h"
#include "engine/transfer_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct serve_put {
	struct place_job place;
	struct loop_owner owner; /* of the place job */
	struct serve *serve;
	struct receiving receiving;
	struct serve_transfer transfer; /* for the log; its path is owned */
	struct stall stall;
	uint32_t request;
	uint16_t flags;                        /* MESSAGE_PUT_* */
	bool placing;                          /* the place job is out */
	bool begun;                            /* receiving is open */
	bool over;                             /* told the client, and the log */
	bool tidy;                             /* nothing is out any more */
	char name[MESSAGE_ENTRY_NAME_MAX + 1]; /* of the source, "" = none */
	char hidden[TRANSFER_ID_NAME_MAX];     /* of what is not complete */
	char journal_path[sizeof(JOURNAL_FOLDER) + TRANSFER_ID_NAME_MAX + 3];
	char source[MESSAGE_ENTRY_NAME_MAX + 128]; /* who puts what, for people */
};

static struct serve_put *of_receiving(struct receiving *receiving)
{
	return list_entry(receiving, struct serve_put, receiving);
}

/* ---- what the client is told ---- */

/* Of a failure of ours, in the client's words: the source is its, the destination ours. */
static enum status status_of(enum fault fault)
{
	switch (fault) {
	case FAULT_NONE: return STATUS_OK;
	case FAULT_REFUSED: return STATUS_IO;
	case FAULT_INTEGRITY: return STATUS_INTEGRITY;
	case FAULT_PEER: return STATUS_PROTOCOL;
	case FAULT_LOCAL: return STATUS_STORE;
	case FAULT_CHANGED: return STATUS_CHANGED;
	default: return STATUS_FAILED;
	}
}

static void memory_fail(struct serve *serve)
{
	struct error err = { 0 };

	error_set(&err, -ENOMEM, FAULT_LOCAL, "out of memory for a put");
	channel_fail(&serve->channel, STATUS_FAILED, &err);
}

static void done_say(struct serve *serve, uint32_t request, const struct message_done *done)
{
	struct channel *channel = &serve->channel;

	if (channel->state != CHANNEL_OPEN)
		return;
	if (message_done_write(channel_control(channel), request, channel->suite.limits.digest_size, done) < 0)
		memory_fail(serve);
	else
		channel_flush(channel);
}

static void refuse(struct serve *serve, uint32_t request, enum status status, const char *path, const char *cause)
{
	char text[ERROR_TEXT_MAX], shown[MESSAGE_TEXT_MAX / 2];
	int len = snprintf(text, sizeof(text), "%s: %s", text_printable(shown, sizeof(shown), path, strlen(path)),
	                   cause);

	/* One line of a session, however often it asks. */
	log_say(serve->base->log, serve->put_refused ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s: put refused: %s",
	        channel_peer(&serve->channel), text);
	serve->put_refused = true;
	done_say(serve, request, &(struct message_done){ .status = status, .text = text, .text_len = (size_t)len });
	serve_unheard(serve);
}

/* ---- the end ---- */

/* What was only skipped did not fail. */
static const char *result_of(enum fault fault, const struct sink_count *count)
{
	return fault == FAULT_NONE || (fault == FAULT_MIXED && count->failed == 0) ? "ok" : "failed";
}

static void log_line(struct serve_put *put, const struct sink_count *count, const char *result)
{
	put->transfer.files = count->files;
	put->transfer.bytes = count->bytes;
	put->transfer.chunks = count->chunks;
	put->transfer.failed = count->failed;
	transfer_line(put->serve, &put->transfer, "put", result);
}

/* Everything is published, or removed again. */
static void put_done(struct serve_put *put)
{
	struct serve *serve = put->serve;
	struct channel *channel = &serve->channel;
	struct sink_count count;
	struct message_done done = { .text = "" };
	enum fault fault = sink_result(put->receiving.sink, NULL);

	sink_counts(put->receiving.sink, &count);
	serve_joins_count(serve);
	sink_credit(sink_main(put->receiving.sink), &serve->consumed, &serve->granted);
	if (put->over)
		return; /* the session ended before */
	put->over = true;
	channel->put = false;
	channel->rx_limits.chunk_size = 0;
	done.status = status_of(fault);
	done.files = count.files;
	done.folders = count.dirs;
	done.links = count.links;
	done.skipped = count.skipped;
	done.failed = count.failed;
	done.bytes = count.bytes;
	done.received = count.received;
	done.chunks = count.chunks;
	done.repaired = count.repaired;
	done.kept = count.kept;
	done.same = count.same;
	if (put->receiving.kept)
		done.flags |= DONE_KEPT;
	serve->put_kept = put->receiving.kept;
	if (count.files == 1 && put->transfer.digest_size > 0) {
		done.flags |= DONE_DIGEST;
		done.digest = put->transfer.digest;
	}
	log_line(put, &count, result_of(fault, &count));
	done_say(serve, put->request, &done);
}

static void on_finished(struct receiving *receiving)
{
	struct serve_put *put = of_receiving(receiving);

	put_done(put);
	put->tidy = true;
	serve_half_closed(put->serve);
}

static void on_broken(struct receiving *receiving, struct receiving_lane *lane, const struct error *err)
{
	struct error said = *err;

	(void)receiving;
	channel_fail(lane->channel, err->fault == FAULT_INTEGRITY ? STATUS_INTEGRITY : STATUS_PROTOCOL, &said);
}

void serve_put_end(struct serve *serve, const struct error *err)
{
	struct serve_put *put = serve->put;
	struct sink_count count = { 0 };

	if (put == NULL || put->over)
		return;
	put->over = true;
	if (put->begun)
		sink_counts(put->receiving.sink, &count);
	if (!put->place.forget)
		log_line(put, &count,
		         err->code == -ETIMEDOUT ? "peer dead"
		         : err->code != 0        ? "broken off"
		                                 : "interrupted");
	if (put->begun)
		receiving_abort(&put->receiving);
}

bool serve_put_busy(const struct serve *serve)
{
	return serve->put != NULL && !serve->put->tidy;
}

void serve_put_free(struct serve *serve)
{
	struct serve_put *put = serve->put;

	if (put == NULL)
		return;
	serve->put = NULL;
	if (put->begun)
		receiving_close(&put->receiving);
	free(put->place.final);
	free(put->transfer.path);
	free(put);
}

/* ---- what happens ---- */

static void event_say(struct serve_put *put, const struct message_event *event)
{
	struct channel *channel = &put->serve->channel;

	if (channel->state == CHANNEL_OPEN &&
	    message_event_write(channel_control(channel), put->request, channel->suite.limits.digest_size, event) < 0)
		memory_fail(put->serve);
}

/* What is put, as messages show it. */
static const char *path_text(const struct serve_put *put, char out[ERROR_TEXT_MAX])
{
	return text_printable(out, ERROR_TEXT_MAX, put->transfer.path, strlen(put->transfer.path));
}

static void file_done(struct serve_put *put, const struct sink_event *event)
{
	struct serve *serve = put->serve;
	char path[ERROR_TEXT_MAX];

	put->transfer.digest_size = event->digest != NULL ? serve->channel.suite.limits.digest_size : 0;
	if (event->digest != NULL)
		memcpy(put->transfer.digest, event->digest, put->transfer.digest_size);
	if (log_wants(serve->base->log, LOG_LEVEL_DEBUG)) {
		char name[ERROR_TEXT_MAX];

		log_say(serve->base->log, LOG_LEVEL_DEBUG, "%s: %s%s%s: %llu bytes", channel_peer(&serve->channel),
		        path_text(put, path), event->path[0] != '\0' ? "/" : "",
		        text_printable(name, sizeof(name), event->path, strlen(event->path)),
		        (unsigned long long)event->bytes);
	}
	if (put->flags & MESSAGE_PUT_TELL)
		event_say(put, &(struct message_event){
				       .kind = EVENT_FILE,
				       .flags = event->digest != NULL ? EVENT_DIGEST : 0,
				       .size = event->bytes,
				       .digest = event->digest,
				       .text = event->path,
				       .text_len = strlen(event->path),
			       });
}

static void on_event(struct receiving *receiving, const struct sink_event *event)
{
	struct serve_put *put = of_receiving(receiving);
	bool skipped = event->kind == SINK_SKIPPED;
	char path[ERROR_TEXT_MAX];

	if (event->kind == SINK_UNCHANGED || event->kind == SINK_DIFFERS)
		return;

	if (event->kind == SINK_FILE_DONE) {
		file_done(put, event);
		return;
	}
	log_say(put->serve->base->log, LOG_LEVEL_INFO, "%s: %s: %s", channel_peer(&put->serve->channel),
	        path_text(put, path), event->text);
	event_say(put, &(struct message_event){
			       .kind = skipped ? EVENT_SKIPPED : EVENT_FAILED,
			       .status = skipped ? STATUS_SPECIAL : status_of(event->fault),
			       .text = event->text,
			       .text_len = strlen(event->text),
		       });
}

static void on_lane_gone(struct receiving *receiving, struct receiving_lane *lane)
{
	(void)receiving;
	serve_join_gone(lane);
}

static const struct receiving_watch receiving_events = {
	.event = on_event,
	.broken = on_broken,
	.lane_gone = on_lane_gone,
	.finished = on_finished,
};

struct receiving *serve_put_receiving(const struct serve *serve)
{
	struct serve_put *put = serve->put;

	return put != NULL && put->begun && !put->over && !put->tidy ? &put->receiving : NULL;
}

int serve_put_frame(struct serve *serve, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct serve_put *put = serve->put;

	if (put == NULL || !put->begun)
		return error_set(err, -EPROTO, FAULT_PEER, "a frame of type %d, for which nobody asked",
		                 (int)header->type);
	return receiving_frame(&put->receiving.main, header, bytes, buffer, err);
}

void serve_put_work(struct serve *serve)
{
	struct serve_put *put = serve->put;

	if (put == NULL)
		return;
	if (put->begun && !put->tidy)
		receiving_pump(&put->receiving);
	else if (put->tidy)
		serve_put_free(serve);
}

static uint64_t put_moved(const struct serve *serve)
{
	const struct serve_put *put = serve->put;

	if (put == NULL || !put->begun)
		return 0;
	return sink_moved(put->receiving.sink) + link_half(&serve->channel.link) + serve_joins_half(serve);
}

uint64_t serve_put_stalled(struct serve *serve, const char **name)
{
	struct serve_put *put = serve->put;
	const struct stall_look look = {
		.channel = &serve->channel,
		/* What is half received counts, too: a large frame takes its time. */
		.moved = put_moved(serve),
		.waits = put != NULL && put->begun && !put->tidy && sink_waits(put->receiving.sink),
	};

	if (put == NULL)
		return 0;
	*name = put->stall.text;
	return stall_look(&put->stall, &look, serve->channel.base->loop->now);
}

void serve_put_progress(const struct serve *serve, struct xfer_progress *ours)
{
	const struct serve_put *put = serve->put;

	if (put == NULL || put->tidy)
		return;
	if (put->placing)
		job_progress(&put->place.job, ours);
	else if (put->begun)
		receiving_progress(&put->receiving, ours);
}

/* ---- the beginning ---- */

/* What counts of what is there already. */
static unsigned reuse_flags(const struct serve_put *put)
{
	unsigned flags = 0;

	if (put->place.journal != NULL)
		flags |= SINK_FLAG_LEAVE | (put->place.resumed ? SINK_FLAG_RESUME : 0);
	if (put->flags & MESSAGE_PUT_UPDATE)
		flags |= SINK_FLAG_UPDATE | (put->flags & MESSAGE_PUT_CHECKSUM ? SINK_FLAG_COMPARE : 0);
	return flags;
}

static int put_begin(struct serve_put *put, struct error *err)
{
	struct serve *serve = put->serve;
	struct channel *channel = &serve->channel;
	const struct receiving_place place = {
		.root = put->place.root,
		.name = put->place.final,
		.name_exists = put->place.exists,
		.name_is_dir = put->place.is_dir,
		.remote = put->name[0] != '\0' ? put->name : ".",
		.sync = (put->flags & MESSAGE_PUT_NO_SYNC) == 0,
		.replace = true,
		.hidden = put->place.journal != NULL ? put->hidden : NULL,
		.flags = reuse_flags(put),
		.journal = put->place.journal,
		.keep = (put->flags & MESSAGE_PUT_KEEP) != 0,
		.lanes = put->flags & MESSAGE_PUT_SHARED ? 2 : 1,
	};
	int r = receiving_open(&put->receiving, channel, &place, serve->consumed, serve->granted, &receiving_events,
	                       err);

	if (r < 0)
		return r;
	put->place.journal = NULL;
	put->begun = true;
	serve_joins_begin(serve);
	stall_begin(&put->stall, channel->base->loop->now);
	channel->put = true;
	channel->rx_limits.chunk_size = channel->suite.limits.chunk_size;
	receiving_pump(&put->receiving);
	return 0;
}

/* From here on it is called by the name that it will have. Without memory, as the client called it. */
static void path_take(struct serve_put *put)
{
	const char *path = put->transfer.path, *final = put->place.final;
	char *full;

	if (asprintf(&full, "%.*s%s%s", (int)strcspn(path, "/"), path, final[0] != '\0' ? "/" : "", final) < 0)
		return;
	free(put->transfer.path);
	put->transfer.path = full;
	put->place.path = NULL;
}

/* Nobody asks for it any more, and it is not to be gone on with. */
static void put_forgotten(struct serve_put *put)
{
	const struct message_done done = { .status = STATUS_OK, .text = "" };

	put->over = true;
	put->serve->channel.put = false;
	done_say(put->serve, put->request, &done);
	serve_unheard(put->serve);
}

/* The place job is back. */
static void on_placed(struct loop_owner *owner, struct job *job)
{
	struct serve_put *put = list_entry(owner, struct serve_put, owner);
	struct serve *serve = put->serve;
	enum status status = put->place.status;
	struct error err = put->place.err;

	(void)job;
	put->placing = false;
	if (!put->over && status == STATUS_OK && put->place.forget) {
		put_forgotten(put);
	} else if (!put->over && status == STATUS_OK) {
		path_take(put);
		if (put_begin(put, &err) == 0)
			return;
		status = STATUS_STORE;
	}
	if (!put->over)
		refuse(serve, put->request, status, put->transfer.path, err.text);
	journal_close(put->place.journal);
	put->place.journal = NULL;
	put->over = true;
	put->tidy = true;
	serve_half_closed(serve);
}

/* Why it may not be put there, or STATUS_OK. */
static enum status put_check(struct serve *serve, const struct serve_put *put, const struct serve_export *export,
                             struct error *err)
{
	/* What was done before may end. */
	if (serve->channel.goaway && (put->flags & MESSAGE_PUT_FORGET) == 0) {
		error_set(err, -ESHUTDOWN, FAULT_PEER, "%s", status_text(STATUS_SHUTDOWN));
		return STATUS_SHUTDOWN;
	}
	if (serve->join != NULL) {
		error_set(err, -EBUSY, FAULT_REFUSED, "this session takes part in the puts of another one");
		return STATUS_LIMIT;
	}
	if (serve->put != NULL) {
		error_set(err, -EBUSY, FAULT_REFUSED, "another put of this session is not done");
		return STATUS_LIMIT;
	}
	if (export == NULL)
		error_set(err, -EACCES, FAULT_REFUSED, "there is no such export, or it is not for %s%s%s",
		          serve_identity(serve), serve_identity(serve)[0] != '\0' ? " at " : "",
		          channel_peer(&serve->channel));
	else if (!export->settings->writable)
		error_set(err, -EROFS, FAULT_REFUSED, "the export %s is read-only", export->settings->name);
	else if (store_path_hidden(put->place.path) || store_path_hidden(put->name))
		error_set(err, -EACCES, FAULT_REFUSED, "names that begin with %s are for unfinished files",
		          STORE_HIDDEN);
	else if (store_path_check(put->place.path, strlen(put->place.path), err) == 0)
		return STATUS_OK;
	return STATUS_REFUSED;
}

static struct serve_put *put_make(struct serve *serve, uint32_t request, const struct message_put *message)
{
	struct serve_put *put = calloc(1, sizeof(*put));
	char *path = strndup(message->path, message->path_len);

	if (put == NULL || path == NULL) {
		free(put);
		free(path);
		return NULL;
	}
	put->serve = serve;
	put->owner.done = on_placed;
	put->request = request;
	put->flags = message->flags;
	put->transfer.path = path;
	put->transfer.began = serve->channel.base->loop->now;
	memcpy(put->name, message->name, message->name_len);
	memcpy(put->place.id, message->id, sizeof(put->place.id));
	transfer_id_name(put->hidden, message->id);
	snprintf(put->journal_path, sizeof(put->journal_path), "%s/%s.j", JOURNAL_FOLDER,
	         put->hidden + sizeof(STORE_HIDDEN) - 1);
	snprintf(put->source, sizeof(put->source), "%s of %s", put->name[0] != '\0' ? put->name : ".",
	         channel_peer(&serve->channel));
	return put;
}

static void put_free(struct serve_put *put)
{
	free(put->transfer.path);
	free(put);
}

static void put_place(struct serve *serve, struct serve_put *put, const struct serve_export *export)
{
	serve->put = put;
	put->placing = true;
	put->place.job.kind = JOB_PLACE;
	put->place.job.suite = &serve->channel.suite;
	put->place.job.owner = &put->owner;
	put->place.forget = (put->flags & MESSAGE_PUT_FORGET) != 0;
	put->place.root = export->root;
	put->place.name = put->name;
	put->place.hidden = put->hidden;
	put->place.source = put->source;
	put->place.journal_path = put->place.forget || (put->flags & MESSAGE_PUT_NO_RESUME) == 0 ? put->journal_path
	                                                                                         : NULL;
	put->place.into = (put->flags & MESSAGE_PUT_INTO) != 0;
	loop_submit(serve->channel.base->loop, &put->place.job);
}

int serve_put_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	const struct serve_export *export;
	struct error cause = { 0 };
	struct message_put message;
	struct serve_put *put;
	enum status status;
	const char *rest;
	int r = message_put_read(body, header->length, &message, err);

	if (r < 0)
		return r;
	serve->put_kept = false;
	if (serve->put != NULL && serve->put->tidy)
		serve_put_free(serve);
	if (serve->put != NULL && serve->put->request == header->request)
		return error_set(err, -EPROTO, FAULT_PEER, "request %u is in use already", header->request);
	put = put_make(serve, header->request, &message);
	if (put == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a put");
	export = serve_export_find(serve, put->transfer.path, &rest);
	put->place.path = rest;
	status = put_check(serve, put, export, &cause);
	if (status == STATUS_OK) {
		put_place(serve, put, export);
		return 0;
	}
	refuse(serve, header->request, status, put->transfer.path, cause.text);
	put_free(put);
	return 0;
}
