/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker grants at most: sessions, sessions of one address, and time in which nothing moves. A connection beyond
 * a limit is told so and ends; so many more that telling them would be a load are closed without a word.
 */
#ifndef XFER_DAEMON_LIMITS_H
#define XFER_DAEMON_LIMITS_H

#include "base/log.h"
#include "base/table.h"
#include "config/settings.h"
#include "registry/registry.h"
#include "wire/message.h"

struct serve;

/* Why a connection is not taken. */
enum limit { LIMIT_NONE, LIMIT_SESSIONS, LIMIT_FILES, LIMIT_ADDRESS };

struct limits {
	const struct settings *settings;
	struct log *log;
	size_t sessions;        /* as many as settings and open files allow */
	size_t per_address;     /* of them, from one address */
	bool by_files;          /* it is the limit of open files that sets `sessions` */
	struct table addresses; /* an address as a number -> its connections, the count in place of a pointer */
	uint64_t said;          /* steady ns, when a refusal was logged last; 0 = never */
	uint64_t unsaid;        /* refusals since then */
};

/* What a session counts for. */
struct limits_entry {
	uint64_t address; /* as a number; IPv6: the network of 64 bits */
	bool counted;
	enum limit refused;
};

/* Raises the limit of open files as far as the system lets us, and says when sessions do not fit into it. */
void limits_open(struct limits *limits, const struct settings *settings, struct log *log);
void limits_close(struct limits *limits);

/*
 * A connection came; `open` are there without it. -EDQUOT: it is closed at once. With entry->refused set it is taken
 * only to be told. limits_leave() when it is gone.
 */
int limits_enter(struct limits *limits, struct limits_entry *entry, size_t open, const struct plugin *transport,
                 struct xfer_conn *conn, uint64_t now);
void limits_leave(struct limits *limits, struct limits_entry *entry);
/* What the refused peer is told. */
enum status limits_refuse(const struct limits *limits, const struct limits_entry *entry, struct error *err);

/* Ends a session that rests or stalls for too long. Returns when to look again, steady ns. */
uint64_t limits_look(const struct limits *limits, struct serve *serve);

#endif
