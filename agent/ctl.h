/* ctl.h - what the parts of mtrelayctl share: the table of commands and the state of one call.
 *
 * One thread, one command a process. Commands that ask the running agent are in ctl_agent.c, those
 * that work on the database alone in ctl_db.c, ctl_unknown.c and ctl_check.c. Text for people,
 * --json for programs. Exit status: 0 done or healthy, 1 a warning, 2 a failure or nothing found,
 * 64 wrong use, 69 agent or database not reached, 77 no right to, 78 configuration. */
#ifndef MTRELAY_CTL_H
#define MTRELAY_CTL_H
#include <jansson.h>
#include "agent/conf.h"
#include "agent/schema.h"
#include "agent/store_admin.h"
#include "agent/store_setup.h"

enum { CTL_OK = 0, CTL_WARN = 1, CTL_FAIL = 2 };

struct ctl {
	const char *conf_path;
	const char *socket;	   /* --socket; NULL: from the configuration */
	const char *user;	   /* --user: database login other than the agent's */
	const char *password_file; /* --password-file */
	bool is_json;
	struct conf *conf;
	struct store_setup setup;
	bool has_setup;
};

struct ctl_command {
	const char *name;
	const char *args;
	const char *sentence;
	int (*run)(struct ctl *c, int argc, char **argv); /* argv[0] is the command */
};

/* Prints "mtrelayctl: sentence" on stderr (with --json also as an object on stdout) and returns
 * status. */
int ctl_complain(const struct ctl *c, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The sentence of e with the status that fits its class. */
int ctl_fail(const struct ctl *c, const struct err *e);
/* Loads the configuration once; 0 or the status to end with. */
int ctl_need_conf(struct ctl *c);
/* A store on the configured database, with the login of the options when they name one; 0 or the
 * status to end with. The caller closes it. */
int ctl_need_store(struct ctl *c, struct store **out);
/* Puts the login of the options, when they name one, into the loaded configuration. */
void ctl_use_login(struct ctl *c);
/* The same without a store: parameters for a bare session. */
int ctl_need_setup(struct ctl *c);
/* A bare session with its dialect; the caller closes it. */
int ctl_need_session(struct ctl *c, struct schema_db *db);
/* Like ctl_fail(); when the database refused for want of rights, with as whom to run it ("the owner
 * of the tables"). */
int ctl_fail_as(const struct ctl *c, const struct err *e, const char *who);
/* Prints root as one line of JSON and lets it go. */
void ctl_print_json(json_t *root);

/* The lines "OK|WARN|FAIL  thing  sentence" of check and schema --check. */
struct ctl_report {
	const struct ctl *c;
	json_t *lines; /* with --json, printed at the end */
	int worst;     /* CTL_OK, CTL_WARN, CTL_FAIL */
	unsigned count[CTL_FAIL + 1];
};
void ctl_report_begin(struct ctl_report *r, const struct ctl *c);
void ctl_report_line(struct ctl_report *r, int level, const char *thing, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* For schema_check(); ctx is the report. */
void ctl_report_finding(void *ctx, const struct schema_finding *f);
/* Prints the sum, or the object; returns the status to end with. */
int ctl_report_end(struct ctl_report *r);

/* "2026-11-21 10:00:00.123" in this host's zone, "-" for 0; returns buf (32 bytes are enough). */
const char *ctl_time(char *buf, size_t size, int64_t ms);
/* UTC, or null for 0. */
json_t *ctl_json_time(int64_t ms);
/* "5 s", "12 min", "3 h 10 min", "4 days" without a sign; returns buf (32 bytes are enough). */
const char *ctl_span(char *buf, size_t size, int64_t ms);

/* What keeps a message, one sentence each, printed (with --json put into *out). 0 done or on
 * its way, 1 it waits for something that ends by itself, 2 somebody must act or there is no such
 * message. */
int ctl_explain_id(struct ctl *c, struct store *s, int64_t msg_id, json_t **out);
/* A result as one line of text; as an object. */
void ctl_print_result(int64_t msg_id, const struct admin_result *r);
json_t *ctl_json_result(const struct admin_result *r);
#define CTL_READER "a login that may read mtrelay's tables, such as the agent's own or the reader's"
#define CTL_WRITER \
	"a login that may write mtrelay's tables, such as the agent's own or the application's"

int ctl_status(struct ctl *c, int argc, char **argv);
int ctl_stats(struct ctl *c, int argc, char **argv);
int ctl_words(struct ctl *c, int argc, char **argv); /* pause resume drain reload log */
int ctl_schema(struct ctl *c, int argc, char **argv);
int ctl_check(struct ctl *c, int argc, char **argv);
int ctl_send(struct ctl *c, int argc, char **argv);
int ctl_explain(struct ctl *c, int argc, char **argv);
int ctl_trace(struct ctl *c, int argc, char **argv);
int ctl_cancel(struct ctl *c, int argc, char **argv);
int ctl_unknown(struct ctl *c, int argc, char **argv);
int ctl_requeue(struct ctl *c, int argc, char **argv);
int ctl_unfreeze(struct ctl *c, int argc, char **argv);

#endif
