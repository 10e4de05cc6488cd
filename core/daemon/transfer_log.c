/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/transfer_log.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t loop_now(const struct serve *serve)
{
	return serve->channel.base->loop->now;
}

void transfer_line(const struct serve *serve, const struct serve_transfer *transfer, const char *verb,
                   const char *result)
{
	const struct suite *suite = &serve->channel.suite;
	const char *name = suite->integrity->about.name;
	char digest[MESSAGE_DIGEST_TEXT_MAX] = "-";
	uint64_t loss;
	const struct log_field fields[] = {
		{ .key = "peer", .text = channel_peer(&serve->channel) },
		{ .key = "verb", .text = verb },
		{ .key = "file", .text = transfer->path },
		{ .key = "files", .number = transfer->files },
		{ .key = "bytes", .number = transfer->bytes },
		{ .key = "chunks", .number = transfer->chunks },
		{ .key = "digest", .text = digest },
		{ .key = "failed", .number = transfer->failed },
		{ .key = "ms", .number = (loop_now(serve) - transfer->began) / CLOCK_MS },
		{ .key = "rtt_us", .number = channel_rtt(&serve->channel, &loss) / 1000 },
		{ .key = "loss_ppm", .number = loss },
		{ .key = "result", .text = result },
		{ .key = "identity", .text = serve_identity(serve) },
	};
	size_t count = sizeof(fields) / sizeof(fields[0]);

	if (suite->limits.digest_size == 0)
		strcpy(digest, "unverified");
	else if (transfer->files == 1 && transfer->digest_size > 0)
		message_digest_text(digest, name, suite->limits.chunk_size, transfer->digest, transfer->digest_size);
	log_event(serve->base->log, LOG_LEVEL_INFO, "transfer", fields,
	          serve_identity(serve)[0] != '\0' ? count : count - 1);
}

/* The path is `top`, or beneath it. */
static bool lies_in(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static void transfer_finish(struct serve *serve, const char *result)
{
	struct serve_transfer *transfer = serve->transfer;

	if (transfer == NULL)
		return;
	/* Who asks for nothing but digests compares: he has the files. */
	if (!transfer->moved && transfer->compared + transfer->chunks > 0) {
		transfer->files = transfer->compared;
		transfer_line(serve, transfer, "verify", result);
	} else if (transfer->files + transfer->failed + transfer->reading + transfer->chunks > 0) {
		transfer_line(serve, transfer, "get", result);
	}
	transfer_free(serve);
}

void transfer_free(struct serve *serve)
{
	if (serve->transfer == NULL)
		return;
	free(serve->transfer->path);
	free(serve->transfer);
	serve->transfer = NULL;
}

static const char *result_of(const struct serve_transfer *transfer)
{
	if (transfer == NULL)
		return "";
	if (transfer->reading > 0)
		return "interrupted";
	return transfer->failed > 0 ? "failed" : "ok";
}

void transfer_list(struct serve *serve, const struct message_list *list)
{
	transfer_finish(serve, result_of(serve->transfer));
	if (list->flags & MESSAGE_LIST_TOTALS)
		return;
	serve->transfer = calloc(1, sizeof(*serve->transfer));
	if (serve->transfer == NULL)
		return; /* a log line is lost, nothing else */
	serve->transfer->path = strndup(list->path, list->path_len);
	serve->transfer->began = loop_now(serve);
	if (serve->transfer->path == NULL)
		transfer_free(serve);
}

void transfer_read(struct serve *serve)
{
	if (serve->transfer != NULL)
		serve->transfer->reading++;
}

/* A session that lists nothing helps another one: it is called by what its files have in common. */
static struct serve_transfer *transfer_help(struct serve *serve, const char *path)
{
	struct serve_transfer *transfer = serve->transfer;
	char *slash;

	if (transfer == NULL) {
		transfer = calloc(1, sizeof(*transfer));
		if (transfer == NULL)
			return NULL;
		transfer->began = loop_now(serve);
		transfer->helps = true;
		transfer->path = strdup(path);
		serve->transfer = transfer;
		if (transfer->path == NULL)
			transfer_free(serve);
		return serve->transfer;
	}
	while (transfer->helps && !lies_in(path, transfer->path) && (slash = strrchr(transfer->path, '/')) != NULL)
		*slash = '\0';
	return transfer;
}

void transfer_piece(struct serve *serve, const struct read_piece *piece, const struct source_request *request)
{
	struct serve_transfer *transfer = transfer_help(serve, request->path);

	if (transfer == NULL)
		return;
	transfer->bytes += piece->bytes;
	transfer->chunks += piece->chunks;
	transfer->moved = transfer->moved || !request->digests;
	if (!piece->ended)
		return;
	if (transfer->reading > 0)
		transfer->reading--;
	if (piece->status != STATUS_OK) {
		char text[ERROR_TEXT_MAX / 4], path[ERROR_TEXT_MAX];
		const char *cause = read_piece_text(piece, text, sizeof(text));

		transfer->failed++;
		log_say(serve->base->log, LOG_LEVEL_INFO, "%s: %s: %s%s%s", channel_peer(&serve->channel),
		        text_printable(path, sizeof(path), request->path, strlen(request->path)),
		        status_name(piece->status), cause[0] != '\0' ? ": " : "", cause);
		return;
	}
	if (request->digests && request->first == 0)
		transfer->compared++;
	if (request->part || request->digests)
		return; /* chunks asked for again: the file was counted */
	transfer->files++;
	if (piece->has_digest) {
		transfer->digest_size = serve->channel.suite.limits.digest_size;
		memcpy(transfer->digest, piece->digest, transfer->digest_size);
	}
	if (log_wants(serve->base->log, LOG_LEVEL_DEBUG)) {
		char path[ERROR_TEXT_MAX];

		log_say(serve->base->log, LOG_LEVEL_DEBUG, "%s: %s: %llu bytes", channel_peer(&serve->channel),
		        text_printable(path, sizeof(path), request->path, strlen(request->path)),
		        (unsigned long long)request->size);
	}
}

void transfer_end(struct serve *serve, const struct error *err)
{
	const char *result = result_of(serve->transfer);

	if (err->code == -ETIMEDOUT)
		result = "peer dead";
	else if (err->code != 0)
		result = "broken off";
	transfer_finish(serve, result);
}
