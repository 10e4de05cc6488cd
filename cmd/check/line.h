/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two connected ends of a transport plug-in in one process, and the moving of bytes between them as the core does it:
 * receive until -EAGAIN, send while there is something, then wait for what poll() names.
 */
#ifndef XFER_CMD_CHECK_LINE_H
#define XFER_CMD_CHECK_LINE_H

#include "check.h"

enum { LINE_FDS = 16, LINE_TEXT = 256, LINE_PATIENCE = 10000 /* ms without any progress */ };

struct line {
	struct kit *kit;
	struct xfer_listener *listener;  /* NULL: it is closed, or the ends were adopted */
	struct xfer_conn *a;             /* who asked for the connection, as are the next three: NULL when closed */
	struct xfer_conn *b;             /* who accepted it */
	struct sockaddr_storage address; /* to connect to, with XFER_CAP_INET */
	socklen_t address_len;
	char authority[LINE_TEXT]; /* to connect to */
	char host[LINE_TEXT];
	char bound[LINE_TEXT]; /* as the listener says, or what it was given */
};

bool line_inet(const struct kit *kit);
/* "127.0.0.1:15010", "[::1]:0" */
int line_address(const char *text, struct sockaddr_storage *out, socklen_t *len);

/* Listens at --listen, or at a free address. KIT_SKIPPED for a transport that never listens. */
enum kit_outcome line_listen(struct kit *kit, struct line *line);
int line_listen_at(struct line *line, const char *authority, struct xfer_listener **out); /* what listen() returned */
/* For the text of an error at line->authority: where that one is from, when nobody has named it. */
const char *line_made(const struct line *line);
enum kit_outcome line_listener_close(struct line *line);
int line_dial(struct line *line, struct xfer_conn **out); /* what connect() returned */

/* `count` connections; the accepted ones are in no order. The handshakes are through. */
enum kit_outcome line_open_many(struct line *line, struct xfer_conn **as, struct xfer_conn **bs, size_t count);
/* Listens and opens one; where nothing listens, adopts a pair of sockets. */
enum kit_outcome line_open(struct kit *kit, struct line *line);
/* Two ends of a stream of the kind that the transport uses, neither non-blocking nor close-on-exec. */
bool line_raw_pair(const struct kit *kit, int fds[2]);
void line_end(struct line *line);                           /* closes what is open */
void line_drop(struct line *line, struct xfer_conn **conn); /* close(), and NULL */

/* poll() of a connection, which never fails. */
struct xfer_poll line_poll(struct kit *kit, struct xfer_conn *conn);
/* Waits until one of the connections (NULL: none) can go on, or for `ms`; `writes`: one of them wants to send, too. */
void line_wait(struct kit *kit, struct xfer_conn *const *conns, const bool *writes, size_t count, int ms);
/* Waits until somebody wants to be accepted. */
void line_await(struct line *line, int ms);

/* One direction each way, see line_move(). */
struct line_end {
	struct xfer_conn *conn;
	const uint8_t *send; /* borrowed */
	size_t send_len;
	size_t sent;
	uint8_t *got; /* borrowed */
	size_t got_max;
	size_t got_len;
	size_t piece_max; /* bytes of a piece; 0: as large as may be */
	int pieces;       /* at a time at most */
	size_t recv_max;  /* bytes of a call; 0: as many as fit */
	bool shuts;       /* shutdown() when all is sent */
	bool shut;        /* done */
	bool to_end;      /* receives until recv() is 0 */
	bool ended;       /* recv() was 0 */
	int64_t broken;   /* what recv() or sendv() returned otherwise */
};

/*
 * Until both have sent all, were shut down if they should, and have received `got_max` bytes or the end; or one is
 * broken, which is no failure here. KIT_FAILED when nothing moves any more, or for a result that cannot be.
 */
enum kit_outcome line_move(struct kit *kit, struct line_end *a, struct line_end *b);
/* What the one sent is what the other got. */
enum kit_outcome line_compare(struct kit *kit, const struct line_end *from, const struct line_end *to,
                              const char *what);

/* Seeded bytes from a to b and from b to a at once; for ends that are open. */
enum kit_outcome line_exchange(struct kit *kit, struct xfer_conn *a, struct xfer_conn *b, size_t len, const char *what);

/* Descriptor flags: NULL when it is non-blocking and close-on-exec, else what it is not. */
const char *line_fd_wrong(int fd);

/* ---- transport_file.c, transport_lowat.c, transport_end.c, transport_more.c ---- */
enum kit_outcome check_sendfile(struct kit *kit);
enum kit_outcome check_sendpipe(struct kit *kit);
enum kit_outcome check_recvpipe(struct kit *kit);
enum kit_outcome check_lowat(struct kit *kit);
enum kit_outcome check_half_close(struct kit *kit);
enum kit_outcome check_peer_close(struct kit *kit);
enum kit_outcome check_peer_killed(struct kit *kit);
enum kit_outcome check_strangers(struct kit *kit);
enum kit_outcome check_many_connections(struct kit *kit);
enum kit_outcome check_listener_adopt(struct kit *kit);
enum kit_outcome check_adopt(struct kit *kit);
enum kit_outcome check_no_room(struct kit *kit);
enum kit_outcome check_transport_leaks(struct kit *kit);

#endif
