/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of liveness-udp: an instance of the plug-in as the core would make it, and peers with a common key. */
#ifndef TESTS_UNIT_LIVENESS_H
#define TESTS_UNIT_LIVENESS_H

#include <xfer/plugin.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define S (1000 * MS)

enum { SLOT = 0x1234 };

const struct xfer_plugin *xfer_plugin_v1(void); /* of the plug-in that the test is linked with */

__attribute__((format(printf, 2, 3))) static inline void liveness_error(const struct xfer_host *host,
                                                                        const char *format, ...)
{
	*(int *)host->context += format != NULL;
}

/* create()'s result; *errors counts the texts that it gave. */
static inline int liveness_create(uint64_t interval, uint64_t dead_after, int *errors, void **instance)
{
	const union xfer_value values[2] = { { .number = interval }, { .number = dead_after } };
	const struct xfer_params params = { .struct_size = sizeof(params), .count = 2, .values = values };
	const struct xfer_host host = { .struct_size = sizeof(host), .context = errors, .error = liveness_error };

	return xfer_plugin_v1()->create(&host, &params, instance);
}

static inline struct xfer_peer_params liveness_params(enum xfer_role role, uint64_t now)
{
	struct xfer_peer_params params = {
		.struct_size = sizeof(params),
		.role = role,
		.slot = SLOT,
		.interval = 500 * MS,
		.dead_after = 4 * S,
		.now = now,
	};

	for (size_t i = 0; i < sizeof(params.key); i++)
		params.key[i] = (uint8_t)(i * 17 + 3);
	return params;
}

static inline struct xfer_peer *liveness_peer(const struct xfer_peer_params *params)
{
	struct xfer_peer *peer = NULL;

	assert_int_equal(xfer_plugin_v1()->liveness->peer_create(NULL, params, &peer), 0);
	assert_non_null(peer);
	return peer;
}

static inline struct xfer_liveness_stats liveness_stats(struct xfer_peer *peer)
{
	struct xfer_liveness_stats stats = { .struct_size = sizeof(stats) };

	xfer_plugin_v1()->liveness->stats(peer, &stats);
	return stats;
}

#endif
