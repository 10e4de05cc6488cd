/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: its options, its instance and its table of calls. */
#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The order of the options table. */
enum {
	OPTION_KEY_FILE,
	OPTION_CERTIFICATE,
	OPTION_CERTIFICATE_KEY,
	OPTION_CA,
	OPTION_REKEY_AFTER,
	OPTION_ENGINE,
	OPTION_KERNEL,
	OPTION_TCP, /* from here on: those of transport-tcp */
	OPTIONS = OPTION_TCP + TCP_OPTIONS_SHARED
};

static const struct xfer_option options[OPTIONS] = {
	[OPTION_KEY_FILE] = {
		.name = "key-file",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = PATH_MAX - 1,
		.help = "file of pre-shared keys that others cannot read, a line NAME:KEY each; 'xfer keygen' makes one",
	},
	[OPTION_CERTIFICATE] = {
		.name = "certificate",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = PATH_MAX - 1,
		.help = "PEM file of our certificate and those between it and the authority",
	},
	[OPTION_CERTIFICATE_KEY] = {
		.name = "certificate-key",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = PATH_MAX - 1,
		.help = "PEM file of its private key; empty: it is in the certificate's file",
	},
	[OPTION_CA] = {
		.name = "ca",
		.type = XFER_OPTION_STRING,
		.default_text = "",
		.max = PATH_MAX - 1,
		.help = "PEM file of the authorities of which the peer's certificate has to be",
	},
	[OPTION_REKEY_AFTER] = {
		.name = "rekey-after",
		.type = XFER_OPTION_SIZE,
		.default_text = "64G",
		.min = 64 * 1024,
		.max = INT64_C(256) << 30,
		.unit = "bytes",
		.help = "bytes that are sent before a connection changes its key",
	},
	[OPTION_ENGINE] = {
		.name = "engine",
		.type = XFER_OPTION_STRING,
		.default_text = "auto",
		.max = 16,
		.help = "auto: AES by the multi-buffer library where that is faster; openssl: never",
	},
	[OPTION_KERNEL] = {
		.name = "kernel",
		.type = XFER_OPTION_STRING,
		.default_text = "auto",
		.max = 16,
		.help = "who makes records: auto: the kernel, where it can; always: the same whatever rekey-after is; off",
	},
	TCP_OPTION_ROWS,
};

/* ---- the instance ---- */

/* transport-tcp with our values. What it would refuse because it is plain is not plain here. */
static int tls_tcp_create(const struct xfer_host *host, const union xfer_value *values, void **out)
{
	union xfer_value theirs[TCP_OPTIONS] = { [TCP_OPTION_ALLOW_PLAINTEXT].boolean = 1 };
	struct xfer_params params = { .struct_size = sizeof(params), .count = TCP_OPTIONS, .values = theirs };

	memcpy(theirs, &values[OPTION_TCP], TCP_OPTIONS_SHARED * sizeof(theirs[0]));
	return tcp_create(host, &params, out);
}

/* What does not go together; files are read later. */
static int tls_check(const struct xfer_host *host, const union xfer_value *values)
{
	bool certificate = values[OPTION_CERTIFICATE].text[0] != '\0';

	for (size_t i = OPTION_KEY_FILE; i <= OPTION_CA; i++) {
		const char *path = values[i].text;
		if (path[0] == '\0' || path[0] == '/')
			continue;
		host->error(host, "%s = %s: write an absolute path", options[i].name, path);
		return -EINVAL;
	}
	if (certificate != (values[OPTION_CA].text[0] != '\0')) {
		host->error(host,
		            "certificate and ca go together: one shows who we are, the other tells whom to believe");
		return -EINVAL;
	}
	if (values[OPTION_CERTIFICATE_KEY].text[0] != '\0' && !certificate) {
		host->error(host, "certificate-key is set, and certificate is not");
		return -EINVAL;
	}
	if (strcmp(values[OPTION_ENGINE].text, "auto") != 0 && strcmp(values[OPTION_ENGINE].text, "openssl") != 0) {
		host->error(host, "engine = %s: it is auto or openssl", values[OPTION_ENGINE].text);
		return -EINVAL;
	}
	const char *kernel = values[OPTION_KERNEL].text;
	if (strcmp(kernel, "auto") != 0 && strcmp(kernel, "always") != 0 && strcmp(kernel, "off") != 0) {
		host->error(host, "kernel = %s: it is auto, always or off", kernel);
		return -EINVAL;
	}
	return 0;
}

static int tls_create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	if (params->count != OPTIONS)
		return -EINVAL;
	const union xfer_value *values = params->values;
	int rc = tls_check(host, values);
	if (rc < 0)
		return rc;
	struct tls *tls = calloc(1, sizeof(*tls));
	if (tls == NULL)
		return -ENOMEM;
	rc = tls_tcp_create(host, values, &tls->tcp);
	if (rc < 0) {
		free(tls);
		return rc;
	}
	tls->host = host;
	tls->key_file = values[OPTION_KEY_FILE].text;
	tls->certificate = values[OPTION_CERTIFICATE].text;
	tls->certificate_key = values[OPTION_CERTIFICATE_KEY].text;
	tls->authorities = values[OPTION_CA].text;
	tls->rekey_after = values[OPTION_REKEY_AFTER].number;
	tls->fast = strcmp(values[OPTION_ENGINE].text, "auto") == 0;
	const char *kernel = values[OPTION_KERNEL].text;
	tls->kernel = strcmp(kernel, "always") == 0 ||
	              (strcmp(kernel, "auto") == 0 && tls->rekey_after >= TLS_KERNEL_KEY);
	*instance = tls;
	return 0;
}

static void tls_destroy(void *instance)
{
	struct tls *tls = instance;

	tls_context_free(tls);
	tcp_destroy(tls->tcp);
	free(tls);
}

static const struct xfer_transport_ops ops = {
	.struct_size = sizeof(struct xfer_transport_ops),
	.listen = tls_listen,
	.listener_adopt = tls_listener_adopt,
	.listener_fds = tls_listener_fds,
	.listener_address = tls_listener_address,
	.listener_close = tls_listener_close,
	.accept = tls_accept,
	.connect = tls_connect,
	.adopt = tls_adopt,
	.handshake = tls_handshake,
	.sendv = tls_sendv,
	.recv = tls_recv,
	.poll = tls_poll,
	.endpoint = tls_endpoint,
	.shutdown = tls_shutdown,
	.close = tls_close,
	.sendpipe = tls_sendpipe,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_TRANSPORT,
	.name = "tls",
	.version = PLUGIN_VERSION,
	.summary = "streams by TLS 1.3 over TCP, both sides authenticated by keys or certificates",
	.capabilities = XFER_CAP_INET | XFER_CAP_SECURE,
	.thread_model = XFER_THREADS_SERIALIZE,
	.options = options,
	.option_count = OPTIONS,
	.create = tls_create,
	.destroy = tls_destroy,
	.transport = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
