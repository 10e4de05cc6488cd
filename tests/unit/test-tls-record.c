/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport-tls: its records beside those of OpenSSL, which is the peer here: all suites, keys that change, padding; and
 * records that are damaged, repeated, or of a kind that has no place in the stream.
 */
#include "tls-rig.h"

#include "../../plugins/transport-tls/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 300 * 1000 };

static uint8_t data[SIZE];

/* seal.c is part of this test too, to make records that no library would; it complains here. */
int tls_conn_say(struct tls_conn *conn, int code, const char *format, ...)
{
	(void)conn;
	fail_msg("%s", format);
	return code;
}

/* The peer: a client of OpenSSL. */
struct peer {
	struct rig_pair pair;
	SSL *ssl;
	int fd;
	struct tls shadow_tls;
	struct tls_conn shadow; /* the client's secrets; its `out` makes what the daemon takes */
};

static void on_secret(const SSL *ssl, const char *line)
{
	struct peer *peer = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	/* tls_seal_secret() looks for the connection where OpenSSL keeps it. */
	assert_ptr_equal(SSL_get_app_data(ssl), &peer->shadow);
	tls_seal_secret(ssl, line);
}

static void peer_make_by(struct peer *peer, const char *suite, const char *engine)
{
	struct rig_options options = rig_certificates_daemon;
	struct sockaddr_storage address;
	options.engine = engine;
	*peer = (struct peer){ 0 };
	peer->shadow.tls = &peer->shadow_tls;
	struct rig_pair *pair = &peer->pair;
	pair->server_plugin = rig_plugin(&pair->registries[0], &options);
	pair->ops = &pair->server_plugin->transport;
	assert_int_equal(pair_listen(pair->server_plugin, "127.0.0.1", 0, &pair->listener), 0);
	socklen_t len = pair_address(&address, "127.0.0.1", pair_port(pair->server_plugin, pair->listener));
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(peer->fd, (struct sockaddr *)&address, len), 0);
	pair->server = rig_accept(pair, pair->listener);

	SSL_CTX *context = SSL_CTX_new(TLS_method());
	assert_non_null(context);
	assert_int_equal(SSL_CTX_set_ciphersuites(context, suite), 1);
	assert_int_equal(SSL_CTX_use_certificate_file(context, rig_path("client.pem"), SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(context, rig_path("client.key"), SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_app_data(context, peer);
	SSL_CTX_set_keylog_callback(context, on_secret);
	peer->ssl = SSL_new(context);
	SSL_CTX_free(context); /* the connection has it, too */
	SSL_set_app_data(peer->ssl, &peer->shadow);
	SSL_set_fd(peer->ssl, peer->fd);
	assert_int_equal(fcntl(peer->fd, F_SETFL, O_NONBLOCK), 0);
	int rc = -EAGAIN;
	for (int i = 0; i < 1000 && (rc == -EAGAIN || !SSL_is_init_finished(peer->ssl)); i++) {
		(void)SSL_connect(peer->ssl);
		if (rc == -EAGAIN && rig_wait(pair, pair->server, POLLIN, 20) > 0)
			rc = pair->ops->handshake(pair->server, 0);
	}
	assert_int_equal(rc, 0);
	assert_string_equal(SSL_get_cipher(peer->ssl), suite);
}

static void peer_make(struct peer *peer, const char *suite)
{
	peer_make_by(peer, suite, NULL);
}

static void peer_break(struct peer *peer)
{
	SSL_free(peer->ssl);
	tls_seal_end(&peer->shadow.in);
	tls_seal_end(&peer->shadow.out);
	close(peer->fd);
	rig_pair_break(&peer->pair);
}

/* ---- what is right ---- */

static void peer_sends(struct peer *peer, unsigned seed)
{
	size_t sent = 0, have = 0, len = 0;
	uint8_t *got = malloc(SIZE);
	assert_non_null(got);
	while (have < SIZE) {
		/* What OpenSSL could not send it wants again as it was. */
		if (len == 0 && sent < SIZE) {
			if (rand_r(&seed) % 4 == 0)
				assert_int_equal(SSL_key_update(peer->ssl, rand_r(&seed) % 2
				                                                   ? SSL_KEY_UPDATE_REQUESTED
				                                                   : SSL_KEY_UPDATE_NOT_REQUESTED),
				                 1);
			len = 1 + (size_t)rand_r(&seed) % 40000;
			len = len < SIZE - sent ? len : SIZE - sent;
		}
		if (len > 0 && SSL_write(peer->ssl, data + sent, (int)len) > 0) {
			sent += len;
			len = 0;
		}
		size_t want = 1 + (size_t)rand_r(&seed) % 50000;
		ssize_t n = peer->pair.ops->recv(peer->pair.server, got + have, want < SIZE - have ? want : SIZE - have,
		                                 0);
		assert_true(n > 0 || n == -EAGAIN);
		have += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(got, data, SIZE);
	free(got);
}

static void peer_receives(struct peer *peer, unsigned seed)
{
	size_t sent = 0, have = 0;
	uint8_t *got = malloc(SIZE);
	assert_non_null(got);
	while (have < SIZE) {
		size_t len = 1 + (size_t)rand_r(&seed) % 40000, first = len / 3;
		len = len < SIZE - sent ? len : SIZE - sent;
		first = first < len ? first : len;
		struct iovec iov[] = { { data + sent, first }, { NULL, 0 }, { data + sent + first, len - first } };
		ssize_t n = len > 0 ? peer->pair.ops->sendv(peer->pair.server, iov, 3, 0)
		                    : rig_flush(&peer->pair, peer->pair.server);
		assert_true(n >= 0 || n == -EAGAIN);
		sent += n > 0 && len > 0 ? (size_t)n : 0;
		int took = SSL_read(peer->ssl, got + have, (int)(SIZE - have));
		assert_true(took > 0 || SSL_get_error(peer->ssl, took) == SSL_ERROR_WANT_READ);
		have += took > 0 ? (size_t)took : 0;
	}
	assert_memory_equal(got, data, SIZE);
	free(got);
}

static void test_suites(void **state)
{
	(void)state;
	static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
		                              "TLS_CHACHA20_POLY1305_SHA256" };
	for (unsigned i = 0; i < 2 * COUNT(suites); i++) {
		struct peer peer;
		uint8_t byte;
		peer_make_by(&peer, suites[i / 2], i % 2 ? "openssl" : "auto");
		peer_sends(&peer, i);
		peer_receives(&peer, i);
		assert_int_equal(SSL_set_block_padding(peer.ssl, 500), 1);
		peer_sends(&peer, 10 + i);
		peer_receives(&peer, 10 + i);
		assert_int_equal(peer.pair.ops->shutdown(peer.pair.server, 0), 0);
		while (SSL_read(peer.ssl, &byte, 1) <= 0 && (SSL_get_shutdown(peer.ssl) & SSL_RECEIVED_SHUTDOWN) == 0)
			;
		assert_int_equal(SSL_shutdown(peer.ssl), 1);
		rig_wait(&peer.pair, peer.pair.server, POLLIN, -1);
		assert_int_equal(peer.pair.ops->recv(peer.pair.server, &byte, 1, 0), 0);
		peer_break(&peer);
	}
}

/* ---- what is not ---- */

/* Sends these bytes to the daemon. Nothing of them may come out, and unless it waits for more the peer hears an alert. */
static void refused(struct peer *peer, const uint8_t *bytes, size_t len, int alert, const char *words)
{
	uint8_t got[100];
	struct error err = { 0 };
	assert_int_equal(send(peer->fd, bytes, len, MSG_NOSIGNAL), len);
	rig_wait(&peer->pair, peer->pair.server, POLLIN, -1);
	plugin_error_clear();
	ssize_t rc = peer->pair.ops->recv(peer->pair.server, got, sizeof(got), 0);
	if (alert == 0 && rc == -EAGAIN)
		return;
	assert_int_equal(rc, -EPROTO);
	plugin_error(peer->pair.server_plugin, -EPROTO, FAULT_CONNECT, &err);
	if (strstr(err.text, words) == NULL)
		fail_msg("wanted: %s; got: %s", words, err.text);
	assert_int_equal(peer->pair.ops->recv(peer->pair.server, got, sizeof(got), 0), -EPROTO);
	if (alert == 0)
		return;
	struct pollfd wait = { .fd = peer->fd, .events = POLLIN };
	assert_int_equal(poll(&wait, 1, PAIR_PATIENCE), 1);
	ERR_clear_error();
	assert_true(SSL_read(peer->ssl, got, sizeof(got)) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + alert);
}

/* A record that the client makes of a few bytes. */
static size_t make(struct peer *peer, uint8_t type, const void *bytes, size_t len, uint8_t *out)
{
	const struct iovec iov = { (void *)(uintptr_t)bytes, len };
	struct tls_reading reading = { &iov, 1, 0 };
	if (peer->shadow.out.suite == NULL) {
		peer->shadow.ssl = peer->ssl;
		SSL_up_ref(peer->ssl); /* it is let go of when the keys are made */
		assert_int_equal(tls_seal_begin(&peer->shadow), 0);
	}
	ssize_t made = tls_seal_make(&peer->shadow.out, type, &reading, out);
	assert_true(made > 0);
	return (size_t)made;
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		uint8_t type;
		const char *bytes;
		size_t len;
		int alert;
		const char *words;
	} wrong[] = {
		{ 20, "\1", 1, SSL_AD_UNEXPECTED_MESSAGE, "of a kind that has no place here" },
		{ 24, "\1", 1, SSL_AD_UNEXPECTED_MESSAGE, "of a kind that has no place here" },
		{ 0, "\0\0", 2, SSL_AD_UNEXPECTED_MESSAGE, "has no type" },
		{ 21, "\1", 1, SSL_AD_DECODE_ERROR, "an alert is malformed" },
		{ 21, "\2\120", 2, 0, "the client ended TLS: internal error" },
		{ 22, "\30\0\0\1\2", 5, SSL_AD_UNEXPECTED_MESSAGE, "no place here" },   /* neither of the two */
		{ 22, "\30\0\0\1", 4, SSL_AD_UNEXPECTED_MESSAGE, "no place here" },     /* half of it */
		{ 22, "\30\0\0\2\0\0", 6, SSL_AD_UNEXPECTED_MESSAGE, "no place here" }, /* too long */
		{ 22, "\30\0\0\1\0\30\0\0\1\0", 10, SSL_AD_UNEXPECTED_MESSAGE, "no place here" }, /* two of them */
		{ 22, "\4\0\0\1\0", 5, SSL_AD_UNEXPECTED_MESSAGE, "no place here" }, /* a ticket of the client's */
		{ 22, "\1\0\0\0", 4, SSL_AD_UNEXPECTED_MESSAGE, "no place here" },   /* a hello */
	};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct peer peer;
		uint8_t record[TLS_RECORD_MAX];
		peer_make(&peer, "TLS_AES_128_GCM_SHA256");
		size_t len = make(&peer, wrong[i].type, wrong[i].bytes, wrong[i].len, record);
		refused(&peer, record, len, wrong[i].alert, wrong[i].words);
		peer_break(&peer);
	}
}

/* Each bit of a record counts, its header included. */
static void test_bits(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < (TLS_AROUND + 1) * 8; bit++) {
		struct peer peer;
		uint8_t record[TLS_RECORD_MAX];
		peer_make(&peer, "TLS_AES_128_GCM_SHA256");
		size_t len = make(&peer, 23, "x", 1, record);
		assert_int_equal(len, TLS_AROUND + 1);
		record[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* The minor version counts nowhere but in what is authenticated; a longer record may be waited for. */
		refused(&peer, record, len, 0, "TLS failed: ");
		peer_break(&peer);
	}
}

/* A record is good once, and in its place only. */
static void test_order(void **state)
{
	(void)state;
	struct peer peer;
	uint8_t first[TLS_RECORD_MAX], second[TLS_RECORD_MAX], got[10];
	peer_make(&peer, "TLS_AES_128_GCM_SHA256");
	size_t len = make(&peer, 23, "1", 1, first);
	assert_int_equal(send(peer.fd, first, len, 0), len);
	rig_wait(&peer.pair, peer.pair.server, POLLIN, -1);
	assert_int_equal(peer.pair.ops->recv(peer.pair.server, got, sizeof(got), 0), 1);
	refused(&peer, first, len, SSL_AD_BAD_RECORD_MAC, "changed on the way");
	peer_break(&peer);

	peer_make(&peer, "TLS_AES_128_GCM_SHA256");
	(void)make(&peer, 23, "1", 1, first);
	len = make(&peer, 23, "2", 1, second);
	refused(&peer, second, len, SSL_AD_BAD_RECORD_MAC, "changed on the way");
	peer_break(&peer);
}

/* As long as a record may be, and longer. */
static void test_long(void **state)
{
	(void)state;
	struct peer peer;
	uint8_t record[TLS_RECORD_MAX] = { 23, 3, 3, (TLS_RECORD + TLS_RECORD_EXTRA + 1) >> 8, 1 }, got[10];
	peer_make(&peer, "TLS_AES_128_GCM_SHA256");
	size_t len = make(&peer, 23, data, SIZE, record);
	assert_int_equal(len, TLS_AROUND + TLS_RECORD);
	assert_int_equal(send(peer.fd, record, len, 0), len);
	for (size_t i = 0; i < TLS_RECORD;) {
		ssize_t n = peer.pair.ops->recv(peer.pair.server, got, sizeof(got), 0);
		if (n == -EAGAIN)
			continue;
		assert_true(n > 0);
		assert_memory_equal(got, data + i, (size_t)n);
		i += (size_t)n;
	}
	record[3] = (TLS_RECORD + TLS_RECORD_EXTRA + 1) >> 8;
	record[4] = (TLS_RECORD + TLS_RECORD_EXTRA + 1) & 0xff;
	refused(&peer, record, TLS_HEADER, SSL_AD_RECORD_OVERFLOW, "too long");
	peer_break(&peer);
}

/* Both engines, with pieces of any length and in any place: the same bytes, and the same tag. */
static void test_engines(void **state)
{
	(void)state;
	struct aead_engine *engine = aead_engine_create();
	if (engine == NULL) {
		print_message("# skipped: OpenSSL is what AES is made by, here\n");
		skip();
	}
	const EVP_CIPHER *suites[] = { EVP_aes_128_gcm(), EVP_aes_256_gcm() };
	static uint8_t out[2][TLS_RECORD + AEAD_TAG], back[TLS_RECORD];
	unsigned seed = 1;
	for (unsigned i = 0; i < 400; i++) {
		struct aead seal[2] = { { 0 }, { 0 } }, open = { 0 };
		size_t len = (size_t)rand_r(&seed) % (i % 2 ? TLS_RECORD : 600), begin = (size_t)rand_r(&seed) % 64;
		for (unsigned k = 0; k < 2; k++) {
			unsigned cuts = k == 0 ? 7 * i + 1 : i;
			assert_int_equal(aead_key(&seal[k], k == 0 ? engine : NULL, suites[i / 2 % 2], data + i, true),
			                 0);
			assert_true(aead_begin(&seal[k], data + 3 * i, data + 5 * i));
			for (size_t at = 0, take; at < len; at += take) {
				take = 1 + (size_t)rand_r(&cuts) % (i % 3 ? 40 : 9000);
				take = take < len - at ? take : len - at;
				assert_true(aead_update(&seal[k], data + begin + at, take, out[k] + at));
			}
			assert_true(aead_seal(&seal[k], out[k] + len));
			aead_end(&seal[k]);
		}
		assert_memory_equal(out[0], out[1], len + AEAD_TAG);
		assert_int_equal(aead_key(&open, engine, suites[i / 2 % 2], data + i, false), 0);
		for (unsigned wrong = 0; wrong < 2; wrong++) {
			assert_true(aead_begin(&open, data + 3 * i, data + 5 * i));
			assert_true(aead_update(&open, out[0], len, back));
			assert_memory_equal(back, data + begin, len);
			out[0][len + i % AEAD_TAG] ^= (uint8_t)(wrong << i % 8);
			assert_int_equal(aead_open(&open, out[0] + len), !wrong);
		}
		aead_end(&open);
	}
	aead_engine_destroy(engine);
}

static int setup(void **state)
{
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return rig_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suites), cmocka_unit_test(test_kinds), cmocka_unit_test(test_bits),
		cmocka_unit_test(test_order),  cmocka_unit_test(test_long),  cmocka_unit_test(test_engines),
	};
	return cmocka_run_group_tests_name("tls-record", tests, setup, rig_teardown);
}
