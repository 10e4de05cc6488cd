/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys, certificates and pairs of transport-tls, made for one run of a test. */
#include "tls-rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

const struct rig_options rig_key = { .key_file = "bob.keys" };
const struct rig_options rig_keys = { .key_file = "all.keys" };
const struct rig_options rig_certificates = { .certificate = "client.pem",
	                                      .certificate_key = "client.key",
	                                      .ca = "ca.pem" };
const struct rig_options rig_certificates_daemon = { .certificate = "daemon.pem",
	                                             .certificate_key = "daemon.key",
	                                             .ca = "ca.pem" };

const struct rig_options rig_narrow = { .key_file = "bob.keys", .buffers = 64 * 1024 };

#define BOB "bob:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define CAROL "carol:AAECAwQFBgcICQoLDA0ODw==\n"

static char folder[] = "/tmp/xfer-tls-XXXXXX";

const char *rig_path(const char *name)
{
	static char ring[8][256];
	static unsigned at;
	char *path = ring[at++ % COUNT(ring)];
	snprintf(path, sizeof(ring[0]), "%s/%s", folder, name);
	return path;
}

void rig_write(const char *name, const char *text, unsigned mode)
{
	int fd = open(rig_path(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* ---- certificates ---- */

struct authority {
	X509 *certificate;
	EVP_PKEY *key;
};

static void extension_add(X509 *certificate, const struct authority *by, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, by->certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void pem_write(const char *name, const char *suffix, const struct authority *it, bool key)
{
	char file[64];
	snprintf(file, sizeof(file), "%s.%s", name, suffix);
	rig_write(file, "", 0600);
	FILE *out = fopen(rig_path(file), "w");
	assert_non_null(out);
	assert_int_equal(key ? PEM_write_PrivateKey(out, it->key, NULL, NULL, 0, NULL, NULL)
	                     : PEM_write_X509(out, it->certificate),
	                 1);
	assert_int_equal(fclose(out), 0);
}

/* NAME.pem and NAME.key, signed by `by`, or by itself when that is NULL. cn and san may be NULL; days from now. */
static struct authority certify(const char *name, const struct authority *by, const char *cn, const char *san, int from,
                                int until)
{
	static long serial = 1;
	struct authority made = { X509_new(), EVP_EC_gen("P-256") };
	bool is_authority = by == NULL && san == NULL;
	assert_non_null(made.certificate);
	assert_non_null(made.key);
	if (by == NULL)
		by = &made;
	X509 *certificate = made.certificate;
	assert_int_equal(X509_set_version(certificate, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
	X509_time_adj_ex(X509_getm_notBefore(certificate), from, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(certificate), until, 0, NULL);
	X509_set_pubkey(certificate, made.key);
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (cn != NULL)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	else
		X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"No Name", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate));
	extension_add(certificate, by, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "CA:FALSE");
	if (san != NULL)
		extension_add(certificate, by, NID_subject_alt_name, san);
	assert_true(X509_sign(certificate, by->key, EVP_sha256()) > 0);
	pem_write(name, "pem", &made, false);
	pem_write(name, "key", &made, true);
	return made;
}

static void authority_free(struct authority made)
{
	X509_free(made.certificate);
	EVP_PKEY_free(made.key);
}

int rig_setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	rig_write("bob.keys", "# the client's\n\n" BOB, 0600);
	rig_write("all.keys", "alice:ffeeddccbbaa99887766554433221100\n" BOB "\r\n" CAROL, 0400);
	struct authority ca = certify("ca", NULL, "Test CA", NULL, -1, 10);
	struct authority foreign = certify("foreign-ca", NULL, "Foreign CA", NULL, -1, 10);
	authority_free(certify("daemon", &ca, "Common Daemon", "IP:127.0.0.1", -1, 10));
	authority_free(certify("daemon-named", &ca, "127.0.0.1", "DNS:elsewhere.test", -1, 10));
	authority_free(certify("daemon-expired", &ca, "Common Daemon", "IP:127.0.0.1", -10, -1));
	authority_free(certify("daemon-early", &ca, "Common Daemon", "IP:127.0.0.1", 1, 10));
	authority_free(certify("daemon-self", NULL, "Common Daemon", "IP:127.0.0.1", -1, 10));
	authority_free(certify("daemon-foreign", &foreign, "Common Daemon", "IP:127.0.0.1", -1, 10));
	authority_free(certify("client", &ca, "Common Client", "DNS:client.test,DNS:second.test", -1, 10));
	authority_free(certify("client-common", &ca, "Common Client", NULL, -1, 10));
	authority_free(certify("client-expired", &ca, "Common Client", "DNS:client.test", -10, -1));
	authority_free(certify("client-foreign", &foreign, "Common Client", "DNS:client.test", -1, 10));
	authority_free(certify("client-self", NULL, "Common Client", "DNS:client.test", -1, 10));
	authority_free(certify("client-nameless", &ca, NULL, NULL, -1, 10));
	authority_free(ca);
	authority_free(foreign);
	return 0;
}

int rig_teardown(void **state)
{
	(void)state;
	DIR *dir = opendir(folder);
	if (dir == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(folder);
}

/* ---- pairs ---- */

struct plugin *rig_plugin(struct registry **registry, const struct rig_options *options)
{
	static const char *const names[] = { "key-file", "certificate", "certificate-key", "ca" };
	const char *files[] = { options->key_file, options->certificate, options->certificate_key, options->ca };
	union xfer_value values[32] = { { 0 } };
	struct registry *look;
	struct plugin *plugin = pair_transport(&look, "tls", NULL);
	assert_true(plugin->about.option_count <= COUNT(values));
	for (size_t i = 0; i < plugin->about.option_count; i++) {
		const struct xfer_option *option = &plugin->options[i];
		if (option->type == XFER_OPTION_STRING)
			values[i].text = option->default_text;
		else if (option->type == XFER_OPTION_INT)
			values[i].integer = atoi(option->default_text);
		if (strcmp(option->name, "send-buffer") == 0 || strcmp(option->name, "receive-buffer") == 0)
			values[i].number = options->buffers;
		if (strcmp(option->name, "send-ahead") == 0)
			values[i].number = options->ahead;
		if (strcmp(option->name, "rekey-after") == 0)
			values[i].number = options->rekey_after > 0 ? options->rekey_after : UINT64_C(64) << 30;
		if (strcmp(option->name, "engine") == 0 && options->engine != NULL)
			values[i].text = options->engine;
		if (strcmp(option->name, "kernel") == 0 && options->kernel != NULL)
			values[i].text = options->kernel;
		/* Texts live as long as the instance. */
		for (size_t k = 0; k < COUNT(names); k++) {
			static char kept[64][256];
			static unsigned next;
			if (strcmp(option->name, names[k]) != 0 || files[k] == NULL)
				continue;
			char *path = kept[next++ % COUNT(kept)];
			snprintf(path, sizeof(kept[0]), "%s", rig_path(files[k]));
			values[i].text = path;
		}
	}
	registry_destroy(look);
	return pair_transport(registry, "tls", values);
}

int rig_fd(const struct rig_pair *pair, struct xfer_conn *conn)
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	assert_int_equal(pair->ops->poll(conn, &poll_for), 0);
	return poll_for.read_fd;
}

uint32_t rig_events(const struct rig_pair *pair, struct xfer_conn *conn)
{
	struct xfer_poll poll_for = { .struct_size = sizeof(poll_for) };
	assert_int_equal(pair->ops->poll(conn, &poll_for), 0);
	return poll_for.events;
}

int rig_wait(const struct rig_pair *pair, struct xfer_conn *conn, short events, int ms)
{
	struct pollfd wait = { .fd = rig_fd(pair, conn), .events = events };
	int ready = poll(&wait, 1, ms < 0 ? PAIR_PATIENCE : ms);
	if (ms < 0)
		assert_int_equal(ready, 1);
	return ready;
}

ssize_t rig_flush(const struct rig_pair *pair, struct xfer_conn *conn)
{
	return rig_events(pair, conn) != 0 ? pair->ops->sendv(conn, NULL, 0, 0) : 0;
}

struct xfer_conn *rig_accept(const struct rig_pair *pair, struct xfer_listener *listener)
{
	int fd;
	struct xfer_conn *conn;
	assert_int_equal(pair->ops->listener_fds(listener, &fd, 1), 1);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&wait, 1, PAIR_PATIENCE), 1);
	assert_int_equal(pair->ops->accept(listener, &conn, 0), 0);
	return conn;
}

/* One step of a handshake that is not through: waits for nothing that poll() does not name. */
static int step(const struct rig_pair *pair, struct plugin *plugin, struct xfer_conn *conn, struct error *err)
{
	uint32_t events = rig_events(pair, conn);
	/* A new connection that waits for nothing may be called at once. */
	short wanted = (short)((events & XFER_POLL_READ ? POLLIN : 0) | (events & XFER_POLL_WRITE ? POLLOUT : 0));
	if (wanted != 0 && rig_wait(pair, conn, wanted, 5) == 0)
		return -EAGAIN;
	plugin_error_clear();
	int rc = pair->ops->handshake(conn, 0);
	if (rc < 0 && rc != -EAGAIN)
		plugin_error(plugin, rc, FAULT_CONNECT, err);
	return rc;
}

int rig_handshakes(struct rig_pair *pair)
{
	int client = -EAGAIN, server = -EAGAIN;
	for (int i = 0; i < 2000 && (client == -EAGAIN || server == -EAGAIN); i++) {
		if (client == -EAGAIN)
			client = step(pair, pair->client_plugin, pair->client, &pair->client_error);
		if (server == -EAGAIN)
			server = step(pair, pair->server_plugin, pair->server, &pair->server_error);
	}
	assert_true(client != -EAGAIN && server != -EAGAIN);
	if (server < 0 && client == 0) {
		uint8_t byte;
		rig_wait(pair, pair->client, POLLIN, -1);
		plugin_error_clear();
		client = (int)pair->ops->recv(pair->client, &byte, 1, 0);
		assert_true(client < 0);
		plugin_error(pair->client_plugin, client, FAULT_CONNECT, &pair->client_error);
		assert_int_equal(pair->ops->recv(pair->client, &byte, 1, 0), client);
	}
	return client < 0 ? client : server;
}

int rig_pair_begin(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server,
                   const char *host, const char *user)
{
	*pair = (struct rig_pair){ 0 };
	pair->client_plugin = rig_plugin(&pair->registries[0], client);
	pair->server_plugin = rig_plugin(&pair->registries[1], server);
	pair->ops = &pair->server_plugin->transport;
	assert_int_equal(pair_listen(pair->server_plugin, "127.0.0.1", 0, &pair->listener), 0);
	struct sockaddr_storage address;
	struct xfer_connect how = {
		.struct_size = sizeof(how),
		.address = (struct sockaddr *)&address,
		.address_len = pair_address(&address, "127.0.0.1", pair_port(pair->server_plugin, pair->listener)),
		.authority = host,
		.host = host,
		.user = user,
	};
	plugin_error_clear();
	int rc = pair->ops->connect(pair->client_plugin->instance, &how, &pair->client);
	if (rc < 0) {
		pair->client = NULL;
		plugin_error(pair->client_plugin, rc, FAULT_CONNECT, &pair->client_error);
		return rc;
	}
	assert_int_equal(rig_events(pair, pair->client), XFER_POLL_WRITE);
	pair->server = rig_accept(pair, pair->listener);
	return 0;
}

void rig_pair_make_as(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server,
                      const char *user)
{
	if (rig_pair_begin(pair, client, server, "127.0.0.1", user) < 0 || rig_handshakes(pair) < 0)
		fail_msg("client: %s; server: %s", pair->client_error.text, pair->server_error.text);
	assert_int_equal(rig_events(pair, pair->client), 0);
	assert_int_equal(rig_events(pair, pair->server), 0);
	assert_int_equal(pair->ops->handshake(pair->client, 0), 0); /* as often as somebody likes */
}

void rig_pair_make(struct rig_pair *pair, const struct rig_options *client, const struct rig_options *server)
{
	rig_pair_make_as(pair, client, server, NULL);
}

void rig_pair_break(struct rig_pair *pair)
{
	if (pair->client != NULL)
		pair->ops->close(pair->client);
	if (pair->server != NULL)
		pair->ops->close(pair->server);
	if (pair->listener != NULL)
		pair->ops->listener_close(pair->listener);
	for (size_t i = 0; i < COUNT(pair->registries); i++)
		registry_destroy(pair->registries[i]);
}
