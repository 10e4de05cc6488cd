/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Runs in the thread, or in the loop for what needs none. */
static void look(struct lookup *lookup, int flags)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags };
	int status = getaddrinfo(lookup->host, lookup->service, &hints, &lookup->found);

	if (status == 0)
		return;
	lookup->found = NULL;
	lookup->failure = status == EAI_SYSTEM ? "the system cannot look it up" : gai_strerror(status);
}

static void *run(void *context)
{
	struct lookup *lookup = context;

	look(lookup, AI_ADDRCONFIG);
	uv_async_send(&lookup->back);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct lookup *lookup = handle->data;

	loop_time(lookup->loop);
	lookup->done(lookup);
}

static void on_back(uv_async_t *back)
{
	struct lookup *lookup = back->data;

	if (lookup->threaded)
		pthread_join(lookup->thread, NULL);
	uv_close((uv_handle_t *)back, on_closed);
}

int lookup_start(struct lookup *lookup, struct loop *loop, const char *host, unsigned port,
                 void (*done)(struct lookup *lookup), struct error *err)
{
	int r;

	*lookup = (struct lookup){ .loop = loop, .host = host, .done = done };
	snprintf(lookup->service, sizeof(lookup->service), "%u", port);
	r = uv_async_init(&loop->uv, &lookup->back, on_back);
	if (r < 0)
		return error_set(err, -EHOSTUNREACH, FAULT_CONNECT, "%s: %s", host, uv_strerror(r));
	lookup->back.data = lookup;
	/* An address in figures asks nobody. */
	look(lookup, AI_NUMERICHOST);
	if (lookup->found != NULL) {
		uv_async_send(&lookup->back);
		return 0;
	}
	lookup->failure = NULL;
	r = pthread_create(&lookup->thread, NULL, run, lookup);
	lookup->threaded = r == 0;
	if (r != 0) {
		lookup->failure = "there is no thread to look it up with";
		uv_async_send(&lookup->back);
	}
	return 0;
}
