/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tcp as a real pair on the loopback: what it sends out of files and pipes, and receives into pipes. */
#include "pair.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct registry *registry;
static struct plugin *tcp;
static uint8_t *data;

enum { SIZE = 3 << 20 };

static void test_sendfile(void **state)
{
	(void)state;
	char path[] = "/tmp/xfer-tcp-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, data, 100000), 100000);
	struct pair pair;
	pair_make(&pair, tcp, tcp, "127.0.0.1");
	ssize_t took = tcp->transport.sendfile(pair.client, fd, 50000, 1000, 0);
	assert_int_equal(took, 1000);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100000); /* its own offset stays */
	uint8_t got[1000];
	size_t have = 0;
	while (have < sizeof(got)) {
		pair_wait(tcp, pair.server, XFER_POLL_READ);
		ssize_t n = tcp->transport.recv(pair.server, got + have, sizeof(got) - have, 0);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, data + 50000, sizeof(got));
	/* Up to the end, and beyond it. */
	assert_int_equal(tcp->transport.sendfile(pair.client, fd, 99990, 1000, 0), 10);
	assert_int_equal(tcp->transport.sendfile(pair.client, fd, 100000, 1000, 0), 0);
	/* What cannot be sent that way. */
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_true(tcp->transport.sendfile(pair.client, pipes[0], 0, 10, 0) < 0);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	pair_break(&pair);
}

static void test_sendpipe(void **state)
{
	(void)state;
	struct pair pair;
	int pipes[2], left;
	pair_make(&pair, tcp, tcp, "127.0.0.1");
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(write(pipes[1], data, 5000), 5000);
	assert_int_equal(tcp->transport.sendpipe(pair.client, pipes[0], 3000, 0), 3000);
	assert_int_equal(ioctl(pipes[0], FIONREAD, &left), 0);
	assert_int_equal(left, 2000);
	assert_int_equal(tcp->transport.sendpipe(pair.client, pipes[0], 2000, 0), 2000);
	uint8_t got[5000];
	for (size_t have = 0; have < sizeof(got);) {
		pair_wait(tcp, pair.server, XFER_POLL_READ);
		ssize_t n = tcp->transport.recv(pair.server, got + have, sizeof(got) - have, 0);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(got, data, sizeof(got));
	/* Nobody reads: what is not taken stays. */
	ssize_t took;
	int there;
	do {
		while (write(pipes[1], data, 4096) > 0)
			;
		assert_int_equal(ioctl(pipes[0], FIONREAD, &there), 0);
		took = tcp->transport.sendpipe(pair.client, pipes[0], (size_t)there, 0);
	} while (took > 0);
	assert_int_equal(took, -EAGAIN);
	assert_int_equal(ioctl(pipes[0], FIONREAD, &left), 0);
	assert_int_equal(left, there);
	close(pipes[0]);
	close(pipes[1]);
	pair_break(&pair);
}

static void test_recvpipe(void **state)
{
	(void)state;
	struct pair pair;
	int pipes[2], there;
	uint8_t got[5000];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(got) };
	pair_make(&pair, tcp, tcp, "127.0.0.1");
	assert_int_equal(pipe2(pipes, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(tcp->transport.recvpipe(pair.server, pipes[1], 100, 0), -EAGAIN);
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), sizeof(got));
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	/* No more than was asked for; the rest by recv(). */
	assert_int_equal(tcp->transport.recvpipe(pair.server, pipes[1], 3000, 0), 3000);
	assert_int_equal(ioctl(pipes[0], FIONREAD, &there), 0);
	assert_int_equal(there, 3000);
	assert_int_equal(read(pipes[0], got, 3000), 3000);
	assert_int_equal(tcp->transport.recv(pair.server, got + 3000, 2000, 0), 2000);
	assert_memory_equal(got, data, sizeof(got));
	/* A full pipe takes nothing, and nothing is lost. */
	while (write(pipes[1], data, 4096) > 0)
		;
	assert_int_equal(tcp->transport.sendv(pair.client, &iov, 1, 0), sizeof(got));
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recvpipe(pair.server, pipes[1], 5000, 0), -EAGAIN);
	assert_int_equal(tcp->transport.recv(pair.server, got, 5000, 0), 5000);
	assert_memory_equal(got, data, sizeof(got));
	/* What is no pipe. */
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(tcp->transport.recvpipe(pair.server, fd, 5000, 0), -EOPNOTSUPP);
	close(fd);
	while (read(pipes[0], got, sizeof(got)) > 0)
		;
	assert_int_equal(tcp->transport.shutdown(pair.client, 0), 0);
	pair_wait(tcp, pair.server, XFER_POLL_READ);
	assert_int_equal(tcp->transport.recvpipe(pair.server, pipes[1], 5000, 0), 0);
	close(pipes[0]);
	close(pipes[1]);
	pair_break(&pair);
}

static int setup(void **state)
{
	(void)state;
	data = malloc(SIZE);
	if (data == NULL)
		return -1;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	tcp = pair_transport(&registry, "tcp", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	registry_destroy(registry);
	free(data);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sendfile), cmocka_unit_test(test_sendpipe),
		                            cmocka_unit_test(test_recvpipe) };
	return cmocka_run_group_tests_name("tcp-file", tests, setup, teardown);
}
