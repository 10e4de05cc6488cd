/* SPDX-License-Identifier: BSD-2-Clause */
/* Opens the sockets of [daemon] listen, or takes them up, for one worker. */
#include "daemon/bound.h"

#include "engine/address.h"
#include "engine/datagram.h"
#include "registry/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often another free TCP port is tried because its UDP twin is taken. */
enum { TWIN_TRIES = 16 };

/* ---- one item -------------------------------------------------------------------------------------------------- */

/* Puts where listen is set before an error of one of its items. */
static int say_place(const struct setup *setup, int code, struct error *err)
{
	if (code < 0 && setup->settings->listen_place != NULL)
		error_prefix(err, "%s", setup->settings->listen_place);
	return code;
}

static void say_which(const char *listen, struct error *err)
{
	error_prefix(err, "[daemon] listen = %s", listen);
}

/* A listener that cannot be opened is the administrator's to mend: FAULT_USAGE, whatever the cause. */
static int listen_at(struct plugin *transport, const char *listen, const struct addrinfo *address,
                     struct xfer_listener **out, struct error *err)
{
	struct xfer_listen how = { .struct_size = sizeof how, .authority = listen };
	if (address != NULL) {
		how.address = address->ai_addr;
		how.address_len = address->ai_addrlen;
	}
	int code = transport_listen(transport, &how, out);
	if (code == 0)
		return 0;
	code = plugin_error(transport, code, FAULT_USAGE, err);
	say_which(listen, err);
	return code;
}

/* `any_port`: a free one, whatever the item says. */
static int open_listener(struct plugin *transport, const char *listen, bool any_port, struct xfer_listener **out,
                         unsigned *port, struct error *err)
{
	if ((transport->about.capabilities & XFER_CAP_INET) == 0)
		return listen_at(transport, listen, NULL, out, err);
	struct addrinfo *addresses;
	int code = address_resolve(listen, any_port, &addresses, port, err);
	if (code < 0)
		return code;
	/* The next address of a name is for families that this machine lacks, not for ports that are taken. */
	for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
		code = listen_at(transport, listen, at, out, err);
		if (code != -EADDRNOTAVAIL && code != -EAFNOSUPPORT)
			break;
	}
	freeaddrinfo(addresses);
	return code;
}

static int duplicate(int fd, int *out, struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return error_system(err, -errno, FAULT_LOCAL, "cannot duplicate a socket");
	*out = copy;
	return 0;
}

static int note_address(struct plugin *transport, struct xfer_listener *listener, struct listen_item *item,
                        struct error *err)
{
	int code = transport_listener_address(transport, listener, item->address, sizeof item->address);
	return code < 0 ? plugin_error(transport, code, FAULT_USAGE, err) : 0;
}

/* Copies the listener's descriptors and address into the item. */
static int note_listener(struct plugin *transport, struct xfer_listener *listener, struct listen_item *item,
                         struct error *err)
{
	int fds[CONTROL_FDS_MAX];
	int count = transport_listener_fds(transport, listener, fds, CONTROL_FDS_MAX);
	if (count < 1 || count > CONTROL_FDS_MAX)
		return error_set(err, -E2BIG, FAULT_USAGE, "transport %s: a listener of %d descriptors",
		                 item->transport, count);
	int code = note_address(transport, listener, item, err);
	if (code < 0)
		return code;
	for (int at = 0; at < count; at++) {
		code = duplicate(fds[at], &item->fds[item->fd_count], err);
		if (code < 0)
			return code;
		item->fd_count++;
	}
	return 0;
}

/* Makes a listener of copies of the item's descriptors. */
static int adopt_listener(struct plugin *transport, const struct listen_item *item, struct xfer_listener **out,
                          struct error *err)
{
	struct xfer_listen how = { .struct_size = sizeof how, .authority = item->listen };
	int fds[CONTROL_FDS_MAX];
	size_t count = 0;
	int code = 0;
	while (code == 0 && count < item->fd_count) {
		code = duplicate(item->fds[count], &fds[count], err);
		count += code == 0 ? 1 : 0;
	}
	if (code == 0) {
		code = transport_listener_adopt(transport, &how, fds, count, out);
		if (code == 0)
			return 0;
		plugin_error(transport, code, FAULT_USAGE, err);
		say_which(item->listen, err);
	}
	while (count > 0)
		close(fds[--count]);
	return code;
}

/* Opens the datagram sockets that the item lacks. */
static int add_datagrams(struct listen_item *item, size_t workers, struct error *err)
{
	size_t before = item->datagram_count;
	int code = 0;
	for (size_t worker = before; code == 0 && worker < workers; worker++) {
		int fd;
		code = datagram_open(item->address, item->fds[0], &fd, err);
		if (code < 0)
			break;
		code = listen_item_put_datagram(item, worker, fd);
		if (code < 0) {
			close(fd);
			code = error_system(err, code, FAULT_LOCAL, "cannot keep a datagram socket");
		}
	}
	if (code == 0 && item->datagram_count > 1 && item->datagram_count > before)
		code = datagram_steer(item->datagrams[0], (unsigned)item->datagram_count, err);
	if (code < 0) {
		if (err != NULL)
			err->fault = FAULT_USAGE;
		say_which(item->listen, err);
		return code;
	}
	memcpy(item->heartbeat, item->address, sizeof item->heartbeat);
	return 0;
}

static void drop_sockets(struct listen_item *item)
{
	for (size_t at = 0; at < item->fd_count; at++)
		close(item->fds[at]);
	for (size_t at = 0; at < item->datagram_count; at++)
		close(item->datagrams[at]);
	free(item->datagrams);
	item->fd_count = 0;
	item->datagrams = NULL;
	item->datagram_count = 0;
}

static bool has_datagrams(const struct setup *setup, const struct plugin *transport)
{
	return setup->liveness->liveness.datagram_size > 0 && (transport->about.capabilities & XFER_CAP_INET) != 0;
}

static int make_item(struct plugin *transport, struct listen_item *item, size_t datagrams, struct xfer_listener **out,
                     struct error *err)
{
	for (int try = 1;; try++) {
		unsigned port = 1; /* not a free one, unless the address says so */
		struct xfer_listener *listener;
		int code = open_listener(transport, item->listen, false, &listener, &port, err);
		if (code < 0)
			return code;
		code = note_listener(transport, listener, item, err);
		if (code == 0 && datagrams > 0)
			code = add_datagrams(item, datagrams, err);
		if (code == 0) {
			*out = listener;
			return 0;
		}
		transport_listener_close(transport, listener);
		drop_sockets(item);
		/* The free port that we were given may be somebody else's in UDP. */
		if (code != -EADDRINUSE || port != 0 || try == TWIN_TRIES)
			return code;
	}
}

/* ---- all items ------------------------------------------------------------------------------------------------- */

static int set_text(char out[CONTROL_NAME_MAX], const char *text, struct error *err)
{
	if (strlen(text) >= CONTROL_NAME_MAX)
		return error_set(err, -ENAMETOOLONG, FAULT_USAGE, "[daemon] listen: %s: longer than %d bytes", text,
		                 CONTROL_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int item_plugin(struct setup *setup, const char *name, struct plugin **out, struct error *err)
{
	if (name == NULL) {
		*out = setup->transport;
		return 0;
	}
	return setup_plugin(setup, XFER_KIND_TRANSPORT, name, out, err);
}

static int fill_socket(struct server_socket *out, struct plugin *transport, struct xfer_listener *listener,
                       const struct listen_item *item, bool heartbeat, size_t index, struct error *err)
{
	out->transport = transport;
	out->listener = listener;
	out->datagram_fd = -1;
	memcpy(out->address, item->address, sizeof out->address);
	if (!heartbeat || index >= item->datagram_count || item->datagrams[index] < 0)
		return 0;
	memcpy(out->heartbeat, item->heartbeat, sizeof out->heartbeat);
	return duplicate(item->datagrams[index], &out->datagram_fd, err);
}

static int too_many(size_t count, struct error *err)
{
	return error_set(err, -E2BIG, FAULT_USAGE, "[daemon] listen: %zu items, %d at most", count, LISTEN_ITEMS_MAX);
}

static int sockets_alloc(struct bound *out, size_t count, struct error *err)
{
	if (count > LISTEN_ITEMS_MAX)
		return too_many(count, err);
	out->sockets = calloc(count > 0 ? count : 1, sizeof *out->sockets);
	if (out->sockets == NULL)
		return error_system(err, -ENOMEM, FAULT_LOCAL, "cannot keep the sockets");
	return 0;
}

void bound_free(struct bound *bound)
{
	free(bound->sockets);
	*bound = (struct bound){ 0 };
}

/* All of it, which no server has got. */
static void drop_all(struct bound *bound)
{
	for (size_t at = 0; at < bound->count; at++) {
		struct server_socket *socket = &bound->sockets[at];
		transport_listener_close(socket->transport, socket->listener);
		if (socket->datagram_fd >= 0)
			close(socket->datagram_fd);
	}
	bound_free(bound);
}

/* What bound_make() works with; `next` becomes the caller's set. */
struct making {
	struct setup *setup;
	struct listen_set *old;
	struct listen_item *kept[LISTEN_ITEMS_MAX]; /* of old, for each item that is wanted; NULL: it is new */
	struct listen_set next;
	size_t index;
	size_t workers;
};

static const char *item_transport(const struct setup *setup, const struct settings_listen *wanted)
{
	return wanted->transport != NULL ? wanted->transport : setup->settings->transport;
}

/*
 * Which open sockets stay, and for which items. Whoever was served by the same transport comes first: of two items with
 * port 0 none must get the other's port. Then those whose transport changed: their address is in use, by ourselves.
 */
static void match_items(struct making *making)
{
	const struct settings *settings = making->setup->settings;
	bool used[LISTEN_ITEMS_MAX] = { false };
	for (int pass = 0; pass < 2; pass++)
		for (size_t at = 0; at < settings->listen_count; at++) {
			const struct settings_listen *wanted = &settings->listen[at];
			if (making->kept[at] != NULL)
				continue;
			making->kept[at] = listen_set_find(making->old,
			                                   pass == 0 ? item_transport(making->setup, wanted) : NULL,
			                                   wanted->address, used);
			if (making->kept[at] != NULL)
				used[making->kept[at] - making->old->items] = true;
		}
}

static int make_one(struct making *making, size_t at, struct server_socket *out, struct error *err)
{
	const struct settings_listen *wanted = &making->setup->settings->listen[at];
	struct plugin *transport;
	struct listen_item *item;
	int code = item_plugin(making->setup, wanted->transport, &transport, err);
	if (code < 0)
		return code;
	code = listen_set_add(&making->next, &item);
	if (code < 0)
		return error_system(err, code, FAULT_LOCAL, "cannot keep the sockets");
	bool heartbeat = has_datagrams(making->setup, transport);
	struct listen_item *old = making->kept[at];
	if (old != NULL) {
		*item = *old;
		old->fd_count = 0;
		old->datagrams = NULL;
		old->datagram_count = 0;
	}
	code = set_text(item->transport, item_transport(making->setup, wanted), err);
	if (code == 0)
		code = set_text(item->listen, wanted->address, err);
	if (code < 0)
		return code;
	struct xfer_listener *listener;
	if (old == NULL)
		code = make_item(transport, item, heartbeat ? making->workers : 0, &listener, err);
	else
		code = adopt_listener(transport, item, &listener, err);
	if (code < 0)
		return code;
	/* A socket of the service manager's is where that put it. */
	if (old != NULL)
		code = note_address(transport, listener, item, err);
	if (code == 0 && old != NULL && heartbeat)
		code = add_datagrams(item, making->workers, err);
	if (code == 0)
		code = fill_socket(out, transport, listener, item, heartbeat, making->index, err);
	if (code < 0)
		transport_listener_close(transport, listener);
	return code;
}

int bound_make(struct bound *out, struct setup *setup, struct listen_set *set, size_t index, size_t workers,
               struct error *err)
{
	const struct settings *settings = setup->settings;
	struct making making = { .setup = setup, .old = set, .index = index, .workers = workers };
	struct bound made = { 0 };
	int code = sockets_alloc(&made, settings->listen_count, err);
	if (code == 0)
		match_items(&making);
	while (code == 0 && made.count < settings->listen_count) {
		code = make_one(&making, made.count, &made.sockets[made.count], err);
		made.count += code == 0 ? 1 : 0;
	}
	if (code < 0) {
		drop_all(&made);
		listen_set_free(&making.next);
		return say_place(setup, code, err);
	}
	listen_set_free(set);
	*set = making.next;
	*out = made;
	return 0;
}

int bound_adopt(struct bound *out, struct setup *setup, const struct listen_set *set, size_t index, struct error *err)
{
	struct bound made = { 0 };
	int code = sockets_alloc(&made, set->count, err);
	while (code == 0 && made.count < set->count) {
		const struct listen_item *item = &set->items[made.count];
		struct plugin *transport;
		struct xfer_listener *listener;
		code = item_plugin(setup, item->transport, &transport, err);
		if (code == 0)
			code = adopt_listener(transport, item, &listener, err);
		if (code < 0)
			break;
		bool heartbeat = has_datagrams(setup, transport);
		code = fill_socket(&made.sockets[made.count], transport, listener, item, heartbeat, index, err);
		if (code < 0)
			transport_listener_close(transport, listener);
		made.count += code == 0 ? 1 : 0;
	}
	if (code < 0) {
		drop_all(&made);
		return say_place(setup, code, err);
	}
	*out = made;
	return 0;
}

/*
 * Asks the transport for a listener at a free port of the item's address, so that its own port may be in use. Where the
 * address is not of the Internet families, nothing of it can be left free: it is not tried.
 */
static int check_one(struct setup *setup, const struct settings_listen *wanted, struct error *err)
{
	struct plugin *transport;
	int code = item_plugin(setup, wanted->transport, &transport, err);
	if (code < 0 || (transport->about.capabilities & XFER_CAP_INET) == 0)
		return code;
	struct xfer_listener *listener;
	unsigned port;
	code = open_listener(transport, wanted->address, true, &listener, &port, err);
	if (code == 0)
		transport_listener_close(transport, listener);
	return code;
}

int bound_check(struct setup *setup, struct error *err)
{
	const struct settings *settings = setup->settings;
	if (settings->listen_count > LISTEN_ITEMS_MAX)
		return say_place(setup, too_many(settings->listen_count, err), err);
	for (size_t at = 0; at < settings->listen_count; at++) {
		int code = check_one(setup, &settings->listen[at], err);
		if (code < 0)
			return say_place(setup, code, err);
	}
	return 0;
}
