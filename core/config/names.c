/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of names. */
#include "config/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLUGIN_NAME_MAX = 31 }; /* bytes, see <xfer/plugin.h> */

static int names_add_bytes(struct names *names, const char *name, size_t len)
{
	for (size_t i = 0; i < names->count; i++)
		if (strlen(names->list[i]) == len && memcmp(names->list[i], name, len) == 0)
			return -EEXIST;
	char **list = reallocarray(names->list, names->count + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	names->list = list;
	list[names->count] = strndup(name, len);
	if (list[names->count] == NULL)
		return -ENOMEM;
	names->count++;
	return 0;
}

int names_add(struct names *names, const char *name)
{
	return names_add_bytes(names, name, strlen(name));
}

int names_split(struct names *names, const char *text)
{
	for (;;) {
		text += strspn(text, " \t");
		const char *end = text + strcspn(text, ",");
		size_t len = (size_t)(end - text);
		while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
		int rc = len == 0 ? -EINVAL : names_add_bytes(names, text, len);
		if (rc < 0) {
			names_free(names);
			return rc;
		}
		if (*end == '\0')
			return 0;
		text = end + 1;
	}
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){ 0 };
}

bool name_is_plugin(const char *name, size_t len)
{
	if (len == 0 || len > PLUGIN_NAME_MAX || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') && name[i] != '-')
			return false;
	return true;
}
