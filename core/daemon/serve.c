/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/serve.h"

#include "config/allow.h"
#include "daemon/deaths.h"
#include "daemon/serve_join.h"
#include "daemon/serve_put.h"
#include "daemon/transfer_log.h"
#include "registry/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSALS_AHEAD = 256 * 1024 /* bytes of control frames not yet sent */ };

#define NEW_FOR (500 * CLOCK_MS) /* after the hello, for the first request */

static struct serve *of_channel(struct channel *channel)
{
	return channel->owner;
}

static struct serve *of_sending(struct sending *sending)
{
	return of_channel(sending->channel);
}

/* ---- what requests mean ---- */

/*
 * A user's own files: "~/rest" lies in the home, and so does what has the home in front, since only there the journals of
 * puts have a place that is surely the user's. Everything else lies in "/".
 */
static const struct serve_export *own_find(const struct serve_base *base, const char *path, const char **rest)
{
	for (size_t i = 1; i < base->export_count; i++) {
		const char *home = base->exports[i].settings->path + 1;
		size_t len = strlen(home);

		if (path[0] == '~' && (path[1] == '/' || path[1] == '\0'))
			*rest = path + 1 + (path[1] == '/');
		else if (strncmp(path, home, len) == 0 && (path[len] == '/' || path[len] == '\0'))
			*rest = path + len + (path[len] == '/');
		else
			continue;
		return &base->exports[i];
	}
	*rest = path;
	return &base->exports[0];
}

/* Takes "export/rest" apart. *rest is "" for the export itself. NULL when there is no such export. */
static const struct serve_export *export_find(const struct serve_base *base, const char *path, const char **rest)
{
	size_t len = strcspn(path, "/");

	if (base->own)
		return own_find(base, path, rest);
	*rest = path[len] == '/' ? path + len + 1 : path + len;
	for (size_t i = 0; i < base->export_count; i++) {
		const struct serve_export *export = &base->exports[i];

		if (strlen(export->settings->name) == len && memcmp(export->settings->name, path, len) == 0)
			return export;
	}
	return NULL;
}

const char *serve_identity(const struct serve *serve)
{
	return serve->channel.remote != NULL ? channel_identity(serve->channel.remote) : "";
}

/* NULL, or the key that keeps the peer out. */
static const char *export_forbids(const struct serve_export *export, const struct serve *serve)
{
	const struct settings_export *settings = export->settings;
	const struct channel_remote *remote = serve->channel.remote;

	if (settings->allow_from != NULL &&
	    (remote == NULL || !allow_permits(settings->allow_from, &remote->address.any)))
		return "allow-from";
	if (!allow_names(settings->allow, serve_identity(serve)))
		return "allow";
	return NULL;
}

const struct serve_export *serve_export_find(struct serve *serve, const char *path, const char **rest)
{
	const struct serve_export *export = export_find(serve->base, path, rest);
	const char *forbids;

	if (export == NULL || export->root == NULL)
		return NULL;
	forbids = export_forbids(export, serve);
	if (forbids == NULL)
		return export;
	/* To the peer it looks like one that is not there; the log has a line, and one only, whatever it asks for. */
	if (!serve->forbidden)
		log_say(serve->base->log, LOG_LEVEL_INFO, "%s%s%s: the export %s is not for it, by %s",
		        channel_peer(&serve->channel), serve_identity(serve)[0] != '\0' ? " as " : "",
		        serve_identity(serve), export->settings->name, forbids);
	serve->forbidden = true;
	return NULL;
}

/* The names of the exports that are for this peer; base->names holds them until the next call. */
static size_t names_fill(const struct serve *serve)
{
	const struct serve_base *base = serve->base;
	size_t count = 0;

	for (size_t i = 0; i < base->export_count; i++)
		if (export_forbids(&base->exports[i], serve) == NULL)
			base->names[count++] = base->exports[i].settings->name;
	return count;
}

static void on_place(struct sending *sending, const char *path, struct sending_place *out)
{
	struct serve *serve = of_sending(sending);
	const struct serve_export *export;

	*out = (struct sending_place){ .names = serve->base->names };
	if (path[0] == '\0' && !serve->base->own) {
		out->name_count = names_fill(serve);
		return;
	}
	export = serve_export_find(serve, path, &out->rest);
	if (export == NULL || store_path_check(out->rest, strlen(out->rest), NULL) < 0) {
		out->refuse = STATUS_REFUSED;
		return;
	}
	/* What is unfinished is not there yet. */
	if (store_path_hidden(out->rest)) {
		out->refuse = STATUS_NOT_FOUND;
		return;
	}
	out->root = export->root;
	/* What a copy of the whole of it is called where no other name is given. */
	out->name = export->settings->name[0] != '\0' ? export->settings->name : "root";
}

static void on_asked(struct sending *sending, const struct message_list *list)
{
	struct serve *serve = of_sending(sending);

	if (list != NULL)
		transfer_list(serve, list);
	else
		transfer_read(serve);
}

static void on_piece(struct sending *sending, const struct read_piece *piece, const struct source_request *request)
{
	transfer_piece(of_sending(sending), piece, request);
}

static void session_free(struct serve *serve)
{
	limits_leave(&serve->base->limits, &serve->entry);
	list_remove(&serve->link);
	serve->base->session_count--;
	free(serve->sending);
	free(serve);
}

void serve_half_closed(struct serve *serve)
{
	struct serve_base *base = serve->base;

	if (!serve->closed || serve_put_busy(serve) || serve_join_busy(serve))
		return;
	serve_put_free(serve);
	serve_join_free(serve);
	transfer_free(serve);
	session_free(serve);
	base->gone(base);
}

/* The channel is gone and so are the jobs of this half. */
static void on_sending_closed(struct sending *sending)
{
	struct serve *serve = of_sending(sending);

	serve->closed = true;
	serve_half_closed(serve);
}

static const struct sending_watch sending_events = {
	.place = on_place,
	.asked = on_asked,
	.piece = on_piece,
	.closed = on_sending_closed,
};

static int sending_take(struct serve *serve, const struct frame_header *header, const uint8_t *body, struct error *err)
{
	if (serve->sending == NULL) {
		serve->sending = malloc(sizeof(*serve->sending));
		if (serve->sending == NULL)
			return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for what it asks for");
		sending_open(serve->sending, &serve->channel, &sending_events, serve->base->channel.requests_max);
	}
	return sending_frame(serve->sending, header, body, err);
}

/* ---- the session ---- */

static void on_open(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	log_say(serve->base->log, LOG_LEVEL_DEBUG, "session from %s%s%s: %s, chunks of %u bytes", channel_peer(channel),
	        serve_identity(serve)[0] != '\0' ? " as " : "", serve_identity(serve),
	        channel->suite.integrity->about.name, channel->suite.limits.chunk_size);
}

static int on_frame(struct channel *channel, const struct frame_header *header, const uint8_t *bytes,
                    struct lent *buffer, struct error *err)
{
	struct serve *serve = of_channel(channel);

	switch (header->type) {
	case FRAME_PUT: return serve_put_take(serve, header, bytes + FRAME_HEADER, err);
	case FRAME_JOIN: return serve_join_take(serve, header, bytes + FRAME_HEADER, err);
	case FRAME_ENTRIES:
	case FRAME_ENDS:
	case FRAME_CHUNK:
	case FRAME_HOLE:
	case FRAME_DIGEST_RUN:
		if (serve->join != NULL)
			return serve_join_frame(serve, header, bytes, buffer, err);
		return serve_put_frame(serve, header, bytes, buffer, err);
	default: return sending_take(serve, header, bytes + FRAME_HEADER, err);
	}
}

static void on_work(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	if (serve->sending != NULL)
		sending_pump(serve->sending);
	serve_put_work(serve);
	serve_join_work(serve);
}

/* It did not get on, others needed its buffers, and now it could. */
static void on_refill(struct channel *channel)
{
	log_say(of_channel(channel)->base->log, LOG_LEVEL_DEBUG, "%s takes bytes again, reading on",
	        channel_peer(channel));
	sending_refill(of_channel(channel)->sending);
}

static void on_progress(struct channel *channel, struct xfer_progress *ours)
{
	struct serve *serve = of_channel(channel);

	if (serve->sending != NULL)
		sending_progress(serve->sending, ours);
	serve_put_progress(serve, ours);
}

static uint64_t on_look(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	return limits_look(&serve->base->limits, serve);
}

static void on_warn(struct channel *channel, const char *text)
{
	log_say(of_channel(channel)->base->log, LOG_LEVEL_WARN, "%s: %s", channel_peer(channel), text);
}

static void on_ended(struct channel *channel, const struct error *err)
{
	struct serve *serve = of_channel(channel);
	struct log *log = serve->base->log;

	transfer_end(serve, err);
	serve_join_end(serve);
	serve_put_end(serve, err);
	if (serve->entry.refused != LIMIT_NONE)
		log_say(log, LOG_LEVEL_DEBUG, "session of %s refused: %s", channel_peer(channel), err->text);
	else if (err->code == -ETIMEDOUT)
		log_say(log, LOG_LEVEL_WARN, "session of %s timed out: %s", channel_peer(channel), err->text);
	else if (err->code != 0)
		log_say(log, err->fault == FAULT_REFUSED ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "session of %s ended: %s",
		        channel_peer(channel), err->text);
	else
		log_say(log, LOG_LEVEL_DEBUG, "session of %s ended", channel_peer(channel));
	channel_close(channel);
}

static void on_closed(struct channel *channel)
{
	struct serve *serve = of_channel(channel);

	if (serve->sending != NULL) {
		sending_close(serve->sending);
		return;
	}
	serve->closed = true;
	serve_half_closed(serve);
}

const struct channel_watch serve_watch = {
	.open = on_open,
	.frame = on_frame,
	.settled = on_work,
	.sent = on_work,
	.refill = on_refill,
	.progress = on_progress,
	.warn = on_warn,
	.look = on_look,
	.ended = on_ended,
	.closed = on_closed,
};

int serve_open(struct serve_base *base, const struct plugin *transport, struct xfer_conn *conn,
               struct heartbeat_port *port, uint16_t port_number, struct error *err)
{
	struct serve *serve = calloc(1, sizeof(*serve));
	int r;

	if (serve == NULL) {
		transport_close(transport, conn);
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a session");
	}
	serve->base = base;
	list_init(&serve->joined);
	r = limits_enter(&base->limits, &serve->entry, base->session_count, transport, conn, base->channel.loop->now);
	if (r < 0) {
		transport_close(transport, conn);
		free(serve);
		return r;
	}
	list_append(&base->sessions, &serve->link);
	base->session_count++;
	r = channel_open(&serve->channel, &base->channel, transport, conn, true, port, port_number, serve, err);
	if (r < 0 && r != -EINPROGRESS)
		session_free(serve);
	return r;
}

enum status serve_refuse(struct channel *channel, struct error *err)
{
	struct serve *serve = of_channel(channel);

	return limits_refuse(&serve->base->limits, &serve->entry, err);
}

const char *serve_died(const struct channel *channel, const uint8_t boot_id[MESSAGE_BOOT_ID])
{
	const struct serve *serve = channel->owner;

	return serve->base->deaths != NULL ? deaths_find(serve->base->deaths, boot_id) : NULL;
}

bool serve_new(const struct serve *serve)
{
	const struct channel *channel = &serve->channel;

	if (channel->state == CHANNEL_CONNECTING || channel->state == CHANNEL_HELLO)
		return true;
	return channel->state == CHANNEL_OPEN && serve->transfer == NULL && serve_idle(serve) &&
	       channel->base->loop->now - channel->worked_at < NEW_FOR;
}

void serve_goaway(struct serve *serve)
{
	channel_goaway(&serve->channel, STATUS_SHUTDOWN, "the daemon is shutting down");
}

bool serve_idle(const struct serve *serve)
{
	return (serve->sending == NULL || sending_idle(serve->sending)) && link_batches(&serve->channel.link) == 0 &&
	       !serve_put_busy(serve) && !serve_join_works(serve);
}

void serve_unheard(struct serve *serve)
{
	if (link_control_queued(&serve->channel.link) > REFUSALS_AHEAD)
		serve_end(serve, STATUS_LIMIT, "too many requests were refused, and the answers are not read");
}

void serve_end(struct serve *serve, enum status status, const char *text)
{
	struct error err = { 0 };

	error_set(&err, -ESHUTDOWN, FAULT_REFUSED, "%s", text);
	if (serve->channel.state != CHANNEL_ENDED)
		channel_fail(&serve->channel, status, &err);
}
