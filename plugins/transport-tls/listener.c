/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: the accepting side. A listener is one of TCP, and the instance. */
#include "tls.h"

#include <errno.h>
#include <stdlib.h>

struct tls_listener {
	struct tls *tls;
	struct xfer_listener *tcp; /* owned */
};

static struct tls_listener *tls_listener_of(struct xfer_listener *listener)
{
	return (struct tls_listener *)(void *)listener;
}

/* Keys and certificates are read now, so that a daemon does not start, or reload, with bad ones. */
static int tls_listener_create(struct tls *tls, struct tls_listener **out)
{
	int rc = tls_context_make(tls);

	if (rc < 0)
		return rc;
	struct tls_listener *listener = malloc(sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	listener->tls = tls;
	*out = listener;
	return 0;
}

int tls_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	struct tls *tls = instance;
	struct tls_listener *listener;
	int rc = tls_listener_create(tls, &listener);

	if (rc < 0)
		return rc;
	rc = tcp_listen(tls->tcp, how, &listener->tcp);
	if (rc < 0)
		free(listener);
	else
		*out = (struct xfer_listener *)(void *)listener;
	return rc;
}

int tls_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                       struct xfer_listener **out)
{
	struct tls *tls = instance;
	struct tls_listener *listener;
	int rc = tls_listener_create(tls, &listener);

	if (rc < 0)
		return rc;
	rc = tcp_listener_adopt(tls->tcp, how, fds, count, &listener->tcp);
	if (rc < 0)
		free(listener);
	else
		*out = (struct xfer_listener *)(void *)listener;
	return rc;
}

int tls_listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	return tcp_listener_fds(tls_listener_of(listener)->tcp, fds, max);
}

int tls_listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	return tcp_listener_address(tls_listener_of(listener)->tcp, text, size);
}

void tls_listener_close(struct xfer_listener *listener)
{
	tcp_listener_close(tls_listener_of(listener)->tcp);
	free(tls_listener_of(listener));
}

int tls_listener_accept(struct xfer_listener *listener, struct tls **tls, struct xfer_conn **tcp)
{
	*tls = tls_listener_of(listener)->tls;
	return tcp_accept(tls_listener_of(listener)->tcp, tcp, 0);
}
