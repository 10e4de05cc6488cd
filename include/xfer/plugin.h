/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plug-in ABI of xfer, described in xfer-plugin(3): the only header that a plug-in includes.
 *
 * A plug-in is a shared object named KIND-NAME.so that exports one symbol, made by XFER_REGISTER_PLUGIN().  The core
 * copies min(struct_size) of each struct into a zeroed one of its own, so a field that an older plug-in does not know
 * reads as zero.  Fields are only ever appended; a callback's signature never changes.
 *
 * Rule: something appended raises XFER_ABI_MINOR; something removed or changed raises XFER_ABI_MAJOR, and with it the
 * name of the exported symbol.
 *
 * Changes:
 *   1.0  first
 *
 * Calls return 0 (or a count) or -errno.  The text of an error goes to host->error().  No memory is freed on the other
 * side.  Time is monotonic, in nanoseconds.  Unless a callback's text says otherwise, a pointer that is handed in is
 * valid until the call returns.
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
#define XFER_ABI_MINOR 0u

enum xfer_kind { XFER_KIND_TRANSPORT = 1, XFER_KIND_INTEGRITY = 2, XFER_KIND_LIVENESS = 3 };

/*
 * How parallel the core may call. Zero is the safest.
 * SERIALIZE: one call at a time in the whole plug-in.
 * PARALLEL_OBJECTS: calls on different objects (connections, hash states) run at the same time; the one-shot calls of
 *   an instance too.
 */
enum xfer_thread_model { XFER_THREADS_SERIALIZE = 0, XFER_THREADS_PARALLEL_OBJECTS = 1 };

enum xfer_log_level { XFER_LOG_ERROR = 0, XFER_LOG_WARN = 1, XFER_LOG_INFO = 2, XFER_LOG_DEBUG = 3 };

/* ---- options ---------------------------------------------------------------------------------------------------- */

enum xfer_option_type {
	XFER_OPTION_BOOL = 1,     /* value.boolean: 0 or 1 */
	XFER_OPTION_INT = 2,      /* value.integer */
	XFER_OPTION_SIZE = 3,     /* value.number: bytes; "64K", "1M" */
	XFER_OPTION_DURATION = 4, /* value.number: nanoseconds; "500ms", "4s" */
	XFER_OPTION_STRING = 5    /* value.text */
};

/* Flags of an option. */
#define XFER_OPTION_REQUIRED (UINT32_C(1) << 0) /* no default: the administrator has to set it */
#define XFER_OPTION_SECRET (UINT32_C(1) << 1)   /* never printed */

/*
 * One row of the options table: parser, range check, `xfer plugins`, manual and sample INI all come from it.
 * min and max bound INT, SIZE and DURATION (min == max == 0: no bound); for STRING max bounds the length in bytes.
 */
struct xfer_option {
	const char *name;          /* the key in the section [KIND.NAME] */
	enum xfer_option_type type;
	uint32_t flags;            /* XFER_OPTION_* */
	const char *default_text;  /* as it would stand in the INI file; NULL only with XFER_OPTION_REQUIRED */
	int64_t min;
	int64_t max;
	const char *unit;          /* for people: "bytes", "seconds"; NULL = none */
	const char *help;          /* one line */
};

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

/* All calls may be made in any thread that the core called the plug-in in. The table lives as long as the process. */
struct xfer_host {
	size_t struct_size;
	void *context; /* the core's; do not touch */
	/* One line into the log, under the plug-in's name. */
	void (*log)(const struct xfer_host *host, enum xfer_log_level level, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
	/* The text that belongs to the error the running call is about to return. The last one counts. */
	void (*error)(const struct xfer_host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));
	/* Nanoseconds of the monotonic clock. */
	uint64_t (*now)(const struct xfer_host *host);
	/* Fills `bytes` from the system's random source: 0 or -errno. */
	int (*random)(const struct xfer_host *host, void *bytes, size_t len);
};

/* ---- transport -------------------------------------------------------------------------------------------------- */

struct xfer_listener; /* defined by the plug-in */
struct xfer_conn;     /* defined by the plug-in */

/* Capabilities of a transport. */
#define XFER_CAP_INET (UINT64_C(1) << 0)    /* addresses are AF_INET or AF_INET6: the core resolves names */
#define XFER_CAP_SECURE (UINT64_C(1) << 1)  /* both ends are authenticated and the stream is encrypted */

struct xfer_listen {
	size_t struct_size;
	const struct sockaddr *address; /* with XFER_CAP_INET, else NULL */
	socklen_t address_len;
	const char *authority; /* as it stands in the configuration */
	uint32_t flags;        /* 0 */
};

struct xfer_connect {
	size_t struct_size;
	const struct sockaddr *address; /* with XFER_CAP_INET, else NULL */
	socklen_t address_len;
	const char *authority; /* as it stands in the URL, without user */
	const char *host;      /* the name alone, for certificates */
	const char *user;      /* or NULL */
	uint32_t flags;        /* 0 */
};

#define XFER_POLL_READ UINT32_C(1)
#define XFER_POLL_WRITE UINT32_C(2)

/* What to wait for. The descriptors may be the same, and stay the same for the life of the connection. */
struct xfer_poll {
	size_t struct_size;
	int read_fd;
	int write_fd;
	uint32_t events; /* during the handshake: XFER_POLL_*; 0 afterwards */
};

/* Who is at the other end. */
struct xfer_endpoint {
	size_t struct_size;
	struct sockaddr_storage remote; /* ss_family AF_UNSPEC without XFER_CAP_INET */
	struct sockaddr_storage local;
	char text[128];     /* "127.0.0.1:40312", for logs */
	char identity[128]; /* authenticated name of the peer, "" when there is none */
};

/*
 * All calls are made in the loop thread and none may block. A call that cannot go on returns -EAGAIN and is repeated
 * when the descriptor says so.
 */
struct xfer_transport_ops {
	size_t struct_size;
	/* Required. Binds and listens. */
	int (*listen)(void *instance, const struct xfer_listen *how, struct xfer_listener **out);
	/* Required. Makes a listener of descriptors that are open already (taken over on success, CLOEXEC is set). */
	int (*listener_adopt)(void *instance, const int *fds, size_t count, struct xfer_listener **out);
	/* Required. The listener's descriptors, lent: how many there are; at most `max` are written. */
	int (*listener_fds)(struct xfer_listener *listener, int *fds, size_t max);
	/* Required. The address as bound, "127.0.0.1:15010". */
	int (*listener_address)(struct xfer_listener *listener, char *text, size_t size);
	/* Required. */
	void (*listener_close)(struct xfer_listener *listener);
	/* Required. -EAGAIN when nobody waits; -EMFILE and the like are passed on. */
	int (*accept)(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags);
	/* Required. Starts connecting; handshake() finishes it. */
	int (*connect)(void *instance, const struct xfer_connect *how, struct xfer_conn **out);
	/* Optional. Makes a connection of open descriptors (taken over on success; they may be the same). */
	int (*adopt)(void *instance, int read_fd, int write_fd, int server, struct xfer_conn **out);
	/* Required. Called on every new connection, accepted or connecting: 0 = ready, -EAGAIN = wait for poll->events. */
	int (*handshake)(struct xfer_conn *conn, uint32_t flags);
	/* Required. Bytes taken (> 0), -EAGAIN, -EPIPE or -ECONNRESET and the like. */
	ssize_t (*sendv)(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags);
	/* Required. Bytes (> 0), 0 = the peer said it is done, -EAGAIN. Called until -EAGAIN. */
	ssize_t (*recv)(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags);
	/* Optional. As sendv(), from a file. -EOPNOTSUPP: the core reads and sends instead. */
	ssize_t (*sendfile)(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags);
	/* Required. */
	int (*poll)(struct xfer_conn *conn, struct xfer_poll *out);
	/* Required. */
	int (*endpoint)(struct xfer_conn *conn, struct xfer_endpoint *out);
	/* Required. No more will be sent; what was taken is delivered. 0, -EAGAIN. */
	int (*shutdown)(struct xfer_conn *conn, uint32_t flags);
	/* Required. Frees the connection, at once and without a word when it was not shut down. */
	void (*close)(struct xfer_conn *conn);
};

/* ---- integrity -------------------------------------------------------------------------------------------------- */

enum { XFER_DIGEST_MAX = 64 }; /* bytes */

#define XFER_STRENGTH_NONE 0u       /* detects nothing */
#define XFER_STRENGTH_ACCIDENTAL 1u /* detects accidents, not an attacker */
/* Anything above is the strength against collisions in bits (128 for SHA-256) and counts as cryptographic from 112. */
#define XFER_STRENGTH_CRYPTOGRAPHIC 112u

struct xfer_hash; /* a hash state, defined by the plug-in */

struct xfer_known_answer {
	const void *input;
	size_t input_len;
	const uint8_t *digest; /* digest_size bytes */
};

/* All calls are made in pool threads (known answers: in the main thread, at load) and may take as long as they compute. */
struct xfer_integrity_ops {
	size_t struct_size;
	uint32_t digest_size; /* 0 to XFER_DIGEST_MAX bytes */
	uint32_t strength;    /* XFER_STRENGTH_* or bits */
	/* Required when digest_size > 0. Checked at load, one-shot, streamed and many-at-once. */
	const struct xfer_known_answer *known_answers;
	size_t known_answer_size;  /* sizeof(struct xfer_known_answer) */
	size_t known_answer_count;
	/* Required. The digest of one buffer. */
	int (*digest)(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags);
	/*
	 * Optional. The digests of `count` independent buffers, written to outs[0] … outs[count - 1]. Equal to calling
	 * digest() on each.
	 */
	int (*digest_many)(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
	                   uint32_t flags);
	/* Required. A state for a stream; one thread at a time, not always the same. */
	int (*hash_create)(void *instance, struct xfer_hash **out);
	int (*hash_update)(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags);
	/* Writes the digest and makes the state ready for the next stream. */
	int (*hash_finish)(struct xfer_hash *hash, uint8_t *out, uint32_t flags);
	void (*hash_destroy)(struct xfer_hash *hash);
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
	uint32_t stage;    /* XFER_STAGE_*: where the oldest unfinished work is */
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

struct xfer_peer_params {
	size_t struct_size;
	enum xfer_role role;
	uint32_t flags;                /* XFER_PEER_* */
	uint64_t slot;                 /* the session's number at the answerer, under the key's protection */
	uint8_t key[XFER_KEY_SIZE];    /* random, made for this session */
	uint64_t interval;             /* ns between questions, as agreed */
	uint64_t dead_after;           /* ns of silence after which the peer counts as dead */
	uint64_t now;                  /* ns */
};

/* What an accepted datagram was. */
struct xfer_heard {
	size_t struct_size;
	uint64_t sequence;
	uint64_t rtt;  /* ns; 0 when it was no answer */
	int is_answer;
	int reply;     /* 1: call datagram_out() now, the answer is due */
};

/* What a datagram to be sent is. */
struct xfer_asked {
	size_t struct_size;
	uint64_t sequence;
	int is_question;
};

struct xfer_liveness_stats {
	size_t struct_size;
	uint64_t sent;      /* questions (asker) or answers (answerer) */
	uint64_t received;  /* datagrams accepted */
	uint64_t lost;      /* questions given up */
	uint64_t rejected;  /* forged, replayed or malformed */
	uint64_t rtt_last;  /* ns; 0 = none yet. An answerer knows what the asker tells it. */
	uint64_t rtt_min;
	uint64_t rtt_smoothed;
	uint64_t rtt_max;
	uint64_t last_heard; /* ns, when the last datagram was accepted; 0 = never */
};

/*
 * No I/O: bytes and time go in, bytes and verdicts come out. All calls are made in the loop thread and none may block.
 * `now` never goes back and leaves out the time in which the observer itself did not run.
 */
struct xfer_liveness_ops {
	size_t struct_size;
	/* Bytes of each datagram, fixed; 0: there are none, and the core asks in-band only. <= XFER_DATAGRAM_MAX. */
	uint32_t datagram_size;
	/* Required. The configured interval and dead-after, ns; used for in-band pings too. */
	void (*timing)(void *instance, uint64_t *interval, uint64_t *dead_after);
	/* The rest is required when datagram_size > 0. */
	int (*peer_create)(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out);
	void (*peer_destroy)(struct xfer_peer *peer);
	/* 0 and *out; -EBADMSG for a datagram that is not this peer's, a repeated or a malformed one. */
	int (*datagram_in)(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now, struct xfer_heard *out);
	/* The bytes to send now (datagram_size), or 0 when nothing is due. `out` holds at least datagram_size bytes. */
	ssize_t (*datagram_out)(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now, struct xfer_asked *out);
	/* UNKNOWN until the first datagram was heard. */
	enum xfer_verdict (*verdict)(struct xfer_peer *peer, uint64_t now);
	/* When datagram_out() or verdict() wants to be called next; UINT64_MAX = never. */
	uint64_t (*next_deadline)(struct xfer_peer *peer, uint64_t now);
	void (*stats)(struct xfer_peer *peer, struct xfer_liveness_stats *out);
	/* Our progress, told with the next datagram; the peer's as last heard (zeroes before). */
	void (*progress_set)(struct xfer_peer *peer, const struct xfer_progress *ours);
	void (*progress_get)(struct xfer_peer *peer, struct xfer_progress *theirs);
};

/* ---- the plug-in ------------------------------------------------------------------------------------------------ */

struct xfer_plugin {
	size_t struct_size;  /* set by XFER_PLUGIN_HEAD, as are the next four */
	uint32_t abi_major;
	uint32_t abi_minor;
	size_t option_size;  /* sizeof(struct xfer_option) */
	enum xfer_kind kind;
	const char *name;    /* [a-z][a-z0-9-]{0,30}; the file is KIND-NAME.so */
	const char *version; /* of the plug-in */
	const char *summary; /* one line */
	uint64_t capabilities;
	enum xfer_thread_model thread_model;
	const struct xfer_option *options; /* NULL when there are none */
	size_t option_count;
	/*
	 * Required. One instance per process and INI section, shared by all sessions. Main thread; starts no thread and
	 * does no I/O. `host` lives as long as the process.
	 */
	int (*create)(const struct xfer_host *host, const struct xfer_params *params, void **instance);
	/* Required. After the last object of the instance is gone. */
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

#define XFER_REGISTER_PLUGIN(plugin)                                                                                   \
	extern __attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void);                  \
	const struct xfer_plugin *xfer_plugin_v1(void)                                                                 \
	{                                                                                                              \
		return &(plugin);                                                                                      \
	}

#ifdef __cplusplus
}
#endif

#endif
