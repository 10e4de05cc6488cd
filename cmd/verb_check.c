/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer check-plugin PATH [CHECK]...: runs the conformance kit on one plug-in, and prints what was expected and seen. */
#include "check/kit.h"
#include "json.h"
#include "verb.h"

#include "registry/kind.h"

#include <errno.h>
#include <string.h>

struct check_view {
	struct verb_context *context;
};

static const char *outcome_name(enum kit_outcome outcome)
{
	switch (outcome) {
	case KIT_OK: return "ok";
	case KIT_SKIPPED: return "skipped";
	case KIT_FAILED:
	case KIT_NONE: break;
	}
	return "failed";
}

static void on_about(void *data, const struct kit_about *about)
{
	const struct check_view *view = data;
	const char *path = view->context->args->operands[0];

	if (view->context->args->json || view->context->args->quiet)
		return;
	printf("%s %s ", plugin_kind_name(about->kind), about->name);
	console_name(stdout, about->version, strlen(about->version));
	printf(", ");
	console_name(stdout, path, strlen(path));
	printf("\n");
}

static void on_result(void *data, const struct kit_result *result)
{
	const struct check_view *view = data;
	const struct args *args = view->context->args;
	struct json json;

	if (args->json) {
		json_begin(&json, stdout, "check");
		json_text(&json, "name", result->name);
		json_text(&json, "outcome", outcome_name(result->outcome));
		json_text(&json, "expected", result->expected);
		json_text(&json, "seen", result->seen);
		json_end(&json);
	} else if (result->outcome == KIT_FAILED) {
		printf("FAILED   %s: expected: %s; seen: %s\n", result->name, result->expected, result->seen);
	} else if (!args->quiet && result->outcome == KIT_SKIPPED) {
		printf("skipped  %s: %s\n", result->name, result->seen);
	} else if (!args->quiet) {
		printf("ok       %s: %s%s%s\n", result->name, result->expected, args->verbose ? "; seen: " : "",
		       args->verbose ? result->seen : "");
	}
	fflush(stdout);
}

static void print_sums(const struct args *args, const struct kit_sums *sums)
{
	struct json json;

	if (args->json) {
		json_begin(&json, stdout, "summary");
		json_number(&json, "ok", sums->ok);
		json_number(&json, "failed", sums->failed);
		json_number(&json, "skipped", sums->skipped);
		json_number(&json, "status", sums->failed > 0 ? FAULT_MIXED : FAULT_NONE);
		json_end(&json);
	} else if (!args->quiet) {
		printf("%u checks: %u ok, %u failed, %u skipped\n", sums->ok + sums->failed + sums->skipped, sums->ok,
		       sums->failed, sums->skipped);
	}
}

int verb_check_plugin(struct verb_context *context, struct error *err)
{
	const struct args *args = context->args;
	struct check_view view = { context };
	struct kit_sums sums = { 0 };
	const struct kit_watch watch = { .context = &view, .about = on_about, .result = on_result };
	const struct kit_subject subject = {
		.path = args->operands[0],
		.settings = context->settings,
		.log = context->console->log,
		.listen = args->listen,
		.connect = args->connect,
		.only = args->operands + 1,
		.deadline = args->deadline,
	};
	int rc = kit_run(&subject, &watch, &sums, err);

	if (rc < 0)
		return rc;
	print_sums(args, &sums);
	if (sums.failed == 0)
		return 0;
	/* All is said. */
	error_clear(err);
	err->code = -EBADMSG;
	err->fault = FAULT_MIXED;
	return err->code;
}
