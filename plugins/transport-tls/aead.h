/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: authenticated encryption, by OpenSSL or, where that is faster, by the multi-buffer library for IPsec.
 *
 * A record is begun, updated piece by piece, and finished by its tag.
 */
#ifndef XFER_TRANSPORT_TLS_AEAD_H
#define XFER_TRANSPORT_TLS_AEAD_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AEAD_TAG = 16,   /* bytes */
	AEAD_NONCE = 12, /* bytes */
	AEAD_HEADER = 5  /* bytes in front of a record, which are authenticated */
};

struct aead_engine; /* of an instance; NULL = OpenSSL */
struct aead_fast;   /* a key of its */

/* Zeroed before the first key. */
struct aead {
	EVP_CIPHER_CTX *openssl; /* owned; NULL while `fast` does it */
	struct aead_fast *fast;  /* owned */
	bool sealing;
};

/* ---- aead.c ---- */
/* A new key: what was there before is forgotten. -ENOMEM or -EPROTO. */
int aead_key(struct aead *aead, const struct aead_engine *engine, const EVP_CIPHER *suite, const uint8_t *key,
             bool sealing);
void aead_end(struct aead *aead);
bool aead_begin(struct aead *aead, const uint8_t nonce[AEAD_NONCE], const uint8_t header[AEAD_HEADER]);
/* `out` may be `in`, but no place in the middle of it. */
bool aead_update(struct aead *aead, const uint8_t *in, size_t len, uint8_t *out);
/* Writes the tag. */
bool aead_seal(struct aead *aead, uint8_t tag[AEAD_TAG]);
/* Whether the tag is right. */
bool aead_open(struct aead *aead, const uint8_t tag[AEAD_TAG]);

/* ---- aead_fast.c ---- */
/* NULL: OpenSSL has to do. */
struct aead_engine *aead_engine_create(void);
void aead_engine_destroy(struct aead_engine *engine);
/* -ENOTSUP when it does not have the suite, -ENOMEM. */
int aead_fast_create(const struct aead_engine *engine, const EVP_CIPHER *suite, const uint8_t *key,
                     struct aead_fast **out);
void aead_fast_destroy(struct aead_fast *fast);
void aead_fast_begin(struct aead_fast *fast, const uint8_t *nonce, const uint8_t *header);
void aead_fast_update(struct aead_fast *fast, bool sealing, const uint8_t *in, size_t len, uint8_t *out);
/* The tag as it has to be. */
void aead_fast_tag(struct aead_fast *fast, bool sealing, uint8_t *tag);

#endif
