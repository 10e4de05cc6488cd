/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: how much TCP was given is told exactly, or said not to be known; whatever a peer does, in bounded time. */
#include "../../plugins/transport-tls/tls.h"
#include "unit.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WHOLE = 300 * 1000 /* bytes */ };

static unsigned moves; /* so many times what the peer acknowledges is more than before */
static unsigned looks;
static int fails;   /* errno of every look; 0: none */
static bool is_old; /* the kernel tells less */

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int rc = __real_getsockopt(fd, level, name, value, len);

	if (rc < 0 || level != IPPROTO_TCP || name != TCP_INFO)
		return rc;
	looks++;
	if (fails != 0) {
		errno = fails;
		return -1;
	}
	if (is_old)
		*len = offsetof(struct tcp_info, tcpi_bytes_acked);
	((struct tcp_info *)value)->tcpi_bytes_acked += looks < moves ? looks : moves;
	return 0;
}

struct pair {
	int from, to;
};

static int pair_open(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pair *pair = malloc(sizeof(*pair));

	assert_non_null(pair);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	pair->from = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair->from, (struct sockaddr *)&at, len), 0);
	pair->to = accept(listener, NULL, NULL);
	assert_true(pair->to >= 0);
	close(listener);
	moves = looks = 0;
	fails = 0;
	is_old = false;
	*state = pair;
	return 0;
}

static int pair_close(void **state)
{
	struct pair *pair = *state;

	close(pair->from);
	close(pair->to);
	free(pair);
	return 0;
}

/* Whether the peer has it, or it waits here: it counts as soon as it was given. */
static void test_tells_what_was_given(void **state)
{
	static uint8_t bytes[WHOLE];
	const struct pair *pair = *state;
	uint64_t began, at;
	size_t sent = 0, have = 0;

	assert_int_equal(tls_position(pair->from, &began), 0);
	while (have < WHOLE) {
		if (sent < WHOLE) {
			ssize_t took = send(pair->from, bytes, WHOLE - sent < 7001 ? WHOLE - sent : 7001, MSG_DONTWAIT);
			assert_true(took > 0 || errno == EAGAIN);
			sent += took > 0 ? (size_t)took : 0;
		}
		if (tls_position(pair->from, &at) == 0)
			assert_int_equal(at - began, sent);
		/* Nothing is read at first, so that some of it waits. */
		if (sent > WHOLE / 2 && have < sent) {
			ssize_t got = recv(pair->to, bytes, sizeof(bytes), 0);
			assert_true(got > 0);
			have += (size_t)got;
		}
	}
	assert_int_equal(tls_position(pair->from, &at), 0);
	assert_int_equal(at - began, WHOLE);
}

/* What moves while it is looked at is looked at again. */
static void test_looks_again(void **state)
{
	const struct pair *pair = *state;
	uint64_t at, still;

	assert_int_equal(tls_position(pair->from, &still), 0);
	assert_int_equal(looks, 2);
	looks = 0;
	moves = 10;
	assert_int_equal(tls_position(pair->from, &at), 0);
	assert_int_equal(at - still, 10);
	assert_int_equal(looks, 11);
}

/* But not for ever, and nothing is said then. */
static void test_gives_up(void **state)
{
	const struct pair *pair = *state;
	uint64_t at = 4711;

	moves = 100000; /* an end, so that this test has one */
	assert_int_equal(tls_position(pair->from, &at), -EAGAIN);
	assert_int_equal(at, 4711);
	assert_in_range(looks, 11, 1000);
	/* The next one is as good as any. */
	moves = 0;
	assert_int_equal(tls_position(pair->from, &at), 0);
}

static void test_says_what_fails(void **state)
{
	const struct pair *pair = *state;
	uint64_t at = 4711;

	fails = ENOTCONN;
	assert_int_equal(tls_position(pair->from, &at), -ENOTCONN);
	fails = 0;
	is_old = true;
	assert_int_equal(tls_position(pair->from, &at), -EOPNOTSUPP);
	assert_int_equal(tls_position(-1, &at), -EBADF);
	assert_int_equal(at, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tells_what_was_given, pair_open, pair_close),
		cmocka_unit_test_setup_teardown(test_looks_again, pair_open, pair_close),
		cmocka_unit_test_setup_teardown(test_gives_up, pair_open, pair_close),
		cmocka_unit_test_setup_teardown(test_says_what_fails, pair_open, pair_close),
	};
	return cmocka_run_group_tests_name("tls-position", tests, NULL, NULL);
}
