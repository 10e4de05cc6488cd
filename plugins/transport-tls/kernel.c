/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: records that the kernel makes, where it has TLS. It takes over what a connection sends when the core first
 * has a pipe to be sent: from then on pages of files are encrypted from where they lie in the page cache, and everything
 * else from the caller's memory. Receiving stays ours. What is sent is the same, record for record.
 *
 * A record that the kernel has made and TCP has no room for waits in the kernel, which forgets it when the stream is shut
 * down or closed, and tells nobody whether there is one. But all that TCP was given is known, and so is what it has to be
 * in the end: the payload, and a frame around each record. Nothing is shut down before the two are the same.
 */
#include "tls.h"

#include <errno.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static int kernel_fd(struct tls_conn *conn)
{
	struct xfer_poll poll = { .struct_size = sizeof(poll) };

	return tcp_poll(conn->tcp, &poll) == 0 ? poll.write_fd : -1;
}

/* ---- the protection ---- */

/* The key of now from the sequence of now on. -EOPNOTSUPP: not with this cipher. */
static int crypto_fill(struct tls_conn *conn, struct tls12_crypto_info_aes_gcm_128 *crypto)
{
	const struct tls_seal *seal = &conn->out;
	uint8_t key[EVP_MAX_KEY_LENGTH];
	int rc;

	/* Which is what is agreed upon, unless processors have no instructions for AES. */
	if (!EVP_CIPHER_is_a(seal->suite, "AES-128-GCM"))
		return -EOPNOTSUPP;
	rc = tls_seal_key(&conn->out, key);
	if (rc < 0)
		return rc;
	crypto->info.version = TLS_1_3_VERSION;
	crypto->info.cipher_type = TLS_CIPHER_AES_GCM_128;
	memcpy(crypto->key, key, sizeof(crypto->key));
	memcpy(crypto->salt, seal->nonce, sizeof(crypto->salt));
	memcpy(crypto->iv, seal->nonce + sizeof(crypto->salt), sizeof(crypto->iv));
	for (unsigned i = 0; i < 8; i++)
		crypto->rec_seq[7 - i] = (uint8_t)(seal->sequence >> (8 * i));
	OPENSSL_cleanse(key, sizeof(key));
	return 0;
}

/* Gives the kernel the key of now. */
static int crypto_set(struct tls_conn *conn)
{
	struct tls12_crypto_info_aes_gcm_128 crypto;
	int rc = crypto_fill(conn, &crypto);

	if (rc == 0 && setsockopt(kernel_fd(conn), SOL_TLS, TLS_TX, &crypto, sizeof(crypto)) < 0)
		rc = -errno;
	OPENSSL_cleanse(&crypto, sizeof(crypto));
	return rc;
}

/* Which number the kernel's next record has. */
static int crypto_next(struct tls_conn *conn, uint64_t *out)
{
	struct tls12_crypto_info_aes_gcm_128 crypto;
	socklen_t len = sizeof(crypto);
	uint64_t next = 0;

	if (getsockopt(kernel_fd(conn), SOL_TLS, TLS_TX, &crypto, &len) < 0)
		return -errno;
	for (unsigned i = 0; i < 8; i++)
		next = next << 8 | crypto.rec_seq[i];
	OPENSSL_cleanse(&crypto, sizeof(crypto));
	*out = next;
	return 0;
}

/* ---- how far it has come ---- */

int tls_kernel_drained(struct tls_conn *conn)
{
	struct tls_kernel *kernel = &conn->kernel;
	uint64_t next, at;
	int rc = crypto_next(conn, &next);

	if (rc == 0)
		rc = tls_position(kernel_fd(conn), &at);
	if (rc < 0)
		return rc;
	return at - kernel->began >= kernel->content + (kernel->records + next - conn->out.sequence) * TLS_AROUND
	               ? 0
	               : -EAGAIN;
}

/* ---- taking over ---- */

/* Our records, for ever. */
static int refused(struct tls_conn *conn, const char *why)
{
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	const struct xfer_host *host = conn->tls->host;

	conn->way = TLS_WAY_OWN;
	(void)tcp_endpoint(conn->tcp, &at);
	host->log(host, XFER_LOG_DEBUG, "%s: records are made here, not by the kernel: %s", at.text, why);
	return -EOPNOTSUPP;
}

static int begin(struct tls_conn *conn)
{
	static const char ulp[] = "tls";
	const struct xfer_host *host = conn->tls->host;
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	uint64_t next;
	int fd = kernel_fd(conn), rc = tls_stream_flush(conn);

	/* What we have made goes before what the kernel makes. */
	if (rc < 0)
		return rc;
	rc = tls_position(fd, &conn->kernel.began);
	if (rc == -EAGAIN)
		return refused(conn, "its peer acknowledges all the time, so that nobody can say how far it has come");
	/* Without a key what is sent stays as it is. */
	if (rc == 0 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, sizeof(ulp) - 1) < 0)
		rc = -errno;
	if (rc == 0)
		rc = crypto_set(conn);
	if (rc < 0)
		return refused(conn, strerror(-rc));
	conn->way = TLS_WAY_KERNEL;
	if (crypto_next(conn, &next) < 0 || next != conn->out.sequence)
		return tls_conn_say(conn, -EPROTO, "the kernel's TLS does not say where it is");
	/* One that lets a key be set again can change it. */
	conn->kernel.changes = crypto_set(conn) == 0;
	aead_end(&conn->out.aead);
	(void)tcp_endpoint(conn->tcp, &at);
	host->log(host, XFER_LOG_DEBUG, "%s: the kernel makes the records from number %llu on%s", at.text,
	          (unsigned long long)conn->out.sequence, conn->kernel.changes ? "" : ", and cannot change the key");
	return 0;
}

int tls_kernel_begin(struct tls_conn *conn)
{
	switch (conn->way) {
	case TLS_WAY_KERNEL: return 0;
	case TLS_WAY_OWN: return -EOPNOTSUPP;
	case TLS_WAY_OPEN: break;
	}
	return conn->tls->kernel ? begin(conn) : refused(conn, "kernel and rekey-after say so");
}

/* ---- sending ---- */

int tls_kernel_control(struct tls_conn *conn, uint8_t type, const uint8_t *bytes, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, len };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(type))];
	} control = {
		.head = { .cmsg_len = CMSG_LEN(sizeof(type)), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE }
	};
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
	};
	ssize_t sent;

	memcpy(CMSG_DATA(&control.head), &type, sizeof(type));
	do
		sent = sendmsg(kernel_fd(conn), &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	conn->kernel.content += (size_t)sent;
	return (size_t)sent == len ? 0 : -EIO;
}

int tls_kernel_renew(struct tls_conn *conn)
{
	uint64_t next;
	int rc = crypto_next(conn, &next);

	if (rc == 0)
		rc = tls_seal_next(&conn->out);
	if (rc < 0)
		return rc;
	conn->kernel.records += next - conn->out.sequence;
	conn->out.sequence = 0;
	return crypto_set(conn);
}

/* The key was used for as long as it may be: the peer is told that this is the end, and a new connection has a new key. */
static int outlived(struct tls_conn *conn)
{
	const struct xfer_host *host = conn->tls->host;

	(void)tls_send_alert(conn, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY);
	(void)tls_conn_say(
		conn, -EKEYEXPIRED,
		"the kernel makes the records of this connection, and cannot change its key, which was used for "
		"%llu bytes (rekey-after); the next connection has a new one",
		(unsigned long long)conn->keyed);
	/* The peer is likely to be gone before this is anybody's error. */
	host->log(host, XFER_LOG_INFO, "%s", conn->error != NULL ? conn->error : "the key of a connection was used up");
	return -EKEYEXPIRED;
}

/* How much may be sent with the key of now: all of it, mostly. */
static int allowance(struct tls_conn *conn, size_t *len)
{
	uint64_t left;
	int rc = 0;

	if (conn->keyed >= conn->tls->rekey_after && !conn->kernel.changes)
		return outlived(conn);
	if (conn->keyed >= conn->tls->rekey_after)
		rc = tls_send_update(conn);
	if (rc < 0)
		return rc == -EAGAIN ? rc : tls_conn_say(conn, rc, "the key cannot be changed: %s", strerror(-rc));
	left = conn->tls->rekey_after - conn->keyed;
	*len = *len < left ? *len : (size_t)left;
	return 0;
}

static ssize_t sent_more(struct tls_conn *conn, ssize_t sent)
{
	if (sent > 0) {
		conn->kernel.content += (size_t)sent;
		conn->keyed += (size_t)sent;
	}
	return sent;
}

ssize_t tls_kernel_sendv(struct tls_conn *conn, const struct iovec *iov, int count)
{
	size_t len = 0, may;
	int rc;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	may = len;
	rc = len > 0 ? allowance(conn, &may) : 0;
	if (rc < 0 || len == 0)
		return rc;
	conn->kernel.begun = 0;
	if (may == len)
		return sent_more(conn, tcp_sendv(conn->tcp, iov, count, 0));
	/* The rest has another key. */
	while (iov->iov_len == 0)
		iov++;
	const struct iovec first = { iov->iov_base, iov->iov_len < may ? iov->iov_len : may };
	return sent_more(conn, tcp_sendv(conn->tcp, &first, 1, 0));
}

/*
 * A record for each call. The kernel does not ask TCP to send a record that is full before the last page of a call: TCP then
 * keeps it, and when it takes no more because of that, nobody is ever told that it does again.
 */
static ssize_t record_splice(struct tls_conn *conn, int fd, size_t len)
{
	struct tls_kernel *kernel = &conn->kernel;
	size_t room = TLS_RECORD - kernel->begun;
	ssize_t sent;

	len = len < room ? len : room;
	sent = sent_more(conn, tcp_sendpipe(conn->tcp, fd, len, 0));
	if (sent == (ssize_t)len)
		kernel->begun = 0;
	else if (sent > 0)
		kernel->begun += (size_t)sent;
	return sent;
}

ssize_t tls_sendpipe(struct xfer_conn *handle, int fd, size_t len, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	int rc = conn->shut ? -EPIPE : tls_kernel_begin(conn);
	size_t total = 0;
	ssize_t sent = 0;

	(void)flags;
	if (rc == 0)
		rc = allowance(conn, &len);
	if (rc < 0)
		return rc;
	while (total < len && (sent = record_splice(conn, fd, len - total)) > 0)
		total += (size_t)sent;
	return total > 0 ? (ssize_t)total : sent;
}
