/* SPDX-License-Identifier: BSD-2-Clause */
/* The plug-in itself: its options, and that it has no listeners. */
#include "ssh.h"

#include <errno.h>
#include <stdlib.h>

/*
 * xferd lies in an sbin, and sshd gives a user's shell a PATH without those. That shell may be of any kind, so what it
 * gets is a program and words in single quotes, which all of them take as they stand.
 */
#define REMOTE "sh -c 'PATH=$PATH:" REMOTE_PATH "; exec xferd --stdio'"

enum { OPTION_PROGRAM, OPTION_ARGUMENTS, OPTION_REMOTE, OPTIONS };

static const struct xfer_option options[OPTIONS] = {
	[OPTION_PROGRAM] = { .name = "program",
	                     .type = XFER_OPTION_STRING,
	                     .default_text = "ssh",
	                     .max = 4096,
	                     .help = "the program that is run on this side, looked for in PATH" },
	[OPTION_ARGUMENTS] = { .name = "arguments",
	                       .type = XFER_OPTION_STRING,
	                       .default_text = "",
	                       .max = 4096,
	                       .help = "more arguments of it, apart by blanks, as in -o BatchMode=yes" },
	[OPTION_REMOTE] = { .name = "remote",
	                    .type = XFER_OPTION_STRING,
	                    .default_text = REMOTE,
	                    .max = 4096,
	                    .help = "the command that the shell on the other machine runs" },
};

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	struct ssh_transport *self;

	if (params->values[OPTION_PROGRAM].text[0] == '\0' || params->values[OPTION_REMOTE].text[0] == '\0') {
		host->error(host, "program and remote may not be empty");
		return -EINVAL;
	}
	self = malloc(sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->host = host;
	self->program = params->values[OPTION_PROGRAM].text;
	self->arguments = params->values[OPTION_ARGUMENTS].text;
	self->remote = params->values[OPTION_REMOTE].text;
	*instance = self;
	return 0;
}

static void destroy(void *instance)
{
	free(instance);
}

/* ---- listeners: sshd has them --------------------------------------------------------------------------------- */

static int no_listeners(const struct ssh_transport *self)
{
	self->host->error(self->host,
	                  "ssh is not listened on: sshd does that, and starts `xferd --stdio` for each client");
	return -EOPNOTSUPP;
}

static int ssh_listen(void *instance, const struct xfer_listen *how, struct xfer_listener **out)
{
	(void)how;
	(void)out;
	return no_listeners(instance);
}

static int listener_adopt(void *instance, const struct xfer_listen *how, const int *fds, size_t count,
                          struct xfer_listener **out)
{
	(void)how;
	(void)fds;
	(void)count;
	(void)out;
	return no_listeners(instance);
}

/* Required by the ABI; there is no listener that they could be called with. */
static int listener_fds(struct xfer_listener *listener, int *fds, size_t max)
{
	(void)listener;
	(void)fds;
	(void)max;
	return -EOPNOTSUPP;
}

static int listener_address(struct xfer_listener *listener, char *text, size_t size)
{
	(void)listener;
	(void)text;
	(void)size;
	return -EOPNOTSUPP;
}

static void listener_close(struct xfer_listener *listener)
{
	(void)listener;
}

static int ssh_accept(struct xfer_listener *listener, struct xfer_conn **out, uint32_t flags)
{
	(void)listener;
	(void)out;
	(void)flags;
	return -EOPNOTSUPP;
}

static const struct xfer_transport_ops ops = {
	.struct_size = sizeof(ops),
	.listen = ssh_listen,
	.listener_adopt = listener_adopt,
	.listener_fds = listener_fds,
	.listener_address = listener_address,
	.listener_close = listener_close,
	.accept = ssh_accept,
	.connect = conn_connect,
	.adopt = conn_adopt,
	.handshake = conn_handshake,
	.sendv = conn_sendv,
	.recv = conn_recv,
	.poll = conn_poll,
	.endpoint = conn_endpoint,
	.shutdown = conn_shutdown,
	.close = conn_close,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = "ssh",
	.version = PLUGIN_VERSION,
	.summary = "a command on the other machine, run by ssh(1)",
	.capabilities = XFER_CAP_SECURE,
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = options,
	.option_count = OPTIONS,
	.create = create,
	.destroy = destroy,
	.transport = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
