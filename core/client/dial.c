/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/dial.h"

#include "base/text.h"
#include "client/lookup.h"
#include "registry/transport.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 8305, section 5: "Connection Attempt Delay". */
#define ATTEMPT_DELAY (250 * CLOCK_MS)

struct attempt {
	struct dial *dial;
	struct xfer_conn *conn; /* NULL: not begun, or failed */
	uv_poll_t poll;         /* of the descriptor that is read from, mostly the only one */
	uv_poll_t writing;      /* of the one that is written to, where that is another */
	bool polled;            /* poll is a handle of the loop's */
	bool two;               /* and writing is one, too */
};

struct dial {
	struct loop *loop;
	const struct plugin *transport;
	struct dial_watch watch;
	char *host, *authority, *user; /* owned; user may be NULL */
	unsigned port;
	uint64_t until; /* steady ns */
	struct lookup lookup;
	bool looking;               /* the resolver has the dial */
	struct addrinfo *addresses; /* owned */
	const struct addrinfo *order[DIAL_ATTEMPTS_MAX];
	unsigned order_count;
	struct attempt attempts[DIAL_ATTEMPTS_MAX];
	unsigned begun;           /* attempts begun */
	unsigned open;            /* handles of the loop's not closed yet */
	struct deadline deadline; /* next attempt, or the end */
	struct error last;        /* of the last attempt that failed */
	bool over;                /* no callback any more */
};

static void maybe_free(struct dial *dial)
{
	if (!dial->over || dial->looking || dial->open > 0)
		return;
	if (dial->addresses != NULL)
		freeaddrinfo(dial->addresses);
	free(dial->host);
	free(dial->authority);
	free(dial->user);
	free(dial);
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct attempt *attempt = handle->data;

	attempt->dial->open--;
	maybe_free(attempt->dial);
}

static void attempt_end(struct attempt *attempt, bool keep)
{
	if (attempt->polled)
		uv_close((uv_handle_t *)&attempt->poll, on_poll_closed);
	if (attempt->two)
		uv_close((uv_handle_t *)&attempt->writing, on_poll_closed);
	attempt->polled = attempt->two = false;
	if (attempt->conn != NULL && !keep)
		transport_close(attempt->dial->transport, attempt->conn);
	attempt->conn = NULL;
}

/* Ends everything but what the winner keeps; the dial is freed when the loop has let go of it. */
static void dial_over(struct dial *dial)
{
	dial->over = true;
	(void)loop_deadline(dial->loop, &dial->deadline, CLOCK_NEVER);
	for (unsigned i = 0; i < dial->begun; i++)
		attempt_end(&dial->attempts[i], false);
}

/* Who is there and is not whom we may talk to, and what the transport's options do not allow, will not get better. */
static enum fault dial_fault(int code)
{
	return code == -EACCES ? FAULT_REFUSED : code == -EINVAL ? FAULT_USAGE : FAULT_CONNECT;
}

static void dial_failed(struct dial *dial, const struct error *cause)
{
	struct error err = *cause;

	err.fault = dial_fault(err.code);
	dial_over(dial);
	dial->watch.failed(dial->watch.context, &err);
	maybe_free(dial);
}

static void attempt_next(struct dial *dial);

/* That somebody was there, and who, says more than that another address did not answer. */
static void dial_remember(struct dial *dial, int code)
{
	if (dial_fault(dial->last.code) == FAULT_CONNECT || dial_fault(code) != FAULT_CONNECT)
		plugin_error(dial->transport, code, FAULT_CONNECT, &dial->last);
}

static void attempt_failed(struct attempt *attempt, int code)
{
	struct dial *dial = attempt->dial;

	dial_remember(dial, code);
	if (code == -ECONNREFUSED && dial->last.code == code)
		error_append(&dial->last, " (is xferd running there, on this port?)");
	attempt_end(attempt, false);
	attempt_next(dial);
}

/* What the handshake waits for. One that waits for nothing, and is new, is called from the loop, not from here. */
static void attempt_wait(struct attempt *attempt, uint32_t wanted, uv_poll_cb fire)
{
	int writable = wanted & XFER_POLL_WRITE ? UV_WRITABLE : 0;
	int readable = wanted & XFER_POLL_READ ? UV_READABLE : 0;

	/* Without events nothing is waited for there, not even an end. */
	uv_poll_start(&attempt->poll, readable | (attempt->two ? 0 : writable), fire);
	if (attempt->two)
		uv_poll_start(&attempt->writing, writable, fire);
}

/* A handle of the loop's for one descriptor. */
static int attempt_watch(struct attempt *attempt, uv_poll_t *poll, int fd)
{
	int r = uv_poll_init(&attempt->dial->loop->uv, poll, fd);

	if (r < 0)
		return r;
	poll->data = attempt;
	attempt->dial->open++;
	return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void attempt_go(struct attempt *attempt)
{
	struct dial *dial = attempt->dial;
	struct xfer_conn *conn = attempt->conn;
	struct xfer_poll poll = { .struct_size = sizeof(poll) };
	int r = transport_handshake(dial->transport, conn);

	if (r == 0) {
		attempt_end(attempt, true);
		dial_over(dial);
		dial->watch.connected(dial->watch.context, conn);
		maybe_free(dial);
	} else if (r != -EAGAIN) {
		attempt_failed(attempt, r);
	} else if (transport_poll(dial->transport, conn, &poll) == 0) {
		attempt_wait(attempt, poll.events, on_poll);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct attempt *attempt = poll->data;

	(void)status;
	(void)events;
	loop_time(attempt->dial->loop);
	if (attempt->conn != NULL)
		attempt_go(attempt);
}

static int attempt_begin(struct attempt *attempt, const struct addrinfo *address)
{
	struct dial *dial = attempt->dial;
	const struct xfer_connect how = {
		.struct_size = sizeof(how),
		.address = address != NULL ? address->ai_addr : NULL,
		.address_len = address != NULL ? address->ai_addrlen : 0,
		.authority = dial->authority,
		.host = dial->host,
		.user = dial->user,
	};
	struct xfer_poll poll = { .struct_size = sizeof(poll) };
	int r = transport_connect(dial->transport, &how, &attempt->conn);

	if (r < 0) {
		attempt->conn = NULL;
		return r;
	}
	r = transport_poll(dial->transport, attempt->conn, &poll);
	if (r == 0)
		r = attempt_watch(attempt, &attempt->poll, poll.read_fd);
	attempt->polled = r == 0;
	if (r == 0 && poll.write_fd != poll.read_fd) {
		r = attempt_watch(attempt, &attempt->writing, poll.write_fd);
		attempt->two = r == 0;
	}
	if (r < 0)
		return r;
	attempt_wait(attempt, poll.events != 0 ? poll.events : XFER_POLL_WRITE, on_poll);
	return 0;
}

static bool attempts_open(const struct dial *dial)
{
	for (unsigned i = 0; i < dial->begun; i++) {
		if (dial->attempts[i].conn != NULL)
			return true;
	}
	return false;
}

/* Begins with the next address; the dial fails when there is none and nothing is under way. */
static void attempt_next(struct dial *dial)
{
	while (dial->begun < dial->order_count) {
		struct attempt *attempt = &dial->attempts[dial->begun];
		uint64_t next = dial->loop->now + ATTEMPT_DELAY;
		int r;

		attempt->dial = dial;
		r = attempt_begin(attempt, dial->order[dial->begun++]);
		if (r == 0) {
			(void)loop_deadline(dial->loop, &dial->deadline, next < dial->until ? next : dial->until);
			return;
		}
		dial_remember(dial, r);
		attempt_end(attempt, false);
	}
	if (!attempts_open(dial))
		dial_failed(dial, &dial->last);
	else
		(void)loop_deadline(dial->loop, &dial->deadline, dial->until);
}

static void on_deadline(struct deadline *deadline)
{
	struct dial *dial = list_entry(deadline, struct dial, deadline);
	struct error err = { 0 };

	if (dial->loop->now < dial->until) {
		attempt_next(dial);
		return;
	}
	error_set(&err, -ETIMEDOUT, FAULT_CONNECT, "cannot connect to %s: no answer", dial->authority);
	dial_failed(dial, &err);
}

/* Alternates between the families, beginning with the one that the resolver put first. */
static void order_make(struct dial *dial)
{
	int family = dial->addresses->ai_family;
	const struct addrinfo *same = dial->addresses, *other = dial->addresses;
	bool turn = true;

	while (dial->order_count < DIAL_ATTEMPTS_MAX) {
		while (same != NULL && same->ai_family != family)
			same = same->ai_next;
		while (other != NULL && other->ai_family == family)
			other = other->ai_next;
		if (same == NULL && other == NULL)
			return;
		if ((turn && same != NULL) || other == NULL) {
			dial->order[dial->order_count++] = same;
			same = same->ai_next;
		} else {
			dial->order[dial->order_count++] = other;
			other = other->ai_next;
		}
		turn = !turn;
	}
}

static void on_lookup(struct lookup *lookup)
{
	struct dial *dial = list_entry(lookup, struct dial, lookup);
	struct error err = { 0 };

	dial->looking = false;
	dial->addresses = lookup->found;
	if (dial->over) {
		maybe_free(dial);
		return;
	}
	if (lookup->failure != NULL) {
		error_set(&err, -EHOSTUNREACH, FAULT_CONNECT, "cannot connect to %s: %s", dial->authority,
		          lookup->failure);
		dial_failed(dial, &err);
		return;
	}
	order_make(dial);
	attempt_next(dial);
}

int dial_start(struct dial **out, struct loop *loop, const struct plugin *transport, const struct url *url,
               uint64_t timeout, const struct dial_watch *watch, struct error *err)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	int r = 0;

	if (dial == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a connection");
	dial->loop = loop;
	dial->transport = transport;
	dial->watch = *watch;
	dial->port = url->port;
	dial->until = loop->now + timeout;
	dial->deadline.fire = on_deadline;
	dial->host = strdup(url->host != NULL ? url->host : "");
	dial->authority = strdup(url->authority);
	dial->user = url->user != NULL ? strdup(url->user) : NULL;
	error_set(&dial->last, -EHOSTUNREACH, FAULT_CONNECT, "cannot connect to %s: it has no address", url->authority);
	if (dial->host == NULL || dial->authority == NULL || (url->user != NULL && dial->user == NULL)) {
		r = error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a connection");
	} else if (transport->about.capabilities & XFER_CAP_INET) {
		r = lookup_start(&dial->lookup, loop, dial->host, dial->port, on_lookup, err);
		dial->looking = r == 0;
		if (r == 0)
			r = loop_deadline(loop, &dial->deadline, dial->until);
	} else {
		dial->order[dial->order_count++] = NULL;
		r = loop_deadline(loop, &dial->deadline, loop->now); /* from the loop, as promised */
	}
	if (r < 0) {
		dial->over = true;
		maybe_free(dial);
		return r;
	}
	*out = dial;
	return 0;
}

void dial_cancel(struct dial *dial)
{
	if (dial == NULL)
		return;
	dial_over(dial);
	maybe_free(dial);
}
