/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/lending.h"

#define LOOK_AGAIN (10 * CLOCK_MS)   /* while somebody waits */
#define PATIENCE (50 * CLOCK_MS)     /* who has not got on for as long can do without buffers */
#define PATIENCE_NEW (10 * CLOCK_MS) /* the same for who has yet to move */

enum {
	MOVER = 1024 * 1024, /* bytes that a session sends before it counts as one that moves */
	STASH_SHARE = 4      /* of the budget: what may be kept beside it, see lending_stash_room() */
};

void lending_shares(struct loop *loop)
{
	size_t budget = lend_budget(loop->lender);

	lend_share(loop->lender, LEND_MOVING, budget - budget / 4);
	lend_share(loop->lender, LEND_NEW, budget / 2);
	lend_share(loop->lender, LEND_SLOW, budget / 4);
	lend_share(loop->lender, LEND_BEGUN, budget / 8);
}

struct lent *lending_take(struct loop *loop)
{
	struct lent *lent = loop->scratch;

	loop->scratch = NULL;
	return lent != NULL ? lent : lend_get(loop->lender, LENDING_SCRATCH);
}

bool lending_is_scratch(const struct lent *lent)
{
	return lent->size == LENDING_SCRATCH && lent->use == LEND_MOVING;
}

bool lending_stash_room(const struct loop *loop)
{
	return loop->stashed < lend_budget(loop->lender) / STASH_SHARE;
}

void lending_give(struct loop *loop, struct lent *lent)
{
	if (lent != NULL && lent->refs == 1 && lending_is_scratch(lent) && loop->scratch == NULL)
		loop->scratch = lent;
	else
		lent_unref(lent);
}

enum lend_use lending_use(const struct link *link)
{
	return link_pace(link) >= MOVER ? LEND_MOVING : LEND_NEW;
}

uint64_t lending_ahead(const struct link *link, uint64_t most)
{
	uint64_t pace = link_pace(link);

	return pace < most ? pace : most;
}

uint32_t lending_together(const struct loop *loop)
{
	size_t part = lend_budget(loop->lender) / 8;

	return part < UINT32_MAX ? (uint32_t)part : UINT32_MAX;
}

/* There are not as many buffers free as those who wait should find. */
static bool is_short(const struct loop *loop)
{
	size_t enough = lend_budget(loop->lender) / 4;

	if ((!list_empty(&loop->hungry) || !list_empty(&loop->keeping)) &&
	    lend_room(loop->lender, LEND_MOVING) < enough)
		return true;
	return (!list_empty(&loop->hungry_new) || !list_empty(&loop->thirsty)) &&
	       lend_room(loop->lender, LEND_NEW) < enough;
}

/* Takes buffers from those who do not get on, as many as are missing. */
static void take_back(struct loop *loop)
{
	struct list *node, *next;

	for (node = loop->stuck.next; node != &loop->stuck && is_short(loop); node = next) {
		struct link *link = list_entry(node, struct link_out, stuck)->link;
		uint64_t age = loop->now - link->moved_at;

		next = node->next;
		if (age < PATIENCE_NEW)
			break;
		if (age >= PATIENCE || lending_use(link) == LEND_NEW)
			link_take_back(link);
	}
}

struct pipe_lent *lending_pipes(struct loop *loop, size_t bytes)
{
	struct pipe_lent *list = pipes_take(loop->pipes, bytes);

	if (list != NULL || loop->now - loop->pipes_back < LOOK_AGAIN)
		return list;
	loop->pipes_back = loop->now;
	for (struct list *node = loop->stuck.next; node != &loop->stuck && list == NULL; node = node->next) {
		struct link *link = list_entry(node, struct link_out, stuck)->link;

		if (loop->now - link->moved_at < PATIENCE)
			break;
		if (link_pipes_back(link))
			list = pipes_take(loop->pipes, bytes);
	}
	return list;
}

static bool anybody_waits(const struct loop *loop)
{
	return !list_empty(&loop->hungry) || !list_empty(&loop->hungry_new) || !list_empty(&loop->keeping) ||
	       !list_empty(&loop->thirsty);
}

static void on_pressed(struct deadline *deadline)
{
	struct loop *loop = list_entry(deadline, struct loop, pressed);

	take_back(loop);
	links_hurry(loop);
	loop->settings.settled(loop->settings.context);
	if (anybody_waits(loop))
		(void)loop_deadline(loop, deadline, loop->now + LOOK_AGAIN);
}

void lending_wait(struct loop *loop, struct list *list, struct list *node)
{
	list_append(list, node);
	if (loop->pressed.node.at != 0)
		return;
	loop->pressed.fire = on_pressed;
	(void)loop_deadline(loop, &loop->pressed, loop->now + LOOK_AGAIN);
}
