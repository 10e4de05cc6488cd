/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon says of a put, in EVENT and DONE frames: told to the user, and added to the sum. */
#include "base/text.h"
#include "client/push_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The daemon's words of what failed: where it says io, our side could not read; and its disk is not ours. */
static enum fault fault_of(enum status status)
{
	return status == STATUS_IO ? FAULT_LOCAL : status_fault(status);
}

static const char *said_text(char *out, size_t size, enum status status, const char *text, size_t len)
{
	char shown[ERROR_TEXT_MAX - 32];

	text_printable(shown, sizeof(shown), text, len);
	snprintf(out, size, "%s%s", status == STATUS_STORE ? "at the daemon: " : "", shown);
	return out;
}

static void file_tell(struct push *push, const struct message_event *event)
{
	struct client *client = push->session->client;
	const struct suite *suite = &client->channel.suite;
	char digest[MESSAGE_DIGEST_TEXT_MAX] = "", path[MESSAGE_PATH_MAX + 1];

	if (client->watch.file == NULL)
		return;
	memcpy(path, event->text, event->text_len);
	path[event->text_len] = '\0';
	if (suite->limits.digest_size == 0 || event->digest != NULL)
		message_digest_text(digest, suite->integrity->about.name, suite->limits.chunk_size, event->digest,
		                    suite->limits.digest_size);
	client->watch.file(client->watch.context, path[0] != '\0' ? path : push->source->name, event->size, digest);
}

int push_event(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct client *client = push->session->client;
	struct message_event event;
	char text[ERROR_TEXT_MAX];
	int r = message_event_read(body, header->length, client->channel.suite.limits.digest_size, &event, err);

	if (r < 0 || header->request != PUSH_REQUEST)
		return r;
	if (event.kind == EVENT_FILE) {
		file_tell(push, &event);
		return 0;
	}
	said_text(text, sizeof(text), event.status, event.text, event.text_len);
	client_say(client, event.kind == EVENT_SKIPPED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, fault_of(event.status),
	           text);
	return 0;
}

static void sum_add(struct push *push, const struct message_done *done)
{
	struct client_summary *summary = push->sum->summary;
	const struct suite *suite = &push->session->client->channel.suite;

	summary->files += done->files;
	summary->dirs += done->folders;
	summary->links += done->links;
	summary->skipped += done->skipped;
	summary->failed += done->failed;
	summary->bytes += done->bytes;
	summary->received += done->received;
	summary->chunks += done->chunks;
	summary->repaired += done->repaired;
	summary->kept += done->kept;
	summary->same += done->same;
	if (done->files > 0 && (done->digest != NULL || suite->limits.digest_size == 0))
		message_digest_text(summary->digest, suite->integrity->about.name, suite->limits.chunk_size,
		                    done->digest, suite->limits.digest_size);
	/* What is done is what the daemon says, not what was sent. */
	push->files = done->files;
	push->bytes = done->bytes;
}

/* What cannot be: the source was not even looked at, or is still being asked for. Nobody may call that done. */
static const char *done_flaw(const struct push *push, const struct message_done *done)
{
	const struct source *source = push->session->sending.source;

	if (done->status != STATUS_OK)
		return NULL;
	if (!push->listed)
		return "a DONE before it asked what there is to put";
	if (source != NULL && source_pending(source) > 0)
		return "a DONE while what it asked for is not answered";
	if (push->source->is_file && done->files + done->same == 0)
		return "a DONE without the file that is put";
	return NULL;
}

/* This attempt came to nothing, and another one may not. */
static bool done_tries_again(const struct push *push, const struct message_done *done, struct ending *ending)
{
	const struct channel *channel = &push->session->client->channel;

	if (done->status == STATUS_SHUTDOWN) {
		ending_away(ending, channel_peer(channel));
		return true;
	}
	/* The daemon has not noticed yet that the session before this one is gone. */
	if (done->status != STATUS_BUSY || push->attempts < 2)
		return false;
	ending->kind = ENDING_BUSY;
	error_set(&ending->err, -EBUSY, FAULT_PEER, "%s has not given up the session before", channel_peer(channel));
	return true;
}

/* All is done; the daemon goes on when it knows that we know, and until then our session is not at its end. */
static int done_kept(struct push *push, const struct message_done *done, struct error *err)
{
	struct client *client = push->session->client;
	int r;

	if (done->status != STATUS_OK)
		return error_set(err, -EPROTO, FAULT_PEER, "a DONE of what failed, and is to be forgotten");
	sum_add(push, done);
	push->kept = true;
	client->channel.put = true;
	r = push_write(push, err);
	if (r == 0)
		channel_flush(&client->channel);
	return r;
}

void push_left(const struct push *push, const char *why)
{
	char text[ERROR_TEXT_MAX + 80];

	snprintf(text, sizeof(text), "all is put, but its journal stays at the daemon until it expires: %s", why);
	client_say(push->session->client, LOG_LEVEL_WARN, FAULT_NONE, text);
}

int push_done(struct push *push, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct client *client = push->session->client;
	struct message_done done;
	struct error cause = { 0 };
	struct ending ending;
	char text[ERROR_TEXT_MAX];
	int r = message_done_read(body, header->length, client->channel.suite.limits.digest_size, &done, err);

	if (r < 0 || header->request != PUSH_REQUEST)
		return r;
	if (!push->kept && done_flaw(push, &done) != NULL)
		return error_set(err, -EPROTO, FAULT_PEER, "%s", done_flaw(push, &done));
	client->channel.put = false;
	if ((done.flags & DONE_KEPT) != 0 && !push->kept)
		return done_kept(push, &done, err);
	if (done_tries_again(push, &done, &ending)) {
		push_end(push, &ending);
		return 0;
	}
	push_end(push, NULL);
	if (push->kept) {
		if (done.status != STATUS_OK)
			push_left(push, said_text(text, sizeof(text), done.status, done.text, done.text_len));
		return 0; /* what it came to was said before */
	}
	sum_add(push, &done);
	if (done.status != STATUS_OK) {
		said_text(text, sizeof(text), done.status, done.text, done.text_len);
		error_set(&cause, -EIO, fault_of(done.status), "%s", text);
		client_sum_fault(push->sum, &cause);
		if (done.text_len > 0)
			client_say(client, LOG_LEVEL_ERROR, cause.fault, cause.text);
	}
	return 0;
}
