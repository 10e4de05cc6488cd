/* SPDX-License-Identifier: BSD-2-Clause */
/* Sorted runs in a file, merged, and searched behind a fixed number of fences. */
#include "store/index.h"

#include "store/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MERGE_RUNS = 64, /* merged at once */
	BLOCK = 128      /* entries: so few are read instead of halved further */
};

struct index {
	index_file make;
	void *context;
	uint64_t count;             /* of all entries */
	uint64_t stored;            /* of those in the file */
	int fd;                     /* owned; -1 while all are in memory */
	bool sorted;                /* as they came: nothing to merge */
	struct index_entry last;    /* the last added, where sorted */
	struct index_entry *run;    /* owned; those not in the file. NULL once a file was sealed */
	size_t held, cap;           /* of run */
	struct index_entry *fences; /* owned; every `step`th entry of the file. NULL: in memory */
	size_t fence_count;
	uint64_t step;
};

static int compare(const struct index_entry *a, const struct index_entry *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static int compare_for_qsort(const void *a, const void *b)
{
	return compare(a, b);
}

int index_new(struct index **out, index_file make, void *context)
{
	struct index *index = calloc(1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	index->make = make;
	index->context = context;
	index->fd = -1;
	index->sorted = true;
	*out = index;
	return 0;
}

void index_free(struct index *index)
{
	if (!index)
		return;
	if (index->fd >= 0)
		close(index->fd);
	free(index->run);
	free(index->fences);
	free(index);
}

/* ---- the file ---- */

static int write_entries(int fd, const struct index_entry *entries, size_t count, uint64_t rank)
{
	union {
		const struct index_entry *from;
		void *base; /* pwritev() only reads it */
	} bytes = { .from = entries };
	struct iovec iov = { .iov_base = bytes.base, .iov_len = count * sizeof(*entries) };
	return store_writev(fd, &iov, 1, rank * sizeof(*entries));
}

/* All `count` of them, which are there. */
static int read_entries(int fd, struct index_entry *out, size_t count, uint64_t rank)
{
	ssize_t got = store_read(fd, out, count * sizeof(*out), rank * sizeof(*out));
	if (got < 0)
		return (int)got;
	return (size_t)got == count * sizeof(*out) ? 0 : -EIO;
}

/* ---- adding ---- */

static void sort_run(struct index *index)
{
	if (!index->sorted)
		qsort(index->run, index->held, sizeof(*index->run), compare_for_qsort);
}

static int write_run(struct index *index)
{
	int code = 0;
	if (index->fd < 0)
		code = index->make(index->context, &index->fd);
	sort_run(index);
	if (code == 0)
		code = write_entries(index->fd, index->run, index->held, index->stored);
	if (code < 0)
		return code;
	index->stored += index->held;
	index->held = 0;
	return 0;
}

int index_add(struct index *index, const struct index_entry *entry)
{
	if (index->held == INDEX_RUN) {
		int code = write_run(index);
		if (code < 0)
			return code;
	}
	if (index->held == index->cap) {
		size_t cap = index->cap > 0 ? 2 * index->cap : 64;
		struct index_entry *run = reallocarray(index->run, cap, sizeof(*run));
		if (!run)
			return -ENOMEM;
		index->run = run;
		index->cap = cap;
	}
	if (index->count > 0 && compare(entry, &index->last) < 0)
		index->sorted = false;
	index->last = *entry;
	index->run[index->held++] = *entry;
	index->count++;
	return 0;
}

/* ---- merging ---- */

struct merge_run {
	uint64_t rank, end;        /* what is not read yet */
	struct index_entry *ahead; /* `room` of them, lent */
	size_t next, count;
};

struct merge {
	int from;
	size_t room;                        /* entries that each run reads ahead */
	struct merge_run *heap[MERGE_RUNS]; /* the smallest first entry on top; runs that have ended are not in it */
	size_t count;
	struct merge_run runs[MERGE_RUNS];
};

static const struct index_entry *head_of(const struct merge_run *run)
{
	return &run->ahead[run->next];
}

static void sift_down(struct merge *merge, size_t at)
{
	struct merge_run *run = merge->heap[at];
	for (size_t child = 2 * at + 1; child < merge->count; child = 2 * at + 1) {
		if (child + 1 < merge->count &&
		    compare(head_of(merge->heap[child + 1]), head_of(merge->heap[child])) < 0)
			child++;
		if (compare(head_of(run), head_of(merge->heap[child])) <= 0)
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = run;
}

/* Steps to the run's next entry: 1, 0 at its end, -errno. */
static int step(struct merge *merge, struct merge_run *run)
{
	if (++run->next < run->count)
		return 1;
	uint64_t left = run->end - run->rank;
	run->next = 0;
	run->count = left < merge->room ? (size_t)left : merge->room;
	int code = read_entries(merge->from, run->ahead, run->count, run->rank);
	run->rank += run->count;
	return code < 0 ? code : run->count > 0;
}

/* Begins with the runs of `run_len` entries that lie in [rank, end). */
static int merge_begin(struct merge *merge, struct index_entry *ahead, uint64_t rank, uint64_t end, uint64_t run_len)
{
	size_t runs = (size_t)((end - rank + run_len - 1) / run_len);
	merge->count = 0;
	merge->room = INDEX_RUN / MERGE_RUNS;
	for (size_t i = 0; i < runs; i++) {
		struct merge_run *run = &merge->runs[i];
		*run = (struct merge_run){ .rank = rank, .ahead = ahead + i * merge->room };
		run->end = end - rank < run_len ? end : rank + run_len;
		rank = run->end;
		int code = step(merge, run);
		if (code < 0)
			return code;
		merge->heap[merge->count++] = run;
	}
	for (size_t i = merge->count / 2; i-- > 0;)
		sift_down(merge, i);
	return 0;
}

/* One pass: groups of MERGE_RUNS runs become one run each, in `to`. */
static int merge_pass(struct index *index, struct merge *merge, struct index_entry *out, uint64_t run_len, int to)
{
	uint64_t group = run_len > UINT64_MAX / MERGE_RUNS ? UINT64_MAX : run_len * MERGE_RUNS;
	uint64_t written = 0;
	size_t held = 0;
	merge->from = index->fd;
	for (uint64_t rank = 0; rank < index->count;) {
		uint64_t end = index->count - rank < group ? index->count : rank + group;
		int code = merge_begin(merge, index->run, rank, end, run_len);
		if (code < 0)
			return code;
		while (merge->count > 0) {
			out[held++] = *head_of(merge->heap[0]);
			code = step(merge, merge->heap[0]);
			if (code == 0)
				merge->heap[0] = merge->heap[--merge->count];
			if (code >= 0 && merge->count > 0)
				sift_down(merge, 0);
			if (code >= 0 && held == INDEX_RUN) {
				code = write_entries(to, out, held, written);
				written += held;
				held = 0;
			}
			if (code < 0)
				return code;
		}
		rank = end;
	}
	return held > 0 ? write_entries(to, out, held, written) : 0;
}

static int merge_all(struct index *index)
{
	struct merge *merge = malloc(sizeof(*merge));
	struct index_entry *out = reallocarray(NULL, INDEX_RUN, sizeof(*out));
	int code = merge && out ? 0 : -ENOMEM;
	for (uint64_t run_len = INDEX_RUN; code == 0 && run_len < index->count; run_len *= MERGE_RUNS) {
		int to;
		code = index->make(index->context, &to);
		if (code < 0)
			break;
		code = merge_pass(index, merge, out, run_len, to);
		if (code < 0) {
			close(to);
			break;
		}
		close(index->fd);
		index->fd = to;
	}
	free(out);
	free(merge);
	return code;
}

static int set_fences(struct index *index)
{
	index->step = (index->count + INDEX_FENCES - 1) / INDEX_FENCES;
	size_t count = (size_t)((index->count + index->step - 1) / index->step);
	index->fences = reallocarray(NULL, count, sizeof(*index->fences));
	if (!index->fences)
		return -ENOMEM;
	for (; index->fence_count < count; index->fence_count++) {
		int code = read_entries(index->fd, &index->fences[index->fence_count], 1,
		                        index->fence_count * index->step);
		if (code < 0)
			return code;
	}
	return 0;
}

int index_seal(struct index *index)
{
	if (index->fd < 0) {
		sort_run(index);
		return 0;
	}
	int code = write_run(index);
	if (code == 0 && !index->sorted)
		code = merge_all(index);
	if (code == 0)
		code = set_fences(index);
	free(index->run);
	index->run = NULL;
	return code;
}

/* ---- looking up ---- */

/* How many of these are less. */
static size_t rank_among(const struct index_entry *entries, size_t count, const struct index_entry *entry)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&entries[middle], entry) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int index_rank(const struct index *index, const struct index_entry *entry, uint64_t *rank)
{
	struct index_entry block[BLOCK];
	if (index->fd < 0) {
		*rank = rank_among(index->run, index->held, entry);
		return 0;
	}
	size_t fence = rank_among(index->fences, index->fence_count, entry);
	uint64_t low = fence > 0 ? (fence - 1) * index->step + 1 : 0; /* all before are less */
	uint64_t high = fence < index->fence_count ? fence * index->step : index->count;
	while (high - low > BLOCK) {
		uint64_t middle = low + (high - low) / 2;
		int code = read_entries(index->fd, block, 1, middle);
		if (code < 0)
			return code;
		if (compare(block, entry) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	int code = read_entries(index->fd, block, (size_t)(high - low), low);
	if (code < 0)
		return code;
	*rank = low + rank_among(block, (size_t)(high - low), entry);
	return 0;
}

int index_read(const struct index *index, uint64_t rank, struct index_entry *out, size_t max)
{
	uint64_t left = rank < index->count ? index->count - rank : 0;
	size_t count = left < max ? (size_t)left : max;
	int code = 0;
	if (index->fd >= 0)
		code = read_entries(index->fd, out, count, rank);
	else if (count > 0)
		memcpy(out, index->run + rank, count * sizeof(*out));
	return code < 0 ? code : (int)count;
}

int index_last(const struct index *index, uint64_t major, uint64_t minor, struct index_entry *out)
{
	const struct index_entry beyond = { .major = major, .minor = minor, .at = UINT64_MAX };
	struct index_entry found;
	uint64_t rank;
	int code = index_rank(index, &beyond, &rank);
	if (code == 0 && rank == 0)
		return -ENOENT;
	if (code == 0)
		code = index_read(index, rank - 1, &found, 1);
	if (code < 0)
		return code;
	if (found.major != major || found.minor != minor)
		return -ENOENT;
	*out = found;
	return 0;
}

int index_seek(struct index_cursor *cursor, const struct index *index, uint64_t major, uint64_t minor)
{
	const struct index_entry first = { .major = major, .minor = minor };
	cursor->index = index;
	cursor->next = 0;
	cursor->count = 0;
	return index_rank(index, &first, &cursor->rank);
}

int index_next(struct index_cursor *cursor, struct index_entry *out)
{
	if (cursor->next == cursor->count) {
		int code = index_read(cursor->index, cursor->rank, cursor->ahead, INDEX_AHEAD);
		if (code <= 0)
			return code;
		cursor->next = 0;
		cursor->count = (size_t)code;
		cursor->rank += cursor->count;
	}
	*out = cursor->ahead[cursor->next++];
	return 1;
}
