/* SPDX-License-Identifier: BSD-2-Clause */
/* What a status is called, and what a client ends with when it got it. */
#include "wire/message.h"

static const struct {
	const char *name;
	enum fault fault;
} statuses[] = {
	[STATUS_OK] = { "ok", FAULT_NONE },
	/* A source that fails for a reason of its own fails some files: no exit status names it better. */
	[STATUS_FAILED] = { "failed", FAULT_MIXED },
	[STATUS_PROTOCOL] = { "protocol", FAULT_PEER },
	[STATUS_VERSION] = { "version", FAULT_CONNECT },
	[STATUS_INTEGRITY] = { "integrity", FAULT_INTEGRITY },
	[STATUS_REFUSED] = { "refused", FAULT_REFUSED },
	[STATUS_NOT_FOUND] = { "not-found", FAULT_REFUSED },
	[STATUS_CHANGED] = { "changed", FAULT_CHANGED },
	[STATUS_IO] = { "io", FAULT_MIXED },
	[STATUS_SPECIAL] = { "special", FAULT_MIXED },
	[STATUS_LIMIT] = { "limit", FAULT_REFUSED },
	[STATUS_CANCELLED] = { "cancelled", FAULT_INTERRUPTED },
	[STATUS_SHUTDOWN] = { "shutdown", FAULT_PEER },
	[STATUS_IDLE] = { "idle", FAULT_PEER },
	[STATUS_DEAD] = { "dead", FAULT_PEER },
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

enum fault status_fault(enum status status)
{
	return statuses[status_known(status)].fault;
}

enum status status_from(uint16_t number)
{
	return (enum status)status_known((enum status)number);
}
