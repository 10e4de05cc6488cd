/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/count.h"

static void submit(struct count *count)
{
	count->job = (struct list_job){
		.job = { .kind = JOB_LIST, .suite = count->suite, .owner = &count->owner },
		.walk = count->walk,
		.request = 1,
		.run_max = FRAME_CONTROL_MAX,
		.refuse = count->ending ? STATUS_CANCELLED : STATUS_OK,
	};
	count->busy = true;
	loop_submit(count->loop, &count->job.job);
}

/* The sums stand in the frame that ends the walk. */
static void take(struct count *count)
{
	const struct buf *out = &count->job.out;
	uint32_t digest_size = count->suite->limits.digest_size;
	struct end end;
	size_t at = 0;

	if (out->len <= FRAME_HEADER + digest_size ||
	    message_end_read(out->data + FRAME_HEADER, out->len - FRAME_HEADER - digest_size, &at, digest_size, &end,
	                     NULL) < 0 ||
	    end.status != STATUS_OK)
		return;
	count->files = end.chunks;
	count->bytes = end.size;
	count->known = true;
}

static void on_job(struct loop_owner *owner, struct job *job)
{
	struct count *count = list_entry(owner, struct count, owner);
	bool more = count->job.code == 0 && !count->job.ended && !count->ending;

	(void)job;
	count->busy = false;
	if (count->job.code == 0 && count->job.ended)
		take(count);
	buf_free(&count->job.out);
	if (more)
		submit(count);
	else if (count->ending)
		loop_stop(count->loop);
}

void count_begin(struct count *count, struct loop *loop, const struct suite *suite, struct store_root *root,
                 const char *path)
{
	*count = (struct count){ .owner.done = on_job, .loop = loop, .suite = suite };
	if (list_walk_create(&count->walk, root, path, MESSAGE_DEPTH_ALL, true, "tree") == 0)
		submit(count);
}

void count_end(struct count *count)
{
	count->ending = true;
	while (count->busy)
		loop_run(count->loop);
	list_walk_destroy(count->walk);
	count->walk = NULL;
}
