/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/expire.h"

#include <string.h>

#define EXPIRE_EVERY (3600 * CLOCK_SECOND)

static void say(const struct expire *expire, enum log_level level, const char *event, const char *result)
{
	const struct expire_job *job = &expire->job;
	const struct journal_about *about = &job->about;
	uint64_t now = clock_real() / CLOCK_SECOND;
	uint64_t touched = about->touched.tv_sec > 0 ? (uint64_t)about->touched.tv_sec : 0;
	const struct log_field fields[] = {
		{ .key = "export", .text = expire->exports[expire->at].settings->name },
		{ .key = "journal", .text = job->journal },
		{ .key = "file", .text = about->readable ? about->target : "" },
		{ .key = "partial", .text = about->readable ? about->partial : "" },
		{ .key = "source", .text = about->readable ? about->source : "" },
		{ .key = "age_s", .number = now > touched ? now - touched : 0 },
		{ .key = "result", .text = result },
	};

	log_event(expire->log, level, event, fields, sizeof(fields) / sizeof(fields[0]));
}

static void turn_say(const struct expire *expire)
{
	const struct expire_job *job = &expire->job;

	if (job->code == 0 && job->removed)
		say(expire, LOG_LEVEL_INFO, "expired", "ok");
	else if (job->code < 0 && job->journal != NULL)
		say(expire, LOG_LEVEL_WARN, "expired", strerror(-job->code));
	else if (job->code < 0)
		log_say(expire->log, LOG_LEVEL_WARN, "export %s: its %s cannot be read: %s",
		        expire->exports[expire->at].settings->name, JOURNAL_FOLDER, strerror(-job->code));
}

/* The next export that may have something, from `at` on; false: there is none. */
static bool turn_begin(struct expire *expire)
{
	uint64_t now = clock_real();

	for (; expire->at < expire->count; expire->at++) {
		const struct serve_export *export = &expire->exports[expire->at];

		if (export->root == NULL || !export->settings->writable)
			continue;
		expire_job_free(&expire->job);
		expire->job = (struct expire_job){
			.job = { .kind = JOB_EXPIRE, .owner = &expire->owner },
			.root = export->root,
			.before = (int64_t)((now > expire->keep ? now - expire->keep : 0) / CLOCK_SECOND),
		};
		loop_submit(expire->loop, &expire->job.job);
		return true;
	}
	return false;
}

static void on_done(struct loop_owner *owner, struct job *job)
{
	struct expire *expire = list_entry(owner, struct expire, owner);

	(void)job;
	turn_say(expire);
	if (expire->stopped)
		return;
	if (!expire->job.done) {
		expire->job.job = (struct job){ .kind = JOB_EXPIRE, .owner = &expire->owner };
		loop_submit(expire->loop, &expire->job.job);
		return;
	}
	expire->at++;
	if (!turn_begin(expire))
		(void)loop_deadline(expire->loop, &expire->deadline, expire->loop->now + EXPIRE_EVERY);
}

static void on_deadline(struct deadline *deadline)
{
	struct expire *expire = list_entry(deadline, struct expire, deadline);

	expire->at = 0;
	if (!turn_begin(expire))
		(void)loop_deadline(expire->loop, deadline, expire->loop->now + EXPIRE_EVERY);
}

int expire_open(struct expire *expire, struct loop *loop, const struct serve_base *base, uint64_t keep)
{
	*expire = (struct expire){
		.owner = { .done = on_done },
		.loop = loop,
		.log = base->log,
		.exports = base->exports,
		.count = base->export_count,
		.keep = keep,
		.deadline = { .fire = on_deadline },
	};
	return keep > 0 ? loop_deadline(loop, &expire->deadline, loop->now) : 0;
}

void expire_stop(struct expire *expire)
{
	if (expire->loop == NULL)
		return;
	expire->stopped = true;
	(void)loop_deadline(expire->loop, &expire->deadline, CLOCK_NEVER);
}

void expire_close(struct expire *expire)
{
	expire_job_free(&expire->job);
}
