/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: why a connection failed, in words that help whoever has to mend it. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tls_conn_say(struct tls_conn *conn, int code, const char *format, ...)
{
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	free(conn->error);
	conn->error = NULL;
	/* A daemon's log names the peer anyway. */
	if (conn->server || tcp_endpoint(conn->tcp, &endpoint) < 0)
		conn->error = strdup(text);
	else if (asprintf(&conn->error, "%s: %s", endpoint.text, text) < 0)
		conn->error = NULL;
	conn->tls->host->error(conn->tls->host, "%s", conn->error != NULL ? conn->error : text);
	return code;
}

/* ---- certificates ---- */

static int explain_certificate(struct tls_conn *conn, long result)
{
	const char *whose = conn->server ? "the client's" : "the daemon's";
	const char *names = conn->shown != NULL ? conn->shown : "";

	switch (result) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return tls_conn_say(conn, -EACCES,
		                    "%s certificate is not for '%s' but for '%s'; the URL has to name it so", whose,
		                    conn->host != NULL ? conn->host : "", names);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		if (conn->tls->certificate[0] == '\0')
			return tls_conn_say(conn, -EACCES,
			                    "the daemon shows a certificate instead of taking our key '%s'",
			                    conn->key != NULL ? conn->key->name : "");
		return tls_conn_say(conn, -EACCES,
		                    "%s certificate ('%s') is not of an authority that we know: %s (ca = %s)", whose,
		                    names, X509_verify_cert_error_string(result), conn->tls->authorities);
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return tls_conn_say(conn, -EACCES, "the client's certificate is good, but there is no name in it");
	default:
		return tls_conn_say(conn, -EACCES, "%s certificate ('%s') is not good: %s", whose, names,
		                    X509_verify_cert_error_string(result));
	}
}

/* ---- alerts: what the peer says ---- */

static bool alert_refuses(int alert)
{
	switch (alert) {
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_ILLEGAL_PARAMETER:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_DECRYPT_ERROR:
	case SSL_AD_INSUFFICIENT_SECURITY:
	case SSL_AD_MISSING_EXTENSION:
	case SSL_AD_UNKNOWN_PSK_IDENTITY:
	case SSL_AD_CERTIFICATE_REQUIRED: return true;
	default: return false;
	}
}

/* The daemon met a client that it cannot tell from a stranger. */
static int explain_no_key(struct tls_conn *conn)
{
	if (conn->stranger != NULL)
		return tls_conn_say(conn, -EACCES, "the client offers a key '%s', and %s has none of this name",
		                    conn->stranger, conn->tls->key_file[0] != '\0' ? conn->tls->key_file : "this side");
	if (conn->tls->certificate[0] == '\0')
		return tls_conn_say(conn, -EACCES, "the client offers no key of %s", conn->tls->key_file);
	return tls_conn_say(conn, -EACCES, "the client shows neither a certificate nor a key that is known here");
}

int tls_explain_alert(struct tls_conn *conn, int alert)
{
	const char *who = conn->server ? "the client" : "the daemon";
	const char *said = SSL_alert_desc_string_long(alert);

	if (!alert_refuses(alert))
		return tls_conn_say(conn, -EPROTO, "%s ended TLS: %s", who, said);
	/* It looked at what we have instead of the key that we do not know, and did not like it either. */
	if (conn->stranger != NULL)
		return explain_no_key(conn);
	if (!conn->server && conn->key != NULL)
		return tls_conn_say(conn, -EACCES,
		                    "the daemon refuses our key '%s' (%s): its key-file needs the same line as ours",
		                    conn->key->name, said);
	if (conn->tls->certificate[0] != '\0')
		return tls_conn_say(conn, -EACCES, "%s refuses our certificate (%s): %s", who, said,
		                    conn->tls->certificate);
	return tls_conn_say(conn, -EACCES, "%s refuses us (%s)", who, said);
}

/* ---- the rest ---- */

static int explain_stranger(struct tls_conn *conn)
{
	char seen[TLS_FIRST + 1];

	for (size_t i = 0; i < conn->first_len; i++)
		seen[i] = conn->first[i] > ' ' && conn->first[i] < 0x7f ? (char)conn->first[i] : '.';
	seen[conn->first_len] = '\0';
	if (conn->server)
		return tls_conn_say(
			conn, -EPROTO,
			"the client does not speak TLS (it began with '%s'); this port is for xfer+tls:// only", seen);
	return tls_conn_say(conn, -EPROTO,
	                    "the daemon does not speak TLS at this port (it began with '%s'); is it meant for another "
	                    "transport?",
	                    seen);
}

int tls_explain_end(struct tls_conn *conn)
{
	if (conn->open)
		return tls_conn_say(conn, -ECONNRESET, "the stream ended without the end of TLS: it was cut");
	return tls_conn_say(conn, -ECONNRESET, "%s closed the connection in the middle of the TLS handshake",
	                    conn->server ? "the client" : "the daemon");
}

static int explain_openssl(struct tls_conn *conn)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
	long result = SSL_get_verify_result(conn->ssl);
	char text[128];

	if (reason >= SSL_AD_REASON_OFFSET)
		return tls_explain_alert(conn, reason - SSL_AD_REASON_OFFSET);
	switch (reason) {
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		if (result != X509_V_OK)
			return explain_certificate(conn, result);
		break;
	case SSL_R_BINDER_DOES_NOT_VERIFY:
		return tls_conn_say(conn, -EACCES, "the client has another key under the name '%s' than %s",
		                    conn->key != NULL ? conn->key->name : "", conn->tls->key_file);
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_MISSING_SIGALGS_EXTENSION:
		if (conn->server)
			return explain_no_key(conn);
		break;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
		return tls_conn_say(conn, -EPROTO, "%s does not speak TLS 1.3",
		                    conn->server ? "the client" : "the daemon");
	default: break;
	}
	return tls_conn_say(conn, -EPROTO, "TLS failed: %s", tls_openssl_text(text, sizeof(text)));
}

int tls_explain_flood(struct tls_conn *conn)
{
	return tls_conn_say(conn, -EPROTO,
	                    "%s sends TLS without payload and without end; what runs there is no xfer, or means harm",
	                    conn->server ? "the client" : "the daemon");
}

int tls_explain(struct tls_conn *conn)
{
	int rc;

	if (conn->flooded)
		rc = tls_explain_flood(conn);
	else if (conn->first_len > 0 && conn->io_error == -EPROTO)
		rc = explain_stranger(conn);
	else if (conn->io_error != 0)
		rc = tls_conn_say(conn, conn->io_error, "%s", strerror(-conn->io_error));
	else if (conn->eof && ERR_GET_REASON(ERR_peek_error()) < SSL_AD_REASON_OFFSET)
		rc = tls_explain_end(conn);
	else
		rc = explain_openssl(conn);
	ERR_clear_error();
	return rc;
}
