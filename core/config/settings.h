/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration as the programs use it: xfer.ini(5), read, checked and typed. */
#ifndef XFER_CONFIG_SETTINGS_H
#define XFER_CONFIG_SETTINGS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings_listen {
	char *transport; /* NULL = [pipeline] transport */
	char *address;   /* "127.0.0.1:15010" */
};

struct settings_export {
	char *name;
	char *path;
	bool writable;
	char *allow_from; /* addresses, as written; NULL = everybody */
	char *allow;      /* authenticated names, as written; NULL = everybody */
};

/* A line of a plug-in's section, kept as text until the plug-in's options table is known. */
struct settings_line {
	char *key;
	char *value;
	char *file;    /* or "--set" */
	unsigned line; /* 0 for --set */
};

struct settings_section {
	char *kind; /* "transport", "integrity", "liveness" */
	char *name;
	struct settings_line *lines;
	size_t count;
};

struct settings {
	/* [core] */
	char *plugin_dir;
	unsigned threads; /* of each pool; 0 = auto: as many as processors */
	enum log_level log_level;
	enum log_format log_format;
	/* [pipeline] */
	char *transport;
	char **integrity; /* in order of preference */
	size_t integrity_count;
	char *liveness;
	uint32_t chunk_size;  /* bytes */
	uint64_t memory;      /* bytes of lent buffers, per process */
	uint64_t sync_window; /* bytes written to a file after which it is synced, where anything is */
	/* [daemon] */
	struct settings_listen *listen;
	size_t listen_count;
	char *listen_place; /* where it is set: "FILE:LINE" or "--set"; NULL = nowhere */
	unsigned workers;
	char *stdio_transport;         /* what `xferd --stdio` adopts its descriptors with */
	unsigned sessions;             /* per worker */
	bool sessions_set;             /* somebody wants this number, it is not the default */
	unsigned sessions_per_address; /* of them; 0 = three quarters */
	unsigned requests;             /* READ items in flight per session */
	uint64_t hello_timeout;        /* ns, as all below */
	uint64_t idle_timeout;         /* 0 = never */
	uint64_t stall_after;
	uint64_t drain_timeout;
	uint64_t hang_after;   /* 0 = never */
	uint64_t partial_keep; /* 0 = forever */
	char *digest_store;    /* "memory", a path; "none" and "" = none */
	uint64_t digest_store_size;
	/* [export.NAME] */
	struct settings_export *exports;
	size_t export_count;
	bool own; /* they are made by settings_own(), not configured */
	/* [KIND.NAME] of plug-ins */
	struct settings_section *sections;
	size_t section_count;
};

/*
 * What to read: `file` (-c), or when it is NULL the system's file and, with `user`, the user's on top of it; then each
 * of `sets` ("section.key=value"). A missing file is an error when it was named, or when `required` is set (daemon).
 * `plugin_dir` is the default of [core] plugin-dir: the build tree's when the program runs there.
 */
struct settings_source {
	const char *file;
	bool none; /* no file at all: defaults and `sets` */
	bool user;
	bool required;
	const char *const *sets;
	size_t set_count;
	const char *plugin_dir;
};

/* Every mistake is FAULT_USAGE with file and line. */
int settings_load(struct settings **out, const struct settings_source *source, struct error *err);
void settings_free(struct settings *settings);
/* The effective configuration, as an INI file. */
int settings_dump(const struct settings *settings, struct buf *out);
/*
 * Instead of exports: everything that this process may read and write, as an export without a name whose folder is "/",
 * and the home, where there is one, as "~". For settings without exports.
 */
int settings_own(struct settings *settings, struct error *err);
/* The plug-in's section, or NULL. */
const struct settings_section *settings_section(const struct settings *settings, const char *kind, const char *name);
const struct settings_export *settings_export(const struct settings *settings, const char *name, size_t len);
/* Where the programs find plug-ins by default: beside a program in its build tree, else the installed folder. Caller frees. */
int settings_plugin_dir(char **out, struct error *err);

#endif
