/* SPDX-License-Identifier: BSD-2-Clause */
/* The notes themselves: memory, slots, and what they tell. */
#include "registry/note.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NAMED_MAX = 3,         /* calls that were under way, of those that are told */
	STACK_SIZE = 24 * 1024 /* for a handler: the thread's own stack may be what is at its end */
};

struct notes {
	_Atomic uint32_t rows;  /* taken, row 0 included; more than NOTE_PLUGINS were asked for when it is larger */
	_Atomic uint32_t taken; /* slots; likewise */
	_Atomic uint32_t identified;
	uint8_t id[NOTE_ID];
	char names[NOTE_PLUGINS][NOTE_NAME_MAX]; /* of rows from 1 */
	struct note_slot slots[NOTE_SLOTS];
};

static const char *const CALL_NAMES[NOTE_CALLS] = {
	[NOTE_NONE] = "",
	[NOTE_DLOPEN] = "dlopen",
	[NOTE_ENTRY] = "xfer_plugin_v1",
	[NOTE_CREATE] = "create",
	[NOTE_DESTROY] = "destroy",
	[NOTE_LISTEN] = "listen",
	[NOTE_LISTENER_ADOPT] = "listener_adopt",
	[NOTE_LISTENER_FDS] = "listener_fds",
	[NOTE_LISTENER_ADDRESS] = "listener_address",
	[NOTE_LISTENER_CLOSE] = "listener_close",
	[NOTE_ACCEPT] = "accept",
	[NOTE_CONNECT] = "connect",
	[NOTE_ADOPT] = "adopt",
	[NOTE_HANDSHAKE] = "handshake",
	[NOTE_SENDV] = "sendv",
	[NOTE_RECV] = "recv",
	[NOTE_SENDFILE] = "sendfile",
	[NOTE_SENDPIPE] = "sendpipe",
	[NOTE_RECVPIPE] = "recvpipe",
	[NOTE_POLL] = "poll",
	[NOTE_ENDPOINT] = "endpoint",
	[NOTE_SHUTDOWN] = "shutdown",
	[NOTE_CLOSE] = "close",
	[NOTE_DIGEST] = "digest",
	[NOTE_DIGEST_MANY] = "digest_many",
	[NOTE_HASH_CREATE] = "hash_create",
	[NOTE_HASH_UPDATE] = "hash_update",
	[NOTE_HASH_FINISH] = "hash_finish",
	[NOTE_HASH_DESTROY] = "hash_destroy",
	[NOTE_LANES] = "lanes",
	[NOTE_TIMING] = "timing",
	[NOTE_PEER_CREATE] = "peer_create",
	[NOTE_PEER_DESTROY] = "peer_destroy",
	[NOTE_DATAGRAM_IN] = "datagram_in",
	[NOTE_DATAGRAM_OUT] = "datagram_out",
	[NOTE_VERDICT] = "verdict",
	[NOTE_NEXT_DEADLINE] = "next_deadline",
	[NOTE_STATS] = "stats",
	[NOTE_PROGRESS_SET] = "progress_set",
	[NOTE_PROGRESS_GET] = "progress_get",
};

/* No notes have this address, so that the first call of a thread moves it to its slot. */
static const char NOWHERE;
_Thread_local struct note_thread note_thread = { .notes = &NOWHERE };
static _Thread_local char handler_stack[STACK_SIZE] __attribute__((aligned(16)));

/* ---- slots ------------------------------------------------------------------------------------------------------ */

/* A sanitizer has one of its own, which may stay. */
static void stack_provide(void)
{
	stack_t now, ours = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };
	long least = sysconf(_SC_MINSIGSTKSZ);
	if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0 && least < STACK_SIZE - 4096)
		(void)sigaltstack(&ours, NULL);
}

void note_move(struct notes *notes)
{
	struct note_slot *slot = &note_thread.spare;
	if (notes != NULL) {
		uint32_t number = atomic_load_explicit(&notes->taken, memory_order_relaxed);
		/* Counts no further than there are slots. */
		while (number < NOTE_SLOTS && !atomic_compare_exchange_weak(&notes->taken, &number, number + 1))
			continue;
		if (number < NOTE_SLOTS)
			slot = &notes->slots[number];
	}
	note_thread.slot = slot;
	note_thread.notes = notes;
	stack_provide();
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static int notes_memory(struct notes **out, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, sizeof(struct notes), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*out = memory;
	return 0;
}

int notes_create(struct notes **out)
{
	return notes_memory(out, -1);
}

/*
 * A limit of the size of files (RLIMIT_FSIZE) holds for memory that has a descriptor, too, and somebody may have meant his
 * log by it: for this moment it is as high as we may have it. Called by one thread.
 */
static int notes_size(int fd)
{
	struct rlimit limit, raised;
	if (ftruncate(fd, sizeof(struct notes)) == 0)
		return 0;
	int code = -errno;
	if (code != -EFBIG || getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return code;
	raised = (struct rlimit){ .rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max };
	if (setrlimit(RLIMIT_FSIZE, &raised) < 0)
		return code;
	code = ftruncate(fd, sizeof(struct notes)) < 0 ? -errno : 0;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	return code;
}

int notes_open(int *out)
{
	int fd = memfd_create("xfer-notes", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Whoever could cut it short would end whoever reads it by SIGBUS. */
	int code = notes_size(fd);
	if (code == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		code = -errno;
	if (code < 0) {
		close(fd);
		return code;
	}
	*out = fd;
	return 0;
}

int notes_map(struct notes **out, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof(struct notes))
		return -EBADF;
	return notes_memory(out, fd);
}

void notes_free(struct notes *notes)
{
	if (notes == NULL)
		return;
	if (note_thread.notes == notes) {
		note_thread.notes = &NOWHERE;
		note_thread.slot = NULL;
	}
	(void)munmap(notes, sizeof(*notes));
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

void notes_rename(struct notes *notes, unsigned row, const char *name)
{
	if (notes != NULL && row > 0 && row < NOTE_PLUGINS)
		snprintf(notes->names[row], NOTE_NAME_MAX, "%s", name);
}

unsigned notes_add(struct notes *notes, const char *name)
{
	if (notes == NULL)
		return 0;
	uint32_t taken = atomic_load_explicit(&notes->rows, memory_order_relaxed);
	if (taken + 1 >= NOTE_PLUGINS)
		return 0;
	atomic_store_explicit(&notes->rows, taken + 1, memory_order_relaxed);
	notes_rename(notes, taken + 1, name);
	return taken + 1;
}

void notes_identify(struct notes *notes, const uint8_t id[NOTE_ID])
{
	memcpy(notes->id, id, NOTE_ID);
	atomic_store_explicit(&notes->identified, 1, memory_order_release);
}

bool notes_identity(const struct notes *notes, uint8_t id[NOTE_ID])
{
	if (atomic_load_explicit(&notes->identified, memory_order_acquire) == 0)
		return false;
	memcpy(id, notes->id, NOTE_ID);
	return true;
}

/* ---- what they tell --------------------------------------------------------------------------------------------- */

const char *note_signal_name(int signal)
{
	switch (signal) {
	case SIGSEGV: return "SIGSEGV";
	case SIGBUS: return "SIGBUS";
	case SIGFPE: return "SIGFPE";
	case SIGILL: return "SIGILL";
	case SIGABRT: return "SIGABRT";
	case SIGKILL: return "SIGKILL";
	default: return NULL;
	}
}

/* "integrity-foo digest()" of the value of a slot. Async-signal-safe. Returns the length, which is below NOTE_TEXT_MAX. */
static size_t call_text(const struct notes *notes, uint32_t call, char out[NOTE_TEXT_MAX])
{
	uint32_t row = call >> 8, number = call & 0xff;
	const char *name = row > 0 && row < NOTE_PLUGINS ? notes->names[row] : "a plug-in";
	const char *callback = number < NOTE_CALLS ? CALL_NAMES[number] : "?";
	size_t len = strnlen(name, NOTE_NAME_MAX - 1), more = strlen(callback);
	memcpy(out, name, len);
	out[len++] = ' ';
	memcpy(out + len, callback, more);
	len += more;
	memcpy(out + len, "()", sizeof("()"));
	return len + 2;
}

/* The calls under way, each once, NAMED_MAX at most; returns how many there are. */
static size_t calls_gather(const struct notes *notes, uint32_t calls[NAMED_MAX])
{
	uint32_t taken = atomic_load_explicit(&notes->taken, memory_order_relaxed);
	size_t count = 0;
	for (uint32_t i = 0; i < taken && i < NOTE_SLOTS && count < NAMED_MAX; i++) {
		uint32_t call = atomic_load_explicit(&notes->slots[i].call, memory_order_relaxed);
		size_t at = 0;
		while (at < count && calls[at] != call)
			at++;
		if (call != 0 && at == count)
			calls[count++] = call;
	}
	return count;
}

static const struct note_slot *slot_of_signal(const struct notes *notes, int signal)
{
	uint32_t taken = atomic_load_explicit(&notes->taken, memory_order_relaxed);
	for (uint32_t i = 0; signal != 0 && i < taken && i < NOTE_SLOTS; i++)
		if (atomic_load_explicit(&notes->slots[i].signal, memory_order_relaxed) == signal)
			return &notes->slots[i];
	return NULL;
}

/* As text_printable(), which is too much for the words between. */
static void tell(char out[NOTE_TEXT_MAX], const char *word, const char *text)
{
	char clean[NOTE_TEXT_MAX];
	size_t len = strlen(out);
	snprintf(out + len, NOTE_TEXT_MAX - len, "%s%s", word,
	         text_printable(clean, sizeof(clean), text, strlen(text)));
}

char *notes_tell(const struct notes *notes, int signal, char out[NOTE_TEXT_MAX])
{
	const struct note_slot *slot = slot_of_signal(notes, signal);
	char text[NOTE_TEXT_MAX];
	uint32_t calls[NAMED_MAX];
	out[0] = '\0';
	if (slot != NULL) {
		uint32_t call = atomic_load_explicit(&slot->call, memory_order_relaxed);
		if (call == 0)
			tell(out, "outside of plug-ins", "");
		else if (call_text(notes, call, text) > 0)
			tell(out, "in ", text);
		return out;
	}
	size_t count = calls_gather(notes, calls);
	for (size_t i = 0; i < count; i++) {
		call_text(notes, calls[i], text);
		tell(out, i == 0 ? "during " : ", ", text);
	}
	return out;
}

bool notes_lasting(struct notes *notes, uint64_t now, uint64_t limit, bool fresh, char out[NOTE_TEXT_MAX])
{
	uint32_t taken = atomic_load_explicit(&notes->taken, memory_order_relaxed);
	for (uint32_t i = 0; i < taken && i < NOTE_SLOTS; i++) {
		struct note_slot *slot = &notes->slots[i];
		uint32_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);
		uint32_t call = atomic_load_explicit(&slot->call, memory_order_relaxed);
		if (fresh || call == 0 || count != slot->seen_count) {
			slot->seen_count = count;
			slot->seen_at = now;
		} else if (now - slot->seen_at > limit) {
			char text[NOTE_TEXT_MAX];
			call_text(notes, call, text);
			out[0] = '\0';
			tell(out, "in ", text);
			return true;
		}
	}
	return false;
}

/* ---- fatal signals ---------------------------------------------------------------------------------------------- */

static size_t append(char *out, size_t len, const char *text)
{
	size_t more = strlen(text);
	memcpy(out + len, text, more);
	return len + more;
}

/* Nothing but what is async-signal-safe from here on. */
static void signal_say(int signal, const struct notes *notes, uint32_t call)
{
	enum { PROGRAM_MAX = 32 };
	char line[PROGRAM_MAX + NOTE_TEXT_MAX + 64];
	size_t len = strnlen(program_invocation_short_name, PROGRAM_MAX);
	memcpy(line, program_invocation_short_name, len);
	len = append(line, len, ": died of ");
	len = append(line, len, note_signal_name(signal));
	if (call != 0) {
		len = append(line, len, " in ");
		len += call_text(notes, call, line + len);
	}
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
}

static void signal_note(int signal, bool aloud)
{
	int saved = errno;
	const struct notes *notes = NULL;
	uint32_t call = 0;
	if (note_thread.slot != NULL) {
		atomic_store_explicit(&note_thread.slot->signal, signal, memory_order_relaxed);
		call = atomic_load_explicit(&note_thread.slot->call, memory_order_relaxed);
		notes = note_thread.notes;
	}
	if (aloud)
		signal_say(signal, notes, notes != NULL ? call : 0);
	/* Blocked while it is handled, so it strikes on return: at the very place, for whoever reads the core. */
	struct sigaction plain = { .sa_handler = SIG_DFL };
	(void)sigaction(signal, &plain, NULL);
	(void)raise(signal);
	errno = saved;
}

static void on_signal(int signal)
{
	signal_note(signal, false);
}

static void on_signal_aloud(int signal)
{
	signal_note(signal, true);
}

void note_catch(bool aloud)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction act = { .sa_handler = aloud ? on_signal_aloud : on_signal, .sa_flags = SA_ONSTACK };
	sigfillset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction before;
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			(void)sigaction(signals[i], &act, NULL);
	}
}
