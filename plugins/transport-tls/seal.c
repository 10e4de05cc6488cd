/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: the protection of records (RFC 8446, section 5.2), once the handshake has made the secrets.
 *
 *   | 23 | 3 3 | length |  content ... | type | zeroes, from others |  tag  |
 *    \----- header ----/ \------------- encrypted -----------------/
 *
 * OpenSSL does the handshake, the key schedule and the ciphers. That the records are made here saves its copies of all
 * payload: what is sent is encrypted from where it lies to where TCP takes it, what comes is decrypted to where it stays.
 */
#include "tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <string.h>

/* ---- secrets and keys ---- */

/* "LABEL RANDOM SECRET", the last two in hexadecimal digits. */
void tls_seal_secret(const SSL *ssl, const char *line)
{
	static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ", server[] = "SERVER_TRAFFIC_SECRET_0 ";
	struct tls_conn *conn = SSL_get_app_data(ssl);
	bool clients = strncmp(line, client, sizeof(client) - 1) == 0;
	const char *hex = strrchr(line, ' ');
	size_t len;

	if (!clients && strncmp(line, server, sizeof(server) - 1) != 0)
		return;
	struct tls_seal *seal = clients == conn->server ? &conn->in : &conn->out;
	if (OPENSSL_hexstr2buf_ex(seal->secret, sizeof(seal->secret), &len, hex + 1, '\0') == 1)
		seal->secret_len = len;
}

/* HKDF-Expand-Label without a context (RFC 8446, section 7.1). */
static int expand(const struct tls_seal *seal, const char *label, uint8_t *out, size_t len)
{
	static const char prefix[] = "tls13 ";
	union {
		const void *in;
		void *out;
	} secret = { .in = seal->secret }, words = { .in = prefix }, what = { .in = label };
	union {
		const char *in;
		char *out;
	} hash = { .in = EVP_MD_get0_name(seal->hash) };
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash.out, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.out, seal->secret_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, words.out, sizeof(prefix) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, what.out, strlen(label)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
	EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	int good = context != NULL && EVP_KDF_derive(context, out, len, params) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return good ? 0 : -EPROTO;
}

int tls_seal_key(struct tls_seal *seal, uint8_t key[EVP_MAX_KEY_LENGTH])
{
	int rc = expand(seal, "key", key, (size_t)EVP_CIPHER_get_key_length(seal->suite));

	return rc == 0 ? expand(seal, "iv", seal->nonce, sizeof(seal->nonce)) : rc;
}

/* The key that belongs to the secret. */
static int key_make(struct tls_seal *seal, bool sealing)
{
	uint8_t key[EVP_MAX_KEY_LENGTH];
	int rc = tls_seal_key(seal, key);

	if (rc == 0)
		rc = aead_key(&seal->aead, seal->engine, seal->suite, key, sealing);
	OPENSSL_cleanse(key, sizeof(key));
	seal->sequence = 0;
	return rc;
}

int tls_seal_next(struct tls_seal *seal)
{
	uint8_t next[TLS_SECRET_MAX];
	int rc = expand(seal, "traffic upd", next, seal->secret_len);

	if (rc < 0)
		return rc;
	memcpy(seal->secret, next, seal->secret_len);
	OPENSSL_cleanse(next, sizeof(next));
	return 0;
}

int tls_seal_renew(struct tls_seal *seal)
{
	int rc = tls_seal_next(seal);

	return rc < 0 ? rc : key_make(seal, seal->aead.sealing);
}

static int seal_begin(struct tls_seal *seal, const SSL_CIPHER *suite, bool sealing)
{
	seal->suite = EVP_get_cipherbynid(SSL_CIPHER_get_cipher_nid(suite));
	seal->hash = SSL_CIPHER_get_handshake_digest(suite);
	if (seal->suite == NULL || seal->hash == NULL || seal->secret_len != (size_t)EVP_MD_get_size(seal->hash))
		return -EPROTO;
	return key_make(seal, sealing);
}

int tls_seal_begin(struct tls_conn *conn)
{
	const SSL_CIPHER *suite = SSL_get_current_cipher(conn->ssl);
	int rc;

	conn->in.engine = conn->tls->engine;
	conn->out.engine = conn->tls->engine;
	rc = suite != NULL && SSL_has_pending(conn->ssl) == 0 ? seal_begin(&conn->in, suite, false) : -EPROTO;

	if (rc == 0)
		rc = seal_begin(&conn->out, suite, true);
	ERR_clear_error();
	if (rc < 0)
		return tls_conn_say(conn, rc, "the keys that TLS has agreed upon cannot be used: %s", strerror(-rc));
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	return 0;
}

void tls_seal_end(struct tls_seal *seal)
{
	aead_end(&seal->aead);
	OPENSSL_cleanse(seal, sizeof(*seal));
}

/* ---- records ---- */

/* The cipher gets the nonce of the next record, and the header that is authenticated with it. */
static bool record_begin(struct tls_seal *seal, const uint8_t *header)
{
	uint8_t nonce[TLS_NONCE];

	memcpy(nonce, seal->nonce, sizeof(nonce));
	for (unsigned i = 0; i < 8; i++)
		nonce[TLS_NONCE - 1 - i] ^= (uint8_t)(seal->sequence >> (8 * i));
	seal->sequence++;
	return aead_begin(&seal->aead, nonce, header);
}

/* Encrypts the next `left` bytes of the pieces. */
static bool pieces_seal(struct tls_seal *seal, struct tls_reading *reading, size_t left, uint8_t *out)
{
	while (left > 0) {
		size_t have = reading->iov->iov_len - reading->at;
		size_t take = have < left ? have : left;

		if (!aead_update(&seal->aead, (const uint8_t *)reading->iov->iov_base + reading->at, take, out))
			return false;
		out += take;
		left -= take;
		reading->at += take;
		if (reading->at == reading->iov->iov_len)
			*reading = (struct tls_reading){ reading->iov + 1, reading->count - 1, 0 };
	}
	return true;
}

ssize_t tls_seal_make(struct tls_seal *seal, uint8_t type, struct tls_reading *reading, uint8_t *out)
{
	size_t content = 0, at = reading->at, inner;
	uint8_t *tag;

	for (int i = 0; i < reading->count && content < TLS_RECORD; i++, at = 0)
		content += reading->iov[i].iov_len - at;
	if (content == 0) {
		reading->count = 0;
		return 0;
	}
	if (content > TLS_RECORD)
		content = TLS_RECORD;
	inner = content + 1 + TLS_TAG;
	memcpy(out, (const uint8_t[]){ SSL3_RT_APPLICATION_DATA, 3, 3, (uint8_t)(inner >> 8), (uint8_t)inner },
	       TLS_HEADER);
	tag = out + TLS_HEADER + content + 1;
	if (!record_begin(seal, out) || !pieces_seal(seal, reading, content, out + TLS_HEADER) ||
	    !aead_update(&seal->aead, &type, 1, tag - 1) || !aead_seal(&seal->aead, tag)) {
		ERR_clear_error();
		return -EPROTO;
	}
	return (ssize_t)(TLS_HEADER + inner);
}

ssize_t tls_seal_open(struct tls_seal *seal, const uint8_t *record, size_t len, uint8_t *out, uint8_t *type)
{
	size_t inner = len - TLS_HEADER - TLS_TAG;

	if (!record_begin(seal, record) || !aead_update(&seal->aead, record + TLS_HEADER, inner, out) ||
	    !aead_open(&seal->aead, record + TLS_HEADER + inner)) {
		ERR_clear_error();
		return -EBADMSG;
	}
	while (inner > 0 && out[inner - 1] == 0)
		inner--;
	if (inner == 0 || inner - 1 > TLS_RECORD)
		return -EPROTO;
	*type = out[inner - 1];
	return (ssize_t)(inner - 1);
}
