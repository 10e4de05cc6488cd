/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plug-in ABI of xfer, described in xfer-plugin(3): the only header that a plug-in includes.
 *
 * A plug-in is a shared object named KIND-NAME.so that exports one symbol, made by XFER_REGISTER_PLUGIN().  The core
 * copies min(struct_size) of each struct into a zeroed one of its own, so a field that an older plug-in does not know
 * reads as zero.  Fields are only ever appended; a callback's signature never changes.
 *
 * Rule: something appended (a field at the end of a struct, a constant) raises XFER_ABI_MINOR; something removed or
 * changed (a field's place or width, a number, the signature of a callback) raises XFER_ABI_MAJOR, and with it the name
 * of the exported symbol. Once per release, and with a line in the list below: a minor may grow until the release that
 * brings it.
 *
 * Changes:
 *   1.0  first
 *   1.1  xfer_integrity_ops.lanes, xfer_transport_ops.sendpipe, xfer_transport_ops.recvpipe, XFER_CAP_LOWAT
 *
 * What holds for all calls:
 * - They return 0 (or a count) or -errno.  The text of an error goes to host->error() before the call returns.
 *   -EAGAIN is no error and needs no text.
 * - An out-parameter is set only on success.  A struct that is filled arrives zeroed with struct_size set by the core;
 *   a plug-in writes no field beyond that size: XFER_HAS() tells.
 * - A pointer that is handed in is valid until the call returns, unless the text here says otherwise.  Whoever made an
 *   object frees it: no memory is freed on the other side.
 * - `flags` is 0 in ABI 1.0 and 1.1.  The core never sets a bit that is younger than the plug-in's abi_minor.
 * - Time is monotonic, in nanoseconds.
 * - "Loop": called in the loop thread, which serves all connections and must never be blocked.  "Pool": called in pool
 *   threads, which may compute but never wait.  "Main": called in the main thread while nothing moves yet (create)
 *   or any more (destroy).
 * - SIGPIPE is ignored.  A plug-in changes no process-wide state: no signal handler, no locale, no exit().
 * - A plug-in is never unloaded.
 */
#ifndef XFER_PLUGIN_H
#define XFER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XFER_ABI_MAJOR 1u
#define XFER_ABI_MINOR 1u

/* Whether the struct behind `p` reaches as far as `field`: the other side may be older than this header. */
#define XFER_HAS(p, field) ((p)->struct_size >= (size_t)((const char *)(&(p)->field + 1) - (const char *)(p)))

#ifdef __GNUC__
#define XFER_PRINTF(format_at, first_at) __attribute__((__format__(__printf__, format_at, first_at)))
#else
#define XFER_PRINTF(format_at, first_at)
#endif

#ifdef __cplusplus
#define XFER_EXTERN_C extern "C"
#else
#define XFER_EXTERN_C extern
#endif

enum xfer_kind { XFER_KIND_TRANSPORT = 1, XFER_KIND_INTEGRITY = 2, XFER_KIND_LIVENESS = 3 };

/*
 * How parallel the core may call. Zero is the safest. It matters for pool calls (integrity): loop calls come from one
 * thread in any case.
 * SERIALIZE: one call at a time in the whole plug-in, not always in the same thread.
 * PARALLEL_OBJECTS: calls on different objects (connections, hash states) run at the same time; the one-shot calls of
 *   an instance too. One object sees one call at a time, not always in the same thread.
 */
enum xfer_thread_model { XFER_THREADS_SERIALIZE = 0, XFER_THREADS_PARALLEL_OBJECTS = 1 };

enum xfer_log_level { XFER_LOG_ERROR = 0, XFER_LOG_WARN = 1, XFER_LOG_INFO = 2, XFER_LOG_DEBUG = 3 };

/* ---- options ---------------------------------------------------------------------------------------------------- */

enum xfer_option_type {
	XFER_OPTION_BOOL = 1,     /* value.boolean: 0 or 1; "yes", "no", "true", "false", "on", "off", "1", "0" */
	XFER_OPTION_INT = 2,      /* value.integer: "-1", "1024" */
	XFER_OPTION_SIZE = 3,     /* value.number: bytes; "64K", "1M" */
	XFER_OPTION_DURATION = 4, /* value.number: nanoseconds; "500ms", "4s" */
	XFER_OPTION_STRING = 5    /* value.text, never NULL */
};

/* Flags of an option. */
#define XFER_OPTION_REQUIRED (UINT32_C(1) << 0) /* no default: the administrator has to set it */
#define XFER_OPTION_SECRET (UINT32_C(1) << 1)   /* never printed */

/*
 * One row of the options table: parser, range check, `xfer plugins`, manual and sample INI all come from it. min and
 * max bound INT, SIZE and DURATION (min == max == 0: no bound, INT64_MIN or INT64_MAX: none on that side); for STRING
 * max bounds the length in bytes (0: no bound). The default has to parse and to lie within its own range, or the
 * plug-in is refused.
 */
struct xfer_option {
	const char *name; /* the key in the section [KIND.NAME]: [a-z][a-z0-9-]{0,30} */
	enum xfer_option_type type;
	uint32_t flags;           /* XFER_OPTION_REQUIRED and the like */
	const char *default_text; /* as it would stand in the INI file; NULL exactly with XFER_OPTION_REQUIRED */
	int64_t min;              /* in the value's unit: bytes, nanoseconds */
	int64_t max;
	const char *unit; /* for people: "bytes", "seconds"; NULL = none */
	const char *help; /* one line */
};

/* Eight bytes, for ever: the values stand in an array. */
union xfer_value {
	int64_t integer;
	uint64_t number;
	int boolean;
	const char *text; /* lives as long as the instance */
};

/* The values of the table's options, in the table's order. */
struct xfer_params {
	size_t struct_size;
	size_t count;
	const union xfer_value *values; /* lives until create() returns; texts live as long as the instance */
};

/* ---- what the core offers to a plug-in -------------------------------------------------------------------------- */

/*
 * All calls may be made in any thread that the core called the plug-in in, during that call, and none blocks for long.
 * The table is the core's; a plug-in keeps the pointer from create() until destroy() returns.
 */
struct xfer_host {
	size_t struct_size;
	void *context; /* the core's; do not touch */
	/* One line into the log, under the plug-in's name. No newline at its end. */
	void (*log)(const struct xfer_host *host, enum xfer_log_level level, const char *format, ...) XFER_PRINTF(3, 4);
	/* The text that belongs to the error the running call is about to return. Copied; the last one counts. */
	void (*error)(const struct xfer_host *host, const char *format, ...) XFER_PRINTF(2, 3);
	/* Nanoseconds of the monotonic clock. Where a callback is given a `now`, that one counts. */
	uint64_t (*now)(const struct xfer_host *host);
	/* Fills `bytes` from the system's random source: 0 or -errno, then nothing of it may be used. */
	int (*random)(const struct xfer_host *host, void *bytes, size_t len);
};

/* ---- transport -------------------------------------------------------------------------------------------------- */

struct xfer_listener; /* defined by the plug-in */
struct xfer_conn;     /* defined by the plug-in */

/* Capabilities of a transport. */
#define XFER_CAP_INET (UINT64_C(1) << 0)   /* addresses are AF_INET or AF_INET6: the core resolves names */
#define XFER_CAP_SECURE (UINT64_C(1) << 1) /* both ends are authenticated and the stream is encrypted */
/*
 * Since 1.1. read_fd is a socket of one connection that heeds SO_RCVLOWAT when it is waited for, and recv() gives byte for
 * byte what comes to it and holds nothing. The core may set that option, so that who sends a byte now and then wakes it
 * when enough is there, and set it back; recv() gives what there is all the same.
 */
#define XFER_CAP_LOWAT (UINT64_C(1) << 2)

struct xfer_listen {
	size_t struct_size;
	const struct sockaddr *address; /* with XFER_CAP_INET, else NULL; NULL in listener_adopt() */
	socklen_t address_len;
	const char *authority; /* as it stands in the configuration; "" when it is not known; never NULL */
	uint32_t flags;
};

struct xfer_connect {
	size_t struct_size;
	const struct sockaddr *address; /* with XFER_CAP_INET, else NULL */
	socklen_t address_len;
	const char *authority; /* as it stands in the URL, percent-encoded, without user; never NULL */
	const char *host;      /* the name alone, without port and brackets, for certificates; never NULL */
	const char *user;      /* or NULL */
	uint32_t flags;
};

/* A connection that somebody else opened: inetd, `xferd --stdio`. */
struct xfer_adopt {
	size_t struct_size;
	int read_fd;
	int write_fd;          /* may be the same */
	int server;            /* 1: the peer is the one who asked for the connection; 0: we are */
	const char *authority; /* of the peer, as far as it is known; "" when it is not; never NULL */
	uint32_t flags;
};

#define XFER_POLL_READ UINT32_C(1)
#define XFER_POLL_WRITE UINT32_C(2)

/* What to wait for. The descriptors may be the same, and stay the same for the life of the connection. */
struct xfer_poll {
	size_t struct_size;
	int read_fd;
	int write_fd;
	/*
	 * During the handshake: exactly what to wait for before the next handshake(). Afterwards the core waits for
	 * reading while it can take bytes and for writing while it has some left, and `events` is what the connection
	 * wants beyond that, mostly 0: XFER_POLL_WRITE while it holds something that has to go out (a record that was
	 * taken, but not by the kernel; an answer of its own). Then sendv() is called, if need be without a piece.
	 */
	uint32_t events;
};

/* Who is at the other end. Texts are printable and end with NUL; what does not fit is cut. */
struct xfer_endpoint {
	size_t struct_size;
	struct sockaddr_storage remote; /* ss_family AF_UNSPEC without XFER_CAP_INET */
	struct sockaddr_storage local;
	char text[128];     /* "127.0.0.1:40312", for logs */
	char identity[256]; /* authenticated name of the peer, "" when there is none */
};

/*
 * All calls are loop calls and none may block: a call that cannot go on returns -EAGAIN and is repeated when the
 * descriptor says so. Descriptors are non-blocking and close-on-exec. After an error other than -EAGAIN a connection
 * is only asked for its endpoint and closed.
 */
struct xfer_transport_ops {
	size_t struct_size;

	/* Required, loop. Binds and listens. The core owns *out until listener_close(). -EADDRINUSE and the like. */
	int (*listen)(void *instance, const struct xfer_listen *how, struct xfer_listener **out);
	/*
	 * Required, loop. Makes a listener of descriptors that are open already: those that listener_fds() named in
	 * another process, in that order, or those of socket activation. Taken over on success only, made
	 * non-blocking and close-on-exec. -EINVAL when they are no listeners of this transport.
	 */
	int (*listener_adopt)(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
	                      struct xfer_listener **out);
	/*
	 * Required, loop. The descriptors to wait on for reading, lent until listener_close(): returns how many there
	 * are (> 0) and writes at most `max` of them.
	 */
	int (*listener_fds)(struct xfer_listener *listener, int *fds, size_t max);
	/* Required, loop. The address as bound, "127.0.0.1:15010", NUL included. -ENOSPC when `size` is too small. */
	int (*listener_address)(struct xfer_listener *listener, char *text, size_t size);
	/* Required, loop. Closes its descriptors and frees it. Connections that it accepted live on. */
	void (*listener_close)(struct xfer_listener *listener);
	/*
	 * Required, loop. The core owns *out until close(). -EAGAIN when nobody waits (other processes may share the
	 * descriptor), -EMFILE and the like when the system has no room: the core pauses and calls again.
	 */
	int (*accept)(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags);

	/*
	 * Required, loop. Starts connecting; handshake() finishes it. The core owns *out until close(). -EINVAL: the
	 * options do not allow it, so that trying again is of no use.
	 */
	int (*connect)(void *instance, const struct xfer_connect *how, struct xfer_conn **out);
	/*
	 * Optional, loop. Makes a connection of open descriptors, taken over on success only; handshake() follows.
	 * -EINVAL when they are nothing that this transport could use.
	 */
	int (*adopt)(void *instance, const struct xfer_adopt *how, struct xfer_conn **out);
	/*
	 * Required, loop. Called on every new connection until it is through: 0 = ready, -EAGAIN = wait as poll() says.
	 * -ECONNREFUSED, -EACCES (the peer is not who it has to be) and the like end it.
	 */
	int (*handshake)(struct xfer_conn *conn, uint32_t flags);

	/*
	 * Required, loop. Sends from `count` (> 0) pieces that may be larger than what is taken: bytes taken (> 0),
	 * -EAGAIN, -EPIPE, -ECONNRESET and the like. What was not taken is offered again, though not always from the
	 * same memory, nor cut the same way, and other bytes may come before it. The pieces are the core's again when
	 * the call returns. Taken is what need not be offered again, even where the connection still holds it: poll()
	 * has to say so then. Only where it did is `count` 0: the call sends what is held; 0 or -EAGAIN.
	 */
	ssize_t (*sendv)(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags);
	/*
	 * Required, loop. Receives into `bytes` (len > 0): bytes (> 0), 0 = the peer said that it is done, -EAGAIN. A
	 * transport may hold bytes while its descriptor is silent, so before it waits the core calls until -EAGAIN.
	 */
	ssize_t (*recv)(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags);
	/*
	 * Optional, loop. As sendv(), from `offset` of the file `fd`, which stays the core's and keeps its own
	 * offset. 0 = the file ends there. -EOPNOTSUPP: not on this connection or from this file; the core reads and
	 * sends instead. It may have to wait for the disk, so the core prefers sendpipe(), and has no use for this one.
	 */
	ssize_t (*sendfile)(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags);
	/* Required, loop. Cheap: asked whenever the core begins to wait. Never fails on an open connection. */
	int (*poll)(struct xfer_conn *conn, struct xfer_poll *out);
	/* Required, loop. Complete after the handshake; before it, and when the peer is gone, as far as it is known. */
	int (*endpoint)(struct xfer_conn *conn, struct xfer_endpoint *out);
	/*
	 * Required, loop. No more will be sent, the peer's recv() returns 0 after the last byte; receiving goes on. 0
	 * when the connection may be closed without losing what was taken, -EAGAIN = call again.
	 */
	int (*shutdown)(struct xfer_conn *conn, uint32_t flags);
	/*
	 * Required, loop, in any state. Closes the descriptors and frees the connection, at once, and without a word
	 * to the peer when it was not shut down.
	 */
	void (*close)(struct xfer_conn *conn);
	/*
	 * Optional, loop, since 1.1. As sendv(), from the pipe `fd`, which stays the core's and holds at least `len`
	 * (> 0) bytes: what was taken is gone from it, in order, and nothing else. They are mostly pages of files, put
	 * there by splice(2), so that payload which nobody has to look at is not copied. Taken is what need not be
	 * offered again, as with sendv(); what was not taken may come out of memory the next time. -EOPNOTSUPP, with
	 * nothing taken: not on this connection, at whatever time that shows; the core does not call it again for that
	 * connection, and reads and sends instead. So a transport whose connections differ has the callback, and each
	 * connection says it with its first call.
	 */
	ssize_t (*sendpipe)(struct xfer_conn *conn, int fd, size_t len, uint32_t flags);
	/*
	 * Optional, loop, since 1.1. As recv(), into the pipe `fd`, which stays the core's and does not block: moves at most
	 * `len` (> 0) bytes of what has come, in order, so that payload which nobody has to look at is not copied. Bytes
	 * (> 0), 0 = the peer said that it is done. -EAGAIN, with nothing moved: none have come, or the pipe is full; the
	 * core finds out which. -EOPNOTSUPP, with nothing moved: not on this connection, at whatever time that shows; the
	 * core does not call it again for that connection. What follows may be asked for by recv() at any time.
	 */
	ssize_t (*recvpipe)(struct xfer_conn *conn, int fd, size_t len, uint32_t flags);
};

/* ---- integrity -------------------------------------------------------------------------------------------------- */

enum { XFER_DIGEST_MAX = 64 }; /* bytes */

#define XFER_STRENGTH_NONE 0u       /* detects nothing: digest_size 0, and only then */
#define XFER_STRENGTH_ACCIDENTAL 1u /* detects accidents, not an attacker */
/* Anything above is the strength against collisions in bits (128 for SHA-256) and counts as cryptographic from 112. */
#define XFER_STRENGTH_CRYPTOGRAPHIC 112u

struct xfer_hash; /* a hash state, defined by the plug-in */

struct xfer_known_answer {
	const void *input; /* may be NULL when input_len is 0 */
	size_t input_len;
	const uint8_t *digest; /* digest_size bytes */
};

/*
 * All calls are pool calls (those for known answers: main, at load). They may compute but never wait. Buffers have any
 * length, 0 included (then the pointer may be NULL), and any alignment. With digest_size 0 `out` may be NULL.
 */
struct xfer_integrity_ops {
	size_t struct_size;
	uint32_t digest_size; /* 0 to XFER_DIGEST_MAX bytes */
	uint32_t strength;    /* XFER_STRENGTH_* or bits */
	/*
	 * Required when digest_size > 0: at least one. Checked at load, one-shot, streamed and many-at-once; a
	 * plug-in that gives another answer is refused.
	 */
	const struct xfer_known_answer *known_answers;
	size_t known_answer_size; /* sizeof(struct xfer_known_answer) */
	size_t known_answer_count;

	/* Required, pool. The digest of one buffer: writes digest_size bytes. -ENOMEM and the like. */
	int (*digest)(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags);
	/*
	 * Optional, pool. The digests of `count` (> 0) independent buffers of any lengths, written to outs[0] to
	 * outs[count - 1]. Equal to digest() on each, only faster. On an error none of them counts.
	 */
	int (*digest_many)(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
	                   uint32_t flags);
	/* Required, pool. A state at the start of a stream. The core owns it until hash_destroy(). -ENOMEM. */
	int (*hash_create)(void *instance, struct xfer_hash **out);
	/* Required, pool. The next bytes of the stream; not needed any more when it returns. */
	int (*hash_update)(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags);
	/* Required, pool. Writes the digest, equal to digest() of the whole, and is ready for the next stream. */
	int (*hash_finish)(struct xfer_hash *hash, uint8_t *out, uint32_t flags);
	/* Required, pool. Frees it, in the middle of a stream too. */
	void (*hash_destroy)(struct xfer_hash *hash);
	/*
	 * Optional, main, since 1.1; asked once, after create(). How many buffers digest_many() takes side by side, here
	 * and now: the core offers it so many where they are there. 0 or 1: one after the other.
	 */
	uint32_t (*lanes)(void *instance);
};

/* ---- liveness --------------------------------------------------------------------------------------------------- */

struct xfer_peer; /* one per session, defined by the plug-in */

enum xfer_verdict { XFER_UNKNOWN = 0, XFER_ALIVE = 1, XFER_SUSPECT = 2, XFER_DEAD = 3 };

enum xfer_role { XFER_ROLE_ASKER = 1, XFER_ROLE_ANSWERER = 2 };

/* How far a side is; travels in heartbeats and in in-band pings. */
struct xfer_progress {
	size_t struct_size;
	uint64_t received; /* payload bytes of this session */
	uint64_t verified;
	uint64_t durable;
	uint32_t stage; /* XFER_STAGE_*: where the oldest unfinished work is */
	uint32_t stage_age_ms;
	uint32_t rtt_us;   /* smoothed round trip as this side knows it, 0 = unknown */
	uint32_t loss_ppm; /* lost of asked, parts per million */
};

#define XFER_STAGE_IDLE 0u
#define XFER_STAGE_READ 1u
#define XFER_STAGE_HASH 2u
#define XFER_STAGE_SEND 3u
#define XFER_STAGE_RECEIVE 4u
#define XFER_STAGE_WRITE 5u
#define XFER_STAGE_SYNC 6u

#define XFER_PEER_STEADY UINT32_C(1) /* ask at the interval only, never faster: for `xfer ping` */

enum { XFER_KEY_SIZE = 16, XFER_DATAGRAM_MAX = 512 };

/* The key protects the slot too: a datagram that came under another one is rejected. */
struct xfer_peer_params {
	size_t struct_size;
	enum xfer_role role;
	uint32_t flags;             /* XFER_PEER_* */
	uint64_t slot;              /* the session's number; the core puts it in front of each datagram */
	uint8_t key[XFER_KEY_SIZE]; /* random, made for this session */
	uint64_t interval;          /* ns between questions, as agreed */
	uint64_t dead_after;        /* ns of silence after which the peer counts as dead */
	uint64_t now;               /* ns */
};

/* What an accepted datagram was. */
struct xfer_heard {
	size_t struct_size;
	uint64_t sequence;
	uint64_t rtt; /* ns; 0 when it was no answer */
	int is_answer;
	int reply; /* 1: call datagram_out() now, the answer is due */
};

/* What a datagram to be sent is. */
struct xfer_asked {
	size_t struct_size;
	uint64_t sequence;
	int is_question;
};

struct xfer_liveness_stats {
	size_t struct_size;
	uint64_t sent;     /* questions (asker) or answers (answerer) */
	uint64_t received; /* datagrams accepted */
	uint64_t lost;     /* questions given up */
	uint64_t rejected; /* forged, replayed or malformed */
	uint64_t rtt_last; /* ns; 0 = none yet. An answerer knows what the asker tells it. */
	uint64_t rtt_min;
	uint64_t rtt_smoothed;
	uint64_t rtt_max;
	uint64_t last_heard; /* ns, when the last datagram was accepted; 0 = never */
};

/*
 * No I/O: bytes and time go in, bytes and verdicts come out. All calls are loop calls and none may block. When to ask, and
 * when to give which verdict, is in xfer-plugin(3).
 * `now` never goes back and leaves out the time in which the observer itself did not run.
 */
struct xfer_liveness_ops {
	size_t struct_size;
	/* Bytes of each datagram, fixed; 0: there are none, and the core asks in-band only. <= XFER_DATAGRAM_MAX. */
	uint32_t datagram_size;

	/* Required, loop. The configured interval and dead-after, ns, both > 0; used for in-band pings too. */
	void (*timing)(void *instance, uint64_t *interval, uint64_t *dead_after);

	/* From here on: required when datagram_size > 0, else unused. */

	/* Loop. One for each session; params are copied. The core owns *out until peer_destroy(). -ENOMEM. */
	int (*peer_create)(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out);
	/* Loop. Frees it. */
	void (*peer_destroy)(struct xfer_peer *peer);
	/*
	 * Loop. Bytes that came from the network, of any length and content. 0 and *out; -EBADMSG for a datagram that
	 * is not this peer's, a repeated or a malformed one, which changes nothing but the count of rejected ones.
	 */
	int (*datagram_in)(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now, struct xfer_heard *out);
	/* Loop. The bytes to send now (datagram_size), or 0 when nothing is due. `size` is at least datagram_size. */
	ssize_t (*datagram_out)(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now, struct xfer_asked *out);
	/* Loop. UNKNOWN until the first datagram was heard. */
	enum xfer_verdict (*verdict)(struct xfer_peer *peer, uint64_t now);
	/*
	 * Loop. When datagram_out() or verdict() wants to be called next; UINT64_MAX = never. Asked again after every
	 * other call; once datagram_out() returned 0 it lies after `now`.
	 */
	uint64_t (*next_deadline)(struct xfer_peer *peer, uint64_t now);
	/* Loop. */
	void (*stats)(struct xfer_peer *peer, struct xfer_liveness_stats *out);
	/* Loop. Our progress, copied, told with the next datagram. */
	void (*progress_set)(struct xfer_peer *peer, const struct xfer_progress *ours);
	/* Loop. The peer's progress as last heard, zeroes before. */
	void (*progress_get)(struct xfer_peer *peer, struct xfer_progress *theirs);
};

/* ---- the plug-in ------------------------------------------------------------------------------------------------ */

/* All that it points at lives as long as the process. Texts are UTF-8. */
struct xfer_plugin {
	size_t struct_size; /* set by XFER_PLUGIN_HEAD, as are the next three */
	uint32_t abi_major;
	uint32_t abi_minor;
	size_t option_size; /* sizeof(struct xfer_option) */
	enum xfer_kind kind;
	const char *name;      /* [a-z][a-z0-9-]{0,30}; the file is KIND-NAME.so */
	const char *version;   /* of the plug-in; never NULL, as are name and summary */
	const char *summary;   /* one line */
	uint64_t capabilities; /* XFER_CAP_*; 0 for other kinds than transport */
	enum xfer_thread_model thread_model;
	const struct xfer_option *options; /* NULL when there are none */
	size_t option_count;
	/*
	 * Required, main. One instance per process and INI section, shared by all sessions, not NULL; starts no
	 * thread and does no I/O. May be called more than once: an integrity plug-in gets an instance with the
	 * defaults at load, for its known answers. -EINVAL for values that do not go together.
	 */
	int (*create)(const struct xfer_host *host, const struct xfer_params *params, void **instance);
	/* Required, main. After the last object of the instance is gone. */
	void (*destroy)(void *instance);
	/* Exactly the one of the kind. */
	const struct xfer_transport_ops *transport;
	const struct xfer_integrity_ops *integrity;
	const struct xfer_liveness_ops *liveness;
};

/* The first fields of a plug-in: `{ XFER_PLUGIN_HEAD, .kind = …, .name = … }`. */
#define XFER_PLUGIN_HEAD                                                                                               \
	.struct_size = sizeof(struct xfer_plugin), .abi_major = XFER_ABI_MAJOR, .abi_minor = XFER_ABI_MINOR,           \
	.option_size = sizeof(struct xfer_option)

/* The exported symbol carries the major version. It is a function, so that no data is copied into a program. */
#define XFER_PLUGIN_SYMBOL "xfer_plugin_v1"

/* Once in each plug-in, outside of any function, without a semicolon. */
#define XFER_REGISTER_PLUGIN(plugin)                                                                                   \
	XFER_EXTERN_C __attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void);           \
	const struct xfer_plugin *xfer_plugin_v1(void)                                                                 \
	{                                                                                                              \
		return &(plugin);                                                                                      \
	}

#ifdef __cplusplus
}
#endif

#endif
