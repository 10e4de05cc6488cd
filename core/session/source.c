/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LIST_RUN_MIN =
		8192, /* a run of entries is worth a frame from here on; any single entry fits (MESSAGE_ENTRY_MAX) */
	LISTS_OPEN_MAX = 16 /* that are under way at a time, each with descriptors of its own; others wait */
};

struct source {
	struct source_limits limits;
	struct table requests; /* by id */
	struct list fresh;     /* READs not begun, in order of arrival */
	struct list open;      /* READs of large files, being read */
	struct list lists;     /* LISTs */
	unsigned opened;       /* length of `open` */
	unsigned listing;      /* LISTs that are under way */
	uint32_t paths;        /* bytes of the paths of READs */
	uint64_t credit;       /* payload bytes that may be sent in all */
	uint64_t reserved;     /* of it, by orders under way */
	uint64_t sent;         /* of it, used */
};

int source_create(struct source **out, const struct source_limits *limits)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return -ENOMEM;
	source->limits = *limits;
	list_init(&source->fresh);
	list_init(&source->open);
	list_init(&source->lists);
	*out = source;
	return 0;
}

void source_destroy(struct source *source, void (*release)(void *context, struct source_request *request),
                    void *context)
{
	struct source_request *request;
	size_t at = 0;

	if (source == NULL)
		return;
	while ((request = table_next(&source->requests, &at, NULL)) != NULL) {
		if (release != NULL)
			release(context, request);
		free(request);
	}
	table_free(&source->requests);
	free(source);
}

static int request_add(struct source *source, uint32_t id, const char *path, size_t path_len,
                       struct source_request **out, struct error *err)
{
	struct source_request *request;
	int r;

	if (id == 0)
		return error_set(err, -EPROTO, FAULT_PEER, "request 0 is no request");
	if (source->requests.count >= source->limits.requests_max)
		return error_set(err, -EDQUOT, FAULT_REFUSED, "more than %u requests in flight",
		                 source->limits.requests_max);
	request = calloc(1, sizeof(*request) + path_len + 1);
	if (request == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a request");
	request->id = id;
	memcpy(request->path, path, path_len);
	list_init(&request->link);
	r = table_put(&source->requests, id, request);
	if (r < 0) {
		free(request);
		if (r == -EEXIST)
			return error_set(err, -EPROTO, FAULT_PEER, "request %u is in use already", id);
		return error_set(err, r, FAULT_LOCAL, "out of memory for a request");
	}
	*out = request;
	return 0;
}

int source_read(struct source *source, uint32_t id, const struct message_read *read, struct error *err)
{
	struct source_request *request;
	int r;

	if (source->paths >= MESSAGE_READ_PATHS)
		return error_set(err, -EDQUOT, FAULT_REFUSED, "more than %d bytes of paths in flight",
		                 MESSAGE_READ_PATHS);
	r = request_add(source, id, read->path, read->path_len, &request, err);
	if (r < 0)
		return r;
	request->path_len = (uint16_t)read->path_len;
	source->paths += request->path_len;
	request->first = read->first;
	request->count = read->count;
	request->next = read->first;
	request->size = read->size;
	request->part = (read->flags & MESSAGE_READ_PART) != 0;
	request->fresh = request->part && (read->flags & MESSAGE_READ_KNOWN) == 0;
	request->digests = (read->flags & MESSAGE_READ_DIGESTS) != 0;
	list_append(&source->fresh, &request->link);
	return 0;
}

int source_list(struct source *source, uint32_t id, const struct message_list *list, struct error *err)
{
	struct source_request *request;
	int r = request_add(source, id, list->path, list->path_len, &request, err);

	if (r < 0)
		return r;
	request->is_list = true;
	request->flags = list->flags;
	request->depth = list->depth;
	request->credit = list->credit;
	list_append(&source->lists, &request->link);
	return 0;
}

int source_credit(struct source *source, uint32_t id, uint64_t total, struct error *err)
{
	struct source_request *request;
	uint64_t *credit = &source->credit;

	if (id != 0) {
		request = table_get(&source->requests, id);
		if (request == NULL || !request->is_list)
			return 0;
		credit = &request->credit;
	}
	if (total < *credit)
		return error_set(err, -EPROTO, FAULT_PEER, "credit went back from %llu to %llu",
		                 (unsigned long long)*credit, (unsigned long long)total);
	*credit = total;
	return 0;
}

void source_cancel(struct source *source, uint32_t id)
{
	struct source_request *request = table_get(&source->requests, id);

	if (request != NULL)
		request->cancelled = true;
}

/* Payload bytes of `count` chunks from `first` of a file of `size` bytes. */
static uint64_t payload(const struct source *source, uint64_t size, uint64_t first, uint64_t count)
{
	uint64_t chunk = source->limits.chunk_size;
	uint64_t chunks = size / chunk + (size % chunk != 0);

	if (first >= chunks)
		return 0;
	if (count > chunks - first)
		count = chunks - first;
	if (first + count == chunks)
		return size - first * chunk;
	return count * chunk;
}

static uint64_t credit_left(const struct source *source)
{
	uint64_t taken = source->sent + source->reserved;

	return source->credit > taken ? source->credit - taken : 0;
}

static void order_add(struct source *source, struct source_order *order, struct source_request *request, uint64_t count,
                      uint64_t bytes, bool end)
{
	uint64_t reserved = request->digests ? 0 : bytes;

	order->pieces[order->count++] = (struct source_piece){
		.request = request,
		.first = request->next,
		.count = count,
		.reserved = reserved,
		.end = end,
	};
	order->digests = request->digests;
	order->payload_max += bytes;
	source->reserved += reserved;
	request->in_flight++;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

/* Payload bytes that may be ordered of a request: what is not sent needs no credit. */
static uint64_t room_for(const struct source *source, const struct source_request *request, uint64_t room)
{
	return request->digests ? source->limits.order_payload : room;
}

/* The next range of a large file; false when there is nothing to do for it now. */
static bool order_range(struct source *source, struct source_order *order, struct source_request *request,
                        uint64_t room)
{
	uint64_t left = request->cancelled || request->failed ? 0 : request->stop - request->next;
	uint64_t chunk = source->limits.chunk_size;
	uint64_t bytes;

	if (request->ended)
		return false;
	if (left == 0 || request->sparse) {
		if (request->in_flight > 0)
			return false;
		bytes = at_most(payload(source, request->size, request->next, left), room);
		if (left > 0 && bytes < chunk && bytes < payload(source, request->size, request->next, 1))
			return false;
		order_add(source, order, request, left, bytes, true);
		return true;
	}
	if (payload(source, request->size, request->next, left) > room)
		left = room / chunk;
	if (left == 0)
		return false;
	bytes = payload(source, request->size, request->next, left);
	/* The end closes the file, so it waits until no other order reads from it. */
	order_add(source, order, request, left, bytes,
	          request->in_flight == 0 && request->next + left == request->stop);
	request->next += left;
	return true;
}

static bool next_open(struct source *source, struct source_order *order, uint64_t room)
{
	for (struct list *at = source->open.next; at != &source->open; at = at->next) {
		struct source_request *request = list_entry(at, struct source_request, link);

		if (order_range(source, order, request, room_for(source, request, room))) {
			/* The next order goes to another file, so that large files share a connection. */
			list_remove(&request->link);
			list_append(&source->open, &request->link);
			return true;
		}
	}
	return false;
}

static bool next_fresh(struct source *source, struct source_order *order, uint64_t room)
{
	struct list *at;

	if ((at = list_first(&source->fresh)) != NULL)
		room = room_for(source, list_entry(at, struct source_request, link), room);
	while ((at = list_first(&source->fresh)) != NULL && order->count < SOURCE_PIECES_MAX) {
		struct source_request *request = list_entry(at, struct source_request, link);
		uint64_t whole = request->cancelled ? 0 : payload(source, request->size, request->next, request->count);
		uint64_t first = payload(source, request->size, request->next, 1);

		request->large = whole > source->limits.order_payload;
		/* A large file has an order of its own; so has anything that does not fit behind the others. */
		if (order->count > 0 && (request->large || whole > room || request->digests != order->digests))
			break;
		if (request->large && source->opened >= source->limits.open_max)
			break;
		if (whole > 0 && first > room)
			break;
		order_add(source, order, request, request->cancelled ? 0 : request->count, at_most(whole, room), true);
		room -= at_most(whole, room);
		list_remove(&request->link); /* alone until the order is back */
		source->opened += request->large;
		if (request->large)
			break;
	}
	return order->count > 0;
}

static bool next_list(struct source *source, struct source_order *order)
{
	for (struct list *at = source->lists.next; at != &source->lists; at = at->next) {
		struct source_request *request = list_entry(at, struct source_request, link);
		uint64_t left = request->credit - request->used;

		if (request->in_flight > 0 || request->ended)
			continue;
		if (!request->opened && !request->cancelled && source->listing >= LISTS_OPEN_MAX)
			continue;
		if (left < LIST_RUN_MIN && !(request->flags & MESSAGE_LIST_TOTALS) && !request->cancelled)
			continue;
		order->is_list = true;
		order->count = 1;
		order->payload_max = request->cancelled ? 0 : left;
		order->pieces[0] = (struct source_piece){ .request = request };
		source->listing += !request->opened;
		request->opened = true;
		request->in_flight = 1;
		return true;
	}
	return false;
}

static void order_begin(struct source_order *order)
{
	order->is_list = false;
	order->digests = false;
	order->payload_max = 0;
	order->run = 0;
	order->count = 0;
}

bool source_next_list(struct source *source, struct source_order *order)
{
	order_begin(order);
	return next_list(source, order);
}

bool source_next(struct source *source, struct source_order *order)
{
	uint64_t room = credit_left(source);

	if (room > source->limits.order_payload)
		room = source->limits.order_payload;
	order_begin(order);
	/* Names come first: they are what the peer's next requests are made of. */
	return next_list(source, order) || next_open(source, order, room) || next_fresh(source, order, room);
}

static void request_forget(struct source *source, struct source_request *request,
                           void (*release)(void *context, struct source_request *request), void *context)
{
	table_remove(&source->requests, request->id);
	source->opened -= request->large;
	source->listing -= request->is_list && request->opened;
	source->paths -= request->path_len;
	list_remove(&request->link);
	if (release != NULL)
		release(context, request);
	free(request);
}

/* The first piece came back: now the file's size is known to be what the peer believed. */
static void request_opened(struct source *source, struct source_request *request, const struct source_piece *piece)
{
	request->opened = true;
	list_append(&source->open, &request->link);
	request->next = request->first + piece->chunks;
	request->stop = piece->total;
	if (request->count < piece->total && request->first <= piece->total - request->count)
		request->stop = request->first + request->count;
	if (request->stop < request->next)
		request->stop = request->next;
}

void source_done(struct source *source, const struct source_order *order,
                 void (*release)(void *context, struct source_request *request), void *context)
{
	for (size_t i = 0; i < order->count; i++) {
		const struct source_piece *piece = &order->pieces[i];
		struct source_request *request = piece->request;

		request->in_flight--;
		if (order->is_list)
			request->used += order->run;
		else if (!request->opened)
			request_opened(source, request, piece);
		else if (request->sparse && piece->first == request->next) /* not a range ordered before it was known */
			request->next = piece->first + piece->chunks;
		if (piece->bytes < payload(source, request->size, piece->first, piece->chunks))
			request->sparse = true;
		source->reserved -= piece->reserved;
		source->sent += request->digests ? 0 : piece->bytes;
		request->sent += piece->chunks;
		request->failed = request->failed || piece->failed;
		request->ended = request->ended || piece->ended;
		if (request->ended && request->in_flight == 0)
			request_forget(source, request, release, context);
	}
}

size_t source_pending(const struct source *source)
{
	return source->requests.count;
}

uint64_t source_sent(const struct source *source)
{
	return source->sent;
}
