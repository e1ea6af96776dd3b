/* schedule.c - one schedule: what its seed plans, the application and the operator, and the
 * oracle. */
#include "config.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/journal.h"
#include "agent/pipeline.h"
#include "agent/relay.h"
#include "tests/simulation/sim.h"

#define STEPS_MAX 400000
#define LEAP_LEAST (2 * MINUTE)
#define REST_MOST (400 * HOUR)

static struct {
	int64_t end_ms; /* of what goes wrong */
	bool crashes, db_faults, power_cuts, lost_journals, pauses, drains, rollback, clock_jumps;
	unsigned crash_range, db_range;
	bool rolled_back, has_copy, clock_jumped, is_ending, had_outage, had_lost_journal;
	enum conf_on_unknown on_unknown;
	unsigned provider_count, message_count;
	struct provider_plan providers[PROVIDERS_MAX];
	unsigned boots;
	int64_t looked_ms;
} plan;

static struct app {
	bool inserted, deleted, is_excused; /* the database lost it */
	bool has_orphan;		    /* a result that knows no more than the key */
	unsigned results, waits;
} apps[MESSAGES_MAX];

static struct conf confs[AGENTS_MAX];
static struct conf_channel channels[PROVIDERS_MAX];
static struct conf_route route;
static const char *route_types[] = { "SMS", "LMS" };
static const char *route_channels[] = { "p0", "p1" };

/* ---- configuration ---- */

static void
conf_defaults(struct conf *c)
{
	memset(c, 0, sizeof *c);
#define CONF_STR(section, name, def, min, max, reload, text) c->section.name = (def);
#define CONF_FILE(section, name, def, reload, text) c->section.name = (def);
#define CONF_SECRET(section, name, reload, text) c->section.name = NULL;
#define CONF_BOOL(section, name, def, reload, text) c->section.name = (def);
#define CONF_INT(section, name, def, min, max, reload, text) c->section.name = (def);
#define CONF_MS(section, name, def, min, max, reload, text) c->section.name##_ms = (def);
#define CONF_BYTES(section, name, def, min, max, reload, text) c->section.name##_bytes = (def);
#define CONF_ENUM(section, name, tag, def, words, reload, text) c->section.name = (def);
#define CONF_WANT                                                                             \
	(CONF_IN_AGENT | CONF_IN_DATABASE | CONF_IN_REPORT | CONF_IN_TIMES | CONF_IN_LIMITS | \
	 CONF_IN_LOG)
#include "agent/conf.def"
	c->refs = 1000000;
}

static void
draw_conf(void)
{
	static const int64_t segments[] = { 6144, 8192, 65536 };
	struct conf *c = &confs[0];
	unsigned i;

	for (i = 0; i < plan.provider_count; i++) {
		memset(&channels[i], 0, sizeof channels[i]);
		channels[i].name = route_channels[i];
		channels[i].driver = "sim";
		channels[i].batch = 1 + pick(4);
	}
	memset(&route, 0, sizeof route);
	route.type = route_types;
	route.type_count = 2;
	route.channels = route_channels;
	route.channels_count = plan.provider_count;
	route.on_unknown = plan.on_unknown;
	conf_defaults(c);
	c->database.driver = "sim";
	c->database.accept_weak_durability = true; /* a database in memory */
	c->times.heartbeat_ms = between(7 * SECOND, 20 * SECOND);
	c->times.agent_lease_ms = c->times.heartbeat_ms * (3 + pick(4));
	c->times.care_pass_ms = between(15 * SECOND, 60 * SECOND);
	c->times.idle_poll_ms = between(3 * SECOND, 15 * SECOND);
	c->limits.journal_segment_bytes = segments[pick(3)];
	c->limits.journal_keep = (int64_t)pick(3);
	c->limits.batch = 1 + pick(8);
	c->limits.settle_batch = 1 + pick(8);
	c->limits.in_flight = 1 + pick(10);
	c->channels = channels;
	c->channel_count = plan.provider_count;
	c->routes = &route;
	c->route_count = 1;
	for (i = 0; i < W.agent_count; i++) {
		if (i > 0)
			confs[i] = confs[0];
		confs[i].agent.id = W.agents[i].id;
		confs[i].agent.state_dir = W.agents[i].dir;
		confs[i].database.sessions = chance(5000) ? 1 : 2 + pick(2);
		W.agents[i].conf = &confs[i];
	}
}

/* ---- agents die and come again ---- */

static void
arm(struct agent *a)
{
	a->crash_in = plan.crashes && chance(7000) ? 1 + pick(plan.crash_range) : 0;
	a->pause_in = plan.pauses && chance(6000) ? 1 + pick(plan.crash_range) : 0;
	a->db_fault_in = plan.db_faults ? 1 + pick(plan.db_range) : 0;
}

static void
start(void *arg, int64_t n)
{
	struct agent *a = arg;

	(void)n;
	if (a->is_alive || plan.is_ending)
		return;
	if (W.faults && plan.lost_journals && chance(1500)) {
		trace(a, "loses its journal", 0, 0);
		W.counts.lost_journals++;
		plan.had_lost_journal = true;
		disk_wipe(a);
	}
	arm(a);
	agent_start(a);
}

void
schedule_agent_ended(struct agent *a, bool is_crash)
{
	if (!is_crash && a->exit_status != 0 && a->exit_status != 69 && a->exit_status != 75)
		violation("agent %s ends with status %d", a->id, a->exit_status);
	if (plan.is_ending)
		return;
	if (is_crash && W.faults && plan.power_cuts && chance(3000)) {
		trace(a, "power cut", 0, 0);
		W.counts.power_cuts++;
		disk_power_cut(a);
		snprintf(a->boot_id, sizeof a->boot_id, "boot-%d-%u", a->no, ++plan.boots);
	}
	world_at(W.now_ms + (chance(8000)   ? between(1, 5 * SECOND)
			     : chance(6000) ? between(1, 2 * MINUTE)
					    : between(2 * MINUTE, 10 * MINUTE)),
		 start, a, 0);
}

/* ---- what goes wrong by the clock ---- */

static void
kill_agent(void *arg, int64_t n)
{
	(void)n;
	if (W.faults)
		agent_crash(arg);
}

static void
pause_agent(void *arg, int64_t ms)
{
	if (W.faults)
		agent_pause(arg, ms, chance(2000));
}

static void
drain_agent(void *arg, int64_t n)
{
	struct agent *a = arg;

	(void)n;
	if (!W.faults || !a->is_alive)
		return;
	trace(a, "SIGTERM", 0, 0);
	W.counts.drains++;
	a->term_asked = true;
}

static void
db_down(void *arg, int64_t down)
{
	(void)arg;
	if (down && !W.faults)
		return;
	trace(NULL, down ? "database away" : "database back", 0, 0);
	W.counts.outages += down;
	plan.had_outage = plan.had_outage || down;
	W.db_is_down = down != 0;
	if (down)
		database_kill_sessions();
}

static void
provider_down(void *arg, int64_t n)
{
	(void)arg;
	if (n % 2 == 1 && !W.faults)
		return;
	trace(NULL, n % 2 == 1 ? "provider away" : "provider back", n / 2, 0);
	provider_set_up((unsigned)(n / 2), n % 2 == 0);
}

static void
disk_full(void *arg, int64_t is_full)
{
	struct agent *a = arg;

	a->disk_is_full = W.faults && is_full != 0;
	trace(a, a->disk_is_full ? "disk full" : "disk has room", 0, 0);
}

static void
snapshot(void *arg, int64_t n)
{
	(void)arg;
	(void)n;
	if (!W.faults)
		return;
	trace(NULL, "copy of the database", 0, 0);
	plan.has_copy = true;
	database_snapshot();
}

static void
is_there(void *arg, char **cols)
{
	bool *there = arg;
	int i = cols[0][0] == 'm' ? (int)strtol(cols[0] + 1, NULL, 10) : -1;

	if (i >= 0 && i < MESSAGES_MAX)
		there[i] = true;
}

static void
restore(void *arg, int64_t n)
{
	bool there[MESSAGES_MAX] = { false };
	unsigned i;

	(void)arg;
	(void)n;
	/* Both may have become due at the same moment, while everybody slept. */
	if (!W.faults || !plan.has_copy)
		return;
	trace(NULL, "database goes back to the copy", 0, 0);
	W.counts.rollbacks++;
	plan.rolled_back = true;
	database_restore(chance(2000));
	database_kill_sessions();
	database_each("SELECT etc1 FROM mt_send UNION ALL SELECT etc1 FROM mt_result", is_there,
		      there);
	for (i = 0; i < plan.message_count; i++)
		if (apps[i].inserted && !there[i])
			apps[i].is_excused = true;
}

static void
clock_jump(void *arg, int64_t ms)
{
	(void)arg;
	if (!W.faults)
		return;
	trace(NULL, "database clock jumps", ms, 0);
	W.counts.clock_jumps++;
	plan.clock_jumped = true;
	W.db_offset_ms += ms;
}

static void
ask_pause(struct agent *a)
{
	struct err e;

	(void)!relay_pause(a->relay, chance(5000) ? NULL : "p0", true, &e);
}

static void
ask_resume(struct agent *a)
{
	struct err e;

	(void)!relay_pause(a->relay, NULL, false, &e);
	(void)!relay_pause(a->relay, "p0", false, &e);
}

static void
operator_pause(void *arg, int64_t is_paused)
{
	struct agent *a = arg;

	if (!a->is_alive || !a->is_ready || (is_paused && !W.faults))
		return;
	trace(a, is_paused ? "operator pauses" : "operator resumes", 0, 0);
	a->ask = is_paused ? ask_pause : ask_resume;
}

/* ---- the application ---- */

static void
app_insert(void *arg, int64_t n)
{
	static const char *const types[] = { "SMS", "SMS", "AUTO", "LMS" };
	char sql[1024], send_at[128] = "strftime('%Y-%m-%d %H:%M:%f', 'now')", expire[128] = "NULL";
	bool has_fallback = chance(2500);

	(void)arg;
	if (chance(1200))
		snprintf(send_at, sizeof send_at,
			 "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+%d seconds')",
			 (int)(chance(8000) ? between(1, 150) : between(1, 5 * 3600)));
	if (chance(1000))
		snprintf(expire, sizeof expire,
			 "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+%d seconds')",
			 (int)between(1, 120));
	snprintf(sql, sizeof sql,
		 "INSERT INTO mt_send (msg_type, priority, sender, recipient, body, fallback_type, "
		 "fallback_body, send_at, expire_at, etc1) VALUES ('%s', %u, '0212345678', '%s', "
		 "'hello', '%s', 'hello again', %s, %s, 'm%d')",
		 types[pick(4)], pick(3), chance(400) ? "nobody" : "01012345678",
		 has_fallback ? "LMS" : "NONE", send_at, expire, (int)n);
	trace(NULL, "application inserts", n, 0);
	if (database_run(sql) != 1)
		violation("the application cannot insert");
	apps[n].inserted = true;
	W.counts.messages++;
}

static void
app_delete(void *arg, int64_t n)
{
	char sql[128];

	(void)arg;
	if (!apps[n].inserted)
		return;
	snprintf(sql, sizeof sql, "DELETE FROM mt_send WHERE etc1 = 'm%d'", (int)n);
	if (database_run(sql) > 0) {
		trace(NULL, "application deletes", n, 0);
		apps[n].deleted = true;
	}
}

static void
app_cancel(void *arg, int64_t n)
{
	char sql[128];

	(void)arg;
	snprintf(sql, sizeof sql, "UPDATE mt_send SET cancel_yn = 'Y' WHERE etc1 = 'm%d'", (int)n);
	if (apps[n].inserted && database_run(sql) > 0)
		trace(NULL, "application cancels", n, 0);
}

/* ---- the plan ---- */

static unsigned
maybe(unsigned often, unsigned most)
{
	return chance(often) ? 1 + pick(most) : 0;
}

static void
draw_provider(struct provider_plan *p, bool is_calm)
{
	memset(p, 0, sizeof *p);
	p->knows_keys = chance(5500);
	p->window_ms = chance(7000) ? 24 * HOUR : between(5 * MINUTE, 50 * HOUR);
	p->can_query = chance(6500);
	p->has_reports = chance(9200);
	p->report_by = (int)pick(3);
	p->has_parts = p->has_reports && chance(2500);
	if (p->has_parts) {
		/* As with SMPP: nothing but the ids is known of a part. */
		p->knows_keys = p->can_query = false;
		p->report_by = 2;
	}
	p->p_reject = maybe(5000, 2000);
	p->p_fail = maybe(6000, 4000);
	p->p_pending = maybe(3000, 5000);
	p->p_defer = maybe(3000, 2500);
	p->p_ended = maybe(1500, 2500);
	p->p_silent = maybe(3500, 4000);
	p->p_duplicate = maybe(3000, 4000);
	p->p_contradict = maybe(300, 3000);
	p->in_flight_ms = plan.clock_jumps ? 2 * MINUTE : between(MINUTE, 9 * MINUTE);
	if (is_calm)
		return;
	p->p_cut_before = maybe(4000, 3000);
	p->p_cut_after = maybe(4000, 3000);
	p->p_late = maybe(4000, 3000);
	p->p_lost_answer = maybe(4000, 3000);
	p->p_lost_page = maybe(3000, 4000);
}

static int64_t
some_time(void)
{
	return W.now_ms + between(0, plan.end_ms - W.now_ms);
}

static struct agent *
some_agent(void)
{
	return &W.agents[pick(W.agent_count)];
}

static void
draw_events(void)
{
	unsigned i, n;
	int64_t at;

	for (i = 0; i < plan.message_count; i++) {
		at = chance(6000) ? W.now_ms : some_time();
		world_at(at, app_insert, NULL, i);
		if (chance(500))
			world_at(at + between(0, MINUTE), app_delete, NULL, i);
		else if (chance(700))
			world_at(at + between(0, MINUTE), app_cancel, NULL, i);
	}
	for (n = plan.crashes ? pick(3) : 0; n > 0; n--)
		world_at(some_time(), kill_agent, some_agent(), 0);
	for (n = plan.pauses ? 1 + pick(3) : 0; n > 0; n--)
		world_at(some_time(), pause_agent, some_agent(),
			 chance(5000) ? between(1, 30 * SECOND)
				      : between(30 * SECOND, 10 * MINUTE));
	for (n = plan.drains ? 1 + pick(2) : 0; n > 0; n--)
		world_at(some_time(), drain_agent, some_agent(), 0);
	for (n = chance(2500) ? 1 + pick(2) : 0; n > 0; n--) {
		at = some_time();
		world_at(at, db_down, NULL, 1);
		world_at(at + (chance(9000) ? between(1, 2 * MINUTE) : between(MINUTE, HOUR)),
			 db_down, NULL, 0);
	}
	for (n = chance(2500) ? 1 + pick(2) : 0; n > 0; n--) {
		unsigned p = pick(plan.provider_count);

		at = some_time();
		world_at(at, provider_down, NULL, 2 * p + 1);
		world_at(at + between(1, 3 * MINUTE), provider_down, NULL, 2 * p);
	}
	if (plan.rollback)
		for (n = 1 + pick(2); n > 0; n--) {
			at = some_time();
			world_at(at, snapshot, NULL, 0);
			world_at(at + between(1, 90 * SECOND), restore, NULL, 0);
		}
	if (plan.clock_jumps)
		world_at(some_time(), clock_jump, NULL,
			 chance(5000) ? between(1, 4 * MINUTE) : -between(1, 4 * MINUTE));
	for (n = chance(1000) ? 1 : 0; n > 0; n--) {
		struct agent *a = some_agent();

		at = some_time();
		world_at(at, operator_pause, a, 1);
		world_at(at + between(1, MINUTE), operator_pause, a, 0);
	}
	if (chance(500)) {
		struct agent *a = some_agent();

		at = some_time();
		world_at(at, disk_full, a, 1);
		world_at(at + between(1, 2 * MINUTE), disk_full, a, 0);
	}
}

static void
print_plan(void)
{
	static const char *const policies[] = { "auto", "hold", "resend", "close" };
	const struct conf_times *t = &confs[0].times;
	unsigned i;

	printf("on_unknown %s, heartbeat %" PRId64 ", agent_lease %" PRId64 ", care_pass %" PRId64
	       ", idle_poll %" PRId64 "\n",
	       policies[plan.on_unknown], t->heartbeat_ms, t->agent_lease_ms, t->care_pass_ms,
	       t->idle_poll_ms);
	for (i = 0; i < plan.provider_count; i++) {
		const struct provider_plan *p = &plan.providers[i];

		printf("p%u: knows keys for %" PRId64 " s, %s, %s, report by %s%s, batch %" PRId64
		       "\n",
		       i, p->knows_keys ? p->window_ms / 1000 : 0,
		       p->can_query ? "can be asked" : "cannot be asked",
		       p->has_reports ? "reports" : "no reports",
		       p->report_by == 0   ? "key and id"
		       : p->report_by == 1 ? "key"
					   : "id",
		       p->has_parts ? " of each part" : "", channels[i].batch);
	}
}

static void
draw(void)
{
	static const unsigned agent_counts[] = { 1, 1, 1, 2, 2, 2, 2, 2, 3, 3 };
	unsigned i, r;
	bool is_calm;

	memset(&plan, 0, sizeof plan);
	memset(apps, 0, sizeof apps);
	W.agent_count = agent_counts[pick(10)];
	plan.message_count = 1 + pick(6);
	plan.provider_count = chance(2500) ? 2 : 1;
	plan.end_ms = W.now_ms + between(20 * SECOND, chance(7500) ? 75 * SECOND : 4 * MINUTE);
	plan.crashes = chance(6500);
	plan.crash_range = chance(5000) ? 120 : 700;
	plan.db_faults = chance(5000);
	plan.db_range = chance(5000) ? 60 : 400;
	plan.power_cuts = chance(2000);
	plan.lost_journals = chance(1200);
	plan.pauses = chance(3500);
	plan.drains = chance(2000);
	plan.rollback = chance(1500);
	plan.clock_jumps = chance(600);
	is_calm = chance(1500);
	r = pick(100);
	plan.on_unknown = r < 70   ? CONF_UNKNOWN_AUTO
			  : r < 80 ? CONF_UNKNOWN_HOLD
			  : r < 90 ? CONF_UNKNOWN_RESEND
				   : CONF_UNKNOWN_CLOSE;
	for (i = 0; i < plan.provider_count; i++)
		draw_provider(&plan.providers[i], is_calm);
	providers_begin(plan.provider_count, plan.providers);
	draw_conf();
	draw_events();
	if (W.is_traced)
		print_plan();
	for (i = 0; i < W.agent_count; i++)
		world_at(W.now_ms + between(0, 10 * SECOND), start, &W.agents[i], 0);
}

/* ---- time passes ---- */

/* To the next time in the tables, -1 none. */
static int64_t
table_gap_ms(void)
{
	int64_t gap = database_int("SELECT CAST(ROUND((julianday(MIN(d)) - julianday('now')) * "
				   "86400000.0) AS INTEGER) FROM ("
				   "SELECT MIN(due_at) AS d FROM mt_send WHERE status > 0 "
				   "UNION ALL SELECT MIN(send_at) FROM mt_send WHERE status = 0)");

	if (database_int("SELECT COUNT(*) FROM mt_send") == 0)
		return -1;
	/* Messages without a report are asked for an hour before their close, and a quarter. */
	if (gap > HOUR + LEAP_LEAST)
		return gap - HOUR;
	if (gap > HOUR / 4 + LEAP_LEAST)
		return gap - HOUR / 4;
	return gap > 0 ? gap : 0;
}

/* Nothing is under way: on to where something is, as if all hosts had slept, or as if all had
 * gone on quietly. */
static void
leap(int64_t not_after_ms)
{
	int64_t to = not_after_ms, at, gap;
	char sql[256];

	if (W.now_ms - plan.looked_ms < 10 * SECOND || !world_is_quiet())
		return;
	plan.looked_ms = W.now_ms;
	at = world_next_ms();
	if (at < to)
		to = at;
	at = providers_next_ms();
	if (at < to)
		to = at;
	if (to - W.now_ms < LEAP_LEAST)
		return;
	gap = table_gap_ms();
	if (gap >= 0 && W.now_ms + gap < to)
		to = W.now_ms + gap;
	/* Nothing to wait for: this is the rest. */
	if (to == not_after_ms || to - W.now_ms < LEAP_LEAST)
		return;
	to -= between(0, 3 * SECOND);
	trace(NULL, "time leaps", to - W.now_ms, 0);
	W.now_ms = to;
	if (chance(5000)) {
		snprintf(sql, sizeof sql,
			 "UPDATE mt_agent SET lease_until = strftime('%%Y-%%m-%%d %%H:%%M:%%f', "
			 "'now', "
			 "'+20 seconds') WHERE state = 'LIVE'");
		(void)database_run(sql);
	}
}

static bool
is_over(void)
{
	if (W.steps > STEPS_MAX)
		violation("no rest after %d steps", STEPS_MAX);
	return W.violation[0] != '\0';
}

static void
calm_down(void)
{
	unsigned i;

	trace(NULL, "calm", 0, 0);
	W.faults = false;
	W.db_is_down = false;
	for (i = 0; i < PROVIDERS_MAX; i++)
		provider_set_up(i, true);
	for (i = 0; i < W.agent_count; i++) {
		struct agent *a = &W.agents[i];

		a->disk_is_full = false;
		a->crash_in = a->db_fault_in = 0;
		/* Who stands still does so to the end, who is dead comes at its time. */
		if (!a->is_alive)
			continue;
		if (a->is_ready)
			a->ask = ask_resume;
		else
			world_at(W.now_ms + MINUTE, operator_pause, a, 0);
	}
}

static bool
at_rest(void)
{
	unsigned i;

	if (world_next_ms() != INT64_MAX || !providers_are_empty() || !world_is_quiet())
		return false;
	for (i = 0; i < W.agent_count; i++)
		if (!W.agents[i].is_alive)
			return false;
	return database_int("SELECT COUNT(*) FROM mt_send") == 0;
}

/* ---- the oracle ---- */

static void
stuck_row(void *arg, char **cols)
{
	char *text = arg;

	snprintf(text, 256, "%s status %s owner %s hold %s pend %s due %s now %s", cols[0], cols[1],
		 cols[2], cols[3], cols[4], cols[5], cols[6]);
}

static bool
excused_double(const struct truth *t)
{
	bool all_know = true;
	unsigned k;

	for (k = 0; k < plan.provider_count; k++)
		all_know = all_know && plan.providers[k].knows_keys &&
			   plan.providers[k].window_ms >= 48 * HOUR;
	if (t->lied)
		return true;
	if (plan.on_unknown == CONF_UNKNOWN_RESEND && !all_know)
		return true;
	/* An attempt that the copy does not know may be claimed by another agent before the
	 * freeze. */
	return plan.rolled_back &&
	       (!all_know || t->bumped || t->refused > 0 || plan.provider_count > 1);
}

static void
judge(unsigned i, const char *class, const char *code)
{
	const struct truth *t = truth_of(i);

	if (strcmp(class, "OK") == 0) {
		W.counts.ok++;
		if (t->delivered == 0 && !t->lied) {
			W.counts.wrong++;
			violation("m%u: OK %s and no phone gets it", i, code);
		}
	} else if (strcmp(class, "FAIL") == 0) {
		W.counts.failed++;
		if (t->delivered > 0 && !t->lied) {
			if (plan.rolled_back)
				W.counts.excused++;
			else {
				W.counts.wrong++;
				violation("m%u: FAIL %s and a phone gets it", i, code);
			}
		}
	} else {
		W.counts.unknown++;
	}
}

static void
see_result(void *arg, char **cols)
{
	int i = cols[0][0] == 'm' ? (int)strtol(cols[0] + 1, NULL, 10) : message_of_key(cols[3]);
	int64_t took_ms = strtoll(cols[4], NULL, 10);

	(void)arg;
	if (i < 0 || i >= (int)plan.message_count) {
		violation("a result of nothing that was inserted: %s %s", cols[1], cols[2]);
		return;
	}
	apps[i].results++;
	apps[i].has_orphan = apps[i].has_orphan || cols[0][0] != 'm';
	trace_text(NULL, cols[0], cols[1]);
	judge((unsigned)i, cols[1], cols[2]);
	if (took_ms > 48 * HOUR && !plan.clock_jumped)
		violation("m%d: its result came %" PRId64 " h after its sending", i,
			  took_ms / HOUR);
}

static void
see_waiting(void *arg, char **cols)
{
	int i = cols[0][0] == 'm' ? (int)strtol(cols[0] + 1, NULL, 10) : -1;

	(void)arg;
	if (i >= 0 && i < MESSAGES_MAX)
		apps[i].waits++;
}

static void
check(void)
{
	char text[256] = "";
	unsigned i, k;

	database_each("SELECT etc1 FROM mt_send", see_waiting, NULL);
	if (!at_rest()) {
		database_each(
			"SELECT etc1, status, owner, hold_code, pend_class, due_at, "
			"strftime('%Y-%m-%d %H:%M:%f', 'now') FROM mt_send ORDER BY msg_id LIMIT 1",
			stuck_row, text);
		W.counts.stuck++;
		violation("no rest: %s", text);
	}
	database_each(
		"SELECT etc1, result_class, result_code, client_key, CASE WHEN rev = 0 AND "
		"sent_at IS NOT NULL THEN CAST((julianday(changed_at) - julianday(sent_at)) * "
		"86400000.0 AS INTEGER) ELSE 0 END FROM mt_result",
		see_result, NULL);
	for (i = 0; i < plan.message_count; i++) {
		const struct app *m = &apps[i];
		const struct truth *t = truth_of(i);

		if (!m->inserted)
			continue;
		/* Ended unsent in the older copy before its agent could tell that it was sent;
		 * then its report came. */
		if (m->results == 2 && m->has_orphan && plan.rolled_back)
			W.counts.excused++;
		else if (m->results > 1)
			violation("m%u has %u results", i, m->results);
		if (m->results + m->waits == 0 && !m->deleted && !m->is_excused) {
			W.counts.lost++;
			violation("m%u is lost", i);
		}
		if (t->delivered > 1) {
			if (excused_double(t)) {
				W.counts.excused++;
			} else {
				W.counts.doubled++;
				violation("m%u reaches its phone %d times", i, t->delivered);
			}
		}
	}
	for (i = 0; i < W.agent_count; i++) {
		const struct agent *a = &W.agents[i];

		if (!a->is_alive)
			continue;
		for (k = 0; k < sizeof a->places / sizeof *a->places; k++)
			if (a->places[k] != 0)
				violation("%s keeps %zu messages at place %u", a->id, a->places[k],
					  k);
		if (a->held_bytes != 0)
			violation("%s holds %zu bytes of messages", a->id, a->held_bytes);
		if (a->journal != NULL && journal_live(a->journal) != 0)
			violation("the journal of %s keeps %zu attempts", a->id,
				  journal_live(a->journal));
	}
}

static void
end_agents(void)
{
	int64_t until = W.now_ms + 5 * MINUTE;
	unsigned i;

	plan.is_ending = true;
	for (i = 0; i < W.agent_count; i++)
		W.agents[i].term_asked = true;
	while (!is_over() && world_step(until))
		;
	for (i = 0; i < W.agent_count; i++) {
		/* A copy without its registration ends it too, and nothing starts it again now. */
		bool lost_its_place = plan.rolled_back && W.agents[i].exit_status == 75;

		if (W.agents[i].is_alive || (W.agents[i].exit_status != 0 && !lost_its_place))
			violation("%s does not end at SIGTERM", W.agents[i].id);
	}
}

void
schedule_run(uint64_t seed)
{
	int64_t rest_until;

	world_begin();
	W.seed = seed;
	chance_seed(seed);
	disk_begin();
	database_begin();
	W.faults = true;
	draw();
	while (!is_over() && W.now_ms < plan.end_ms) {
		leap(plan.end_ms);
		(void)world_step(plan.end_ms);
	}
	calm_down();
	rest_until = W.now_ms + REST_MOST;
	while (!is_over() && W.now_ms < rest_until && (W.steps % 16 != 0 || !at_rest())) {
		leap(rest_until);
		(void)world_step(rest_until);
	}
	if (W.violation[0] == '\0')
		check();
	if (W.violation[0] == '\0')
		end_agents();
	W.counts.schedules++;
	world_end();
}
