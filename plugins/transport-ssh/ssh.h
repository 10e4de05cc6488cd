/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-ssh: the client runs `ssh host xferd --stdio` and talks to its standard input and output; sshd has asked who
 * the user is, and encrypts. The daemon's side adopts its own standard input and output.
 *
 * Before the first byte of the stream the daemon's side writes one line, GREETING. Until it has come the client takes what
 * it reads for the words of a shell's start files, which it skips, and ssh may ask for a password as long as it likes.
 */
#ifndef TRANSPORT_SSH_H
#define TRANSPORT_SSH_H

#include <xfer/plugin.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define GREETING "xferd --stdio, XFER/1\n"

enum {
	GREETING_LEN = sizeof(GREETING) - 1,
	NOISE_MAX = 65536, /* bytes before the greeting */
	HOST_MAX = 256,
};

struct ssh_transport {
	const struct xfer_host *host;
	const char *program;   /* options of the section; texts live as long as the instance */
	const char *arguments; /* apart by blanks */
	const char *remote;
};

struct xfer_conn {
	const struct ssh_transport *self;
	int read_fd, write_fd; /* owned; may be the same */
	/*
	 * At the client what the core waits for, owned: an epoll(7) of the stream and, when that has ended too early, of
	 * ssh's end. -1 at the daemon, where it is read_fd.
	 */
	int wait_fd;
	int end_fd, timer_fd; /* owned; ssh's end, and the end of our patience with it; -1: not waited for */
	pid_t pid;            /* of ssh; 0: adopted, or reaped */
	bool server;
	bool greeted;
	bool shut;
	size_t greeting; /* bytes of it sent, or received */
	size_t noise;
	char text[HOST_MAX]; /* for people: whom it leads to */
};

/* spawn.c: *fd is one end of a stream whose other one is the standard input and output of ssh. -errno with a text. */
int ssh_spawn(const struct ssh_transport *self, const struct xfer_connect *how, int *fd, pid_t *pid);
/*
 * The stream of ssh has ended, which ends itself behind it: -EAGAIN for a moment, as long as it has not, with wait_fd to
 * wait for; then an error with a text that says what its status means.
 */
int ssh_ended(struct xfer_conn *conn);

/* conn.c */
int conn_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out);
int conn_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out);
int conn_handshake(struct xfer_conn *conn, uint32_t flags);
ssize_t conn_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags);
ssize_t conn_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags);
int conn_poll(struct xfer_conn *conn, struct xfer_poll *out);
int conn_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out);
int conn_shutdown(struct xfer_conn *conn, uint32_t flags);
void conn_close(struct xfer_conn *conn);

#endif
