/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: what all connections of an instance have in common. TLS 1.3 and nothing else: no older version, no
 * resumption, no early data, no key without an ephemeral Diffie-Hellman exchange beside it.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A pre-shared key belongs to one hash, SHA-256, and can only be used with the suites that have it. */
#define SUITES_KEYS "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_CERTIFICATES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"

enum { SECURITY_MIN = 2 }; /* OpenSSL's level: 112 bits, no RSA below 2048, no SHA-1 */

/* A key is a session to OpenSSL, and sessions belong to a context by name. */
static const unsigned char SESSIONS[4] = { 'x', 'f', 'e', 'r' };
static const unsigned char SUITE_ID[2] = { 0x13, 0x01 }; /* TLS_AES_128_GCM_SHA256 */

const char *tls_openssl_text(char *text, size_t size)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	snprintf(text, size, "%s", reason != NULL ? reason : "OpenSSL does not say why");
	ERR_clear_error();
	return text;
}

/* ---- pre-shared keys ---- */

/* A session that OpenSSL takes for the key. NULL: no memory. */
static SSL_SESSION *session_make(SSL *ssl, const struct tls_key *key)
{
	const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, SUITE_ID);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session != NULL && suite != NULL && SSL_SESSION_set1_master_key(session, key->bytes, key->len) == 1 &&
	    SSL_SESSION_set_cipher(session, suite) == 1 &&
	    SSL_SESSION_set1_id_context(session, SESSIONS, sizeof(SESSIONS)) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

/*
 * Daemon: the client names a key. One that we do not have is no error to OpenSSL, which goes on with certificates or
 * without anything; what came of it is looked at after the handshake.
 */
static int on_find_session(SSL *ssl, const unsigned char *name, size_t len, SSL_SESSION **out)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);

	*out = NULL;
	conn->key = tls_keys_find(&conn->tls->keys, name, len);
	if (conn->key != NULL) {
		*out = session_make(ssl, conn->key);
		return *out != NULL;
	}
	free(conn->stranger);
	conn->stranger = strndup((const char *)name, len < TLS_NAME_MAX ? len : TLS_NAME_MAX);
	return 1;
}

/* Client: the key that we offer, again after the daemon asked for another group. */
static int on_use_session(SSL *ssl, const EVP_MD *hash, const unsigned char **name, size_t *len, SSL_SESSION **out)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);

	*out = NULL;
	if (conn->key == NULL || (hash != NULL && !EVP_MD_is_a(hash, "SHA256")))
		return 1;
	*out = session_make(ssl, conn->key);
	*name = (const unsigned char *)conn->key->name;
	*len = strlen(conn->key->name);
	return *out != NULL;
}

/* ---- certificates ---- */

static int no_passphrase(char *text, int size, int writing, void *context)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)context;
	return -1; /* a daemon has nobody to ask */
}

static int context_failed(const struct tls *tls, const char *what, const char *path, const char *hint)
{
	char text[128];

	tls->host->error(tls->host, "%s %s: %s%s", what, path, tls_openssl_text(text, sizeof(text)), hint);
	return -EINVAL;
}

static int private_key_take(const struct tls *tls, SSL_CTX *context)
{
	bool own = tls->certificate_key[0] != '\0';
	const char *what = own ? "certificate-key" : "certificate";
	const char *path = own ? tls->certificate_key : tls->certificate;
	char *pem;
	size_t len;
	/* Debian's group ssl-cert, and the like, may read. */
	int rc = tls_file_read(tls, what, path, 027u, &pem, &len);

	if (rc < 0)
		return rc;
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	if (key == NULL)
		rc = context_failed(tls, what, path,
		                    own ? " (it holds a private key in PEM format, without a passphrase)"
		                        : " (the private key, which is here unless certificate-key names its file)");
	else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
		rc = context_failed(tls, what, path, " (it belongs to another certificate)");
	EVP_PKEY_free(key);
	BIO_free(bio);
	tls_file_free(pem, len);
	return rc;
}

static int certificates_take(const struct tls *tls, SSL_CTX *context)
{
	if (SSL_CTX_use_certificate_chain_file(context, tls->certificate) != 1)
		return context_failed(tls, "certificate", tls->certificate, "");
	int rc = private_key_take(tls, context);
	if (rc < 0)
		return rc;
	if (SSL_CTX_load_verify_file(context, tls->authorities) != 1)
		return context_failed(tls, "ca", tls->authorities, "");
	/* The names help a peer with several certificates to choose. */
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(tls->authorities);
	if (names == NULL)
		return context_failed(tls, "ca", tls->authorities, "");
	SSL_CTX_set_client_CA_list(context, names);
	return 0;
}

/* ---- the context ---- */

static int context_tune(const struct tls *tls, SSL_CTX *context)
{
	bool certificates = tls->certificate[0] != '\0';

	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_clear_options(context, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_get_security_level(context) < SECURITY_MIN)
		SSL_CTX_set_security_level(context, SECURITY_MIN);
	/* In each direction, and without a certificate as well: then nobody's is good. */
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_identity_verify);
	/* The handshake takes no byte of what comes behind it. The secrets are for seal.c, and go nowhere else. */
	SSL_CTX_set_read_ahead(context, 0);
	SSL_CTX_set_keylog_callback(context, tls_seal_secret);
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_session_id_context(context, SESSIONS, sizeof(SESSIONS)) != 1 ||
	    SSL_CTX_set_max_early_data(context, 0) != 1 || SSL_CTX_set_recv_max_early_data(context, 0) != 1 ||
	    SSL_CTX_set1_groups_list(context, GROUPS) != 1 ||
	    SSL_CTX_set_ciphersuites(context, certificates ? SUITES_CERTIFICATES : SUITES_KEYS) != 1)
		return context_failed(tls, "TLS", "1.3", " (what it needs is missing in the OpenSSL of this machine)");
	return 0;
}

static int context_fill(struct tls *tls, SSL_CTX *context)
{
	int rc = context_tune(tls, context);

	if (rc == 0 && tls->certificate[0] != '\0')
		rc = certificates_take(tls, context);
	if (rc == 0 && tls->key_file[0] != '\0')
		rc = tls_keys_read(tls, &tls->keys);
	/* Without keys too: then a message can say whose was offered. */
	SSL_CTX_set_psk_find_session_callback(context, on_find_session);
	SSL_CTX_set_psk_use_session_callback(context, on_use_session);
	return rc;
}

int tls_context_make(struct tls *tls)
{
	int rc;

	if (tls->context != NULL)
		return 0;
	if (tls->key_file[0] == '\0' && tls->certificate[0] == '\0') {
		tls->host->error(tls->host, "nothing says who may connect: make a key with 'xfer keygen' and name its "
		                            "file, [transport.tls] key-file = PATH, on both sides; or certificates");
		return -EINVAL;
	}
	ERR_clear_error();
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	tls->method = tls->method != NULL ? tls->method : tls_stream_method();
	tls->scratch = tls->scratch != NULL ? tls->scratch : malloc(TLS_SCRATCH_SIZE);
	if (context == NULL || tls->method == NULL || tls->scratch == NULL)
		rc = -ENOMEM;
	else
		rc = context_fill(tls, context);
	if (rc < 0)
		SSL_CTX_free(context);
	else
		tls->context = context;
	if (rc == 0 && tls->fast)
		tls->engine = aead_engine_create();
	return rc;
}

void tls_context_free(struct tls *tls)
{
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->method);
	aead_engine_destroy(tls->engine);
	free(tls->scratch);
	tls_keys_free(&tls->keys);
}
