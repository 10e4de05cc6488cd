/* SPDX-License-Identifier: BSD-2-Clause */
/* One transfer after the other: with which flags its sink begins, and what is true when it ends. */
#include "sim-judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_release(void *context, void *token)
{
	sim_token_drop(context, token);
}

static void on_event(void *context, const struct sink_event *event)
{
	const struct sim_receiver *receiver = context;

	static const char *const kinds[] = { "a file is done", NULL, NULL, "a file is unchanged", "a file differs" };
	bool failed = event->kind == SINK_FAILED || event->kind == SINK_SKIPPED;

	sim_check(receiver->end.sim, !failed || event->text[0] != '\0', "a failure without words");
	sim_say(receiver->end.sim, "sink: %s", failed ? event->text : kinds[event->kind]);
}

static void fail(struct sim_receiver *receiver, int code, const char *text)
{
	struct error err = { 0 };

	error_set(&err, code, FAULT_LOCAL, "%s", text);
	sim_end_fail(&receiver->end, &err);
}

/* The sums of a tree, beside its listing: as the program asks for its progress. */
static void totals_ask(struct sim_receiver *receiver, const struct sim_transfer *transfer)
{
	const struct message_list list = {
		.flags = MESSAGE_LIST_TOTALS,
		.depth = MESSAGE_DEPTH_ALL,
		.path = transfer->remote,
		.path_len = strlen(transfer->remote),
	};

	if (message_list_write(sim_end_control(&receiver->end), SIM_TOTALS_REQUEST - receiver->at, &list) < 0)
		abort();
}

/* What counts of what is there, as the program decides it; who does not resume begins under a name of its own. */
static void flags_choose(struct sim_receiver *receiver, struct sim_transfer *transfer)
{
	struct sim *sim = receiver->end.sim;
	bool noted = !list_empty(&transfer->journal.files);

	transfer->flags_now = transfer->flags;
	if (transfer->resumes)
		transfer->flags_now |= SINK_FLAG_LEAVE | (noted ? SINK_FLAG_RESUME : 0);
	transfer->reused = (transfer->flags_now & ~(unsigned)SINK_FLAG_LEAVE) != 0 ||
	                   (transfer->resumes && transfer->sinks > 0);
	transfer->sinks++;
	if (transfer->hidden[0] == '\0' || !transfer->resumes)
		snprintf(transfer->hidden, sizeof(transfer->hidden), ".xfer-%016llx",
		         (unsigned long long)sim_number(sim));
}

/* Begins the next transfer that is not finished; or all is done. */
void sim_transfer_begin(struct sim_receiver *receiver)
{
	struct sim *sim = receiver->end.sim;
	const struct sink_watch watch = { .context = receiver, .event = on_event, .release = on_release };
	uint64_t two = 2 * (uint64_t)receiver->end.limits.chunk_size;
	struct sim_transfer *transfer;
	struct sink_params params;
	struct sim_name *there;
	int r;

	while (receiver->at < receiver->count && receiver->transfers[receiver->at].over)
		receiver->at++;
	if (receiver->at == receiver->count) {
		receiver->over = true;
		sim_end_close(&receiver->end);
		return;
	}
	transfer = &receiver->transfers[receiver->at];
	there = sim_disk_look(receiver->disk, transfer->name);
	transfer->stood = there != NULL;
	transfer->began = sim->now;
	transfer->blind = receiver->end.limits.digest_size == 0;
	flags_choose(receiver, transfer);
	receiver->disk->transfer = ++sim->closes;
	receiver->disk->frozen = (transfer->flags & SINK_FLAG_VERIFY) != 0;
	params = (struct sink_params){
		.remote = transfer->remote,
		.name = transfer->name,
		.name_exists = there != NULL,
		.name_is_dir = there != NULL && there->kind == SIM_DIR,
		.hidden = transfer->hidden,
		.flags = transfer->flags_now,
		.strong = receiver->end.limits.digest_size >= 32,
		.keep_payload = sim->plan.keep_payload,
		.keeps_max = sim->plan.keeps_max,
		.reserved = ".xfer-",
		.chunk_size = receiver->end.limits.chunk_size,
		.digest_size = receiver->end.limits.digest_size,
		.integrity = receiver->end.integrity,
		.requests_max = sim->plan.requests_max,
		.window = sim->plan.window > two ? sim->plan.window : two,
		.order_payload = sim->plan.order_payload,
		.consumed = receiver->consumed,
		.granted = receiver->granted,
		.limit_rate = sim->plan.limit_rate,
		.sync = sim->plan.sync,
	};
	sim_say(sim, "sink: begins with transfer %u, to %s", receiver->at, transfer->name);
	if (sim->plan.totals)
		totals_ask(receiver, transfer);
	sim_enter(sim);
	r = sink_create(&receiver->sink, &params, &watch);
	sim_leave(sim);
	if (r < 0) {
		receiver->over = true;
		fail(receiver, r, "out of memory for a sink");
	}
}

void sim_transfer_finish(struct sim_receiver *receiver)
{
	struct sim *sim = receiver->end.sim;
	struct sim_transfer *transfer = &receiver->transfers[receiver->at];

	sim_check(sim, list_empty(&receiver->writers), "a file is left open");
	sim_check(sim, receiver->held == 0, "%llu bytes of payload are not given back",
	          (unsigned long long)receiver->held);
	transfer->clean = sim->calm || sim_struck(sim) == 0;
	if (transfer->flags & SINK_FLAG_VERIFY)
		transfer->same = sim_judge_same(sim, receiver->disk, sim_tree_find(receiver->tree, transfer->remote),
		                                sim_disk_look(receiver->disk, transfer->name));
	transfer->fault = sink_result(receiver->sink, &transfer->err);
	sink_counts(receiver->sink, &transfer->count);
	transfer->received += transfer->count.received;
	sink_credit(sink_main(receiver->sink), &receiver->consumed, &receiver->granted);
	sim_check(sim, receiver->aborted || receiver->alone || receiver->consumed == receiver->received,
	          "%llu bytes were received, %llu consumed", (unsigned long long)receiver->received,
	          (unsigned long long)receiver->consumed);
	transfer->left = transfer->resumes && (receiver->aborted || !sink_begun(receiver->sink));
	sink_destroy(receiver->sink);
	receiver->sink = NULL;
	receiver->disk->frozen = false;
	if (!transfer->left)
		sim_journal_clear(&transfer->journal);
	sim_say(sim, "sink: transfer %u is finished, %d: %s", receiver->at, transfer->fault,
	        transfer->fault != FAULT_NONE ? transfer->err.text : "all is well");
	if (receiver->aborted) {
		receiver->over = true;
		return;
	}
	transfer->over = true;
	if (receiver->end.state == SIM_OPEN)
		sim_transfer_begin(receiver);
	else
		receiver->over = true;
}
