/* SPDX-License-Identifier: BSD-2-Clause */
/* A tree as a stream: everything once, in its place, with bounded descriptors, whatever happens to it meanwhile. */
#include "scratch.h"

#include "store/descent.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The walk as lines "kind path", so that a test can say what it expects; path as a reader puts it together. */
struct lines {
	char *text[64];
	size_t count;
};

static const char *const kind_names[] = { "?", "file", "dir", "up", "link", "special", "unreadable" };

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Checks the nesting on the way; sorted, since folders have an order of their own. */
static void walk_lines(struct store_root *root, const char *path, unsigned depth, struct lines *lines)
{
	struct store_walk *walk;
	struct store_entry entry;
	char at[512] = "";
	unsigned dirs = 0;
	int code;
	lines->count = 0;
	assert_int_equal(store_walk_open(&walk, root, path, depth, STORE_HIDDEN, NULL), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		char line[1024];
		if (entry.kind == STORE_UP) {
			char *slash = strrchr(at, '/');
			assert_non_null(slash);
			assert_string_equal(slash + 1, entry.name);
			assert_true(S_ISDIR(entry.st.st_mode));
			*slash = '\0';
			dirs--;
			continue;
		}
		snprintf(line, sizeof(line), "%s %s/%s%s%s", kind_names[entry.kind], at, entry.name,
		         entry.target || entry.text ? " " : "",
		         entry.target ? entry.target
		         : entry.text ? entry.text
		                      : "");
		if (entry.kind == STORE_DIR) {
			size_t len = strlen(at);
			snprintf(at + len, sizeof(at) - len, "/%s", entry.name);
			dirs++;
		}
		assert_true(lines->count < COUNT(lines->text));
		lines->text[lines->count++] = strdup(line);
	}
	assert_int_equal(code, 0);
	assert_int_equal(dirs, 0);
	store_walk_close(walk);
	qsort(lines->text, lines->count, sizeof(lines->text[0]), compare);
}

static void assert_lines(struct lines *lines, const char *const *expected, size_t count)
{
	for (size_t i = 0; i < lines->count && i < count; i++)
		assert_string_equal(lines->text[i], expected[i]);
	assert_int_equal(lines->count, count);
	for (size_t i = 0; i < lines->count; i++)
		free(lines->text[i]);
}

#define assert_walk(s, path, depth, ...)                                                                               \
	do {                                                                                                           \
		static const char *const expected[] = { __VA_ARGS__ };                                                 \
		struct lines lines;                                                                                    \
		walk_lines((s)->root, path, depth, &lines);                                                            \
		assert_lines(&lines, expected, COUNT(expected));                                                       \
	} while (0)

static void a_tree_is_listed(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(mkdirat(s->fd, "a", 0755), 0);
	assert_int_equal(mkdirat(s->fd, "a/empty", 0755), 0);
	put_file(s->fd, "a/file", "text");
	put_file(s->fd, "a/zero", "");
	put_file(s->fd, "a/" STORE_HIDDEN "0123", "hidden");
	put_file(s->fd, "a/.xfe", "not hidden");
	assert_int_equal(mkdirat(s->fd, STORE_HIDDEN "dir", 0755), 0);
	put_file(s->fd, STORE_HIDDEN "dir/x", "hidden");
	assert_int_equal(mkfifoat(s->fd, "pipe", 0644), 0);
	assert_int_equal(symlinkat("a", s->fd, "link"), 0);
	assert_int_equal(symlinkat("/no/where", s->fd, "dangling"), 0);
	assert_walk(s, "", UINT_MAX, "dir /", "dir //a", "dir //a/empty", "file //a/.xfe", "file //a/file",
	            "file //a/zero", "link //dangling /no/where", "link //link a", "special //pipe pipe");
	assert_walk(s, "", 1, "dir /", "dir //a", "link //dangling /no/where", "link //link a", "special //pipe pipe");
	assert_walk(s, "", 0, "dir /");
	assert_walk(s, "a", UINT_MAX, "dir /a", "dir /a/empty", "file /a/.xfe", "file /a/file", "file /a/zero");
	assert_walk(s, "a", 1, "dir /a", "dir /a/empty", "file /a/.xfe", "file /a/file", "file /a/zero");
	assert_walk(s, "a/empty", UINT_MAX, "dir /empty");
	assert_walk(s, "a/file", UINT_MAX, "file /file");
	assert_walk(s, "link", UINT_MAX, "link /link a");
	assert_walk(s, "pipe", 0, "special /pipe pipe");
	/* What was asked for by name is shown. */
	assert_walk(s, STORE_HIDDEN "dir", 0, "dir /" STORE_HIDDEN "dir");
}

static void specials_are_named(void **state)
{
	struct scratch *s = *state;
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(fchdir(s->fd), 0);
	assert_int_equal(bind(sock, (void *)&name, sizeof(name)), 0);
	assert_int_equal(chdir("/"), 0);
	close(sock);
	assert_walk(s, "", 1, "dir /", "special //socket socket");
	if (mknodat(s->fd, "null", S_IFCHR | 0666, 0x103) < 0) {
		print_message("# skipped the device: mknod is not permitted\n");
		return;
	}
	assert_walk(s, "", 1, "dir /", "special //null character device", "special //socket socket");
}

static void names_are_any_bytes(void **state)
{
	struct scratch *s = *state;
	char longest[256], expected[300];
	struct lines lines;
	memset(longest, 'n', 255);
	longest[255] = '\0';
	snprintf(expected, sizeof(expected), "file //%s", longest);
	put_file(s->fd, longest, "");
	put_file(s->fd, "new\nline", "");
	put_file(s->fd, "\xff\x01", "");
	put_file(s->fd, "...", "");
	const char *const all[] = { "dir /", "file //...", "file //new\nline", expected, "file //\xff\x01" };
	walk_lines(s->root, "", UINT_MAX, &lines);
	qsort(lines.text, lines.count, sizeof(lines.text[0]), compare);
	assert_int_equal(lines.count, COUNT(all));
	for (size_t i = 0; i < COUNT(all); i++) {
		bool found = false;
		for (size_t j = 0; j < lines.count; j++)
			found = found || strcmp(lines.text[j], all[i]) == 0;
		assert_true(found);
	}
	for (size_t j = 0; j < lines.count; j++)
		free(lines.text[j]);
}

static void what_cannot_start_says_so(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk = NULL;
	struct error err = { 0 };
	unsigned before = open_descriptors();
	assert_int_equal(store_walk_open(&walk, s->root, "no\nne", 1, NULL, &err), -ENOENT);
	assert_contains(err.text, "no\\x0ane");
	assert_int_equal(err.fault, FAULT_REFUSED);
	assert_int_equal(store_walk_open(&walk, s->root, "a/../b", 1, NULL, &err), -EINVAL);
	assert_null(walk);
	store_walk_close(NULL);
	assert_int_equal(open_descriptors(), before);
}

static void metadata_is_exact(void **state)
{
	struct scratch *s = *state;
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = -5, .tv_nsec = 123456789 } };
	struct store_walk *walk;
	struct store_entry entry;
	int fd;
	assert_int_equal(store_create(s->root, "file", &fd), 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(store_walk_open(&walk, s->root, "file", 0, NULL, NULL), 0);
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_int_equal(entry.st.st_size, 1 << 20);
	assert_int_equal(entry.st.st_mtim.tv_sec, -5);
	assert_int_equal(entry.st.st_mtim.tv_nsec, 123456789);
	assert_true(entry.sparse);
	assert_int_equal(store_walk_next(walk, &entry), 0);
	store_walk_close(walk);
	static char block[1 << 20] = { 1 };
	assert_int_equal(pwrite(fd, block, sizeof(block), 0), sizeof(block));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(store_walk_open(&walk, s->root, "file", 0, NULL, NULL), 0);
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_false(entry.sparse);
	store_walk_close(walk);
	close(fd);
}

static void up_knows_the_end(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk;
	struct store_entry entry;
	assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
	assert_int_equal(store_walk_open(&walk, s->root, "d", 1, NULL, NULL), 0);
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, STORE_DIR);
	assert_int_equal(entry.st.st_mode & 07777, 0700);
	assert_int_equal(fchmodat(s->fd, "d", 0755, 0), 0);
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, STORE_UP);
	assert_int_equal(entry.st.st_mode & 07777, 0755);
	assert_int_equal(store_walk_next(walk, &entry), 0);
	store_walk_close(walk);
}

static void what_vanishes_is_left_out(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk;
	struct store_entry entry;
	char name[32];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (i % 2)
			put_file(s->fd, name, "");
		else
			assert_int_equal(mkdirat(s->fd, name, 0755), 0);
	}
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_int_equal(store_walk_next(walk, &entry), 1); /* the buffer holds all the names now */
	snprintf(name, sizeof(name), "%s", entry.name);
	if (entry.kind == STORE_DIR)
		assert_int_equal(store_walk_next(walk, &entry), 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(unlinkat(s->fd, name, i % 2 ? 0 : AT_REMOVEDIR), 0);
	}
	assert_int_equal(store_walk_next(walk, &entry), 1);
	assert_int_equal(entry.kind, STORE_UP);
	assert_string_equal(entry.name, "");
	assert_int_equal(store_walk_next(walk, &entry), 0);
	store_walk_close(walk);
}

static void unreadable_directories_are_named(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk = NULL;
	struct error err = { 0 };
	assert_int_equal(mkdirat(s->fd, "closed", 0700), 0);
	put_file(s->fd, "closed/file", "");
	assert_int_equal(mkdirat(s->fd, "open", 0755), 0);
	if (!become_somebody(s)) {
		print_message("# skipped: cannot become somebody else\n");
		skip();
	}
	assert_int_equal(fchmodat(s->fd, "closed", 0, 0), geteuid() == getuid() ? 0 : -1);
	assert_walk(s, "", UINT_MAX, "dir /", "dir //open", "unreadable //closed Permission denied");
	assert_walk(s, "", 1, "dir /", "dir //closed", "dir //open");
	assert_int_equal(store_walk_open(&walk, s->root, "closed", 1, NULL, &err), -EACCES);
	assert_contains(err.text, "\"closed\"");
	assert_null(walk);
	become_root_again();
	assert_int_equal(fchmodat(s->fd, "closed", 0700, 0), 0);
}

/* ---- deep and wide ---- */

enum { DEEP = 200, SIBLINGS = 3 };

/* DEEP folders "d" inside each other; beside each of them SIBLINGS files, so that each is read on after its inner ones. */
static void make_deep(int dir)
{
	int at = dup(dir);
	for (int level = 0; level < DEEP; level++) {
		for (int i = 0; i < SIBLINGS; i++) {
			char name[32];
			snprintf(name, sizeof(name), "%d-%d", level, i);
			put_file(at, name, "");
		}
		assert_int_equal(mkdirat(at, "d", 0755), 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
}

static void deep_trees_hold_few_descriptors(void **state)
{
	struct scratch *s = *state;
	unsigned char seen[DEEP][SIBLINGS] = { { 0 } };
	struct store_walk *walk;
	struct store_entry entry;
	unsigned before = open_descriptors(), most = 0;
	int level = -1, deepest = 0, code;
	make_deep(s->fd);
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		unsigned now = open_descriptors() - before;
		most = now > most ? now : most;
		if (entry.kind == STORE_DIR) {
			assert_string_equal(entry.name, level < 0 ? "" : "d");
			deepest = ++level > deepest ? level : deepest;
		} else if (entry.kind == STORE_UP) {
			assert_string_equal(entry.name, level == 0 ? "" : "d");
			level--;
		} else {
			int of = -1, which = -1;
			assert_int_equal(entry.kind, STORE_FILE);
			assert_int_equal(sscanf(entry.name, "%d-%d", &of, &which), 2);
			assert_int_equal(of, level);
			seen[of][which]++;
		}
	}
	assert_int_equal(code, 0);
	assert_int_equal(level, -1);
	assert_int_equal(deepest, DEEP);
	assert_true(most <= DESCENT_OPEN);
	for (int i = 0; i < DEEP; i++)
		for (int j = 0; j < SIBLINGS; j++)
			assert_int_equal(seen[i][j], 1);
	store_walk_close(walk);
	assert_int_equal(open_descriptors(), before);
}

/* A folder that was closed on the way down and is another one on the way up. */
static void a_swapped_folder_is_noticed(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk;
	struct store_entry entry;
	unsigned dirs = 0, ups = 0, broken = 0, strangers = 0;
	int code;
	make_deep(s->fd);
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		dirs += entry.kind == STORE_DIR;
		ups += entry.kind == STORE_UP;
		strangers += strcmp(entry.name, "stranger") == 0;
		if (entry.kind == STORE_UNREADABLE) {
			broken++;
			assert_string_equal(entry.name, "d");
			assert_contains(entry.text, "broke off");
		}
		if (dirs == 100 && ups == 0 && !exists(s->fd, "d/away")) {
			assert_int_equal(renameat(s->fd, "d/d/d", s->fd, "d/away"), 0);
			assert_int_equal(mkdirat(s->fd, "d/d/d", 0755), 0);
			put_file(s->fd, "d/d/d/stranger", "");
		}
	}
	assert_int_equal(code, 0);
	assert_int_equal(dirs, ups);
	assert_int_equal(strangers, 0);
	/* The swapped one, and those below it that were closed at the deepest point and have no path any more: neither the
	 * innermost ones, which were open, nor the three above it. */
	assert_int_equal(broken, DEEP + 1 - (DESCENT_OPEN - 1) - 3);
	store_walk_close(walk);
}

static void paths_that_are_too_long_are_named(void **state)
{
	struct scratch *s = *state;
	struct store_walk *walk;
	struct store_entry entry;
	char name[256];
	unsigned dirs = 0, unreadable = 0;
	int code, at = dup(s->fd);
	memset(name, 'l', 255);
	name[255] = '\0';
	for (int i = 0; i < 20; i++) {
		assert_int_equal(mkdirat(at, name, 0755), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	close(at);
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		dirs += entry.kind == STORE_DIR;
		if (entry.kind == STORE_UNREADABLE) {
			unreadable++;
			assert_contains(entry.text, "4095");
		}
	}
	assert_int_equal(code, 0);
	assert_int_equal(dirs, 1 + 16); /* 16 * 255 + 15 = 4095 */
	assert_int_equal(unreadable, 1);
	store_walk_close(walk);
}

static void wide_folders_are_listed_once(void **state)
{
	enum { WIDE = 20000 };
	struct scratch *s = *state;
	struct store_walk *walk;
	struct store_entry entry;
	unsigned char *seen = calloc(WIDE, 1);
	int code, files = 0;
	for (int i = 0; i < WIDE; i++) {
		char name[32];
		snprintf(name, sizeof(name), "file-%d", i);
		int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		assert_true(fd >= 0);
		close(fd);
	}
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		int which;
		if (entry.kind != STORE_FILE)
			continue;
		assert_int_equal(sscanf(entry.name, "file-%d", &which), 1);
		assert_int_equal(seen[which]++, 0);
		files++;
	}
	assert_int_equal(code, 0);
	assert_int_equal(files, WIDE);
	store_walk_close(walk);
	free(seen);
}

static void few_descriptors_left_is_said(void **state)
{
	struct scratch *s = *state;
	struct rlimit before, tight;
	struct store_walk *walk;
	struct store_entry entry;
	unsigned dirs = 0, unreadable = 0;
	int code;
	make_deep(s->fd);
	assert_int_equal(store_walk_open(&walk, s->root, "", UINT_MAX, NULL, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = open_descriptors() + 8;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	while ((code = store_walk_next(walk, &entry)) == 1) {
		dirs += entry.kind == STORE_DIR;
		unreadable += entry.kind == STORE_UNREADABLE;
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(code, 0);
	assert_int_equal(unreadable, 1);
	assert_true(dirs > 1 && dirs < 16);
	store_walk_close(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_BOTH(a_tree_is_listed),
		SCRATCH_ONE(specials_are_named),
		SCRATCH_ONE(names_are_any_bytes),
		SCRATCH_ONE(what_cannot_start_says_so),
		SCRATCH_ONE(metadata_is_exact),
		SCRATCH_ONE(up_knows_the_end),
		SCRATCH_ONE(what_vanishes_is_left_out),
		SCRATCH_ONE(unreadable_directories_are_named),
		SCRATCH_BOTH(deep_trees_hold_few_descriptors),
		SCRATCH_BOTH(a_swapped_folder_is_noticed),
		SCRATCH_BOTH(paths_that_are_too_long_are_named),
		SCRATCH_ONE(wide_folders_are_listed_once),
		SCRATCH_ONE(few_descriptors_left_is_said),
	};
	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
