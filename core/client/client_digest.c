/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer digest: a local file goes through the source's half of the pipeline, and nobody gets the frames. */
#include "base/text.h"
#include "client/client_state.h"
#include "engine/lending.h"
#include "session/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REQUEST = 1 };

struct digesting {
	struct loop_owner owner;
	struct client *client;
	const char *path; /* as the user gave it */
	struct suite suite;
	struct source *source;
	struct read_file *file;
	unsigned jobs;
	bool done;
	bool has_digest;
	enum status status;
	int code; /* behind the status; or of the work itself */
	uint8_t digest[FRAME_DIGEST_MAX];
};

struct digest_job {
	struct read_job read;
	struct source_order order;
};

static void pump(struct digesting *digesting)
{
	struct loop *loop = digesting->client->loop;

	while (!digesting->done && digesting->jobs < 2 * loop->threads + 2) {
		struct lent *buffer = lend_get(loop->lender, read_job_buffer_size(&digesting->suite));
		struct digest_job *work = buffer != NULL ? calloc(1, sizeof(*work)) : NULL;

		if (work == NULL || !source_next(digesting->source, &work->order)) {
			lent_unref(buffer);
			free(work);
			break;
		}
		work->read.job.kind = JOB_READ;
		work->read.job.suite = &digesting->suite;
		work->read.job.owner = &digesting->owner;
		work->read.buffer = buffer;
		work->read.payload_max = work->order.payload_max;
		work->read.count = 1;
		work->read.pieces[0] = (struct read_piece){
			.file = digesting->file,
			.request = REQUEST,
			.first = work->order.pieces[0].first,
			.count = work->order.pieces[0].count,
			.end = work->order.pieces[0].end,
		};
		digesting->jobs++;
		loop_submit(loop, &work->read.job);
	}
	if (digesting->jobs == 0)
		client_stop(digesting->client);
}

static void on_job(struct loop_owner *owner, struct job *job)
{
	struct digesting *digesting = list_entry(owner, struct digesting, owner);
	struct digest_job *work = (struct digest_job *)(void *)job;
	const struct read_piece *piece = &work->read.pieces[0];

	digesting->jobs--;
	work->order.pieces[0].chunks = piece->chunks;
	work->order.pieces[0].bytes = piece->bytes;
	work->order.pieces[0].total = piece->total;
	work->order.pieces[0].ended = piece->ended;
	if (work->read.code < 0) {
		digesting->code = work->read.code;
		digesting->done = true;
	}
	if (piece->ended) {
		digesting->done = true;
		digesting->status = piece->status;
		digesting->code = piece->code;
		digesting->has_digest = piece->has_digest;
		memcpy(digesting->digest, piece->digest, sizeof(digesting->digest));
	}
	lent_unref(work->read.buffer);
	source_done(digesting->source, &work->order, NULL, NULL);
	free(work);
}

static void on_work(void *context)
{
	pump(context);
}

static void on_ended(void *context, const struct ending *ending)
{
	struct digesting *digesting = context;

	(void)ending;
	digesting->code = -EINTR;
	digesting->done = true;
}

static const struct client_verb digest_verb = { .work = on_work, .ended = on_ended };

static int file_find(struct digesting *digesting, struct error *err)
{
	const char *slash = strrchr(digesting->path, '/');
	const char *name = slash != NULL ? slash + 1 : digesting->path;
	struct message_read read = { .count = MESSAGE_ALL };
	struct store_root *root;
	struct stat st;
	char *folder;
	int r;

	if (stat(digesting->path, &st) < 0)
		return error_system(err, -errno, FAULT_LOCAL, "%s", digesting->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, FAULT_LOCAL, "%s is no regular file", digesting->path);
	if (slash == NULL)
		folder = strdup(".");
	else
		folder = strndup(digesting->path, slash > digesting->path ? (size_t)(slash - digesting->path) : 1);
	if (folder == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	r = store_root_open(&root, folder, err);
	free(folder);
	if (r < 0)
		return r;
	r = read_file_create(&digesting->file, root, name, (uint64_t)st.st_size, &digesting->suite);
	store_root_unref(root);
	if (r < 0)
		return error_set(err, r, FAULT_LOCAL, "out of memory");
	read.size = (uint64_t)st.st_size;
	read.path = name;
	read.path_len = strlen(name);
	r = source_read(digesting->source, REQUEST, &read, err);
	return r < 0 ? r : source_credit(digesting->source, 0, UINT64_MAX, err);
}

static int digest_result(const struct digesting *digesting, struct error *err)
{
	if (digesting->code == -EINTR)
		return error_set(err, -EINTR, FAULT_INTERRUPTED, "interrupted");
	if (digesting->status == STATUS_CHANGED)
		return error_set(err, -ESTALE, FAULT_CHANGED, "%s changed while it was read", digesting->path);
	if (digesting->code < 0)
		return error_system(err, digesting->code, FAULT_LOCAL, "%s", digesting->path);
	if (digesting->status != STATUS_OK)
		return error_set(err, -EIO, FAULT_LOCAL, "%s: %s", digesting->path, status_text(digesting->status));
	return 0;
}

int client_digest(struct client *client, const char *path, uint32_t chunk_size, char digest[MESSAGE_DIGEST_TEXT_MAX],
                  struct error *err)
{
	const struct plugin *integrity = client->setup->integrity[0];
	struct digesting digesting = {
		.owner.done = on_job,
		.client = client,
		.path = path,
		.suite = {
			.integrity = integrity,
			.limits = {
				.control_max = FRAME_CONTROL_MAX,
				.chunk_size = chunk_size,
				.digest_size = integrity->integrity.digest_size,
			},
			.together = lending_together(client->loop),
		},
	};
	const struct source_limits limits = {
		.requests_max = 1,
		.chunk_size = chunk_size,
		.order_payload = read_job_payload(&digesting.suite),
		.open_max = 1,
	};
	int r;

	if (source_create(&digesting.source, &limits) < 0)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory");
	r = file_find(&digesting, err);
	if (r == 0) {
		client->verb = &digest_verb;
		client->context = &digesting;
		pump(&digesting);
		client_run(client, &digest_verb, &digesting);
		r = digest_result(&digesting, err);
	}
	if (r == 0)
		message_digest_text(digest, integrity->about.name, chunk_size, digesting.digest,
		                    digesting.has_digest ? integrity->integrity.digest_size : 0);
	source_destroy(digesting.source, NULL, NULL);
	read_file_destroy(digesting.file);
	return r;
}
