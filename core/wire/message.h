/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bodies of the control frames. Each X_write() appends one whole, sealed frame to a buffer (0, -ENOMEM, -EMSGSIZE);
 * each X_read() takes a body whose CRC was checked and never reads beyond it (-EPROTO with FAULT_PEER; trailing bytes
 * are an error unless said). What X_read() returns points into the body. Numbers are network order; "string8" is one
 * byte of length and the bytes, "string16" two bytes of length. Paths and names are any bytes but NUL.
 */
#ifndef XFER_WIRE_MESSAGE_H
#define XFER_WIRE_MESSAGE_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/frame.h"

#include <stdbool.h>

enum {
	MESSAGE_MAGIC = 0x58464552, /* "XFER" */
	MESSAGE_VERSION = 1,
	MESSAGE_BOOT_ID = 16, /* bytes */
	MESSAGE_KEY = 16,
	MESSAGE_NAME_MAX = 31, /* names of plug-ins */
	MESSAGE_DIED_MAX = 300,
	MESSAGE_INTEGRITIES_MAX = 16,
	MESSAGE_PATH_MAX = 4095,
	MESSAGE_ENTRY_NAME_MAX = 255,
	MESSAGE_TEXT_MAX = 512,
	MESSAGE_PUT_REQUESTS_MAX =
		4096 /* READ items that a daemon may have unanswered in a PUT, whatever its WELCOME says */
};

/* Why something ended. On the wire in ERROR, GOAWAY, ENDS, EVENT and DONE; an unknown one is read as STATUS_FAILED. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /* anything else, see the text */
	STATUS_PROTOCOL = 2,  /* the peer broke the protocol */
	STATUS_VERSION = 3,   /* no version in common */
	STATUS_INTEGRITY = 4, /* no integrity in common, or a digest that never came right */
	STATUS_REFUSED = 5,   /* no access, unknown export, a path that leaves it */
	STATUS_NOT_FOUND = 6,
	STATUS_CHANGED = 7, /* the source changed while it was read */
	STATUS_IO = 8,      /* the source could not be read */
	STATUS_SPECIAL = 9, /* neither file, directory nor symbolic link */
	STATUS_LIMIT = 10,  /* a configured limit */
	STATUS_CANCELLED = 11,
	STATUS_SHUTDOWN = 12, /* GOAWAY: the daemon ends or reloads */
	STATUS_IDLE = 13,     /* GOAWAY: nothing was asked for too long */
	STATUS_DEAD = 14,     /* liveness said so */
	STATUS_STORE = 15,    /* the destination could not be written */
	STATUS_BUSY = 16,     /* the same transfer is running already */
	STATUS_STALLED = 17   /* alive, but nothing moved for too long */
};

const char *status_name(enum status status);
/* What it means, for people, where the other side gave no text of its own. */
const char *status_text(enum status status);
/* The exit status that a client ends with. */
enum fault status_fault(enum status status);
/* A number from the wire; STATUS_FAILED for one that is not known. */
enum status status_from(uint16_t number);

/*
 * A frame made piece by piece: begin leaves room for the header and says where (-ENOMEM), then items are appended, then
 * it is sealed. -EMSGSIZE when the body is longer than FRAME_CONTROL_MAX; the buffer is not cut back.
 */
int message_body_begin(struct buf *buf, size_t *start);
int message_body_seal(struct buf *buf, size_t start, enum frame_type type, uint32_t request);
/* After the last item of a body: -EPROTO when `at` is not its end. */
int message_body_end(size_t len, size_t at, struct error *err);
/* The length of the run in an ENTRIES or ENDS body: what stands before the digest. -EPROTO: no digest, or no item. */
int message_run_read(size_t len, uint32_t digest_size, size_t *run, struct error *err);

/*
 * HELLO, client to daemon, the first frame:
 *   magic u32, version min u16, version max u16, features u64, boot id 16, chunk size u32,
 *   count u8 and as many string8 (integrity, in order of preference), liveness string8,
 *   then options until the end: type u16, length u16, bytes; unknown ones are skipped.
 * Option 1, LOST: the boot id of the worker whose session broke without a word, 16 bytes.
 */
enum { MESSAGE_OPTION_LOST = 1, MESSAGE_OPTION_DIED = 1 };
struct message_hello {
	uint16_t version_min;
	uint16_t version_max;
	uint64_t features;
	uint8_t boot_id[MESSAGE_BOOT_ID]; /* of the client process */
	uint32_t chunk_size;
	size_t integrity_count;
	char integrity[MESSAGE_INTEGRITIES_MAX][MESSAGE_NAME_MAX + 1];
	char liveness[MESSAGE_NAME_MAX + 1];
	bool has_lost;
	uint8_t lost[MESSAGE_BOOT_ID];
};
/*
 * A HELLO of which MESSAGE_VERSION is not in the range is read up to the versions and the rest left zero, for what
 * follows is another version's: the caller compares versions first.
 */
int message_hello_write(struct buf *out, const struct message_hello *hello);
int message_hello_read(const uint8_t *body, size_t len, struct message_hello *out, struct error *err);

/*
 * WELCOME, daemon to client, the answer:
 *   magic u32, version u16, heartbeat port u16, features u64, boot id 16, chunk size u32, slot u64, key 16,
 *   interval in ms u32, dead after in ms u32, requests in flight u32, integrity string8, liveness string8,
 *   options as in HELLO.
 * Option 1, DIED: what the worker died of that a HELLO says was lost, text, at most MESSAGE_DIED_MAX bytes.
 */
struct message_welcome {
	uint16_t version;
	uint16_t heartbeat_port; /* UDP; 0 = in-band only */
	uint64_t features;
	uint8_t boot_id[MESSAGE_BOOT_ID]; /* of the worker process: another one means that it restarted */
	uint32_t chunk_size;
	uint64_t slot;
	uint8_t key[MESSAGE_KEY];
	uint32_t interval_ms;
	uint32_t dead_after_ms;
	uint32_t requests_max; /* READ items that may be unanswered at a time */
	char integrity[MESSAGE_NAME_MAX + 1];
	char liveness[MESSAGE_NAME_MAX + 1];
	const char *died; /* not terminated, NULL = nothing is known; when read, within the body */
	size_t died_len;
};
int message_welcome_write(struct buf *out, const struct message_welcome *welcome);
int message_welcome_read(const uint8_t *body, size_t len, struct message_welcome *out, struct error *err);

/*
 * ERROR and GOAWAY: status u16, text string16 (at most MESSAGE_TEXT_MAX, a longer one is cut when it is written, here
 * and in entries and ends; anything printed goes through text_printable).
 */
struct message_notice {
	enum status status;
	const char *text; /* not terminated */
	size_t text_len;
};
int message_notice_write(struct buf *out, enum frame_type type, enum status status, const char *text);
int message_notice_read(const uint8_t *body, size_t len, struct message_notice *out, struct error *err);

/* PING and PONG: sequence u64, sent u64 (the asker's ns, given back), then progress: received u64, verified u64,
 * durable u64, stage u32, stage age in ms u32, round trip in us u32, loss in ppm u32. */
enum { MESSAGE_PING_BYTES = 56 /* of the body */ };
struct message_ping {
	uint64_t sequence;
	uint64_t sent;
	uint64_t received;
	uint64_t verified;
	uint64_t durable;
	uint32_t stage;
	uint32_t stage_age_ms;
	uint32_t rtt_us;
	uint32_t loss_ppm;
};
int message_ping_write(struct buf *out, enum frame_type type, const struct message_ping *ping);
int message_ping_read(const uint8_t *body, size_t len, struct message_ping *out, struct error *err);

/*
 * CREDIT: total u64. With request 0: payload bytes of chunk frames that may be sent since the session began. With the
 * request of a LIST: entry bytes of ENTRIES bodies since the LIST. A total never goes back.
 */
int message_credit_write(struct buf *out, uint32_t request, uint64_t total);
int message_credit_read(const uint8_t *body, size_t len, uint64_t *total, struct error *err);

/* LIST: flags u16, depth u16, credit u64, path string16 ("export/dir/file"; "" lists the exports). */
/* No entries, only the sums, in the ENDS item: files in `chunks`, bytes in `size`. */
#define MESSAGE_LIST_TOTALS 0x0001
enum {
	MESSAGE_DEPTH_ALL = 0xffff,
	MESSAGE_ENTRY_MAX = 24 + 1 + MESSAGE_ENTRY_NAME_MAX + 2 + MESSAGE_PATH_MAX /* bytes of the largest entry */
};
struct message_list {
	uint16_t flags;
	uint16_t depth; /* 0: the path itself; 1: what is in it too; MESSAGE_DEPTH_ALL: everything below */
	uint64_t credit;
	const char *path; /* not terminated */
	size_t path_len;
};
int message_list_write(struct buf *out, uint32_t request, const struct message_list *list);
int message_list_read(const uint8_t *body, size_t len, struct message_list *out, struct error *err);

/*
 * ENTRIES: a run of entries, then the digest of that run under the negotiated integrity (digest_size bytes).
 * An entry: kind u8, flags u8, mode u16 (permission bits), size u64, mtime seconds i64, mtime nanoseconds u32,
 *   name string8, and for a symbolic link its target string16, for ENTRY_UNREADABLE and ENTRY_SPECIAL a text string16.
 * A directory's entry is followed by what is in it and then by ENTRY_UP; names are single components.
 */
enum entry_kind {
	ENTRY_FILE = 1,
	ENTRY_DIR = 2,
	ENTRY_UP = 3, /* the end of the innermost open directory; its mode and times as they are now; no name */
	ENTRY_SYMLINK = 4,
	ENTRY_SPECIAL = 5,   /* socket, device, pipe: named, not sent; the text says what it is */
	ENTRY_UNREADABLE = 6 /* could not be read; the text says why */
};
#define ENTRY_SPARSE 0x01 /* the file has holes */
struct entry {
	enum entry_kind kind;
	uint8_t flags;
	uint16_t mode;
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	const char
		*name; /* not terminated; checked: 1 to 255 bytes, no '/', no NUL, not "." or ".."; "" for ENTRY_UP */
	size_t name_len;
	const char *text; /* target or cause, not terminated */
	size_t text_len;
};
/*
 * Appends one entry to an ENTRIES body in the making (see message_body_begin). -EMSGSIZE when name or target is too
 * long, -EINVAL for what the reader would refuse.
 */
int message_entry_write(struct buf *body, const struct entry *entry);
/* The name of an entry: a single component, as it may be appended to a path. */
bool message_component_is_legal(const char *name, size_t len);
/* Reads the entry at *at and moves *at behind it. */
int message_entry_read(const uint8_t *run, size_t len, size_t *at, struct entry *out, struct error *err);

/*
 * READ: count u16, then items. Item i has the request id `request of the frame + i` (no wrap-around):
 *   first chunk u64, count u64 (MESSAGE_ALL = to the end), size u64, flags u8, path string16.
 * size is the file's as the requester knows it; when the file is of another size, the request ends at once with
 * STATUS_CHANGED, no chunk and the new size, so that both sides know the size before the first chunk.
 */
#define MESSAGE_ALL UINT64_MAX
#define MESSAGE_READ_PART 0x01    /* part of a file: END carries no file digest */
#define MESSAGE_READ_DIGESTS 0x02 /* DIGEST_RUN frames instead of chunks; holes and the end as ever */
#define MESSAGE_READ_KNOWN 0x04   /* of a part: nothing was wrong so far, so digests need not be made anew */
#define MESSAGE_READ_FLAGS (MESSAGE_READ_PART | MESSAGE_READ_DIGESTS | MESSAGE_READ_KNOWN)
enum {
	MESSAGE_READ_MAX = 256,          /* items in a frame, at least 1 */
	MESSAGE_READ_PATHS = 256 * 1024, /* bytes of the paths of unanswered READs, above which none may be sent */
	MESSAGE_READ_ITEM_HEAD = 27      /* bytes of an item without its path */
};
struct message_read {
	uint64_t first;
	uint64_t count;
	uint64_t size; /* as listed; helps to group small files, no allocation is made by it */
	uint8_t flags;
	const char *path; /* not terminated */
	size_t path_len;
};
/* As message_body_begin() and _seal(), with the count in front of the items. -EINVAL: a count or ids out of range. */
int message_read_begin(struct buf *buf, size_t *start);
int message_read_item_write(struct buf *body, const struct message_read *item);
int message_read_seal(struct buf *buf, size_t start, uint32_t request, uint16_t count);
/* Reading: the count, so many items, then message_body_end(). */
int message_read_count(const uint8_t *body, size_t len, size_t *at, uint16_t *count, struct error *err);
int message_read_item(const uint8_t *body, size_t len, size_t *at, struct message_read *out, struct error *err);

/*
 * HOLE: first u64, count u64: chunks of full size that are holes (a short last chunk is always sent as a chunk). Read:
 * count is at least 1 and first + count does not overflow; whether the file has them is the caller's to check.
 */
int message_hole_write(struct buf *out, uint32_t request, uint64_t first, uint64_t count);
int message_hole_read(const uint8_t *body, size_t len, uint64_t *first, uint64_t *count, struct error *err);

/*
 * DIGEST_RUN: first u64, then the digests of as many chunks as there are (digest_size bytes each, at least one): what
 * answers a READ with MESSAGE_READ_DIGESTS. With a digest_size of 0 there is no such answer.
 */
enum { MESSAGE_DIGEST_RUN_MAX = (FRAME_CONTROL_MAX - 8) / FRAME_DIGEST_MAX }; /* chunks in a frame */
struct message_digest_run {
	uint64_t first;
	uint64_t count;
	const uint8_t *digests; /* points into the body */
};
int message_digest_run_write(struct buf *out, uint32_t request, uint32_t digest_size,
                             const struct message_digest_run *run);
int message_digest_run_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_digest_run *out,
                            struct error *err);

/*
 * ENDS: a run of items, then the digest of that run (digest_size bytes). An item ends a request:
 *   request u32, status u16, mode u16, flags u8, size u64, chunks u64 (sent in this request, holes counted),
 *   mtime i64, mtime ns u32, file digest (digest_size bytes; only with END_DIGEST), text string16.
 * Where digest_size is 0 END_DIGEST is left out when written and refused when read.
 */
#define END_DIGEST 0x01
#define END_SPARSE 0x02
struct end {
	uint32_t request;
	enum status status;
	uint16_t mode;
	uint8_t flags;
	uint64_t size; /* of the file, bytes */
	uint64_t chunks;
	int64_t mtime;
	uint32_t mtime_ns;
	const uint8_t *digest; /* NULL without END_DIGEST */
	const char *text;
	size_t text_len;
};
int message_end_write(struct buf *body, uint32_t digest_size, const struct end *end);
int message_end_read(const uint8_t *run, size_t len, size_t *at, uint32_t digest_size, struct end *out,
                     struct error *err);

/*
 * PUT: the client has a file or tree for the daemon, which then asks for it as a client asks in a get:
 *   transfer id 16, flags u16, name string8, path string16.
 * name: what the source is called, "" for what is in it and no name of its own. The daemon's requests have the path
 * "NAME" or "NAME/rest", where an empty name is written ".".
 */
#define MESSAGE_PUT_NO_SYNC 0x0001   /* done without syncs */
#define MESSAGE_PUT_UPDATE 0x0002    /* skip what has the same size and time, reuse what a changed file has */
#define MESSAGE_PUT_CHECKSUM 0x0004  /* with UPDATE: whatever size and time say, compare digests */
#define MESSAGE_PUT_NO_RESUME 0x0008 /* what an earlier run left does not count, and nothing is left */
#define MESSAGE_PUT_TELL 0x0010      /* an EVENT for each file that is done */
#define MESSAGE_PUT_INTO 0x0020      /* path has to be a folder that is there */
#define MESSAGE_PUT_SHARED 0x0040    /* other sessions JOIN this one: large files are asked for in ranges */
#define MESSAGE_PUT_KEEP 0x0080   /* when all is done the journal stays until a PUT with FORGET: the DONE may be lost */
#define MESSAGE_PUT_FORGET 0x0100 /* nothing is put: the DONE of this transfer came, and its journal goes */
enum {
	MESSAGE_PUT_FLAGS = 0x01ff,
	MESSAGE_TRANSFER_ID = 16 /* bytes */
};
struct message_put {
	uint8_t id[MESSAGE_TRANSFER_ID];
	uint16_t flags;
	const char *name; /* not terminated; checked: "" or a single component, as that of an entry */
	size_t name_len;
	const char *path; /* "export/folder/name", not terminated */
	size_t path_len;
};
int message_put_write(struct buf *out, uint32_t request, const struct message_put *put);
int message_put_read(const uint8_t *body, size_t len, struct message_put *out, struct error *err);

/*
 * EVENT: what happens to one file of a PUT:
 *   kind u8, flags u8, status u16, size u64, file digest (digest_size bytes; only with EVENT_DIGEST), text string16.
 */
enum event_kind {
	EVENT_FAILED = 1,  /* why: the status and a text for people */
	EVENT_SKIPPED = 2, /* likewise */
	EVENT_FILE = 3 /* it is complete; the text is its path within the source, "" for the source itself: any bytes */
};
#define EVENT_DIGEST 0x01
struct message_event {
	enum event_kind kind;
	uint8_t flags;
	enum status status;
	uint64_t size;         /* EVENT_FILE: bytes */
	const uint8_t *digest; /* NULL without EVENT_DIGEST */
	const char *text;      /* not terminated; a path is at most MESSAGE_PATH_MAX, else MESSAGE_TEXT_MAX */
	size_t text_len;
};
int message_event_write(struct buf *out, uint32_t request, uint32_t digest_size, const struct message_event *event);
int message_event_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_event *out,
                       struct error *err);

/*
 * DONE: a PUT is over, all of it under its final name and synced, or what was begun removed or kept for another time:
 *   status u16, flags u8, eleven numbers u64, file digest (digest_size bytes; only with DONE_DIGEST), text string16.
 * The text is empty where an EVENT told of every failure.
 */
#define DONE_DIGEST 0x01 /* it was a single file, this is its digest */
#define DONE_KEPT 0x02   /* the journal is there, and waits for a PUT with FORGET */
#define MESSAGE_DONE_FLAGS (DONE_DIGEST | DONE_KEPT)
struct message_done {
	enum status status;
	uint8_t flags;
	uint64_t files; /* complete, as are folders and links */
	uint64_t folders;
	uint64_t links;
	uint64_t skipped;
	uint64_t failed;
	uint64_t bytes;    /* of content, holes counted */
	uint64_t received; /* of payload that travelled */
	uint64_t chunks;
	uint64_t repaired; /* chunks asked for again */
	uint64_t kept;     /* bytes that were there already */
	uint64_t same;     /* files that were left alone */
	const uint8_t *digest;
	const char *text;
	size_t text_len;
};
int message_done_write(struct buf *out, uint32_t request, uint32_t digest_size, const struct message_done *done);
int message_done_read(const uint8_t *body, size_t len, uint32_t digest_size, struct message_done *out,
                      struct error *err);

/*
 * JOIN: this session takes part in the PUTs of another one, of the same client: boot_id [16] and key [16] of the WELCOME
 * that the other one was answered with.
 */
struct message_join {
	uint8_t boot_id[MESSAGE_BOOT_ID];
	uint8_t key[MESSAGE_KEY];
};
int message_join_write(struct buf *out, uint32_t request, const struct message_join *join);
int message_join_read(const uint8_t *body, size_t len, struct message_join *out, struct error *err);

/* CANCEL: no body; ends the request of its header. */
int message_cancel_write(struct buf *out, uint32_t request);
int message_cancel_read(const uint8_t *body, size_t len, struct error *err);

/*
 * The file digest: H("xfer1:file", 0x00, name of H, 0x00, chunk size u32, file size u64, d0 ... dn). This writes what
 * stands before d0; `out` holds MESSAGE_DIGEST_HEAD_MAX bytes.
 */
enum { MESSAGE_DIGEST_HEAD_MAX = 11 + MESSAGE_NAME_MAX + 1 + 12 };
size_t message_digest_head(uint8_t *out, const char *integrity, uint32_t chunk_size, uint64_t file_size);
/* "xfer1:sha256:1M:HEX", or "unverified" when digest_size is 0. */
enum { MESSAGE_DIGEST_TEXT_MAX = 6 + MESSAGE_NAME_MAX + 1 + 32 + 2 * FRAME_DIGEST_MAX + 1 };
void message_digest_text(char out[MESSAGE_DIGEST_TEXT_MAX], const char *integrity, uint32_t chunk_size,
                         const uint8_t *digest, uint32_t digest_size);

#endif
