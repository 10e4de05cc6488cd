/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: the handshake between OpenSSL and TCP, and what waits to be sent.
 *
 * What OpenSSL writes never waits in OpenSSL: it becomes the connection's `pending`, as does later on whatever TCP does not
 * take. OpenSSL reads no byte beyond the handshake.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

/* ---- what OpenSSL calls ---- */

static int on_write(BIO *bio, const char *bytes, int len)
{
	struct tls_conn *conn = BIO_get_data(bio);
	size_t size = len > 0 ? (size_t)len : 0;

	BIO_clear_retry_flags(bio);
	/* Answers that a peer asks for and does not read must not pile up. */
	if (tls_stream_pending(conn) + size > TLS_PENDING_MAX) {
		BIO_set_retry_write(bio);
		return -1;
	}
	int rc = tls_stream_add(conn, bytes, size);
	if (rc < 0) {
		conn->io_error = rc;
		return -1;
	}
	return len;
}

/* Only a record of the handshake or an alert can be the first; anything else is another protocol. */
static bool first_is_tls(const struct tls_conn *conn)
{
	return (conn->first[0] == SSL3_RT_HANDSHAKE || conn->first[0] == SSL3_RT_ALERT) &&
	       (conn->first_len < 2 || conn->first[1] == SSL3_VERSION_MAJOR);
}

static int on_read(BIO *bio, char *bytes, int size)
{
	struct tls_conn *conn = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (conn->eof || conn->io_error != 0 || size <= 0)
		return conn->eof ? 0 : -1;
	/* OpenSSL asks on until it can go on; what never lets it would keep it, and the loop, busy. */
	if (conn->allowed <= 0) {
		conn->flooded = true;
		conn->io_error = -EPROTO;
		return -1;
	}
	got = tcp_recv(conn->tcp, bytes, (size_t)size, 0);
	if (got == -EAGAIN) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (got < 0) {
		conn->io_error = (int)got;
		return -1;
	}
	conn->eof = got == 0;
	conn->allowed -= got;
	for (ssize_t i = 0; conn->first_len < TLS_FIRST && i < got; i++)
		conn->first[conn->first_len++] = (uint8_t)bytes[i];
	if (got > 0 && !first_is_tls(conn)) {
		/* A little more of it, to be shown. */
		got = tcp_recv(conn->tcp, conn->first + conn->first_len, (size_t)(TLS_FIRST - conn->first_len), 0);
		conn->first_len = (uint8_t)(conn->first_len + (got > 0 ? got : 0));
		conn->io_error = -EPROTO;
		return -1;
	}
	return (int)got;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
	struct tls_conn *conn = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: return 1; /* we do it when it is time */
	case BIO_CTRL_EOF: return conn->eof;
	default: return 0;
	}
}

BIO_METHOD *tls_stream_method(void)
{
	int type = BIO_get_new_index();
	BIO_METHOD *method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "xfer");

	if (method != NULL && BIO_meth_set_write(method, on_write) == 1 && BIO_meth_set_read(method, on_read) == 1 &&
	    BIO_meth_set_ctrl(method, on_control) == 1)
		return method;
	BIO_meth_free(method);
	return NULL;
}

int tls_stream_open(struct tls_conn *conn)
{
	BIO *bio = BIO_new(conn->tls->method);

	if (bio == NULL)
		return -ENOMEM;
	BIO_set_data(bio, conn);
	BIO_set_init(bio, 1);
	SSL_set_bio(conn->ssl, bio, bio);
	return 0;
}

/* ---- what waits to be sent ---- */

size_t tls_stream_pending(const struct tls_conn *conn)
{
	return conn->pending != NULL ? conn->pending->len - conn->pending->at : 0;
}

int tls_stream_add(struct tls_conn *conn, const void *bytes, size_t len)
{
	size_t left = tls_stream_pending(conn);
	struct tls_held *joined;

	if (len == 0)
		return 0;
	joined = malloc(sizeof(*joined) + left + len);
	if (joined == NULL)
		return -ENOMEM;
	if (left > 0)
		memcpy(joined->bytes, conn->pending->bytes + conn->pending->at, left);
	memcpy(joined->bytes + left, bytes, len);
	joined->at = 0;
	joined->len = left + len;
	free(conn->pending);
	conn->pending = joined;
	return 0;
}

int tls_stream_flush(struct tls_conn *conn)
{
	struct tls_held *pending = conn->pending;

	while (tls_stream_pending(conn) > 0) {
		const struct iovec iov = { pending->bytes + pending->at, pending->len - pending->at };
		ssize_t sent = tcp_sendv(conn->tcp, &iov, 1, 0);
		if (sent < 0)
			return (int)sent;
		pending->at += (size_t)sent;
	}
	free(pending);
	conn->pending = NULL;
	return 0;
}
