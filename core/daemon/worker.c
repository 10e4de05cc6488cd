/* SPDX-License-Identifier: BSD-2-Clause */
/* From START to DRAIN: what a worker process does around a server. */
#include "daemon/worker.h"

#include "base/log.h"
#include "daemon/bound.h"
#include "daemon/control.h"
#include "daemon/deaths.h"
#include "daemon/listen.h"
#include "daemon/server.h"
#include "engine/setup.h"
#include "store/known.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Digests in memory: of a thousand files or of 120 GiB, for as long as those who began together are about as far. */
	KNOWN_BYTES = 4 * 1024 * 1024,
	KNOWN_KEEP = 10, /* s */
};

struct worker {
	unsigned index;
	enum control_role role;
	unsigned workers;
	bool reload;               /* others serve meanwhile */
	struct settings *settings; /* owned, as all below */
	struct log *log;
	struct setup *setup;
	struct notes *notes;
	struct deaths deaths;
	struct known *known;      /* NULL: no digests are kept */
	struct listen_set handed; /* by the supervisor; of a maker: all that is to be told */
	struct bound bound;
	struct server_params params;
	struct server *server; /* NULL until it is made */
};

static bool on_control(void *context);

/* Without its supervisor a worker has no business: whatever it does, it ends here. */
static _Noreturn void end_orphaned(void)
{
	_exit(EXIT_FAILURE);
}

/* Waits for a message without descriptors of one of our next steps, and takes down who died. */
static int await(struct worker *worker, enum control_type *type)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t count = 0;
	do {
		int code = control_receive(CONTROL_FD, &message, fds, &count, 0);
		if (code < 0)
			return code;
		if (count > 0)
			return -EBADMSG;
		if (message.type == CONTROL_DEATH)
			deaths_take(&worker->deaths, &message);
	} while (message.type == CONTROL_DEATH);
	*type = (enum control_type)message.type;
	return 0;
}

static int receive_start(struct worker *worker)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t count;
	int code = control_receive(CONTROL_FD, &message, fds, &count, 0);
	if (code < 0)
		return code;
	if (message.type != CONTROL_START || message.workers > LISTEN_WORKERS_MAX)
		return -EBADMSG;
	worker->role = (enum control_role)message.role;
	worker->workers = message.workers;
	worker->reload = message.reload != 0;
	for (uint32_t left = message.sockets; left > 0; left--) {
		code = control_receive(CONTROL_FD, &message, fds, &count, 0);
		if (code == 0 && message.type != CONTROL_SOCKET)
			code = -EBADMSG;
		if (code == 0)
			code = listen_set_take(&worker->handed, &message, fds, count);
		if (code < 0)
			return code;
	}
	return 0;
}

static int open_sockets(struct worker *worker, struct error *err)
{
	switch (worker->role) {
	case CONTROL_MAKE:
		return bound_make(&worker->bound, worker->setup, &worker->handed, worker->index, worker->workers, err);
	case CONTROL_ADOPT: return bound_adopt(&worker->bound, worker->setup, &worker->handed, worker->index, err);
	case CONTROL_CHECK: return bound_check(worker->setup, err);
	}
	return error_set(err, -EINVAL, FAULT_LOCAL, "the supervisor asked for something unknown");
}

static int open_known(struct known **out, const struct settings *settings, struct error *err)
{
	const char *store = settings->digest_store;

	if (store[0] == '\0' || strcmp(store, "none") == 0)
		return 0;
	if (strcmp(store, "memory") == 0)
		return known_memory(out, KNOWN_BYTES, KNOWN_KEEP, err);
	return known_open(out, store, settings->digest_store_size, err);
}

/*
 * All that may fail, so that a worker that is ready serves: what the configuration asks for and cannot be had ends a
 * reload, and not what serves.
 */
static int make_ready(struct worker *worker, const struct settings_source *source, struct error *err)
{
	char ident[32];
	int code = settings_load(&worker->settings, source, err);
	if (code < 0)
		return code;
	snprintf(ident, sizeof ident, "xferd/%u", worker->index);
	code = log_create(&worker->log, ident, STDERR_FILENO, worker->settings->log_level,
	                  worker->settings->log_format);
	if (code < 0)
		return error_system(err, code, FAULT_LOCAL, "cannot open the log");
	const struct setup_choice choice = { .notes = worker->notes };
	code = setup_create(&worker->setup, worker->settings, &choice, worker->log, err);
	/* A check makes no file. */
	if (code == 0 && worker->role != CONTROL_CHECK)
		code = open_known(&worker->known, worker->settings, err);
	if (code == 0)
		code = open_sockets(worker, err);
	if (code < 0)
		return code;
	worker->params = (struct server_params){
		.setup = worker->setup,
		.known = worker->known,
		.sockets = worker->bound.sockets,
		.socket_count = worker->bound.count,
		.strict = worker->reload,
		.worker = worker->index,
		.notes = worker->notes,
		.deaths = &worker->deaths,
		.control_fd = CONTROL_FD,
		.on_control = on_control,
		.context = worker,
		.log = worker->log,
	};
	code = server_create(&worker->server, &worker->params, err);
	/* The loop watches it without blocking and has made it so; until GO we wait in it. Later reads say what they want. */
	if (code == 0 && fcntl(CONTROL_FD, F_SETFL, 0) < 0)
		code = error_system(err, -errno, FAULT_LOCAL, "cannot wait for the supervisor");
	return code;
}

/* Tells the supervisor that we are ready, with our sockets when we made them; then our copies are no longer needed. */
static int report(struct worker *worker)
{
	size_t count = worker->role == CONTROL_MAKE ? listen_set_messages(&worker->handed, CONTROL_MAKE, 0) : 0;
	for (size_t at = 0; at < count; at++) {
		struct control_message message;
		int fds[CONTROL_FDS_MAX];
		size_t fd_count;
		listen_set_message(&worker->handed, CONTROL_MAKE, 0, at, &message, fds, &fd_count);
		int code = control_send(CONTROL_FD, &message, fds, fd_count);
		if (code < 0)
			return code;
	}
	listen_set_free(&worker->handed);
	struct control_message ready = { .type = CONTROL_READY };
	snprintf(ready.name, sizeof ready.name, "%s", worker->setup->liveness->about.name);
	return control_send(CONTROL_FD, &ready, NULL, 0);
}

/* Called in the loop when the supervisor said something: only DEATH and DRAIN may come now. */
static bool on_control(void *context)
{
	struct worker *worker = context;
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t count;
	int code = control_receive(CONTROL_FD, &message, fds, &count, MSG_DONTWAIT);
	if (code == -EAGAIN)
		return true;
	if (code < 0)
		end_orphaned();
	if (message.type == CONTROL_DEATH)
		deaths_take(&worker->deaths, &message);
	return message.type != CONTROL_DRAIN;
}

static void serve(struct worker *worker)
{
	enum control_type next;
	if (await(worker, &next) < 0)
		end_orphaned();
	if (next == CONTROL_GO)
		server_run(worker->server);
}

static void worker_free(struct worker *worker)
{
	if (worker->server != NULL)
		server_destroy(worker->server);
	bound_free(&worker->bound);
	listen_set_free(&worker->handed);
	setup_destroy(worker->setup);
	known_close(worker->known);
	settings_free(worker->settings);
	log_destroy(worker->log);
	notes_free(worker->notes);
}

int worker_main(unsigned index, const struct settings_source *source)
{
	struct worker worker = { .index = index };
	struct error err = { 0 };
	if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0 || notes_map(&worker.notes, CONTROL_NOTES_FD) < 0 ||
	    index >= LISTEN_WORKERS_MAX) {
		fprintf(stderr,
		        "xferd: --worker is what the supervisor starts its workers with, and for nothing else\n");
		return FAULT_USAGE;
	}
	close(CONTROL_NOTES_FD);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG instead: an error of that file */
	/* Not "exe", which is the name of what the supervisor executed. */
	prctl(PR_SET_NAME, "xferd-worker");
	/* No word from the supervisor is a supervisor that is gone. */
	if (receive_start(&worker) < 0)
		end_orphaned();
	note_catch(false);
	int code = make_ready(&worker, source, &err);
	if (code < 0)
		control_send_error(CONTROL_FD, &err);
	else if (report(&worker) < 0)
		end_orphaned();
	else if (worker.role != CONTROL_CHECK)
		serve(&worker);
	worker_free(&worker);
	return code < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
