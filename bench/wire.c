/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A long wire between two network namespaces, for bench/far and tests/tap/far.t: packets leave one at a time at a rate,
 * arrive a delay later, are lost at random, and find a queue that drops what does not fit.
 *
 *   wire -d MS -r MBIT -l PPM [-q BYTES] [-s SEED] [-c N] NAMESPACE NAMESPACE
 *
 * A namespace is a name of `ip netns`, or a path. -d is one way; -q defaults to what is under way in a round trip; with -c the
 * rate is an Nth from the moment in which a second TCP connection begins (IPv4), so that it is certain that others bring
 * nothing, however the processors are shared. It makes a device `wan` in each namespace (a TUN of IP packets, gone when it ends), prints "ready" when both are there, and ends on
 * SIGTERM with the counts of both ways.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PACKET_MAX = 1536, /* bytes; the devices' MTU is 1500 */
	PACKETS = 1 << 16, /* of one way, queued and under way; a power of two */
	WAITING = 1 << 14, /* packets that a device holds until they are read, however long this program has to wait */
	FRAMING = 38,      /* bytes that Ethernet adds to each packet: preamble, header, check, gap (IEEE 802.3) */
};

struct packet {
	uint64_t leaves;  /* ns: its last bit is on the wire */
	uint64_t arrives; /* ns */
	uint16_t len;
	uint8_t bytes[PACKET_MAX];
};

struct way {
	int from, to;           /* devices */
	struct packet *packets; /* PACKETS of them: a ring, in the order of arrival */
	uint32_t first, queued; /* next to arrive; next to leave (still in the queue); both count for ever */
	uint32_t end;
	uint64_t busy_until; /* ns, of the sender */
	size_t queue_bytes;  /* that have not left */
	uint64_t passed, lost, dropped;
};

struct wire {
	uint64_t delay;     /* ns */
	double ns_per_byte; /* of the rate */
	size_t queue_max;   /* bytes */
	uint32_t loss;      /* of 2^32 */
	uint64_t seed;
	double crowded; /* what a second connection divides the rate by; 0 = nothing */
	uint32_t first; /* port of the first connection's beginner; 0 = there was none yet */
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint32_t draw(struct wire *wire)
{
	wire->seed ^= wire->seed << 13;
	wire->seed ^= wire->seed >> 7;
	wire->seed ^= wire->seed << 17;
	return (uint32_t)(wire->seed >> 32);
}

/* What does not fit into a device is lost, and counted by nobody here: only the queue of the wire is to be too short. */
static int device_widen(struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	request->ifr_qlen = WAITING;
	r = fd < 0 ? -1 : ioctl(fd, SIOCSIFTXQLEN, request);
	if (fd >= 0)
		close(fd);
	return r;
}

/* In the namespace from now on. The device, or -1 with a word on standard error. */
static int device_open(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[256];
	int fd, r;

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') != NULL ? "" : "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
		fprintf(stderr, "wire: %s: %s\n", path, strerror(errno));
		return -1;
	}
	close(fd);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "wan");
	r = fd < 0 ? -1 : ioctl(fd, TUNSETIFF, &request);
	if (r == 0)
		r = device_widen(&request);
	if (r < 0)
		fprintf(stderr, "wire: a device in %s: %s\n", name, strerror(errno));
	return r < 0 ? -1 : fd;
}

/* Whether a packet begins a TCP connection, from another port than the first one did. */
static bool begins_another(struct wire *wire, const uint8_t *bytes, size_t len)
{
	size_t ip = (size_t)(bytes[0] & 0xf) * 4;
	uint32_t port;

	if (bytes[0] >> 4 != 4 || bytes[9] != 6 || len < ip + 20 || (bytes[ip + 13] & 0x12) != 0x02)
		return false;
	port = (uint32_t)bytes[ip] << 8 | bytes[ip + 1];
	if (wire->first == 0)
		wire->first = port;
	return port != wire->first;
}

/* What has left makes room in the queue. */
static void queue_drain(struct way *way, uint64_t time)
{
	while (way->queued != way->end && way->packets[way->queued % PACKETS].leaves <= time)
		way->queue_bytes -= way->packets[way->queued++ % PACKETS].len;
}

/* Takes up to a few packets from the sender. */
static void way_take(struct wire *wire, struct way *way)
{
	for (int i = 0; i < 64 && way->end - way->first < PACKETS; i++) {
		struct packet *packet = &way->packets[way->end % PACKETS];
		ssize_t len = read(way->from, packet->bytes, sizeof(packet->bytes));
		uint64_t time = now();

		if (len <= 0)
			return;
		queue_drain(way, time);
		if (wire->crowded > 0 && begins_another(wire, packet->bytes, (size_t)len)) {
			wire->ns_per_byte *= wire->crowded;
			wire->crowded = 0;
		}
		if (wire->loss > 0 && draw(wire) < wire->loss) {
			way->lost++;
			continue;
		}
		if (way->queue_bytes + (size_t)len > wire->queue_max) {
			way->dropped++;
			continue;
		}
		if (way->busy_until < time)
			way->busy_until = time;
		way->busy_until += (uint64_t)((double)(len + FRAMING) * wire->ns_per_byte);
		packet->len = (uint16_t)len;
		packet->leaves = way->busy_until;
		packet->arrives = packet->leaves + wire->delay;
		way->queue_bytes += (size_t)len;
		way->end++;
	}
}

/* Hands over what has arrived; when the next does, or UINT64_MAX. */
static uint64_t way_give(struct way *way)
{
	while (way->first != way->end) {
		struct packet *packet = &way->packets[way->first % PACKETS];

		if (packet->arrives > now())
			return packet->arrives;
		queue_drain(way, packet->arrives);
		if (write(way->to, packet->bytes, packet->len) == packet->len)
			way->passed++;
		else
			way->dropped++;
		way->first++;
	}
	return UINT64_MAX;
}

static void wire_run(struct wire *wire, struct way ways[2])
{
	while (!ended) {
		struct pollfd fds[2] = { { .fd = ways[0].from, .events = POLLIN },
			                 { .fd = ways[1].from, .events = POLLIN } };
		uint64_t next = UINT64_MAX, time;
		struct timespec wait = { .tv_sec = 1 };

		for (int i = 0; i < 2; i++) {
			uint64_t due;

			way_take(wire, &ways[i]);
			due = way_give(&ways[i]);
			next = due < next ? due : next;
		}
		time = now();
		if (next <= time)
			continue;
		if (next - time < 1000000000)
			wait = (struct timespec){ .tv_nsec = (long)(next - time) };
		ppoll(fds, 2, &wait, NULL);
	}
}

static int usage(void)
{
	fputs("usage: wire -d MS -r MBIT -l PPM [-q BYTES] [-s SEED] [-c N] NAMESPACE NAMESPACE\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct wire wire = { .seed = UINT64_C(0x9e3779b97f4a7c15) };
	struct way ways[2] = { 0 };
	double ms = -1, mbit = -1;
	int option, devices[2];

	while ((option = getopt(argc, argv, "d:r:l:q:s:c:")) != -1) {
		switch (option) {
		case 'd': ms = strtod(optarg, NULL); break;
		case 'r': mbit = strtod(optarg, NULL); break;
		case 'l': wire.loss = (uint32_t)(strtod(optarg, NULL) / 1e6 * 4294967295.0); break;
		case 'q': wire.queue_max = strtoull(optarg, NULL, 10); break;
		case 's': wire.seed ^= strtoull(optarg, NULL, 10); break;
		case 'c': wire.crowded = strtod(optarg, NULL); break;
		default: return usage();
		}
	}
	if (argc - optind != 2 || ms < 0 || mbit <= 0)
		return usage();
	wire.delay = (uint64_t)(ms * 1e6);
	wire.ns_per_byte = 8000 / mbit;
	if (wire.queue_max == 0)
		wire.queue_max = (size_t)(2 * ms * 1e6 / wire.ns_per_byte) + 64 * PACKET_MAX;
	for (int i = 0; i < 2; i++) {
		devices[i] = device_open(argv[optind + i]);
		ways[i].packets = calloc(PACKETS, sizeof(*ways[i].packets));
		if (devices[i] < 0 || ways[i].packets == NULL)
			return 1;
	}
	ways[0].from = ways[1].to = devices[0];
	ways[1].from = ways[0].to = devices[1];
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	prctl(PR_SET_TIMERSLACK, 1);
	/* A wire waits for no program at its ends, if we may. */
	(void)sched_setscheduler(0, SCHED_RR, &(struct sched_param){ .sched_priority = 1 });
	puts("ready");
	fflush(stdout);
	wire_run(&wire, ways);
	for (int i = 0; i < 2; i++)
		printf("%s: %llu passed, %llu lost, %llu dropped\n", argv[optind + i],
		       (unsigned long long)ways[i].passed, (unsigned long long)ways[i].lost,
		       (unsigned long long)ways[i].dropped);
	return 0;
}
