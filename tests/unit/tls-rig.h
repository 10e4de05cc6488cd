/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys, certificates and pairs of transport-tls for its tests. */
#ifndef XFER_TESTS_TLS_RIG_H
#define XFER_TESTS_TLS_RIG_H

#include "pair.h"

/* Names of files in the folder of the rig; NULL: not set. */
struct rig_options {
	const char *key_file;
	const char *certificate;
	const char *certificate_key;
	const char *ca;
	const char *engine;   /* NULL: the default */
	const char *kernel;   /* NULL: the default */
	uint64_t rekey_after; /* bytes; 0 = the default */
	uint64_t ahead;       /* bytes that the kernel may hold before it sends them; 0 = any */
	uint64_t buffers;     /* bytes of the socket's; 0 = the kernel's */
};

extern const struct rig_options rig_key;          /* bob's */
extern const struct rig_options rig_narrow;       /* bob's, and small buffers of the socket */
extern const struct rig_options rig_keys;         /* alice's, bob's and carol's */
extern const struct rig_options rig_certificates; /* a client's */
extern const struct rig_options rig_certificates_daemon;

/* A folder with files for these; with what else is in tls-rig.c. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* The path of a file there, in a ring of texts. */
const char *rig_path(const char *name);
/* Writes a file there, of that mode. */
void rig_write(const char *name, const char *text, unsigned mode);

struct plugin *rig_plugin(struct registry **registry, const struct rig_options *options);

struct rig_pair {
	struct registry *registries[2];
	struct plugin *client_plugin, *server_plugin;
	const struct xfer_transport_ops *ops; /* of either */
	struct xfer_listener *listener;       /* NULL when it is not needed any more */
	struct xfer_conn *client, *server;
	struct error client_error, server_error; /* of the handshake */
};

/* A pair that is open, or the end of the test. `user` is the URL's, or NULL. */
void rig_pair_make(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server);
void rig_pair_make_as(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server,
                      const char *user);
/* One that is connected by TCP; the client's connect() may fail, which is returned. host: as the URL has it. */
int rig_pair_begin(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server,
                   const char *host, const char *user);
void rig_pair_break(struct rig_pair *pair);

struct xfer_conn *rig_accept(const struct rig_pair *pair, struct xfer_listener *listener);
/*
 * Both handshakes, each waiting as poll() says. 0, or the error of the side that fails first; what each side says is in
 * client_error and server_error. A client that was refused after its own handshake has it from recv().
 */
int rig_handshakes(struct rig_pair *pair);
int rig_fd(const struct rig_pair *pair, struct xfer_conn *conn);
/* Waits at most `ms` (-1: as long as patience lasts, or the test fails): whether it is so. */
int rig_wait(const struct rig_pair *pair, struct xfer_conn *conn, short events, int ms);
uint32_t rig_events(const struct rig_pair *pair, struct xfer_conn *conn);
/* What the core does when the connection holds something: 0 or -EAGAIN. */
ssize_t rig_flush(const struct rig_pair *pair, struct xfer_conn *conn);

#endif
