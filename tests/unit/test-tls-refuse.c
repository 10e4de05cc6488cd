/* SPDX-License-Identifier: BSD-2-Clause */
/* transport-tls: who is refused, by whom, and what each side is told. */
#include "tls-rig.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Both sides fail, with these words; NULL: whatever it says. Returns the client's error. */
static void refused(const struct rig_options *client, const struct rig_options *server, const char *client_says,
                    const char *server_says)
{
	struct rig_pair pair;
	if (rig_pair_begin(&pair, client, server, "127.0.0.1", NULL) < 0)
		fail_msg("%s", pair.client_error.text);
	assert_int_equal(rig_handshakes(&pair), -EACCES);
	if (strstr(pair.client_error.text, client_says) == NULL || strstr(pair.server_error.text, server_says) == NULL)
		fail_msg("client: %s; server: %s", pair.client_error.text, pair.server_error.text);
	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	assert_int_equal(pair.ops->endpoint(pair.server, &at), 0);
	assert_string_equal(at.identity, "");
	rig_pair_break(&pair);
}

/* ---- keys ---- */

static void test_keys(void **state)
{
	(void)state;
	struct rig_options other = { .key_file = "other.keys" }, stranger = { .key_file = "stranger.keys" };
	rig_write("other.keys", "bob:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 0600);
	rig_write("stranger.keys", "mallory:ff0102030405060708090a0b0c0d0e0f\n", 0600);
	refused(&other, &rig_key, "refuses our key 'bob'", "has another key under the name 'bob'");
	refused(&stranger, &rig_key, "refuses our key 'mallory'", "a key 'mallory', and");
	/* A key on one side, certificates on the other: neither goes on with less. */
	refused(&rig_key, &rig_certificates_daemon, "our key", "key 'bob', and this side has none");
	refused(&rig_certificates, &rig_key, "refuses", "offers no key of");
}

static void test_both(void **state)
{
	(void)state;
	struct rig_options both = rig_certificates_daemon;
	struct rig_pair pair;
	both.key_file = "all.keys";
	/* Either is good. */
	rig_pair_make(&pair, &rig_key, &both);
	rig_pair_break(&pair);
	rig_pair_make(&pair, &rig_certificates, &both);
	rig_pair_break(&pair);
	struct rig_options foreign = rig_certificates, stranger = { .key_file = "stranger.keys" };
	foreign.certificate = "client-foreign.pem";
	foreign.certificate_key = "client-foreign.key";
	refused(&foreign, &both, "refuses our certificate", "not of an authority");
	rig_write("stranger.keys", "mallory:ff0102030405060708090a0b0c0d0e0f\n", 0600);
	refused(&stranger, &both, "instead of taking our key 'mallory'", "a key 'mallory', and");
}

/* ---- certificates ---- */

static struct rig_options daemon_as(const char *certificate, const char *key)
{
	return (struct rig_options){ .certificate = certificate, .certificate_key = key, .ca = "ca.pem" };
}

static void test_daemon_certificates(void **state)
{
	(void)state;
	struct rig_options expired = daemon_as("daemon-expired.pem", "daemon-expired.key");
	struct rig_options early = daemon_as("daemon-early.pem", "daemon-early.key");
	struct rig_options self = daemon_as("daemon-self.pem", "daemon-self.key");
	struct rig_options foreign = daemon_as("daemon-foreign.pem", "daemon-foreign.key");
	struct rig_options named = daemon_as("daemon-named.pem", "daemon-named.key");
	refused(&rig_certificates, &expired, "certificate has expired",
	        "refuses our certificate (certificate expired)");
	refused(&rig_certificates, &early, "not yet valid", "refuses our certificate");
	refused(&rig_certificates, &self, "not of an authority that we know", "refuses our certificate (unknown CA)");
	refused(&rig_certificates, &foreign, "not of an authority that we know",
	        "refuses our certificate (unknown CA)");
	/* Its common name is the address, but its alternative names say otherwise, and an address is no name of a host. */
	refused(&rig_certificates, &named, "is not for '127.0.0.1' but for 'elsewhere.test'",
	        "refuses our certificate");
}

static void test_client_certificates(void **state)
{
	(void)state;
	struct rig_options expired = daemon_as("client-expired.pem", "client-expired.key");
	struct rig_options foreign = daemon_as("client-foreign.pem", "client-foreign.key");
	struct rig_options self = daemon_as("client-self.pem", "client-self.key");
	struct rig_options nameless = daemon_as("client-nameless.pem", "client-nameless.key");
	struct rig_options common = daemon_as("client-common.pem", "client-common.key");
	const struct rig_options *daemon = &rig_certificates_daemon;
	refused(&expired, daemon, "refuses our certificate (certificate expired)", "certificate has expired");
	refused(&foreign, daemon, "refuses our certificate (unknown CA)", "not of an authority that we know");
	refused(&self, daemon, "refuses our certificate", "not of an authority that we know");
	struct rig_pair pair;
	assert_int_equal(rig_pair_begin(&pair, &nameless, daemon, "127.0.0.1", NULL), 0);
	assert_true(rig_handshakes(&pair) < 0);
	assert_contains(pair.server_error.text, "there is no name in it");
	rig_pair_break(&pair);

	struct xfer_endpoint at = { .struct_size = sizeof(at) };
	rig_pair_make(&pair, &common, daemon);
	assert_int_equal(pair.ops->endpoint(pair.server, &at), 0);
	assert_string_equal(at.identity, "Common Client");
	rig_pair_break(&pair);
}

static void test_host(void **state)
{
	(void)state;
	struct rig_options named = daemon_as("daemon-named.pem", "daemon-named.key");
	struct rig_pair pair;
	assert_int_equal(rig_pair_begin(&pair, &rig_certificates, &named, "elsewhere.test", NULL), 0);
	assert_int_equal(rig_handshakes(&pair), 0);
	rig_pair_break(&pair);
	assert_int_equal(rig_pair_begin(&pair, &rig_certificates, &named, "nowhere.test", NULL), 0);
	assert_int_equal(rig_handshakes(&pair), -EACCES);
	assert_contains(pair.client_error.text, "not for 'nowhere.test' but for 'elsewhere.test'");
	rig_pair_break(&pair);
	assert_int_equal(rig_pair_begin(&pair, &rig_certificates, &rig_certificates_daemon, "::1", NULL), 0);
	assert_int_equal(rig_handshakes(&pair), -EACCES);
	rig_pair_break(&pair);
	assert_int_equal(rig_pair_begin(&pair, &rig_certificates, &named, "", NULL), -EINVAL);
	rig_pair_break(&pair);
}

/* ---- peers that are not ours ---- */

/* The daemon's side of a TCP connection, and the descriptor of the other one. */
static int raw_client(struct rig_pair *pair, const struct rig_options *server)
{
	struct sockaddr_storage address;
	*pair = (struct rig_pair){ 0 };
	pair->server_plugin = rig_plugin(&pair->registries[0], server);
	pair->ops = &pair->server_plugin->transport;
	assert_int_equal(pair_listen(pair->server_plugin, "127.0.0.1", 0, &pair->listener), 0);
	socklen_t len = pair_address(&address, "127.0.0.1", pair_port(pair->server_plugin, pair->listener));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	pair->server = rig_accept(pair, pair->listener);
	return fd;
}

static int handshake_to_end(struct rig_pair *pair, struct plugin *plugin, struct xfer_conn *conn, struct error *err)
{
	int rc;
	plugin_error_clear();
	while ((rc = pair->ops->handshake(conn, 0)) == -EAGAIN)
		rig_wait(pair, conn, rig_events(pair, conn) == XFER_POLL_READ ? POLLIN : POLLOUT, -1);
	if (rc < 0)
		plugin_error(plugin, rc, FAULT_CONNECT, err);
	return rc;
}

static void test_plain_client(void **state)
{
	(void)state;
	struct rig_pair pair;
	uint8_t got[16];
	int fd = raw_client(&pair, &rig_key);
	assert_int_equal(send(fd, "\1\0abcdefghijklmnopqrst", 22, 0), 22);
	assert_int_equal(handshake_to_end(&pair, pair.server_plugin, pair.server, &pair.server_error), -EPROTO);
	assert_contains(pair.server_error.text, "does not speak TLS (it began with '..abcdef')");
	pair.ops->close(pair.server);
	pair.server = NULL;
	/* An alert, by which it can tell, and then a proper end. */
	assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), 7);
	assert_int_equal(got[0], 21);
	assert_int_equal(recv(fd, got, sizeof(got), 0), 0);
	close(fd);
	rig_pair_break(&pair);
}

static void test_plain_daemon(void **state)
{
	(void)state;
	struct rig_pair pair = { 0 };
	struct registry *registry;
	struct plugin *tcp = pair_transport(&registry, "tcp", NULL);
	struct xfer_conn *plain;
	pair.client_plugin = rig_plugin(&pair.registries[0], &rig_key);
	pair.ops = &pair.client_plugin->transport;
	assert_int_equal(pair_listen(tcp, "127.0.0.1", 0, &pair.listener), 0);
	assert_int_equal(pair_connect(pair.client_plugin, "127.0.0.1", pair_port(tcp, pair.listener), &pair.client), 0);
	plain = pair_accept(tcp, pair.listener);
	struct iovec iov = { (char[]){ "\3\0nonsense" }, 10 };
	assert_int_equal(tcp->transport.sendv(plain, &iov, 1, 0), 10);
	assert_int_equal(handshake_to_end(&pair, pair.client_plugin, pair.client, &pair.client_error), -EPROTO);
	assert_contains(pair.client_error.text, "does not speak TLS at this port (it began with '..nonsen')");
	tcp->transport.close(plain);
	tcp->transport.listener_close(pair.listener);
	pair.listener = NULL;
	rig_pair_break(&pair);
	registry_destroy(registry);
}

/* The first bytes of a record, and then the end; and nothing but the end. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 8; len += 4) {
		struct rig_pair pair;
		int fd = raw_client(&pair, &rig_key);
		assert_int_equal(send(fd, "\x16\3\1\1\0\1\0\0", len, 0), len);
		close(fd);
		assert_int_equal(handshake_to_end(&pair, pair.server_plugin, pair.server, &pair.server_error),
		                 -ECONNRESET);
		assert_contains(pair.server_error.text, "in the middle of the TLS handshake");
		rig_pair_break(&pair);
	}
}

/* A client of OpenSSL that does as it likes. */
struct hostile {
	int version;      /* the highest that it offers, 0 = 1.3 */
	bool offers;      /* a key, under the name ... */
	const char *name; /* ... which is in bob's file, or not */
	const uint8_t *key;
	size_t key_len;
};

static int on_use_session(SSL *ssl, const EVP_MD *hash, const unsigned char **id, size_t *len, SSL_SESSION **out)
{
	static const unsigned char suite[] = { 0x13, 0x01 };
	const struct hostile *hostile = SSL_get_app_data(ssl);
	(void)hash;
	*out = NULL;
	if (!hostile->offers)
		return 1;
	*out = SSL_SESSION_new();
	SSL_SESSION_set1_master_key(*out, hostile->key, hostile->key_len);
	SSL_SESSION_set_cipher(*out, SSL_CIPHER_find(ssl, suite));
	SSL_SESSION_set_protocol_version(*out, TLS1_3_VERSION);
	*id = (const unsigned char *)hostile->name;
	*len = strlen(hostile->name);
	return 1;
}

static int meet_hostile(const struct hostile *hostile, const struct rig_options *server, struct error *err)
{
	struct rig_pair pair;
	int fd = raw_client(&pair, server), rc = -EAGAIN;
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_psk_use_session_callback(context, on_use_session);
	if (hostile->version != 0)
		SSL_CTX_set_max_proto_version(context, hostile->version);
	SSL *ssl = SSL_new(context);
	union {
		const struct hostile *in;
		void *out;
	} data = { .in = hostile };
	SSL_set_app_data(ssl, data.out);
	SSL_set_fd(ssl, fd);
	int flags = O_NONBLOCK;
	assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
	plugin_error_clear();
	for (int i = 0; i < 1000 && rc == -EAGAIN; i++) {
		(void)SSL_connect(ssl);
		if (rig_wait(&pair, pair.server, POLLIN, 20) == 0)
			continue;
		rc = pair.ops->handshake(pair.server, 0);
	}
	if (rc < 0)
		plugin_error(pair.server_plugin, rc, FAULT_CONNECT, err);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	rig_pair_break(&pair);
	return rc;
}

static void test_hostile(void **state)
{
	(void)state;
	static const uint8_t right[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		                           16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
	struct error err = { 0 };
	struct hostile none = { 0 };
	struct hostile good = { .offers = true, .name = "bob", .key = right, .key_len = 32 };
	struct hostile begins = { .offers = true, .name = "bo", .key = right, .key_len = 32 };
	struct hostile shorter = { .offers = true, .name = "bob", .key = right, .key_len = 31 };
	struct hostile old = { .version = TLS1_2_VERSION, .offers = true, .name = "bob", .key = right, .key_len = 32 };
	/* What is right is let in. */
	assert_int_equal(meet_hostile(&good, &rig_key, &err), 0);
	assert_int_equal(meet_hostile(&none, &rig_key, &err), -EACCES);
	assert_contains(err.text, "offers no key");
	assert_int_equal(meet_hostile(&begins, &rig_key, &err), -EACCES);
	assert_int_equal(meet_hostile(&shorter, &rig_key, &err), -EACCES);
	assert_int_equal(meet_hostile(&old, &rig_key, &err), -EPROTO);
	assert_contains(err.text, "does not speak TLS 1.3");
	/* Where certificates are asked for, having none is no way in. */
	assert_int_equal(meet_hostile(&none, &rig_certificates_daemon, &err), -EACCES);
}

/* A client of OpenSSL with bob's key, and the handshake done; the caller closes *fd. */
static SSL *meet_good(struct rig_pair *pair, const struct rig_options *server, int receive_buffer, int *fd)
{
	static const uint8_t right[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		                           16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
	static struct hostile good = { .offers = true, .name = "bob", .key = right, .key_len = 32 };
	int rc = -EAGAIN;
	*fd = raw_client(pair, server);
	if (receive_buffer > 0)
		setsockopt(*fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	SSL_CTX_set_psk_use_session_callback(context, on_use_session);
	SSL *ssl = SSL_new(context);
	SSL_CTX_free(context); /* the connection has it, too */
	SSL_set_app_data(ssl, &good);
	SSL_set_fd(ssl, *fd);
	assert_int_equal(fcntl(*fd, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 1000 && (rc == -EAGAIN || !SSL_is_init_finished(ssl)); i++) {
		(void)SSL_connect(ssl);
		if (rc == -EAGAIN && rig_wait(pair, pair->server, POLLIN, 20) > 0)
			rc = pair->ops->handshake(pair->server, 0);
	}
	assert_int_equal(rc, 0);
	return ssl;
}

/* A peer that asks for answers and reads none of them: no more is kept for it than so much, and it is not read on. */
static void test_flood(void **state)
{
	(void)state;
	enum { ANSWERS = 400 * 1000 };
	struct rig_pair pair;
	int fd;
	SSL *ssl = meet_good(&pair, &rig_narrow, 4096, &fd);
	int asked = 0;
	bool full = false;
	for (; asked < ANSWERS && !full; asked++) {
		uint8_t byte = 0;
		assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		full = SSL_write(ssl, &byte, 1) != 1; /* it takes no more of us */
		while (pair.ops->recv(pair.server, &byte, 1, 0) == 1)
			;
	}
	assert_true(full);
	assert_int_equal(rig_events(&pair, pair.server), XFER_POLL_WRITE);
	SSL_free(ssl);
	close(fd);
	rig_pair_break(&pair);
}

/* What is in the client's BIO goes out while the server reads into `payload`: bytes of it, or -errno. */
static ssize_t pour(struct rig_pair *pair, int fd, BIO *made, uint8_t *payload, size_t size)
{
	char *bytes;
	size_t len = (size_t)BIO_get_mem_data(made, &bytes), at = 0, total = 0;
	for (;;) {
		ssize_t sent = at < len ? send(fd, bytes + at, len - at, MSG_NOSIGNAL) : 0;
		at += sent > 0 ? (size_t)sent : 0;
		/* More than one call may take without payload is there at once, as long as there is as much. */
		ssize_t got = pair->ops->recv(pair->server, payload + total, size - total, 0);
		if (got < 0 && got != -EAGAIN)
			return got;
		total += got > 0 ? (size_t)got : 0;
		if (got == -EAGAIN && at == len && rig_wait(pair, pair->server, POLLIN, 100) == 0)
			return (ssize_t)total;
	}
}

/* A peer that changes its key all the time and says nothing else: OpenSSL would stay with it for good. */
static void test_bare(void **state)
{
	(void)state;
	enum { CHANGES = 40 * 1000, SMALL = 20 * 1000 };
	static uint8_t payload[2 * SMALL];
	struct rig_pair pair;
	int fd;
	SSL *ssl = meet_good(&pair, &rig_key, 0, &fd);
	BIO *made = BIO_new(BIO_s_mem());
	SSL_set0_wbio(ssl, made);
	/* As many bytes around payload are none of it, however small the pieces are. */
	for (int i = 0; i < SMALL; i++)
		assert_int_equal(SSL_write(ssl, "x", 1), 1);
	assert_true(BIO_pending(made) > 256 * 1024);
	assert_int_equal(pour(&pair, fd, made, payload, sizeof(payload)), SMALL);
	assert_int_equal(BIO_reset(made), 1);
	for (int i = 0; i < CHANGES; i++) {
		assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(ssl), 1);
	}
	plugin_error_clear();
	assert_int_equal(pour(&pair, fd, made, payload, sizeof(payload)), -EPROTO);
	plugin_error(pair.server_plugin, -EPROTO, FAULT_CONNECT, &pair.server_error);
	assert_contains(pair.server_error.text, "the client sends TLS without payload and without end");
	/* That was the last word. */
	assert_int_equal(pair.ops->recv(pair.server, payload, sizeof(payload), 0), -EPROTO);
	SSL_free(ssl);
	close(fd);
	rig_pair_break(&pair);
}

/* No library offers a key without a name, so the hello is written by hand. */
static void test_empty_name(void **state)
{
	(void)state;
	static const uint8_t hello[] = {
		22, 3,  1,    0,  165, 1,  0,  0,   161, 3,  3, /* record, ClientHello */
		1,  2,  3,    4,  5,   6,  7,  8,   9,   10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, /* random */
		21, 22, 23,   24, 25,  26, 27, 28,  29,  30, 31, 32, 0,                              /* no session */
		0,  2,  0x13, 1,  1,   0,  0,  118,          /* suite, compression; extensions */
		0,  43, 0,    3,  2,   3,  4,                /* TLS 1.3 */
		0,  45, 0,    2,  1,   1,                    /* psk_dhe_ke */
		0,  10, 0,    4,  0,   2,  0,  29,           /* X25519 */
		0,  13, 0,    4,  0,   2,  4,  3,            /* ecdsa_secp256r1_sha256 */
		0,  51, 0,    38, 0,   36, 0,  29,  0,   32, /* its share: the base point */
		9,  0,  0,    0,  0,   0,  0,  0,   0,   0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
		0,  0,  0,    0,  0,   0,  0,  0,   0,   0,  0,  0, /**/
		0,  41, 0,    43, 0,   6,  0,  0,   0,   0,  0,  0, /* a key with the name "" */
		0,  33, 32,   7,  7,   7,  7,  7,   7,   7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
		7,  7,  7,    7,  7,   7,  7,  7,   7,   7,  7,  7,  7,  7,  7, /**/
	};
	_Static_assert(sizeof(hello) == 5 + 4 + 161, "the lengths are right");
	struct rig_pair pair;
	int fd = raw_client(&pair, &rig_key);
	assert_int_equal(send(fd, hello, sizeof(hello), 0), sizeof(hello));
	assert_int_equal(handshake_to_end(&pair, pair.server_plugin, pair.server, &pair.server_error), -EPROTO);
	assert_contains(pair.server_error.text, "bad extension"); /* OpenSSL does not even ask for it */
	close(fd);
	rig_pair_break(&pair);
}

/* ---- files ---- */

static void file_refused(const struct rig_options *options, const char *words)
{
	struct registry *registry;
	struct plugin *plugin = rig_plugin(&registry, options);
	struct xfer_listener *listener;
	struct xfer_conn *conn;
	struct error err = { 0 };
	int rc = pair_listen(plugin, "127.0.0.1", 0, &listener);
	assert_int_equal(rc, -EINVAL);
	plugin_error(plugin, rc, FAULT_USAGE, &err);
	if (strstr(err.text, words) == NULL)
		fail_msg("wanted: %s; got: %s", words, err.text);
	assert_int_equal(pair_connect(plugin, "127.0.0.1", 9, &conn), -EINVAL);
	registry_destroy(registry);
}

static void key_refused(const char *text, const char *words)
{
	static const struct rig_options options = { .key_file = "bad.keys" };
	rig_write("bad.keys", text, 0600);
	file_refused(&options, words);
}

static void test_key_files(void **state)
{
	(void)state;
	struct rig_options options = { .key_file = "bad.keys" };
	char words[300];
	file_refused(&(struct rig_options){ 0 }, "xfer keygen");
	rig_write("bad.keys", "bob:000102030405060708090a0b0c0d0e0f\n", 0644);
	snprintf(words, sizeof(words), "key-file %s: others may read or write it (mode 0644); chmod 600 it",
	         rig_path("bad.keys"));
	file_refused(&options, words);
	for (unsigned bit = 040; bit > 0; bit >>= 1) {
		assert_int_equal(chmod(rig_path("bad.keys"), 0600 | bit), 0);
		file_refused(&options, "others may read or write it");
	}
	if (geteuid() == 0) {
		assert_int_equal(chmod(rig_path("bad.keys"), 0600), 0);
		assert_int_equal(chown(rig_path("bad.keys"), 12345, 0), 0);
		file_refused(&options, "it belongs to user 12345");
	}
	assert_int_equal(unlink(rig_path("bad.keys")), 0);
	file_refused(&options, "No such file");
	assert_int_equal(mkdir(rig_path("bad.keys"), 0700), 0);
	file_refused(&options, "not a regular file");
	assert_int_equal(rmdir(rig_path("bad.keys")), 0);

	key_refused("", "there is no key in it");
	key_refused("# nothing\n\n", "there is no key in it");
	key_refused("bob:000102030405060708090a0b0c0d0e\n", "line 1: the key is too short: 128 bits");
	key_refused("#\nbob:AAECAwQFBgcICQoLDA0O\n", "line 2: the key is too short");
	key_refused("bob:\n", "too short");
	key_refused("bob\n", "it is no NAME:KEY");
	key_refused(":000102030405060708090a0b0c0d0e0f\n", "the name in front of the colon");
	key_refused("b b:000102030405060708090a0b0c0d0e0f\n", "the name in front of the colon");
	key_refused("b,b:000102030405060708090a0b0c0d0e0f\n", "the name in front of the colon");
	key_refused("bob:000102030405060708090a0b0c0d0e0f0\n", "neither hexadecimal nor base64");
	key_refused("bob:AAECAwQFBgcICQoLDA0ODx==*\n", "neither hexadecimal nor base64");
	key_refused("bob:000102030405060708090a0b0c0d0e0f\nbob:ff0102030405060708090a0b0c0d0e0f\n",
	            "line 2: its name stands further up");
}

static void test_certificate_files(void **state)
{
	(void)state;
	struct rig_options options = rig_certificates;
	options.certificate = "missing.pem";
	file_refused(&options, "missing.pem");
	options.certificate = "daemon.pem";
	file_refused(&options, "belongs to another certificate");
	options = rig_certificates;
	options.ca = "client.key";
	file_refused(&options, "ca ");
	options = rig_certificates;
	options.certificate_key = "readable.key";
	rig_write("readable.key", "", 0604);
	file_refused(&options, "mode 0604");
	rig_write("readable.key", "", 0640);
	file_refused(&options, "readable.key: ");
	options.certificate_key = NULL;
	file_refused(&options, "unless certificate-key names");
}

static void test_options(void **state)
{
	(void)state;
	static const struct {
		const char *set[4];
		const char *words;
	} wrong[] = {
		{ { "keys", NULL, NULL, NULL }, "key-file = keys: write an absolute path" },
		{ { NULL, "/c", NULL, NULL }, "certificate and ca go together" },
		{ { NULL, NULL, NULL, "/c" }, "certificate and ca go together" },
		{ { NULL, NULL, "/c", NULL }, "certificate-key is set, and certificate is not" },
		{ { NULL, NULL, NULL, NULL }, "engine = fast: it is auto or openssl" },
	};
	const char *build = getenv("top_builddir");
	char dir[600];
	snprintf(dir, sizeof(dir), "%s/plugins/.libs", build != NULL ? build : ".");
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct registry *registry;
		struct plugin *plugin;
		struct error err = { 0 };
		union xfer_value values[32] = { { 0 } };
		assert_int_equal(registry_create(&registry, dir, NULL, &err), 0);
		assert_int_equal(registry_load(registry, XFER_KIND_TRANSPORT, "tls", &plugin, &err), 0);
		for (size_t k = 0; k < plugin->about.option_count; k++)
			if (plugin->options[k].type == XFER_OPTION_STRING)
				values[k].text = k < 4 && wrong[i].set[k] != NULL ? wrong[i].set[k]
				                                                  : plugin->options[k].default_text;
		for (size_t k = 0; k < plugin->about.option_count; k++)
			if (i == COUNT(wrong) - 1 && strcmp(plugin->options[k].name, "engine") == 0)
				values[k].text = "fast";
		assert_int_equal(plugin_start(plugin, values, &err), -EINVAL);
		assert_contains(err.text, wrong[i].words);
		registry_destroy(registry);
	}
}

static void test_user(void **state)
{
	(void)state;
	struct rig_pair pair;
	assert_int_equal(rig_pair_begin(&pair, &rig_keys, &rig_key, "127.0.0.1", NULL), -EINVAL);
	assert_contains(pair.client_error.text, "holds 3 keys; say which");
	rig_pair_break(&pair);
	assert_int_equal(rig_pair_begin(&pair, &rig_keys, &rig_key, "127.0.0.1", "dave"), -EINVAL);
	assert_contains(pair.client_error.text, "there is no key 'dave' in");
	rig_pair_break(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_daemon_certificates),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_plain_client),
		cmocka_unit_test(test_plain_daemon),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_empty_name),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_certificate_files),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_user),
	};
	return cmocka_run_group_tests_name("tls-refuse", tests, rig_setup, rig_teardown);
}
