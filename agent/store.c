#include "config.h"
#include "agent/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/dialect.h"
#include "agent/store_int.h"
#include "agent/text.h"
#include "schema/sql_source.h"

/* DIAGNOSTICS of this file (session, facts, the agent's own row):
 * store_open: RC_LOST no connection, RC_CONFIG login, dialect or settings, RC_NOMEM.
 * store_facts_read: missing tables are no error, schema_version is 0 then.
 * store_register: RC_AGAIN while the id is in use; the sentence names the holder. */

#define COUNT_LIMIT 100000
/* The arguments of 500 rows take 150 KB; below the smallest max_allowed_packet in use. */
#define JSON_MAX_BYTES ((size_t)900 * 1024)

static enum rc
run_session_script(struct store *s, struct err *e)
{
	const struct sql_source *src = sql_source_find(s->dialect, "session");
	const char *at;
	enum rc rc = RC_OK;

	if (src == NULL)
		return err_set(e, RC_BUG, 0, "store.open",
			       "schema/%s/session.sql is not in this program", s->dialect);
	at = src->text;
	while (rc == RC_OK) {
		size_t n;
		const char *p = dialect_next_statement(&at, &n);
		char *one;

		if (p == NULL)
			break;
		one = strndup(p, n);
		if (one == NULL)
			return err_set(e, RC_NOMEM, 0, "store.open", "no memory");
		rc = s->drv->exec_text(s->db, one, e);
		free(one);
	}
	return rc;
}

enum rc
store_open(const struct store_config *cfg, struct store **out, struct err *e)
{
	struct store *s = calloc(1, sizeof *s);
	enum rc rc;

	*out = NULL;
	if (s == NULL)
		return err_set(e, RC_NOMEM, 0, "store.open", "no memory");
	s->cfg = cfg;
	buf_init(&s->json, JSON_MAX_BYTES);
	s->drv = cfg->driver;
	s->ready = calloc(sql_source_count, sizeof *s->ready);
	s->list = calloc(STORE_LIST_MAX + STORE_COLS_MAX, sizeof *s->list);
	s->many = calloc((size_t)STORE_LIST_MAX * STORE_MANY_ARGS, sizeof *s->many);
	if (s->ready == NULL || s->list == NULL || s->many == NULL) {
		rc = err_set(e, RC_NOMEM, 0, "store.open", "no memory");
		goto out;
	}
	rc = s->drv->open(&cfg->params, &s->db, e);
	if (rc != RC_OK)
		goto out;
	s->dialect = cfg->dialect != NULL ? cfg->dialect : s->drv->dialect(s->db);
	if (!dialect_is_known(s->dialect)) {
		rc = err_set(e, RC_CONFIG, 0, "store.open",
			     "%.60s is no database that mtrelay knows; set database.dialect to "
			     "mysql, postgresql or sqlite",
			     s->drv->product(s->db));
		goto out;
	}
	rc = run_session_script(s, e);
	if (rc == RC_OK)
		rc = store_try_sets(s, e);
out:
	if (rc != RC_OK)
		store_close(s);
	else
		*out = s;
	return rc;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	store_rollback(s);
	for (size_t i = 0; s->ready != NULL && i < sql_source_count; i++) {
		for (size_t k = 0; k < STORE_LIST_SIZES; k++) {
			if (s->ready[i][k].st != NULL)
				s->drv->finish(s->ready[i][k].st);
			free(s->ready[i][k].text);
		}
	}
	if (s->db != NULL)
		s->drv->close(s->db);
	free(s->ready);
	free(s->list);
	free(s->many);
	buf_free(&s->json);
	free(s);
}

void
store_cancel(struct store *s)
{
	s->drv->cancel(s->db);
}

const char *
store_dialect(const struct store *s)
{
	return s->dialect;
}

const char *
store_agent_id(const struct store *s)
{
	return s->cfg->agent_id;
}

/* ---- facts ---- */

static bool
is_missing_table(const struct err *e)
{
	return strcmp(e->sqlstate, "42S02") == 0 || strcmp(e->sqlstate, "42P01") == 0 ||
	       strcmp(e->sqlstate, "S0002") == 0 || strstr(e->text, "no such table") != NULL;
}

static enum rc
read_identity(struct store *s, char *dst, size_t size, struct err *e)
{
	bool found = false;
	enum rc rc = RC_OK;

	if (!s->identity_is_plain) {
		rc = store_one(s, "identity", NULL, 0, &found, e);
		/* Hosted servers may keep the control file to themselves. */
		if ((rc == RC_CONFIG || rc == RC_DATA) && store_has(s, "identity_plain"))
			s->identity_is_plain = true;
		else if (rc != RC_OK)
			return rc;
	}
	if (s->identity_is_plain)
		rc = store_one(s, "identity_plain", NULL, 0, &found, e);
	if (rc == RC_OK && found)
		(void)store_col_text(&s->cols[0], dst, size);
	return rc;
}

struct setting_rule {
	const char *name;
	const char *weak;	    /* the value that is weak */
	bool weak_is_anything_else; /* every other value than it */
	enum durability means;
	const char *cost;
};

static const struct setting_rule rules[] = {
	{ "innodb_flush_log_at_trx_commit", "0", false, DURABLE_NOT,
	  "a crash of the server loses the commits of the last second; set it to 1" },
	{ "innodb_flush_log_at_trx_commit", "2", false, DURABLE_RISKY,
	  "a power failure loses the commits of the last second; set it to 1" },
	{ "sync_binlog", "1", true, DURABLE_RISKY,
	  "a crash can lose transactions from the binary log and so on replicas; set it to 1" },
	{ "synchronous_commit", "off", false, DURABLE_NOT,
	  "a crash of the server loses the last commits; set it to on (also for this role alone)" },
	{ "fsync", "off", false, DURABLE_NOT,
	  "a power failure can lose or damage the database; set it to on" },
	{ "full_page_writes", "off", false, DURABLE_RISKY,
	  "a power failure can leave torn pages; set it to on" },
};

static void
judge_setting(struct store_facts *f, const char *name, const char *value, bool has_binlog)
{
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		const struct setting_rule *r = &rules[i];
		bool is_weak = (strcmp(value, r->weak) == 0) != r->weak_is_anything_else;

		if (strcmp(name, r->name) != 0 || !is_weak || r->means <= f->durability)
			continue;
		if (strcmp(name, "sync_binlog") == 0 && !has_binlog)
			continue;
		f->durability = r->means;
		(void)snprintf(f->durability_text, sizeof f->durability_text,
			       "%.40s = %.20s: %.120s", name, value, r->cost);
	}
}

static enum rc
read_server_settings(struct store *s, struct store_facts *f, struct err *e)
{
	struct {
		char name[48], value[32];
	} set[8];
	size_t n = 0;
	bool has_binlog = false;
	bool more = true;
	enum rc rc = store_run(s, "durability", NULL, 0, NULL, e);

	while (rc == RC_OK && more) {
		rc = store_next(s, &more, e);
		if (rc != RC_OK || !more || n == COUNT_OF(set))
			continue;
		(void)store_col_text(&s->cols[0], set[n].name, sizeof set[n].name);
		(void)store_col_text(&s->cols[1], set[n].value, sizeof set[n].value);
		has_binlog = has_binlog || (strcmp(set[n].name, "log_bin") == 0 &&
					    strcmp(set[n].value, "ON") == 0);
		n++;
	}
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		judge_setting(f, set[i].name, set[i].value, has_binlog);
	return rc;
}

#define SQLITE_SYNC_FULL 2

static enum rc
read_pragmas(struct store *s, struct store_facts *f, struct err *e)
{
	char journal[16] = "";
	int64_t sync = 0;
	bool found;
	enum rc rc = store_one(s, "pragma_sync", NULL, 0, &found, e);

	if (rc == RC_OK && found)
		sync = s->cols[0].i;
	if (rc == RC_OK)
		rc = store_one(s, "pragma_journal", NULL, 0, &found, e);
	if (rc != RC_OK)
		return rc;
	if (found)
		(void)store_col_text(&s->cols[0], journal, sizeof journal);
	if (strcmp(journal, "off") == 0 || strcmp(journal, "memory") == 0 || sync == 0 ||
	    (strcmp(journal, "wal") == 0 && sync < SQLITE_SYNC_FULL)) {
		f->durability = DURABLE_NOT;
		(void)snprintf(f->durability_text, sizeof f->durability_text,
			       "journal_mode = %s, synchronous = %" PRId64
			       ": a power failure loses the last commits; "
			       "set SyncPragma=FULL in the connection string",
			       journal, sync);
	} else if (sync < SQLITE_SYNC_FULL) {
		f->durability = DURABLE_RISKY;
		(void)snprintf(f->durability_text, sizeof f->durability_text,
			       "synchronous = %" PRId64
			       ": a power failure can damage the file; set SyncPragma=FULL in the "
			       "connection string",
			       sync);
	}
	return RC_OK;
}

enum rc
store_facts_read(struct store *s, struct store_facts *f, struct err *e)
{
	struct err local;
	bool found = false;
	enum rc rc;

	if (e == NULL)
		e = &local;
	memset(f, 0, sizeof *f);
	(void)text_copy(f->dialect, sizeof f->dialect, s->dialect);
	(void)text_copy(f->product, sizeof f->product, s->drv->product(s->db));
	(void)text_copy(f->durability_text, sizeof f->durability_text, "commits survive a crash");
	rc = strcmp(s->dialect, "sqlite") == 0 ? read_pragmas(s, f, e)
					       : read_server_settings(s, f, e);
	if (rc != RC_OK)
		return rc;
	rc = store_one(s, "meta_read", NULL, 0, &found, e);
	if (rc == RC_CONFIG || rc == RC_DATA)
		return is_missing_table(e) ? RC_OK : rc;
	if (rc != RC_OK || !found)
		return rc;
	f->schema_version = (int)s->cols[0].i;
	f->installation = (uint32_t)s->cols[1].i;
	f->is_frozen = s->cols[3].n > 0 && s->cols[3].p[0] == 'Y';
	(void)store_col_text(&s->cols[4], f->freeze_reason, sizeof f->freeze_reason);
	return read_identity(s, f->identity, sizeof f->identity, e);
}

/* ---- the agent's own row ---- */

struct agent_row {
	int64_t incarnation, pid, claim_seq;
	bool is_live;
	char journal_id[40], host[64];
};

static enum rc
read_agent(struct store *s, struct agent_row *a, bool *found, struct err *e)
{
	const struct db_value args[] = { store_v_text(s->cfg->agent_id) };
	enum rc rc = store_one(s, "agent_read", args, COUNT_OF(args), found, e);

	memset(a, 0, sizeof *a);
	if (rc != RC_OK || !*found)
		return rc;
	a->incarnation = s->cols[0].i;
	(void)store_col_text(&s->cols[1], a->journal_id, sizeof a->journal_id);
	a->is_live = s->cols[2].i == 1;
	(void)store_col_text(&s->cols[3], a->host, sizeof a->host);
	a->pid = s->cols[6].i;
	a->claim_seq = s->cols[7].i;
	return RC_OK;
}

enum rc
store_register(struct store *s, const struct store_agent *a, struct store_registration *out,
	       struct err *e)
{
	struct agent_row was;
	int64_t affected = 0;
	bool found;
	enum rc rc;

	memset(out, 0, sizeof *out);
	rc = store_begin(s, e);
	if (rc != RC_OK)
		return rc;
	rc = read_agent(s, &was, &found, e);
	if (rc != RC_OK)
		goto out;
	out->same_journal = found && strcmp(was.journal_id, a->journal_id) == 0;
	if (found && was.is_live && !out->same_journal) {
		rc = err_set(e, RC_AGAIN, 0, "store.register",
			     "agent %s runs already on host %s as process %" PRId64
			     " with another journal; give this one "
			     "another agent.id, or stop that one (its lease ends by itself)",
			     s->cfg->agent_id, was.host, was.pid);
		goto out;
	}
	if (found) {
		const struct db_value args[] = {
			v_int(s->cfg->agent_lease_ms),
			store_v_text(a->journal_id),
			store_v_text(a->boot_id),
			store_v_text(a->host),
			v_int(a->pid),
			store_v_text(a->version),
			store_v_text(s->cfg->agent_id),
			v_int(was.incarnation),
		};

		rc = store_run(s, "agent_start", args, COUNT_OF(args), &affected, e);
	} else {
		const struct db_value args[] = {
			store_v_text(s->cfg->agent_id), v_int(s->cfg->agent_lease_ms),
			store_v_text(a->journal_id),	store_v_text(a->boot_id),
			store_v_text(a->host),		v_int(a->pid),
			store_v_text(a->version),
		};

		rc = store_run(s, "agent_new", args, COUNT_OF(args), &affected, e);
		if (rc == RC_DATA)
			rc = err_set(e, RC_AGAIN, 0, "store.register",
				     "agent %s is being registered by another process",
				     s->cfg->agent_id);
	}
	if (rc == RC_OK && affected != 1)
		rc = err_set(e, RC_AGAIN, 0, "store.register",
			     "agent %s is being registered by another process", s->cfg->agent_id);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(register_before_commit), "store.register", e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc == RC_OK)
		rc = store_fault(FAILPOINT(register_after_commit), "store.register", e);
	if (rc == RC_OK) {
		out->previous_incarnation = was.incarnation;
		out->incarnation = was.incarnation + 1;
		out->claim_seq = was.claim_seq;
		/* The caller's struct, which only promises not to be changed by the other calls. */
		((struct store_config *)(uintptr_t)s->cfg)->incarnation = out->incarnation;
	}
out:
	if (rc != RC_OK)
		store_rollback(s);
	return rc;
}

static enum rc
count_status(struct store *s, int status, int64_t *out, struct err *e)
{
	const struct db_value args[] = { v_int(status), v_int(COUNT_LIMIT) };
	bool found;
	enum rc rc = store_one(s, "count_status", args, COUNT_OF(args), &found, e);

	*out = rc == RC_OK && found ? s->cols[0].i : 0;
	return rc;
}

static enum rc
read_oldest(struct store *s, int64_t *out_ms, struct err *e)
{
	enum rc rc = RC_OK;

	*out_ms = 0;
	for (int t = 0; rc == RC_OK && t < MSG_TYPE_COUNT; t++) {
		for (int p = 0; rc == RC_OK && p < PRIORITY_COUNT; p++) {
			const struct db_value args[] = {
				store_v_text(msg_type_name((enum msg_type)t)), v_int(p)
			};
			bool found;

			rc = store_one(s, "queue_oldest", args, COUNT_OF(args), &found, e);
			if (rc == RC_OK && found && s->cols[0].type == DB_INT &&
			    s->cols[0].i > *out_ms)
				*out_ms = s->cols[0].i;
		}
	}
	return rc;
}

static enum rc
count_rows(struct store *s, struct store_beat *b, struct err *e)
{
	int64_t deferred = 0;
	enum rc rc = count_status(s, ROW_READY, &b->waiting, e);

	if (rc == RC_OK)
		rc = count_status(s, ROW_DEFERRED, &deferred, e);
	if (rc == RC_OK)
		rc = count_status(s, ROW_UNKNOWN, &b->unknown, e);
	if (rc == RC_OK)
		rc = count_status(s, ROW_HELD, &b->held, e);
	if (rc == RC_OK)
		rc = read_oldest(s, &b->oldest_due_ms, e);
	if (rc == RC_OK) {
		struct db_value args[] = {
			v_int(0),
			v_int(b->unknown),
			v_int(b->held),
			v_int(b->oldest_due_ms / 1000),
			store_v_text(s->cfg->agent_id),
			v_int(s->cfg->incarnation),
		};

		b->waiting += deferred;
		if (b->waiting > COUNT_LIMIT)
			b->waiting = COUNT_LIMIT;
		args[0] = v_int(b->waiting);
		rc = store_run(s, "agent_counts", args, COUNT_OF(args), NULL, e);
	}
	return rc;
}

enum rc
store_heartbeat(struct store *s, struct store_beat *b, struct err *e)
{
	const struct db_value beat[] = {
		v_int(s->cfg->agent_lease_ms), store_v_some(b->channels),
		store_v_some(b->last_error),   store_v_text(s->cfg->agent_id),
		v_int(s->cfg->incarnation),
	};
	const struct db_value id[] = { store_v_text(s->cfg->agent_id) };
	int64_t affected = 0;
	bool found = false;
	enum rc rc;

	b->is_ours = false;
	rc = store_run(s, "agent_beat", beat, COUNT_OF(beat), &affected, e);
	if (rc != RC_OK)
		return rc;
	b->is_ours = affected == 1;
	rc = store_one(s, "beat_read", id, COUNT_OF(id), &found, e);
	if (rc != RC_OK)
		return rc;
	if (found) {
		b->claim_seq = s->cols[0].i;
		b->is_frozen = s->cols[1].n > 0 && s->cols[1].p[0] == 'Y';
		b->db_now_ms = s->cols[2].i;
		b->owes_replay = s->cols[3].i == 1;
		b->beat_seq = s->cols[4].i;
	}
	rc = read_identity(s, b->identity, sizeof b->identity, e);
	if (rc == RC_OK && b->count)
		rc = count_rows(s, b, e);
	return rc;
}

enum rc
store_sign_off(struct store *s, struct err *e)
{
	const struct db_value args[] = { store_v_text(s->cfg->agent_id),
					 v_int(s->cfg->incarnation) };

	return store_run(s, "agent_stop", args, COUNT_OF(args), NULL, e);
}

/* One statement and a history row about it, when it changed anything. */
static enum rc
change_freeze(struct store *s, const char *statement, const struct db_value *args, size_t n,
	      const char *event, const char *who, const char *reason, bool *changed, struct err *e)
{
	const struct history h = {
		.event = event, .who = who, .reason = reason, .from = -1, .to = -1
	};
	int64_t affected = 0;
	enum rc rc = store_begin(s, e);

	if (rc != RC_OK)
		return rc;
	rc = store_run(s, statement, args, n, &affected, e);
	*changed = rc == RC_OK && affected > 0;
	if (*changed)
		rc = store_history(s, &h, e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	return rc;
}

enum rc
store_freeze(struct store *s, const char *reason, struct err *e)
{
	const struct db_value args[] = { store_v_text(reason) };
	bool changed;

	return change_freeze(s, "freeze", args, COUNT_OF(args), "freeze", s->cfg->agent_id, reason,
			     &changed, e);
}

enum rc
store_unfreeze(struct store *s, const char *by, const char *reason, struct err *e)
{
	bool changed;

	return change_freeze(s, "unfreeze", NULL, 0, "unfreeze", by, reason, &changed, e);
}

enum rc
store_replayed(struct store *s, bool *lifted, struct err *e)
{
	const struct db_value args[] = { store_v_text(s->cfg->agent_id) };
	enum rc rc = store_run(s, "agent_replayed", args, COUNT_OF(args), NULL, e);

	*lifted = false;
	if (rc != RC_OK)
		return rc;
	return change_freeze(s, "unfreeze_replayed", NULL, 0, "unfreeze", s->cfg->agent_id,
			     "every listed agent has told what its journal knew", lifted, e);
}
