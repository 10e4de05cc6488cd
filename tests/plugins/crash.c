/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-crash, integrity-crash and liveness-crash, for tests: a shipped plug-in (INNER) whose every callback looks
 * into the file that the option `orders` names. Does it say "CALLBACK HOW" of this one, the file is removed, so that it
 * strikes once, and the process comes to harm: segv, abort, fpe, bus, ill, stack, kill, exit, loop, or stop, which stops
 * it until somebody lets it go on; host-NAME calls the host with an address that leads nowhere, and aborts where that
 * comes back. "CALLBACK HOW always" leaves the file. The variable XFER_CRASH_ENTRY says how to end
 * in the exported function.
 *
 * And it looks that the core keeps what xfer/plugin.h promises of every call: who breaks it dies of SIGABRT, with a line
 * that says of what.
 */
#include <xfer/plugin.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct xfer_plugin *inner;
static const struct xfer_host *host; /* of the latest instance */
static char orders[512];

static int deeper(int left)
{
	volatile char frame[4096];
	frame[0] = (char)left;
	return left == 0 ? 0 : deeper(left - 1) + frame[0];
}

/* A host call with an address that leads nowhere, where it takes one. */
static void call_host(const char *name)
{
	volatile uintptr_t nowhere = 64;
	if (strcmp(name, "log") == 0)
		host->log(host, XFER_LOG_ERROR, "%s", (const char *)nowhere);
	else if (strcmp(name, "error") == 0)
		host->error(host, "%s", (const char *)nowhere);
	else if (strcmp(name, "now") == 0 && host->now(host) == 0)
		_exit(4);
	else if (strcmp(name, "random") == 0 && host->random(host, (void *)nowhere, 16) != -EFAULT)
		_exit(4);
	abort();
}

static void come_to_harm(const char *how)
{
	volatile int going = 1;
	volatile uintptr_t nowhere = 64;
	if (strcmp(how, "segv") == 0)
		*(volatile int *)nowhere = 1;
	else if (strcmp(how, "abort") == 0)
		abort();
	else if (strcmp(how, "fpe") == 0)
		raise(SIGFPE);
	else if (strcmp(how, "bus") == 0)
		raise(SIGBUS);
	else if (strcmp(how, "ill") == 0)
		raise(SIGILL);
	else if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	else if (strcmp(how, "stack") == 0)
		_exit(deeper(1 << 30));
	else if (strcmp(how, "exit") == 0)
		_exit(3);
	else if (strcmp(how, "stop") == 0)
		raise(SIGSTOP);
	else if (strncmp(how, "host-", 5) == 0)
		call_host(how + 5);
	else
		while (going)
			continue;
}

/* Whether it was meant: one of many threads and processes is. */
static void look(const char *callback)
{
	char text[128] = "", name[64] = "", how[16] = "", always[16] = "";
	int fd = orders[0] == '\0' ? -1 : open(orders, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0 || sscanf(text, "%63s %15s %15s", name, how, always) < 2 || strcmp(name, callback) != 0)
		return;
	if (always[0] != '\0' || unlink(orders) == 0)
		come_to_harm(how);
}

/* ---- what the core has promised --------------------------------------------------------------------------------- */

static _Atomic int objects; /* made, and not destroyed */
static pthread_t loop;
static atomic_bool loop_known;

static void promise(bool kept, const char *callback, const char *what)
{
	if (kept)
		return;
	fprintf(stderr, "promise broken at %s(): %s\n", callback, what);
	abort();
}

static int made(int rc)
{
	objects += rc == 0;
	return rc;
}

/* One thread makes all loop calls. */
static inline __attribute__((unused)) void in_loop(const char *callback)
{
	if (!atomic_exchange(&loop_known, true))
		loop = pthread_self();
	promise(pthread_equal(loop, pthread_self()) != 0, callback, "another thread than that of the loop");
}

/* A struct to be filled: its size, and zeroes. */
static inline __attribute__((unused)) void is_empty(const void *out, size_t size, const char *callback)
{
	size_t said;
	memcpy(&said, out, sizeof(said));
	promise(said == size, callback, "struct_size");
	for (size_t i = sizeof(said); i < size; i++)
		promise(((const unsigned char *)out)[i] == 0, callback, "zeroes in what is to be filled");
}

/* ---- all kinds -------------------------------------------------------------------------------------------------- */

static int crash_create(const struct xfer_host *ours, const struct xfer_params *params, void **instance)
{
	struct xfer_params theirs = *params;
	theirs.count--;
	snprintf(orders, sizeof(orders), "%s", params->values[theirs.count].text);
	host = ours;
	look("create");
	return inner->create(host, &theirs, instance);
}

static void crash_destroy(void *instance)
{
	look("destroy");
	promise(objects == 0, "destroy", "its objects are gone before");
	inner->destroy(instance);
}

#if defined(TRANSPORT)

#define OPS inner->transport

static int crash_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	look("listen");
	promise(how->struct_size == sizeof(*how) && how->flags == 0 && how->authority != NULL, "listen",
	        "size, flags and authority");
	return made(OPS->listen(instance, how, out));
}

static int crash_listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                                struct xfer_listener **out)
{
	look("listener_adopt");
	promise(how->struct_size == sizeof(*how) && how->flags == 0 && how->authority != NULL, "listener_adopt",
	        "size, flags and authority");
	return made(OPS->listener_adopt(instance, how, fds, count, out));
}

static int crash_listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	look("listener_fds");
	return OPS->listener_fds(listener, fds, max);
}

static int crash_listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	look("listener_address");
	return OPS->listener_address(listener, text, size);
}

static void crash_listener_close(struct xfer_listener *listener)
{
	look("listener_close");
	objects--;
	OPS->listener_close(listener);
}

static int crash_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	look("accept");
	in_loop("accept");
	promise(flags == 0, "accept", "flags are 0");
	return made(OPS->accept(listener, out, flags));
}

static int crash_connect(void *instance, const struct xfer_connect *how, struct xfer_conn **out)
{
	look("connect");
	in_loop("connect");
	promise(how->struct_size == sizeof(*how) && how->flags == 0 && how->authority != NULL, "connect",
	        "size, flags and authority");
	return made(OPS->connect(instance, how, out));
}

static int crash_adopt(void *instance, const struct xfer_adopt *how, struct xfer_conn **out)
{
	look("adopt");
	promise(how->struct_size == sizeof(*how) && how->flags == 0 && how->authority != NULL, "adopt",
	        "size, flags and authority");
	return made(OPS->adopt(instance, how, out));
}

static int crash_handshake(struct xfer_conn *conn, uint32_t flags)
{
	look("handshake");
	in_loop("handshake");
	promise(flags == 0, "handshake", "flags are 0");
	return OPS->handshake(conn, flags);
}

static ssize_t crash_sendv(struct xfer_conn *conn, const struct iovec *iov, int count, uint32_t flags)
{
	look("sendv");
	in_loop("sendv");
	promise(count >= 0, "sendv", "no less than no piece");
	promise(flags == 0, "sendv", "flags are 0");
	return OPS->sendv(conn, iov, count, flags);
}

static ssize_t crash_recv(struct xfer_conn *conn, void *bytes, size_t len, uint32_t flags)
{
	look("recv");
	in_loop("recv");
	promise(len > 0, "recv", "room for a byte");
	promise(flags == 0, "recv", "flags are 0");
	return OPS->recv(conn, bytes, len, flags);
}

static ssize_t crash_sendpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	look("sendpipe");
	in_loop("sendpipe");
	promise(flags == 0, "sendpipe", "flags are 0");
	return OPS->sendpipe(conn, fd, len, flags);
}

static ssize_t crash_recvpipe(struct xfer_conn *conn, int fd, size_t len, uint32_t flags)
{
	look("recvpipe");
	in_loop("recvpipe");
	promise(len > 0, "recvpipe", "room for a byte");
	promise((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, "recvpipe", "a pipe that does not block");
	promise(flags == 0, "recvpipe", "flags are 0");
	return OPS->recvpipe(conn, fd, len, flags);
}

static ssize_t crash_sendfile(struct xfer_conn *conn, int fd, uint64_t offset, size_t len, uint32_t flags)
{
	look("sendfile");
	promise(flags == 0, "sendfile", "flags are 0");
	return OPS->sendfile(conn, fd, offset, len, flags);
}

static int crash_poll(struct xfer_conn *conn, struct xfer_poll *out)
{
	look("poll");
	in_loop("poll");
	is_empty(out, sizeof(*out), "poll");
	return OPS->poll(conn, out);
}

static int crash_endpoint(struct xfer_conn *conn, struct xfer_endpoint *out)
{
	look("endpoint");
	in_loop("endpoint");
	is_empty(out, sizeof(*out), "endpoint");
	return OPS->endpoint(conn, out);
}

static int crash_shutdown(struct xfer_conn *conn, uint32_t flags)
{
	look("shutdown");
	in_loop("shutdown");
	promise(flags == 0, "shutdown", "flags are 0");
	return OPS->shutdown(conn, flags);
}

static void crash_close(struct xfer_conn *conn)
{
	look("close");
	in_loop("close");
	objects--;
	OPS->close(conn);
}

static const struct xfer_transport_ops crash_ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = crash_listen,
	.listener_adopt = crash_listener_adopt,
	.listener_fds = crash_listener_fds,
	.listener_address = crash_listener_address,
	.listener_close = crash_listener_close,
	.accept = crash_accept,
	.connect = crash_connect,
	.adopt = crash_adopt,
	.handshake = crash_handshake,
	.sendv = crash_sendv,
	.recv = crash_recv,
	.sendfile = crash_sendfile,
	.sendpipe = crash_sendpipe,
	.recvpipe = crash_recvpipe,
	.poll = crash_poll,
	.endpoint = crash_endpoint,
	.shutdown = crash_shutdown,
	.close = crash_close,
};

static void take_ops(struct xfer_plugin *plugin)
{
	plugin->transport = &crash_ops;
}

#elif defined(INTEGRITY)

#define OPS inner->integrity

static int crash_digest(void *instance, const void *bytes, size_t len, uint8_t *out, uint32_t flags)
{
	look("digest");
	promise(flags == 0, "digest", "flags are 0");
	return OPS->digest(instance, bytes, len, out, flags);
}

static int crash_digest_many(void *instance, const struct iovec *buffers, size_t count, uint8_t *const *outs,
                             uint32_t flags)
{
	look("digest_many");
	promise(count > 0, "digest_many", "a buffer at least");
	promise(flags == 0, "digest_many", "flags are 0");
	return OPS->digest_many(instance, buffers, count, outs, flags);
}

static int crash_hash_create(void *instance, struct xfer_hash **out)
{
	look("hash_create");
	return made(OPS->hash_create(instance, out));
}

static int crash_hash_update(struct xfer_hash *hash, const void *bytes, size_t len, uint32_t flags)
{
	look("hash_update");
	promise(flags == 0, "hash_update", "flags are 0");
	return OPS->hash_update(hash, bytes, len, flags);
}

static int crash_hash_finish(struct xfer_hash *hash, uint8_t *out, uint32_t flags)
{
	look("hash_finish");
	promise(flags == 0, "hash_finish", "flags are 0");
	return OPS->hash_finish(hash, out, flags);
}

static void crash_hash_destroy(struct xfer_hash *hash)
{
	look("hash_destroy");
	objects--;
	OPS->hash_destroy(hash);
}

static uint32_t crash_lanes(void *instance)
{
	look("lanes");
	return OPS->lanes(instance);
}

static struct xfer_integrity_ops crash_ops;

static void take_ops(struct xfer_plugin *plugin)
{
	crash_ops = *OPS;
	crash_ops.digest = crash_digest;
	crash_ops.digest_many = OPS->digest_many != NULL ? crash_digest_many : NULL;
	crash_ops.hash_create = crash_hash_create;
	crash_ops.hash_update = crash_hash_update;
	crash_ops.hash_finish = crash_hash_finish;
	crash_ops.hash_destroy = crash_hash_destroy;
	crash_ops.lanes = OPS->lanes != NULL ? crash_lanes : NULL;
	plugin->integrity = &crash_ops;
}

#else

#define OPS inner->liveness

static void crash_timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	look("timing");
	OPS->timing(instance, interval, dead_after);
}

static int crash_peer_create(void *instance, const struct xfer_peer_params *params, struct xfer_peer **out)
{
	look("peer_create");
	in_loop("peer_create");
	return made(OPS->peer_create(instance, params, out));
}

static void crash_peer_destroy(struct xfer_peer *peer)
{
	look("peer_destroy");
	in_loop("peer_destroy");
	objects--;
	OPS->peer_destroy(peer);
}

static int crash_datagram_in(struct xfer_peer *peer, const void *bytes, size_t len, uint64_t now,
                             struct xfer_heard *out)
{
	look("datagram_in");
	in_loop("datagram_in");
	is_empty(out, sizeof(*out), "datagram_in");
	return OPS->datagram_in(peer, bytes, len, now, out);
}

static ssize_t crash_datagram_out(struct xfer_peer *peer, void *bytes, size_t size, uint64_t now,
                                  struct xfer_asked *out)
{
	look("datagram_out");
	in_loop("datagram_out");
	promise(size >= OPS->datagram_size, "datagram_out", "room for a datagram");
	is_empty(out, sizeof(*out), "datagram_out");
	return OPS->datagram_out(peer, bytes, size, now, out);
}

static enum xfer_verdict crash_verdict(struct xfer_peer *peer, uint64_t now)
{
	look("verdict");
	in_loop("verdict");
	return OPS->verdict(peer, now);
}

static uint64_t crash_next_deadline(struct xfer_peer *peer, uint64_t now)
{
	look("next_deadline");
	in_loop("next_deadline");
	return OPS->next_deadline(peer, now);
}

static void crash_stats(struct xfer_peer *peer, struct xfer_liveness_stats *out)
{
	look("stats");
	in_loop("stats");
	is_empty(out, sizeof(*out), "stats");
	OPS->stats(peer, out);
}

static void crash_progress_set(struct xfer_peer *peer, const struct xfer_progress *ours)
{
	look("progress_set");
	in_loop("progress_set");
	OPS->progress_set(peer, ours);
}

static void crash_progress_get(struct xfer_peer *peer, struct xfer_progress *theirs)
{
	look("progress_get");
	in_loop("progress_get");
	is_empty(theirs, sizeof(*theirs), "progress_get");
	OPS->progress_get(peer, theirs);
}

static struct xfer_liveness_ops crash_ops;

static void take_ops(struct xfer_plugin *plugin)
{
	crash_ops = (struct xfer_liveness_ops){
		.struct_size = sizeof(struct xfer_liveness_ops),
		.datagram_size = OPS->datagram_size,
		.timing = crash_timing,
		.peer_create = crash_peer_create,
		.peer_destroy = crash_peer_destroy,
		.datagram_in = crash_datagram_in,
		.datagram_out = crash_datagram_out,
		.verdict = crash_verdict,
		.next_deadline = crash_next_deadline,
		.stats = crash_stats,
		.progress_set = crash_progress_set,
		.progress_get = crash_progress_get,
	};
	plugin->liveness = &crash_ops;
}

#endif

/* ---- the plug-in: what the inner one says of itself, with an option more ------------------------------------------ */

static struct xfer_plugin plugin;
static struct xfer_option options[32];

static int take_inner(void)
{
	const struct xfer_plugin *(*entry)(void);
	void *object = dlopen(INNER, RTLD_NOW | RTLD_LOCAL);
	void *symbol = object == NULL ? NULL : dlsym(object, XFER_PLUGIN_SYMBOL);
	if (symbol == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return -ENOENT;
	}
	memcpy(&entry, &symbol, sizeof(entry));
	inner = entry();
	plugin = *inner;
	plugin.name = "crash";
	plugin.summary = "comes to harm on request, for tests";
	plugin.create = crash_create;
	plugin.destroy = crash_destroy;
	if (inner->option_count > 0)
		memcpy(options, inner->options, inner->option_count * sizeof(options[0]));
	options[inner->option_count] = (struct xfer_option){
		.name = "orders",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = sizeof(orders) - 1,
		.help = "a file that may hold a line \"CALLBACK HOW\"",
	};
	plugin.options = options;
	plugin.option_count = inner->option_count + 1;
	take_ops(&plugin);
	return 0;
}

__attribute__((visibility("default"))) const struct xfer_plugin *xfer_plugin_v1(void);
const struct xfer_plugin *xfer_plugin_v1(void)
{
	const char *how = getenv("XFER_CRASH_ENTRY");
	if (how != NULL)
		come_to_harm(how);
	return take_inner() < 0 ? NULL : &plugin;
}
