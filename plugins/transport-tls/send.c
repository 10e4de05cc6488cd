/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: sending. Records are made in a buffer that all connections share, several of them go to TCP with one call,
 * and what TCP does not take becomes the connection's own until it does.
 */
#include "tls.h"

#include <errno.h>
#include <string.h>

/* ---- what is not payload ---- */

static int control_add(struct tls_conn *conn, uint8_t type, const uint8_t *bytes, size_t len)
{
	uint8_t record[TLS_AROUND + 8];
	const struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct tls_reading reading = { &iov, 1, 0 };

	if (conn->way == TLS_WAY_KERNEL)
		return tls_kernel_control(conn, type, bytes, len);
	ssize_t made = tls_seal_make(&conn->out, type, &reading, record);
	return made < 0 ? (int)made : tls_stream_add(conn, record, (size_t)made);
}

int tls_send_alert(struct tls_conn *conn, uint8_t level, uint8_t alert)
{
	const uint8_t message[] = { level, alert };

	return control_add(conn, SSL3_RT_ALERT, message, sizeof(message));
}

int tls_send_update(struct tls_conn *conn)
{
	static const uint8_t message[] = { SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_NOT_REQUESTED };
	int rc = control_add(conn, SSL3_RT_HANDSHAKE, message, sizeof(message));

	if (rc < 0)
		return rc;
	conn->keyed = 0;
	return conn->way == TLS_WAY_KERNEL ? tls_kernel_renew(conn) : tls_seal_renew(&conn->out);
}

/* ---- payload ---- */

/* Records of the next bytes, as many as are sent at once: their bytes in the scratch buffer, or -errno. */
static ssize_t records_make(struct tls_conn *conn, struct tls_reading *reading, size_t *payload)
{
	unsigned most = conn->sent < TLS_PROVEN ? 1 : TLS_BATCH;
	size_t fill = 0;

	*payload = 0;
	for (unsigned i = 0; i < most && reading->count > 0; i++) {
		ssize_t made = tls_seal_make(&conn->out, SSL3_RT_APPLICATION_DATA, reading, conn->tls->scratch + fill);
		if (made < 0)
			return made;
		fill += (size_t)made;
		*payload += made > 0 ? (size_t)made - TLS_AROUND : 0;
	}
	conn->keyed += *payload;
	conn->sent += *payload;
	return (ssize_t)fill;
}

/* Sends what is in the scratch buffer, and keeps what TCP does not take. */
static int scratch_send(struct tls_conn *conn, size_t fill)
{
	const uint8_t *bytes = conn->tls->scratch;
	int rc = 0;

	while (fill > 0) {
		const struct iovec iov = { (void *)(uintptr_t)bytes, fill };
		ssize_t sent = tcp_sendv(conn->tcp, &iov, 1, 0);
		if (sent < 0) {
			rc = (int)sent;
			break;
		}
		bytes += sent;
		fill -= (size_t)sent;
	}
	if (rc == -EAGAIN && tls_stream_add(conn, bytes, fill) < 0)
		rc = -ENOMEM;
	return rc;
}

ssize_t tls_sendv(struct xfer_conn *handle, const struct iovec *iov, int count, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	struct tls_reading reading = { iov, count, 0 };
	size_t total = 0;
	int rc = conn->shut ? -EPIPE : tls_stream_flush(conn);

	(void)flags;
	if (rc == 0 && conn->way == TLS_WAY_KERNEL)
		return tls_kernel_sendv(conn, iov, count);
	while (rc == 0 && reading.count > 0) {
		size_t payload;
		if (conn->keyed >= conn->tls->rekey_after) {
			rc = tls_send_update(conn);
			if (rc == 0)
				rc = tls_stream_flush(conn);
			if (rc < 0)
				break;
		}
		ssize_t made = records_make(conn, &reading, &payload);
		if (made < 0)
			return tls_conn_say(conn, (int)made, "what is to be sent cannot be encrypted");
		total += payload;
		rc = scratch_send(conn, (size_t)made);
	}
	/* What was made into records is taken, wherever these are. */
	if (rc == 0 || rc == -EAGAIN)
		return total > 0 || rc == 0 ? (ssize_t)total : rc;
	return rc;
}

int tls_shutdown(struct xfer_conn *handle, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	int rc = conn->shut ? 0 : tls_send_alert(conn, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY);

	(void)flags;
	if (rc < 0)
		return rc;
	conn->shut = true;
	rc = conn->way == TLS_WAY_KERNEL ? tls_kernel_drained(conn) : tls_stream_flush(conn);
	return rc < 0 ? rc : tcp_shutdown(conn->tcp, 0);
}
