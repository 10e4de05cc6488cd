/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit that others are measured against: a file, read, sent, received and written in pieces of 1 MiB, and nothing
 * else; no name, no check, no second connection.
 *
 *   bare serve FILE     prints the port of the loopback on which it sends FILE to everybody who connects
 *   bare get PORT FILE  receives until the end, into FILE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1024 * 1024 };

static int complain(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

static int send_all(int to, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(to, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			return -1;
		bytes += sent;
		len -= (size_t)sent;
	}
	return 0;
}

static int serve(const char *name, char *piece)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0)
		return complain("listen");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		int to = accept(listener, NULL, NULL);
		int file = open(name, O_RDONLY | O_CLOEXEC);
		ssize_t got;

		if (to < 0 || file < 0)
			return complain(to < 0 ? "accept" : name);
		for (off_t at = 0; (got = pread(file, piece, PIECE, at)) > 0; at += got) {
			if (send_all(to, piece, (size_t)got) < 0)
				break;
		}
		close(file);
		close(to);
	}
}

static int get(const char *port, const char *name, char *piece)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		                       .sin_port = htons((in_port_t)strtoul(port, NULL, 10)) };
	int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t got;

	if (from < 0 || connect(from, (struct sockaddr *)&address, sizeof(address)) < 0)
		return complain("connect");
	if (file < 0)
		return complain(name);
	for (off_t at = 0; (got = recv(from, piece, PIECE, MSG_WAITALL)) > 0; at += got) {
		if (pwrite(file, piece, (size_t)got, at) != got)
			return complain(name);
	}
	if (got < 0)
		return complain("receive");
	return close(file) == 0 ? EXIT_SUCCESS : complain(name);
}

int main(int argc, char **argv)
{
	int status = EXIT_FAILURE;
	char *piece = aligned_alloc(4096, PIECE);

	if (piece == NULL)
		return complain("memory");
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		status = serve(argv[2], piece);
	else if (argc == 4 && strcmp(argv[1], "get") == 0)
		status = get(argv[2], argv[3], piece);
	else
		fputs("usage: bare serve FILE | get PORT FILE\n", stderr);
	free(piece);
	return status;
}
