/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp inside: what its files share. */
#ifndef XFER_TRANSPORT_TCP_H
#define XFER_TRANSPORT_TCP_H

#include <xfer/plugin.h>

#include "options.h"

enum { TCP_ADDRESS_MAX = 80 }; /* bytes of "[v6%scope]:port" */

struct tcp {
	const struct xfer_host *host;
	int backlog;
	int send_buffer; /* bytes, 0 = the kernel's autotuning */
	int receive_buffer;
	int send_ahead;         /* bytes not sent yet, 0 = no bound but the buffer */
	const char *congestion; /* "" = the system's */
	int keepalive;
	int allow_plaintext;
};

/* ---- plugin.c ---- */
extern const struct xfer_option tcp_options[TCP_OPTIONS];
extern const struct xfer_transport_ops tcp_ops;
int tcp_create(const struct xfer_host *host, const struct xfer_params *params, void **instance);
void tcp_destroy(void *instance);

/* ---- socket.c ---- */
/* A non-blocking, close-on-exec stream socket with the options that have to be set before it listens or connects. */
int tcp_socket_open(const struct tcp *tcp, const struct sockaddr *address, int *fd);
/* What an accepted or connected socket needs too. */
int tcp_socket_tune(const struct tcp *tcp, int fd);
/* How many bytes the kernel takes before it can send them. */
int tcp_socket_ahead(const struct tcp *tcp, int fd, int bytes);
/*
 * Off the loopback TCP needs allow-plaintext: -EINVAL with a text that says so, and what encrypts instead. `authority` is
 * what the user wrote, or "".
 */
int tcp_plain_listen(const struct tcp *tcp, const struct sockaddr *address, socklen_t len, const char *authority);
int tcp_plain_connect(const struct tcp *tcp, const struct sockaddr *address, socklen_t len);
/* The same of an open listener; of a connection, by its peer. */
int tcp_plain_listener(const struct tcp *tcp, int fd, const char *authority);
int tcp_plain_conn(const struct tcp *tcp, int fd);
/* As tcp_socket_tune() for a descriptor that somebody else opened; -EINVAL when it is no TCP socket. */
int tcp_socket_adopt(const struct tcp *tcp, int fd);
/* "127.0.0.1:15010" or "[::1]:15010", at most TCP_ADDRESS_MAX bytes; "?" for another family. Returns text. */
char *tcp_address_text(const struct sockaddr_storage *address, char text[TCP_ADDRESS_MAX]);

/* ---- listener.c ---- */
int tcp_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out);
int tcp_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                       struct xfer_listener **out);
int tcp_listener_fds(struct xfer_listener *listener, int *fds, size_t max);
int tcp_listener_address(struct xfer_listener *listener, char *text, size_t size);
void tcp_listener_close(struct xfer_listener *listener);
int tcp_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags);

/* ---- conn.c ---- */
/* A connection that is open. Takes the descriptor over on success. */
int tcp_conn_create(const struct tcp *tcp, int fd, struct xfer_conn **out);
int tcp_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out);
int tcp_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out);
int tcp_handshake(struct xfer_conn *conn, uint32_t flags);
ssize_t tcp_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags);
ssize_t tcp_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags);
ssize_t tcp_sendfile(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags);
ssize_t tcp_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags);
ssize_t tcp_recvpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags);
int tcp_poll(struct xfer_conn *conn, struct xfer_poll *out);
int tcp_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out);
int tcp_shutdown(struct xfer_conn *conn, uint32_t flags);
void tcp_close(struct xfer_conn *conn);

#endif
