/* SPDX-License-Identifier: BSD-2-Clause */
/* config/settings: typed values from files and --set, and every mistake with its place. */
#include "unit.h"

#include "config.h"
#include "config/settings.h"
#include "ini-file.h"

#include <errno.h>
#include <sys/stat.h>

static const uint64_t SECOND = 1000000000;

static struct settings *load_with(const char *text, const char *const *sets, size_t count)
{
	struct ini_file file;
	struct error err = { 0 };
	struct settings *settings = NULL;
	ini_file_write(&file, text);
	struct settings_source source = {
		.file = file.path, .sets = sets, .set_count = count, .plugin_dir = "/plug-ins"
	};
	if (settings_load(&settings, &source, &err) != 0)
		fail_msg("%s", err.text);
	ini_file_drop(&file);
	return settings;
}

static struct settings *load(const char *text)
{
	return load_with(text, NULL, 0);
}

static void assert_refused(const char *text, unsigned line, const char *words)
{
	struct ini_file file;
	struct error err = { 0 };
	struct settings *settings = NULL;
	ini_file_write(&file, text);
	struct settings_source source = { .file = file.path };
	assert_true(settings_load(&settings, &source, &err) < 0);
	assert_null(settings);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_at_line(err.text, &file, line, words);
	ini_file_drop(&file);
}

static void assert_set_refused(const char *set, const char *words)
{
	struct ini_file file;
	struct error err = { 0 };
	struct settings *settings = NULL;
	ini_file_write(&file, "");
	struct settings_source source = { .file = file.path, .sets = &set, .set_count = 1 };
	assert_true(settings_load(&settings, &source, &err) < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_int_equal(strncmp(err.text, "--set", 5), 0);
	if (strstr(err.text, words) == NULL)
		fail_msg("error text is '%s', wanted '%s'", err.text, words);
	ini_file_drop(&file);
}

static void has_defaults(void **state)
{
	(void)state;
	struct settings *settings = load("");
	assert_string_equal(settings->plugin_dir, "/plug-ins");
	assert_int_equal(settings->threads, 0);
	assert_int_equal(settings->log_level, LOG_LEVEL_INFO);
	assert_int_equal(settings->log_format, LOG_FORMAT_TEXT);
	assert_string_equal(settings->transport, DEFAULT_TRANSPORT);
	assert_string_equal(settings->liveness, DEFAULT_LIVENESS);
	assert_true(settings->integrity_count >= 1);
	assert_int_equal(strncmp(DEFAULT_INTEGRITY, settings->integrity[0], strlen(settings->integrity[0])), 0);
	assert_int_equal(settings->chunk_size, 1048576);
	assert_int_equal(settings->memory, 64 * 1048576);
	assert_int_equal(settings->sync_window, 64 * 1048576);
	assert_int_equal(settings->listen_count, 1);
	assert_null(settings->listen[0].transport);
	assert_string_equal(settings->listen[0].address, "127.0.0.1:15010");
	assert_null(settings->listen_place);
	assert_int_equal(settings->workers, 1);
	assert_int_equal(settings->sessions, 20000);
	assert_int_equal(settings->sessions_per_address, 0);
	assert_int_equal(settings->requests, 1024);
	assert_int_equal(settings->hello_timeout, 10 * SECOND);
	assert_int_equal(settings->idle_timeout, 3600 * SECOND);
	assert_int_equal(settings->stall_after, 600 * SECOND);
	assert_int_equal(settings->drain_timeout, 30 * SECOND);
	assert_int_equal(settings->hang_after, 60 * SECOND);
	assert_int_equal(settings->partial_keep, 7 * 86400 * SECOND);
	assert_string_equal(settings->digest_store, "memory");
	assert_int_equal(settings->digest_store_size, 64 * 1048576);
	assert_int_equal(settings->export_count, 0);
	assert_int_equal(settings->section_count, 0);
	settings_free(settings);
	settings_free(NULL);
}

static const char FULL[] = "[core]\n"
			   "plugin-dir = /my/plug-ins\n"
			   "threads = 3\n"
			   "log-level = debug\n"
			   "log-format = json\n"
			   "[pipeline]\n"
			   "transport = pigeon\n"
			   "integrity = md9, ./local.so ,none ; three\n"
			   "liveness = drum\n"
			   "chunk-size = 1K\n"
			   "memory = 8M\n"
			   "sync-window = 1M\n"
			   "[daemon]\n"
			   "listen = [::1]:0, smoke://hill:7 , 0.0.0.0:15010\n"
			   "workers = 64\n"
			   "sessions = 5\n"
			   "sessions-per-address = 2\n"
			   "requests = 6\n"
			   "hello-timeout = 500ms\n"
			   "idle-timeout = 0s\n"
			   "stall-after = 2h\n"
			   "drain-timeout = 1m\n"
			   "hang-after = 5m\n"
			   "partial-keep = 2d\n"
			   "digest-store = /var/lib/x/known\n"
			   "digest-store-size = 1M\n"
			   "[export.pub]\n"
			   "path = /srv/a b\n"
			   "[export.my.inbox]\n"
			   "access = read-write\n"
			   "path = /srv/in\n"
			   "allow-from = 10.0.0.0/8, ::1\n"
			   "allow = alice, CN=build host\n"
			   "[transport.pigeon]\n"
			   "wind = 3 ; knots\n"
			   "colour =\n";

static void assert_full(const struct settings *settings)
{
	assert_string_equal(settings->plugin_dir, "/my/plug-ins");
	assert_int_equal(settings->threads, 3);
	assert_int_equal(settings->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(settings->log_format, LOG_FORMAT_JSON);
	assert_string_equal(settings->transport, "pigeon");
	assert_int_equal(settings->integrity_count, 3);
	assert_string_equal(settings->integrity[0], "md9");
	assert_string_equal(settings->integrity[1], "./local.so");
	assert_string_equal(settings->integrity[2], "none");
	assert_string_equal(settings->liveness, "drum");
	assert_int_equal(settings->chunk_size, 1024);
	assert_int_equal(settings->memory, 8 * 1048576);
	assert_int_equal(settings->sync_window, 1048576);
	assert_int_equal(settings->listen_count, 3);
	assert_null(settings->listen[0].transport);
	assert_string_equal(settings->listen[0].address, "[::1]:0");
	assert_string_equal(settings->listen[1].transport, "smoke");
	assert_string_equal(settings->listen[1].address, "hill:7");
	assert_string_equal(settings->listen[2].address, "0.0.0.0:15010");
	assert_int_equal(settings->workers, 64);
	assert_int_equal(settings->sessions, 5);
	assert_int_equal(settings->sessions_per_address, 2);
	assert_int_equal(settings->requests, 6);
	assert_int_equal(settings->hello_timeout, SECOND / 2);
	assert_int_equal(settings->idle_timeout, 0);
	assert_int_equal(settings->stall_after, 7200 * SECOND);
	assert_int_equal(settings->drain_timeout, 60 * SECOND);
	assert_int_equal(settings->hang_after, 300 * SECOND);
	assert_int_equal(settings->partial_keep, 2 * 86400 * SECOND);
	assert_string_equal(settings->digest_store, "/var/lib/x/known");
	assert_int_equal(settings->digest_store_size, 1048576);
	assert_int_equal(settings->export_count, 2);
	const struct settings_export *pub = settings_export(settings, "pubs", 3);
	assert_non_null(pub);
	assert_string_equal(pub->path, "/srv/a b");
	assert_false(pub->writable);
	assert_null(pub->allow_from);
	assert_null(pub->allow);
	const struct settings_export *inbox = settings_export(settings, "my.inbox", 8);
	assert_non_null(inbox);
	assert_true(inbox->writable);
	assert_string_equal(inbox->path, "/srv/in");
	assert_string_equal(inbox->allow_from, "10.0.0.0/8, ::1");
	assert_string_equal(inbox->allow, "alice, CN=build host");
	assert_null(settings_export(settings, "pub", 2));
	assert_null(settings_export(settings, "pub2", 4));
	const struct settings_section *section = settings_section(settings, "transport", "pigeon");
	assert_non_null(section);
	assert_int_equal(section->count, 2);
	assert_string_equal(section->lines[0].key, "wind");
	assert_string_equal(section->lines[0].value, "3");
	assert_string_equal(section->lines[1].key, "colour");
	assert_string_equal(section->lines[1].value, "");
	assert_null(settings_section(settings, "liveness", "pigeon"));
}

static void reads_every_key(void **state)
{
	(void)state;
	struct settings *settings = load(FULL);
	assert_full(settings);
	assert_int_equal(strcmp(strrchr(settings->listen_place, ':'), ":14"), 0);
	assert_int_equal(settings_section(settings, "transport", "pigeon")->lines[0].line, 35);
	settings_free(settings);
}

static void dumps_what_it_reads_back(void **state)
{
	(void)state;
	struct buf first = { 0 }, second = { 0 };
	struct settings *settings = load(FULL);
	assert_int_equal(settings_dump(settings, &first), 0);
	assert_int_equal(buf_append(&first, "", 1), 0);
	settings_free(settings);

	settings = load((const char *)first.data);
	assert_full(settings);
	assert_int_equal(settings_dump(settings, &second), 0);
	assert_int_equal(buf_append(&second, "", 1), 0);
	assert_string_equal(first.data, second.data);
	settings_free(settings);
	buf_free(&first);
	buf_free(&second);
}

static void refuses_what_it_does_not_know(void **state)
{
	(void)state;
	assert_refused("\n[cores]\n", 2, "unknown section [cores]");
	assert_refused("[export]\n", 1, "unknown section [export]");
	assert_refused("[coder.x]\n", 1, "unknown section [coder.x]");
	assert_refused("[core.x]\n", 1, "unknown section [core.x]");
	assert_refused("[core]\n; comment\nthread = 1\n", 3, "unknown key 'thread' in [core]");
	assert_refused("[export.a]\npath = /a\nmode = rw\n", 3, "unknown key 'mode' in [export.a]");
	assert_refused("[pipeline]\nworkers = 1\n", 2, "unknown key 'workers' in [pipeline]");
}

static void refuses_bad_values(void **state)
{
	(void)state;
	assert_refused("[core]\nthreads = 0\n", 2, "[core]: threads = 0: it is auto or 1 to 1024");
	assert_refused("[core]\nthreads = 1025\n", 2, "auto or 1 to 1024");
	assert_refused("[core]\nlog-level = loud\n", 2, "log-level = loud: it is error, warn, info or debug");
	assert_refused("[core]\nlog-format = xml\n", 2, "text or json");
	assert_refused("[core]\nplugin-dir = plugins\n", 2, "from the root");
	assert_refused("[pipeline]\ntransport = TCP\n", 2, "cannot be a plug-in's name");
	assert_refused("[pipeline]\ntransport =\n", 2, "cannot be a plug-in's name");
	assert_refused("[pipeline]\nliveness = a_b\n", 2, "cannot be a plug-in's name");
	assert_refused("[pipeline]\nintegrity = a, B\n", 2, "'B' cannot be a plug-in's name");
	assert_refused("[pipeline]\nintegrity =\n", 2, "a list of names");
	assert_refused("[pipeline]\nintegrity = a,\n", 2, "a list of names");
	assert_refused("[pipeline]\nintegrity = a, b, a\n", 2, "twice");
	assert_refused("[pipeline]\nchunk-size = 1023\n", 2,
	               "[pipeline]: chunk-size = 1023: out of range, it is 1K to 16M");
	assert_refused("[pipeline]\nchunk-size = 17M\n", 2, "1K to 16M");
	assert_refused("[pipeline]\nchunk-size = 1025\n", 2, "a multiple of 1K");
	assert_refused("[pipeline]\nchunk-size = big\n", 2, "not a size");
	assert_refused("[pipeline]\nmemory = 7M\n", 2, "8M to 1T");
	assert_refused("[pipeline]\nsync-window = 1023K\n", 2, "1M to 1T");
	assert_refused("[daemon]\nworkers = 65\n", 2, "1 to 64");
	assert_refused("[daemon]\nworkers = 0\n", 2, "1 to 64");
	assert_refused("[daemon]\nworkers = two\n", 2, "not a whole number");
	assert_refused("[daemon]\nhello-timeout = 10\n", 2, "not a duration");
	assert_refused("[daemon]\nsessions = 0\n", 2, "out of range");
	assert_refused("[daemon]\nlisten =\n", 2, "a list of ADDRESS:PORT");
	assert_refused("[daemon]\nlisten = a:1, b :2\n", 2, "'b :2'");
	assert_refused("[daemon]\nlisten = T://a:1\n", 2, "'T' cannot be a transport's name");
	assert_refused("[daemon]\nlisten = tls://\n", 2, "'tls://'");
	assert_refused("[daemon]\nlisten = a:1, a:1\n", 2, "twice");
	assert_refused("[export.a]\npath = srv\n", 2, "from the root");
	assert_refused("[export.a]\npath = /srv\naccess = write\n", 3, "read-only or read-write");
	assert_refused("[export.a]\npath = /srv\nallow-from = 10.0.0.0/33\n", 3, "10.0.0.0/33");
	assert_refused("[export.a]\npath = /srv\nallow = a, a\n", 3, "allow = a, a: a list of names");
	assert_refused("[export.a/b]\npath = /srv\n", 1, "'a/b' cannot be the name");
	assert_refused("[export...]\npath = /srv\n", 1, "cannot be the name");
	assert_refused("[export.]\npath = /srv\n", 1, "cannot be the name");
	assert_refused("[export.a b]\npath = /srv\n", 1, "no blanks");
	assert_refused("[transport.Tcp]\n", 1, "no plug-in's section");
	assert_refused("[liveness.]\n", 1, "no plug-in's section");
}

static void refuses_duplicates_in_one_file(void **state)
{
	(void)state;
	assert_refused("[core]\nthreads = 1\nthreads = 2\n", 3, "twice");
	assert_refused("[core]\n[daemon]\n[core]\n", 3, "twice");
	assert_refused("[transport.a]\nx = 1\nx = 2\n", 3, "twice");
	assert_refused("[export.a]\npath = /a\n[export.a]\n", 3, "twice");
}

static void looks_at_the_whole(void **state)
{
	(void)state;
	assert_refused("\n[export.a]\naccess = read-only\n", 2, "[export.a] has no path");
	const char *sets[] = { "pipeline.memory=32M", "pipeline.chunk-size=16M" };
	struct settings_source source = { .sets = sets, .set_count = 2 };
	struct settings *settings = NULL;
	struct error err = { 0 };
	assert_true(settings_load(&settings, &source, &err) < 0);
	assert_contains(err.text, "memory holds fewer than 4 chunks");
}

static void sets_on_top(void **state)
{
	(void)state;
	const char *sets[] = {
		"core.threads=7",        "daemon.listen=[::1]:1,a:2",   "export.my.inbox.path=/other",
		"export.new.path=/n=ew", "transport.pigeon.wind=5",     "integrity.md9.rounds=2",
		"core.threads=8",        "transport.pigeon.colour=red",
	};
	struct settings *settings = load_with(FULL, sets, COUNT(sets));
	assert_int_equal(settings->threads, 8);
	assert_int_equal(settings->listen_count, 2);
	assert_string_equal(settings->listen[1].address, "a:2");
	assert_string_equal(settings->listen_place, "--set");
	assert_string_equal(settings_export(settings, "my.inbox", 8)->path, "/other");
	assert_true(settings_export(settings, "my.inbox", 8)->writable);
	assert_string_equal(settings_export(settings, "new", 3)->path, "/n=ew");
	const struct settings_section *pigeon = settings_section(settings, "transport", "pigeon");
	assert_int_equal(pigeon->count, 2);
	assert_string_equal(pigeon->lines[0].value, "5");
	assert_string_equal(pigeon->lines[0].file, "--set");
	assert_int_equal(pigeon->lines[0].line, 0);
	assert_string_equal(pigeon->lines[1].value, "red");
	assert_string_equal(settings_section(settings, "integrity", "md9")->lines[0].value, "2");
	settings_free(settings);
}

static void refuses_bad_sets(void **state)
{
	(void)state;
	assert_set_refused("core.threads", "SECTION.KEY=VALUE");
	assert_set_refused("threads=1", "SECTION.KEY=VALUE");
	assert_set_refused(".threads=1", "SECTION.KEY=VALUE");
	assert_set_refused("core.=1", "SECTION.KEY=VALUE");
	assert_set_refused("", "SECTION.KEY=VALUE");
	assert_set_refused("core.thread=1", "--set core.thread: unknown key 'thread' in [core]");
	assert_set_refused("cores.x=1", "unknown section [cores]");
	assert_set_refused("core.threads=x", "auto or 1 to 1024");
	assert_set_refused("core.log-level=info\n[x]", "line's end");
	assert_set_refused("transport.a.b=1 ; 2", "' ;'");
	assert_set_refused("export.x.access=read-write", "[export.x] has no path");
}

/* Writes FOLDER/xfer/xfer.ini. */
static void write_user_file(const char *folder, const char *text)
{
	char path[128];
	mkdir(folder, 0700);
	snprintf(path, sizeof(path), "%s/xfer", folder);
	mkdir(path, 0700);
	strcat(path, "/xfer.ini");
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void finds_the_users_file(void **state)
{
	(void)state;
	char home[] = "/tmp/xfer-home-XXXXXX";
	char folder[64], command[96];
	assert_non_null(mkdtemp(home));
	snprintf(folder, sizeof(folder), "%s/.config", home);
	write_user_file(folder, "[pipeline]\nchunk-size = 2K\n");
	snprintf(folder, sizeof(folder), "%s/xdg", home);
	write_user_file(folder, "[pipeline]\nchunk-size = 3K\n");

	struct settings *settings = NULL;
	struct settings_source source = { .user = true };
	setenv("HOME", home, 1);
	setenv("XDG_CONFIG_HOME", folder, 1);
	assert_int_equal(settings_load(&settings, &source, NULL), 0);
	assert_int_equal(settings->chunk_size, 3072);
	settings_free(settings);

	unsetenv("XDG_CONFIG_HOME");
	assert_int_equal(settings_load(&settings, &source, NULL), 0);
	assert_int_equal(settings->chunk_size, 2048);
	settings_free(settings);

	/* It counts for users only, and not beside -c. */
	source.user = false;
	assert_int_equal(settings_load(&settings, &source, NULL), 0);
	assert_int_not_equal(settings->chunk_size, 2048);
	settings_free(settings);
	source.user = true;
	source.file = "/dev/null";
	assert_int_equal(settings_load(&settings, &source, NULL), 0);
	assert_int_equal(settings->chunk_size, 1048576);
	settings_free(settings);

	setenv("HOME", "/nonexistent", 1);
	source.file = NULL;
	assert_int_equal(settings_load(&settings, &source, NULL), 0);
	settings_free(settings);
	snprintf(command, sizeof(command), "rm -rf %s", home);
	assert_int_equal(system(command), 0);
}

static void misses_the_file_that_was_named(void **state)
{
	(void)state;
	struct settings *settings = NULL;
	struct settings_source source = { .file = "/nowhere/xfer.ini" };
	struct error err = { 0 };
	assert_int_equal(settings_load(&settings, &source, &err), -ENOENT);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_string_equal(err.text, "/nowhere/xfer.ini: No such file or directory");
}

static void finds_plugins_without_a_build_tree(void **state)
{
	(void)state;
	char *folder = NULL;
	/* This test is not at the top of a build tree, so it is taken for an installed program. */
	assert_int_equal(settings_plugin_dir(&folder, NULL), 0);
	assert_int_equal(folder[0], '/');
	assert_non_null(strstr(folder, "/xfer/plugins"));
	free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(dumps_what_it_reads_back),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(refuses_bad_values),
		cmocka_unit_test(refuses_duplicates_in_one_file),
		cmocka_unit_test(looks_at_the_whole),
		cmocka_unit_test(sets_on_top),
		cmocka_unit_test(refuses_bad_sets),
		cmocka_unit_test(finds_the_users_file),
		cmocka_unit_test(misses_the_file_that_was_named),
		cmocka_unit_test(finds_plugins_without_a_build_tree),
	};
	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
