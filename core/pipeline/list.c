/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two stages of list jobs. The first frame is made in place in the buffer that will be sent: room for its header,
 * then entries, then the digest.
 */
#include "base/clock.h"
#include "pipeline/stage.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	WALK_CHECK = 64, /* entries between two looks at the clock */
	WALK_TEXT_MAX = 120
};
/* So long a job walks at most before it comes back with what it has. */
#define WALK_TIME (20 * CLOCK_MS)

struct list_walk {
	struct store_root *root;
	struct store_walk *walk; /* NULL before the first job */
	unsigned depth;
	bool totals;
	bool begun;         /* the first entry was taken */
	bool held;          /* `entry` did not fit into the last run: it is the first of the next */
	bool over;          /* nothing more comes */
	enum status status; /* how it ended */
	int code;           /* the -errno behind the status, 0 = none */
	struct store_entry entry;
	uint64_t files; /* sums of what was met */
	uint64_t bytes;
	char **names;     /* list_walk_names(): owned, NULL-terminated; NULL for a walk through a tree */
	size_t names_at;  /* entries given so far */
	const char *name; /* of the first entry, NULL = its own */
	char *path;
};

int list_walk_create(struct list_walk **out, struct store_root *root, const char *path, unsigned depth, bool totals,
                     const char *name)
{
	size_t len = strlen(path) + 1;
	size_t name_len = name != NULL ? strlen(name) + 1 : 0;
	struct list_walk *walk = calloc(1, sizeof(*walk) + len + name_len);

	if (walk == NULL)
		return -ENOMEM;
	walk->path = memcpy(walk + 1, path, len);
	if (name != NULL && *path == '\0')
		walk->name = memcpy(walk->path + len, name, name_len);
	walk->root = root != NULL ? store_root_ref(root) : NULL;
	walk->depth = depth >= MESSAGE_DEPTH_ALL ? UINT_MAX : depth;
	walk->totals = totals;
	*out = walk;
	return 0;
}

void list_walk_destroy(struct list_walk *walk)
{
	if (walk == NULL)
		return;
	for (size_t i = 0; walk->names != NULL && walk->names[i] != NULL; i++)
		free(walk->names[i]);
	free(walk->names);
	store_walk_close(walk->walk);
	store_root_unref(walk->root);
	free(walk);
}

static void walk_end(struct list_walk *walk, enum status status, int code)
{
	walk->over = true;
	walk->status = status;
	walk->code = code;
}

int list_walk_names(struct list_walk **out, const char *const *names, size_t count)
{
	struct list_walk *walk;
	int code = list_walk_create(&walk, NULL, "", 1, false, NULL);

	if (code < 0)
		return code;
	walk->names = calloc(count + 1, sizeof(*walk->names));
	for (size_t i = 0; walk->names != NULL && i < count; i++) {
		walk->names[i] = strdup(names[i]);
		if (walk->names[i] == NULL)
			code = -ENOMEM;
	}
	if (walk->names == NULL || code < 0) {
		list_walk_destroy(walk);
		return -ENOMEM;
	}
	*out = walk;
	return 0;
}

/* A directory that holds the names, each a directory: entry 0 opens it, then two for each name, the last one closes it. */
static bool names_next(struct list_walk *walk)
{
	size_t at = walk->names_at++;

	walk->entry = (struct store_entry){ .kind = STORE_DIR, .name = "exports", .st.st_mode = S_IFDIR | 0755 };
	if (at == 0)
		return true;
	if (walk->names[(at - 1) / 2] == NULL) {
		walk->entry.kind = STORE_UP;
		walk_end(walk, STATUS_OK, 0);
		return true;
	}
	walk->entry.kind = at % 2 == 1 ? STORE_DIR : STORE_UP;
	walk->entry.name = walk->names[(at - 1) / 2];
	return true;
}

/* Makes the next entry the one in hand; false when there is none. */
static bool walk_next(struct list_walk *walk)
{
	int code = 0;

	if (walk->held)
		return true;
	if (walk->over)
		return false;
	if (walk->names != NULL)
		return names_next(walk);
	if (walk->walk == NULL)
		code = store_walk_open(&walk->walk, walk->root, walk->path, walk->depth, STORE_HIDDEN, NULL);
	if (code == 0)
		code = store_walk_next(walk->walk, &walk->entry);
	if (code <= 0) {
		walk_end(walk, stage_status(code), code);
		return false;
	}
	if (!walk->begun && walk->name != NULL)
		walk->entry.name = walk->name;
	walk->begun = true;
	if (walk->entry.kind == STORE_FILE) {
		walk->files++;
		walk->bytes += (uint64_t)walk->entry.st.st_size;
	}
	return true;
}

static enum entry_kind entry_kind(enum store_kind kind)
{
	switch (kind) {
	case STORE_FILE: return ENTRY_FILE;
	case STORE_DIR: return ENTRY_DIR;
	case STORE_UP: return ENTRY_UP;
	case STORE_SYMLINK: return ENTRY_SYMLINK;
	case STORE_SPECIAL: return ENTRY_SPECIAL;
	case STORE_UNREADABLE: break;
	}
	return ENTRY_UNREADABLE;
}

static int entry_put(struct buf *out, const struct store_entry *from)
{
	const char *text = from->kind == STORE_SYMLINK ? from->target : from->text;
	struct entry entry = {
		.kind = entry_kind(from->kind),
		.flags = from->kind == STORE_FILE && from->sparse ? ENTRY_SPARSE : 0,
		.mode = from->st.st_mode & 07777,
		.size = from->kind == STORE_FILE ? (uint64_t)from->st.st_size : 0,
		.mtime = from->st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)from->st.st_mtim.tv_nsec,
		.name = from->kind == STORE_UP ? "" : from->name,
		.text = text != NULL ? text : "",
	};

	entry.name_len = strlen(entry.name);
	entry.text_len = strlen(entry.text);
	return message_entry_write(out, &entry);
}

/* Appends the entry in hand, or leaves it in hand when the run is full (1). */
static int walk_put(struct list_walk *walk, struct buf *out, size_t limit)
{
	size_t before = out->len;
	int code = entry_put(out, &walk->entry);

	if (code < 0)
		return code;
	walk->held = out->len > limit;
	if (!walk->held)
		return 0;
	out->len = before;
	return 1;
}

static int walk_run(struct list_job *job, uint64_t *entries)
{
	struct list_walk *walk = job->walk;
	uint64_t most = FRAME_CONTROL_MAX - job->job.suite->limits.digest_size;
	uint64_t begin = clock_monotonic();
	int code = buf_reserve(&job->out, FRAME_HEADER);

	if (code < 0)
		return code;
	job->out.len = FRAME_HEADER;
	if (most > job->run_max)
		most = job->run_max;
	while (walk_next(walk)) {
		if (!walk->totals)
			code = walk_put(walk, &job->out, FRAME_HEADER + (size_t)most);
		if (code != 0)
			break;
		if (++*entries % WALK_CHECK == 0 && clock_monotonic() - begin > WALK_TIME)
			break;
	}
	return code < 0 ? code : 0;
}

uint64_t list_stage_storage(struct list_job *job)
{
	uint64_t entries = 0;

	job->out = (struct buf){ 0 };
	job->run = 0;
	job->ended = false;
	job->code = 0;
	if (job->refuse != STATUS_OK) {
		job->walk->held = false;
		walk_end(job->walk, job->refuse, 0);
	}
	job->code = walk_run(job, &entries);
	if (job->code == 0)
		job->run = job->out.len - FRAME_HEADER;
	return job->run;
}

/* Appends the digest of what stands in the frame that begins at `start`, and its header. */
static int frame_close(struct list_job *job, size_t start, enum frame_type type, uint32_t request)
{
	const struct suite *suite = job->job.suite;
	size_t run = job->out.len - start - FRAME_HEADER;
	int code = buf_reserve(&job->out, suite->limits.digest_size);

	if (code < 0)
		return code;
	uint8_t *body = job->out.data + start + FRAME_HEADER;
	if (suite->limits.digest_size > 0)
		code = plugin_digest(suite->integrity, body, run, body + run);
	if (code < 0)
		return code;
	job->out.len += suite->limits.digest_size;
	frame_control_seal(job->out.data + start, type, 0, request, run + suite->limits.digest_size);
	return 0;
}

static int walk_ends(struct list_job *job)
{
	const struct list_walk *walk = job->walk;
	char text[WALK_TEXT_MAX];
	size_t start = job->out.len;
	struct end end = {
		.request = job->request,
		.status = walk->status,
		.size = walk->totals ? walk->bytes : 0,
		.chunks = walk->totals ? walk->files : 0,
		.text = stage_text(walk->code, text, sizeof(text)),
	};
	int code = buf_reserve(&job->out, FRAME_HEADER);

	if (code < 0)
		return code;
	job->out.len += FRAME_HEADER;
	end.text_len = strlen(end.text);
	code = message_end_write(&job->out, job->job.suite->limits.digest_size, &end);
	return code < 0 ? code : frame_close(job, start, FRAME_ENDS, 0);
}

uint64_t list_stage_hash(struct list_job *job)
{
	int code = job->code;

	if (code == 0 && job->run == 0)
		job->out.len = 0;
	else if (code == 0)
		code = frame_close(job, 0, FRAME_ENTRIES, job->request);
	/* The entry in hand comes first, in the next job. */
	job->ended = code == 0 && job->walk->over && !job->walk->held;
	if (job->ended)
		code = walk_ends(job);
	if (code < 0) {
		buf_free(&job->out);
		job->code = code;
		job->ended = false;
		job->run = 0;
	}
	return job->job.suite->limits.digest_size > 0 ? job->run : 0;
}
