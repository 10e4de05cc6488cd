/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thousands of clients in one process, none of them in a hurry: what a daemon has to bear beside its good clients.
 *
 *   many [-n COUNT] [-b BYTES] [-c CHUNK] [-l LIVENESS] [-p SECONDS] [-H] [-s] idle PORT
 *   many [...] read PORT PATH SIZE
 *   many [...] put PORT FOLDER
 *
 * Opens COUNT sessions with 127.0.0.1:PORT, -s: each from an address of its own. `idle` does nothing in them; `read` asks
 * in each for all of a file of SIZE bytes and then reads one byte (-b) a second of what comes; `put` puts a file of one
 * chunk of zeroes into FOLDER in each, of which it sends one byte (-b) a second, under the integrity `none`. With -p each
 * sends a ping as often as that (not in a put), with -H heartbeats as often as the daemon wants them (liveness udp); it
 * has to have a long dead-after otherwise. The kernel holds
 * little of what is not read: elsewhere it would be other kernels that do.
 *
 * Prints "open N in MS ms" when all have had their WELCOME or something else, "moving N in MS ms" when all of these have
 * had their first byte or sent it, "none is left" when all have ended, and at the end of its standard input "there N of
 * COUNT", with -H "heartbeats N, answered M", and a line "ended N: TEXT" for each way in which others ended. Its status is 0 when all are there.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "wire/message.h"

#include "beat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECTING_MAX = 256, /* sessions without a WELCOME at a time: more do not fit into a listener's queue */
	TURNS = 100,          /* parts of a second: sessions do not all move at once */
	CAUSES_MAX = 16,
	RECEIVE_BUFFER = 4096,
	WELCOME_MAX = FRAME_HEADER + FRAME_HELLO_MAX
};

enum mode { MODE_IDLE, MODE_READ, MODE_PUT };
enum state { STATE_NONE, STATE_CONNECTING, STATE_WELCOME, STATE_OPEN, STATE_ENDED };

struct session {
	int fd;
	enum state state;
	bool credit;      /* put: it may send */
	bool begun;       /* put: the head of the chunk is sent */
	uint32_t request; /* put: what it answers, 0 = nothing */
	uint64_t bytes;   /* read, or of payload sent */
	struct beat beat;
};

struct cause {
	char text[128];
	unsigned count;
};

struct many {
	enum mode mode;
	unsigned count;
	uint16_t port;
	bool spread;         /* an address for each session */
	size_t rate;         /* bytes a second */
	unsigned ping;       /* seconds; 0 = never */
	bool beats;          /* heartbeats */
	int beat_fd;         /* -1 before the first WELCOME */
	unsigned beat_turns; /* from one question of a session to its next */
	uint64_t asked, answered;
	const char *path; /* of the file to read, or of the folder to put to */
	uint64_t size;    /* its bytes */
	struct message_hello hello;
	struct session *sessions;
	struct cause causes[CAUSES_MAX];
	unsigned begun, connecting, open, moving;
	bool told; /* "open" is said */
	bool told_moving;
	int epoll;
	uint64_t began;
	uint64_t turn; /* turns done */
};

static void die(const char *what)
{
	fprintf(stderr, "many: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Says once that nobody is on the way in any more. */
static void maybe_told(struct many *many)
{
	if (many->told || many->begun < many->count || many->connecting > 0)
		return;
	many->told = true;
	printf("open %u in %llu ms\n", many->open, (unsigned long long)((clock_monotonic() - many->began) / CLOCK_MS));
	fflush(stdout);
}

static void maybe_told_moving(struct many *many)
{
	if (!many->told || many->told_moving || many->moving < many->open || many->mode == MODE_IDLE)
		return;
	many->told_moving = true;
	printf("moving %u in %llu ms\n", many->moving,
	       (unsigned long long)((clock_monotonic() - many->began) / CLOCK_MS));
	fflush(stdout);
}

static void session_end(struct many *many, struct session *session, const char *text)
{
	struct cause *cause = many->causes;

	while (cause < many->causes + CAUSES_MAX - 1 && cause->count > 0 && strcmp(cause->text, text) != 0)
		cause++;
	snprintf(cause->text, sizeof(cause->text), "%s", text);
	cause->count++;
	if (session->state == STATE_OPEN)
		many->open--;
	if (session->bytes > 0)
		many->moving--;
	if (session->state != STATE_OPEN)
		many->connecting--;
	close(session->fd);
	session->fd = -1;
	session->state = STATE_ENDED;
	maybe_told(many);
	if (many->told && many->open == 0) {
		printf("none is left\n");
		fflush(stdout);
	}
}

/* Frames are small, and there is room for them in the socket. */
static void session_send(struct many *many, struct session *session, struct buf *frames)
{
	ssize_t n = send(session->fd, frames->data, frames->len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n != (ssize_t)frames->len)
		session_end(many, session, n < 0 ? strerror(errno) : "a frame does not fit into the socket");
	buf_free(frames);
}

static void session_begin(struct many *many, unsigned at)
{
	struct session *session = &many->sessions[at];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(many->port) };
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct epoll_event event = { .events = EPOLLOUT, .data.u32 = at };
	const int room = RECEIVE_BUFFER;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(0x7f010000 + at); /* 127.1.0.0 and on */
	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->fd < 0)
		die("socket");
	if (many->mode == MODE_READ && setsockopt(session->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) < 0)
		die("receive buffer");
	if (many->spread && bind(session->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		die("bind");
	if (connect(session->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(many->epoll, EPOLL_CTL_ADD, session->fd, &event) < 0)
		die("epoll");
	session->state = STATE_CONNECTING;
	many->connecting++;
}

static void session_hello(struct many *many, struct session *session, unsigned at)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = at };
	struct buf frame = { 0 };
	socklen_t len = sizeof(errno);
	int code = 0;

	getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &code, &len);
	if (code != 0) {
		session_end(many, session, strerror(code));
		return;
	}
	if (message_hello_write(&frame, &many->hello) < 0 ||
	    epoll_ctl(many->epoll, EPOLL_CTL_MOD, session->fd, &event) < 0)
		die("hello");
	session->state = STATE_WELCOME;
	session_send(many, session, &frame);
}

static void session_ask(struct many *many, struct session *session)
{
	const struct message_read item = {
		.count = MESSAGE_ALL,
		.size = many->size,
		.path = many->path,
		.path_len = strlen(many->path),
	};
	struct buf frames = { 0 };
	size_t start;

	if (message_credit_write(&frames, 0, many->size) < 0 || message_read_begin(&frames, &start) < 0 ||
	    message_read_item_write(&frames, &item) < 0 || message_read_seal(&frames, start, 1, 1) < 0)
		die("read");
	session_send(many, session, &frames);
}

static void session_put(struct many *many, struct session *session)
{
	uint32_t at = (uint32_t)(session - many->sessions);
	struct message_put put = { .flags = MESSAGE_PUT_NO_RESUME, .path = many->path, .path_len = strlen(many->path) };
	struct buf frame = { 0 };
	char name[32];

	memcpy(put.id, &at, sizeof(at));
	put.name_len = (size_t)snprintf(name, sizeof(name), "many-%u", at);
	put.name = name;
	if (message_put_write(&frame, 1, &put) < 0)
		die("put");
	session_send(many, session, &frame);
}

static void session_opened(struct many *many, struct session *session)
{
	session->state = STATE_OPEN;
	many->connecting--;
	many->open++;
	if (many->mode == MODE_READ) {
		/* From here on it is read when its turn has come, not when something is there. */
		if (epoll_ctl(many->epoll, EPOLL_CTL_DEL, session->fd, NULL) < 0)
			die("epoll");
		session_ask(many, session);
	}
	if (many->mode == MODE_PUT)
		session_put(many, session);
	maybe_told(many);
}

/* The daemon wants to know what there is: a file of one chunk. */
static void session_list(struct many *many, struct session *session, uint32_t request)
{
	char name[32];
	const struct entry entry = {
		.kind = ENTRY_FILE,
		.mode = 0644,
		.size = many->hello.chunk_size,
		.name = name,
		.name_len = (size_t)snprintf(name, sizeof(name), "many-%u", (unsigned)(session - many->sessions)),
	};
	const struct end end = { .request = request };
	struct buf frames = { 0 };
	size_t start;

	if (message_body_begin(&frames, &start) < 0 || message_entry_write(&frames, &entry) < 0 ||
	    message_body_seal(&frames, start, FRAME_ENTRIES, request) < 0 || message_body_begin(&frames, &start) < 0 ||
	    message_end_write(&frames, 0, &end) < 0 || message_body_seal(&frames, start, FRAME_ENDS, 0) < 0)
		die("entries");
	session_send(many, session, &frames);
}

/* It wants it, and has a buffer for it. */
static void session_chunk(struct many *many, struct session *session)
{
	const struct frame_limits limits = { FRAME_CONTROL_MAX, many->hello.chunk_size, 0 };
	uint8_t head[FRAME_HEADER + FRAME_CHUNK_HEAD];
	struct buf frame = { 0 };

	frame_chunk_seal(head, &limits, session->request, 0, 0, many->hello.chunk_size, NULL);
	if (buf_append(&frame, head, sizeof(head)) < 0)
		die("chunk");
	session->begun = true;
	/* What the daemon has to say to it from now on does not matter. */
	if (epoll_ctl(many->epoll, EPOLL_CTL_DEL, session->fd, NULL) < 0)
		die("epoll");
	session_send(many, session, &frame);
}

/* What one says that it ends with. */
static void last_words(const struct frame_header *header, const uint8_t *body, char *text, size_t size)
{
	struct message_notice notice;
	struct message_done done;

	if ((header->type == FRAME_ERROR || header->type == FRAME_GOAWAY) &&
	    message_notice_read(body, header->length, &notice, NULL) == 0)
		snprintf(text, size, "%s: %.*s", status_name(notice.status), (int)notice.text_len, notice.text);
	else if (header->type == FRAME_DONE && message_done_read(body, header->length, 0, &done, NULL) == 0)
		snprintf(text, size, "%s: %.*s", status_name(done.status), (int)done.text_len, done.text);
	else
		snprintf(text, size, "a frame of type %d", (int)header->type);
}

/* Its heartbeats begin. All sessions share a socket, and each has its own slot. */
static void session_beats(struct many *many, struct session *session, const uint8_t *body, size_t len)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = many->count + 1 };
	struct message_welcome welcome;

	if (message_welcome_read(body, len, &welcome, NULL) < 0 || welcome.heartbeat_port == 0)
		die("no heartbeats in the welcome");
	session->beat.slot = welcome.slot;
	memcpy(session->beat.key, welcome.key, sizeof(session->beat.key));
	if (many->beat_fd >= 0)
		return;
	many->beat_turns = welcome.interval_ms * TURNS / 1000;
	many->beat_turns += many->beat_turns == 0;
	many->beat_fd = beat_socket(welcome.heartbeat_port);
	if (many->beat_fd < 0 || epoll_ctl(many->epoll, EPOLL_CTL_ADD, many->beat_fd, &event) < 0)
		die("heartbeats");
}

/* One frame; false: the session ends with `text`. */
static bool frame_take(struct many *many, struct session *session, const struct frame_header *header,
                       const uint8_t *body, char *text, size_t size)
{
	switch (header->type) {
	case FRAME_WELCOME:
		if (session->state != STATE_WELCOME)
			break;
		if (many->beats)
			session_beats(many, session, body, header->length);
		session_opened(many, session);
		return true;
	case FRAME_PONG: return true;
	case FRAME_LIST:
		/* The sums are asked for first, or not at all: one answer does for both. */
		session_list(many, session, header->request);
		return true;
	case FRAME_READ: session->request = header->request; break;
	case FRAME_CREDIT: session->credit = session->credit || header->request == 0; break;
	default: last_words(header, body, text, size); return false;
	}
	if (session->request != 0 && session->credit && !session->begun)
		session_chunk(many, session);
	return true;
}

/* Something came. Frames are short, and come whole. */
static void session_hear(struct many *many, struct session *session)
{
	const struct frame_limits limits = { .control_max = FRAME_CONTROL_MAX };
	struct frame_header header;
	uint8_t bytes[WELCOME_MAX];
	char text[128] = "closed";
	ssize_t n = recv(session->fd, bytes, sizeof(bytes), MSG_DONTWAIT), at = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	while (n - at >= FRAME_HEADER && session->state != STATE_ENDED) {
		if (frame_header_read(bytes + at, &limits, &header, NULL) < 0 ||
		    FRAME_HEADER + (ssize_t)header.length > n - at) {
			snprintf(text, sizeof(text), "half a frame");
			n = 0;
			break;
		}
		if (!frame_take(many, session, &header, bytes + at + FRAME_HEADER, text, sizeof(text))) {
			n = 0;
			break;
		}
		at += FRAME_HEADER + (ssize_t)header.length;
	}
	if (n <= 0 && session->state != STATE_ENDED)
		session_end(many, session, n < 0 ? strerror(errno) : text);
}

static void session_ping(struct many *many, struct session *session)
{
	const struct message_ping ping = { .sequence = many->turn, .sent = clock_monotonic() };
	struct buf frame = { 0 };

	if (message_ping_write(&frame, FRAME_PING, &ping) < 0)
		die("ping");
	session_send(many, session, &frame);
}

/* All of the chunk is sent: what is left is to say so, and to hear what the daemon makes of it. */
static void session_finish(struct many *many, struct session *session)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)(session - many->sessions) };
	const struct end end = {
		.request = session->request,
		.mode = 0644,
		.size = many->hello.chunk_size,
		.chunks = 1,
	};
	struct buf frame = { 0 };
	size_t start;

	if (message_body_begin(&frame, &start) < 0 || message_end_write(&frame, 0, &end) < 0 ||
	    message_body_seal(&frame, start, FRAME_ENDS, 0) < 0 ||
	    epoll_ctl(many->epoll, EPOLL_CTL_ADD, session->fd, &event) < 0)
		die("ends");
	session_send(many, session, &frame);
}

/* A second's bytes of what was asked for. */
static void session_move(struct many *many, struct session *session)
{
	static uint8_t bytes[1 << 20];
	size_t left = many->rate < sizeof(bytes) ? many->rate : sizeof(bytes);
	ssize_t n;

	if (many->mode == MODE_PUT && left > many->hello.chunk_size - session->bytes)
		left = many->hello.chunk_size - session->bytes;
	if (left == 0 || (many->mode == MODE_PUT && !session->begun))
		return;
	if (many->mode == MODE_READ)
		n = recv(session->fd, bytes, left, MSG_DONTWAIT);
	else
		n = send(session->fd, bytes, left, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		session_end(many, session, n < 0 ? strerror(errno) : "closed");
		return;
	}
	if (n < 0)
		return;
	many->moving += session->bytes == 0;
	session->bytes += (size_t)n;
	if (many->mode == MODE_PUT && session->bytes == many->hello.chunk_size)
		session_finish(many, session);
}

/* A hundredth of the sessions has its turn. */
static void turn(struct many *many)
{
	uint64_t second = many->turn / TURNS;

	for (unsigned at = (unsigned)(many->turn % TURNS); at < many->count; at += TURNS) {
		struct session *session = &many->sessions[at];

		if (session->state == STATE_OPEN && many->ping > 0 && (second + at) % many->ping == 0)
			session_ping(many, session);
		if (session->state == STATE_OPEN && many->mode != MODE_IDLE)
			session_move(many, session);
	}
	for (unsigned at = (unsigned)(many->turn % many->beat_turns); many->beat_fd >= 0 && at < many->count;
	     at += many->beat_turns) {
		if (many->sessions[at].state != STATE_OPEN)
			continue;
		beat_ask(many->beat_fd, &many->sessions[at].beat, clock_monotonic() - many->began);
		many->asked++;
	}
	many->turn++;
	maybe_told_moving(many);
}

static void on_event(struct many *many, unsigned at)
{
	struct session *session = &many->sessions[at];

	if (session->state == STATE_CONNECTING)
		session_hello(many, session, at);
	else if (session->state != STATE_ENDED)
		session_hear(many, session);
}

/* Until standard input ends. */
static void run(struct many *many)
{
	struct epoll_event events[256];
	bool over = false;

	while (!over) {
		uint64_t due = many->began + many->turn * (CLOCK_SECOND / TURNS), now;
		int count;

		while (many->begun < many->count && many->connecting < CONNECTING_MAX)
			session_begin(many, many->begun++);
		now = clock_monotonic();
		count = epoll_wait(many->epoll, events, 256, due > now ? (int)((due - now) / CLOCK_MS) + 1 : 0);
		for (int i = 0; i < count; i++) {
			if (events[i].data.u32 == many->count)
				over = true;
			else if (events[i].data.u32 == many->count + 1)
				many->answered += beat_hear(many->beat_fd);
			else
				on_event(many, events[i].data.u32);
		}
		now = clock_monotonic();
		while (many->began + many->turn * (CLOCK_SECOND / TURNS) <= now)
			turn(many);
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: many [-n COUNT] [-b BYTES] [-c CHUNK] [-l LIVENESS] [-p SECONDS] [-H] [-s] idle PORT\n"
	                "       many [...] read PORT PATH SIZE\n"
	                "       many [...] put PORT FOLDER\n");
	exit(2);
}

static void arguments(struct many *many, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "n:b:c:l:p:Hs")) != -1) {
		switch (option) {
		case 'b': many->rate = (size_t)atoi(optarg); break;
		case 'n': many->count = (unsigned)atoi(optarg); break;
		case 'c': many->hello.chunk_size = (uint32_t)atoi(optarg); break;
		case 'l': snprintf(many->hello.liveness, sizeof(many->hello.liveness), "%s", optarg); break;
		case 'p': many->ping = (unsigned)atoi(optarg); break;
		case 'H': many->beats = true; break;
		case 's': many->spread = true; break;
		default: usage();
		}
	}
	argv += optind;
	argc -= optind;
	if (argc == 2 && strcmp(argv[0], "idle") == 0) {
		many->mode = MODE_IDLE;
	} else if (argc == 4 && strcmp(argv[0], "read") == 0) {
		many->mode = MODE_READ;
		many->path = argv[2];
		many->size = strtoull(argv[3], NULL, 10);
	} else if (argc == 3 && strcmp(argv[0], "put") == 0) {
		many->mode = MODE_PUT;
		many->path = argv[2];
		snprintf(many->hello.integrity[0], sizeof(many->hello.integrity[0]), "none");
	} else {
		usage();
	}
	many->port = (uint16_t)atoi(argv[1]);
}

int main(int argc, char **argv)
{
	struct many many = {
		.count = 300,
		.rate = 1,
		.beat_fd = -1,
		.beat_turns = 1,
		.hello = {
			.version_min = MESSAGE_VERSION,
			.version_max = MESSAGE_VERSION,
			.chunk_size = 1024 * 1024,
			.integrity_count = 1,
			.integrity = { "sha256" },
			.liveness = "none",
		},
	};
	struct epoll_event input = { .events = EPOLLIN };
	struct rlimit files;

	arguments(&many, argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	many.sessions = calloc(many.count, sizeof(*many.sessions));
	many.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (many.sessions == NULL || many.epoll < 0)
		die("starting");
	input.data.u32 = many.count;
	if (epoll_ctl(many.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		die("standard input has to be a pipe");
	many.began = clock_monotonic();
	run(&many);
	printf("there %u of %u\n", many.open, many.count);
	if (many.beats)
		printf("heartbeats %llu, answered %llu\n", (unsigned long long)many.asked,
		       (unsigned long long)many.answered);
	for (const struct cause *cause = many.causes; cause < many.causes + CAUSES_MAX && cause->count > 0; cause++)
		printf("ended %u: %s\n", cause->count, cause->text);
	free(many.sessions);
	return many.open == many.count ? 0 : 1;
}
