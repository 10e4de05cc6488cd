/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: who the peer is. The name of a pre-shared key is the name of all who have it. That of a certificate is
 * its first alternative name of a host (DNS), or else its common name.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY_MAX = 255 }; /* bytes; what the core takes */

/* A new string, NULL when it is no name: a cut one could be somebody else's. */
static char *identity_of(const unsigned char *bytes, int len)
{
	if (len <= 0 || len > IDENTITY_MAX)
		return NULL;
	for (int i = 0; i < len; i++) {
		if (bytes[i] < ' ' || bytes[i] == 0x7f)
			return NULL;
	}
	return strndup((const char *)bytes, (size_t)len);
}

static char *identity_alternative(X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char *found = NULL;

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		found = identity_of(ASN1_STRING_get0_data(name->d.dNSName), ASN1_STRING_length(name->d.dNSName));
		break;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static char *identity_common(X509 *certificate)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	char *found = NULL;

	if (at < 0)
		return NULL;
	int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0)
		found = identity_of(text, len);
	OPENSSL_free(text);
	return found;
}

/* ---- while the peer's certificate is looked at ---- */

/* "a, b" of all hosts for which the certificate is, or its common name. */
static char *names_text(X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char text[256] = "";
	size_t used = 0;

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && used < sizeof(text); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", used > 0 ? ", " : "",
			                         ASN1_STRING_length(name->d.dNSName),
			                         (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	return used > 0 ? strdup(text) : identity_common(certificate);
}

/* Keeps what a message will name, and refuses who could not be named; OpenSSL tells the peer. */
int tls_identity_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_conn *conn = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get0_cert(store);

	if (!good) {
		free(conn->shown);
		conn->shown = certificate != NULL ? names_text(certificate) : NULL;
		return 0;
	}
	/* Whom a client wanted to reach has been checked by name or address. */
	if (X509_STORE_CTX_get_error_depth(store) > 0 || !conn->server)
		return 1;
	char *name = identity_alternative(certificate);
	if (name == NULL)
		name = identity_common(certificate);
	if (name == NULL)
		X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	good = name != NULL;
	free(name);
	return good;
}

/* ---- after the handshake ---- */

/* A key without an exchange of its own beside it would give away the past when it is lost. */
static bool was_ephemeral(SSL *ssl)
{
	EVP_PKEY *theirs = NULL;
	bool was = SSL_get_peer_tmp_key(ssl, &theirs) == 1;

	EVP_PKEY_free(theirs);
	return was;
}

static int identity_key(struct tls_conn *conn)
{
	if (conn->key == NULL)
		return tls_conn_say(conn, -EACCES, "a session was taken up that was never begun");
	conn->identity = strdup(conn->key->name);
	return conn->identity != NULL ? 0 : -ENOMEM;
}

static int identity_certificate(struct tls_conn *conn)
{
	X509 *certificate = SSL_get0_peer_certificate(conn->ssl);

	conn->key = NULL;
	if (conn->tls->certificate[0] == '\0' || certificate == NULL || SSL_get_verify_result(conn->ssl) != X509_V_OK)
		return tls_conn_say(conn, -EACCES,
		                    "the peer has not shown who it is, neither by a key nor by a certificate");
	conn->identity = identity_alternative(certificate);
	if (conn->identity == NULL)
		conn->identity = identity_common(certificate);
	if (conn->identity == NULL && conn->server)
		return tls_conn_say(conn, -EACCES, "the peer's certificate is good, but there is no name in it");
	return 0;
}

int tls_identity_take(struct tls_conn *conn)
{
	if (SSL_version(conn->ssl) != TLS1_3_VERSION || !was_ephemeral(conn->ssl))
		return tls_conn_say(conn, -EACCES, "the peer settled on less than TLS 1.3 with an ephemeral exchange");
	return SSL_session_reused(conn->ssl) ? identity_key(conn) : identity_certificate(conn);
}
