/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls inside: what its files share.
 *
 * It stands on transport-tcp: each connection and each listener has one of TCP's inside, and this plug-in sees to what
 * travels in it. Everything runs in the loop thread.
 */
#ifndef XFER_TRANSPORT_TLS_H
#define XFER_TRANSPORT_TLS_H

#include "../transport-tcp/tcp.h"
#include "aead.h"

#include <openssl/ssl.h>
#include <stdbool.h>

/* Bytes: the kernel's records are welcome where a connection has a key for so long at least, for not each can change it. */
#define TLS_KERNEL_KEY (UINT64_C(64) << 30)

enum {
	TLS_NAME_MAX = 128,       /* bytes of the name of a key */
	TLS_KEY_MIN = 16,         /* bytes of a key: 128 bits */
	TLS_KEY_MAX = 64,         /* bytes */
	TLS_RECORD = 16 * 1024,   /* bytes of payload in a full record */
	TLS_RECORD_EXTRA = 256,   /* bytes that protection adds, at most */
	TLS_HEADER = AEAD_HEADER, /* bytes in front of a record */
	TLS_TAG = AEAD_TAG,       /* bytes of authentication at its end */
	TLS_AROUND = 22,          /* bytes around the payload of a record of ours: header, the type, the tag */
	TLS_RECORD_MAX = TLS_HEADER + TLS_RECORD + TLS_RECORD_EXTRA,
	TLS_BATCH = 8,             /* records that are made before they are sent, or read with one call */
	TLS_PENDING_MAX = 65536,   /* bytes of answers that wait to be sent; a peer that wants more has to read first */
	TLS_PROVEN = 1024 * 1024,  /* bytes after which a connection may have TLS_BATCH records made at a time */
	TLS_FIRST = 8,             /* bytes that are kept of a stream's beginning */
	TLS_BARE_MAX = 256 * 1024, /* bytes without payload that one call reads from TCP */
	TLS_SECRET_MAX = 64,       /* bytes of a secret: those of a hash */
	TLS_NONCE = AEAD_NONCE     /* bytes */
};

/* The instance's buffer: records on their way while a call runs, and behind them one that is not wanted whole. */
enum {
	TLS_SCRATCH = (TLS_BATCH + 1) * TLS_RECORD_MAX, /* one more for a change of the key */
	TLS_SCRATCH_TAIL = TLS_SCRATCH,
	TLS_SCRATCH_SIZE = TLS_SCRATCH + TLS_RECORD_MAX
};

struct tls_key {
	char name[TLS_NAME_MAX + 1];
	uint8_t bytes[TLS_KEY_MAX];
	size_t len; /* bytes */
};

struct tls_keys {
	struct tls_key *list; /* owned */
	size_t count;
};

/* An instance. Options are texts of the core's that live as long as it does; "" = not set. */
struct tls {
	const struct xfer_host *host;
	void *tcp; /* owned; transport-tcp's instance */
	const char *key_file;
	const char *certificate;
	const char *certificate_key;
	const char *authorities;
	uint64_t rekey_after;       /* bytes */
	bool fast;                  /* other engines than OpenSSL are welcome */
	bool kernel;                /* the kernel's records are welcome */
	struct tls_keys keys;       /* with the next one: read when the first connection or listener is made */
	SSL_CTX *context;           /* owned; NULL until then */
	struct aead_engine *engine; /* owned; NULL = OpenSSL */
	BIO_METHOD *method;         /* owned; NULL until then */
	uint8_t *scratch;           /* owned; NULL until then; TLS_SCRATCH_SIZE bytes */
};

/* The protection of one direction. */
struct tls_seal {
	struct aead aead; /* owned; has a key once the handshake is done */
	const struct aead_engine *engine;
	const EVP_CIPHER *suite;
	const EVP_MD *hash;
	uint64_t sequence; /* of the next record */
	uint8_t nonce[TLS_NONCE];
	uint8_t secret[TLS_SECRET_MAX]; /* of which the key is made, and the next secret */
	size_t secret_len;              /* bytes; 0 = the handshake has not come to it */
};

/* Bytes that wait. */
struct tls_held {
	size_t at, len; /* those before `at` are gone */
	uint8_t bytes[];
};

/* Who makes the records that are sent. */
enum tls_way {
	TLS_WAY_OPEN,  /* we do; nothing was decided yet */
	TLS_WAY_OWN,   /* we do */
	TLS_WAY_KERNEL /* the kernel does, for ever */
};

/* What the kernel has of it: from the record on whose number is in the seal. */
struct tls_kernel {
	bool changes;     /* it can change the key */
	uint64_t began;   /* bytes that TCP had been given when it took over */
	uint64_t content; /* bytes of content that it was given */
	uint64_t records; /* that it has made with earlier keys */
	size_t begun;     /* bytes in a record that waits for more out of a pipe */
};

/* What the core holds as a struct xfer_conn. */
struct tls_conn {
	struct tls *tls;
	struct xfer_conn *tcp; /* owned */
	SSL *ssl;              /* owned; NULL once the handshake is done */
	bool server;
	bool connected; /* TCP is through */
	bool open;      /* TLS is, too */
	bool eof;       /* the peer's TCP stream has ended, in the handshake */
	bool flooded;   /* the peer sends and sends, but no handshake */
	bool over;      /* recv() has nothing more to say than `verdict` */
	bool shut;      /* we said that no more will come */
	int verdict;    /* 0 = a proper end, or -errno */
	int io_error;   /* -errno of the TCP connection; 0 = none */
	uint8_t first_len;
	uint8_t first[TLS_FIRST];  /* of what came */
	const struct tls_key *key; /* that both sides have: offered (client) or found (server); NULL = none */
	char *stranger;            /* owned; the name that was offered and is not in our key-file; NULL = none */
	char *shown;               /* owned; names in a certificate that was not accepted; NULL = none */
	char *host;                /* owned; whom the URL names, NULL at the daemon */
	char *identity;            /* owned; NULL until it is known */
	char *error;               /* owned; the text that belongs to `verdict`, or NULL */
	struct tls_seal in, out;
	enum tls_way way;
	struct tls_kernel kernel; /* with TLS_WAY_KERNEL */
	struct tls_held *pending; /* owned; records that TCP did not take, NULL = none */
	struct tls_held *wire;    /* owned; came, and is not opened yet; NULL = none */
	struct tls_held *plain;   /* owned; opened, and not asked for yet; NULL = none */
	int64_t allowed;          /* bytes that the handshake's call of now may still read from TCP */
	uint64_t sent;            /* bytes */
	uint64_t keyed;           /* bytes sent with the key of now */
};

static inline struct tls_conn *tls_conn_of(struct xfer_conn *conn)
{
	return (struct tls_conn *)(void *)conn;
}

/* ---- file.c: what only some may read ---- */
/*
 * The content of a file, NUL-terminated, the caller's to tls_file_free(). `forbidden` are the bits of its mode that must
 * not be set; `what` is the option that named it. Says what is wrong.
 */
int tls_file_read(const struct tls *tls, const char *what, const char *path, unsigned forbidden, char **out,
                  size_t *len);
void tls_file_free(char *bytes, size_t len);

/* ---- key.c ---- */
/* Reads tls->key_file. */
int tls_keys_read(const struct tls *tls, struct tls_keys *out);
void tls_keys_free(struct tls_keys *keys);
/* NULL when there is none. */
const struct tls_key *tls_keys_find(const struct tls_keys *keys, const void *name, size_t len);

/* ---- context.c ---- */
/* Reads files and makes the context, once. */
int tls_context_make(struct tls *tls);
void tls_context_free(struct tls *tls);

/* ---- identity.c ---- */
/* Called by OpenSSL for each certificate of the peer's chain. */
int tls_identity_verify(int good, X509_STORE_CTX *store);
/* After the handshake: whether the peer has shown who it is, and its name. -EACCES and a text when it has not. */
int tls_identity_take(struct tls_conn *conn);

/* ---- stream.c: the handshake between OpenSSL and TCP, and what waits to be sent ---- */
BIO_METHOD *tls_stream_method(void);
int tls_stream_open(struct tls_conn *conn);
/* Behind what is pending already. */
int tls_stream_add(struct tls_conn *conn, const void *bytes, size_t len);
/* Bytes that are pending. */
size_t tls_stream_pending(const struct tls_conn *conn);
/* 0 when nothing is left to be sent, -EAGAIN, or the error of TCP. */
int tls_stream_flush(struct tls_conn *conn);

/* ---- seal.c: the protection of records, once the handshake has made the secrets ---- */
/* Called by OpenSSL with the secrets. */
void tls_seal_secret(const SSL *ssl, const char *line);
/* Both directions; the handshake is done. -EPROTO and a text. */
int tls_seal_begin(struct tls_conn *conn);
/* The next key, of the next secret. */
int tls_seal_renew(struct tls_seal *seal);
/* For somebody else who makes the records: the next secret alone; and the key of now, with its nonce in the seal. */
int tls_seal_next(struct tls_seal *seal);
int tls_seal_key(struct tls_seal *seal, uint8_t key[EVP_MAX_KEY_LENGTH]);
void tls_seal_end(struct tls_seal *seal);
/* Where the pieces of a sendv() are read. */
struct tls_reading {
	const struct iovec *iov;
	int count;
	size_t at; /* in the first of them */
};
/*
 * A record of the next bytes, TLS_RECORD at most: to `out`, TLS_RECORD_MAX bytes. Returns the bytes of the record, 0 when
 * there is nothing to be put into it, or -EPROTO.
 */
ssize_t tls_seal_make(struct tls_seal *seal, uint8_t type, struct tls_reading *reading, uint8_t *out);
/*
 * Opens a record, header included, into `out`, for which there is room for all behind the header but the tag. Returns the
 * bytes of its content and sets *type; -EBADMSG when it is none of the peer's, or damaged; -EPROTO when it is malformed.
 */
ssize_t tls_seal_open(struct tls_seal *seal, const uint8_t *record, size_t len, uint8_t *out, uint8_t *type);

/* ---- send.c ---- */
ssize_t tls_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags);
int tls_shutdown(struct xfer_conn *conn, uint32_t flags);
/* A record of its own, to be sent with the next flush; -EAGAIN when the kernel makes the records and has no room. */
int tls_send_alert(struct tls_conn *conn, uint8_t level, uint8_t alert);
/* Says that the key changes, in a record with the one of now, and changes it. */
int tls_send_update(struct tls_conn *conn);

/* ---- position.c ---- */

/*
 * Bytes that TCP was given so far, counted from somewhere. -EAGAIN: the peer acknowledges so fast that it cannot be told
 * now; -EOPNOTSUPP: this kernel does not tell.
 */
int tls_position(int fd, uint64_t *out);

/* ---- kernel.c: the records that the kernel makes ---- */
ssize_t tls_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags);
/* From now on the kernel makes them, when it can: 0, -EOPNOTSUPP, or -EAGAIN while we have some to be sent. */
int tls_kernel_begin(struct tls_conn *conn);
/* With TLS_WAY_KERNEL only. Bytes, 0 without any, or -errno. */
ssize_t tls_kernel_sendv(struct tls_conn *conn, const struct iovec *iov, int count);
/* A record of another type: it is taken, or -EAGAIN. */
int tls_kernel_control(struct tls_conn *conn, uint8_t type, const uint8_t *bytes, size_t len);
/* The next key; the record that says so was taken. */
int tls_kernel_renew(struct tls_conn *conn);
/* 0 when all that was taken is TCP's, -EAGAIN when it is not, or nobody can tell now; after a record of another type, which leaves none half made. */
int tls_kernel_drained(struct tls_conn *conn);

/* ---- receive.c ---- */
ssize_t tls_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags);

/* ---- explain.c ---- */
/* Says why OpenSSL gave up in the handshake, and returns -errno. */
int tls_explain(struct tls_conn *conn);
/* The peer has sent this alert. */
int tls_explain_alert(struct tls_conn *conn, int alert);
/* Its stream ended without a word. */
int tls_explain_end(struct tls_conn *conn);
/* It sends and sends, and nothing that we could use. */
int tls_explain_flood(struct tls_conn *conn);
/* Says it, at the client with the address in front, keeps the text in conn->error, and returns code. */
int tls_conn_say(struct tls_conn *conn, int code, const char *format, ...) XFER_PRINTF(3, 4);
/* What OpenSSL complained about first, as text; forgets all of it. */
const char *tls_openssl_text(char *text, size_t size);

/* ---- conn.c ---- */
int tls_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out);
int tls_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out);
int tls_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags);
int tls_handshake(struct xfer_conn *conn, uint32_t flags);
int tls_poll(struct xfer_conn *conn, struct xfer_poll *out);
int tls_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out);
void tls_close(struct xfer_conn *conn);

/* ---- listener.c ---- */
int tls_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out);
int tls_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                       struct xfer_listener **out);
int tls_listener_fds(struct xfer_listener *listener, int *fds, size_t max);
int tls_listener_address(struct xfer_listener *listener, char *text, size_t size);
void tls_listener_close(struct xfer_listener *listener);
/* The instance, and the next TCP connection. */
int tls_listener_accept(struct xfer_listener *listener, struct tls **tls, struct xfer_conn **tcp);

#endif
