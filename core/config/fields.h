/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a checked value gets into a field of struct settings, and back into text. Each function serves the fields named
 * beside it; `field` points at the field, or at the whole struct where a value fills more than one.
 *
 * store: 0, or -errno with the reason alone in *err; the field is as it was then.
 * print: writes what store reads, or nothing when the field is not set.
 */
#ifndef XFER_CONFIG_FIELDS_H
#define XFER_CONFIG_FIELDS_H

#include "base/buf.h"
#include "base/error.h"
#include "config/settings.h"

#include <xfer/plugin.h>

typedef int field_store(void *field, const union xfer_value *value, struct error *err);
typedef int field_print(const void *field, struct buf *out);

/* char *, owned */
field_store store_path;         /* absolute */
field_store store_digest_store; /* a path, "memory", "none" or empty */
field_store store_allow;        /* see allow.h */
field_store store_allow_names;  /* see allow.h */
field_store store_plugin;       /* a plug-in's name or path */
field_print print_text;

/* unsigned and uint32_t */
field_store store_integer;
field_print print_integer;
field_store store_threads; /* "auto" or a number */
field_print print_threads;
field_store store_chunk_size; /* a multiple of 1K */
field_print print_chunk_size;

/* uint64_t */
field_store store_number;
field_print print_size;
field_print print_duration;

/* the enums, and bool for access */
field_store store_log_level;
field_print print_log_level;
field_store store_log_format;
field_print print_log_format;
field_store store_access;
field_print print_access;

/* struct settings */
field_store store_integrity;
field_print print_integrity;
field_store store_listen;
field_print print_listen;

void listen_free(struct settings_listen *listen, size_t count);

#endif
