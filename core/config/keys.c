/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of the core's own keys. */
#include "config/keys.h"
#include "config.h"
#include "config/options.h"

#include <string.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)

/* A field of its own; AT_WHOLE where the value fills several fields of struct settings. */
#define AT(field) .offset = offsetof(struct settings, field)
#define AT_EXPORT(field) .offset = offsetof(struct settings_export, field)
#define AT_WHOLE .offset = 0

/* The names of default plug-ins come from configure: the core knows no plug-in's name. */
static const struct key KEYS[] = {
	{ "core",
	  { .name = "plugin-dir", .type = XFER_OPTION_STRING, .help = "where the plug-ins are" },
	  AT(plugin_dir),
	  store_path,
	  print_text },
	{ "core",
	  { .name = "threads",
	    .type = XFER_OPTION_STRING,
	    .default_text = "auto",
	    .help = "threads of each pool; auto: as many as processors" },
	  AT(threads),
	  store_threads,
	  print_threads },
	{ "core",
	  { .name = "log-level",
	    .type = XFER_OPTION_STRING,
	    .default_text = "info",
	    .help = "error, warn, info or debug" },
	  AT(log_level),
	  store_log_level,
	  print_log_level },
	{ "core",
	  { .name = "log-format", .type = XFER_OPTION_STRING, .default_text = "text", .help = "text or json" },
	  AT(log_format),
	  store_log_format,
	  print_log_format },

	{ "pipeline",
	  { .name = "transport",
	    .type = XFER_OPTION_STRING,
	    .default_text = DEFAULT_TRANSPORT,
	    .help = "what carries the bytes" },
	  AT(transport),
	  store_plugin,
	  print_text },
	{ "pipeline",
	  { .name = "integrity",
	    .type = XFER_OPTION_STRING,
	    .default_text = DEFAULT_INTEGRITY,
	    .help = "in order of preference; what is not named is never used" },
	  AT_WHOLE,
	  store_integrity,
	  print_integrity },
	{ "pipeline",
	  { .name = "liveness",
	    .type = XFER_OPTION_STRING,
	    .default_text = DEFAULT_LIVENESS,
	    .help = "what says whether the peer is alive" },
	  AT(liveness),
	  store_plugin,
	  print_text },
	{ "pipeline",
	  { .name = "chunk-size",
	    .type = XFER_OPTION_SIZE,
	    .default_text = "1M",
	    .min = 1 * KIB,
	    .max = 16 * MIB,
	    .unit = "bytes",
	    .help = "bytes that have one digest; a multiple of 1K" },
	  AT(chunk_size),
	  store_chunk_size,
	  print_chunk_size },
	{ "pipeline",
	  { .name = "memory",
	    .type = XFER_OPTION_SIZE,
	    .default_text = "64M",
	    .min = 8 * MIB,
	    .max = 1 * TIB,
	    .unit = "bytes",
	    .help = "buffers for payload, per process" },
	  AT(memory),
	  store_number,
	  print_size },
	{ "pipeline",
	  { .name = "sync-window",
	    .type = XFER_OPTION_SIZE,
	    .default_text = "64M",
	    .min = 1 * MIB,
	    .max = 1 * TIB,
	    .unit = "bytes",
	    .help = "bytes of a large file that a power loss may cost" },
	  AT(sync_window),
	  store_number,
	  print_size },

	{ "daemon",
	  { .name = "listen",
	    .type = XFER_OPTION_STRING,
	    .default_text = "127.0.0.1:15010",
	    .help = "a list of ADDRESS:PORT or TRANSPORT://ADDRESS:PORT" },
	  AT_WHOLE,
	  store_listen,
	  print_listen },
	{ "daemon",
	  { .name = "workers",
	    .type = XFER_OPTION_INT,
	    .default_text = "1",
	    .min = 1,
	    .max = 64,
	    .unit = "processes",
	    .help = "processes that serve; the pools scale one already" },
	  AT(workers),
	  store_integer,
	  print_integer },
	{ "daemon",
	  { .name = "sessions",
	    .type = XFER_OPTION_INT,
	    .default_text = "20000",
	    .min = 1,
	    .max = 1000000,
	    .unit = "sessions",
	    .help = "connections that a worker serves at a time" },
	  AT(sessions),
	  store_integer,
	  print_integer },
	{ "daemon",
	  { .name = "sessions-per-address",
	    .type = XFER_OPTION_INT,
	    .default_text = "0",
	    .min = 0,
	    .max = 1000000,
	    .unit = "sessions",
	    .help = "of them, from one address; 0: three quarters" },
	  AT(sessions_per_address),
	  store_integer,
	  print_integer },
	{ "daemon",
	  { .name = "requests",
	    .type = XFER_OPTION_INT,
	    .default_text = "1024",
	    .min = 1,
	    .max = 65536,
	    .unit = "requests",
	    .help = "requests in flight that a session may have" },
	  AT(requests),
	  store_integer,
	  print_integer },
	{ "daemon",
	  { .name = "hello-timeout",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "10s",
	    .min = 100 * MS,
	    .max = 1 * HOUR,
	    .help = "time for a new connection to say who it is" },
	  AT(hello_timeout),
	  store_number,
	  print_duration },
	{ "daemon",
	  { .name = "idle-timeout",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "1h",
	    .min = 0,
	    .max = 30 * DAY,
	    .help = "time without a request after which a session ends; 0: never" },
	  AT(idle_timeout),
	  store_number,
	  print_duration },
	{ "daemon",
	  { .name = "stall-after",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "10m",
	    .min = 1 * SECOND,
	    .max = 30 * DAY,
	    .help = "time without progress after which a living peer's transfer ends" },
	  AT(stall_after),
	  store_number,
	  print_duration },
	{ "daemon",
	  { .name = "drain-timeout",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "30s",
	    .min = 100 * MS,
	    .max = 1 * DAY,
	    .help = "time for a worker that ends to finish what is in flight" },
	  AT(drain_timeout),
	  store_number,
	  print_duration },
	{ "daemon",
	  { .name = "hang-after",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "1m",
	    .min = 0,
	    .max = 1 * DAY,
	    .help = "time in one call of a plug-in after which its worker is replaced; 0: never" },
	  AT(hang_after),
	  store_number,
	  print_duration },

	{ "daemon",
	  { .name = "partial-keep",
	    .type = XFER_OPTION_DURATION,
	    .default_text = "7d",
	    .min = 0,
	    .max = 365 * DAY,
	    .help = "time after which what an abandoned put left is removed; 0: never" },
	  AT(partial_keep),
	  store_number,
	  print_duration },
	{ "daemon",
	  { .name = "digest-store",
	    .type = XFER_OPTION_STRING,
	    .default_text = "",
	    .help = "file that keeps digests of what does not change; absolute; empty: none" },
	  AT(digest_store),
	  store_path_or_none,
	  print_text },
	{ "daemon",
	  { .name = "digest-store-size",
	    .type = XFER_OPTION_SIZE,
	    .default_text = "64M",
	    .min = 64 * KIB,
	    .max = TIB,
	    .help = "bytes that it has at most" },
	  AT(digest_store_size),
	  store_number,
	  print_size },

	{ "export",
	  { .name = "path", .type = XFER_OPTION_STRING, .flags = XFER_OPTION_REQUIRED, .help = "the folder; absolute" },
	  AT_EXPORT(path),
	  store_path,
	  print_text },
	{ "export",
	  { .name = "access",
	    .type = XFER_OPTION_STRING,
	    .default_text = "read-only",
	    .help = "read-only or read-write" },
	  AT_EXPORT(writable),
	  store_access,
	  print_access },
	{ "export",
	  { .name = "allow-from",
	    .type = XFER_OPTION_STRING,
	    .help = "addresses and networks that may use it; not set: everybody" },
	  AT_EXPORT(allow_from),
	  store_allow,
	  print_text },
	{ "export",
	  { .name = "allow",
	    .type = XFER_OPTION_STRING,
	    .help = "authenticated names that may use it; not set: everybody" },
	  AT_EXPORT(allow),
	  store_allow_names,
	  print_text },
};

const struct key *keys_table(size_t *count)
{
	*count = sizeof(KEYS) / sizeof(KEYS[0]);
	return KEYS;
}

const struct key *key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		if (strcmp(KEYS[i].section, section) == 0 && strcmp(KEYS[i].option.name, name) == 0)
			return &KEYS[i];
	return NULL;
}

int key_set(const struct key *key, void *target, const char *text, struct error *err)
{
	union xfer_value value;
	int rc = option_parse(&key->option, text, &value, err);
	if (rc < 0)
		return rc;
	rc = key->store((char *)target + key->offset, &value, err);
	if (rc < 0)
		error_prefix(err, "%s = %s", key->option.name, text);
	return rc;
}

int key_print(const struct key *key, const void *target, struct buf *out)
{
	return key->print((const char *)target + key->offset, out);
}
