/* SPDX-License-Identifier: BSD-2-Clause */
/* Trees taken away: all of it, and nothing beside it. */
#include "scratch.h"

#include "store/descent.h"

static void whatever_it_is_goes(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(store_remove(s->root, "none"), 0);
	assert_int_equal(store_remove(s->root, "none/none"), 0);
	assert_int_equal(store_remove(s->root, ""), -EINVAL);
	put_file(s->fd, "file", "");
	assert_int_equal(store_remove(s->root, "file"), 0);
	assert_int_equal(mkfifoat(s->fd, "pipe", 0600), 0);
	assert_int_equal(store_remove(s->root, "pipe"), 0);
	assert_int_equal(mkdirat(s->fd, "empty", 0700), 0);
	assert_int_equal(store_remove(s->root, "empty"), 0);
	assert_int_equal(mkdirat(s->fd, "a", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/b", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/b/c", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/d", 0700), 0);
	put_file(s->fd, "a/b/c/file", "");
	put_file(s->fd, "a/b/\n\xff", "");
	put_file(s->fd, "a/file", "");
	put_file(s->fd, "beside", "");
	assert_int_equal(store_remove(s->root, "a"), 0);
	assert_false(exists(s->fd, "a"));
	assert_true(exists(s->fd, "beside"));
}

static void links_are_not_followed(void **state)
{
	struct scratch *s = *state;
	char text[256];
	int out = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(out, "secret", "secret");
	assert_int_equal(mkdirat(out, "dir", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a", 0700), 0);
	assert_int_equal(symlinkat(s->out, s->fd, "a/absolute"), 0);
	assert_int_equal(symlinkat("../../out", s->fd, "a/relative"), 0);
	assert_int_equal(symlinkat("../../out/secret", s->fd, "a/secret"), 0);
	assert_int_equal(store_remove(s->root, "a"), 0);
	assert_false(exists(s->fd, "a"));
	assert_int_equal(symlinkat("../out", s->fd, "link"), 0);
	assert_int_equal(store_remove(s->root, "link"), 0);
	assert_false(exists(s->fd, "link"));
	assert_string_equal(get_file(out, "secret", text), "secret");
	assert_true(exists(out, "dir"));
	close(out);
}

/* `depth` folders of this name inside each other, a file beside each. */
static void make_deep(int dir, const char *name, int depth)
{
	int at = dup(dir);
	for (int i = 0; i < depth; i++) {
		assert_int_equal(mkdirat(at, name, 0700), 0);
		put_file(at, "file", "");
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
}

static void deep_trees_go(void **state)
{
	struct scratch *s = *state;
	unsigned before = open_descriptors();
	make_deep(s->fd, "d", 200);
	assert_int_equal(store_remove(s->root, "d"), 0);
	assert_false(exists(s->fd, "d"));
	assert_int_equal(open_descriptors(), before);
}

static void trees_beyond_our_paths_go(void **state)
{
	struct scratch *s = *state;
	char name[256];
	memset(name, 'l', 255);
	name[255] = '\0';
	make_deep(s->fd, name, 40);
	assert_int_equal(store_remove(s->root, name), 0);
	assert_false(exists(s->fd, name));
}

static void wide_trees_go(void **state)
{
	struct scratch *s = *state;
	char path[64];
	assert_int_equal(mkdirat(s->fd, "a", 0700), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "a/%d", i);
		if (i % 10 == 0) {
			assert_int_equal(mkdirat(s->fd, path, 0700), 0);
			snprintf(path, sizeof(path), "a/%d/x", i);
		}
		int fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(store_remove(s->root, "a"), 0);
	assert_false(exists(s->fd, "a"));
}

/* A fetched tree has the modes of its source. */
static void closed_directories_of_ours_go(void **state)
{
	struct scratch *s = *state;
	if (!become_somebody(s)) {
		print_message("# skipped: cannot become somebody else\n");
		skip();
	}
	int made = mkdirat(s->fd, "a", 0700) | mkdirat(s->fd, "a/b", 0700) | mkdirat(s->fd, "a/b/c", 0700) |
	           mkdirat(s->fd, "a/b/c/d", 0700) | mkdirat(s->fd, "a/e", 0700) | mkdirat(s->fd, "a/e/f", 0700);
	made |= fchmodat(s->fd, "a/b/c", 0555, 0) | fchmodat(s->fd, "a/b", 0, 0) | fchmodat(s->fd, "a/e", 0444, 0) |
	        fchmodat(s->fd, "a", 0500, 0);
	int code = store_remove(s->root, "a");
	become_root_again();
	assert_int_equal(made, 0);
	assert_int_equal(code, 0);
	assert_false(exists(s->fd, "a"));
}

/* What belongs to others stays; the rest goes, and the error is told. */
static void what_cannot_go_is_said(void **state)
{
	struct scratch *s = *state;
	if (geteuid() != 0) {
		print_message("# skipped: only root can make what belongs to somebody else\n");
		skip();
	}
	assert_int_equal(mkdirat(s->fd, "a", 0777), 0);
	assert_int_equal(fchmodat(s->fd, "a", 0777, 0), 0);
	assert_int_equal(mkdirat(s->fd, "a/roots", 0755), 0);
	put_file(s->fd, "a/roots/file", "");
	for (int i = 0; i < 20; i++) {
		char path[32];
		snprintf(path, sizeof(path), "a/%d", i);
		put_file(s->fd, path, "");
	}
	assert_true(become_somebody(s));
	int code = store_remove(s->root, "a");
	become_root_again();
	assert_int_equal(code, -EACCES);
	assert_true(exists(s->fd, "a/roots/file"));
	for (int i = 0; i < 20; i++) {
		char path[32];
		snprintf(path, sizeof(path), "a/%d", i);
		assert_false(exists(s->fd, path));
	}
}

static void sweeping_leaves_what_is_named(void **state)
{
	struct scratch *s = *state;
	struct nameset names = { 0 };
	int out = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned before = open_descriptors();
	assert_int_equal(mkdirat(s->fd, "a", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/stays", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/goes", 0700), 0);
	put_file(s->fd, "a/stays/below", "");
	put_file(s->fd, "a/goes/below", "");
	put_file(s->fd, "a/one", "");
	put_file(s->fd, "a/\n\xff", "");
	put_file(out, "secret", "secret");
	assert_int_equal(symlinkat(s->out, s->fd, "a/link"), 0);
	for (int i = 0; i < 2000; i++) {
		char path[32];
		snprintf(path, sizeof(path), "a/%d", i);
		put_file(s->fd, path, "");
	}
	assert_int_equal(store_sweep(s->root, "none", &names), -ENOENT);
	assert_int_equal(store_sweep(s->root, "a/one", &names), -ENOTDIR);
	assert_true(store_sweep(s->root, "a/link", &names) < 0);
	assert_int_equal(nameset_add(&names, "stays", 5), 0);
	assert_int_equal(nameset_add(&names, "one", 3), 0);
	assert_int_equal(nameset_add(&names, "never", 5), 0);
	nameset_sort(&names);
	assert_int_equal(store_sweep(s->root, "a", &names), 0);
	assert_true(exists(s->fd, "a/stays/below"));
	assert_true(exists(s->fd, "a/one"));
	assert_true(exists(out, "secret"));
	assert_int_equal(unlinkat(s->fd, "a/stays/below", 0), 0);
	assert_int_equal(unlinkat(s->fd, "a/stays", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(s->fd, "a/one", 0), 0);
	assert_int_equal(unlinkat(s->fd, "a", AT_REMOVEDIR), 0); /* nothing else was left */
	nameset_free(&names);
	assert_int_equal(open_descriptors(), before);
	close(out);
}

/* A folder of the run before may have its modes already. */
static void closed_directories_are_swept(void **state)
{
	struct scratch *s = *state;
	const struct nameset none = { 0 };
	if (!become_somebody(s)) {
		print_message("# skipped: cannot become somebody else\n");
		skip();
	}
	int made = mkdirat(s->fd, "a", 0700) | mkdirat(s->fd, "a/b", 0700) | fchmodat(s->fd, "a", 0555, 0);
	int code = store_sweep(s->root, "a", &none);
	become_root_again();
	assert_int_equal(made, 0);
	assert_int_equal(code, 0);
	assert_true(exists(s->fd, "a"));
	assert_false(exists(s->fd, "a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(whatever_it_is_goes),
		SCRATCH_BOTH(links_are_not_followed),
		SCRATCH_BOTH(deep_trees_go),
		SCRATCH_BOTH(trees_beyond_our_paths_go),
		SCRATCH_ONE(wide_trees_go),
		SCRATCH_ONE(closed_directories_of_ours_go),
		SCRATCH_ONE(what_cannot_go_is_said),
		SCRATCH_BOTH(sweeping_leaves_what_is_named),
		SCRATCH_ONE(closed_directories_are_swept),
	};
	return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
