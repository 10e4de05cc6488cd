/* SPDX-License-Identifier: BSD-2-Clause */
/* xfer ping HOST[:PORT]: a line for each heartbeat, and the statistics, in the words of ping(8). */
#include "json.h"
#include "verb.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct ping_view {
	struct verb_context *context;
	const char *host;      /* as it was written, without scheme */
	struct client *client; /* owned by run() */
	bool headed;           /* the first line is out */
};

static double ms(uint64_t ns)
{
	return (double)ns / (double)CLOCK_MS;
}

/* The address and the way are known with the first answer only. */
static void print_head(struct ping_view *view, const struct client_ping *ping)
{
	if (view->headed)
		return;
	view->headed = true;
	printf("PING ");
	console_name(stdout, view->host, strlen(view->host));
	if (ping->from != NULL && ping->from[0] != '\0')
		printf(" (%s)", ping->from);
	if (ping->how != NULL)
		printf(" by %s%s", ping->how, strcmp(ping->how, "in-band") == 0 ? " pings" : " heartbeat");
	printf("\n");
}

static void print_answer(struct ping_view *view, const struct client_ping *ping)
{
	print_head(view, ping);
	if (ping->answered)
		printf("answer from %s: seq=%" PRIu64 " time=%.3f ms\n", ping->from, ping->sequence, ms(ping->rtt));
	else
		printf("no answer: seq=%" PRIu64 "\n", ping->sequence);
}

static void print_answer_json(const struct client_ping *ping)
{
	struct json json;

	json_begin(&json, stdout, "ping");
	json_number(&json, "sequence", ping->sequence);
	json_bool(&json, "answered", ping->answered);
	if (ping->answered)
		json_seconds(&json, "rtt", ping->rtt);
	json_text(&json, "from", ping->from);
	json_text(&json, "how", ping->how);
	json_end(&json);
}

static void on_ping(void *data, const struct client_ping *ping)
{
	struct ping_view *view = data;
	const struct args *args = view->context->args;

	if (args->quiet && !args->json)
		return;
	console_ready(view->context->console);
	if (args->json)
		print_answer_json(ping);
	else
		print_answer(view, ping);
	/* `xfer ping HOST | head -n 3` ends with its reader. */
	if (console_output_lost(view->context->console))
		client_interrupt(view->client);
}

static void on_message(void *data, enum log_level level, enum fault fault, const char *text)
{
	struct ping_view *view = data;
	console_message(view->context->console, level, fault, text);
}

static double loss_percent(const struct client_ping_sum *sum)
{
	uint64_t lost = sum->sent > sum->received ? sum->sent - sum->received : 0;
	return sum->sent > 0 ? (double)lost * 100.0 / (double)sum->sent : 0.0;
}

static void print_sum(const struct ping_view *view, const struct client_ping_sum *sum)
{
	printf("--- ");
	console_name(stdout, view->host, strlen(view->host));
	/* Six digits at most, and no zeroes behind the point: "0%", "33.3333%". */
	printf(" ping statistics ---\n%" PRIu64 " sent, %" PRIu64 " received, %.6g%% loss, time %" PRIu64 "ms\n",
	       sum->sent, sum->received, loss_percent(sum), sum->elapsed / CLOCK_MS);
	if (sum->received > 0)
		printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", ms(sum->min), ms(sum->mean), ms(sum->max),
		       ms(sum->mdev));
}

static void print_sum_json(const struct client_ping_sum *sum, enum fault fault)
{
	struct json json;

	json_begin(&json, stdout, "summary");
	json_number(&json, "status", (uint64_t)fault);
	json_number(&json, "sent", sum->sent);
	json_number(&json, "received", sum->received);
	json_seconds(&json, "seconds", sum->elapsed);
	if (sum->received > 0) {
		json_seconds(&json, "min", sum->min);
		json_seconds(&json, "avg", sum->mean);
		json_seconds(&json, "max", sum->max);
		json_seconds(&json, "mdev", sum->mdev);
	}
	json_end(&json);
}

/* An interrupt is how a ping without -c ends, and no failure; as with ping(8), answers decide. */
static int judge(const struct client_ping_sum *sum, int code, struct error *err)
{
	if (code == 0 || (err->fault != FAULT_INTERRUPTED && err->fault != FAULT_MIXED))
		return code;
	error_clear(err);
	if (sum->received > 0)
		return 0;
	err->code = code;
	err->fault = FAULT_MIXED; /* the statistics say it all */
	return code;
}

static int run(struct ping_view *view, const struct url *url, struct error *err)
{
	const struct args *args = view->context->args;
	struct client_watch watch = { .context = view, .message = on_message, .ping = on_ping };
	struct client_ping_sum sum = { 0 };
	int code = verb_client_create(view->context, &watch, &view->client, err);

	if (code < 0)
		return code;
	code = judge(&sum, client_ping(view->client, url, args->count, args->interval, &sum, err), err);
	client_destroy(view->client);

	console_ready(view->context->console);
	if (sum.sent == 0)
		return code; /* nobody could be asked, as the error says */
	if (args->json)
		print_sum_json(&sum, code < 0 ? err->fault : FAULT_NONE);
	else
		print_sum(view, &sum);
	return code;
}

int verb_ping(struct verb_context *context, struct error *err)
{
	const char *operand = context->args->operands[0];
	struct url url;
	int code = url_parse_host(&url, operand, err);

	if (code < 0) {
		error_prefix(err, "ping");
		return code;
	}
	struct ping_view view = { .context = context, .host = url.authority };
	code = run(&view, &url, err);
	url_free(&url);
	return code;
}
