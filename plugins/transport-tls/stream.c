/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: records between OpenSSL and TCP.
 *
 * What OpenSSL writes never waits in OpenSSL, which would want the very same bytes again: payload is only handed to it
 * while there is room for its records. They go to a scratch buffer that all connections share, from there to TCP with
 * one call for several of them, and what TCP does not take becomes the connection's own `pending` until it does.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH = (TLS_BATCH + 1) * (TLS_RECORD + TLS_RECORD_EXTRA) /* one more for a change of the key */ };

/* ---- what OpenSSL calls ---- */

/* Behind what is pending already. */
static int pending_add(struct tls_conn *conn, const void *bytes, size_t len)
{
	size_t left = conn->pending_len - conn->pending_sent;
	uint8_t *joined;

	if (len == 0)
		return 0;
	joined = malloc(left + len);
	if (joined == NULL)
		return -ENOMEM;
	if (left > 0)
		memcpy(joined, conn->pending + conn->pending_sent, left);
	memcpy(joined + left, bytes, len);
	free(conn->pending);
	conn->pending = joined;
	conn->pending_len = left + len;
	conn->pending_sent = 0;
	return 0;
}

static int on_write(BIO *bio, const char *bytes, int len)
{
	struct tls_conn *conn = BIO_get_data(bio);
	struct tls *tls = conn->tls;
	size_t size = len > 0 ? (size_t)len : 0;

	BIO_clear_retry_flags(bio);
	if (conn->batching && tls->scratch_fill + size <= SCRATCH) {
		memcpy(tls->scratch + tls->scratch_fill, bytes, size);
		tls->scratch_fill += size;
		return len;
	}
	/* Answers that a peer asks for and does not read must not pile up. */
	if (conn->pending_len - conn->pending_sent + size > TLS_PENDING_MAX) {
		BIO_set_retry_write(bio);
		return -1;
	}
	int rc = pending_add(conn, bytes, size);
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
	/* OpenSSL asks on until there is payload; changes of the key without end would keep it, and the loop, busy. */
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

/* ---- sending ---- */

int tls_stream_flush(struct tls_conn *conn)
{
	while (conn->pending_sent < conn->pending_len) {
		const struct iovec iov = { conn->pending + conn->pending_sent, conn->pending_len - conn->pending_sent };
		ssize_t sent = tcp_sendv(conn->tcp, &iov, 1, 0);
		if (sent < 0)
			return (int)sent;
		conn->pending_sent += (size_t)sent;
	}
	free(conn->pending);
	conn->pending = NULL;
	conn->pending_len = 0;
	conn->pending_sent = 0;
	return 0;
}

/* Where the pieces are read. */
struct reading {
	const struct iovec *iov;
	int count;
	size_t at; /* in the first of them */
};

/* The next bytes of the pieces, TLS_RECORD at most, in one piece: where they lie, or gathered in `together`. */
static const uint8_t *reading_next(const struct reading *reading, uint8_t *together, size_t *len)
{
	struct reading at = *reading;
	size_t have = 0;

	while (at.count > 0 && at.iov->iov_len == at.at)
		at = (struct reading){ at.iov + 1, at.count - 1, 0 };
	if (at.count > 0 && (at.iov->iov_len - at.at >= TLS_RECORD || at.count == 1)) {
		have = at.iov->iov_len - at.at;
		*len = have < TLS_RECORD ? have : TLS_RECORD;
		return (const uint8_t *)at.iov->iov_base + at.at;
	}
	for (; at.count > 0 && have < TLS_RECORD; at = (struct reading){ at.iov + 1, at.count - 1, 0 }) {
		size_t left = at.iov->iov_len - at.at;
		size_t take = left < TLS_RECORD - have ? left : TLS_RECORD - have;
		if (take > 0)
			memcpy(together + have, (const uint8_t *)at.iov->iov_base + at.at, take);
		have += take;
	}
	*len = have;
	return together;
}

static void reading_advance(struct reading *reading, size_t len)
{
	while (reading->count > 0 && reading->iov->iov_len - reading->at <= len) {
		len -= reading->iov->iov_len - reading->at;
		*reading = (struct reading){ reading->iov + 1, reading->count - 1, 0 };
	}
	reading->at += len;
}

/* Records of the next bytes into the scratch buffer, as many as are sent at once: bytes, or -errno. */
static ssize_t records_make(struct tls_conn *conn, struct reading *reading)
{
	uint8_t together[TLS_RECORD];
	unsigned most = conn->sent < TLS_PROVEN ? 1 : TLS_BATCH;
	size_t made = 0;

	if (conn->keyed >= conn->tls->rekey_after) {
		if (SSL_key_update(conn->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
			return -EPROTO;
		conn->keyed = 0;
	}
	for (unsigned i = 0; i < most; i++) {
		size_t len, taken;
		const uint8_t *bytes = reading_next(reading, together, &len);
		if (len == 0)
			break;
		ERR_clear_error();
		if (SSL_write_ex(conn->ssl, bytes, len, &taken) != 1)
			return -EPROTO;
		reading_advance(reading, taken);
		made += taken;
	}
	conn->keyed += made;
	return (ssize_t)made;
}

/* Sends what is in the scratch buffer, and keeps what TCP does not take. */
static int scratch_send(struct tls_conn *conn)
{
	struct tls *tls = conn->tls;
	size_t at = 0;
	int rc = 0;

	while (at < tls->scratch_fill) {
		const struct iovec iov = { tls->scratch + at, tls->scratch_fill - at };
		ssize_t sent = tcp_sendv(conn->tcp, &iov, 1, 0);
		if (sent < 0) {
			rc = (int)sent;
			break;
		}
		at += (size_t)sent;
	}
	if (rc == -EAGAIN && pending_add(conn, tls->scratch + at, tls->scratch_fill - at) < 0)
		rc = -ENOMEM;
	tls->scratch_fill = 0;
	return rc;
}

ssize_t tls_sendv(struct xfer_conn *handle, const struct iovec *iov, int count, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	struct reading reading = { iov, count, 0 };
	size_t total = 0;
	int rc = tls_stream_flush(conn);

	(void)flags;
	while (rc == 0 && reading.count > 0) {
		conn->batching = true;
		ssize_t made = records_make(conn, &reading);
		conn->batching = false;
		if (made < 0) {
			conn->tls->scratch_fill = 0;
			rc = tls_explain(conn, SSL_ERROR_SSL);
			break;
		}
		total += (size_t)made;
		conn->sent += (uint64_t)made;
		rc = scratch_send(conn);
	}
	/* What was made into records is taken, wherever these are. */
	if (rc == 0 || rc == -EAGAIN)
		return total > 0 || rc == 0 ? (ssize_t)total : rc;
	return rc;
}

int tls_shutdown(struct xfer_conn *handle, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	int rc;

	(void)flags;
	ERR_clear_error();
	if ((SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN) == 0 && SSL_shutdown(conn->ssl) < 0)
		return tls_explain(conn, SSL_ERROR_SSL);
	rc = tls_stream_flush(conn);
	return rc < 0 ? rc : tcp_shutdown(conn->tcp, 0);
}

/* ---- receiving ---- */

/* SSL_read() gave nothing: -EAGAIN, or what the end is, for good. */
static int recv_stopped(struct tls_conn *conn)
{
	int reason = SSL_get_error(conn->ssl, 0);

	if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	conn->over = true;
	conn->verdict = reason == SSL_ERROR_ZERO_RETURN ? 0 : tls_explain(conn, reason);
	return conn->verdict;
}

ssize_t tls_recv(struct xfer_conn *handle, void *bytes, size_t len, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	uint8_t *to = bytes;
	size_t total = 0;
	int rc = 0;

	(void)flags;
	if (conn->over) {
		if (conn->verdict < 0 && conn->error != NULL)
			conn->tls->host->error(conn->tls->host, "%s", conn->error);
		return conn->verdict;
	}
	conn->allowed = TLS_BARE_MAX;
	while (total < len) {
		size_t got;
		ERR_clear_error();
		if (SSL_read_ex(conn->ssl, to + total, len - total, &got) != 1) {
			rc = recv_stopped(conn);
			break;
		}
		total += got;
		/* It is of one record, or of a part of one. */
		conn->allowed += (int64_t)got + TLS_BARE_PER_RECORD;
	}
	/* A request for a new key may have been answered; when that fails, a read will tell. */
	if (conn->pending != NULL)
		(void)tls_stream_flush(conn);
	return total > 0 ? (ssize_t)total : rc;
}
