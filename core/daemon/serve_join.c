/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/serve_join.h"

#include "daemon/local.h"
#include "daemon/relay.h"
#include "daemon/serve_put.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED_MAX = 8 /* JOINs of a session */ };

struct serve_join {
	struct list link; /* in main->joined, or alone */
	struct serve *serve;
	struct serve *main;  /* NULL: the other session is gone, or in another worker */
	struct relay *relay; /* to another worker; NULL: none */
	struct receiving_lane lane;
	uint64_t consumed, granted; /* credit of the session, see sink_credit() */
};

/* ---- the beginning ---- */

/* Looking for sessions costs something, and who is refused has no reason to ask again and again. */
static void refused(struct serve *serve)
{
	if (++serve->joins_refused >= REFUSED_MAX)
		serve_end(serve, STATUS_LIMIT, "too many JOINs were refused");
	else
		serve_unheard(serve);
}

static void refuse(struct serve *serve, uint32_t request, enum status status, const char *text)
{
	const struct message_done done = { .status = status, .text = text, .text_len = strlen(text) };
	struct channel *channel = &serve->channel;

	/* One line of a session, however often it asks. */
	log_say(serve->base->log, serve->joins_refused > 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s: join refused: %s",
	        channel_peer(channel), text);
	if (message_done_write(channel_control(channel), request, channel->suite.limits.digest_size, &done) == 0)
		channel_flush(channel);
	refused(serve);
}

/* The session that was given this key. */
static struct serve *find(const struct serve_base *base, const struct message_join *join)
{
	for (struct list *node = base->sessions.next; node != &base->sessions; node = node->next) {
		struct serve *serve = list_entry(node, struct serve, link);

		if (serve->channel.state == CHANNEL_OPEN && serve->join == NULL &&
		    memcmp(serve->channel.key, join->key, sizeof(join->key)) == 0)
			return serve;
	}
	return NULL;
}

static bool alike(const struct channel *a, const struct channel *b)
{
	return a->suite.integrity == b->suite.integrity && a->suite.limits.chunk_size == b->suite.limits.chunk_size;
}

static void lane_open(struct serve_join *join)
{
	struct receiving *receiving = join->main != NULL ? serve_put_receiving(join->main) : NULL;
	struct error err = { 0 };

	/* Without memory it takes no part in this put. */
	if (receiving != NULL && !receiving_lane_busy(&join->lane) && join->serve->channel.state == CHANNEL_OPEN &&
	    receiving_lane_open(receiving, &join->lane, &join->serve->channel, join->consumed, join->granted, &err) ==
	            0)
		receiving_pump(receiving);
}

static bool is_ours(const struct serve *serve, const struct message_join *join)
{
	return memcmp(join->boot_id, serve->base->channel.offer.boot_id, sizeof(join->boot_id)) == 0;
}

/* The other worker is gone, and with it what was to be joined. */
static void on_relay_ended(void *context, const struct error *err)
{
	struct serve_join *join = context;
	struct channel *channel = &join->serve->channel;

	log_say(join->serve->base->log, LOG_LEVEL_DEBUG, "%s: the worker that it was passed on to is gone: %s",
	        channel_peer(channel), err->text);
	channel_finish(channel);
}

static void on_relay_closed(void *context)
{
	struct serve_join *join = context;

	join->relay = NULL;
	serve_half_closed(join->serve);
}

/* From here on it is this session's. */
static struct serve_join *join_make(struct serve *serve)
{
	struct channel *channel = &serve->channel;
	struct serve_join *join = calloc(1, sizeof(*join));

	if (join == NULL)
		return NULL;
	join->serve = serve;
	list_init(&join->link);
	serve->join = join;
	channel->put = true;
	channel->rx_limits.chunk_size = channel->suite.limits.chunk_size;
	return join;
}

static void join_drop(struct serve *serve)
{
	serve->channel.put = false;
	serve->channel.rx_limits.chunk_size = 0;
	serve_join_free(serve);
}

/* The session is as it was before. */
static void on_relay_refused(void *context)
{
	struct serve_join *join = context;
	struct serve *serve = join->serve;

	relay_drop(join->relay);
	join_drop(serve);
	refused(serve);
}

/* The other session is in another worker: there it is for that one to say whether it may be joined. */
static int pass_on(struct serve *serve, uint32_t request, const struct message_join *message, struct error *err)
{
	struct serve_join *join = join_make(serve);
	const struct relay_watch watch = {
		.context = join, .ended = on_relay_ended, .refused = on_relay_refused, .closed = on_relay_closed
	};
	struct error cause = { 0 };

	if (join == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a join");
	if (relay_open(&join->relay, &serve->channel, request, message, &watch, &cause) == 0)
		return 0;
	log_say(serve->base->log, LOG_LEVEL_DEBUG, "%s: %s", channel_peer(&serve->channel), cause.text);
	join_drop(serve);
	refuse(serve, request, STATUS_NOT_FOUND, "there is no such session to join");
	return 0;
}

int serve_join_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	struct channel *channel = &serve->channel;
	struct message_join message;
	struct serve_join *join;
	struct serve *main;
	int r = message_join_read(body, header->length, &message, err);

	if (r < 0)
		return r;
	if (serve->join != NULL || serve->put != NULL) {
		refuse(serve, header->request, STATUS_LIMIT, "this session has work of its own");
		return 0;
	}
	/* What was passed on once is not passed on again. */
	if (!is_ours(serve, &message) && serve->channel.link.transport != &local_transport)
		return pass_on(serve, header->request, &message, err);
	main = find(serve->base, &message);
	if (main == NULL || main == serve || !alike(channel, &main->channel)) {
		refuse(serve, header->request, STATUS_NOT_FOUND, "there is no such session to join");
		return 0;
	}
	join = join_make(serve);
	if (join == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a join");
	join->main = main;
	list_append(&main->joined, &join->link);
	log_say(serve->base->log, LOG_LEVEL_DEBUG, "%s: joins the session of %s", channel_peer(channel),
	        channel_peer(&main->channel));
	lane_open(join);
	return 0;
}

/* ---- what happens ---- */

int serve_join_frame(struct serve *serve, const struct frame_header *header, const uint8_t *bytes, struct lent *buffer,
                     struct error *err)
{
	struct serve_join *join = serve->join;

	if (join->relay != NULL)
		return relay_frame(join->relay, header, bytes, buffer, err);
	if (join->lane.lane == NULL || join->main == NULL)
		return 0; /* the put is over that it was for */
	return receiving_frame(&join->lane, header, bytes, buffer, err);
}

void serve_join_work(struct serve *serve)
{
	struct receiving *receiving = serve->join != NULL && serve->join->main != NULL
	                                      ? serve_put_receiving(serve->join->main)
	                                      : NULL;

	if (serve->join != NULL && serve->join->relay != NULL)
		relay_work(serve->join->relay);
	if (receiving != NULL)
		receiving_pump(receiving);
}

bool serve_join_works(const struct serve *serve)
{
	const struct serve_join *join = serve->join;

	return join != NULL && (join->relay != NULL || (join->main != NULL && serve_put_busy(join->main)));
}

/* ---- the end ---- */

void serve_join_end(struct serve *serve)
{
	struct list *node;

	if (serve->join != NULL) {
		list_remove(&serve->join->link);
		if (serve->join->relay != NULL)
			relay_close(serve->join->relay);
		receiving_lane_end(&serve->join->lane);
		serve_join_work(serve); /* others are asked for what it owed */
	}
	while ((node = list_first(&serve->joined)) != NULL) {
		list_remove(node);
		list_entry(node, struct serve_join, link)->main = NULL;
	}
}

bool serve_join_busy(const struct serve *serve)
{
	return serve->join != NULL && (serve->join->relay != NULL || receiving_lane_busy(&serve->join->lane));
}

void serve_join_gone(struct receiving_lane *lane)
{
	struct serve_join *join = list_entry(lane, struct serve_join, lane);

	serve_half_closed(join->serve);
}

void serve_join_free(struct serve *serve)
{
	free(serve->join);
	serve->join = NULL;
}

/* ---- a put of the other one ---- */

void serve_joins_begin(struct serve *serve)
{
	for (struct list *node = serve->joined.next; node != &serve->joined; node = node->next)
		lane_open(list_entry(node, struct serve_join, link));
}

void serve_joins_count(struct serve *serve)
{
	for (struct list *node = serve->joined.next; node != &serve->joined; node = node->next) {
		struct serve_join *join = list_entry(node, struct serve_join, link);

		if (join->lane.lane != NULL)
			sink_credit(join->lane.lane, &join->consumed, &join->granted);
	}
}

uint64_t serve_joins_half(const struct serve *serve)
{
	uint64_t bytes = 0;

	for (const struct list *node = serve->joined.next; node != &serve->joined; node = node->next)
		bytes += link_half(&list_entry(node, struct serve_join, link)->serve->channel.link);
	return bytes;
}
