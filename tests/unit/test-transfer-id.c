/* SPDX-License-Identifier: BSD-2-Clause */
/* The id of a transfer: the same for the same command, and different for everything else. */
#include "scratch.h"

#include "engine/transfer_id.h"

/* The state is kept in `name` of the scratch folder. */
static void keep_in(struct scratch *s, const char *name)
{
	char path[400];
	snprintf(path, sizeof(path), "%s/%s", s->in, name);
	assert_int_equal(setenv("XDG_STATE_HOME", path, 1), 0);
}

static void make(uint8_t id[TRANSFER_ID], const char *source, const char *destination)
{
	assert_int_equal(transfer_id_make(id, source, destination), 0);
}

static void the_same_command_has_the_same(void **state)
{
	struct scratch *s = *state;
	uint8_t one[TRANSFER_ID], other[TRANSFER_ID];
	keep_in(s, "state");
	make(one, "xfer://h/pub/a", "/home/a");
	make(other, "xfer://h/pub/a", "/home/a");
	assert_memory_equal(one, other, TRANSFER_ID);
	make(other, "xfer://h/pub/b", "/home/a");
	assert_memory_not_equal(one, other, TRANSFER_ID);
	make(other, "xfer://h/pub/a", "/home/b");
	assert_memory_not_equal(one, other, TRANSFER_ID);
	make(other, "xfer://h/pub/a/", "home/a"); /* cut elsewhere */
	assert_memory_not_equal(one, other, TRANSFER_ID);
	/* Another installation. */
	keep_in(s, "state2");
	make(other, "xfer://h/pub/a", "/home/a");
	assert_memory_not_equal(one, other, TRANSFER_ID);
	keep_in(s, "state");
	make(other, "xfer://h/pub/a", "/home/a");
	assert_memory_equal(one, other, TRANSFER_ID);
}

static void the_number_is_kept_for_oneself(void **state)
{
	struct scratch *s = *state;
	uint8_t id[TRANSFER_ID];
	struct stat st;
	char text[256];
	mode_t mask = umask(0);
	keep_in(s, "deep/state");
	make(id, "a", "b");
	umask(mask);
	assert_int_equal(fstatat(s->fd, "deep/state/xfer", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(s->fd, "deep/state/xfer/installation", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(strlen(get_file(s->fd, "deep/state/xfer/installation", text)), 33);
	/* Nothing is left beside it. */
	DIR *dir = fdopendir(openat(s->fd, "deep/state/xfer", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned names = 0;
	while (readdir(dir))
		names++;
	closedir(dir);
	assert_int_equal(names, 3);
}

static void what_is_damaged_is_made_anew(void **state)
{
	struct scratch *s = *state;
	const char *const damaged[] = { "", "short\n", "0123456789abcdef0123456789abcdeX\n",
		                        "0123456789abcdef0123456789abcdef0", "0123456789abcdef0123456789abcdef\n\n" };
	uint8_t one[TRANSFER_ID], other[TRANSFER_ID];
	char text[256];
	keep_in(s, "state");
	make(one, "a", "b");
	for (unsigned i = 0; i < COUNT(damaged); i++) {
		put_file(s->fd, "state/xfer/installation", damaged[i]);
		make(one, "a", "b");
		assert_string_not_equal(get_file(s->fd, "state/xfer/installation", text), damaged[i]);
		make(other, "a", "b");
		assert_memory_equal(one, other, TRANSFER_ID);
	}
	put_file(s->fd, "state/xfer/installation", "0123456789abcdef0123456789abcdef\n");
	make(one, "a", "b");
	assert_string_equal(get_file(s->fd, "state/xfer/installation", text), "0123456789abcdef0123456789abcdef\n");
}

static void without_a_place_the_host_stands_for_it(void **state)
{
	struct scratch *s = *state;
	uint8_t one[TRANSFER_ID], other[TRANSFER_ID];
	put_file(s->fd, "file", "");
	keep_in(s, "file/no-folder");
	make(one, "a", "b");
	keep_in(s, "file/neither");
	make(other, "a", "b");
	assert_memory_equal(one, other, TRANSFER_ID);
	make(other, "a", "c");
	assert_memory_not_equal(one, other, TRANSFER_ID);
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	make(other, "a", "b");
	assert_memory_equal(one, other, TRANSFER_ID);
	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("HOME", "", 1);
	make(other, "a", "b");
	assert_memory_equal(one, other, TRANSFER_ID);
	/* The home is next. */
	setenv("HOME", s->in, 1);
	make(other, "a", "b");
	assert_memory_not_equal(one, other, TRANSFER_ID);
	assert_true(exists(s->fd, ".local/state/xfer/installation"));
}

/* Many first transfers at once agree about the number. */
static void those_who_begin_at_once_agree(void **state)
{
	enum { PROCESSES = 8 };
	struct scratch *s = *state;
	int start[2], results[2];
	uint8_t first[TRANSFER_ID], id[TRANSFER_ID];
	keep_in(s, "state");
	assert_true(pipe(start) == 0 && pipe(results) == 0);
	for (unsigned i = 0; i < PROCESSES; i++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			char go;
			close(start[1]);
			(void)!read(start[0], &go, 1); /* ends when all are there */
			int code = transfer_id_make(id, "a", "b");
			_exit(code < 0 || write(results[1], id, sizeof(id)) != (ssize_t)sizeof(id));
		}
	}
	close(start[0]);
	close(start[1]);
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status = 1;
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(results[0], id, sizeof(id)), sizeof(id));
		if (i == 0)
			memcpy(first, id, sizeof(id));
		assert_memory_equal(id, first, TRANSFER_ID);
	}
	close(results[0]);
	close(results[1]);
}

static void the_name_is_short_and_hidden(void **state)
{
	(void)state;
	const uint8_t id[TRANSFER_ID] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3 };
	char name[TRANSFER_ID_NAME_MAX];
	assert_string_equal(transfer_id_name(name, id), STORE_HIDDEN "0123456789abcdef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_ONE(the_same_command_has_the_same), SCRATCH_ONE(the_number_is_kept_for_oneself),
		SCRATCH_ONE(what_is_damaged_is_made_anew),  SCRATCH_ONE(without_a_place_the_host_stands_for_it),
		SCRATCH_ONE(those_who_begin_at_once_agree), cmocka_unit_test(the_name_is_short_and_hidden),
	};
	return cmocka_run_group_tests_name("transfer-id", tests, NULL, NULL);
}
