/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking over a plug-in's tables: every required callback, sizes of other ABI minors, every fault of an options table. */
#include "unit.h"

#include "registry/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All the tables of a plug-in that is fine; a test spoils what it is about. */
struct subject {
	struct xfer_plugin about;
	struct xfer_transport_ops transport;
	struct xfer_integrity_ops integrity;
	struct xfer_liveness_ops liveness;
	struct xfer_known_answer answer;
	struct xfer_option options[3];
};

static void call(void)
{
}

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	(void)host;
	(void)params;
	*instance = NULL;
	return -ENOSYS;
}

static void destroy(void *instance)
{
	(void)instance;
}

/* Puts something into each callback from `first` to the end of the struct. */
static void fill(void *ops, size_t first, size_t size)
{
	void (*some)(void) = call;
	for (size_t at = first; at < size; at += sizeof(some))
		memcpy((char *)ops + at, &some, sizeof(some));
}

static const uint8_t ANSWER[4];

static void subject_make(struct subject *s, enum xfer_kind kind)
{
	memset(s, 0, sizeof(*s));
	s->about = (struct xfer_plugin){
		XFER_PLUGIN_HEAD,       .kind = kind,     .name = "subject",  .version = "1",
		.summary = "for tests", .create = create, .destroy = destroy,
	};
	if (kind == XFER_KIND_TRANSPORT) {
		fill(&s->transport, offsetof(struct xfer_transport_ops, listen), sizeof(s->transport));
		s->transport.struct_size = sizeof(s->transport);
		s->about.transport = &s->transport;
	} else if (kind == XFER_KIND_INTEGRITY) {
		fill(&s->integrity, offsetof(struct xfer_integrity_ops, digest), sizeof(s->integrity));
		s->integrity.struct_size = sizeof(s->integrity);
		s->integrity.digest_size = 4;
		s->integrity.strength = XFER_STRENGTH_ACCIDENTAL;
		s->answer.digest = ANSWER;
		s->integrity.known_answers = &s->answer;
		s->integrity.known_answer_size = sizeof(s->answer);
		s->integrity.known_answer_count = 1;
		s->about.integrity = &s->integrity;
	} else {
		fill(&s->liveness, offsetof(struct xfer_liveness_ops, timing), sizeof(s->liveness));
		s->liveness.struct_size = sizeof(s->liveness);
		s->liveness.datagram_size = 64;
		s->about.liveness = &s->liveness;
	}
	s->options[0] = (struct xfer_option){
		.name = "size", .type = XFER_OPTION_SIZE, .default_text = "64K", .min = 1, .max = 1 << 20, .help = "h"
	};
	s->options[1] = (struct xfer_option){
		.name = "wait", .type = XFER_OPTION_DURATION, .default_text = "4s", .help = "h"
	};
	s->options[2] = (struct xfer_option){
		.name = "word", .type = XFER_OPTION_STRING, .default_text = "", .max = 8, .help = "h"
	};
	s->about.options = s->options;
	s->about.option_count = COUNT(s->options);
}

static int subject_check(const struct subject *s, struct plugin *plugin, struct error *err)
{
	memset(plugin, 0, sizeof(*plugin));
	return check_plugin(plugin, &s->about, err);
}

static void accepts(const struct subject *s)
{
	struct plugin plugin;
	struct error err = { 0 };
	int rc = subject_check(s, &plugin, &err);
	if (rc < 0)
		fail_msg("refused: %s", err.text);
	free(plugin.options);
}

static void refuses(const struct subject *s, const char *words)
{
	struct plugin plugin;
	struct error err = { 0 };
	int rc = subject_check(s, &plugin, &err);
	free(plugin.options);
	assert_true(rc < 0);
	assert_int_equal(err.fault, FAULT_USAGE);
	assert_contains(err.text, words);
}

/* Takes each callback away in turn: `optional` are the names that may be missing. */
static void every_callback(enum xfer_kind kind, size_t first, size_t size, const char *const *names,
                           const char *const *optional)
{
	size_t count = (size - first) / sizeof(void (*)(void));
	for (size_t i = 0; i < count; i++) {
		struct subject s;
		subject_make(&s, kind);
		char *ops = kind == XFER_KIND_TRANSPORT   ? (char *)&s.transport
		            : kind == XFER_KIND_INTEGRITY ? (char *)&s.integrity
		                                          : (char *)&s.liveness;
		memset(ops + first + i * sizeof(void (*)(void)), 0, sizeof(void (*)(void)));
		bool may = false;
		for (size_t k = 0; optional[k] != NULL; k++)
			may |= strcmp(optional[k], names[i]) == 0;
		if (may)
			accepts(&s);
		else
			refuses(&s, names[i]);
	}
}

static void test_transport_callbacks(void **state)
{
	(void)state;
	static const char *const names[] = {
		"transport.listen",         "transport.listener_adopt",
		"transport.listener_fds",   "transport.listener_address",
		"transport.listener_close", "transport.accept",
		"transport.connect",        "transport.adopt",
		"transport.handshake",      "transport.sendv",
		"transport.recv",           "transport.sendfile",
		"transport.poll",           "transport.endpoint",
		"transport.shutdown",       "transport.close",
		"transport.sendpipe",       "transport.recvpipe",
	};
	static const char *const optional[] = { "transport.adopt", "transport.sendfile", "transport.sendpipe",
		                                "transport.recvpipe", NULL };
	size_t first = offsetof(struct xfer_transport_ops, listen);
	assert_int_equal((sizeof(struct xfer_transport_ops) - first) / sizeof(void (*)(void)), COUNT(names));
	every_callback(XFER_KIND_TRANSPORT, first, sizeof(struct xfer_transport_ops), names, optional);
}

static void test_integrity_callbacks(void **state)
{
	(void)state;
	static const char *const names[] = { "integrity.digest",      "integrity.digest_many", "integrity.hash_create",
		                             "integrity.hash_update", "integrity.hash_finish", "integrity.hash_destroy",
		                             "integrity.lanes" };
	static const char *const optional[] = { "integrity.digest_many", "integrity.lanes", NULL };
	size_t first = offsetof(struct xfer_integrity_ops, digest);
	assert_int_equal((sizeof(struct xfer_integrity_ops) - first) / sizeof(void (*)(void)), COUNT(names));
	every_callback(XFER_KIND_INTEGRITY, first, sizeof(struct xfer_integrity_ops), names, optional);
}

static void test_liveness_callbacks(void **state)
{
	(void)state;
	static const char *const names[] = {
		"liveness.timing",       "liveness.peer_create",  "liveness.peer_destroy",  "liveness.datagram_in",
		"liveness.datagram_out", "liveness.verdict",      "liveness.next_deadline", "liveness.stats",
		"liveness.progress_set", "liveness.progress_get",
	};
	static const char *const optional[] = { NULL };
	size_t first = offsetof(struct xfer_liveness_ops, timing);
	assert_int_equal((sizeof(struct xfer_liveness_ops) - first) / sizeof(void (*)(void)), COUNT(names));
	every_callback(XFER_KIND_LIVENESS, first, sizeof(struct xfer_liveness_ops), names, optional);

	/* Without datagrams nothing but the timing is needed. */
	struct subject s;
	subject_make(&s, XFER_KIND_LIVENESS);
	void (*timing)(void *, uint64_t *, uint64_t *) = s.liveness.timing;
	s.liveness = (struct xfer_liveness_ops){ .struct_size = sizeof(s.liveness), .timing = timing };
	accepts(&s);
	s.liveness.timing = NULL;
	refuses(&s, "liveness.timing");
}

static void test_head(void **state)
{
	(void)state;
	struct subject s;
	subject_make(&s, XFER_KIND_INTEGRITY);
	accepts(&s);
	s.about.abi_major = 2;
	refuses(&s, "made for ABI 2, this program has ABI 1.1");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.struct_size = sizeof(s.about) - 1;
	refuses(&s, "struct xfer_plugin has");
	s.about.struct_size = 4;
	refuses(&s, "ABI");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.create = NULL;
	refuses(&s, "create");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.destroy = NULL;
	refuses(&s, "destroy");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.version = NULL;
	refuses(&s, "its version is NULL");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.summary = NULL;
	refuses(&s, "its summary is NULL");
	s.about.summary = "two\nlines";
	refuses(&s, "control character");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.kind = (enum xfer_kind)4;
	refuses(&s, "kind 4");
}

static void test_names(void **state)
{
	(void)state;
	static const char *const bad[] = { "",    "A",  "1a",  "-a", "a_b",
		                           "a/b", "..", "a.b", "ä",  "a2345678901234567890123456789012" };
	static const char *const good[] = { "a", "sha256", "a-b", "a234567890123456789012345678901" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct subject s;
		subject_make(&s, XFER_KIND_INTEGRITY);
		s.about.name = bad[i];
		refuses(&s, "its name");
		subject_make(&s, XFER_KIND_INTEGRITY);
		s.options[1].name = bad[i];
		refuses(&s, "name of option 2");
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		struct subject s;
		subject_make(&s, XFER_KIND_INTEGRITY);
		s.about.name = s.options[1].name = good[i];
		accepts(&s);
	}
}

static void test_kind(void **state)
{
	(void)state;
	struct subject s;
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.kind = XFER_KIND_TRANSPORT;
	refuses(&s, "transport is NULL");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.about.liveness = &s.liveness;
	refuses(&s, "liveness is not NULL");
}

static void test_integrity_numbers(void **state)
{
	(void)state;
	struct subject s;
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.digest_size = XFER_DIGEST_MAX;
	accepts(&s);
	s.integrity.digest_size = XFER_DIGEST_MAX + 1;
	refuses(&s, "65 bytes is longer than 64");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.digest_size = 0;
	refuses(&s, "strength");
	s.integrity.strength = XFER_STRENGTH_NONE;
	accepts(&s);
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.strength = XFER_STRENGTH_NONE;
	refuses(&s, "strength");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.known_answer_count = 0;
	refuses(&s, "no known answer");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.known_answers = NULL;
	refuses(&s, "no known answer");
	subject_make(&s, XFER_KIND_INTEGRITY);
	s.integrity.known_answer_size = 8;
	refuses(&s, "known_answer_size");
	subject_make(&s, XFER_KIND_LIVENESS);
	s.liveness.datagram_size = XFER_DATAGRAM_MAX + 1;
	refuses(&s, "513");
}

static void test_options(void **state)
{
	(void)state;
	static const struct {
		struct xfer_option option;
		const char *words; /* NULL: fine */
	} rows[] = {
		{ { .name = "x", .type = XFER_OPTION_BOOL, .default_text = "yes", .help = "h" }, NULL },
		{ { .name = "x", .type = XFER_OPTION_BOOL, .default_text = "2", .help = "h" }, "no value of its type" },
		{ { .name = "x", .type = XFER_OPTION_BOOL, .default_text = NULL, .help = "h" }, "default is NULL" },
		{ { .name = "x", .type = XFER_OPTION_BOOL, .flags = XFER_OPTION_REQUIRED, .help = "h" }, NULL },
		{ { .name = "x",
		    .type = XFER_OPTION_BOOL,
		    .flags = XFER_OPTION_REQUIRED,
		    .default_text = "no",
		    .help = "h" },
		  "required and has a default" },
		{ { .name = "x", .type = XFER_OPTION_INT, .default_text = "-5", .min = -5, .max = 5, .help = "h" },
		  NULL },
		{ { .name = "x", .type = XFER_OPTION_INT, .default_text = "6", .min = -5, .max = 5, .help = "h" },
		  "default '6' is out of its range" },
		{ { .name = "x", .type = XFER_OPTION_INT, .default_text = "-6", .min = -5, .max = 5, .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_INT, .default_text = "1", .min = 5, .max = -5, .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_INT, .default_text = "99999999999999999999", .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_SIZE, .default_text = "0", .min = 1, .max = 5, .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_SIZE, .default_text = "16E", .help = "h" }, "no value" },
		{ { .name = "x", .type = XFER_OPTION_SIZE, .default_text = "1", .min = -1, .max = 5, .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_DURATION, .default_text = "5", .help = "h" }, "no value" },
		{ { .name = "x",
		    .type = XFER_OPTION_DURATION,
		    .default_text = "5s",
		    .min = 1,
		    .max = 100,
		    .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_STRING, .default_text = "12345", .max = 4, .help = "h" },
		  "range" },
		{ { .name = "x", .type = XFER_OPTION_STRING, .default_text = "1234", .max = 4, .help = "h" }, NULL },
		{ { .name = "x", .type = (enum xfer_option_type)6, .default_text = "1", .help = "h" }, "type 6" },
		{ { .name = "x", .type = (enum xfer_option_type)0, .default_text = "1", .help = "h" }, "type 0" },
		{ { .name = "x", .type = XFER_OPTION_BOOL, .default_text = "1" }, "help is NULL" },
		{ { .name = "size", .type = XFER_OPTION_BOOL, .default_text = "1", .help = "h" }, "twice" },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct subject s;
		subject_make(&s, XFER_KIND_TRANSPORT);
		s.options[2] = rows[i].option;
		if (rows[i].words == NULL)
			accepts(&s);
		else
			refuses(&s, rows[i].words);
	}
	struct subject s;
	subject_make(&s, XFER_KIND_TRANSPORT);
	s.about.options = NULL;
	refuses(&s, "options table is NULL");
	subject_make(&s, XFER_KIND_TRANSPORT);
	s.about.option_size = sizeof(struct xfer_option) - 1;
	refuses(&s, "option_size");
	subject_make(&s, XFER_KIND_TRANSPORT);
	s.about.option_count = SIZE_MAX;
	refuses(&s, "too long");
}

/* A plug-in of a newer minor: each struct is longer, each row of its tables wider. */
static void test_newer(void **state)
{
	(void)state;
	struct wide_option {
		struct xfer_option known;
		uint64_t newer;
	} rows[2] = {
		{ { .name = "one", .type = XFER_OPTION_INT, .default_text = "1", .help = "h" }, UINT64_MAX },
		{ { .name = "two", .type = XFER_OPTION_INT, .default_text = "2", .help = "h" }, UINT64_MAX },
	};
	struct subject s;
	subject_make(&s, XFER_KIND_INTEGRITY);
	struct {
		struct xfer_plugin known;
		uint64_t newer[4];
	} about = { .known = s.about, .newer = { 1, 2, 3, 4 } };
	struct {
		struct xfer_integrity_ops known;
		uint64_t newer[4];
	} ops = { .known = s.integrity, .newer = { 1, 2, 3, 4 } };
	ops.known.struct_size = sizeof(ops);
	about.known.struct_size = sizeof(about);
	about.known.abi_minor = XFER_ABI_MINOR + 7;
	about.known.integrity = &ops.known;
	about.known.options = &rows[0].known;
	about.known.option_size = sizeof(rows[0]);
	about.known.option_count = COUNT(rows);
	about.known.thread_model = (enum xfer_thread_model)9;

	struct plugin plugin = { 0 };
	struct error err = { 0 };
	int rc = check_plugin(&plugin, &about.known, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	assert_string_equal(plugin.options[1].name, "two");
	assert_int_equal(plugin.about.struct_size, sizeof(struct xfer_plugin));
	assert_int_equal(plugin.integrity.struct_size, sizeof(struct xfer_integrity_ops));
	/* What we do not know how to handle is handled the safe way. */
	assert_int_equal(plugin.about.thread_model, XFER_THREADS_SERIALIZE);
	/* Nothing was written behind our copies. */
	assert_null(plugin.liveness.timing);
	free(plugin.options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_transport_callbacks),
		cmocka_unit_test(test_integrity_callbacks),
		cmocka_unit_test(test_liveness_callbacks),
		cmocka_unit_test(test_integrity_numbers),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_newer),
	};
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
