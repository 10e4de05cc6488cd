/* SPDX-License-Identifier: BSD-2-Clause */
/* engine/control and engine/listen: messages and descriptors arrive as they were sent, and nothing else gets through. */
#include "unit.h"

#include "daemon/control.h"
#include "daemon/deaths.h"
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct ends {
	int fds[2];
};

static int open_ends(void **state)
{
	static struct ends ends;
	*state = &ends;
	return control_pair(ends.fds);
}

static int close_ends(void **state)
{
	struct ends *ends = *state;
	close(ends->fds[0]);
	close(ends->fds[1]);
	return 0;
}

/* A descriptor of something that can be recognised by its inode. */
static int make_fd(ino_t *inode)
{
	int fds[2];
	struct stat about;
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	close(fds[1]);
	assert_return_code(fstat(fds[0], &about), errno);
	*inode = about.st_ino;
	return fds[0];
}

static ino_t inode_of(int fd)
{
	struct stat about;
	assert_return_code(fstat(fd, &about), errno);
	return about.st_ino;
}

static int open_fds(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	return count;
}

static struct control_message socket_message(void)
{
	struct control_message message = { .type = CONTROL_SOCKET, .kind = CONTROL_LISTENER, .item = 0 };
	strcpy(message.listen, "127.0.0.1:0");
	strcpy(message.name, "tcp");
	strcpy(message.address, "127.0.0.1:40000");
	return message;
}

static void carries_message_and_descriptors(void **state)
{
	struct ends *ends = *state;
	ino_t inodes[CONTROL_FDS_MAX];
	int sent[CONTROL_FDS_MAX];
	int got[CONTROL_FDS_MAX];
	size_t count = 0;
	struct control_message message = socket_message();
	struct control_message heard;
	for (size_t at = 0; at < CONTROL_FDS_MAX; at++)
		sent[at] = make_fd(&inodes[at]);
	assert_int_equal(control_send(ends->fds[0], &message, sent, CONTROL_FDS_MAX), 0);
	for (size_t at = 0; at < CONTROL_FDS_MAX; at++)
		close(sent[at]);
	assert_int_equal(control_receive(ends->fds[1], &heard, got, &count, 0), 0);
	assert_memory_equal(&heard, &message, sizeof message);
	assert_int_equal(count, CONTROL_FDS_MAX);
	for (size_t at = 0; at < count; at++) {
		assert_int_equal(inode_of(got[at]), inodes[at]);
		assert_true(fcntl(got[at], F_GETFD) & FD_CLOEXEC);
		close(got[at]);
	}
}

static void says_empty_full_and_gone(void **state)
{
	struct ends *ends = *state;
	struct control_message heard;
	int fds[CONTROL_FDS_MAX];
	size_t count;
	assert_int_equal(control_receive(ends->fds[0], &heard, fds, &count, 0), -EAGAIN);
	int code = 0;
	for (int at = 0; at < 100000 && code == 0; at++)
		code = control_tell(ends->fds[0], CONTROL_GO);
	assert_int_equal(code, -EAGAIN);
	assert_int_equal(control_receive(ends->fds[1], &heard, fds, &count, 0), 0);
	assert_int_equal(heard.type, CONTROL_GO);
	close(ends->fds[1]);
	assert_int_equal(control_receive(ends->fds[0], &heard, fds, &count, 0), -EPIPE);
	assert_int_equal(control_tell(ends->fds[0], CONTROL_GO), -EPIPE);
	ends->fds[1] = -1;
}

static void carries_error(void **state)
{
	struct ends *ends = *state;
	struct error err = { 0 };
	struct error heard_err = { 0 };
	struct control_message heard;
	int fds[CONTROL_FDS_MAX];
	size_t count;
	error_set(&err, -ENOENT, FAULT_USAGE, "no such thing as %s", "this");
	assert_int_equal(control_send_error(ends->fds[1], &err), 0);
	assert_int_equal(control_receive(ends->fds[0], &heard, fds, &count, 0), 0);
	control_read_error(&heard, &heard_err);
	assert_int_equal(heard_err.code, -ENOENT);
	assert_int_equal(heard_err.fault, FAULT_USAGE);
	assert_string_equal(heard_err.text, "no such thing as this");
	/* The exit status is not the worker's to choose freely. */
	heard.fault = 0;
	control_read_error(&heard, &heard_err);
	assert_int_equal(heard_err.fault, FAULT_LOCAL);
	heard.fault = 99;
	control_read_error(&heard, &heard_err);
	assert_int_equal(heard_err.fault, FAULT_LOCAL);
}

/* Sends what control_send() would not let through. */
static void send_raw(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
	char room[CMSG_SPACE(sizeof(int) * (CONTROL_FDS_MAX + 1))] __attribute__((aligned(8))) = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	if (count > 0) {
		packet.msg_control = room;
		packet.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
	}
	assert_int_equal(sendmsg(fd, &packet, 0), (ssize_t)len);
}

static void refuses_nonsense_and_closes_its_descriptors(void **state)
{
	struct ends *ends = *state;
	struct control_message heard = { 0 };
	int got[CONTROL_FDS_MAX];
	size_t count;
	ino_t inode;
	int fds[CONTROL_FDS_MAX + 1];
	for (size_t at = 0; at < COUNT(fds); at++)
		fds[at] = make_fd(&inode);
	int before = open_fds();
	char longer[sizeof(struct control_message) + 8];
	struct control_message sound = socket_message();
	memset(longer, 0, sizeof longer);
	memcpy(longer, &sound, sizeof sound);

	send_raw(ends->fds[1], longer, sizeof longer, fds, 1);
	assert_int_equal(control_receive(ends->fds[0], &heard, got, &count, 0), -EBADMSG);
	send_raw(ends->fds[1], longer, sizeof sound - 1, fds, 1);
	assert_int_equal(control_receive(ends->fds[0], &heard, got, &count, 0), -EBADMSG);
	send_raw(ends->fds[1], longer, sizeof sound, fds, COUNT(fds));
	assert_int_equal(control_receive(ends->fds[0], &heard, got, &count, 0), -EBADMSG);
	send_raw(ends->fds[1], longer, sizeof sound, NULL, 0);
	assert_int_equal(control_receive(ends->fds[0], &heard, got, &count, 0), -EBADMSG);
	assert_int_equal(heard.type, 0);
	assert_int_equal(open_fds(), before);
	for (size_t at = 0; at < COUNT(fds); at++)
		close(fds[at]);
}

static void checks_each_field(void **state)
{
	(void)state;
	struct control_message message = socket_message();
	assert_int_equal(control_check(&message, 1), 0);
	message.kind = CONTROL_DATAGRAM;
	assert_int_equal(control_check(&message, 1), 0);
	assert_int_equal(control_check(&message, 2), -EBADMSG);
	message.kind = 3;
	assert_int_equal(control_check(&message, 1), -EBADMSG);
	message = socket_message();
	memset(message.address, 'x', sizeof message.address);
	assert_int_equal(control_check(&message, 1), -EBADMSG);
	message = socket_message();
	message.name[0] = '\0';
	assert_int_equal(control_check(&message, 1), -EBADMSG);

	message = (struct control_message){ .type = CONTROL_START, .role = CONTROL_ADOPT, .workers = 1 };
	assert_int_equal(control_check(&message, 0), 0);
	message.role = 0;
	assert_int_equal(control_check(&message, 0), -EBADMSG);
	message.role = CONTROL_CHECK + 1;
	assert_int_equal(control_check(&message, 0), -EBADMSG);
	message.role = CONTROL_MAKE;
	message.workers = 0;
	assert_int_equal(control_check(&message, 0), -EBADMSG);

	message = (struct control_message){ .type = CONTROL_READY };
	assert_int_equal(control_check(&message, 0), 0);
	assert_int_equal(control_check(&message, 1), -EBADMSG);
	message.type = CONTROL_ERROR;
	assert_int_equal(control_check(&message, 0), -EBADMSG);
	message.code = -EIO;
	assert_int_equal(control_check(&message, 0), 0);
	message.type = 0;
	assert_int_equal(control_check(&message, 0), -EBADMSG);
	message.type = CONTROL_DEATH + 1;
	assert_int_equal(control_check(&message, 0), -EBADMSG);
	message = (struct control_message){ .type = CONTROL_DEATH, .text = "died" };
	assert_int_equal(control_check(&message, 0), 0);
	assert_int_equal(control_check(&message, 1), -EBADMSG);
	message.text[0] = '\0';
	assert_int_equal(control_check(&message, 0), -EBADMSG);
}

/* The last ones are known, here and where they were sent to. */
static void tells_of_deaths(void **state)
{
	struct ends *ends = *state;
	struct deaths deaths = { 0 }, heard = { 0 };
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t count;
	uint8_t id[CONTROL_ID] = { 0 };
	char text[32];

	assert_null(deaths_find(&deaths, id));
	deaths_send(&deaths, ends->fds[0]);
	for (uint8_t at = 0; at <= DEATHS_KEPT; at++) {
		id[15] = at;
		snprintf(text, sizeof text, "died of %d", at);
		deaths_add(&deaths, id, text);
	}
	deaths_send(&deaths, ends->fds[0]);
	deaths_send_last(&deaths, ends->fds[0]);
	for (size_t at = 0; at < DEATHS_KEPT; at++) {
		assert_int_equal(control_receive(ends->fds[1], &message, fds, &count, 0), 0);
		assert_int_equal(message.type, CONTROL_DEATH);
		deaths_take(&heard, &message);
	}
	assert_int_equal(control_receive(ends->fds[1], &message, fds, &count, 0), 0);
	assert_memory_equal(message.id, id, sizeof id);
	assert_int_equal(control_receive(ends->fds[1], &message, fds, &count, MSG_DONTWAIT), -EAGAIN);
	/* What came first went first. */
	id[15] = 0;
	assert_null(deaths_find(&heard, id));
	for (uint8_t at = 1; at <= DEATHS_KEPT; at++) {
		id[15] = at;
		snprintf(text, sizeof text, "died of %d", at);
		assert_non_null(deaths_find(&heard, id));
		assert_string_equal(deaths_find(&heard, id), text);
	}
}

/* Two items, the first one with datagram sockets for three workers. */
static void make_set(struct listen_set *set)
{
	ino_t inode;
	struct listen_item *item;
	for (int at = 0; at < 2; at++) {
		assert_int_equal(listen_set_add(set, &item), 0);
		snprintf(item->listen, sizeof item->listen, "127.0.0.%d:0", at + 1);
		snprintf(item->transport, sizeof item->transport, "tcp");
		snprintf(item->address, sizeof item->address, "127.0.0.%d:40000", at + 1);
		item->fds[0] = make_fd(&inode);
		item->fd_count = 1;
	}
	strcpy(set->items[0].heartbeat, "127.0.0.1:40000");
	for (size_t worker = 0; worker < 3; worker++)
		assert_int_equal(listen_item_put_datagram(&set->items[0], worker, make_fd(&inode)), 0);
}

static void tell(int from, int to, const struct listen_set *set, enum control_role role, size_t index,
                 struct listen_set *heard)
{
	size_t messages = listen_set_messages(set, role, index);
	for (size_t at = 0; at < messages; at++) {
		struct control_message message;
		int fds[CONTROL_FDS_MAX];
		size_t count;
		listen_set_message(set, role, index, at, &message, fds, &count);
		assert_int_equal(control_send(from, &message, fds, count), 0);
		assert_int_equal(control_receive(to, &message, fds, &count, 0), 0);
		assert_int_equal(listen_set_take(heard, &message, fds, count), 0);
	}
}

static void hands_over_a_set(void **state)
{
	struct ends *ends = *state;
	struct listen_set set = { 0 };
	struct listen_set all = { 0 };
	struct listen_set part = { 0 };
	int before = open_fds();
	make_set(&set);

	tell(ends->fds[0], ends->fds[1], &set, CONTROL_MAKE, 0, &all);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.items[0].datagram_count, 3);
	assert_int_equal(all.items[1].datagram_count, 0);
	for (size_t at = 0; at < 3; at++)
		assert_int_equal(inode_of(all.items[0].datagrams[at]), inode_of(set.items[0].datagrams[at]));
	assert_string_equal(all.items[0].heartbeat, "127.0.0.1:40000");
	assert_string_equal(all.items[1].address, "127.0.0.2:40000");
	assert_int_equal(inode_of(all.items[1].fds[0]), inode_of(set.items[1].fds[0]));

	tell(ends->fds[0], ends->fds[1], &set, CONTROL_ADOPT, 2, &part);
	assert_int_equal(part.count, 2);
	assert_int_equal(part.items[0].datagram_count, 3);
	assert_int_equal(part.items[0].datagrams[0], -1);
	assert_int_equal(inode_of(part.items[0].datagrams[2]), inode_of(set.items[0].datagrams[2]));
	assert_int_equal(listen_set_messages(&set, CONTROL_CHECK, 0), 0);

	bool used[2] = { true, false };
	assert_null(listen_set_find(&set, NULL, "127.0.0.1:0", used));
	assert_ptr_equal(listen_set_find(&set, NULL, "127.0.0.2:0", used), &set.items[1]);
	assert_ptr_equal(listen_set_find(&set, "tcp", "127.0.0.2:0", NULL), &set.items[1]);
	assert_null(listen_set_find(&set, "other", "127.0.0.2:0", NULL));
	listen_set_free(&set);
	listen_set_free(&all);
	listen_set_free(&part);
	assert_int_equal(open_fds(), before);
}

static void refuses_sockets_out_of_order(void **state)
{
	(void)state;
	struct listen_set set = { 0 };
	struct control_message message = socket_message();
	ino_t inode;
	int before = open_fds();
	int fd = make_fd(&inode);
	message.item = 1;
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), -EBADMSG);
	message.item = 0;
	message.kind = CONTROL_DATAGRAM;
	fd = make_fd(&inode);
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), -EBADMSG);
	message.kind = CONTROL_LISTENER;
	fd = make_fd(&inode);
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), 0);
	message.kind = CONTROL_DATAGRAM;
	message.worker = LISTEN_WORKERS_MAX;
	fd = make_fd(&inode);
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), -E2BIG);
	message.worker = 0;
	fd = make_fd(&inode);
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), 0);
	fd = make_fd(&inode);
	assert_int_equal(listen_set_take(&set, &message, &fd, 1), -EBADMSG);
	listen_set_free(&set);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(carries_message_and_descriptors, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(says_empty_full_and_gone, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(carries_error, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(refuses_nonsense_and_closes_its_descriptors, open_ends, close_ends),
		cmocka_unit_test(checks_each_field),
		cmocka_unit_test_setup_teardown(tells_of_deaths, open_ends, close_ends),
		cmocka_unit_test_setup_teardown(hands_over_a_set, open_ends, close_ends),
		cmocka_unit_test(refuses_sockets_out_of_order),
	};
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
