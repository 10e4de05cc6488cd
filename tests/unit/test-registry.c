/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading real shared objects: each refusal with its text, dedupe, scan, thread model, error texts. */
#include "unit.h"

#include "registry/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char broken_dir[512]; /* the folder of broken plug-ins */
static char folder[64];      /* one of our own */

static struct registry *registry_of(const char *dir)
{
	struct registry *registry;
	struct error err = { 0 };
	assert_int_equal(registry_create(&registry, dir, NULL, &err), 0);
	return registry;
}

static struct plugin *loads(struct registry *registry, enum xfer_kind kind, const char *name)
{
	struct plugin *plugin;
	struct error err = { 0 };
	if (registry_load(registry, kind, name, &plugin, &err) < 0)
		fail_msg("%s", err.text);
	return plugin;
}

static void refused(struct registry *registry, enum xfer_kind kind, const char *name, const char *words)
{
	struct plugin *plugin = NULL;
	struct error err = { 0 };
	int rc = registry_load(registry, kind, name, &plugin, &err);
	assert_true(rc < 0);
	assert_int_equal(rc, err.code);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_null(plugin);
	if (strstr(err.text, words) == NULL || strstr(err.text, ".so") == NULL)
		fail_msg("'%s' names no file, or not '%s'", err.text, words);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		enum xfer_kind kind;
		const char *name;
		const char *words;
	} rows[] = {
		{ XFER_KIND_INTEGRITY, "absent", "integrity 'absent' is not installed" },
		{ XFER_KIND_INTEGRITY, "absent", "No such file" },
		{ XFER_KIND_INTEGRITY, "no-symbol", "does not export xfer_plugin_v1" },
		{ XFER_KIND_INTEGRITY, "old-symbol",
		  "made for ABI 0 (it exports xfer_plugin_v0), this program has ABI 1.1" },
		{ XFER_KIND_INTEGRITY, "unresolved", "undefined symbol: nobody_has_this" },
		{ XFER_KIND_INTEGRITY, "null-entry", "returned NULL" },
		{ XFER_KIND_INTEGRITY, "abi-2", "made for ABI 2, this program has ABI 1.1" },
		{ XFER_KIND_INTEGRITY, "short-struct", "struct xfer_plugin has" },
		{ XFER_KIND_INTEGRITY, "wrong-kind", "wrong kind: it is of kind transport, wanted is integrity" },
		{ XFER_KIND_INTEGRITY, "wrong-name", "its name 'other' does not match the file's, 'wrong-name'" },
		{ XFER_KIND_INTEGRITY, "null-name", "its name is NULL" },
		{ XFER_KIND_INTEGRITY, "no-create", "required callback create is missing" },
		{ XFER_KIND_INTEGRITY, "no-digest", "required callback integrity.digest is missing" },
		{ XFER_KIND_TRANSPORT, "no-sendv", "required callback transport.sendv is missing" },
		{ XFER_KIND_LIVENESS, "no-verdict", "required callback liveness.peer_create is missing" },
		{ XFER_KIND_INTEGRITY, "no-answer", "no known answer" },
		{ XFER_KIND_INTEGRITY, "bad-answer",
		  "failed a known answer of 3 bytes: digest() gave 0127, expected 0126" },
		{ XFER_KIND_INTEGRITY, "bad-stream", "hash_finish() gave" },
		{ XFER_KIND_INTEGRITY, "bad-reuse", "hash_finish() gave" },
		{ XFER_KIND_INTEGRITY, "bad-many", "digest_many() gave" },
		{ XFER_KIND_INTEGRITY, "overrun", "digest() wrote beyond the digest's 2 bytes" },
		{ XFER_KIND_INTEGRITY, "long-digest", "65 bytes is longer than 64" },
		{ XFER_KIND_INTEGRITY, "bad-default", "option 'depth': its default '11' is out of its range" },
		{ XFER_KIND_INTEGRITY, "twice", "option 'depth' stands in the table twice" },
		{ XFER_KIND_INTEGRITY, "no-help", "option 'depth': its help is NULL" },
		{ XFER_KIND_INTEGRITY, "no-instance", "create() gave no instance" },
	};
	struct registry *registry = registry_of(broken_dir);
	for (size_t i = 0; i < COUNT(rows); i++)
		refused(registry, rows[i].kind, rows[i].name, rows[i].words);
	registry_destroy(registry);
}

/* What the plug-in says of its own failure, with its code. */
static void test_create_fails(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct plugin *plugin;
	struct error err = { 0 };
	assert_int_equal(registry_load(registry, XFER_KIND_INTEGRITY, "fails-create", &plugin, &err), -EBUSY);
	assert_contains(err.text, "integrity fails-create: the moon is full");
	assert_contains(err.text, "/broken/integrity-fails-create.so: ");
	registry_destroy(registry);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = { "", "..", "Good", "good.so", "a b", "-", "gööd" };
	struct registry *registry = registry_of(broken_dir);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct plugin *plugin;
		struct error err = { 0 };
		assert_int_equal(registry_load(registry, XFER_KIND_INTEGRITY, names[i], &plugin, &err), -EINVAL);
		assert_contains(err.text, "no name of a plug-in");
	}
	registry_destroy(registry);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(in >= 0 && out >= 0);
	for (ssize_t got; (got = read(in, bytes, sizeof(bytes))) > 0;)
		assert_int_equal(write(out, bytes, (size_t)got), got);
	close(in);
	close(out);
}

static const char *path_in(const char *dir, const char *file)
{
	static char path[4][1024];
	static unsigned turn;
	char *out = path[turn++ % COUNT(path)];
	snprintf(out, sizeof(path[0]), "%s/%s", dir, file);
	return out;
}

static void test_not_elf(void **state)
{
	(void)state;
	struct registry *registry = registry_of(folder);
	const char *path = path_in(folder, "integrity-text.so");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs("this is no shared object, however long it may be: not at all, no, never, by no means\n", file);
	fclose(file);
	refused(registry, XFER_KIND_INTEGRITY, "text", "invalid ELF header");

	assert_int_equal(truncate(path, 0), 0);
	refused(registry, XFER_KIND_INTEGRITY, "text", "file too short");

	/* Of another machine: bytes 18 and 19 of an ELF header say which. */
	copy_file(path_in(broken_dir, "integrity-good.so"), path);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\xf7\x00", 2, 18), 2);
	close(fd);
	refused(registry, XFER_KIND_INTEGRITY, "text", "made for another kind of processor (ELF machine 247, ");
	/* Of another class: byte 4. The loader's own words say so. */
	copy_file(path_in(broken_dir, "integrity-good.so"), path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, sizeof(void *) == 8 ? "\1" : "\2", 1, 4), 1);
	close(fd);
	refused(registry, XFER_KIND_INTEGRITY, "text", "wrong ELF class: ELFCLASS");
	unlink(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	refused(registry, XFER_KIND_INTEGRITY, "text", "not a regular file");
	unlink(path);

	assert_int_equal(mkdir(path, 0755), 0);
	refused(registry, XFER_KIND_INTEGRITY, "text", "not a regular file");
	rmdir(path);
	registry_destroy(registry);
}

/* Wherever a copy broke off: to map it would be SIGBUS. */
static void test_cut_short(void **state)
{
	(void)state;
	char path[1024], whole[1024];
	struct registry *registry = registry_of(folder);
	struct error err = { 0 };
	struct plugin *plugin = NULL;
	struct stat st;
	unsigned cuts = 0;
	snprintf(path, sizeof(path), "%s/integrity-good.so", folder);
	snprintf(whole, sizeof(whole), "%s/integrity-good.so", broken_dir);
	assert_int_equal(stat(whole, &st), 0);
	for (off_t size = 0; size < st.st_size && plugin == NULL; size += 61) {
		copy_file(whole, path);
		assert_int_equal(truncate(path, size), 0);
		if (registry_load(registry, XFER_KIND_INTEGRITY, "good", &plugin, &err) == 0)
			break; /* all that is loaded is there */
		assert_contains(err.text, "/integrity-good.so: ");
		if (strstr(err.text, "cut short: ") != NULL)
			cuts++;
		else
			assert_contains(err.text, "file too short");
	}
	assert_true(cuts > 10);
	unlink(path);
	registry_destroy(registry);
}

/* Only root has to beware of what others write. */
static void test_trust(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	const char *path = path_in(folder, "integrity-good.so");
	struct registry *registry = registry_of(folder);
	copy_file(path_in(broken_dir, "integrity-good.so"), path);

	chmod(path, 0664);
	refused(registry, XFER_KIND_INTEGRITY, "good", "the file");
	refused(registry, XFER_KIND_INTEGRITY, "good", "writable by others (mode 0664)");
	chmod(path, 0646);
	refused(registry, XFER_KIND_INTEGRITY, "good", "writable by others (mode 0646)");
	chmod(path, 0644);
	assert_int_equal(chown(path, 12345, 0), 0);
	refused(registry, XFER_KIND_INTEGRITY, "good", "belongs to user 12345");
	assert_int_equal(chown(path, 0, 0), 0);

	chmod(folder, 0770);
	refused(registry, XFER_KIND_INTEGRITY, "good", "its folder");
	chmod(folder, 01777);
	refused(registry, XFER_KIND_INTEGRITY, "good", "mode 1777");
	chmod(folder, 0755);
	assert_int_equal(chown(folder, 12345, 0), 0);
	refused(registry, XFER_KIND_INTEGRITY, "good", "belongs to user 12345");

	/* A link is judged by where it leads. */
	const char *link_path = path_in("/tmp", "integrity-link.so");
	unlink(link_path);
	assert_int_equal(symlink(path, link_path), 0);
	refused(registry, XFER_KIND_INTEGRITY, link_path, "belongs to user 12345");
	unlink(link_path);

	/* Somebody else loads what is theirs to load. */
	chmod(path, 0666);
	assert_int_equal(seteuid(12345), 0);
	loads(registry, XFER_KIND_INTEGRITY, "good");
	assert_int_equal(seteuid(0), 0);

	assert_int_equal(chown(folder, 0, 0), 0);
	registry_destroy(registry);
	chmod(path, 0644);
	registry = registry_of(folder);
	loads(registry, XFER_KIND_INTEGRITY, "good");
	registry_destroy(registry);
	unlink(path);
}

static void test_once(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct plugin *good = loads(registry, XFER_KIND_INTEGRITY, "good");
	assert_string_equal(good->section, "integrity.good");
	assert_int_equal(good->about.option_count, 2);
	assert_string_equal(good->options[1].name, "colour");
	assert_null(good->instance);
	assert_ptr_equal(loads(registry, XFER_KIND_INTEGRITY, "good"), good);
	/* By its path too. */
	assert_ptr_equal(loads(registry, XFER_KIND_INTEGRITY, path_in(broken_dir, "integrity-good.so")), good);
	assert_ptr_equal(loads(registry, XFER_KIND_INTEGRITY, path_in(broken_dir, "../broken/integrity-good.so")),
	                 good);
	refused(registry, XFER_KIND_LIVENESS, path_in(broken_dir, "integrity-good.so"), "wrong kind");
	/* Another file that calls itself the same. */
	const char *twin = path_in(folder, "integrity-good.so");
	copy_file(path_in(broken_dir, "integrity-good.so"), twin);
	refused(registry, XFER_KIND_INTEGRITY, twin, "another integrity named 'good' is loaded already, from");
	unlink(twin);
	/* By its path a file may be called anything. */
	assert_string_equal(
		loads(registry, XFER_KIND_INTEGRITY, path_in(broken_dir, "integrity-wrong-name.so"))->about.name,
		"other");
	/* A longer struct of a newer minor. */
	assert_int_equal(loads(registry, XFER_KIND_INTEGRITY, "longer")->about.abi_minor, XFER_ABI_MINOR + 1);
	registry_destroy(registry);
}

struct scan {
	unsigned loaded, refused;
	char last[512];
};

static void scan_seen(void *context, const char *path, const struct plugin *plugin, const struct error *err)
{
	struct scan *scan = context;
	assert_true(strcmp(scan->last, path) < 0);
	snprintf(scan->last, sizeof(scan->last), "%s", path);
	if (plugin != NULL) {
		assert_null(err);
		scan->loaded++;
	} else {
		assert_contains(err->text, path);
		scan->refused++;
	}
}

static void test_scan(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct scan scan = { 0 };
	struct error err = { 0 };
	assert_int_equal(registry_scan(registry, scan_seen, &scan, &err), 0);
	assert_int_equal(scan.loaded, 4); /* good, longer, needs-option, serial */
	assert_int_equal(scan.refused, 25);
	registry_destroy(registry);

	registry = registry_of(folder);
	const char *odd = path_in(folder, "sound-loud.so");
	copy_file(path_in(broken_dir, "integrity-good.so"), odd);
	scan = (struct scan){ 0 };
	assert_int_equal(registry_scan(registry, scan_seen, &scan, &err), 0);
	assert_int_equal(scan.loaded, 0);
	assert_int_equal(scan.refused, 1);
	unlink(odd);
	registry_destroy(registry);

	registry = registry_of("/nonexistent/folder");
	assert_int_equal(registry_scan(registry, scan_seen, &scan, &err), -ENOENT);
	assert_contains(err.text, "/nonexistent/folder");
	registry_destroy(registry);
}

static const union xfer_value VALUES[] = { { .integer = 7 }, { .text = "blue" } };

static void test_start(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct error err = { 0 };
	struct plugin *plugin = loads(registry, XFER_KIND_INTEGRITY, "needs-option");
	assert_int_equal(plugin_start(plugin, VALUES, &err), 0);
	assert_non_null(plugin->instance);
	assert_int_equal(plugin_start(plugin, VALUES, &err), -EALREADY);
	registry_destroy(registry);
}

static void test_error_text(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct plugin *plugin = loads(registry, XFER_KIND_INTEGRITY, "good");
	struct plugin *other = loads(registry, XFER_KIND_INTEGRITY, "longer");
	struct error err = { 0 };
	plugin->host.error(&plugin->host, "first");
	plugin->host.error(&plugin->host, "it is %d\n", 42);
	/* Another plug-in's failure is not explained by it. */
	assert_int_equal(plugin_error(other, -EPIPE, FAULT_PEER, &err), -EPIPE);
	assert_string_equal(err.text, "integrity longer: Broken pipe");
	plugin->host.error(&plugin->host, "it is %d\x1b", 42);
	assert_int_equal(plugin_error(plugin, -EIO, FAULT_PEER, &err), -EIO);
	assert_string_equal(err.text, "integrity good: it is 42\\x1b");
	assert_int_equal(err.fault, FAULT_PEER);
	/* It is used up. */
	plugin_error(plugin, -EIO, FAULT_PEER, &err);
	assert_string_equal(err.text, "integrity good: Input/output error");
	plugin->host.error(&plugin->host, "old");
	plugin_error_clear();
	plugin_error(plugin, -EIO, FAULT_PEER, &err);
	assert_string_equal(err.text, "integrity good: Input/output error");

	uint8_t random[2][32] = { { 0 } };
	assert_int_equal(plugin->host.random(&plugin->host, random[0], 32), 0);
	assert_int_equal(plugin->host.random(&plugin->host, random[1], 32), 0);
	assert_memory_not_equal(random[0], random[1], 32);
	uint64_t now = plugin->host.now(&plugin->host);
	assert_true(now > 0 && plugin->host.now(&plugin->host) >= now);
	registry_destroy(registry);
}

static void test_log(void **state)
{
	(void)state;
	int pipe_fds[2];
	assert_int_equal(pipe(pipe_fds), 0);
	struct log *log;
	assert_int_equal(log_create(&log, "test", pipe_fds[1], LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	struct registry *registry;
	assert_int_equal(registry_create(&registry, broken_dir, log, NULL), 0);
	struct plugin *plugin = loads(registry, XFER_KIND_INTEGRITY, "good");
	plugin->host.log(&plugin->host, XFER_LOG_DEBUG, "too quiet");
	plugin->host.log(&plugin->host, XFER_LOG_WARN, "%d percent\n", 12);
	char line[512];
	ssize_t len = read(pipe_fds[0], line, sizeof(line) - 1);
	assert_true(len > 0);
	line[len] = '\0';
	assert_contains(line, "integrity good: 12 percent");
	assert_null(strstr(line, "too quiet"));
	registry_destroy(registry);
	log_destroy(log);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 2000 };

struct race {
	struct plugin *plugin;
	int rc; /* of the first failure */
};

static void *race_run(void *context)
{
	struct race *race = context;
	uint8_t out[2];
	for (int i = 0; i < ROUNDS && race->rc == 0; i++) {
		struct iovec buffers[2] = { { (char[]){ "abc" }, 3 }, { (char[]){ "abcd" }, 4 } };
		uint8_t many[2][2];
		uint8_t *outs[2] = { many[0], many[1] };
		race->rc = plugin_digest(race->plugin, "abc", 3, out);
		if (race->rc == 0)
			race->rc = plugin_digest_many(race->plugin, buffers, 2, outs);
		if (race->rc == 0 && (out[0] != 0x01 || out[1] != 0x26 || many[1][0] != 0x01 || many[1][1] != 0x8a))
			race->rc = -EBADMSG;
	}
	return NULL;
}

static int race(struct plugin *plugin)
{
	pthread_t threads[THREADS];
	struct race races[THREADS];
	int rc = 0;
	for (int i = 0; i < THREADS; i++) {
		races[i] = (struct race){ plugin, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, race_run, &races[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (races[i].rc != 0)
			rc = races[i].rc;
	}
	return rc;
}

/* The plug-in says -EDEADLK when it is called while it is called. */
static void test_serialize(void **state)
{
	(void)state;
	struct registry *registry = registry_of(broken_dir);
	struct error err = { 0 };
	struct plugin *plugin = loads(registry, XFER_KIND_INTEGRITY, "serial");
	assert_int_equal(plugin_start(plugin, VALUES, &err), 0);
	assert_non_null(plugin->lock);
	assert_int_equal(race(plugin), 0);
	plugin = loads(registry, XFER_KIND_INTEGRITY, "good");
	assert_int_equal(plugin_start(plugin, VALUES, &err), 0);
	assert_null(plugin->lock);
	assert_int_equal(race(plugin), 0);
	registry_destroy(registry);
}

static void test_kinds(void **state)
{
	(void)state;
	for (unsigned kind = XFER_KIND_TRANSPORT; kind <= XFER_KIND_LIVENESS; kind++) {
		enum xfer_kind parsed = 0;
		assert_int_equal(plugin_kind_parse(plugin_kind_name((enum xfer_kind)kind), &parsed), 0);
		assert_int_equal(parsed, kind);
	}
	enum xfer_kind kind;
	assert_int_equal(plugin_kind_parse("unknown", &kind), -EINVAL);
	assert_int_equal(plugin_kind_parse("", &kind), -EINVAL);
}

static int setup(void **state)
{
	(void)state;
	const char *build = getenv("top_builddir");
	snprintf(broken_dir, sizeof(broken_dir), "%s/tests/plugins/broken", build != NULL ? build : ".");
	char *real = realpath(broken_dir, NULL);
	if (real == NULL)
		return -1;
	snprintf(broken_dir, sizeof(broken_dir), "%s", real);
	free(real);
	snprintf(folder, sizeof(folder), "/tmp/xfer-registry-XXXXXX");
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),  cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_names),     cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_trust),
		cmocka_unit_test(test_once),      cmocka_unit_test(test_scan),
		cmocka_unit_test(test_start),     cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_log),       cmocka_unit_test(test_serialize),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests_name("registry", tests, setup, teardown);
}
