/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of transport-tcp, and those of them that other transports over TCP have too, under the same names. */
#ifndef XFER_TRANSPORT_TCP_OPTIONS_H
#define XFER_TRANSPORT_TCP_OPTIONS_H

#include <limits.h>

enum { TCP_CONGESTION_MAX = 15 }; /* bytes; the kernel's TCP_CA_NAME_MAX without the NUL */

/* The order of the options. */
enum {
	TCP_OPTION_BACKLOG,
	TCP_OPTION_SEND_BUFFER,
	TCP_OPTION_RECEIVE_BUFFER,
	TCP_OPTION_SEND_AHEAD,
	TCP_OPTION_CONGESTION,
	TCP_OPTION_KEEPALIVE,
	TCP_OPTIONS_SHARED, /* so far: see TCP_OPTION_ROWS */
	TCP_OPTION_ALLOW_PLAINTEXT = TCP_OPTIONS_SHARED,
	TCP_OPTIONS
};

/* The rows that other transports over TCP have too, in this order. */
#define TCP_OPTION_ROWS                                                                                                               \
	{                                                                                                                             \
		.name = "backlog",                                                                                                    \
		.type = XFER_OPTION_INT,                                                                                              \
		.default_text = "1024",                                                                                               \
		.min = 1,                                                                                                             \
		.max = 65535,                                                                                                         \
		.unit = "connections",                                                                                                \
		.help = "connections that may wait to be accepted; the kernel caps it by net.core.somaxconn",                         \
	},                                                                                                                            \
		{                                                                                                                     \
			.name = "send-buffer",                                                                                        \
			.type = XFER_OPTION_SIZE,                                                                                     \
			.default_text = "0",                                                                                          \
			.min = 0,                                                                                                     \
			.max = INT_MAX / 2,                                                                                           \
			.unit = "bytes",                                                                                              \
			.help = "SO_SNDBUF of each connection; 0 leaves it to the kernel's autotuning",                               \
		},                                                                                                                    \
		{                                                                                                                     \
			.name = "receive-buffer",                                                                                     \
			.type = XFER_OPTION_SIZE,                                                                                     \
			.default_text = "0",                                                                                          \
			.min = 0,                                                                                                     \
			.max = INT_MAX / 2,                                                                                           \
			.unit = "bytes",                                                                                              \
			.help = "SO_RCVBUF of each connection; 0 leaves it to the kernel's autotuning",                               \
		},                                                                                                                    \
		{                                                                                                                     \
			.name = "send-ahead",                                                                                         \
			.type = XFER_OPTION_SIZE,                                                                                     \
			.default_text = "256K",                                                                                       \
			.min = 0,                                                                                                     \
			.max = INT_MAX / 2,                                                                                           \
			.unit = "bytes",                                                                                              \
			.help = "what the kernel holds of a connection before it can send it; 0: as much as fits its buffer",         \
		},                                                                                                                    \
		{                                                                                                                     \
			.name = "congestion",                                                                                         \
			.type = XFER_OPTION_STRING,                                                                                   \
			.default_text = "",                                                                                           \
			.max = TCP_CONGESTION_MAX,                                                                                    \
			.help = "congestion control by its kernel name (cubic, bbr); empty takes the system's, on the loopback reno", \
		},                                                                                                                    \
	{                                                                                                                             \
		.name = "keepalive", .type = XFER_OPTION_BOOL, .default_text = "no",                                                  \
		.help = "TCP keep-alive probes, for middleboxes that forget silent connections",                                      \
	}

#endif
