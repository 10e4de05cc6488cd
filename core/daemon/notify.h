/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells the service manager how the daemon is: the datagram protocol of sd_notify(3), without its library. */
#ifndef XFER_DAEMON_NOTIFY_H
#define XFER_DAEMON_NOTIFY_H

/* Lines as "READY=1". Nothing happens without NOTIFY_SOCKET in the environment; what cannot be delivered is lost. */
void notify_send(const char *state);
/* "RELOADING=1", with the time that the protocol wants beside it. */
void notify_reloading(void);

#endif
