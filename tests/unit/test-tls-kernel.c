/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls where the kernel makes the records, and where it cannot: what is sent by turns out of pipes and out of memory
 * arrives, up to the end. XFER_TLS_KERNEL=yes: a kernel that has no TLS is a failure, else the fallback is what is tested; no: it
 * has TLS, but no cipher for it.
 */
#include "tls-rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

enum { SIZE = 4 << 20, CLOSED_SIZE = 1 << 20 };

static uint8_t *data;
static int file = -1;
static bool has;

/* What a test knows of one direction. */
struct flow {
	const struct rig_pair *pair;
	struct xfer_conn *from, *to;
	unsigned seed;
	unsigned gulp; /* bytes that are received at a time, at most */
	int pipes[2];
	size_t filled, sent; /* of `data`: in a pipe or sent, sent */
	size_t have;
	uint8_t *got;
	bool piped;    /* the connection takes bytes out of pipes, so far */
	ssize_t fault; /* what sending said at last, when it was an error */
	ssize_t end;   /* what receiving said at last: 1 = there may be more */
};

static unsigned chance(struct flow *flow, unsigned below)
{
	return (unsigned)rand_r(&flow->seed) % below;
}

static void flow_begin(struct flow *flow, const struct rig_pair *pair, struct xfer_conn *from, struct xfer_conn *to,
                       unsigned seed)
{
	*flow = (struct flow){
		.pair = pair, .from = from, .to = to, .seed = seed, .gulp = 100000, .piped = true, .end = 1
	};
	flow->got = malloc(SIZE + 1);
	assert_non_null(flow->got);
	assert_int_equal(pipe2(flow->pipes, O_NONBLOCK | O_CLOEXEC), 0);
}

static void flow_end(struct flow *flow)
{
	close(flow->pipes[0]);
	close(flow->pipes[1]);
	free(flow->got);
}

/* Up to `most` of the next bytes into the pipe: as pages of the file, or as a copy. */
static void flow_fill(struct flow *flow, size_t most)
{
	off_t at = (off_t)flow->filled;
	size_t len = 1 + chance(flow, (unsigned)most);
	ssize_t put = chance(flow, 2) == 0 ? write(flow->pipes[1], data + flow->filled, len)
	                                   : splice(file, &at, flow->pipes[1], NULL, len, SPLICE_F_NONBLOCK);

	assert_true(put > 0 || errno == EAGAIN);
	flow->filled += put > 0 ? (size_t)put : 0;
}

/* What is in the pipe comes out of memory, as the core may have it. */
static void flow_spill(struct flow *flow)
{
	uint8_t waste[65536];
	size_t left = flow->filled - flow->sent;

	while (left > 0) {
		ssize_t got = read(flow->pipes[0], waste, left < sizeof(waste) ? left : sizeof(waste));
		assert_true(got > 0);
		left -= (size_t)got;
	}
	flow->filled = flow->sent;
}

static void flow_sendpipe(struct flow *flow)
{
	size_t there = flow->filled - flow->sent, len = 1 + chance(flow, (unsigned)there);
	ssize_t took = flow->pair->ops->sendpipe(flow->from, flow->pipes[0], len, 0);
	int left;

	assert_true(took <= (ssize_t)len);
	assert_int_not_equal(took, 0);
	flow->sent += took > 0 ? (size_t)took : 0;
	assert_int_equal(ioctl(flow->pipes[0], FIONREAD, &left), 0);
	assert_int_equal(left, flow->filled - flow->sent);
	if (took == -EOPNOTSUPP)
		flow->piped = false;
	else if (took < 0 && took != -EAGAIN)
		flow->fault = took;
	if (took < 0 && chance(flow, 3) == 0)
		flow_spill(flow);
}

static void flow_sendv(struct flow *flow, size_t most, size_t until)
{
	size_t len = 1 + chance(flow, (unsigned)most), first;

	if (len > until - flow->sent)
		len = until - flow->sent;
	first = chance(flow, (unsigned)len);
	struct iovec iov[] = { { data + flow->sent, first }, { data, 0 }, { data + flow->sent + first, len - first } };
	ssize_t took = flow->pair->ops->sendv(flow->from, iov, 3, 0);
	assert_true(took <= (ssize_t)len);
	flow->sent += took > 0 ? (size_t)took : 0;
	flow->filled = flow->sent;
	if (took < 0 && took != -EAGAIN)
		flow->fault = took;
}

static void flow_recv(struct flow *flow)
{
	size_t want = 1 + chance(flow, flow->gulp);

	if (want > SIZE + 1 - flow->have)
		want = SIZE + 1 - flow->have;
	ssize_t got = flow->pair->ops->recv(flow->to, flow->got + flow->have, want, 0);
	flow->have += got > 0 ? (size_t)got : 0;
	assert_true(flow->have <= flow->sent);
	if (got != -EAGAIN)
		flow->end = got > 0 ? 1 : got;
}

/* Sends all up to `until`, by turns; who receives is slower than who sends at times. */
static void flow_run(struct flow *flow, size_t until)
{
	while (flow->sent < until && flow->fault == 0) {
		bool slow = chance(flow, 40) == 0;
		for (unsigned i = 0; flow->sent < until && flow->fault == 0 && i < (slow ? 60 : 3); i++) {
			if (flow->filled > flow->sent && !flow->piped)
				flow_spill(flow);
			else if (flow->filled > flow->sent)
				flow_sendpipe(flow);
			else if (!flow->piped || until - flow->sent < 100000 || chance(flow, 2) == 0)
				flow_sendv(flow, chance(flow, 3) == 0 ? 100 : 60000, until);
			else
				flow_fill(flow, 100000);
		}
		for (unsigned i = 0; flow->end == 1 && i < (slow ? 30 : 4); i++)
			flow_recv(flow);
		if (rig_events(flow->pair, flow->from) != 0)
			(void)rig_flush(flow->pair, flow->from);
	}
}

/* Before the kernel's own threads of this processor, which see to what it has made and could not send: if we may. */
static void hurry(bool hurry)
{
	const struct sched_param param = { .sched_priority = hurry ? 1 : 0 };
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	if (hurry)
		(void)sched_setaffinity(0, sizeof(here), &here);
	(void)sched_setscheduler(0, hurry ? SCHED_FIFO : SCHED_OTHER, &param);
}

/* No more is sent; as soon as that is safe the connection is closed, and everything is there. */
static void flow_close(struct flow *flow, struct xfer_conn **from)
{
	int rc, tries = 0;

	while ((rc = flow->pair->ops->shutdown(flow->from, 0)) == -EAGAIN) {
		flow_recv(flow);
		if (++tries == 200)
			hurry(false);
	}
	assert_int_equal(rc, 0);
	flow->pair->ops->close(flow->from);
	*from = NULL;
	hurry(false);
	while (flow->end == 1) {
		rig_wait(flow->pair, flow->to, POLLIN, -1);
		flow_recv(flow);
	}
	assert_int_equal(flow->end, 0);
	assert_int_equal(flow->have, flow->sent);
	assert_memory_equal(flow->got, data, flow->have);
}

static void test_turns(void **state)
{
	static const struct rig_options ahead = { .key_file = "bob.keys", .ahead = 256 * 1024 };
	static const struct rig_options *const options[] = { &rig_key, &rig_narrow, &rig_certificates, &ahead };
	(void)state;

	for (unsigned i = 0; i < 4; i++) {
		struct rig_pair pair;
		struct flow flow;
		bool back = i == 1; /* the daemon sends */

		rig_pair_make(&pair, options[i], i == 2 ? &rig_certificates_daemon : options[i]);
		flow_begin(&flow, &pair, back ? pair.server : pair.client, back ? pair.client : pair.server, 10 + i);
		flow_run(&flow, SIZE);
		assert_int_equal(flow.fault, 0);
		assert_int_equal(flow.piped, has);
		flow_close(&flow, back ? &pair.server : &pair.client);
		flow_end(&flow);
		rig_pair_break(&pair);
	}
}

/* The first pipe comes behind any number of records, and while there are some to be sent still. */
static void test_late(void **state)
{
	(void)state;
	struct rig_pair pair;
	struct flow flow;

	rig_pair_make(&pair, &rig_narrow, &rig_narrow);
	flow_begin(&flow, &pair, pair.client, pair.server, 5);
	for (unsigned i = 0; i < 300; i++)
		flow_sendv(&flow, 50, SIZE);
	while (rig_events(&pair, pair.client) == 0)
		flow_sendv(&flow, 60000, SIZE);
	assert_int_equal(write(flow.pipes[1], data + flow.filled, 3000), 3000);
	flow.filled += 3000;
	flow_sendpipe(&flow);
	flow_run(&flow, CLOSED_SIZE);
	assert_int_equal(flow.piped, has);
	flow_close(&flow, &pair.client);
	flow_end(&flow);
	rig_pair_break(&pair);
}

/* Closed as soon as it may be, with the peer far behind: nothing that was taken is lost. */
static void test_full(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 60; seed++) {
		struct rig_options narrow = rig_key;
		struct rig_pair pair;
		struct flow flow;

		narrow.buffers = 4096 + seed / 3 * 1024;
		rig_pair_make(&pair, &narrow, &narrow);
		flow_begin(&flow, &pair, pair.client, pair.server, seed);
		if (seed % 3 != 0)
			flow_run(&flow, 60000 + seed * 1000);
		/* Until it takes no more. */
		for (size_t before = 0; flow.sent == 0 || before != flow.sent;) {
			before = flow.sent;
			for (unsigned i = 0; i < 20; i++) {
				if (flow.filled == flow.sent || !flow.piped) {
					flow_spill(&flow);
					flow_sendv(&flow, 60000, SIZE);
				}
				if (flow.piped)
					flow_fill(&flow, 60000);
				if (flow.filled > flow.sent && flow.piped)
					flow_sendpipe(&flow);
			}
		}
		flow_spill(&flow);
		flow.gulp = 2000;
		hurry(true);
		flow_close(&flow, &pair.client);
		flow_end(&flow);
		rig_pair_break(&pair);
	}
}

/* The key changes often; a kernel that cannot do that ends the connection properly, with all that it took. */
static void test_rekey(void **state)
{
	(void)state;
	struct rig_options often = rig_key;
	struct rig_pair pair;
	struct flow flow;

	often.rekey_after = 64 * 1024;
	often.kernel = "always";
	rig_pair_make(&pair, &often, &often);
	flow_begin(&flow, &pair, pair.client, pair.server, 21);
	flow_run(&flow, SIZE);
	if (flow.fault == 0) {
		flow_close(&flow, &pair.client);
	} else {
		struct error err = { 0 };
		assert_true(has);
		assert_int_equal(flow.fault, -EKEYEXPIRED);
		assert_int_equal(flow.sent, often.rekey_after);
		plugin_error(pair.client_plugin, -EKEYEXPIRED, FAULT_PEER, &err);
		assert_contains(err.text, "cannot change its key");
		while (flow.end == 1) {
			rig_wait(&pair, pair.server, POLLIN, -1);
			flow_recv(&flow);
		}
		assert_int_equal(flow.end, 0);
		assert_int_equal(flow.have, flow.sent);
		assert_memory_equal(flow.got, data, flow.have);
	}
	flow_end(&flow);
	rig_pair_break(&pair);
}

/* One side alone; and neither, since keys are to last for less than the kernel may be able to. */
static void test_off(void **state)
{
	(void)state;
	struct rig_options off = rig_key, often = rig_key;
	struct rig_pair pair;
	struct flow flow;

	off.kernel = "off";
	often.rekey_after = 1024 * 1024;
	rig_pair_make(&pair, &often, &rig_key);
	flow_begin(&flow, &pair, pair.client, pair.server, 30);
	flow_run(&flow, SIZE);
	assert_false(flow.piped);
	flow_close(&flow, &pair.client);
	flow_end(&flow);
	rig_pair_break(&pair);
	rig_pair_make(&pair, &off, &rig_key);
	flow_begin(&flow, &pair, pair.client, pair.server, 31);
	flow_run(&flow, SIZE / 2);
	assert_false(flow.piped);
	flow_end(&flow);
	flow_begin(&flow, &pair, pair.server, pair.client, 32);
	flow_run(&flow, SIZE / 2);
	assert_int_equal(flow.piped, has);
	flow_close(&flow, &pair.server);
	flow_end(&flow);
	rig_pair_break(&pair);
}

static bool kernel_has(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	bool good = bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0 &&
	            getsockname(listener, (struct sockaddr *)&at, &len) == 0 &&
	            connect(fd, (struct sockaddr *)&at, len) == 0 &&
	            setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3) == 0;

	close(fd);
	close(listener);
	return good;
}

static int setup(void **state)
{
	const char *need = getenv("XFER_TLS_KERNEL");
	char path[] = "/tmp/xfer-tls-XXXXXX";

	has = kernel_has() && (need == NULL || strcmp(need, "no") != 0);
	if (need != NULL && !has && strcmp(need, "yes") == 0) {
		fprintf(stderr, "the kernel has no TLS\n");
		return -1;
	}
	data = malloc(SIZE);
	file = mkstemp(path);
	if (data == NULL || file < 0)
		return -1;
	unlink(path);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return write(file, data, SIZE) == SIZE ? rig_setup(state) : -1;
}

static int teardown(void **state)
{
	free(data);
	close(file);
	return rig_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns), cmocka_unit_test(test_late), cmocka_unit_test(test_full),
		cmocka_unit_test(test_rekey), cmocka_unit_test(test_off),
	};
	return cmocka_run_group_tests_name("tls-kernel", tests, setup, teardown);
}
