/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer ls: a listing, told entry by entry as it comes. */
#include "base/text.h"
#include "client/client_state.h"
#include "engine/checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST = 1, CREDIT = 256 * 1024 };

struct listing {
	struct loop_owner owner;
	struct client *client;
	const struct url *url;
	struct checks checks;
	uint64_t received; /* bytes of entries */
	unsigned depth;    /* directories open */
	size_t path_len;
	bool recursive;
	bool told;                       /* an entry was: it would be told twice */
	bool whole;                      /* the first entry was: nothing comes behind it but what is in it */
	struct ending ending;            /* but for NONE nothing more is taken */
	struct error err;                /* why it cannot go on */
	char path[MESSAGE_PATH_MAX + 1]; /* of the directory that the listing is in, beneath the URL's path */
};

static bool listing_over(const struct listing *listing)
{
	return listing->ending.kind != ENDING_NONE;
}

static void listing_end(struct listing *listing, const struct ending *ending)
{
	if (!listing_over(listing))
		listing->ending = *ending;
	checks_end(&listing->checks);
	if (listing->checks.jobs == 0)
		client_stop(listing->client);
}

static int protocol_broken(struct listing *listing, const char *how)
{
	return error_set(&listing->err, -EPROTO, FAULT_PEER, "%s breaks the protocol: %s",
	                 channel_peer(&listing->client->channel), how);
}

static int path_enter(struct listing *listing, const struct entry *entry)
{
	size_t slash = listing->path_len > 0 ? 1 : 0;

	if (listing->path_len + slash + entry->name_len > MESSAGE_PATH_MAX)
		return error_set(&listing->err, -ENAMETOOLONG, FAULT_PEER,
		                 "the listing goes deeper than paths can be long");
	if (slash > 0)
		listing->path[listing->path_len] = '/';
	memcpy(listing->path + listing->path_len + slash, entry->name, entry->name_len);
	listing->path_len += slash + entry->name_len;
	listing->path[listing->path_len] = '\0';
	return 0;
}

static void path_leave(struct listing *listing)
{
	while (listing->path_len > 0 && listing->path[listing->path_len - 1] != '/')
		listing->path_len--;
	if (listing->path_len > 0)
		listing->path_len--;
	listing->path[listing->path_len] = '\0';
}

/* The thing asked for has the path "", what is in it has its name, and so on. */
static int entry_tell(struct listing *listing, const struct entry *entry)
{
	const struct client_watch *watch = &listing->client->watch;
	bool top = listing->depth == 0;
	int r = 0;

	if (entry->kind == ENTRY_UP) {
		if (listing->depth == 0)
			return protocol_broken(listing, "the listing leaves what it never entered");
		listing->depth--;
		if (listing->depth > 0)
			path_leave(listing);
		return 0;
	}
	if (top && listing->whole)
		return protocol_broken(listing, "the listing goes on behind its end");
	listing->whole = true;
	if (!top)
		r = path_enter(listing, entry);
	if (r < 0)
		return r;
	listing->told = true;
	if (watch->entry != NULL)
		watch->entry(watch->context, listing->path, entry);
	if (entry->kind == ENTRY_DIR)
		listing->depth++;
	else if (!top)
		path_leave(listing);
	return 0;
}

static int entries_take(struct listing *listing, const uint8_t *run, size_t len)
{
	struct entry entry;
	size_t at = 0;
	int r = 0;

	listing->received += len;
	while (r == 0 && at < len) {
		r = message_entry_read(run, len, &at, &entry, &listing->err);
		if (r == 0)
			r = entry_tell(listing, &entry);
	}
	if (r == 0 && listing->client->channel_live)
		r = message_credit_write(channel_control(&listing->client->channel), REQUEST,
		                         listing->received + CREDIT);
	if (listing->client->channel_live)
		channel_flush(&listing->client->channel);
	return r;
}

static int ends_take(struct listing *listing, const uint8_t *run, size_t len)
{
	uint32_t digest_size = listing->client->channel.suite.limits.digest_size;
	char text[MESSAGE_TEXT_MAX], path[ERROR_TEXT_MAX / 2];
	struct ending ending = { .kind = ENDING_DONE };
	struct end end;
	size_t at = 0;
	int r = message_end_read(run, len, &at, digest_size, &end, &listing->err);

	if (r < 0)
		return r;
	if (end.status == STATUS_OK && (!listing->whole || listing->depth > 0))
		return protocol_broken(listing, "the listing ended before its end");
	if (end.status != STATUS_OK) {
		text_printable(text, sizeof(text), end.text, end.text_len);
		text_printable(path, sizeof(path), listing->url->path, strlen(listing->url->path));
		error_set(&listing->err, -ENOENT, status_fault(end.status), "%s: %s", path,
		          text[0] != '\0' ? text : status_text(end.status));
		ending_without(&ending, &listing->err);
	}
	listing_end(listing, &ending);
	return 0;
}

static int run_take(void *context, enum frame_type type, const uint8_t *run, size_t len, struct error *err)
{
	struct listing *listing = context;

	(void)err; /* texts go to listing->err */
	return type == FRAME_ENTRIES ? entries_take(listing, run, len) : ends_take(listing, run, len);
}

static void run_failed(void *context, const struct error *err)
{
	struct listing *listing = context;
	struct client *client = listing->client;
	struct ending ending;

	ending_of_channel(&ending, err->code < 0 ? err : &listing->err, &client->channel);
	listing_end(listing, &ending);
	client_fail(client, &ending.err);
}

static int on_frame(void *context, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                    struct error *err)
{
	struct listing *listing = context;

	if (listing_over(listing))
		return 0;
	if (header->type != FRAME_ENTRIES && header->type != FRAME_ENDS)
		return error_set(err, -EPROTO, FAULT_PEER, "an unexpected frame of type %d", (int)header->type);
	return checks_add(&listing->checks, header, bytes + FRAME_HEADER, buffer, err);
}

static void on_job(struct loop_owner *owner, struct job *job)
{
	struct listing *listing = list_entry(owner, struct listing, owner);

	checks_done(&listing->checks, job);
	if (listing_over(listing) && listing->checks.jobs == 0)
		client_stop(listing->client);
}

static void on_open(void *context)
{
	struct listing *listing = context;
	const struct message_list list = {
		.depth = listing->recursive ? MESSAGE_DEPTH_ALL : 1,
		.credit = CREDIT,
		.path = listing->url->path,
		.path_len = strlen(listing->url->path),
	};

	struct ending ending;

	if (message_list_write(channel_control(&listing->client->channel), REQUEST, &list) < 0) {
		error_set(&listing->err, -ENOMEM, FAULT_LOCAL, "out of memory for a request");
		ending_without(&ending, &listing->err);
		listing_end(listing, &ending);
	}
	channel_flush(&listing->client->channel);
}

static void on_ended(void *context, const struct ending *ending)
{
	listing_end(context, ending);
}

static const struct client_verb listing_verb = {
	.open = on_open,
	.frame = on_frame,
	.ended = on_ended,
};

static void attempt(void *context, struct ending *ending)
{
	struct listing *listing = context;
	struct client *client = listing->client;

	listing->received = 0;
	listing->depth = 0;
	listing->whole = false;
	listing->path_len = 0;
	listing->path[0] = '\0';
	listing->ending.kind = ENDING_NONE;
	error_clear(&listing->err);
	listing->checks = (struct checks){
		.loop = client->loop,
		.owner = &listing->owner,
		.suite = &client->channel.suite,
		.take = run_take,
		.failed = run_failed,
		.context = listing,
	};
	list_init(&listing->checks.queue);
	if (client_try(client, listing->url, &listing_verb, listing, ending))
		*ending = listing->ending;
	checks_end(&listing->checks);
	/* Another one would tell the same entries again. */
	if (listing->told && ending->kind > ENDING_FINAL)
		ending->kind = ENDING_FINAL;
}

int client_list(struct client *client, const struct url *url, bool recursive, struct error *err)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	const struct reconnect_job job = { .attempt = attempt, .context = listing };
	int r;

	if (listing == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	listing->client = client;
	listing->url = url;
	listing->recursive = recursive;
	listing->owner.done = on_job;
	r = reconnect_run(client, url, &job, err);
	client_disconnect(client);
	free(listing);
	return r;
}
