/* SPDX-License-Identifier: BSD-2-Clause */
/* The workers that died lately, and of what: so that those whom they served can be told by the next one. */
#ifndef XFER_DAEMON_DEATHS_H
#define XFER_DAEMON_DEATHS_H

#include "daemon/control.h"

enum { DEATHS_KEPT = 16, DEATHS_TEXT_MAX = 300 };

struct death {
	uint8_t id[CONTROL_ID];     /* the boot id of its sessions */
	char text[DEATHS_TEXT_MAX]; /* "died of SIGSEGV in integrity-foo digest()"; "" while there is none */
};

/* All zero is none. */
struct deaths {
	struct death kept[DEATHS_KEPT]; /* a ring */
	unsigned next;
};

/* The text is printable, and cut where it is too long. */
void deaths_add(struct deaths *deaths, const uint8_t id[CONTROL_ID], const char *text);
/* NULL when nothing is known of it. */
const char *deaths_find(const struct deaths *deaths, const uint8_t id[CONTROL_ID]);

/* As messages: all that are kept, the oldest first; and into the ring again. */
void deaths_send(const struct deaths *deaths, int fd);
void deaths_send_last(const struct deaths *deaths, int fd);
void deaths_take(struct deaths *deaths, const struct control_message *message);

#endif
