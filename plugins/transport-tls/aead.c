/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: authenticated encryption by OpenSSL, and the choice. */
#include "aead.h"

#include <errno.h>
#include <openssl/crypto.h>

void aead_end(struct aead *aead)
{
	EVP_CIPHER_CTX_free(aead->openssl);
	aead_fast_destroy(aead->fast);
	*aead = (struct aead){ 0 };
}

int aead_key(struct aead *aead, const struct aead_engine *engine, const EVP_CIPHER *suite, const uint8_t *key,
             bool sealing)
{
	struct aead fresh = { .sealing = sealing };
	int rc = engine != NULL ? aead_fast_create(engine, suite, key, &fresh.fast) : -ENOTSUP;

	if (rc == -ENOTSUP) {
		fresh.openssl = EVP_CIPHER_CTX_new();
		rc = fresh.openssl == NULL                                                    ? -ENOMEM
		     : EVP_CipherInit_ex(fresh.openssl, suite, NULL, key, NULL, sealing) == 1 ? 0
		                                                                              : -EPROTO;
	}
	if (rc < 0) {
		aead_end(&fresh);
		return rc;
	}
	aead_end(aead);
	*aead = fresh;
	return 0;
}

bool aead_begin(struct aead *aead, const uint8_t nonce[AEAD_NONCE], const uint8_t header[AEAD_HEADER])
{
	int len;

	if (aead->fast != NULL) {
		aead_fast_begin(aead->fast, nonce, header);
		return true;
	}
	return EVP_CipherInit_ex(aead->openssl, NULL, NULL, NULL, nonce, -1) == 1 &&
	       EVP_CipherUpdate(aead->openssl, NULL, &len, header, AEAD_HEADER) == 1;
}

bool aead_update(struct aead *aead, const uint8_t *in, size_t len, uint8_t *out)
{
	int made;

	if (len == 0)
		return true;
	if (aead->fast != NULL) {
		aead_fast_update(aead->fast, aead->sealing, in, len, out);
		return true;
	}
	return EVP_CipherUpdate(aead->openssl, out, &made, in, (int)len) == 1;
}

bool aead_seal(struct aead *aead, uint8_t tag[AEAD_TAG])
{
	int len;

	if (aead->fast != NULL) {
		aead_fast_tag(aead->fast, true, tag);
		return true;
	}
	return EVP_CipherFinal_ex(aead->openssl, tag, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(aead->openssl, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, tag) == 1;
}

bool aead_open(struct aead *aead, const uint8_t tag[AEAD_TAG])
{
	uint8_t right[AEAD_TAG];
	union {
		const uint8_t *in;
		uint8_t *out;
	} given = { .in = tag };
	int len;

	if (aead->fast != NULL) {
		aead_fast_tag(aead->fast, false, right);
		return CRYPTO_memcmp(tag, right, AEAD_TAG) == 0;
	}
	return EVP_CIPHER_CTX_ctrl(aead->openssl, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, given.out) == 1 &&
	       EVP_CipherFinal_ex(aead->openssl, right, &len) == 1;
}
