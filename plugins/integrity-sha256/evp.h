/* SPDX-License-Identifier: BSD-2-Clause */
/* A digest of OpenSSL's as an integrity plug-in offers it. What it says of an error goes to the host. */
#ifndef XFER_INTEGRITY_EVP_H
#define XFER_INTEGRITY_EVP_H

#include <xfer/plugin.h>

#include <openssl/evp.h>

struct evp {
	const struct xfer_host *host; /* borrowed */
	EVP_MD *md;                   /* fetched once: the look-up by name costs more than a small chunk's digest */
};

/* name: OpenSSL's. The host is to outlive it. */
int evp_open(struct evp *evp, const struct xfer_host *host, const char *name);
void evp_close(struct evp *evp);
int evp_digest(const struct evp *evp, const void *bytes, size_t len, uint8_t *out);
/* One after the other, with one context. */
int evp_digest_many(const struct evp *evp, const struct iovec *buffers, size_t count, uint8_t *const *outs);
/* The evp is to outlive it. These three are as struct xfer_integrity_ops wants them. */
int evp_hash_create(const struct evp *evp, struct xfer_hash **out);
int evp_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags);
int evp_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags);
void evp_hash_destroy(struct xfer_hash *hash);

#endif
