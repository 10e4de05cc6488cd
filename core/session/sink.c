/* SPDX-License-Identifier: BSD-2-Clause */
/* The sink as a whole: its making, its credit, its result. The tree is in sink_tree.c, the files are in sink_file.c. */
#include "base/text.h"
#include "session/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The hidden name in the folder of the final one. */
static char *partial_path(const struct sink_params *params)
{
	const char *slash = strrchr(params->name, '/');
	int folder = slash != NULL ? (int)(slash - params->name) + 1 : 0;
	char *path;

	return asprintf(&path, "%.*s%s", folder, params->name, params->hidden) < 0 ? NULL : path;
}

static int params_copy(struct sink *sink, const struct sink_params *params)
{
	sink->params = *params;
	sink->partial = partial_path(params);
	sink->params.reserved = sink->reserved = params->reserved != NULL ? strdup(params->reserved) : NULL;
	sink->params.remote = sink->remote = strdup(params->remote);
	sink->params.name = sink->name = strdup(params->name);
	sink->params.hidden = sink->hidden = strdup(params->hidden);
	sink->params.integrity = sink->integrity = strdup(params->integrity);
	if (sink->remote == NULL || sink->name == NULL || sink->hidden == NULL || sink->integrity == NULL)
		return -ENOMEM;
	return sink->partial == NULL || (params->reserved != NULL && sink->reserved == NULL) ? -ENOMEM : 0;
}

int sink_create(struct sink **out, const struct sink_params *params, const struct sink_watch *watch)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL)
		return -ENOMEM;
	list_init(&sink->dirs);
	list_init(&sink->dir_queue);
	list_init(&sink->fresh);
	list_init(&sink->ready);
	list_init(&sink->items);
	list_init(&sink->asks);
	list_init(&sink->unknown);
	list_init(&sink->keeps);
	list_init(&sink->files);
	sink->watch = *watch;
	sink->listing = true;
	list_init(&sink->lanes);
	sink_lane_init(&sink->main, sink, params->requests_max, params->consumed, params->granted);
	sink->lister = &sink->main;
	if (params_copy(sink, params) < 0) {
		sink_destroy(sink);
		return -ENOMEM;
	}
	*out = sink;
	return 0;
}

void sink_destroy(struct sink *sink)
{
	if (sink == NULL)
		return;
	sink->aborted = true;
	sink_file_drop(sink);
	sink_dirs_drop(sink);
	sink_lanes_drop(sink);
	sink_list_drop(sink);
	free(sink->remote);
	free(sink->name);
	free(sink->hidden);
	free(sink->reserved);
	free(sink->partial);
	free(sink->integrity);
	free(sink);
}

void sink_report(struct sink *sink, enum fault fault, const char *format, ...)
{
	struct sink_event event = { .kind = SINK_FAILED, .fault = fault };
	struct error said;
	va_list args;

	va_start(args, format);
	error_setv(&said, -EIO, fault, format, args);
	va_end(args);
	if (sink->fault == FAULT_NONE) {
		sink->fault = fault;
		sink->first = said;
	} else if (sink->fault != fault) {
		sink->fault = FAULT_MIXED;
	}
	event.text = said.text;
	if (sink->watch.event != NULL)
		sink->watch.event(sink->watch.context, &event);
}

int sink_frames(struct sink_lane *lane, struct buf *out, uint64_t now)
{
	struct sink *sink = lane->sink;
	int r;

	if (lane->cancels.len > 0) {
		r = buf_append(out, lane->cancels.data, lane->cancels.len);
		if (r < 0)
			return r;
		buf_clear(&lane->cancels);
	}
	if (lane == sink->lister && !sink->list_sent && !sink->aborted) {
		const struct message_list list = {
			.depth = MESSAGE_DEPTH_ALL,
			.credit = LIST_WINDOW,
			.path = sink->remote,
			.path_len = strlen(sink->remote),
		};
		r = message_list_write(out, SINK_LIST_REQUEST, &list);
		if (r < 0)
			return r;
		sink->list_sent = true;
		sink->list_granted = LIST_WINDOW;
	}
	r = sink->aborted ? 0 : sink_file_requests(lane, out);
	/* After giving up, too: what could not be cancelled needs it to come to its end. */
	if (sink_waits(sink)) {
		int code = sink_lane_credit(lane, out, now);

		r = r == 0 ? code : r;
	}
	return r;
}

uint64_t sink_deadline(const struct sink *sink, uint64_t now)
{
	if (sink->params.limit_rate == 0 || sink->aborted || sink_finished(sink))
		return CLOCK_NEVER;
	return now + 100 * CLOCK_MS;
}

bool sink_next(struct sink *sink, struct sink_order *order)
{
	order->count = 0;
	sink_list_go_on(sink);
	if (sink_reuse_next(sink, order) || sink_file_next(sink, order) || sink_tree_next(sink, order)) {
		sink->out++;
		return true;
	}
	return false;
}

void sink_done(struct sink *sink, struct sink_order *order)
{
	sink->out--;
	switch (order->kind) {
	case SINK_ORDER_WRITE: sink_file_done(sink, order); break;
	case SINK_ORDER_DIRS: sink_tree_done(sink, order); break;
	case SINK_ORDER_PROBE: sink_probes_done(sink, order); break;
	case SINK_ORDER_KEEP: sink_keeps_done(sink, order); break;
	}
}

static int list_end(struct sink_lane *lane, const struct end *end, struct error *err)
{
	struct sink *sink = lane->sink;
	char text[MESSAGE_TEXT_MAX];
	char path[512];

	if (!sink->listing || sink->list_over || lane != sink->lister)
		return 0;
	if (end->status == STATUS_OK && sink->list_skip > 0 && !sink->aborted) {
		sink->list_differs = true;
		return error_set(err, -ESTALE, FAULT_PEER, "the source has changed while it was listed");
	}
	if (end->status == STATUS_OK && !sink->aborted) {
		sink->list_over = true;
		return sink->backlog.len == 0 ? sink_list_close(sink, err) : 0;
	}
	sink->listing = false;
	sink_list_drop(sink);
	if (sink->aborted)
		return 0;
	sink->count.failed++;
	text_printable(path, sizeof(path), sink->remote, strlen(sink->remote));
	text_printable(text, sizeof(text), end->text, end->text_len);
	sink_report(sink, status_fault(end->status), "%s: %s", path, text[0] != '\0' ? text : status_text(end->status));
	if (sink->at != NULL)
		sink_cancel(sink);
	return 0;
}

int sink_end(struct sink_lane *lane, const struct end *end, struct error *err)
{
	return end->request == SINK_LIST_REQUEST ? list_end(lane, end, err) : sink_file_end(lane, end, err);
}

void sink_cancel(struct sink *sink)
{
	if (sink->aborted)
		return;
	sink->aborted = true;
	sink_list_drop(sink);
	if (!sink->list_sent || sink->list_over)
		sink->listing = false;
	else if (sink->listing)
		(void)message_cancel_write(&sink->lister->cancels, SINK_LIST_REQUEST);
	sink_file_abort(sink);
}

void sink_abort(struct sink *sink)
{
	if (!sink->aborted)
		sink->leave = (sink->params.flags & SINK_FLAG_LEAVE) != 0;
	sink_cancel(sink);
	sink->listing = false;
	sink_file_forget(sink);
}

bool sink_begun(const struct sink *sink)
{
	return sink->begun;
}

bool sink_finished(const struct sink *sink)
{
	return sink->out == 0 && !sink->listing && sink->live == 0 && sink->step == STEP_OVER;
}

enum fault sink_result(const struct sink *sink, struct error *err)
{
	if (sink->fault != FAULT_NONE) {
		if (err != NULL)
			*err = sink->first;
		if (err != NULL)
			err->fault = sink->fault;
		return sink->fault;
	}
	if (sink->count.skipped > 0) {
		error_set(err, -ENOTSUP, FAULT_MIXED, "%llu special files were skipped",
		          (unsigned long long)sink->count.skipped);
		return FAULT_MIXED;
	}
	return FAULT_NONE;
}

void sink_counts(const struct sink *sink, struct sink_count *out)
{
	*out = sink->count;
}

uint64_t sink_moved(const struct sink *sink)
{
	return sink->moved;
}

uint64_t sink_left(const struct sink *sink)
{
	const struct sink_count *count = &sink->count;
	uint64_t had = count->received + count->kept;

	if (sink->listing)
		return UINT64_MAX;
	return count->listed > had ? count->listed - had : 0;
}

bool sink_waits(const struct sink *sink)
{
	if (sink->listing && !sink->list_over)
		return true;
	for (const struct list *node = sink->lanes.next; node != &sink->lanes; node = node->next) {
		if (list_entry(node, struct sink_lane, link)->requests.count > 0)
			return true;
	}
	return false;
}
