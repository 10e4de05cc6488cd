/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network that damages what it carries, between any client and any daemon.
 *
 *   proxy [-s SEED] [-e BYTES] [-k KINDS] [-n COUNT] [-f FIRST] PORT
 *
 * Listens on a free port of 127.0.0.1, prints "listening on PORT", and carries each connection to 127.0.0.1:PORT. In each
 * direction something is damaged after about so many bytes (-e), the first FIRST bytes (-f) of a direction left alone: of
 * the KINDS (-k, all) by chance
 *   f  a bit is turned over            d  a piece is dropped          r  a piece is repeated
 *   s  two pieces change places        t  what follows is cut off, and the connection ends
 * COUNT times (-n, no bound) in all. Each is a line "flip at BYTE to client" (daemon) on standard output. What is damaged
 * follows from the seed, the connection's number, its direction and the place in it; where a piece ends, from what was
 * there at the time, too. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, ROOM = 65536, PIECE_MAX = 3000 };

struct way {
	int from, to;
	const char *name;
	uint64_t random;
	uint64_t position; /* bytes that came */
	uint64_t next;     /* where something is damaged next */
	uint8_t bytes[ROOM + PIECE_MAX];
	size_t start, end; /* what is still to be sent */
	bool over;         /* nothing more comes */
};

struct pair {
	bool used;
	struct way ways[2];
};

struct proxy {
	uint64_t seed, every, first, left;
	const char *kinds;
	uint64_t connections;
	struct sockaddr_in daemon;
	struct pair pairs[PAIRS_MAX];
};

/* splitmix64 */
static uint64_t draw(uint64_t *random)
{
	uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void way_begin(struct proxy *proxy, struct way *way, int from, int to, const char *name)
{
	way->from = from;
	way->to = to;
	way->name = name;
	way->random = proxy->seed + proxy->connections++ * UINT64_C(0x51633e2d);
	way->position = way->start = way->end = 0;
	way->next = proxy->first + draw(&way->random) % (2 * proxy->every);
	way->over = false;
}

static void pair_end(struct pair *pair)
{
	close(pair->ways[0].from);
	close(pair->ways[0].to);
	pair->used = false;
}

static void connection_take(struct proxy *proxy, int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK), daemon = -1;
	struct pair *pair = proxy->pairs;

	while (pair < proxy->pairs + PAIRS_MAX && pair->used)
		pair++;
	if (client < 0)
		return;
	if (pair < proxy->pairs + PAIRS_MAX)
		daemon = socket(AF_INET, SOCK_STREAM, 0);
	if (daemon < 0 || connect(daemon, (struct sockaddr *)&proxy->daemon, sizeof(proxy->daemon)) < 0) {
		close(client);
		if (daemon >= 0)
			close(daemon);
		return;
	}
	pair->used = true;
	way_begin(proxy, &pair->ways[0], client, daemon, "daemon");
	way_begin(proxy, &pair->ways[1], daemon, client, "client");
}

/* What came begins at bytes[0], is `len` long, and `at` is where something happens to it. Returns how long it is now. */
static size_t damage(struct way *way, char kind, size_t at, size_t len)
{
	uint8_t *spot = way->bytes + at, other[PIECE_MAX];
	size_t left = len - at, piece = 1 + draw(&way->random) % PIECE_MAX, moved;
	const char *what = "flip";

	if (piece > left)
		piece = left;
	switch (kind) {
	case 'd':
		what = "drop";
		memmove(spot, spot + piece, left - piece);
		len -= piece;
		break;
	case 'r':
		what = "repeat";
		memmove(spot + piece, spot, left);
		len += piece;
		break;
	case 's':
		what = "swap";
		piece = piece > left / 2 ? left / 2 : piece;
		moved = left - piece < piece ? left - piece : piece;
		memcpy(other, spot, piece);
		memmove(spot, spot + piece, moved);
		memcpy(spot + moved, other, piece);
		break;
	case 't':
		what = "truncate";
		len = at;
		way->over = true;
		break;
	default: *spot ^= (uint8_t)(1u << draw(&way->random) % 8); break;
	}
	printf("%s at %" PRIu64 " to %s\n", what, way->position + at, way->name);
	return len;
}

/* False when the connection is over. */
static bool way_receive(struct proxy *proxy, struct way *way)
{
	ssize_t got = recv(way->from, way->bytes, ROOM, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0) {
		way->over = true;
		shutdown(way->to, SHUT_WR);
		return true;
	}
	way->start = 0;
	way->end = (size_t)got;
	if (way->next < way->position + (uint64_t)got && proxy->left > 0) {
		size_t at = (size_t)(way->next - way->position);
		char kind = proxy->kinds[draw(&way->random) % strlen(proxy->kinds)];

		proxy->left--;
		way->end = damage(way, kind, at, (size_t)got);
		/* Once in what came at a time, so that pieces do not overlap. */
		way->next = way->position + (uint64_t)got + draw(&way->random) % (2 * proxy->every);
	}
	way->position += (uint64_t)got;
	return true;
}

static bool way_send(struct way *way)
{
	ssize_t sent = send(way->to, way->bytes + way->start, way->end - way->start, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	way->start += (size_t)sent;
	/* Cut off: both ends learn of it once all before it is sent. */
	return !(way->over && way->start == way->end);
}

/* What the way waits for: something to come, or room for what came. */
static void way_poll(const struct way *way, struct pollfd *wait)
{
	bool sends = way->start < way->end;

	wait->fd = sends ? way->to : way->over ? -1 : way->from;
	wait->events = sends ? POLLOUT : POLLIN;
}

static bool way_run(struct proxy *proxy, struct way *way, short events)
{
	if (events == 0)
		return true;
	return way->start < way->end ? way_send(way) : way_receive(proxy, way);
}

static int proxy_run(struct proxy *proxy, int listener)
{
	struct pollfd waits[2 + 2 * PAIRS_MAX];

	for (;;) {
		waits[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		waits[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
		for (size_t i = 0; i < (size_t)2 * PAIRS_MAX; i++) {
			const struct pair *pair = &proxy->pairs[i / 2];

			waits[2 + i] = (struct pollfd){ .fd = -1 };
			if (pair->used)
				way_poll(&pair->ways[i % 2], &waits[2 + i]);
		}
		if (poll(waits, 2 + 2 * PAIRS_MAX, -1) < 0)
			return errno == EINTR ? 0 : 2;
		if (waits[0].revents != 0)
			return 0;
		for (size_t i = 0; i < (size_t)2 * PAIRS_MAX; i++) {
			struct pair *pair = &proxy->pairs[i / 2];

			if (!pair->used)
				continue;
			if (!way_run(proxy, &pair->ways[i % 2], waits[2 + i].revents) ||
			    (pair->ways[0].over && pair->ways[1].over))
				pair_end(pair);
		}
		if (waits[1].revents != 0)
			connection_take(proxy, listener);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: proxy [-s SEED] [-e BYTES] [-k KINDS] [-n COUNT] [-f FIRST] PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(here);
	int option, listener, status;

	if (proxy == NULL)
		return 2;
	*proxy = (struct proxy){ .every = 1 << 20, .left = UINT64_MAX, .kinds = "fdrst" };
	while ((option = getopt(argc, argv, "s:e:k:n:f:")) != -1) {
		uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;

		switch (option) {
		case 's': proxy->seed = number; break;
		case 'e': proxy->every = number; break;
		case 'n': proxy->left = number; break;
		case 'f': proxy->first = number; break;
		case 'k': proxy->kinds = optarg; break;
		default: return usage();
		}
	}
	if (optind + 1 != argc || proxy->every == 0 || *proxy->kinds == '\0')
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	proxy->daemon = here;
	proxy->daemon.sin_port = htons((uint16_t)strtoul(argv[optind], NULL, 10));
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&here, &len) < 0) {
		perror("proxy");
		return 2;
	}
	printf("listening on %u\n", ntohs(here.sin_port));
	status = proxy_run(proxy, listener);
	close(listener);
	free(proxy);
	return status;
}
