/* SPDX-License-Identifier: BSD-2-Clause */
/* What a status is called, and what a client ends with when it got it. */
#include "wire/message.h"

static const struct {
	const char *name;
	enum fault fault;
	const char *text; /* a sentence's second half, behind "NAME: " */
} statuses[] = {
	[STATUS_OK] = { "ok", FAULT_NONE, "done" },
	/* A source that fails for a reason of its own fails some files: no exit status names it better. */
	[STATUS_FAILED] = { "failed", FAULT_MIXED, "it failed at the other side" },
	[STATUS_PROTOCOL] = { "protocol", FAULT_PEER, "the protocol was broken" },
	[STATUS_VERSION] = { "version", FAULT_CONNECT, "no protocol version in common" },
	[STATUS_INTEGRITY] = { "integrity", FAULT_INTEGRITY, "its integrity could not be established" },
	[STATUS_REFUSED] = { "refused", FAULT_REFUSED,
	                     "refused: there is no such export, it is not for you, or the path leads out of it" },
	[STATUS_NOT_FOUND] = { "not-found", FAULT_REFUSED, "there is no such file or directory" },
	[STATUS_CHANGED] = { "changed", FAULT_CHANGED, "the source changed while it was read" },
	[STATUS_IO] = { "io", FAULT_MIXED, "it could not be read at the source" },
	[STATUS_SPECIAL] = { "special", FAULT_MIXED, "it is no regular file, directory or symbolic link" },
	[STATUS_LIMIT] = { "limit", FAULT_REFUSED, "a limit of the daemon was reached" },
	[STATUS_CANCELLED] = { "cancelled", FAULT_INTERRUPTED, "it was cancelled" },
	[STATUS_SHUTDOWN] = { "shutdown", FAULT_PEER, "the daemon is shutting down" },
	[STATUS_IDLE] = { "idle", FAULT_PEER, "nothing was asked for too long" },
	[STATUS_DEAD] = { "dead", FAULT_PEER, "the peer did not answer any more" },
	[STATUS_STORE] = { "store", FAULT_LOCAL, "it could not be written at the destination" },
	[STATUS_BUSY] = { "busy", FAULT_LOCAL, "the same transfer is running already" },
	[STATUS_STALLED] = { "stalled", FAULT_PEER, "nothing moved for too long" },
};

enum { STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]) };

/* A status that this version does not know counts as STATUS_FAILED, as it does when it is read. */
static unsigned status_known(enum status status)
{
	return (unsigned)status < STATUS_COUNT ? (unsigned)status : (unsigned)STATUS_FAILED;
}

const char *status_name(enum status status)
{
	return statuses[status_known(status)].name;
}

const char *status_text(enum status status)
{
	return statuses[status_known(status)].text;
}

enum fault status_fault(enum status status)
{
	return statuses[status_known(status)].fault;
}

enum status status_from(uint16_t number)
{
	return (enum status)status_known((enum status)number);
}
