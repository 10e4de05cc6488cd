/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is damaged on the way, and whether the receiving side takes it: frames as the wire has them go through the checks
 * that a session makes of them, header, head of a chunk, control frame and digest, the last by the stage of the pipeline.
 *
 *   damage flips INTEGRITY [COUNT]     each single bit of a frame with a chunk of 64 KiB turned over, or COUNT of them by
 *                                      chance and each of its head
 *   damage random INTEGRITY COUNT      so many corruptions of a stream of frames: bits, and pieces that are dropped,
 *                                      repeated, swapped or cut off
 *
 * XFER_FAULTS_SEED repeats what came by chance. Prints what was tried and what was missed: taken, and not what was sent.
 * Its status is 0 when nothing was missed; 3 when something was.
 */
#include "base/clock.h"
#include "base/option.h"
#include "pipeline/stage.h"
#include "wire-frames.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 65536,
	INDEX = 7,        /* of the chunk with the flips */
	CHUNKS = 64,      /* of the file */
	GROUP = 64,       /* frames that are checked in one job */
	FRAMES = 12,      /* of a random stream */
	SMALL = 2048,     /* bytes of payload in it, at most */
	PIECE_MAX = 3000, /* bytes that are dropped, repeated or swapped, at most */
	STREAM_MAX = 2 * FRAMES * (FRAME_HEADER + FRAME_CHUNK_HEAD + FRAME_DIGEST_MAX + SMALL) + FRAME_CONTROL_MAX
};

struct damage {
	struct suite suite;
	struct store_root *root;
	struct write_file *file;
	uint64_t random;
	uint64_t tried, missed, refused, stopped;
};

static void die(const char *what, int code)
{
	fprintf(stderr, "damage: %s: %s\n", what, strerror(-code));
	exit(2);
}

/* splitmix64 */
static uint64_t draw(struct damage *damage)
{
	uint64_t z = damage->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void file_new(struct damage *damage)
{
	const struct write_place place = { .root = damage->root, .path = "never-opened" };

	write_file_destroy(damage->file);
	int code = write_file_create(&damage->file, &place, &damage->suite, (uint64_t)CHUNKS * CHUNK);
	if (code < 0)
		die("a file", code);
}

static void random_bytes(struct damage *damage, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)draw(damage);
}

/* A whole frame with a chunk; returns its length. */
static size_t chunk_make(struct damage *damage, uint8_t *frame, uint64_t index, uint32_t len)
{
	size_t head = frame_chunk_overhead(&damage->suite.limits);
	uint8_t digest[FRAME_DIGEST_MAX] = { 0 };

	random_bytes(damage, frame + head, len);
	int code = damage->suite.limits.digest_size == 0
	                   ? 0
	                   : plugin_digest(damage->suite.integrity, frame + head, len, digest);
	if (code < 0)
		die("a digest", code);
	frame_chunk_seal(frame, &damage->suite.limits, 9, 0, index, len, digest);
	return head + len;
}

/* ---- flips ---- */

struct group {
	struct write_job job;
	uint8_t *frames[GROUP];
	size_t bits[GROUP];
};

/* What the session is left with of these frames is checked; afterwards they are as they were. */
static void group_check(struct damage *damage, struct group *group)
{
	struct job *jobs[1] = { &group->job.job };

	if (group->job.count > 0)
		(void)write_stage_hash(jobs, 1);
	for (size_t i = 0; i < group->job.count; i++) {
		size_t bit = group->bits[i];

		group->frames[i][bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (group->job.pieces[i].code == -EBADMSG) {
			damage->refused++;
			continue;
		}
		if (damage->missed++ < 5)
			printf("missed: bit %zu of byte %zu\n", bit % 8, bit / 8);
	}
	group->job.count = 0;
}

static void flip(struct damage *damage, struct group *group, size_t bit)
{
	struct write_piece *piece = &group->job.pieces[group->job.count];
	uint8_t *frame = group->frames[group->job.count];
	struct error err = { 0 };

	damage->tried++;
	frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
	*piece = (struct write_piece){ .op = WRITE_CHUNK, .file = damage->file };
	if (frame_chunk_read(frame, &damage->suite.limits, &piece->chunk, &err) < 0) {
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		damage->stopped++;
		return;
	}
	group->bits[group->job.count++] = bit;
	if (group->job.count == GROUP)
		group_check(damage, group);
}

static void flips(struct damage *damage, uint64_t count)
{
	size_t head = frame_chunk_overhead(&damage->suite.limits), bits = (head + CHUNK) * 8;
	struct group *group = calloc(1, sizeof(*group));
	struct error err = { 0 };

	if (group == NULL)
		die("a job", -ENOMEM);
	group->job.job.suite = &damage->suite;
	for (size_t i = 0; i < GROUP; i++) {
		group->frames[i] = malloc(head + CHUNK);
		if (group->frames[i] == NULL)
			die("a frame", -ENOMEM);
		if (i == 0)
			(void)chunk_make(damage, group->frames[0], INDEX, CHUNK);
		else
			memcpy(group->frames[i], group->frames[0], head + CHUNK);
	}
	for (size_t bit = 0; bit < (count > 0 ? head * 8 : bits); bit++)
		flip(damage, group, bit);
	for (uint64_t i = 0; i < count; i++)
		flip(damage, group, head * 8 + draw(damage) % (bits - head * 8));
	group_check(damage, group);

	/* And as it was sent it is taken. */
	file_new(damage);
	struct job *jobs[1] = { &group->job.job };
	group->job.pieces[0] = (struct write_piece){ .op = WRITE_CHUNK, .file = damage->file };
	group->job.count = 1;
	if (frame_chunk_read(group->frames[0], &damage->suite.limits, &group->job.pieces[0].chunk, &err) < 0)
		die("a whole frame", -EBADMSG);
	(void)write_stage_hash(jobs, 1);
	if (group->job.pieces[0].code < 0)
		die("a whole chunk", group->job.pieces[0].code);
	for (size_t i = 0; i < GROUP; i++)
		free(group->frames[i]);
	free(group);
}

/* ---- anything ---- */

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t len;
	size_t at[FRAMES + 1]; /* where frames begin as they were sent */
};

static void stream_make(struct damage *damage, struct stream *stream)
{
	stream->len = 0;
	for (size_t i = 0; i < FRAMES; i++) {
		stream->at[i] = stream->len;
		if (draw(damage) % 3 > 0) {
			stream->len += chunk_make(damage, stream->bytes + stream->len, i, 1 + draw(damage) % SMALL);
			continue;
		}
		struct buf frame = { 0 };
		const struct wire_example *example = &wire_examples[draw(damage) % wire_example_count];
		if (example->type == FRAME_CHUNK || example->write(&frame) < 0 || frame.len > SMALL) {
			buf_free(&frame);
			stream->len += chunk_make(damage, stream->bytes + stream->len, i, 1);
			continue;
		}
		memcpy(stream->bytes + stream->len, frame.data, frame.len);
		stream->len += frame.len;
		buf_free(&frame);
	}
	stream->at[FRAMES] = stream->len;
}

/* Copies `from`, damaged once, into `to`. False when it is what it was. */
static bool stream_damage(struct damage *damage, const struct stream *from, struct stream *to)
{
	size_t at = draw(damage) % from->len;
	size_t len = 1 + draw(damage) % (draw(damage) % 2 ? 16 : PIECE_MAX);
	size_t left = from->len - at, other;

	if (len > left)
		len = left;
	memcpy(to->bytes, from->bytes, from->len);
	to->len = from->len;
	switch (draw(damage) % 5) {
	case 0: to->bytes[at] ^= (uint8_t)(1u << draw(damage) % 8); break;
	case 1: /* dropped */
		memmove(to->bytes + at, to->bytes + at + len, left - len);
		to->len -= len;
		break;
	case 2: /* repeated */
		memmove(to->bytes + at + len, from->bytes + at, left);
		to->len += len;
		break;
	case 3: /* swapped with what follows */
		other = left - len < len ? left - len : len;
		memcpy(to->bytes + at, from->bytes + at + len, other);
		memcpy(to->bytes + at + other, from->bytes + at, len);
		break;
	default: to->len = at; break;
	}
	return to->len != from->len || memcmp(to->bytes, from->bytes, to->len) != 0;
}

/* Whether exactly this was sent. */
static bool was_sent(const struct stream *sent, const uint8_t *frame, size_t len)
{
	for (size_t i = 0; i < FRAMES; i++) {
		if (sent->at[i + 1] - sent->at[i] == len && memcmp(sent->bytes + sent->at[i], frame, len) == 0)
			return true;
	}
	return false;
}

/* The chunk is of the stream's own lengths: that one is shorter than others is not looked at here. */
static bool digest_right(struct damage *damage, const struct frame_chunk *chunk)
{
	uint32_t size = damage->suite.limits.digest_size;
	uint8_t digest[FRAME_DIGEST_MAX];

	if (size == 0)
		return true;
	int code = plugin_digest(damage->suite.integrity, chunk->payload, chunk->length, digest);
	if (code < 0)
		die("a digest", code);
	return stage_digest_equal(digest, chunk->digest, size);
}

/* Takes the stream as a session does: until something makes no sense, or nothing more comes. */
static void stream_take(struct damage *damage, const struct stream *sent, const struct stream *come)
{
	const struct frame_limits *limits = &damage->suite.limits;
	struct error err = { 0 };
	size_t at = 0;

	while (come->len - at >= FRAME_HEADER) {
		const uint8_t *frame = come->bytes + at;
		struct frame_header header;
		struct frame_chunk chunk;

		if (frame_header_read(frame, limits, &header, &err) < 0)
			break;
		size_t len = FRAME_HEADER + (size_t)header.length;
		if (come->len - at < len)
			break;
		if (header.type == FRAME_CHUNK
		            ? frame_chunk_read(frame, limits, &chunk, &err) < 0
		            : frame_control_check(frame, frame + FRAME_HEADER, header.length, &err) < 0)
			break;
		at += len;
		if (header.type == FRAME_CHUNK && !digest_right(damage, &chunk)) {
			damage->refused++;
			continue;
		}
		if (was_sent(sent, frame, len))
			continue;
		if (damage->missed++ < 5)
			printf("missed: %s of %zu bytes\n", frame_type_name(header.type), len);
	}
	if (at < come->len)
		damage->stopped++;
}

static void anything(struct damage *damage, uint64_t count)
{
	struct stream *sent = malloc(sizeof(*sent)), *come = malloc(sizeof(*come));

	if (sent == NULL || come == NULL)
		die("streams", -ENOMEM);
	while (damage->tried < count) {
		if (damage->tried % 16 == 0)
			stream_make(damage, sent);
		if (!stream_damage(damage, sent, come))
			continue;
		damage->tried++;
		stream_take(damage, sent, come);
	}
	free(sent);
	free(come);
}

/* ---- */

static int usage(void)
{
	fprintf(stderr, "usage: damage flips INTEGRITY [COUNT] | damage random INTEGRITY COUNT\n");
	return 2;
}

/* With the defaults of its options. */
static struct plugin *integrity_start(struct registry *registry, const char *name)
{
	union xfer_value values[8] = { 0 };
	struct plugin *plugin;
	struct error err = { 0 };
	int rc = registry_load(registry, XFER_KIND_INTEGRITY, name, &plugin, &err);

	for (size_t i = 0; rc == 0 && i < plugin->about.option_count; i++)
		rc = i < sizeof(values) / sizeof(values[0])
		             ? option_read(&plugin->options[i], plugin->options[i].default_text, &values[i])
		             : -E2BIG;
	if (rc < 0 || plugin_start(plugin, values, &err) < 0) {
		fprintf(stderr, "damage: %s\n", err.text);
		exit(2);
	}
	return plugin;
}

int main(int argc, char **argv)
{
	const char *build = getenv("top_builddir"), *seed = getenv("XFER_FAULTS_SEED");
	bool all = argc > 1 && strcmp(argv[1], "random") == 0;
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	struct damage damage = { .random = seed != NULL ? strtoull(seed, NULL, 10) : clock_monotonic() };
	struct registry *registry;
	struct error err = { 0 };
	char folder[600];

	if (argc < 3 || argc > 4 || (!all && strcmp(argv[1], "flips") != 0) || (all && count == 0))
		return usage();
	snprintf(folder, sizeof(folder), "%s/plugins/.libs", build != NULL ? build : ".");
	if (registry_create(&registry, folder, NULL, &err) < 0 || store_root_open(&damage.root, ".", &err) < 0) {
		fprintf(stderr, "damage: %s\n", err.text);
		return 2;
	}
	damage.suite.integrity = integrity_start(registry, argv[2]);
	damage.suite.limits = (struct frame_limits){
		.control_max = FRAME_CONTROL_MAX,
		.chunk_size = CHUNK,
		.digest_size = damage.suite.integrity->integrity.digest_size,
	};
	printf("XFER_FAULTS_SEED=%" PRIu64 "\n", damage.random);
	file_new(&damage);
	if (all)
		anything(&damage, count);
	else
		flips(&damage, count);
	printf("%" PRIu64 " tried: %" PRIu64 " end the session or its stream, %" PRIu64 " chunks are refused, %" PRIu64
	       " missed\n",
	       damage.tried, damage.stopped, damage.refused, damage.missed);
	write_file_destroy(damage.file);
	store_root_unref(damage.root);
	registry_destroy(registry);
	return damage.missed > 0 ? 3 : 0;
}
