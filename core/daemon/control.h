/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What supervisor and worker say to each other, over a SOCK_SEQPACKET pair, with descriptors by SCM_RIGHTS.
 *
 *   supervisor -> worker   START, SOCKET ... (as many as START says)
 *   worker -> supervisor   SOCKET ... (role MAKE: all that it has now), READY      or ERROR, and it ends
 *   supervisor -> worker   DEATH ...                                               (of other workers, from READY on)
 *   supervisor -> worker   GO                                                      (never to a trial that is given up)
 *   supervisor -> worker   DRAIN
 *
 * A worker is the very executable that its supervisor is, so a message is the struct as it lies in memory. It is
 * checked all the same when it arrives: a worker reads bytes of peers, and the supervisor does not trust it.
 */
#ifndef XFER_DAEMON_CONTROL_H
#define XFER_DAEMON_CONTROL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum control_type {
	CONTROL_START = 1,
	CONTROL_SOCKET = 2,
	CONTROL_READY = 3,
	CONTROL_ERROR = 4,
	CONTROL_GO = 5,
	CONTROL_DRAIN = 6,
	CONTROL_DEATH = 7
};

/* What a worker does to become ready. */
enum control_role {
	CONTROL_MAKE = 1,  /* makes the sockets of its configuration, but keeps those that it is handed; reports all */
	CONTROL_ADOPT = 2, /* serves the sockets that it is handed */
	CONTROL_CHECK = 3  /* loads everything, binds nothing, and ends when it is ready */
};

enum control_socket {
	CONTROL_LISTENER = 1,
	CONTROL_DATAGRAM = 2 /* follows the listener of its item; one descriptor */
};

enum {
	CONTROL_FDS_MAX = 16,      /* descriptors in one message */
	CONTROL_NAME_MAX = 256,    /* NUL included: a plug-in's name (or path), an item of listen */
	CONTROL_ADDRESS_MAX = 128, /* NUL included, as in struct server_socket */
	CONTROL_FD = 3,            /* the worker's end, in the worker */
	CONTROL_NOTES_FD = 4,      /* what registry/note.h makes of, in the worker */
	CONTROL_ID = 16            /* bytes of the number by which peers know a worker */
};

struct control_message {
	uint32_t type;                     /* enum control_type */
	uint32_t role;                     /* START: enum control_role */
	uint32_t workers;                  /* START: of the generation */
	uint32_t sockets;                  /* START: how many SOCKET messages follow */
	uint32_t reload;                   /* START: 1: others serve meanwhile, so that nothing may be missing */
	uint32_t kind;                     /* SOCKET: enum control_socket */
	uint32_t item;                     /* SOCKET: which listen item, counted from 0 in order */
	uint32_t worker;                   /* SOCKET, of a datagram socket: whose it is */
	uint32_t fault;                    /* ERROR: enum fault */
	int32_t code;                      /* ERROR: -errno */
	char listen[CONTROL_NAME_MAX];     /* SOCKET: the address as configured */
	char name[CONTROL_NAME_MAX];       /* SOCKET: the transport; READY: the liveness plug-in */
	char address[CONTROL_ADDRESS_MAX]; /* SOCKET: as bound */
	char text[ERROR_TEXT_MAX];         /* ERROR; DEATH: "died of SIGSEGV in integrity-foo digest()" */
	uint8_t id[CONTROL_ID];            /* DEATH: of the worker that is no more */
};

/* A pair of ends, both CLOEXEC; the first one (the supervisor's) is non-blocking. */
int control_pair(int fds[2]);
/* The descriptors are lent. 0, -EAGAIN when the other side does not read, -EPIPE when it is gone. */
int control_send(int fd, const struct control_message *message, const int *fds, size_t count);
/* A message of nothing but its type. */
int control_tell(int fd, enum control_type type);
/*
 * Receives one message; its descriptors (CLOEXEC) are the caller's. `flags`: of recvmsg(2).
 * 0, -EAGAIN, -EPIPE at the end, -EBADMSG for what no worker of ours would send (its descriptors are closed).
 */
int control_receive(int fd, struct control_message *message, int fds[CONTROL_FDS_MAX], size_t *count, int flags);
/* 0, or -EBADMSG when a field is out of range or `fds` is not what the message's type needs. */
int control_check(const struct control_message *message, size_t fds);

/* An error as a message, and back. */
int control_send_error(int fd, const struct error *err);
void control_read_error(const struct control_message *message, struct error *err);

#endif
