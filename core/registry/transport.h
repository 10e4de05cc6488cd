/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of a transport plug-in: what <xfer/plugin.h> says of each callback holds. The only way by which the rest of
 * the core moves bytes. Loop thread.
 */
#ifndef XFER_REGISTRY_TRANSPORT_H
#define XFER_REGISTRY_TRANSPORT_H

#include "registry/registry.h"

int transport_listen(const struct plugin *plugin, const struct xfer_listen *how, struct xfer_listener **out);
int transport_listener_adopt(const struct plugin *plugin, const struct xfer_listen *how, const int *fds, size_t count,
                             struct xfer_listener **out);
int transport_listener_fds(const struct plugin *plugin, struct xfer_listener *listener, int *fds, size_t max);
int transport_listener_address(const struct plugin *plugin, struct xfer_listener *listener, char *text, size_t size);
void transport_listener_close(const struct plugin *plugin, struct xfer_listener *listener);
int transport_accept(const struct plugin *plugin, struct xfer_listener *listener, struct xfer_conn **out);
int transport_connect(const struct plugin *plugin, const struct xfer_connect *how, struct xfer_conn **out);
/* Where the plug-in has it: plugin->transport.adopt != NULL. */
int transport_adopt(const struct plugin *plugin, const struct xfer_adopt *how, struct xfer_conn **out);
int transport_handshake(const struct plugin *plugin, struct xfer_conn *conn);
ssize_t transport_sendv(const struct plugin *plugin, struct xfer_conn *conn, const struct iovec *iov, int count);
ssize_t transport_recv(const struct plugin *plugin, struct xfer_conn *conn, void *bytes, size_t len);
/* Likewise. */
ssize_t transport_sendpipe(const struct plugin *plugin, struct xfer_conn *conn, int fd, size_t len);
ssize_t transport_recvpipe(const struct plugin *plugin, struct xfer_conn *conn, int fd, size_t len);
int transport_poll(const struct plugin *plugin, struct xfer_conn *conn, struct xfer_poll *out);
int transport_endpoint(const struct plugin *plugin, struct xfer_conn *conn, struct xfer_endpoint *out);
int transport_shutdown(const struct plugin *plugin, struct xfer_conn *conn);
void transport_close(const struct plugin *plugin, struct xfer_conn *conn);

#endif
