/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of a peer, and the primitive that opens beneath a root: nothing leads out, by openat2(2) and by walking. */
#include "scratch.h"

static const char *const good_paths[] = {
	"", "a", "a/b", "...", "..a", "a..", ".a", "a/...", "a b", "\x01\n\xff", "-rf"
};
static const char *const bad_paths[] = { "/",   "/a",   "a/",     "a//b",  ".",    "..",
	                                 "./a", "../a", "a/../b", "a/./b", "a/..", "a/." };

static void paths_are_checked(void **state)
{
	(void)state;
	struct error err = { 0 };
	for (size_t i = 0; i < COUNT(good_paths); i++)
		assert_int_equal(store_path_check(good_paths[i], strlen(good_paths[i]), NULL), 0);
	for (size_t i = 0; i < COUNT(bad_paths); i++) {
		assert_int_equal(store_path_check(bad_paths[i], strlen(bad_paths[i]), &err), -EINVAL);
		assert_int_equal(err.fault, FAULT_REFUSED);
		assert_int_equal(err.code, -EINVAL);
	}
	assert_int_equal(store_path_check("a\0b", 3, &err), -EINVAL);
	assert_contains(err.text, "NUL");
	assert_int_equal(store_path_check("a\n/..", 5, &err), -EINVAL);
	assert_contains(err.text, "a\\x0a/..");
}

static void lengths_are_checked(void **state)
{
	(void)state;
	char path[4200];
	memset(path, 'x', sizeof(path));
	assert_int_equal(store_path_check(path, 255, NULL), 0);
	assert_int_equal(store_path_check(path, 256, NULL), -EINVAL);
	for (size_t i = 255; i < sizeof(path); i += 256)
		path[i] = '/';
	path[4094] = 'x';
	assert_int_equal(store_path_check(path, 4095, NULL), 0);
	struct error err = { 0 };
	path[4090] = '/';
	path[4095] = 'x';
	assert_int_equal(store_path_check(path, 4096, &err), -EINVAL);
	assert_contains(err.text, "4095");
}

static void names_are_checked(void **state)
{
	(void)state;
	assert_int_equal(store_name_check("a", 1, NULL), 0);
	assert_int_equal(store_name_check("\x80\n", 2, NULL), 0);
	assert_int_equal(store_name_check("", 0, NULL), -EINVAL);
	assert_int_equal(store_name_check(".", 1, NULL), -EINVAL);
	assert_int_equal(store_name_check("..", 2, NULL), -EINVAL);
	assert_int_equal(store_name_check("a/b", 3, NULL), -EINVAL);
	assert_int_equal(store_name_check("a\0b", 3, NULL), -EINVAL);
}

static void a_root_that_cannot_be_opened_says_so(void **state)
{
	struct scratch *s = *state;
	struct store_root *root = NULL;
	struct error err = { 0 };
	char path[400];
	snprintf(path, sizeof(path), "%s/none", s->path);
	assert_int_equal(store_root_open(&root, path, &err), -ENOENT);
	assert_contains(err.text, path);
	assert_int_equal(err.fault, FAULT_LOCAL);
	put_file(s->fd, "file", "");
	snprintf(path, sizeof(path), "%s/file", s->in);
	assert_int_equal(store_root_open(&root, path, &err), -ENOTDIR);
	assert_null(root);
}

static void roots_are_counted(void **state)
{
	struct scratch *s = *state;
	unsigned before = open_descriptors();
	struct store_root *root;
	assert_int_equal(store_root_open(&root, s->in, NULL), 0);
	assert_string_equal(store_root_path(root), s->in);
	assert_ptr_equal(store_root_ref(root), root);
	store_root_unref(root);
	assert_true(store_root_fd(root) >= 0);
	assert_int_equal(open_descriptors(), before + 1);
	store_root_unref(root);
	store_root_unref(NULL);
	assert_int_equal(open_descriptors(), before);
}

static int try_open(struct store_root *root, const char *path)
{
	int fd;
	int code = store_open(root, path, O_RDONLY, 0, &fd);
	if (code == 0) {
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		close(fd);
	}
	return code;
}

static void bad_paths_are_refused_everywhere(void **state)
{
	struct scratch *s = *state;
	struct store_meta meta = { .mode = 0777 };
	struct store_walk *walk;
	struct stat st;
	int fd;
	put_file(s->fd, "file", "text");
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	for (size_t i = 0; i < COUNT(bad_paths); i++) {
		const char *path = bad_paths[i];
		assert_int_equal(try_open(s->root, path), -EINVAL);
		assert_int_equal(store_open_file(s->root, path, &fd, &st), -EINVAL);
		assert_int_equal(store_create(s->root, path, &fd), -EINVAL);
		assert_int_equal(store_make_dir(s->root, path), -EINVAL);
		assert_int_equal(store_symlink(s->root, path, "x"), -EINVAL);
		assert_int_equal(store_stat(s->root, path, &st), -EINVAL);
		assert_int_equal(store_set_meta(s->root, path, false, &meta), -EINVAL);
		assert_int_equal(store_rename(s->root, path, "x", false), -EINVAL);
		assert_int_equal(store_rename(s->root, "file", path, false), -EINVAL);
		assert_int_equal(store_remove(s->root, path), -EINVAL);
		assert_int_equal(store_sync_parent(s->root, path), -EINVAL);
		assert_int_equal(store_walk_open(&walk, s->root, path, 1, NULL, NULL), -EINVAL);
	}
}

static void links_out_are_refused_everywhere(void **state)
{
	struct scratch *s = *state;
	struct store_meta meta = { .mode = 0777 };
	struct store_walk *walk;
	struct stat st;
	char text[256], secret[400], path[64];
	static const char *const links[] = { "absolute", "relative", "home" };
	int fd;

	int out = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(out, "secret", "secret");
	put_file(s->fd, "file", "text");
	snprintf(secret, sizeof(secret), "%s/secret", s->out);
	assert_int_equal(symlinkat(s->out, s->fd, "absolute"), 0);
	assert_int_equal(symlinkat("../out", s->fd, "relative"), 0);
	assert_int_equal(symlinkat("../in/../out", s->fd, "home"), 0);
	assert_int_equal(symlinkat(secret, s->fd, "secret-absolute"), 0);
	assert_int_equal(symlinkat("../out/secret", s->fd, "secret-relative"), 0);
	/* An absolute link leads out even where it comes back. */
	assert_int_equal(symlinkat(s->in, s->fd, "back"), 0);

	int refused = s->root->walks ? -ELOOP : -EXDEV;
	assert_int_equal(try_open(s->root, "secret-absolute"), refused);
	assert_int_equal(try_open(s->root, "secret-relative"), refused);
	assert_int_equal(store_open_file(s->root, "secret-relative", &fd, &st), refused);
	assert_int_equal(try_open(s->root, "back/file"), refused);
	struct store_parent near;
	store_parent_init(&near);
	assert_int_equal(store_open_file_via(&near, s->root, "secret-relative", &fd, &st), refused);
	for (size_t i = 0; i < COUNT(links); i++) {
		snprintf(path, sizeof(path), "%s/secret", links[i]);
		assert_int_equal(try_open(s->root, path), refused);
		assert_int_equal(store_open_file(s->root, path, &fd, &st), refused);
		assert_int_equal(store_open_file_via(&near, s->root, path, &fd, &st), refused);
		assert_int_equal(store_stat(s->root, path, &st), refused);
		assert_int_equal(store_set_meta(s->root, path, true, &meta), refused);
		assert_int_equal(store_rename(s->root, path, "stolen", false), refused);
		assert_int_equal(store_rename(s->root, "file", path, false), refused);
		assert_int_equal(store_remove(s->root, path), refused);
		assert_int_equal(store_sync_parent(s->root, path), refused);
		assert_int_equal(store_walk_open(&walk, s->root, path, 1, NULL, NULL), refused);
		snprintf(path, sizeof(path), "%s/new", links[i]);
		assert_int_equal(store_create(s->root, path, &fd), refused);
		assert_int_equal(store_create_via(&near, s->root, path, &fd), refused);
		assert_int_equal(store_make_dir(s->root, path), refused);
		assert_int_equal(store_symlink(s->root, path, "x"), refused);
	}
	store_parent_drop(&near);
	assert_int_equal(store_make_dir(s->root, "absolute"), -ENOTDIR);
	assert_int_equal(store_create(s->root, "secret-absolute", &fd), -EEXIST);
	assert_int_equal(store_set_meta(s->root, "absolute", false, &meta), -ENOTDIR);
	assert_string_equal(get_file(out, "secret", text), "secret");
	assert_false(exists(out, "new"));
	close(out);
}

static void links_within_are_followed(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	char text[256];
	int fd;
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "a/b", 0755), 0);
	put_file(s->fd, "a/b/file", "text");
	assert_int_equal(symlinkat("a/b", s->fd, "down"), 0);
	assert_int_equal(symlinkat("../../a/b/file", s->fd, "a/b/up"), 0);
	int expected = s->root->walks ? -ELOOP : 0;
	assert_int_equal(try_open(s->root, "down/file"), expected);
	assert_int_equal(try_open(s->root, "a/b/up"), expected);
	struct store_parent near;
	store_parent_init(&near);
	assert_int_equal(store_open_file_via(&near, s->root, "a/b/file", &fd, &st), 0);
	close(fd);
	assert_int_equal(store_open_file_via(&near, s->root, "a/b/up", &fd, &st), expected);
	if (expected == 0) {
		assert_int_equal(read(fd, text, sizeof(text)), 4);
		close(fd);
	}
	assert_int_equal(store_create_via(&near, s->root, "down/new", &fd), expected);
	if (expected == 0)
		close(fd);
	assert_int_equal(exists(s->fd, "a/b/new"), expected == 0);
	store_parent_drop(&near);
}

/* What is unfinished is not there yet, also for who comes by a link; a path of our own names it. */
static void links_to_hidden_names_lead_nowhere(void **state)
{
	static const char *const links[] = { "link", "chain", "a/in", "folder/file", "deep/file" };
	struct scratch *s = *state;
	struct stat st;
	int fd;
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "a/.xfer-puts", 0755), 0);
	put_file(s->fd, ".xfer-0123456789abcdef", "half");
	put_file(s->fd, "a/.xfer-puts/file", "half");
	put_file(s->fd, "a/x.xfer-", "whole");
	assert_int_equal(symlinkat(".xfer-0123456789abcdef", s->fd, "link"), 0);
	assert_int_equal(symlinkat("link", s->fd, "chain"), 0);
	assert_int_equal(symlinkat("../.xfer-0123456789abcdef", s->fd, "a/in"), 0);
	assert_int_equal(symlinkat("a/.xfer-puts", s->fd, "folder"), 0);
	assert_int_equal(symlinkat("a", s->fd, "whole"), 0);
	assert_int_equal(symlinkat("whole/.xfer-puts", s->fd, "deep"), 0);
	int refused = s->root->walks ? -ELOOP : -ENOENT;
	for (size_t i = 0; i < COUNT(links); i++) {
		assert_int_equal(try_open(s->root, links[i]), refused);
		assert_int_equal(store_open_file_via(NULL, s->root, links[i], &fd, &st), refused);
	}
	assert_int_equal(store_create_via(NULL, s->root, "folder/new", &fd), refused);
	assert_false(exists(s->fd, "a/.xfer-puts/new"));
	assert_int_equal(try_open(s->root, "whole/x.xfer-"), s->root->walks ? -ELOOP : 0);
	/* Our own. */
	assert_int_equal(try_open(s->root, ".xfer-0123456789abcdef"), 0);
	assert_int_equal(try_open(s->root, "whole/.xfer-puts/file"), s->root->walks ? -ELOOP : 0);
}

static void magic_links_are_refused(void **state)
{
	struct scratch *s = *state;
	struct store_root *root;
	if (store_root_open(&root, "/proc/self", NULL) < 0) {
		print_message("# skipped: no /proc here\n");
		skip();
	}
	root->walks = s->root->walks;
	assert_int_equal(try_open(root, "root/etc/passwd"), -ELOOP);
	assert_int_equal(try_open(root, "cwd/."), -EINVAL);
	assert_int_equal(try_open(root, "cwd"), -ELOOP);
	assert_int_equal(try_open(root, "exe"), -ELOOP);
	assert_int_equal(try_open(root, "fd/0"), -ELOOP);
	assert_int_equal(try_open(root, "status"), 0);
	store_root_unref(root);
}

static void odd_names_are_names(void **state)
{
	struct scratch *s = *state;
	char longest[256];
	memset(longest, 0xc3, 255);
	longest[255] = '\0';
	const char *const names[] = { "new\nline", "\x01\x1b[31m", "\xff\xfe\x80", " ", "-rf", "a\\b", "*", longest };
	for (size_t i = 0; i < COUNT(names); i++) {
		char path[600];
		struct stat st;
		int fd;
		assert_int_equal(store_make_dir(s->root, names[i]), 0);
		snprintf(path, sizeof(path), "%s/%s", names[i], names[i]);
		assert_int_equal(store_create(s->root, path, &fd), 0);
		close(fd);
		assert_int_equal(store_open_file(s->root, path, &fd, &st), 0);
		close(fd);
		assert_true(exists(s->fd, path));
	}
}

static void hidden_names_differ(void **state)
{
	(void)state;
	char a[STORE_HIDDEN_NAME_MAX], b[STORE_HIDDEN_NAME_MAX];
	assert_int_equal(store_hidden_name(a), 0);
	assert_int_equal(store_hidden_name(b), 0);
	assert_int_equal(strlen(a), strlen(STORE_HIDDEN) + 16);
	assert_int_equal(strncmp(a, STORE_HIDDEN, strlen(STORE_HIDDEN)), 0);
	assert_int_equal(store_name_check(a, strlen(a), NULL), 0);
	assert_string_not_equal(a, b);
}

/* ---- the remembered folder ---- */

static void a_folder_is_resolved_once(void **state)
{
	struct scratch *s = *state;
	struct store_parent near;
	struct stat st;
	char path[64];
	int fd;
	unsigned before = open_descriptors();
	store_parent_init(&near);
	assert_int_equal(store_make_dir_via(&near, s->root, "a"), 0);
	assert_int_equal(store_make_dir_via(&near, s->root, "a/b"), 0);
	assert_int_equal(store_create_via(&near, s->root, "a/b/first", &fd), 0);
	close(fd);
	int kept = near.fd;
	assert_int_equal(open_descriptors(), before + 1);
	/* Its name is gone, so that a second look-up would fail: who still reaches it remembers. */
	assert_int_equal(renameat(s->fd, "a", s->fd, "moved"), 0);
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "a/b/%d", i);
		assert_int_equal(store_create_via(&near, s->root, path, &fd), 0);
		close(fd);
	}
	assert_int_equal(store_rename_via(&near, s->root, "a/b/0", "a/b/1", false), 0);
	assert_int_equal(store_stat_via(&near, s->root, "a/b/1", &st), 0);
	assert_int_equal(store_symlink_via(&near, s->root, "a/b/link", "x"), 0);
	assert_int_equal(store_open_file_via(&near, s->root, "a/b/2", &fd, &st), 0);
	close(fd);
	assert_int_equal(store_remove_via(&near, s->root, "a/b/2"), 0);
	assert_int_equal(near.fd, kept);
	assert_true(exists(s->fd, "moved/b/link"));
	assert_false(exists(s->fd, "moved/b/2"));
	store_parent_drop(&near);
	store_parent_drop(&near);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(store_create_via(&near, s->root, "a/b/3", &fd), -ENOENT);
}

static void a_folder_made_anew_is_found(void **state)
{
	struct scratch *s = *state;
	struct store_parent near;
	int fd;
	store_parent_init(&near);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
		assert_int_equal(store_create_via(&near, s->root, "a/file", &fd), 0);
		close(fd);
		assert_int_equal(unlinkat(s->fd, "a/file", 0), 0);
		assert_int_equal(unlinkat(s->fd, "a", AT_REMOVEDIR), 0);
	}
	assert_int_equal(store_create_via(&near, s->root, "a/file", &fd), -ENOENT);
	store_parent_drop(&near);
}

static void a_folder_that_we_move_is_forgotten(void **state)
{
	struct scratch *s = *state;
	struct store_parent near;
	int fd;
	store_parent_init(&near);
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "a/b", 0755), 0);
	assert_int_equal(store_create_via(&near, s->root, "a/b/1", &fd), 0);
	close(fd);
	assert_int_equal(store_rename_via(&near, s->root, "a", "c", false), 0);
	assert_int_equal(store_create_via(&near, s->root, "a/b/2", &fd), -ENOENT);
	assert_int_equal(store_create_via(&near, s->root, "c/b/2", &fd), 0);
	close(fd);
	/* Another root has other folders of the same name. */
	struct store_root *other;
	assert_int_equal(store_root_open(&other, s->out, NULL), 0);
	assert_int_equal(store_create_via(&near, other, "c/b/3", &fd), -ENOENT);
	store_root_unref(other);
	store_parent_drop(&near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_checked),
		cmocka_unit_test(lengths_are_checked),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(hidden_names_differ),
		SCRATCH_ONE(a_root_that_cannot_be_opened_says_so),
		SCRATCH_ONE(roots_are_counted),
		SCRATCH_BOTH(bad_paths_are_refused_everywhere),
		SCRATCH_BOTH(links_out_are_refused_everywhere),
		SCRATCH_BOTH(links_within_are_followed),
		SCRATCH_BOTH(links_to_hidden_names_lead_nowhere),
		SCRATCH_BOTH(magic_links_are_refused),
		SCRATCH_BOTH(odd_names_are_names),
		SCRATCH_BOTH(a_folder_is_resolved_once),
		SCRATCH_BOTH(a_folder_made_anew_is_found),
		SCRATCH_ONE(a_folder_that_we_move_is_forgotten),
	};
	return cmocka_run_group_tests_name("root", tests, NULL, NULL);
}
