/* SPDX-License-Identifier: BSD-2-Clause */
#include "beat.h"

#include "datagram.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SLOT = 8, ROOM = 4 * 1024 * 1024 };

int beat_socket(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int room = ROOM;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	/* As much as the system allows. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

void beat_ask(int fd, struct beat *beat, uint64_t now)
{
	const struct siphash_key key = siphash_key(beat->key);
	const struct datagram question = {
		.kind = DATAGRAM_QUESTION,
		.sequence = ++beat->sequence,
		.asked_at = now,
	};
	uint64_t slot = htobe64(beat->slot);
	uint8_t bytes[SLOT + DATAGRAM_SIZE];

	memcpy(bytes, &slot, sizeof(slot));
	datagram_write(bytes + SLOT, &key, beat->slot, &question);
	(void)!send(fd, bytes, sizeof(bytes), 0); /* one that is not sent is lost */
}

unsigned beat_hear(int fd)
{
	uint8_t bytes[SLOT + DATAGRAM_SIZE];
	unsigned count = 0;

	while (recv(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes))
		count++;
	return count;
}
