/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: a connection, from TCP's to one that knows its peer. */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WASTE_TURNS = 16 }; /* reads of what a refused peer has sent already */

/* Takes tcp over, also on failure. */
static int conn_create(struct tls *tls, struct xfer_conn *tcp, bool server, struct tls_conn **out)
{
	struct tls_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		tcp_close(tcp);
		return -ENOMEM;
	}
	conn->tls = tls;
	conn->tcp = tcp;
	conn->server = server;
	conn->ssl = SSL_new(tls->context);
	if (conn->ssl == NULL || SSL_set_app_data(conn->ssl, conn) != 1 || tls_stream_open(conn) < 0) {
		ERR_clear_error();
		tls_close((struct xfer_conn *)(void *)conn);
		return -ENOMEM;
	}
	if (server)
		SSL_set_accept_state(conn->ssl);
	else
		SSL_set_connect_state(conn->ssl);
	*out = conn;
	return 0;
}

/* ---- the client's side ---- */

/* The key that is offered: the one that the URL's user names, or the only one. */
static int conn_key(struct tls_conn *conn, const char *user)
{
	const struct tls *tls = conn->tls;

	if (tls->keys.count == 0)
		return 0;
	if (user != NULL)
		conn->key = tls_keys_find(&tls->keys, user, strlen(user));
	else if (tls->keys.count == 1)
		conn->key = &tls->keys.list[0];
	if (conn->key != NULL || tls->certificate[0] != '\0')
		return 0;
	if (user != NULL)
		return tls_conn_say(conn, -EINVAL, "there is no key '%s' in %s", user, tls->key_file);
	return tls_conn_say(conn, -EINVAL, "%s holds %zu keys; say which: xfer+tls://NAME@HOST/", tls->key_file,
	                    tls->keys.count);
}

/* The daemon's certificate has to be for the host that the URL names. */
static int conn_host(struct tls_conn *conn, const char *host, size_t len)
{
	if (conn->tls->certificate[0] == '\0')
		return 0;
	conn->host = strndup(host, len);
	if (conn->host == NULL)
		return -ENOMEM;
	/* An address may name an interface of ours, which no certificate does. */
	if (strchr(conn->host, ':') != NULL)
		conn->host[strcspn(conn->host, "%")] = '\0';
	if (conn->host[0] == '\0')
		return tls_conn_say(conn, -EINVAL, "for which host the daemon's certificate has to be is not known");
	SSL_set_hostflags(conn->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(conn->ssl), conn->host) == 1)
		return 0;
	ERR_clear_error();
	if (SSL_set1_host(conn->ssl, conn->host) == 1 && SSL_set_tlsext_host_name(conn->ssl, conn->host) == 1)
		return 0;
	ERR_clear_error();
	return tls_conn_say(conn, -EINVAL, "'%s' is no name that a certificate could have", conn->host);
}

static int conn_dial(struct tls *tls, struct xfer_conn *tcp, const char *host, size_t host_len, const char *user,
                     struct xfer_conn **out)
{
	struct tls_conn *conn;
	int rc = conn_create(tls, tcp, false, &conn);

	if (rc < 0)
		return rc;
	rc = conn_key(conn, user);
	if (rc == 0)
		rc = conn_host(conn, host, host_len);
	if (rc < 0)
		tls_close((struct xfer_conn *)(void *)conn);
	else
		*out = (struct xfer_conn *)(void *)conn;
	return rc;
}

int tls_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	struct tls *tls = instance;
	struct xfer_conn *tcp;
	int rc = tls_context_make(tls);

	if (rc == 0)
		rc = tcp_connect(tls->tcp, how, &tcp);
	return rc < 0 ? rc : conn_dial(tls, tcp, how->host, strlen(how->host), how->user, out);
}

/* ---- either side ---- */

static int conn_accept(struct tls *tls, struct xfer_conn *tcp, struct xfer_conn **out)
{
	struct tls_conn *conn;
	int rc = conn_create(tls, tcp, true, &conn);

	if (rc == 0)
		*out = (struct xfer_conn *)(void *)conn;
	return rc;
}

int tls_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	struct tls *tls;
	struct xfer_conn *tcp;
	int rc = tls_listener_accept(listener, &tls, &tcp);

	(void)flags;
	return rc < 0 ? rc : conn_accept(tls, tcp, out);
}

int tls_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	struct tls *tls = instance;
	struct xfer_adopt copy = *how;
	struct xfer_conn *tcp;
	const char *host = how->authority;
	size_t len = strcspn(host, ":");
	int rc = tls_context_make(tls);

	if (rc < 0)
		return rc;
	if (*host == '[') {
		host++;
		len = strcspn(host, "]");
	}
	/* What does not become a connection stays the caller's, whatever goes wrong on the way. */
	if (how->read_fd == how->write_fd) {
		copy.read_fd = fcntl(how->read_fd, F_DUPFD_CLOEXEC, 0);
		copy.write_fd = copy.read_fd;
		if (copy.read_fd < 0)
			return -errno;
	}
	rc = tcp_adopt(tls->tcp, &copy, &tcp);
	if (rc < 0 && copy.read_fd != how->read_fd)
		close(copy.read_fd);
	if (rc == 0)
		rc = how->server ? conn_accept(tls, tcp, out) : conn_dial(tls, tcp, host, len, NULL, out);
	if (rc == 0)
		close(how->read_fd);
	return rc;
}

/*
 * The last word is an alert. A connection that is closed with bytes unread takes it back, so what has come is read; and
 * who does not speak TLS gets an alert too, by which others that know TLS see what this port is for.
 */
static void conn_refuse(struct tls_conn *conn)
{
	static const uint8_t unexpected[] = { SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL, SSL3_AD_UNEXPECTED_MESSAGE };
	const struct iovec alert = { (void *)(uintptr_t)unexpected, sizeof(unexpected) };
	char waste[4096];

	if (tls_stream_flush(conn) == 0 && conn->io_error == -EPROTO && conn->server)
		(void)tcp_sendv(conn->tcp, &alert, 1, 0);
	for (int i = 0; i < WASTE_TURNS && tcp_recv(conn->tcp, waste, sizeof(waste), 0) > 0; i++)
		;
}

int tls_handshake(struct xfer_conn *handle, uint32_t flags)
{
	struct tls_conn *conn = tls_conn_of(handle);
	int rc;

	if (conn->open)
		return 0;
	if (!conn->connected) {
		rc = tcp_handshake(conn->tcp, flags);
		if (rc < 0)
			return rc;
		conn->connected = true;
	}
	conn->allowed = TLS_BARE_MAX;
	ERR_clear_error();
	int done = SSL_do_handshake(conn->ssl);
	int reason = done == 1 ? SSL_ERROR_NONE : SSL_get_error(conn->ssl, done);
	if (reason == SSL_ERROR_NONE) {
		rc = conn->identity == NULL ? tls_identity_take(conn) : 0;
	} else if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
		rc = -EAGAIN;
	} else {
		rc = tls_explain(conn);
	}
	if (rc < 0 && rc != -EAGAIN) {
		conn_refuse(conn);
		return rc;
	}
	/* What is ready to go goes first; poll() says which of the two is waited for. */
	int flushed = tls_stream_flush(conn);
	if (flushed < 0 && flushed != -EAGAIN)
		return tls_conn_say(conn, flushed, "the TLS handshake: %s", strerror(-flushed));
	if (rc < 0 || flushed < 0)
		return -EAGAIN;
	rc = tls_seal_begin(conn);
	conn->open = rc == 0;
	return rc;
}

int tls_poll(struct xfer_conn *handle, struct xfer_poll *out)
{
	struct tls_conn *conn = tls_conn_of(handle);
	int rc = tcp_poll(conn->tcp, out);

	if (rc < 0 || !conn->connected)
		return rc;
	out->events = conn->pending != NULL ? XFER_POLL_WRITE : conn->open ? 0 : XFER_POLL_READ;
	return 0;
}

int tls_endpoint(struct xfer_conn *handle, struct xfer_endpoint *out)
{
	const struct tls_conn *conn = tls_conn_of(handle);
	int rc = tcp_endpoint(conn->tcp, out);

	if (rc == 0 && conn->identity != NULL)
		snprintf(out->identity, sizeof(out->identity), "%s", conn->identity);
	return rc;
}

void tls_close(struct xfer_conn *handle)
{
	struct tls_conn *conn = tls_conn_of(handle);

	SSL_free(conn->ssl);
	tcp_close(conn->tcp);
	free(conn->stranger);
	free(conn->shown);
	free(conn->host);
	free(conn->identity);
	free(conn->error);
	free(conn->pending);
	free(conn->wire);
	free(conn->plain);
	tls_seal_end(&conn->in);
	tls_seal_end(&conn->out);
	free(conn);
}
