/* SPDX-License-Identifier: BSD-2-Clause */
/* What get and put print: files as they are done, and at the end what moved and how it was verified. */
#include "transfer.h"

#include "json.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static void on_progress(void *data, const struct client_progress *progress)
{
	struct verb_context *context = data;
	console_progress(context->console, progress);
}

static void on_message(void *data, enum log_level level, enum fault fault, const char *text)
{
	struct verb_context *context = data;
	console_message(context->console, level, fault, text);
}

static void on_file(void *data, const char *path, uint64_t bytes, const char *digest)
{
	struct verb_context *context = data;
	struct json json;
	char size[TEXT_NUMBER_MAX];

	console_ready(context->console);
	if (context->args->json) {
		json_begin(&json, stdout, "file");
		json_name(&json, "path", path, strlen(path));
		json_number(&json, "bytes", bytes);
		json_text(&json, "digest", digest);
		json_end(&json);
		return;
	}
	console_name(stdout, path, strlen(path));
	printf("  %s  %s\n", text_human_size(size, bytes), digest);
}

/* ---- the summary ------------------------------------------------------------------------------------------------ */

static uint64_t rate_of(const struct client_summary *summary)
{
	if (summary->elapsed == 0)
		return 0;
	return (uint64_t)((double)summary->bytes / ((double)summary->elapsed / (double)CLOCK_SECOND));
}

/* The digest that is meant, or NULL: a job of several files has none of its own. */
static const char *digest_of(const struct client_summary *summary)
{
	return summary->files == 1 && summary->failed == 0 && summary->digest[0] != '\0' ? summary->digest : NULL;
}

/* How much of the time it was busy, in each of its threads. */
static double stage_share(const struct client_stage *stage, uint64_t elapsed)
{
	return elapsed > 0 ? (double)stage->count.busy_ns / (double)stage->threads / (double)elapsed : 0;
}

/*
 * The stage that was busy for the largest part of the time; NULL when none was for half of it, and the network or the
 * other side set the pace.
 */
static const char *limiting_stage(const struct client_summary *summary)
{
	const struct client_stage *busiest = &summary->stages[0];

	for (size_t i = 1; i < CLIENT_STAGES; i++)
		if (stage_share(&summary->stages[i], summary->elapsed) > stage_share(busiest, summary->elapsed))
			busiest = &summary->stages[i];
	return stage_share(busiest, summary->elapsed) >= 0.5 ? busiest->name : NULL;
}

static void print_stage(const struct client_stage *stage, const char *before)
{
	char rate[TEXT_NUMBER_MAX];
	double busy = (double)stage->count.busy_ns / (double)CLOCK_SECOND;

	if (stage->count.calls == 0)
		return;
	printf("%s%s %.3f s", before, stage->name, busy);
	if (stage->count.busy_ns > 0 && stage->count.bytes > 0)
		printf(" (%s/s)", text_human_size(rate, (uint64_t)((double)stage->count.bytes / busy)));
}

static void print_stages(const struct client_summary *summary)
{
	const char *limit = limiting_stage(summary);
	const char *before = "stages: ";

	for (size_t i = 0; i < CLIENT_STAGES; i++) {
		print_stage(&summary->stages[i], before);
		if (summary->stages[i].count.calls > 0)
			before = ", ";
	}
	printf(", busy within %.3f s; ", (double)summary->elapsed / (double)CLOCK_SECOND);
	if (summary->peer_stage != NULL)
		printf("the other side was mostly in %s; ", summary->peer_stage);
	printf("%s limited\n", limit != NULL ? limit : "the network or the other side");
}

static void print_count(uint64_t count, const char *one, const char *many)
{
	printf("%" PRIu64 " %s", count, count == 1 ? one : many);
}

static void print_summary(const struct verb_context *context, const struct client_summary *summary)
{
	char size[TEXT_NUMBER_MAX], rate[TEXT_NUMBER_MAX];
	const char *digest = digest_of(summary);

	print_count(summary->files, "file", "files");
	if (summary->dirs > 0) {
		printf(", ");
		print_count(summary->dirs, "folder", "folders");
	}
	if (summary->links > 0) {
		printf(", ");
		print_count(summary->links, "link", "links");
	}
	printf(": %" PRIu64 " bytes (%s) in %.2f s, %s/s\n", summary->bytes, text_human_size(size, summary->bytes),
	       (double)summary->elapsed / (double)CLOCK_SECOND, text_human_size(rate, rate_of(summary)));
	if (summary->same > 0) {
		print_count(summary->same, "more file is", "more files are");
		printf(" the same, and left alone\n");
	}
	if (summary->kept > 0)
		printf("kept %s that were there already, %s travelled\n", text_human_size(size, summary->kept),
		       text_human_size(rate, summary->received));

	/* What was checked by an integrity of no digest was not verified; its name is a plug-in's, its text is ours. */
	if (digest != NULL)
		printf("digest: %s\n", digest);
	else if (summary->files > 0 && strcmp(summary->digest, "unverified") == 0)
		printf("digest: unverified\n");
	else if (summary->files > 0 && summary->integrity[0] != '\0')
		printf("digest: every file verified by %s\n", summary->integrity);

	printf("skipped %" PRIu64 ", failed %" PRIu64 ", repaired ", summary->skipped, summary->failed);
	print_count(summary->repaired, "chunk", "chunks");
	if (summary->rtt > 0)
		printf(", round trip %.3f ms", (double)summary->rtt / (double)CLOCK_MS);
	if (summary->sessions > 1)
		printf(", %u sessions", summary->sessions);
	printf("\n");
	if (context->args->verbose)
		print_stages(summary);
}

static void print_summary_json(const struct client_summary *summary, enum fault fault)
{
	struct json json;

	json_begin(&json, stdout, "summary");
	json_number(&json, "status", (uint64_t)fault);
	json_number(&json, "files", summary->files);
	json_number(&json, "folders", summary->dirs);
	json_number(&json, "links", summary->links);
	json_number(&json, "bytes", summary->bytes);
	json_number(&json, "received", summary->received);
	json_number(&json, "chunks", summary->chunks);
	json_seconds(&json, "seconds", summary->elapsed);
	json_number(&json, "rate", rate_of(summary));
	json_text(&json, "integrity", summary->integrity[0] != '\0' ? summary->integrity : NULL);
	json_text(&json, "digest", digest_of(summary));
	json_number(&json, "kept", summary->kept);
	json_number(&json, "same", summary->same);
	json_number(&json, "skipped", summary->skipped);
	json_number(&json, "failed", summary->failed);
	json_number(&json, "repaired", summary->repaired);
	json_seconds(&json, "rtt", summary->rtt);
	json_number(&json, "sessions", summary->sessions);
	json_open(&json, "stages", '[');
	for (size_t i = 0; i < CLIENT_STAGES; i++) {
		const struct client_stage *stage = &summary->stages[i];

		json_open(&json, NULL, '{');
		json_text(&json, "stage", stage->name);
		json_number(&json, "calls", stage->count.calls);
		json_number(&json, "bytes", stage->count.bytes);
		json_seconds(&json, "busy", stage->count.busy_ns);
		json_number(&json, "threads", stage->threads);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_text(&json, "limit", limiting_stage(summary));
	json_text(&json, "peer", summary->peer_stage);
	json_end(&json);
}

/* ---- both --------------------------------------------------------------------------------------------------------- */

static bool moved_anything(const struct client_summary *summary)
{
	return summary->files + summary->dirs + summary->links + summary->skipped + summary->failed +
	               summary->received >
	       0;
}

void transfer_watch(struct verb_context *context, struct client_watch *out)
{
	*out = (struct client_watch){ .context = context, .progress = on_progress, .message = on_message };
	/* To be told of each file costs a frame for each. */
	if (context->args->json || context->args->verbose)
		out->file = on_file;
}

void transfer_print(struct verb_context *context, const struct client_summary *summary, enum fault fault)
{
	console_ready(context->console);
	if (context->args->json)
		print_summary_json(summary, fault);
	else if (!context->args->quiet && (fault == FAULT_NONE || moved_anything(summary)))
		print_summary(context, summary);
}
