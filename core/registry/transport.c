/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of a transport plug-in, each with a note of it. */
#include "registry/transport.h"
#include "registry/note.h"

int transport_listen(const struct plugin *plugin, const struct xfer_listen *how, struct xfer_listener **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LISTEN);
	int result = plugin->transport.listen(plugin->instance, how, out);
	note_leave(slot);
	return result;
}

int transport_listener_adopt(const struct plugin *plugin, const struct xfer_listen *how, const int *fds, size_t count,
                             struct xfer_listener **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LISTENER_ADOPT);
	int result = plugin->transport.listener_adopt(plugin->instance, how, fds, count, out);
	note_leave(slot);
	return result;
}

int transport_listener_fds(const struct plugin *plugin, struct xfer_listener *listener, int *fds, size_t max)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LISTENER_FDS);
	int result = plugin->transport.listener_fds(listener, fds, max);
	note_leave(slot);
	return result;
}

int transport_listener_address(const struct plugin *plugin, struct xfer_listener *listener, char *text, size_t size)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LISTENER_ADDRESS);
	int result = plugin->transport.listener_address(listener, text, size);
	note_leave(slot);
	return result;
}

void transport_listener_close(const struct plugin *plugin, struct xfer_listener *listener)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_LISTENER_CLOSE);
	plugin->transport.listener_close(listener);
	note_leave(slot);
}

int transport_accept(const struct plugin *plugin, struct xfer_listener *listener, struct xfer_conn **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_ACCEPT);
	int result = plugin->transport.accept(listener, out, 0);
	note_leave(slot);
	return result;
}

int transport_connect(const struct plugin *plugin, const struct xfer_connect *how, struct xfer_conn **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_CONNECT);
	int result = plugin->transport.connect(plugin->instance, how, out);
	note_leave(slot);
	return result;
}

int transport_adopt(const struct plugin *plugin, const struct xfer_adopt *how, struct xfer_conn **out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_ADOPT);
	int result = plugin->transport.adopt(plugin->instance, how, out);
	note_leave(slot);
	return result;
}

int transport_handshake(const struct plugin *plugin, struct xfer_conn *conn)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_HANDSHAKE);
	int result = plugin->transport.handshake(conn, 0);
	note_leave(slot);
	return result;
}

ssize_t transport_sendv(const struct plugin *plugin, struct xfer_conn *conn, const struct iovec *iov, int count)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_SENDV);
	ssize_t result = plugin->transport.sendv(conn, iov, count, 0);
	note_leave(slot);
	return result;
}

ssize_t transport_recv(const struct plugin *plugin, struct xfer_conn *conn, void *bytes, size_t len)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_RECV);
	ssize_t result = plugin->transport.recv(conn, bytes, len, 0);
	note_leave(slot);
	return result;
}

ssize_t transport_sendpipe(const struct plugin *plugin, struct xfer_conn *conn, int fd, size_t len)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_SENDPIPE);
	ssize_t result = plugin->transport.sendpipe(conn, fd, len, 0);
	note_leave(slot);
	return result;
}

ssize_t transport_recvpipe(const struct plugin *plugin, struct xfer_conn *conn, int fd, size_t len)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_RECVPIPE);
	ssize_t result = plugin->transport.recvpipe(conn, fd, len, 0);
	note_leave(slot);
	return result;
}

int transport_poll(const struct plugin *plugin, struct xfer_conn *conn, struct xfer_poll *out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_POLL);
	int result = plugin->transport.poll(conn, out);
	note_leave(slot);
	return result;
}

int transport_endpoint(const struct plugin *plugin, struct xfer_conn *conn, struct xfer_endpoint *out)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_ENDPOINT);
	int result = plugin->transport.endpoint(conn, out);
	note_leave(slot);
	return result;
}

int transport_shutdown(const struct plugin *plugin, struct xfer_conn *conn)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_SHUTDOWN);
	int result = plugin->transport.shutdown(conn, 0);
	note_leave(slot);
	return result;
}

void transport_close(const struct plugin *plugin, struct xfer_conn *conn)
{
	struct note_slot *slot = note_enter(plugin->notes, plugin->row, NOTE_CLOSE);
	plugin->transport.close(conn);
	note_leave(slot);
}
