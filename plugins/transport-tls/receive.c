/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: receiving. What TCP has comes into a buffer that all connections share, several records with one call, and
 * is decrypted to where the caller wants it. Between two calls a connection keeps what is not a whole record yet, and what
 * of a record was not asked for.
 */
#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One call of recv(). */
struct intake {
	uint8_t *to;
	size_t len, total;
	uint8_t *wire;   /* the instance's scratch buffer */
	size_t at, fill; /* in it: opened up to, filled up to */
	size_t bare;     /* bytes that came without payload in them */
};

static int held_keep(struct tls_held **held, const uint8_t *bytes, size_t len)
{
	struct tls_held *kept;

	if (len == 0)
		return 0;
	kept = malloc(sizeof(*kept) + len);
	if (kept == NULL)
		return -ENOMEM;
	kept->at = 0;
	kept->len = len;
	memcpy(kept->bytes, bytes, len);
	*held = kept;
	return 0;
}

/* What the call before it opened and did not want. */
static void plain_take(struct tls_conn *conn, struct intake *in)
{
	struct tls_held *plain = conn->plain;
	size_t take;

	if (plain == NULL)
		return;
	take = plain->len - plain->at < in->len ? plain->len - plain->at : in->len;
	memcpy(in->to, plain->bytes + plain->at, take);
	plain->at += take;
	in->total = take;
	if (plain->at < plain->len)
		return;
	free(plain);
	conn->plain = NULL;
}

/* Bytes from TCP: so many that what the caller wants can be in them, or one record. 0, -EAGAIN, or the error. */
static int wire_fill(struct tls_conn *conn, struct intake *in)
{
	size_t left = in->len - in->total, have = in->fill - in->at, want;
	ssize_t got;

	if (have > 0 && in->at > 0)
		memmove(in->wire, in->wire + in->at, have);
	in->at = 0;
	in->fill = have;
	want = left + (left / TLS_RECORD + 1) * TLS_AROUND;
	if (want < TLS_RECORD_MAX)
		want = TLS_RECORD_MAX;
	if (want > TLS_SCRATCH)
		want = TLS_SCRATCH;
	got = tcp_recv(conn->tcp, in->wire + have, want - have, 0);
	if (got > 0)
		in->fill += (size_t)got;
	if (got > 0 || got == -EAGAIN)
		return got > 0 ? 0 : -EAGAIN;
	return got == 0 ? tls_explain_end(conn) : tls_conn_say(conn, (int)got, "%s", strerror((int)-got));
}

/* What came is not what a peer of ours would send: it is told so, as far as it listens. */
static int refuse(struct tls_conn *conn, uint8_t alert, const char *what)
{
	(void)tls_send_alert(conn, SSL3_AL_FATAL, alert);
	return tls_conn_say(conn, -EPROTO, "TLS failed: %s", what);
}

/* ---- what is not payload ---- */

static int alert_take(struct tls_conn *conn, const uint8_t *bytes, size_t len)
{
	if (len != 2)
		return refuse(conn, SSL_AD_DECODE_ERROR, "an alert is malformed");
	if (bytes[1] == SSL_AD_USER_CANCELLED)
		return 0;
	if (bytes[1] != SSL_AD_CLOSE_NOTIFY)
		return tls_explain_alert(conn, bytes[1]);
	conn->over = true;
	return 0;
}

/* Behind the handshake there are only changes of the key, and tickets, which daemons of ours do not give. */
static int handshake_take(struct tls_conn *conn, const uint8_t *bytes, size_t len)
{
	while (len >= 4) {
		size_t body = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
		if (body > len - 4)
			break;
		if (bytes[0] == SSL3_MT_KEY_UPDATE) {
			if (len != 5 || body != 1 || bytes[4] > SSL_KEY_UPDATE_REQUESTED)
				break;
			int rc = tls_seal_renew(&conn->in);
			/* The kernel may have no room now: then ahead of what is sent next. */
			if (rc == 0 && bytes[4] == SSL_KEY_UPDATE_REQUESTED && conn->way == TLS_WAY_KERNEL)
				conn->keyed = conn->tls->rekey_after;
			else if (rc == 0 && bytes[4] == SSL_KEY_UPDATE_REQUESTED && !conn->shut)
				rc = tls_send_update(conn);
			return rc < 0 ? tls_conn_say(conn, rc, "the key cannot be changed") : 0;
		}
		if (bytes[0] != SSL3_MT_NEWSESSION_TICKET || conn->server)
			break;
		bytes += 4 + body;
		len -= 4 + body;
	}
	return len == 0 ? 0 : refuse(conn, SSL_AD_UNEXPECTED_MESSAGE, "a message that has no place here");
}

static int control_take(struct tls_conn *conn, uint8_t type, const uint8_t *bytes, size_t len)
{
	if (type == SSL3_RT_ALERT)
		return alert_take(conn, bytes, len);
	if (type == SSL3_RT_HANDSHAKE && len > 0)
		return handshake_take(conn, bytes, len);
	return refuse(conn, SSL_AD_UNEXPECTED_MESSAGE, "a record of a kind that has no place here");
}

/* ---- records ---- */

/* The length of the record that is next, header included; 0: it is not whole yet; or -EPROTO. */
static ssize_t record_next(struct tls_conn *conn, const struct intake *in)
{
	const uint8_t *header = in->wire + in->at;
	size_t have = in->fill - in->at, len;

	if (have < TLS_HEADER)
		return 0;
	len = (size_t)header[3] << 8 | header[4];
	if (header[0] != SSL3_RT_APPLICATION_DATA || header[1] != SSL3_VERSION_MAJOR || len <= TLS_TAG)
		return refuse(conn, SSL_AD_UNEXPECTED_MESSAGE, "what came is no record of this stream");
	if (len > TLS_RECORD + TLS_RECORD_EXTRA)
		return refuse(conn, SSL_AD_RECORD_OVERFLOW, "a record is too long");
	return TLS_HEADER + len <= have ? (ssize_t)(TLS_HEADER + len) : 0;
}

/* To where the caller wants it when there is room for all of it. */
static int record_take(struct tls_conn *conn, struct intake *in, size_t len)
{
	size_t room = in->len - in->total, take;
	bool fits = len - TLS_HEADER - TLS_TAG <= room;
	uint8_t *out = fits ? in->to + in->total : conn->tls->scratch + TLS_SCRATCH_TAIL;
	uint8_t type;
	ssize_t got = tls_seal_open(&conn->in, in->wire + in->at, len, out, &type);

	if (got < 0)
		return got == -EPROTO ? refuse(conn, SSL_AD_UNEXPECTED_MESSAGE, "a record has no type, or is too long")
		                      : refuse(conn, SSL_AD_BAD_RECORD_MAC,
		                               "what came was changed on the way, or is not from the peer");
	in->at += len;
	if (type != SSL3_RT_APPLICATION_DATA || got == 0)
		in->bare += len;
	if (type != SSL3_RT_APPLICATION_DATA)
		return control_take(conn, type, out, (size_t)got);
	take = (size_t)got < room ? (size_t)got : room;
	if (!fits)
		memcpy(in->to + in->total, out, take);
	in->total += take;
	return held_keep(&conn->plain, out + take, (size_t)got - take);
}

/* Until the caller has what it wants, or nothing more comes: 0, -EAGAIN, or what the end is. */
static int intake_run(struct tls_conn *conn, struct intake *in)
{
	int rc = 0;

	while (rc == 0 && in->total < in->len && !conn->over) {
		ssize_t len = record_next(conn, in);

		/* Answers that a peer asks for and does not read must not pile up. */
		if (len > 0 && tls_stream_pending(conn) > TLS_PENDING_MAX)
			return -EAGAIN;
		/* Changes of the key without end would keep the loop busy. */
		if (len >= 0 && in->bare > TLS_BARE_MAX)
			return tls_explain_flood(conn);
		rc = len < 0 ? (int)len : len == 0 ? wire_fill(conn, in) : record_take(conn, in, (size_t)len);
	}
	return rc;
}

ssize_t tls_recv(struct xfer_conn *handle, void *bytes, size_t len, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	struct intake in = { .to = bytes, .len = len, .wire = conn->tls->scratch };
	int rc = 0;

	(void)flags;
	plain_take(conn, &in);
	if (!conn->over && in.total < len) {
		if (conn->wire != NULL) {
			in.fill = conn->wire->len;
			memcpy(in.wire, conn->wire->bytes, in.fill);
			free(conn->wire);
			conn->wire = NULL;
		}
		rc = intake_run(conn, &in);
		if (rc == 0 || rc == -EAGAIN) {
			int kept = held_keep(&conn->wire, in.wire + in.at, conn->over ? 0 : in.fill - in.at);
			rc = kept < 0 ? kept : rc;
		}
		if (rc < 0 && rc != -EAGAIN) {
			conn->over = true;
			conn->verdict = rc;
		}
		/* An answer, or what we complain about; when that fails, a read will tell. */
		if (conn->pending != NULL)
			(void)tls_stream_flush(conn);
	}
	if (in.total > 0)
		return (ssize_t)in.total;
	if (!conn->over)
		return rc;
	if (conn->verdict < 0 && conn->error != NULL)
		conn->tls->host->error(conn->tls->host, "%s", conn->error);
	return conn->verdict;
}
