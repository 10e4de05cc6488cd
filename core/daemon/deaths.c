/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/deaths.h"

#include <stdio.h>
#include <string.h>

void deaths_add(struct deaths *deaths, const uint8_t id[CONTROL_ID], const char *text)
{
	struct death *death = &deaths->kept[deaths->next];
	memcpy(death->id, id, CONTROL_ID);
	snprintf(death->text, sizeof death->text, "%.*s", DEATHS_TEXT_MAX - 1, text);
	deaths->next = (deaths->next + 1) % DEATHS_KEPT;
}

const char *deaths_find(const struct deaths *deaths, const uint8_t id[CONTROL_ID])
{
	for (size_t at = 0; at < DEATHS_KEPT; at++)
		if (deaths->kept[at].text[0] != '\0' && memcmp(deaths->kept[at].id, id, CONTROL_ID) == 0)
			return deaths->kept[at].text;
	return NULL;
}

/* Who does not hear it tells nobody, which is no more than a pity. */
static void send_one(const struct death *death, int fd)
{
	struct control_message message = { .type = CONTROL_DEATH };
	if (death->text[0] == '\0')
		return;
	memcpy(message.id, death->id, sizeof message.id);
	snprintf(message.text, sizeof message.text, "%s", death->text);
	(void)control_send(fd, &message, NULL, 0);
}

void deaths_send(const struct deaths *deaths, int fd)
{
	for (size_t at = 0; at < DEATHS_KEPT; at++)
		send_one(&deaths->kept[(deaths->next + at) % DEATHS_KEPT], fd);
}

void deaths_send_last(const struct deaths *deaths, int fd)
{
	send_one(&deaths->kept[(deaths->next + DEATHS_KEPT - 1) % DEATHS_KEPT], fd);
}

void deaths_take(struct deaths *deaths, const struct control_message *message)
{
	deaths_add(deaths, message->id, message->text);
}
