/* SPDX-License-Identifier: BSD-2-Clause */
/* registry/note: what a process says of itself that is no more, or does not come back. */
#include "unit.h"

#include "registry/note.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Notes that this process and its children share. */
static struct notes *shared(void)
{
	struct notes *notes = NULL;
	int fd = -1;
	assert_int_equal(notes_open(&fd), 0);
	assert_int_equal(notes_map(&notes, fd), 0);
	close(fd);
	return notes;
}

static void *calls(void *context)
{
	struct notes *notes = context;
	(void)note_enter(notes, 1, NOTE_SENDV);
	return NULL; /* it stays in it */
}

static int deeper(int left)
{
	volatile char frame[4096];
	frame[0] = (char)left;
	return left == 0 ? 0 : deeper(left - 1) + frame[0];
}

enum way { BY_ABORT, BY_SEGV, BY_STACK, BY_KILL, BY_EXIT, BY_CORE };

/* A process that ends in integrity-foo digest(), while another thread of it is in transport-bar sendv(). */
static _Noreturn void die(struct notes *notes, enum way way)
{
	pthread_t thread;
	const struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	note_catch(false);
	notes_add(notes, "transport-bar");
	notes_add(notes, "integrity-foo.so");
	notes_rename(notes, 2, "integrity-foo");
	if (pthread_create(&thread, NULL, calls, notes) != 0)
		_exit(100);
	pthread_join(thread, NULL);
	note_leave(note_enter(notes, 1, NOTE_ACCEPT));
	struct note_slot *slot = note_enter(notes, 2, NOTE_DIGEST);
	if (way == BY_CORE)
		note_leave(slot);
	switch (way) {
	case BY_CORE:
	case BY_ABORT: abort();
	case BY_SEGV: raise(SIGSEGV); break;
	case BY_STACK: _exit(deeper(INT_MAX));
	case BY_KILL: raise(SIGKILL); break;
	case BY_EXIT: _exit(3);
	}
	_exit(101);
}

static void dies(enum way way, int signal, const char *expected)
{
	struct notes *notes = shared();
	char text[NOTE_TEXT_MAX];
	int status;
	pid_t pid = fork();
	if (pid == 0)
		die(notes, way);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (signal != 0)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	assert_string_equal(notes_tell(notes, signal, text), expected);
	notes_free(notes);
}

/* A sanitizer has a handler of its own for these two. */
static bool handled(void)
{
	struct sigaction act;
	return sigaction(SIGSEGV, NULL, &act) == 0 && act.sa_handler != SIG_DFL;
}

static void test_death(void **state)
{
	(void)state;
	dies(BY_ABORT, SIGABRT, "in integrity-foo digest()");
	dies(BY_CORE, SIGABRT, "outside of plug-ins");
	/* Nobody knows which of the two threads was at fault. */
	dies(BY_KILL, SIGKILL, "during transport-bar sendv(), integrity-foo digest()");
	dies(BY_EXIT, 0, "during transport-bar sendv(), integrity-foo digest()");
	if (handled())
		return;
	dies(BY_SEGV, SIGSEGV, "in integrity-foo digest()");
	/* The handler needs a stack of its own. */
	dies(BY_STACK, SIGSEGV, "in integrity-foo digest()");
}

static void test_aloud(void **state)
{
	(void)state;
	int ends[2];
	char text[256] = "", expected[256];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct notes *notes = NULL;
		const struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		dup2(ends[1], STDERR_FILENO);
		note_catch(true);
		if (notes_create(&notes) < 0)
			_exit(100);
		(void)note_enter(notes, notes_add(notes, "liveness-drum"), NOTE_VERDICT);
		abort();
	}
	close(ends[1]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	snprintf(expected, sizeof(expected), "%s: died of SIGABRT in liveness-drum verdict()\n",
	         program_invocation_short_name);
	assert_string_equal(text, expected);
	close(ends[0]);
}

/* What a broken process wrote is told all the same, without harm. */
static void test_nonsense(void **state)
{
	(void)state;
	char text[NOTE_TEXT_MAX];
	struct notes *notes;
	assert_int_equal(notes_create(&notes), 0);
	assert_string_equal(notes_tell(notes, SIGSEGV, text), "");
	char name[2 * NOTE_NAME_MAX];
	memset(name, '\x1b', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	unsigned row = notes_add(notes, name);
	struct note_slot *slot = note_enter(notes, row, NOTE_RECV);
	assert_non_null(strstr(notes_tell(notes, SIGSEGV, text), "during \\x1b"));
	assert_null(strchr(text, '\x1b'));
	atomic_store(&slot->call, UINT32_MAX);
	assert_string_equal(notes_tell(notes, SIGSEGV, text), "during a plug-in ?()");
	notes_free(notes);
}

static void test_identity(void **state)
{
	(void)state;
	struct notes *notes = shared();
	uint8_t id[NOTE_ID], ours[NOTE_ID];
	memset(ours, 7, sizeof(ours));
	assert_false(notes_identity(notes, id));
	notes_identify(notes, ours);
	assert_true(notes_identity(notes, id));
	assert_memory_equal(id, ours, sizeof(id));
	notes_free(notes);
}

static void test_size(void **state)
{
	(void)state;
	struct notes *notes = NULL;
	int fd = -1, other = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(notes_map(&notes, other), -EBADF);
	assert_int_equal(notes_map(&notes, STDIN_FILENO), -EBADF);
	close(other);
	assert_int_equal(notes_map(&notes, other), -EBADF);
	assert_null(notes);
	/* Else whoever has it could end whoever reads it. */
	assert_int_equal(notes_open(&fd), 0);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	close(fd);
}

/* More plug-ins and threads than there is room for are served, only without a name. */
static void test_full(void **state)
{
	(void)state;
	struct notes *notes;
	char text[NOTE_TEXT_MAX];
	unsigned last = 0, row;
	assert_int_equal(notes_create(&notes), 0);
	while ((row = notes_add(notes, "integrity-x")) != 0) {
		assert_int_equal(row, last + 1);
		last = row;
	}
	assert_int_equal(last, NOTE_PLUGINS - 1);
	assert_int_equal(notes_add(notes, "integrity-x"), 0);
	notes_rename(notes, 0, "nobody");
	struct note_slot *slot = note_enter(notes, 0, NOTE_DIGEST);
	assert_string_equal(notes_tell(notes, 0, text), "during a plug-in digest()");
	note_leave(slot);
	for (int i = 0; i < NOTE_SLOTS; i++) {
		struct notes *others;
		assert_int_equal(notes_create(&others), 0);
		/* As another thread would: this one has lost its slot. */
		note_move(others);
		note_move(notes);
		notes_free(others);
	}
	slot = note_enter(notes, 1, NOTE_DIGEST);
	assert_string_equal(notes_tell(notes, 0, text), "");
	note_leave(slot);
	note_leave(note_enter(NULL, 0, NOTE_DIGEST));
	notes_free(notes);
}

static void test_lasting(void **state)
{
	(void)state;
	struct notes *notes;
	char text[NOTE_TEXT_MAX];
	assert_int_equal(notes_create(&notes), 0);
	unsigned row = notes_add(notes, "integrity-foo");
	/* Many short calls are none that lasts, */
	for (uint64_t now = 1000; now < 1100; now += 10) {
		struct note_slot *slot = note_enter(notes, row, NOTE_HASH_UPDATE);
		assert_false(notes_lasting(notes, now, 20, false, text));
		note_leave(slot);
	}
	/* and who is in none rests for as long as he likes. */
	for (uint64_t now = 1100; now < 1200; now += 10)
		assert_false(notes_lasting(notes, now, 20, false, text));
	struct note_slot *slot = note_enter(notes, row, NOTE_DIGEST_MANY);
	for (uint64_t now = 1200; now <= 1220; now += 10)
		assert_false(notes_lasting(notes, now, 20, false, text));
	assert_true(notes_lasting(notes, 1230, 20, false, text));
	assert_string_equal(text, "in integrity-foo digest_many()");
	/* The process was stopped meanwhile. */
	assert_false(notes_lasting(notes, 1240, 20, true, text));
	assert_false(notes_lasting(notes, 1260, 20, false, text));
	assert_true(notes_lasting(notes, 1261, 20, false, text));
	note_leave(slot);
	assert_false(notes_lasting(notes, 1300, 20, false, text));
	notes_free(notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_death),   cmocka_unit_test(test_aloud),    cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_size),    cmocka_unit_test(test_identity), cmocka_unit_test(test_full),
		cmocka_unit_test(test_lasting),
	};
	return cmocka_run_group_tests_name("note", tests, NULL, NULL);
}
