/* SPDX-License-Identifier: BSD-2-Clause */
/* What a check of the conformance kit has to hand, and how it tells what it saw. */
#ifndef XFER_CMD_CHECK_CHECK_H
#define XFER_CMD_CHECK_CHECK_H

#include "kit.h"

#include "registry/registry.h"

#include <stdatomic.h>

enum { KIT_THREADS_MAX = 8, KIT_SEEN_MAX = 400, KIT_SAMPLE = 997 /* bytes */ };

/* In memory that survives the process of the check. */
struct kit_report {
	_Atomic(const char *) inside[KIT_THREADS_MAX]; /* the callback under way in each thread, NULL: none; literals */
	enum kit_outcome outcome;
	char seen[KIT_SEEN_MAX];
	struct kit_about about;
	struct error err; /* of the loader */
};

/* What all checks of a run have noticed beside what they were for: the first of each, "" while there is none. */
struct kit_habits {
	char process[KIT_SEEN_MAX]; /* something of the process changed, or was printed */
	char waits[KIT_SEEN_MAX];   /* a call waited */
	/* Of an integrity: the digest of kit_sample(), as the process that loaded it first has it. */
	uint8_t sample[XFER_DIGEST_MAX];
};

/* The callback that waited the longest. */
struct kit_wait {
	const char *call; /* a literal; NULL: none did */
	uint64_t ns;
	uint64_t began;   /* of the call under way, monotonic ns */
	uint64_t counted; /* when `waits` was looked at */
	long waits;       /* of this thread before it */
};

/* One check, in its own process. A thread that it starts has a copy with another `inside`. */
struct kit {
	const struct kit_subject *subject;
	struct kit_report *report;
	struct kit_habits *habits;
	_Atomic(const char *) *inside;
	bool threads; /* calls take turns with those of others, and may wait for them */
	struct kit_wait wait;
	struct plugin *plugin;          /* loaded; its instance has the configured values */
	const union xfer_value *values; /* those, in the order of its options */
	const char *folder;             /* empty, of this run; what is left in it goes away with it */
	uint64_t random;                /* state of kit_random(); the same in every run */
};

/* Each kind has an array of these, ended by a row without a name. */
struct kit_check {
	const char *name;
	const char *expected; /* a clause: what has to be so */
	enum kit_outcome (*run)(struct kit *kit);
};

extern const struct kit_check kit_option_checks[]; /* for every kind, as are the habits, which come last */
extern const struct kit_check kit_habit_checks[];
extern const struct kit_check kit_integrity_checks[];
extern const struct kit_check kit_liveness_checks[];
extern const struct kit_check kit_transport_checks[];

/* The result of a check with what it saw: `return kit_failed(kit, ...)`. The first failure counts. */
enum kit_outcome kit_ok(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum kit_outcome kit_failed(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum kit_outcome kit_skipped(struct kit *kit, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* kit_failed() with "CALL returned -EINVAL (what the plug-in said) WHERE". */
enum kit_outcome kit_returned(struct kit *kit, const char *call, int64_t rc, const char *where, ...)
	__attribute__((format(printf, 4, 5)));
/* "-EINVAL", or the number. Returns text. */
const char *kit_errno(char text[32], int64_t rc);

/* ---- habit.c: what no callback does, whatever it is for ---- */

/* What belongs to the process and not to a plug-in. */
struct process;
int process_take(struct process **out);
/* What has changed since: NULL, or a text (in `text`) of what. */
const char *process_changed(const struct process *before, char text[KIT_SEEN_MAX]);
void process_free(struct process *process);
/* Around a callback: whether it waited. */
void wait_begin(struct kit *kit);
void wait_end(struct kit *kit, const char *call);

/*
 * Callbacks are called by these, so that the one that does not come back is known. KIT_CALL is for int, KIT_SIZE for
 * ssize_t, KIT_VOID for none: KIT_CALL(kit, integrity, digest, instance, bytes, len, out, 0).
 */
static inline void kit_enter(struct kit *kit, const char *name)
{
	atomic_store_explicit(kit->inside, name, memory_order_relaxed);
	plugin_error_clear();
	wait_begin(kit);
}

static inline int64_t kit_left(struct kit *kit, int64_t rc)
{
	wait_end(kit, atomic_load_explicit(kit->inside, memory_order_relaxed));
	atomic_store_explicit(kit->inside, NULL, memory_order_relaxed);
	return rc;
}

#define KIT_SIZE(kit, ops, call, ...)                                                                                  \
	kit_left((kit), (kit_enter((kit), #call "()"), (kit)->plugin->ops.call(__VA_ARGS__)))
#define KIT_CALL(kit, ops, call, ...) ((int)KIT_SIZE(kit, ops, call, __VA_ARGS__))
#define KIT_VOID(kit, ops, call, ...)                                                                                  \
	(kit_enter((kit), #call "()"), (kit)->plugin->ops.call(__VA_ARGS__), (void)kit_left((kit), 0))

uint64_t kit_random(struct kit *kit);
uint64_t kit_below(struct kit *kit, uint64_t bound); /* bound > 0 */
void kit_fill(struct kit *kit, void *bytes, size_t len);
/* The digest of bytes that are the same in each process. 0, or what digest() returned. */
int kit_sample(struct kit *kit, void *instance, uint8_t digest[XFER_DIGEST_MAX]);

/* Another instance with these values, in *out; 0, or what create() returned. Never NULL on success. */
int kit_create(struct kit *kit, const union xfer_value *values, void **out);

/* ---- census.c: what a process has ---- */

size_t census_heap(void); /* bytes that are allocated and not freed */
unsigned census_descriptors(void);
unsigned census_threads(void);

/* Whether things that were made and destroyed `rounds` times left something: NULL, or a text (in `text`) of what. */
struct census {
	size_t heap;
	unsigned descriptors;
	unsigned threads;
};
void census_take(struct census *census);
const char *census_growth(const struct census *before, unsigned rounds, char text[128]);

#endif
