/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/poller.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xfer/plugin.h>

/* A descriptor that nothing is waited for stays in the set, so that no later call can fail; its errors count once. */
static uint32_t epoll_events(const struct polled *polled)
{
	uint32_t events = polled->events == 0 ? (uint32_t)EPOLLET : 0;

	if (polled->events & XFER_POLL_READ)
		events |= EPOLLIN;
	if (polled->events & XFER_POLL_WRITE)
		events |= EPOLLOUT;
	return events;
}

static int epoll_tell(int set, int operation, struct polled *polled)
{
	struct epoll_event event = { .events = epoll_events(polled), .data.ptr = polled };

	return epoll_ctl(set, operation, polled->fd, &event) < 0 ? -errno : 0;
}

static int polled_set(const struct poller *poller, const struct polled *polled)
{
	return polled->slow ? poller->slow_fd : poller->fd;
}

static void polled_fire(struct polled *polled, uint32_t got)
{
	uint32_t events = 0;

	if (polled->events == 0)
		return;
	if (got & EPOLLIN)
		events |= XFER_POLL_READ;
	if (got & EPOLLOUT)
		events |= XFER_POLL_WRITE;
	events &= polled->events;
	if (got & (EPOLLERR | EPOLLHUP))
		events = XFER_POLL_READ | XFER_POLL_WRITE;
	if (events != 0)
		polled->fire(polled, events);
}

/* Handles what has come in one set; false: there was nothing. */
static bool turn_take(struct poller *poller, int set)
{
	poller->turn_count = epoll_wait(set, poller->turn, POLLER_TURN, 0);
	for (poller->turn_at = 0; poller->turn_at < poller->turn_count; poller->turn_at++) {
		const struct epoll_event *event = &poller->turn[poller->turn_at];

		if (event->data.ptr != NULL)
			polled_fire(event->data.ptr, event->events);
	}
	poller->turn_count = 0;
	return poller->turn_at == POLLER_TURN;
}

static void on_set(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	(void)turn_take(poll->data, ((struct poller *)poll->data)->fd);
}

void poller_look(struct poller *poller)
{
	/* Each of them once; who has more to give is met again in the next look. */
	for (size_t i = 0; i <= poller->slow_count / POLLER_TURN; i++)
		if (!turn_take(poller, poller->slow_fd))
			break;
}

int poller_open(struct poller *poller, uv_loop_t *uv)
{
	int r = 0;

	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	poller->slow_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->fd < 0 || poller->slow_fd < 0)
		r = -errno;
	else
		r = uv_poll_init(uv, &poller->poll, poller->fd);
	if (r < 0) {
		close(poller->fd);
		close(poller->slow_fd);
		return r;
	}
	poller->poll.data = poller;
	uv_poll_start(&poller->poll, UV_READABLE, on_set);
	return 0;
}

void poller_close(struct poller *poller)
{
	uv_close((uv_handle_t *)&poller->poll, NULL);
	close(poller->fd);
	close(poller->slow_fd);
}

int polled_open(struct poller *poller, struct polled *polled, int fd, void (*fire)(struct polled *, uint32_t))
{
	int on = 1;
	int r;

	*polled = (struct polled){ .fire = fire, .fd = fd };
	if (ioctl(fd, FIONBIO, &on) < 0)
		r = -errno;
	else
		r = epoll_tell(poller->fd, EPOLL_CTL_ADD, polled);
	if (r < 0)
		polled->fd = -1;
	return r;
}

void polled_wait(struct poller *poller, struct polled *polled, uint32_t events)
{
	if (polled->events == events || polled->fd < 0)
		return;
	polled->events = (uint8_t)events;
	(void)epoll_tell(polled_set(poller, polled), EPOLL_CTL_MOD, polled);
}

void polled_slow(struct poller *poller, struct polled *polled, bool slow)
{
	int from = polled_set(poller, polled);
	int to = slow ? poller->slow_fd : poller->fd;

	if (polled->slow == slow || polled->fd < 0 || epoll_tell(to, EPOLL_CTL_ADD, polled) < 0)
		return;
	(void)epoll_tell(from, EPOLL_CTL_DEL, polled);
	polled->slow = slow;
	poller->slow_count += slow ? 1 : (size_t)-1;
}

void polled_least(struct polled *polled, uint16_t least)
{
	const int bytes = least;

	if (polled->least == least || polled->fd < 0 ||
	    setsockopt(polled->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)) < 0)
		return;
	polled->least = least;
}

void polled_close(struct poller *poller, struct polled *polled)
{
	if (polled->fd < 0)
		return;
	(void)epoll_tell(polled_set(poller, polled), EPOLL_CTL_DEL, polled);
	poller->slow_count -= polled->slow;
	polled->fd = -1;
	polled->events = 0;
	for (int i = poller->turn_at; i < poller->turn_count; i++)
		if (poller->turn[i].data.ptr == polled)
			poller->turn[i].data.ptr = NULL;
}
