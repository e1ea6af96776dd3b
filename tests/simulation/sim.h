/* sim.h - what the parts of the simulation share.
 *
 * One process, one thread. Every agent is the real relay_run() in a coroutine, every lane of it
 * another one; world.c decides which of them goes on, and when. Time is a number: it moves to the
 * next thing that is due when nothing can run now. All chance comes from the seed of the
 * schedule, so that the same seed is the same schedule. Unit: milliseconds of virtual time.
 *
 *   world.c     clock, coroutines, the imitation of libevent and of the lanes, agents that
 *               start, stand still and die
 *   disk.c      the files of the journals, in memory, with a page cache that a power cut loses
 *   database.c  the database driver "sim": one SQLite in memory with the real SQL, failures,
 *               outages, older copies
 *   provider.c  the channel driver "sim" and what the provider really did
 *   schedule.c  one schedule: its plan, the application, the operator, and the oracle
 *   simulation.c  the program: seeds, children, counts */
#ifndef MTRELAY_SIM_H
#define MTRELAY_SIM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/conf.h"
#include "agent/err.h"

#define AGENTS_MAX 3
#define PROVIDERS_MAX 2
#define MESSAGES_MAX 12
#define LEGS_MAX 2
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

struct journal;
struct pipeline;
struct relay;
struct coro;
struct lane;
struct event;
struct event_base;
struct job;

/* ---- chance ---- */
void chance_seed(uint64_t seed);
uint64_t chance_u64(void);
unsigned pick(unsigned n); /* 0 to n - 1 */
bool chance(unsigned per_10000);
int64_t between(int64_t least, int64_t most);

/* ---- counts, added up over all schedules of a run ---- */
#define COUNTS(X)                                                                                \
	X(schedules)                                                                             \
	X(steps)                                                                                 \
	X(messages)                                                                              \
	X(starts) X(crashes) X(power_cuts) X(lost_journals) X(pauses) X(drains) X(lost_commits)  \
		X(lost_calls) X(outages) X(rollbacks) X(clock_jumps) X(requests) X(cut_requests) \
			X(late_requests) X(resends) X(queries) X(reports) X(lost_pages) X(parts) X(ok) \
				X(failed) X(unknown) X(excused) X(lost) X(doubled) X(wrong)      \
					X(stuck)
struct counts {
#define COUNT_FIELD(name) int64_t name;
	COUNTS(COUNT_FIELD)
#undef COUNT_FIELD
};

/* ---- the world ---- */
struct agent {
	int no;
	char id[8];
	char dir[16];
	char boot_id[40];
	bool is_alive, is_ready;
	bool term_asked;
	bool crash_asked; /* by the coroutine that runs: it does not go on */
	int exit_status;
	int64_t paused_until_ms; /* 0: not paused */
	int64_t mono_lag_ms;	 /* the host slept so long */
	unsigned crash_in;	 /* points until it dies, 0 never */
	unsigned pause_in;	 /* points until it stands still, 0 never */
	unsigned db_fault_in;	 /* database calls until one fails, 0 never */
	struct coro *main;
	struct event_base *base;
	struct event *events;
	struct lane *lanes[8];
	unsigned lane_count;
	struct relay *relay;
	struct pipeline *pipeline;
	const struct journal *journal;
	void (*ask)(struct agent *a); /* what an operator asks of the running agent */
	struct conf *conf;
	unsigned hot; /* requests and questions under way */
	size_t held_bytes;
	size_t places[8];
	bool disk_is_full;
};

struct world {
	int64_t now_ms;
	int64_t db_offset_ms;
	bool faults; /* false: nothing fails any more, all must come to rest */
	bool is_traced;
	uint64_t hash;
	int64_t steps;
	unsigned agent_count;
	struct agent agents[AGENTS_MAX];
	bool db_is_down;
	struct counts counts;
	char violation[512]; /* the first one, "" none */
	uint64_t seed;
};
extern struct world W;

/* Adds a line to the trace: always to its hash, to stdout when it is wanted. */
void trace(const struct agent *a, const char *what, int64_t x, int64_t y);
void trace_text(const struct agent *a, const char *what, const char *text);
void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void world_begin(void);
void world_end(void);
/* fn(arg, n) at due_ms, outside of any agent. */
void world_at(int64_t due_ms, void (*fn)(void *arg, int64_t n), void *arg, int64_t n);
int64_t world_next_ms(void); /* of these, INT64_MAX none */
/* Lets one thing happen; false: nothing ever will. */
bool world_step(int64_t not_after_ms);
bool world_is_quiet(void); /* no agent starts, no lane works, nothing is under way */
struct agent *world_running(void);

void agent_start(struct agent *a);
void agent_crash(struct agent *a);
/* SIGSTOP for so long; sleeps: the host, and its monotonic clock, too. */
void agent_pause(struct agent *a, int64_t ms, bool sleeps);
/* In the agent's coroutine: may be its end. */
void crash_point(void);
/* In the agent's coroutine, where nothing of it that all agents share is in use: it may stand
 * still. */
void pause_point(void);
/* In a coroutine: goes on ms later. */
void sleep_ms(int64_t ms);
/* From a hook: status as of _exit(). */
void sim_exit(int status) __attribute__((noreturn));
void agent_held_swap(struct agent *out, struct agent *in);

/* ---- disk.c ---- */
void disk_begin(void);
void disk_crash(struct agent *a);     /* its descriptors are closed */
void disk_power_cut(struct agent *a); /* and what was not synced is lost */
void disk_wipe(struct agent *a);

/* ---- database.c ---- */
void database_open(void);  /* once a process */
void database_begin(void); /* empty tables */
void database_crash(struct agent *a);
void database_kill_sessions(void);
void database_snapshot(void);
void database_restore(bool new_identity);
/* SQL of the application and of the oracle. */
int64_t database_int(const char *sql);
int64_t database_run(const char *sql); /* rows changed, -1 refused */
void database_each(const char *sql, void (*row)(void *arg, char **cols), void *arg);

/* ---- provider.c ---- */
struct provider_plan {
	bool knows_keys, can_query, has_reports;
	bool has_parts; /* a message is up to three, each with an id and reports of its own */
	int64_t window_ms;
	int report_by; /* 0 key and id, 1 key, 2 id */
	unsigned p_reject, p_defer, p_ended, p_cut_before, p_cut_after, p_late, p_lost_answer;
	unsigned p_fail, p_silent, p_duplicate, p_contradict, p_lost_page, p_pending;
	int64_t in_flight_ms; /* a request is taken so late at most */
};
struct truth {
	int accepted, delivered, refused;
	bool lied;   /* reports contradicted each other */
	bool bumped; /* an attempt went out with another generation than 0 */
	int64_t first_wire_ms, last_wire_ms;
	int64_t leg_wire_ms[LEGS_MAX];
};
void providers_begin(unsigned n, const struct provider_plan *plans);
void provider_set_up(unsigned at, bool is_up);
void provider_agent_crash(struct agent *a);
int64_t providers_next_ms(void); /* when a report comes to the queue, INT64_MAX none */
bool providers_are_empty(void);
/* Of the message that the application knows as number n. */
const struct truth *truth_of(unsigned n);
/* -1: no message of ours. */
int message_of_key(const char *client_key);

/* ---- schedule.c ---- */
void schedule_run(uint64_t seed);
/* Its process is gone, by a crash or with exit_status. */
void schedule_agent_ended(struct agent *a, bool is_crash);

#endif
