/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/checks.h"

#include "wire/message.h"

#include <errno.h>
#include <stdlib.h>

struct check {
	struct check_job check;
	struct list link;
	enum frame_type type;
	struct lent *buffer;
	bool done;
};

static void check_free(struct check *check)
{
	list_remove(&check->link);
	lent_unref(check->buffer);
	free(check);
}

/* Takes what is known to be right, as far as it follows one another. */
static void take(struct checks *checks)
{
	struct list *node;

	while (!checks->over && (node = list_first(&checks->queue)) != NULL) {
		struct check *check = list_entry(node, struct check, link);
		size_t run = check->check.len - checks->suite->limits.digest_size;
		struct error err = { 0 };
		int r;

		if (!check->done)
			return; /* a pool thread has it */
		r = check->check.code;
		list_remove(node); /* take() may end the checks, which frees what is in the queue */
		if (r < 0)
			error_set(&err, r, FAULT_INTEGRITY, "the digest of a list of %s is wrong",
			          check->type == FRAME_ENDS ? "results" : "entries");
		else
			r = checks->take(checks->context, check->type, check->check.body, run, &err);
		check_free(check);
		if (r < 0) {
			checks_end(checks);
			checks->failed(checks->context, &err);
		}
	}
}

int checks_add(struct checks *checks, const struct frame_header *header, const uint8_t *body, struct lent *buffer,
               struct error *err)
{
	uint32_t digest_size = checks->suite->limits.digest_size;
	struct check *check;
	size_t run;
	int r = message_run_read(header->length, digest_size, &run, err);

	if (r < 0)
		return r;
	check = calloc(1, sizeof(*check));
	if (check == NULL)
		return error_set(err, -ENOMEM, FAULT_LOCAL, "out of memory for a frame");
	check->type = header->type;
	check->buffer = lent_ref(buffer);
	check->check.body = body;
	check->check.len = header->length;
	check->check.job.kind = JOB_CHECK;
	check->check.job.suite = checks->suite;
	check->check.job.owner = checks->owner;
	check->done = digest_size == 0;
	list_append(&checks->queue, &check->link);
	if (check->done) {
		take(checks);
		return 0;
	}
	checks->jobs++;
	loop_submit(checks->loop, &check->check.job);
	return 0;
}

void checks_done(struct checks *checks, struct job *job)
{
	struct check *check = (struct check *)(void *)job;

	checks->jobs--;
	check->done = true;
	if (checks->over)
		check_free(check);
	else
		take(checks);
}

void checks_end(struct checks *checks)
{
	struct list *node = checks->queue.next;

	checks->over = true;
	while (node != &checks->queue) {
		struct check *check = list_entry(node, struct check, link);

		node = node->next;
		if (check->done)
			check_free(check);
	}
}
