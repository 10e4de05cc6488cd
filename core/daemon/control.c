/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends, receives and checks the messages between supervisor and worker. */
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aligned room for the control data of CONTROL_FDS_MAX descriptors. */
union ancillary {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
};

int control_pair(int fds[2])
{
	int made[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made) < 0)
		return -errno;
	if (fcntl(made[0], F_SETFL, O_NONBLOCK) < 0) {
		int code = -errno;
		close(made[0]);
		close(made[1]);
		return code;
	}
	fds[0] = made[0];
	fds[1] = made[1];
	return 0;
}

int control_send(int fd, const struct control_message *message, const int *fds, size_t count)
{
	if (count > CONTROL_FDS_MAX)
		return -EINVAL;
	/* sendmsg() does not write to what it is given, but its types do not say so. */
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	union ancillary room;
	memset(&room, 0, sizeof room);
	if (count > 0) {
		packet.msg_control = room.bytes;
		packet.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &packet, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
}

int control_tell(int fd, enum control_type type)
{
	struct control_message message = { .type = type };
	return control_send(fd, &message, NULL, 0);
}

/* Takes the descriptors out of the ancillary data. More than we have room for cannot arrive: the kernel cuts them. */
static size_t take_fds(struct msghdr *packet, int fds[CONTROL_FDS_MAX])
{
	size_t count = 0;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(packet); head != NULL; head = CMSG_NXTHDR(packet, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t at = 0; at < here; at++) {
			int fd;
			memcpy(&fd, CMSG_DATA(head) + at * sizeof(int), sizeof fd);
			if (count < CONTROL_FDS_MAX)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

int control_receive(int fd, struct control_message *message, int fds[CONTROL_FDS_MAX], size_t *count, int flags)
{
	struct control_message got;
	struct iovec part = { .iov_base = &got, .iov_len = sizeof got };
	union ancillary room;
	struct msghdr packet = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes
	};
	ssize_t len;
	do
		len = recvmsg(fd, &packet, flags | MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (len == 0)
		return -EPIPE;
	int taken[CONTROL_FDS_MAX];
	size_t taken_count = take_fds(&packet, taken);
	bool cut = (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	if (cut || (size_t)len != sizeof got || control_check(&got, taken_count) < 0) {
		for (size_t at = 0; at < taken_count; at++)
			close(taken[at]);
		return -EBADMSG;
	}
	*message = got;
	memcpy(fds, taken, sizeof(int) * taken_count);
	*count = taken_count;
	return 0;
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool socket_is_sound(const struct control_message *message, size_t fds)
{
	if (message->listen[0] == '\0' || message->name[0] == '\0' || message->address[0] == '\0')
		return false;
	if (message->kind == CONTROL_LISTENER)
		return fds >= 1;
	return message->kind == CONTROL_DATAGRAM && fds == 1;
}

int control_check(const struct control_message *message, size_t fds)
{
	bool sound = ends(message->listen, sizeof message->listen) && ends(message->name, sizeof message->name) &&
	             ends(message->address, sizeof message->address) && ends(message->text, sizeof message->text);
	if (!sound || fds > CONTROL_FDS_MAX)
		return -EBADMSG;
	switch (message->type) {
	case CONTROL_START:
		sound = message->role >= CONTROL_MAKE && message->role <= CONTROL_CHECK && message->workers > 0;
		return sound && fds == 0 ? 0 : -EBADMSG;
	case CONTROL_SOCKET: return socket_is_sound(message, fds) ? 0 : -EBADMSG;
	case CONTROL_ERROR: return message->code < 0 && fds == 0 ? 0 : -EBADMSG;
	case CONTROL_DEATH: return message->text[0] != '\0' && fds == 0 ? 0 : -EBADMSG;
	case CONTROL_READY:
	case CONTROL_GO:
	case CONTROL_DRAIN: return fds == 0 ? 0 : -EBADMSG;
	default: return -EBADMSG;
	}
}

int control_send_error(int fd, const struct error *err)
{
	struct control_message message = { .type = CONTROL_ERROR,
		                           .code = err->code < 0 ? err->code : -EIO,
		                           .fault = err->fault };
	snprintf(message.text, sizeof message.text, "%s", err->text);
	return control_send(fd, &message, NULL, 0);
}

void control_read_error(const struct control_message *message, struct error *err)
{
	/* A fault is an exit status; one that we do not know would let the supervisor end with anything. */
	bool known = message->fault >= FAULT_MIXED && message->fault <= FAULT_CHANGED;
	error_set(err, message->code, known ? (enum fault)message->fault : FAULT_LOCAL, "%s", message->text);
}
