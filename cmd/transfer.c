/* SPDX-License-Identifier: BSD-2-Clause */
/* What get and put print: files as they are done, and at the end what moved and how it was verified. */
#include "transfer.h"

#include "json.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

static const char *const stage_names[PIPELINE_STAGES] = {
	[PIPELINE_READ] = "read", [PIPELINE_HASH] = "hash", [PIPELINE_WRITE] = "write"
};

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

/* Threads of each pool: as configured, or with `auto` as many as this process may run on. */
static unsigned pool_threads(const struct settings *settings)
{
	cpu_set_t set;

	if (settings->threads > 0)
		return settings->threads;
	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

/*
 * The stage that was busy for the largest part of the time, per thread; NULL when none was for half of it, and the
 * network or the other side set the pace. Reading and writing share a pool, but one of them is idle in a get.
 */
static const char *limiting_stage(const struct client_summary *summary, unsigned threads)
{
	size_t busiest = 0;

	for (size_t i = 1; i < PIPELINE_STAGES; i++) {
		if (summary->stages[i].busy_ns > summary->stages[busiest].busy_ns)
			busiest = i;
	}
	return summary->stages[busiest].busy_ns / threads >= summary->elapsed / 2 ? stage_names[busiest] : NULL;
}

static void print_stages(const struct client_summary *summary, const struct settings *settings)
{
	unsigned threads = pool_threads(settings);
	const char *limit = limiting_stage(summary, threads);

	printf("stages: ");
	for (size_t i = 0; i < PIPELINE_STAGES; i++)
		printf("%s%s %.3f s", i > 0 ? ", " : "", stage_names[i],
		       (double)summary->stages[i].busy_ns / (double)CLOCK_SECOND / threads);
	printf(" busy of %.3f s in each of %u thread%s; ", (double)summary->elapsed / (double)CLOCK_SECOND, threads,
	       threads == 1 ? "" : "s");
	if (limit != NULL)
		printf("%s limited\n", limit);
	else
		printf("the network or the other side limited\n");
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
	printf("\n");
	if (context->args->verbose)
		print_stages(summary, context->settings);
}

static void print_summary_json(const struct verb_context *context, const struct client_summary *summary,
                               enum fault fault)
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
	json_number(&json, "threads", pool_threads(context->settings));
	json_open(&json, "stages", '[');
	for (size_t i = 0; i < PIPELINE_STAGES; i++) {
		json_open(&json, NULL, '{');
		json_text(&json, "stage", stage_names[i]);
		json_number(&json, "calls", summary->stages[i].calls);
		json_number(&json, "bytes", summary->stages[i].bytes);
		json_seconds(&json, "busy", summary->stages[i].busy_ns);
		json_close(&json, '}');
	}
	json_close(&json, ']');
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
		print_summary_json(context, summary, fault);
	else if (!context->args->quiet && (fault == FAULT_NONE || moved_anything(summary)))
		print_summary(context, summary);
}
