/* SPDX-License-Identifier: BSD-2-Clause */
/* From a configuration to running plug-ins: choices, values, sections of plug-ins that nobody chose. */
#include "unit.h"

#include "engine/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char built[512];  /* the plug-ins of the build tree */
static char broken[512]; /* those that are broken */
static char liar[600];   /* integrity-sha256.so of another folder */
static char file[64];

/* What a configuration of these lines comes to. */
static struct settings *settings_of(const char *lines)
{
	FILE *out = fopen(file, "we");
	assert_non_null(out);
	fputs(lines, out);
	fclose(out);
	struct settings_source source = { .file = file, .plugin_dir = built };
	struct settings *settings;
	struct error err = { 0 };
	if (settings_load(&settings, &source, &err) < 0)
		fail_msg("%s", err.text);
	return settings;
}

static struct setup *made(const struct settings *settings, const struct setup_choice *choice)
{
	struct setup *setup;
	struct error err = { 0 };
	if (setup_create(&setup, settings, choice, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return setup;
}

static void refused(const char *lines, const struct setup_choice *choice, const char *words)
{
	struct settings *settings = settings_of(lines);
	struct setup *setup = NULL;
	struct error err = { 0 };
	assert_true(setup_create(&setup, settings, choice, NULL, &err) < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_null(setup);
	if (strstr(err.text, words) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, words);
	settings_free(settings);
}

static void test_configured(void **state)
{
	(void)state;
	struct settings *settings = settings_of("[pipeline]\n"
	                                        "transport = tcp\n"
	                                        "integrity = crc32, none, sha256\n"
	                                        "liveness = none\n"
	                                        "[transport.tcp]\n"
	                                        "backlog = 7\n");
	struct setup *setup = made(settings, NULL);
	assert_string_equal(setup->transport->section, "transport.tcp");
	assert_string_equal(setup->liveness->section, "liveness.none");
	assert_int_equal(setup->integrity_count, 3);
	static const char *const order[] = { "crc32", "none", "sha256" };
	for (size_t i = 0; i < COUNT(order); i++) {
		assert_string_equal(setup->integrity[i]->about.name, order[i]);
		assert_ptr_equal(setup_integrity(setup, order[i]), setup->integrity[i]);
		assert_non_null(setup->integrity[i]->instance);
	}
	assert_null(setup_integrity(setup, "md5"));
	/* It gives digests that are right: the instance runs. */
	uint8_t digest[4];
	assert_int_equal(plugin_digest(setup->integrity[0], "123456789", 9, digest), 0);
	assert_memory_equal(digest, "\xcb\xf4\x39\x26", 4);

	struct plugin *again;
	struct error err = { 0 };
	assert_int_equal(setup_plugin(setup, XFER_KIND_TRANSPORT, "tcp", &again, &err), 0);
	assert_ptr_equal(again, setup->transport);
	assert_int_equal(setup_plugin(setup, XFER_KIND_TRANSPORT, "pigeon", &again, &err), -ENOENT);
	assert_contains(err.text, "the transport 'pigeon' is not installed");
	assert_contains(err.text, "transport-pigeon.so");
	setup_destroy(setup);
	settings_free(settings);
}

static void test_choice(void **state)
{
	(void)state;
	const char *lines = "[pipeline]\ntransport = pigeon\nintegrity = md5\nliveness = seance\n";
	struct settings *settings = settings_of(lines);
	struct setup *setup = made(settings, &(struct setup_choice){ .transport = "tcp",
	                                                             .integrity = "none , sha256",
	                                                             .liveness = "none" });
	assert_int_equal(setup->integrity_count, 2);
	assert_string_equal(setup->integrity[0]->about.name, "none");
	assert_string_equal(setup->integrity[1]->about.name, "sha256");
	setup_destroy(setup);
	settings_free(settings);

	struct setup_choice choice = { .transport = "tcp", .integrity = "sha256,,none", .liveness = "none" };
	refused(lines, &choice, "an empty name");
	choice.integrity = "";
	refused(lines, &choice, "an empty name");
	choice.integrity = "sha256,none,sha256";
	refused(lines, &choice, "'sha256' is named twice");
	choice.integrity = "sha 256";
	refused(lines, &choice, "no name of a plug-in");
	choice.integrity = "md5";
	refused(lines, &choice, "the integrity 'md5' is not installed");
	choice.integrity = "none";
	choice.liveness = NULL;
	refused(lines, &choice, "the liveness 'seance' is not installed");
}

/* A file by its path, under a name that it shares with another: the section is the name's. */
static void test_path(void **state)
{
	(void)state;
	struct settings *settings = settings_of("[pipeline]\nliveness = none\n[integrity.sha256]\nevery = 2\n");
	struct setup *setup = made(settings, &(struct setup_choice){ .integrity = liar });
	assert_int_equal(setup->integrity_count, 1);
	assert_string_equal(setup->integrity[0]->about.name, "sha256");
	assert_string_equal(setup->integrity[0]->path, liar);
	uint8_t first[32], second[32];
	assert_int_equal(plugin_digest(setup->integrity[0], "x", 1, first), 0);
	assert_int_equal(plugin_digest(setup->integrity[0], "x", 1, second), 0);
	assert_memory_not_equal(first, second, 32);
	setup_destroy(setup);
	settings_free(settings);

	char both[700];
	snprintf(both, sizeof(both), "sha256,%s", liar);
	refused("", &(struct setup_choice){ .integrity = both }, "another integrity named 'sha256' is loaded already");
}

static void test_sections(void **state)
{
	(void)state;
#define CHOSEN "[pipeline]\nintegrity = none\nliveness = none\n"
	/* Not chosen and not installed: no mistake. */
	struct settings *settings = settings_of(CHOSEN "[transport.pigeon]\nwings = 2\n");
	setup_destroy(made(settings, NULL));
	settings_free(settings);
	/* Not chosen, installed, and wrong: with file and line. */
	char want[128];
	snprintf(want, sizeof(want), "%s:6: [integrity.sha256]: unknown key 'speed'", file);
	refused(CHOSEN "\n[integrity.sha256]\nspeed = 7\n", NULL, want);
	/* Chosen and wrong. */
	snprintf(want, sizeof(want), "%s:5: [transport.tcp]: backlog = 0", file);
	refused(CHOSEN "[transport.tcp]\nbacklog = 0\n", NULL, want);
	snprintf(want, sizeof(want), "%s:5: [transport.tcp]: send-buffer = big", file);
	refused(CHOSEN "[transport.tcp]\nsend-buffer = big\n", NULL, want);

	/* Not chosen, installed, and it cannot be loaded. */
	char lines[2048];
	snprintf(lines, sizeof(lines),
	         "[core]\nplugin-dir = %s\n[pipeline]\ntransport = %s/transport-tcp.so\nintegrity = good\n"
	         "liveness = %s/liveness-none.so\n[integrity.bad-many]\n",
	         broken, built, built);
	refused(lines, NULL, "[integrity.bad-many]: ");
	refused(lines, NULL, "integrity-bad-many.so: it failed a known answer");
	/* A required option that is not set; and set. */
	snprintf(lines, sizeof(lines),
	         "[core]\nplugin-dir = %s\n[pipeline]\ntransport = %s/transport-tcp.so\nintegrity = needs-option\n"
	         "liveness = %s/liveness-none.so\n",
	         broken, built, built);
	refused(lines, NULL, "'colour' is required");
	strncat(lines, "[integrity.needs-option]\ncolour = red\n", sizeof(lines) - strlen(lines) - 1);
	settings = settings_of(lines);
	setup_destroy(made(settings, NULL));
	settings_free(settings);
}

static int prepare(void **state)
{
	(void)state;
	const char *build = getenv("top_builddir");
	char *real = realpath(build != NULL ? build : ".", NULL);
	if (real == NULL)
		return -1;
	snprintf(built, sizeof(built), "%s/plugins/.libs", real);
	snprintf(broken, sizeof(broken), "%s/tests/plugins/broken", real);
	snprintf(liar, sizeof(liar), "%s/tests/plugins/wrong/.libs/integrity-sha256.so", real);
	free(real);
	snprintf(file, sizeof(file), "/tmp/xfer-setup-XXXXXX");
	int fd = mkstemp(file);
	return fd < 0 || close(fd) < 0 ? -1 : 0;
}

static int clean(void **state)
{
	(void)state;
	return unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_sections),
	};
	return cmocka_run_group_tests_name("setup", tests, prepare, clean);
}
