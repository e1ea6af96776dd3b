/* Does each module's main job again and again, and each time the next allocation or system call of
 * it fails, alone or with all that follow. torture MODULE [alloc|system|library [NTH [HOW]]];
 * without an argument it names the modules.
 *
 * A job knows what it was told: what was reported as done must be there when it looks again without
 * failures, what was refused must not be, nothing may leak, and nothing may end by a signal or
 * stand still. Where own code ends the process by its own choice (abort() without memory: a restart
 * is safe) the look is taken by a fresh process, and the run counted apart.
 *
 * Prints one line a module and kind: "MODULE KIND runs=N ended=N" or what went wrong; status 1
 * then. */
#include "config.h"
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/batch.h"
#include "agent/buf.h"
#include "agent/codemap.h"
#include "agent/conf.h"
#include "agent/control.h"
#include "agent/journal.h"
#include "agent/key.h"
#include "agent/lane.h"
#include "agent/log.h"
#include "agent/schema.h"
#include "agent/store.h"
#include "drivers/channel/infobip_codec.h"
#include "drivers/db/db.h"
#include "drivers/db/mem.h"
#include "tests/torture/fail.h"

#define HANG_S 30
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the child tells, whatever becomes of it. */
static struct shared {
	unsigned long nth, runs;
	char why[400];
} * shared;
static char folder[90];
/* MTRELAY_TORTURE_STEP=N: only every Nth, for a short run; MTRELAY_SEED says from which on. */
static unsigned long step = 1, first = 1;

#define must(condition)                                         \
	do {                                                    \
		if (!(condition))                               \
			broken(#condition, __FILE__, __LINE__); \
	} while (0)

static _Noreturn void
broken(const char *condition, const char *file, int line)
{
	snprintf(shared->why, sizeof shared->why, "%s:%d: %s (after %s)", file, line, condition,
		 fail_what());
	_exit(1);
}

static void
calm(void)
{
	fail_at(FAIL_ALLOC, 0, false, 0);
}

static char *
path_of(char *buf, size_t size, const char *name)
{
	must((size_t)snprintf(buf, size, "%s/%s", folder, name) < size);
	return buf;
}

static void
remove_files(const char *prefix)
{
	DIR *d = opendir(folder);
	struct dirent *one;

	while (d != NULL && (one = readdir(d)) != NULL)
		if (strncmp(one->d_name, prefix, strlen(prefix)) == 0)
			unlinkat(dirfd(d), one->d_name, 0);
	if (d != NULL)
		closedir(d);
}

static void
write_file(const char *name, const char *text)
{
	char path[300];
	FILE *f = fopen(path_of(path, sizeof path, name), "w");

	must(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Every error is a class with a sentence. */
static bool
done(enum rc rc, const struct err *e)
{
	must(rc == RC_OK || e->text[0] != '\0');
	return rc == RC_OK;
}

/* ---- base: buffers, batches, code maps, keys, a lane, a log ---- */

struct small_job {
	struct job job;
	int ran, ended;
};

static void
job_run(struct job *j, void *ctx)
{
	(void)ctx;
	((struct small_job *)(void *)j)->ran++;
}

static void
job_done(struct job *j)
{
	((struct small_job *)(void *)j)->ended++;
}

static void
run_lane(void)
{
	struct small_job jobs[3] = { { .ran = 0 } };
	struct lane *l;
	struct err e = { 0 };
	int taken = 0;

	if (!done(lane_start("torture", 4, NULL, NULL, NULL, &l, &e), &e))
		return;
	for (size_t i = 0; i < COUNT(jobs); i++) {
		jobs[i].job.run = job_run;
		jobs[i].job.done = job_done;
		taken += lane_submit(l, &jobs[i].job) == RC_OK;
	}
	lane_stop(l);
	for (size_t i = 0; i < COUNT(jobs); i++) {
		must(jobs[i].ran == jobs[i].ended && jobs[i].ran <= 1);
		taken -= jobs[i].ran;
	}
	must(taken == 0);
}

static void
run_base(void)
{
	static char large[3000];
	struct codemap *codes;
	struct err e = { 0 };
	struct batch *b;
	struct buf text;
	char path[300];
	char *p;
	size_t n = 0;

	memset(large, 'x', sizeof large);
	buf_init(&text, 100000);
	for (int i = 0; i < 40; i++)
		n += buf_add(&text, large, sizeof large) == RC_OK ? sizeof large : 0;
	must(n == text.n);
	p = buf_take(&text, &n);
	free(p);
	buf_free(&text);

	b = batch_new(1 << 20);
	for (int i = 0; b != NULL && i < 50; i++) {
		struct message *m = batch_message(b);

		if (m == NULL || batch_text(b, large, 2500) == NULL ||
		    batch_derive(b, 5000) == NULL)
			break;
	}
	batch_free(b);

	if (done(codemap_builtin("infobip", &codes, &e), &e))
		codemap_free(codes);
	path_of(path, sizeof path, "some.codes");
	if (done(codemap_read(path, &codes, &e), &e))
		codemap_free(codes);
	if (done(log_open(LOG_SINK_FILE, path_of(path, sizeof path, "log"), LOG_LEVEL_INFO, &e),
		 &e)) {
		log_event(LOG_LEVEL_WARN, "torture.line", "n=%d", 1);
		(void)done(log_reopen(&e), &e);
		log_event(LOG_LEVEL_WARN, "torture.line", "n=%d", 2);
		log_close();
	}
	run_lane();
}

static void
setup_base(void)
{
	write_file("some.codes", "sms group 3 0000 ok delivered\nsms error 1-5 4001 fail absent\n");
}

/* ---- conf ---- */

static void
setup_conf(void)
{
	char text[1000];

	snprintf(text, sizeof text,
		 "agent: { id = \"t\"; state_dir = \"%s\"; };\n"
		 "database: { driver = \"odbc\"; connection = \"DSN=x\"; password_file = "
		 "\"%s/good.conf\"; };\n"
		 "channels: ( { name = \"null\"; driver = \"null\"; } );\n"
		 "routes: ( { type = [\"SMS\", \"LMS\"]; channels = [\"null\"]; } );\n",
		 folder, folder);
	write_file("good.conf", text);
	write_file("bad.conf",
		   "agent: { idd = 1; };\nchannels: ( { name = \"a\"; driver = \"b\"; } );\n");
}

static void
run_conf(void)
{
	struct conf_problems p = { 0 };
	struct conf *c = NULL;
	char path[300], secret[32];
	struct err e = { 0 };

	if (conf_load(path_of(path, sizeof path, "good.conf"), &c, &p) == RC_OK) {
		must(conf_check_files(c, &p) == RC_OK || p.n > 0);
		(void)done(conf_secret_read(path, secret, sizeof secret, &e), &e);
		conf_unref(c);
	} else {
		must(c == NULL && p.n > 0);
	}
	conf_problems_free(&p);
	if (conf_load(path_of(path, sizeof path, "bad.conf"), &c, &p) == RC_OK)
		must(false);
	must(p.n > 0);
	conf_problems_free(&p);
}

/* ---- journal ---- */

#define SEGMENT_BYTES (16 * 1024)
#define MARKS 40

/* What the journal said, in memory that outlives the process. */
enum said { SAID_NOTHING, SAID_NO, SAID_MAYBE, SAID_YES };
static struct book {
	enum said submit[MARKS], settled[MARKS], report[MARKS], report_settled[MARKS];
	uint64_t number[MARKS];
} * book;

static struct journal_mark
mark(int i)
{
	struct journal_mark m = { .msg_id = i + 1, .fence = 1, .try_no = 1, .channel = "torture" };

	snprintf(m.client_key, sizeof m.client_key, "key%d", i);
	return m;
}

/* After RC_BUG the process must not go on: false. */
static bool
note(enum said *s, int n, enum rc rc)
{
	for (int i = 0; i < n; i++)
		s[i] = rc == RC_OK ? SAID_YES : rc == RC_BUG ? SAID_MAYBE : SAID_NO;
	return rc != RC_BUG;
}

static bool
fill_journal(struct journal *j)
{
	struct err e = { 0 };

	if (journal_start(j, 1, &e) != RC_OK)
		return false;
	for (int i = 0; i < MARKS; i += 8) {
		struct journal_mark m[8];
		struct outcome o[8];
		struct report r[8];
		int fd;

		memset(o, 0, sizeof o);
		memset(r, 0, sizeof r);
		for (int k = 0; k < 8; k++) {
			m[k] = mark(i + k);
			book->submit[i + k] = SAID_MAYBE;
			snprintf(o[k].provider_id, sizeof o[k].provider_id, "id%d", i + k);
			snprintf(r[k].provider_id, sizeof r[k].provider_id, "id%d", i + k);
		}
		if (!note(book->submit + i, 8, journal_submit(j, m, 8, &e)))
			return false;
		if (book->submit[i] == SAID_NO)
			continue;
		if (journal_answer(j, m, o, 8, &e) == RC_BUG)
			return false;
		note(book->report + i, 8, RC_BUG);
		if (!note(book->report + i, 8, journal_report(j, r, book->number + i, 8, &e)))
			return false;
		note(book->settled + i, 4, RC_BUG);
		if (!note(book->settled + i, 4, journal_settled(j, m, 4, &e)))
			return false;
		if (book->report[i] == SAID_YES) {
			note(book->report_settled + i, 4, RC_BUG);
			if (!note(book->report_settled + i, 4,
				  journal_report_settled(j, book->number + i, 4, &e)))
				return false;
		}
		if (journal_seen(j, i, 7, &e) == RC_BUG)
			return false;
		fd = journal_sync_fd(j);
		if (fd >= 0)
			close(fd);
	}
	return true;
}

static void
one_report(void *arg, const struct report *r, uint64_t number)
{
	(void)r;
	for (int i = 0; i < MARKS; i++)
		if (book->number[i] == number)
			((bool *)arg)[i] = true;
}

/* The next start, without failures, against the book. */
static void
look_journal(void)
{
	bool reports[MARKS] = { false };
	struct journal_info info;
	struct journal *j;
	struct err e;

	must(journal_open(folder, SEGMENT_BYTES, 8 * SEGMENT_BYTES, &j, &info, &e) == RC_OK);
	journal_each_report(j, one_report, reports);
	for (int i = 0; i < MARKS; i++) {
		bool knows = journal_knows(j, i + 1, 0, 1);
		bool proof = info.unbroken_since <= 1; /* an absent mark means: never sent */

		if (book->submit[i] == SAID_YES && book->settled[i] < SAID_MAYBE)
			must(knows || !proof);
		/* A whole journal never loses what it took. */
		if (book->submit[i] == SAID_YES && book->settled[i] < SAID_MAYBE && !info.is_broken)
			must(knows);
		if (book->submit[i] <= SAID_NO || book->settled[i] == SAID_YES)
			must(!knows);
		if (book->report[i] == SAID_YES && book->report_settled[i] < SAID_MAYBE &&
		    !info.is_broken)
			must(reports[i]);
		if (book->report_settled[i] == SAID_YES)
			must(!reports[i]);
	}
	journal_close(j);
}

static void
before_journal(void)
{
	remove_files("journal");
	memset(book, 0, sizeof *book);
}

static void
run_journal(void)
{
	struct journal_info info;
	struct journal *j;
	struct err e = { 0 };

	if (!done(journal_open(folder, SEGMENT_BYTES, 8 * SEGMENT_BYTES, &j, &info, &e), &e))
		return;
	(void)fill_journal(j);
	journal_close(j);
}

/* Opening what is full already. */
static void
before_reopen(void)
{
	before_journal();
	run_journal();
}

static void
count_mark(void *arg, const struct journal_mark *m)
{
	(void)m;
	++*(int *)arg;
}

static void
run_reopen(void)
{
	struct journal_info info;
	struct journal *j;
	bool is_whole;
	int marks = 0;
	struct err e = { 0 };

	if (!done(journal_open(folder, SEGMENT_BYTES, 8 * SEGMENT_BYTES, &j, &info, &e), &e))
		return;
	/* What could not be read proves nothing. */
	must(!info.is_new || info.unbroken_since == INT64_MAX);
	if (info.unbroken_since <= 1)
		must(info.live == MARKS / 2 && info.reports == MARKS / 2);
	if (journal_scan(j, count_mark, &marks, &is_whole, &e) == RC_OK && is_whole)
		must(marks >= MARKS);
	journal_close(j);
}

/* ---- store ---- */

static struct store_config cfg = { .prefix = "mt_",
				   .agent_id = "torture",
				   .agent_lease_ms = 30000,
				   .row_lease_ms = 120000,
				   .close_after_ms = INT64_C(47) * 3600000,
				   .expire_after_ms = INT64_C(24) * 3600000,
				   .late_ms = INT64_C(7) * 24 * 3600000,
				   .body_cap_bytes = 2000 };
static struct db_session *raw;

static void
sql(const char *text)
{
	struct err e;

	must(cfg.driver->exec_text(raw, text, &e) == RC_OK);
}

static int64_t
number(const char *text)
{
	const struct db_sql q = { .name = "number", .text = text, .cols = "i" };
	struct db_value v = { 0 };
	struct db_stmt *st;
	struct err e;
	bool more;

	must(cfg.driver->prepare(raw, &q, &st, &e) == RC_OK &&
	     cfg.driver->exec(st, NULL, NULL, &e) == RC_OK);
	must(cfg.driver->fetch(st, &v, &more, &e) == RC_OK && more);
	cfg.driver->finish(st);
	return v.i;
}

static void
setup_database(const char *driver)
{
	static char connection[400];
	struct schema_db db = { .dialect = "sqlite", .prefix = "mt_" };
	struct store_facts f;
	struct store *s;
	struct err e;

	db_mem_register();
	cfg.driver = db.driver = db_driver_find(driver);
	must(cfg.driver != NULL && cfg.driver->process_init(&e) == RC_OK);
	snprintf(connection, sizeof connection, "Driver=SQLite3;Database=%s/torture.db", folder);
	cfg.params.connection = connection;
	cfg.params.name = ":memory:torture";
	must(cfg.driver->open(&cfg.params, &raw, &e) == RC_OK);
	db.session = raw;
	if (strcmp(driver, "odbc") == 0)
		sql("PRAGMA synchronous = OFF");
	must(schema_apply(&db, NULL, &e) == RC_OK);
	must(store_open(&cfg, &s, &e) == RC_OK && store_facts_read(s, &f, &e) == RC_OK);
	cfg.installation = f.installation;
	store_close(s);
}

static void
setup_store(void)
{
	setup_database("mem");
}

static void
setup_odbc(void)
{
	setup_database("odbc");
}

static void
before_store(void)
{
	static const char *const tables[] = {
		"send", "result", "try", "report", "history", "agent"
	};
	char text[200];

	for (size_t i = 0; i < COUNT(tables); i++) {
		snprintf(text, sizeof text, "DELETE FROM mt_%s", tables[i]);
		sql(text);
	}
	for (int i = 0; i < 4; i++)
		sql("INSERT INTO mt_send (msg_type, sender, recipient, body, req_key) VALUES "
		    "('SMS', '0212345678', "
		    "'01012345678', 'hello', 'k' || (SELECT COUNT(*) FROM mt_send))");
}

static bool
settle(struct store *s, struct message **m, unsigned n)
{
	struct change c[4];
	struct report_item r = { .r = { .class = REPORT_OK, .channel = "ch", .code = "0000" } };
	struct err e = { 0 };

	memset(c, 0, sizeof c);
	for (unsigned i = 0; i < n; i++) {
		c[i].kind = i % 2 == 0 ? CHANGE_ACCEPT : CHANGE_RESULT;
		c[i].msg_id = m[i]->msg_id;
		c[i].fence = m[i]->fence;
		c[i].leg = m[i]->leg;
		c[i].try_no = m[i]->try_no;
		c[i].client_key = m[i]->client_key;
		c[i].m = m[i];
		c[i].new_type = MSG_TYPE_NONE;
		c[i].class = RESULT_FAIL;
		snprintf(c[i].code, sizeof c[i].code, "4001");
		snprintf(c[i].channel, sizeof c[i].channel, "ch");
		snprintf(c[i].provider_id, sizeof c[i].provider_id, "p%" PRId64, m[i]->msg_id);
	}
	if (!done(store_apply(s, c, n, &e), &e))
		return false;
	for (unsigned i = 0; i < n; i++)
		must(c[i].answer == CHANGED || c[i].answer == CHANGE_STALE ||
		     c[i].answer == CHANGE_FAILED);
	for (unsigned i = 0; i < n; i += 2) {
		snprintf(r.r.client_key, sizeof r.r.client_key, "%s", m[i]->client_key);
		snprintf(r.r.provider_id, sizeof r.r.provider_id, "p%" PRId64, m[i]->msg_id);
		if (!done(store_reports(s, &r, 1, &e), &e))
			return false;
	}
	return true;
}

/* One session's work; false: it has to be done again by another one. */
static bool
work(void)
{
	struct store_agent a = {
		.pid = 1, .journal_id = "j", .boot_id = "b", .host = "h", .version = "0"
	};
	struct message *list[4];
	struct store_claim c = { .queue = { MSG_TYPE_SMS, 1 }, .want = 4, .out = list };
	struct store_beat beat = { .channels = "ch=UP", .last_error = "", .count = true };
	struct store_care care = { .limit = 10 };
	struct store_registration reg;
	struct store_row rows[4];
	struct store *s;
	struct err e = { 0 };
	bool ok = false;
	size_t n;

	if (!done(store_open(&cfg, &s, &e), &e))
		return false;
	if (!done(store_register(s, &a, &reg, &e), &e))
		goto out;
	/* What the last one claimed and nobody knows: never handed out, so it may be released. */
	if (!done(store_list_own(s, 0, false, rows, 4, &n, &e), &e))
		goto out;
	for (size_t i = 0; i < n; i++) {
		struct change back = { .kind = CHANGE_RELEASE,
				       .msg_id = rows[i].msg_id,
				       .fence = rows[i].fence,
				       .leg = rows[i].leg,
				       .try_no = rows[i].try_no,
				       .client_key = rows[i].client_key,
				       .new_type = MSG_TYPE_NONE };

		if (!done(store_apply(s, &back, 1, &e), &e))
			goto out;
	}
	c.claim_seq = reg.claim_seq;
	c.batch = batch_new(1 << 20);
	if (c.batch == NULL)
		goto out;
	ok = done(store_claim(s, &c, &e), &e) && (c.got == 0 || settle(s, list, c.got)) &&
	     done(store_heartbeat(s, &beat, &e), &e) && done(store_care(s, &care, &e), &e) &&
	     done(store_sign_off(s, &e), &e);
	batch_free(c.batch);
out:
	store_close(s);
	return ok;
}

static void
run_store(void)
{
	(void)work();
}

/* Whatever was left undone is done by the next one, once. */
static void
look_store(void)
{
	for (int i = 0; i < 3; i++)
		must(work());
	/* An accepted row whose report was lost waits for the next page; a row that could not be
	 * settled alone is HELD. */
	sql("UPDATE mt_send SET status = 9 WHERE 1 = 0");
	must(number("SELECT COUNT(*) FROM mt_send WHERE status NOT IN (2, 4)") == 0);
	must(number("SELECT (SELECT COUNT(*) FROM mt_send) + (SELECT COUNT(*) FROM mt_result)") ==
	     4);
	must(number("SELECT COUNT(*) FROM mt_send s JOIN mt_result r ON r.msg_id = s.msg_id") == 0);
}

/* ---- infobip ---- */

static struct codemap *codes;
static enum outcome_kind expected[2];

static void
setup_infobip(void)
{
	struct err e;

	must(codemap_builtin("infobip", &codes, &e) == RC_OK);
}

static void
run_infobip(void)
{
	static const char answer[] =
		"{\"messages\":[{\"messageId\":\"41aaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"status\":{"
		"\"groupId\":1,\"id\":26},"
		"\"details\":{\"messageCount\":1}},{\"messageId\":"
		"\"42aaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"status\":"
		"{\"groupId\":5,\"id\":12}}]}";
	static const char page[] =
		"{\"results\":[{\"messageId\":\"41aaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"doneAt\":"
		"\"2026-11-21T10:00:00.123+0900\",\"messageCount\":1,\"mccMnc\":\"45005\","
		"\"status\":{\"groupId\":3,"
		"\"id\":5},\"error\":{\"groupId\":0,\"id\":0}},{\"messageId\":"
		"\"42aaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"status\":{\"groupId\":2,\"id\":4},\"error\":{\"groupId\":1,\"id\":27}}]}";
	static const char error[] =
		"{\"requestError\":{\"serviceException\":{\"messageId\":\"BAD\",\"text\":\"x\"}}}";
	struct message m[2] = { { .type = MSG_TYPE_SMS, .expire_in_s = 60 },
				{ .type = MSG_TYPE_LMS } };
	struct message *list[] = { &m[0], &m[1] };
	struct infobip_page p = { 0 };
	struct infobip_tally t;
	struct outcome o[2];
	struct query q[2];
	struct err e = { 0 };
	char code[RESULT_CODE_LEN + 1], what[24], words[64];
	char *body = NULL;
	size_t n, bad;
	enum rc rc;

	memset(q, 0, sizeof q);
	for (int i = 0; i < 2; i++) {
		snprintf(m[i].client_key, sizeof m[i].client_key, "4%daaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			 i + 1);
		snprintf(m[i].to_wire, sizeof m[i].to_wire, "821012345678");
		snprintf(m[i].from_wire, sizeof m[i].from_wire, "15880000");
		m[i].body = m[i].subject = (struct text){ "hello", 5, 5 };
		snprintf(q[i].client_key, sizeof q[i].client_key, "%s", m[i].client_key);
		q[i].kind = RESOLVE_FAILED;
	}
	/* Want of memory is no fault of a message. */
	rc = infobip_build(list, 2, NUMBER_E164_DIGITS, &body, &n, &bad, code, &e);
	must(rc == RC_OK || rc == RC_NOMEM);
	if (done(rc, &e))
		must(body != NULL && strlen(body) == n);
	free(body);
	rc = infobip_read_answer(answer, strlen(answer), codes, list, 2, o, &t, &e);
	for (int i = 0; i < 2; i++) {
		if (!fail_came())
			expected[i] = o[i].kind;
		must(o[i].kind == OUT_UNSURE || (rc == RC_OK && o[i].kind == expected[i]));
	}
	/* Reports are handed out once: what could not be read is not taken for read. */
	rc = infobip_read_reports(page, strlen(page), codes, "ch", &p, &e);
	must(rc != RC_OK || p.n == 2 || p.broken > 0 || p.damaged);
	free(p.r);
	rc = infobip_read_logs(page, strlen(page), codes, "ch", q, 2, &e);
	for (int i = 0; i < 2; i++)
		must(q[i].kind == RESOLVE_FAILED || (rc == RC_OK && q[i].kind == RESOLVE_ACCEPTED));
	infobip_read_error(error, strlen(error), what, sizeof what, words, sizeof words);
}

/* ---- control ---- */

static struct event_base *base;

static void
setup_control(void)
{
	base = event_base_new();
	must(base != NULL);
}

static void
ask(const struct sockaddr_un *sa, const char *line)
{
	static char answer[8192];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ssize_t n = 0;
	size_t have = 0;

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0) {
		(void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		for (int i = 0; i < 50; i++) {
			(void)event_base_loop(base, EVLOOP_NONBLOCK);
			n = recv(fd, answer + have, sizeof answer - have, MSG_DONTWAIT);
			if (n == 0)
				break;
			have += n > 0 ? (size_t)n : 0;
		}
		/* One whole line, or nothing. */
		must(have == 0 || answer[have - 1] == '\n');
	}
	close(fd);
}

static void
run_control(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	struct err e = { 0 };

	path_of(sa.sun_path, sizeof sa.sun_path, "sock");
	if (done(control_open(NULL, base, sa.sun_path, &c, &e), &e)) {
		ask(&sa, "log info\n");
		ask(&sa, "nothing of this kind\n");
		ask(&sa, "log loud\n");
		control_close(c);
	}
}

/* ---- the runs ---- */

static void
nothing(void)
{
}

static const struct module {
	const char *name;
	void (*setup)(void);  /* once in each process */
	void (*before)(void); /* without failures */
	void (*run)(void);
	void (*look)(void); /* without failures */
} modules[] = {
	{ "base", setup_base, nothing, run_base, nothing },
	{ "conf", setup_conf, nothing, run_conf, nothing },
	{ "control", setup_control, nothing, run_control, nothing },
	{ "infobip", setup_infobip, nothing, run_infobip, nothing },
	{ "journal", nothing, before_journal, run_journal, look_journal },
	{ "reopen", nothing, before_reopen, run_reopen, look_journal },
	{ "store", setup_store, before_store, run_store, look_store },
	{ "odbc", setup_odbc, before_store, run_store, look_store },
};
static const char *const kinds[] = { "alloc", "system", "library" };
/* Ways in which a call can fail (fail.c). */
static const unsigned hows[] = { 1, 4, 1 };

/* Runs from nth on until the failure comes no more; in a process of its own. look_first: the last
 * one ended by own choice. */
static _Noreturn void
child(const struct module *m, enum fail_kind kind, unsigned how, bool later, unsigned long nth,
      bool look_first, bool only_one)
{
	size_t live;

	m->setup();
	if (look_first) {
		alarm(HANG_S);
		m->look();
	}
	/* What is kept for good is kept by the first run. */
	m->before();
	m->run();
	for (;; nth += step) {
		shared->nth = nth;
		alarm(HANG_S);
		m->before();
		live = fail_live();
		fail_at(kind, nth, later, how);
		m->run();
		if (!fail_came()) {
			calm();
			break;
		}
		shared->runs++;
		calm();
		must(fail_live() <= live);
		m->look();
		if (only_one)
			break;
	}
	exit(0);
}

static int
torture(const struct module *m, enum fail_kind kind, unsigned how, bool later, unsigned long only,
	unsigned long *ended)
{
	unsigned long nth = only != 0 ? only : first;
	bool look_first = false;
	int status;
	pid_t pid;

	for (;;) {
		shared->why[0] = '\0';
		fflush(stdout);
		pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0)
			child(m, kind, how, later, nth, look_first, only != 0);
		while (waitpid(pid, &status, 0) < 0)
			;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			return 0;
		if (WIFEXITED(status) && WEXITSTATUS(status) == FAIL_OWN_END) {
			++*ended;
			shared->runs++;
			/* What lies in memory is gone with the process; what lies on disk is looked
			 * at by the next. */
			look_first = true;
			nth = shared->nth + step;
			if (only != 0)
				return 0;
			continue;
		}
		printf("%s %s nth=%lu%s how=%u: ", m->name, kinds[kind], shared->nth,
		       later ? "+" : "", how);
		if (shared->why[0] != '\0')
			printf("%s\n", shared->why);
		else if (WIFSIGNALED(status))
			printf("%s\n", WTERMSIG(status) == SIGALRM ? "it stands still"
								   : strsignal(WTERMSIG(status)));
		else
			printf("it ended with %d\n", WEXITSTATUS(status));
		return 1;
	}
}

int
main(int argc, char **argv)
{
	const char *top = getenv("TMPDIR");
	const struct module *m = NULL;
	unsigned long only = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	int bad = 0;

	if (getenv("MTRELAY_TORTURE_STEP") != NULL)
		step = strtoul(getenv("MTRELAY_TORTURE_STEP"), NULL, 10);
	step += step == 0;
	if (getenv("MTRELAY_SEED") != NULL)
		first = 1 + strtoul(getenv("MTRELAY_SEED"), NULL, 10) % step;
	for (size_t i = 0; i < COUNT(modules); i++) {
		if (argc < 2)
			printf("%s\n", modules[i].name);
		else if (strcmp(argv[1], modules[i].name) == 0)
			m = &modules[i];
	}
	if (argc < 2)
		return 0;
	if (m == NULL) {
		fprintf(stderr, "torture: there is no module \"%s\"\n", argv[1]);
		return 2;
	}
	shared = mmap(NULL, sizeof *shared + sizeof *book, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	book = (struct book *)(void *)(shared + 1);
	if ((size_t)snprintf(folder, sizeof folder, "%s/mtrelay-torture-XXXXXX",
			     top != NULL ? top : "/tmp") >= sizeof folder ||
	    mkdtemp(folder) == NULL)
		return 2;
	for (int k = 0; k < FAIL_KINDS; k++) {
		unsigned long ended = 0;
		int failed = 0;

		if (argc > 2 && strcmp(argv[2], kinds[k]) != 0)
			continue;
		shared->runs = 0;
		for (unsigned how = 0; how < hows[k] && failed == 0; how++) {
			if (argc > 4 && how != strtoul(argv[4], NULL, 10))
				continue;
			for (int later = 0; later < 2 && failed == 0; later++)
				failed = torture(m, (enum fail_kind)k, how, later == 1, only,
						 &ended);
		}
		printf("%s %s runs=%lu ended=%lu\n", m->name, kinds[k], shared->runs, ended);
		bad |= failed;
	}
	remove_files("");
	rmdir(folder);
	return bad;
}
