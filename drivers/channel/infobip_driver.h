/* infobip_driver.h - what the two halves of the driver share: infobip.c sends, infobip_ask.c asks
 * for reports and for messages whose outcome is unknown.
 *
 * Internal to them. Loop thread. */
#ifndef MTRELAY_INFOBIP_DRIVER_H
#define MTRELAY_INFOBIP_DRIVER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/channel/channel.h"
#include "drivers/channel/http.h"
#include "drivers/channel/pace.h"

struct codemap;
struct event;

#define ANSWER_MAX_BYTES ((size_t)1024 * 1024)
#define SUSPECTS 4096
#define BACKOFF_MS 500
#define BACKOFF_MAX_MS 60000

enum block { BLOCK_NONE, BLOCK_REACH, BLOCK_SEND };
enum pull { PULL_IDLE, PULL_ASKING, PULL_TAKING };

/* One request, waiting or under way. */
struct post {
	struct post *next;
	struct post *prev;
	struct infobip *ch;
	struct http_call *call;
	char *body;
	int64_t started_ms;
	bool wired;
	unsigned limit;
	size_t n;
	struct message *m[];
};

/* One resolve(). */
struct ask {
	struct ask *next;
	struct query *q;
	size_t n;
	size_t pos; /* asked so far */
	size_t now; /* in the question under way */
};

/* A message that was in a request refused as a whole: it goes in requests of at most limit until it
 * is told apart. */
struct suspect {
	int64_t msg_id;
	unsigned limit;
};

struct infobip {
	struct channel_env env;
	const struct conf_channel *cf;
	struct channel_caps caps;
	struct http *http;
	struct codemap *codes;
	enum channel_state state;
	bool draining;
	bool room_owed;

	struct post *queued;
	struct post **queued_end;
	size_t queued_n;
	struct post *active;
	size_t active_n;
	size_t messages;	 /* in all of them */
	struct outcome *answers; /* of one answer */
	struct outcome *scratch; /* one outcome for all */
	struct event *kick;
	struct pace pace;
	struct suspect suspects[SUSPECTS];

	enum block block;
	int64_t blocked_until_ms;
	int64_t block_set_ms;
	unsigned fails;
	int64_t gap_ms; /* pause between requests that the provider forced on us */
	int64_t gap_until_ms;
	int64_t gap_set_ms;
	unsigned route_streak;

	enum pull pull;
	struct event *pull_timer;
	struct http_call *pull_call;
	int64_t pull_wait_ms;
	unsigned pull_fails;

	struct ask *asks;
	struct ask **asks_end;
	unsigned asks_n;
	struct http_call *ask_call;
	struct event *ask_timer;
	struct pace ask_pace;
	int64_t ask_until_ms;

	struct {
		unsigned long long outcome[OUT_UNSURE + 1]; /* messages, by enum outcome_kind */
		unsigned long long requests, throttled, reports, broken, pages, questions;
	} count;
};

struct infobip *infobip_self(const struct channel *c);
void infobip_arm(struct event *ev, int64_t ms);
/* base doubled with each failure, bounded, up to a fifth longer at random so that many agents do
 * not come at once. */
int64_t infobip_backoff_ms(int64_t base, unsigned fails);

/* Nothing goes until it is over. started_ms: when the request began that showed it; several that
 * fail together count once. */
void infobip_trouble(struct infobip *ch, enum block kind, enum channel_state s, int64_t started_ms,
		     const struct err *why);
void infobip_all_well(struct infobip *ch);
/* Has waiting requests started and the owner told of room, as soon as either may be. */
void infobip_arm_kick(struct infobip *ch);

void infobip_arm_pull(struct infobip *ch, int64_t wait_ms);
void infobip_on_pull(int fd, short what, void *user);
void infobip_on_ask(int fd, short what, void *user);
/* The next n keys of k could not be asked for. */
void infobip_fail_chunk(struct ask *k, size_t n);
void infobip_reports_taken(struct channel *c);
enum rc infobip_resolve(struct channel *c, struct query *q, size_t n, struct err *e);

#endif
