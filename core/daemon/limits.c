/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/limits.h"

#include "base/text.h"
#include "daemon/serve_put.h"
#include "engine/files.h"
#include "registry/transport.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
	REFUSED_MAX = 64,         /* connections beyond `sessions` that are told */
	REFUSED_ADDRESS_MAX = 16, /* of one address, beyond its share */
	FILES_RESERVED = 256      /* descriptors that are not for sessions: files, folders, sockets, the log */
};

#define SAY_AGAIN (10 * CLOCK_SECOND)
#define GOAWAY_GRACE (5 * CLOCK_SECOND) /* for a request that crossed the goaway, and for the peer to go by itself */

/* ---- opening ---- */

void limits_open(struct limits *limits, const struct settings *settings, struct log *log)
{
	/* A session that reads has a file open, beside its own. */
	size_t files = files_raise(2 * (size_t)settings->sessions + FILES_RESERVED);
	/* Of few descriptors half are for files: whoever is let in can be served. */
	size_t room = files / 2 > FILES_RESERVED ? files - FILES_RESERVED : files / 2;

	*limits = (struct limits){ .settings = settings, .log = log, .sessions = settings->sessions };
	if (room < limits->sessions) {
		limits->sessions = room > 0 ? room : 1;
		limits->by_files = true;
		/* The default is a bound, and nothing that anybody has asked for. */
		log_say(log, settings->sessions_set ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
		        "%zu sessions at most, not the %u of [daemon] sessions: the limit of open files is %zu (ulimit "
		        "-n, LimitNOFILE=)",
		        limits->sessions, settings->sessions, files);
	}
	limits->per_address = settings->sessions_per_address;
	if (limits->per_address == 0)
		limits->per_address = limits->sessions - limits->sessions / 4;
}

void limits_close(struct limits *limits)
{
	table_free(&limits->addresses);
}

/* ---- who comes in ---- */

/* A peer's address as a number; false when it has none. Whoever has an IPv6 network has all of its addresses. */
static bool address_number(const struct plugin *transport, struct xfer_conn *conn, uint64_t *out)
{
	struct xfer_endpoint endpoint = { .struct_size = sizeof(endpoint) };
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	uint32_t word;

	if (transport_endpoint(transport, conn, &endpoint) < 0)
		return false;
	if (endpoint.remote.ss_family == AF_INET) {
		memcpy(&in, &endpoint.remote, sizeof(in));
		*out = ntohl(in.sin_addr.s_addr);
		return true;
	}
	if (endpoint.remote.ss_family != AF_INET6)
		return false;
	memcpy(&in6, &endpoint.remote, sizeof(in6));
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		memcpy(&word, in6.sin6_addr.s6_addr + 12, sizeof(word));
		*out = ntohl(word);
		return true;
	}
	memcpy(out, in6.sin6_addr.s6_addr, sizeof(*out));
	*out = be64toh(*out);
	return true;
}

static size_t address_count(const struct limits *limits, uint64_t address)
{
	return (size_t)(uintptr_t)table_get(&limits->addresses, address);
}

static int address_set(struct limits *limits, uint64_t address, size_t count)
{
	(void)table_remove(&limits->addresses, address);
	return count > 0 ? table_put(&limits->addresses, address, (void *)(uintptr_t)count) : 0;
}

/* One line for each of them would be a way to fill the disk. */
static void refusal_log(struct limits *limits, const struct limits_entry *entry, uint64_t now)
{
	struct error err = { 0 };

	limits->unsaid++;
	if (limits->said != 0 && now - limits->said < SAY_AGAIN)
		return;
	(void)limits_refuse(limits, entry, &err);
	log_say(limits->log, LOG_LEVEL_WARN, "connections refused: %llu: %s", (unsigned long long)limits->unsaid,
	        err.text);
	limits->said = now;
	limits->unsaid = 0;
}

int limits_enter(struct limits *limits, struct limits_entry *entry, size_t open, const struct plugin *transport,
                 struct xfer_conn *conn, uint64_t now)
{
	size_t same;

	*entry = (struct limits_entry){ .refused = LIMIT_NONE };
	if (open >= limits->sessions)
		entry->refused = limits->by_files ? LIMIT_FILES : LIMIT_SESSIONS;
	if (address_number(transport, conn, &entry->address)) {
		same = address_count(limits, entry->address);
		if (same >= limits->per_address)
			entry->refused = LIMIT_ADDRESS;
		if (same < limits->per_address + REFUSED_ADDRESS_MAX)
			entry->counted = address_set(limits, entry->address, same + 1) == 0;
	}
	if (entry->refused == LIMIT_NONE)
		return 0;
	refusal_log(limits, entry, now);
	if (open < limits->sessions + REFUSED_MAX && (entry->counted || entry->refused != LIMIT_ADDRESS))
		return 0;
	limits_leave(limits, entry);
	return -EDQUOT;
}

void limits_leave(struct limits *limits, struct limits_entry *entry)
{
	if (entry->counted)
		(void)address_set(limits, entry->address, address_count(limits, entry->address) - 1);
	entry->counted = false;
}

enum status limits_refuse(const struct limits *limits, const struct limits_entry *entry, struct error *err)
{
	switch (entry->refused) {
	case LIMIT_NONE: return STATUS_OK;
	case LIMIT_SESSIONS:
		error_set(err, -EDQUOT, FAULT_REFUSED, "%zu sessions are open, the limit of [daemon] sessions",
		          limits->sessions);
		break;
	case LIMIT_FILES:
		error_set(err, -EDQUOT, FAULT_REFUSED, "%zu sessions are open, the daemon's limit of open files",
		          limits->sessions);
		break;
	case LIMIT_ADDRESS:
		error_set(err, -EDQUOT, FAULT_REFUSED,
		          "%zu sessions of this address are open, the limit of [daemon] sessions-per-address",
		          limits->per_address);
		break;
	}
	return STATUS_LIMIT;
}

/* ---- who stays ---- */

static const char *stage_doing(uint32_t stage)
{
	switch (stage) {
	case XFER_STAGE_READ: return "reading";
	case XFER_STAGE_HASH: return "hashing";
	case XFER_STAGE_WRITE: return "writing";
	case XFER_STAGE_SYNC: return "syncing";
	default: return "working";
	}
}

/*
 * How long nothing has moved that is owed, and what, as an error; 0: it moves. *name: what the peer says it is doing, or
 * NULL where it is not the peer's stall.
 */
static uint64_t stalled_for(struct serve *serve, const char **name, struct error *err)
{
	const struct channel *channel = &serve->channel;
	struct xfer_progress ours = { .struct_size = sizeof(ours) };
	uint64_t age = 0, stage_age;

	*name = NULL;
	if (link_blocked(&channel->link)) {
		age = channel->base->loop->now - channel->link.moved_at;
		error_set(err, -ETIME, FAULT_PEER, "%s did not take what it asked for", channel_peer(channel));
	}
	serve_watch.progress(&serve->channel, &ours);
	stage_age = ours.stage_age_ms * CLOCK_MS;
	if (ours.stage != XFER_STAGE_IDLE && ours.stage != XFER_STAGE_SEND && ours.stage != XFER_STAGE_RECEIVE &&
	    stage_age > age) {
		age = stage_age;
		error_set(err, -ETIME, FAULT_PEER, "%s at the daemon did not end", stage_doing(ours.stage));
	}
	stage_age = serve_put_stalled(serve, name);
	if (stage_age <= age) {
		*name = NULL;
	} else {
		age = stage_age;
		error_set(err, -ETIME, FAULT_PEER, "%s did not send what it has to put", channel_peer(channel));
	}
	return age;
}

static uint64_t idle_look(const struct limits *limits, struct serve *serve)
{
	struct channel *channel = &serve->channel;
	uint64_t now = channel->base->loop->now;
	uint64_t since = channel->worked_at > channel->link.batch_at ? channel->worked_at : channel->link.batch_at;
	char age[TEXT_NUMBER_MAX], text[64 + TEXT_NUMBER_MAX];

	if (limits->settings->idle_timeout == 0)
		return CLOCK_NEVER;
	if (now - since < limits->settings->idle_timeout)
		return since + limits->settings->idle_timeout;
	if (channel->goaway) {
		channel_finish(channel);
		return CLOCK_NEVER;
	}
	log_say(limits->log, LOG_LEVEL_DEBUG, "session of %s is idle", channel_peer(channel));
	snprintf(text, sizeof(text), "nothing was asked for %s (idle-timeout)",
	         text_format_duration(age, limits->settings->idle_timeout));
	channel_goaway(channel, STATUS_IDLE, text);
	return now + (limits->settings->idle_timeout < GOAWAY_GRACE ? limits->settings->idle_timeout : GOAWAY_GRACE);
}

uint64_t limits_look(const struct limits *limits, struct serve *serve)
{
	uint64_t now = serve->channel.base->loop->now;
	uint64_t stall = limits->settings->stall_after, idle = limits->settings->idle_timeout;
	/* Who comes to rest, or begins to owe, before then has been so for less than its time. */
	uint64_t again = now + (idle > 0 && idle < stall ? idle : stall);
	char limit[TEXT_NUMBER_MAX], hint[TEXT_NUMBER_MAX + 32];
	struct error err = { 0 };
	uint64_t age, next;
	const char *name;

	if (serve_idle(serve)) {
		next = idle_look(limits, serve);
		return next < again ? next : again;
	}
	age = stalled_for(serve, &name, &err);
	if (age < stall) {
		next = now + stall - age;
		return next < again ? next : again;
	}
	snprintf(hint, sizeof(hint), " in %s (stall-after)", text_format_duration(limit, stall));
	error_append(&err, hint);
	if (name != NULL && name[0] != '\0') {
		error_append(&err, ": ");
		error_append(&err, name);
	}
	channel_fail(&serve->channel, STATUS_STALLED, &err);
	return CLOCK_NEVER;
}
