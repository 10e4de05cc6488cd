/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notes of who is inside of which plug-in: each thread writes plug-in and callback into a slot of its own before it calls,
 * and clears it afterwards. They lie in memory that another process can share, so that it knows what a process died in
 * (or does not come back from); and a handler of fatal signals reads them in the process itself.
 *
 * Every call of a plug-in goes through plugin_map(), plugin_start(), digest.h, transport.h and liveness.h, which write
 * the notes. No other file of the core calls one.
 */
#ifndef XFER_REGISTRY_NOTE_H
#define XFER_REGISTRY_NOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What runs code of a plug-in. */
enum note_call {
	NOTE_NONE,
	NOTE_DLOPEN,
	NOTE_ENTRY, /* the exported symbol */
	NOTE_CREATE,
	NOTE_DESTROY,
	NOTE_LISTEN,
	NOTE_LISTENER_ADOPT,
	NOTE_LISTENER_FDS,
	NOTE_LISTENER_ADDRESS,
	NOTE_LISTENER_CLOSE,
	NOTE_ACCEPT,
	NOTE_CONNECT,
	NOTE_ADOPT,
	NOTE_HANDSHAKE,
	NOTE_SENDV,
	NOTE_RECV,
	NOTE_SENDFILE,
	NOTE_SENDPIPE,
	NOTE_RECVPIPE,
	NOTE_POLL,
	NOTE_ENDPOINT,
	NOTE_SHUTDOWN,
	NOTE_CLOSE,
	NOTE_DIGEST,
	NOTE_DIGEST_MANY,
	NOTE_HASH_CREATE,
	NOTE_HASH_UPDATE,
	NOTE_HASH_FINISH,
	NOTE_HASH_DESTROY,
	NOTE_LANES,
	NOTE_TIMING,
	NOTE_PEER_CREATE,
	NOTE_PEER_DESTROY,
	NOTE_DATAGRAM_IN,
	NOTE_DATAGRAM_OUT,
	NOTE_VERDICT,
	NOTE_NEXT_DEADLINE,
	NOTE_STATS,
	NOTE_PROGRESS_SET,
	NOTE_PROGRESS_GET,
	NOTE_CALLS
};

enum {
	NOTE_PLUGINS = 128, /* plug-ins of a process that have a name in the notes; row 0 stands for all others */
	NOTE_SLOTS = 2056,  /* threads that have a slot: two pools of 1,024, and those that start them */
	NOTE_NAME_MAX = 64, /* NUL included: "integrity-foo" */
	NOTE_TEXT_MAX = 160,
	NOTE_ID = 16
};

struct notes;

/* A line of the cache of its own, so that threads do not take it from each other. */
struct note_slot {
	_Atomic uint32_t call;  /* row of the plug-in << 8 | enum note_call; 0 outside of plug-ins */
	_Atomic uint32_t count; /* of calls: a call that lasts is told from many */
	_Atomic int32_t signal; /* that this thread got and is dying of */
	/* The observer's, see notes_lasting(). */
	uint32_t seen_count;
	uint64_t seen_at;
} __attribute__((aligned(64)));

struct note_thread {
	const void *notes;      /* whose slot it is; see note_enter() */
	struct note_slot *slot; /* never NULL when `notes` is that of a plug-in */
	struct note_slot spare; /* for plug-ins without notes, and when all slots are given out */
};

extern _Thread_local struct note_thread note_thread;

/* This thread had no slot in these notes (NULL: none are kept). */
void note_move(struct notes *notes);

/* Call it right before the callback, and note_leave() right behind. Neither nests. */
static inline struct note_slot *note_enter(struct notes *notes, unsigned row, enum note_call call)
{
	if (note_thread.notes != notes)
		note_move(notes);
	struct note_slot *slot = note_thread.slot;
	uint32_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);
	atomic_store_explicit(&slot->count, count + 1, memory_order_relaxed);
	atomic_store_explicit(&slot->call, row << 8 | (uint32_t)call, memory_order_relaxed);
	return slot;
}

static inline void note_leave(struct note_slot *slot)
{
	atomic_store_explicit(&slot->call, 0, memory_order_relaxed);
}

/* ---- the notes of a process ------------------------------------------------------------------------------------- */

/* For this process alone. -ENOMEM and the like. */
int notes_create(struct notes **out);
/* A descriptor (CLOEXEC) of empty notes that cannot change their size, for another process to take up. */
int notes_open(int *fd);
/* Maps them; the descriptor may be closed afterwards. -EBADF for what notes_open() did not make. */
int notes_map(struct notes **out, int fd);
/* No plug-in of them may be called any more, but by this thread. NULL is allowed. */
void notes_free(struct notes *notes);

/* A row for a plug-in, and its name; 0 when all are taken. */
unsigned notes_add(struct notes *notes, const char *name);
void notes_rename(struct notes *notes, unsigned row, const char *name);
/* The number by which peers know this process. */
void notes_identify(struct notes *notes, const uint8_t id[NOTE_ID]);
/* False before notes_identify(). */
bool notes_identity(const struct notes *notes, uint8_t id[NOTE_ID]);

/* ---- what they tell --------------------------------------------------------------------------------------------- */

/*
 * Of a process that is gone, by `signal` (0: by itself): "in integrity-foo digest()" where the thread is known that got
 * the signal, else "during ..." and up to three calls that were under way; "outside of plug-ins"; or "", which is
 * nothing to tell. Bytes that the process wrote are not trusted.
 */
char *notes_tell(const struct notes *notes, int signal, char out[NOTE_TEXT_MAX]);
/*
 * Whether a call was seen under way more than `limit` ns ago and still is: then true, and `out` is as above. To be called
 * several times within the limit. `fresh`: what is under way counts as seen now, for the process could not go on.
 */
bool notes_lasting(struct notes *notes, uint64_t now, uint64_t limit, bool fresh, char out[NOTE_TEXT_MAX]);
/* "SIGSEGV"; NULL for signals that tell nothing of who died. */
const char *note_signal_name(int signal);

/*
 * From now on a thread that gets SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT notes it and dies of it as it would have.
 * `aloud`: it also says "PROGRAM: died of SIGSEGV in integrity-foo digest()" on standard error. Who handles one of them
 * already (a sanitizer) goes on doing so.
 */
void note_catch(bool aloud);

#endif
