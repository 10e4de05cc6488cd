/* SPDX-License-Identifier: BSD-2-Clause */
/* liveness none: no datagrams; says only how often the core asks inside the connection, and when it gives up. */
#include <xfer/plugin.h>

#include <errno.h>
#include <stdlib.h>

enum { OPTION_INTERVAL, OPTION_DEAD_AFTER };

enum { QUESTIONS_MIN = 3 }; /* that have to fit before the peer counts as dead */

static const struct xfer_option none_options[] = {
	[OPTION_INTERVAL] = {
		.name = "interval",
		.type = XFER_OPTION_DURATION,
		.default_text = "500ms",
		.min = INT64_C(50000000),
		.max = INT64_C(60000000000),
		.help = "time between two questions inside the connection",
	},
	[OPTION_DEAD_AFTER] = {
		.name = "dead-after",
		.type = XFER_OPTION_DURATION,
		.default_text = "4s",
		.min = INT64_C(500000000),
		.max = INT64_C(600000000000),
		.help = "silence after which the peer counts as dead, at least 3 intervals",
	},
};

/* The instance. */
struct none {
	uint64_t interval;   /* ns */
	uint64_t dead_after; /* ns */
};

static int none_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	struct none *none;
	uint64_t interval = params->values[OPTION_INTERVAL].number;
	uint64_t dead_after = params->values[OPTION_DEAD_AFTER].number;

	if (dead_after < QUESTIONS_MIN * interval) {
		host->error(host, "dead-after is shorter than %d times the interval: a living peer would look dead",
		            QUESTIONS_MIN);
		return -EINVAL;
	}
	none = malloc(sizeof(*none));
	if (!none)
		return -ENOMEM;
	*none = (struct none){ .interval = interval, .dead_after = dead_after };
	*instance = none;
	return 0;
}

static void none_destroy(void *instance)
{
	free(instance);
}

static void none_timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	const struct none *none = instance;

	*interval = none->interval;
	*dead_after = none->dead_after;
}

static const struct xfer_liveness_ops none_ops = {
	.struct_size = sizeof(none_ops),
	.datagram_size = 0,
	.timing = none_timing,
};

static const struct xfer_plugin none_plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_LIVENESS,
	.name = "none",
	.version = "0.1.0",
	.summary = "no heartbeats: asks inside the connection only",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = none_options,
	.option_count = sizeof(none_options) / sizeof(none_options[0]),
	.create = none_create,
	.destroy = none_destroy,
	.liveness = &none_ops,
};

XFER_REGISTER_PLUGIN(none_plugin)
