/* pipeline_report.c - delivery reports: journal, sync, database, and only then the next page.
 *
 * DIAGNOSTICS (events): report.failed (repeated by itself), report.kept, report.conflict,
 * journal.failed. */
#include "config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include "agent/clock.h"
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/pipeline_int.h"
#include "agent/stats.h"
#include "agent/text.h"

static void
sync_run(struct job *j, void *ctx)
{
	struct sync_job *sj = (struct sync_job *)j;

	(void)ctx;
	if (fdatasync(sj->fd) != 0)
		sj->why = errno;
}

void
report_page_taken(struct way *w)
{
	/* Called when the page is synced and again when the database has it: whichever is last lets
	 * the next page come. */
	if (w->pages >= REPORT_PAGES) {
		w->page_owed = true;
		return;
	}
	w->page_owed = false;
	if (w->ch != NULL)
		w->driver->reports_taken(w->ch);
}

/* Not confirmed by the disk: the next page comes when the database has this one, or has it already.
 */
static void
page_is_safe(struct way *w, bool is_synced)
{
	if (is_synced || w->pages == 0)
		report_page_taken(w);
	else
		w->page_owed = true;
}

static void
sync_done(struct job *j)
{
	struct sync_job *sj = (struct sync_job *)j;
	struct pipeline *p = sj->p;

	if (sj->fd >= 0)
		close(sj->fd);
	p->syncs--;
	if (sj->why != 0)
		log_event(LOG_LEVEL_ERROR, "journal.failed", "text=\"cannot sync: %s\"",
			  strerror(sj->why));
	page_is_safe(sj->way, sj->why == 0);
	free(sj);
}

static void
sync_page(struct way *w)
{
	struct pipeline *p = w->p;
	struct sync_job *sj = calloc(1, sizeof *sj);

	if (sj == NULL)
		abort();
	sj->p = p;
	sj->way = w;
	sj->job.run = sync_run;
	sj->job.done = sync_done;
	sj->job.urgent = true;
	p->syncs++;
	sj->fd = journal_sync_fd(p->env.journal);
	if (sj->fd < 0)
		sj->why = errno;
	else if (lane_submit(p->env.sync, &sj->job) != RC_OK)
		sj->why = EAGAIN;
	if (sj->why != 0)
		sync_done(&sj->job);
	/* otherwise it is the lane's until sync_done() */
} // NOLINT(clang-analyzer-unix.Malloc)

void
report_on_page(void *owner, const struct report *r, size_t n)
{
	struct way *w = owner;
	struct pipeline *p = w->p;
	struct report_wait *rw;
	struct report *page;
	uint64_t *numbers;
	struct err e;
	size_t i;
	enum rc rc;

	numbers = calloc(n, sizeof *numbers);
	page = calloc(n, sizeof *page);
	if (numbers == NULL || page == NULL)
		abort();
	/* In the journal too: an id of the provider says nothing without it. */
	for (i = 0; i < n; i++) {
		page[i] = r[i];
		text_copy(page[i].channel, sizeof page[i].channel, w->name);
	}
	(void)FAILPOINT(report_before_mark);
	rc = journal_report(p->env.journal, page, numbers, n, &e);
	if (rc == RC_BUG)
		p->env.fatal(p->env.arg, 75, e.text);
	if (rc != RC_OK) {
		/* The provider has forgotten this page and we cannot keep it on disk: the database
		 * is the only place left, and no further page is asked for before it has this one.
		 */
		log_err(LOG_LEVEL_ERROR, "journal.failed", &e, "reports=%zu", n);
		memset(numbers, 0, n * sizeof *numbers);
	}
	(void)FAILPOINT(report_after_mark);
	for (i = 0; i < n; i++) {
		rw = calloc(1, sizeof *rw);
		if (rw == NULL)
			abort();
		rw->item.r = page[i];
		rw->item.mark = numbers[i];
		rw->way = w;
		rw->ends_page = i + 1 == n;
		*p->report_tail = rw;
		p->report_tail = &rw->next;
		p->report_count++;
	}
	stat_add(STAT_reports_received, (int64_t)n);
	w->pages++;
	free(page);
	free(numbers);
	if (rc == RC_OK)
		sync_page(w);
	else
		page_is_safe(w, false);
	report_some(p);
}

void
pipeline_report(struct pipeline *p, const struct report *r, uint64_t number)
{
	struct report_wait *rw = calloc(1, sizeof *rw);

	if (rw == NULL)
		abort();
	rw->item.r = *r;
	rw->item.mark = number;
	*p->report_tail = rw;
	p->report_tail = &rw->next;
	p->report_count++;
	report_some(p);
}

static enum rc
report_run(struct store *st, struct db_job *j, struct err *e)
{
	struct report_job *rj = (struct report_job *)j;

	return store_reports(st, rj->items, rj->n, e);
}

/* The database has these: one write for all of them. */
static void
mark_settled(struct pipeline *p, const struct report_job *rj)
{
	uint64_t numbers[512];
	const size_t most = sizeof numbers / sizeof numbers[0];
	struct err e;
	size_t i, n = 0;

	for (i = 0; i < rj->n; i++) {
		if (rj->items[i].mark != 0)
			numbers[n++] = rj->items[i].mark;
		if (n < most && i + 1 < rj->n)
			continue;
		if (n > 0 && journal_report_settled(p->env.journal, numbers, n, &e) != RC_OK)
			p->env.fatal(p->env.arg, 75, e.text);
		n = 0;
	}
}

static void
report_done(struct db_job *j)
{
	struct report_job *rj = (struct report_job *)j;
	struct pipeline *p = rj->p;
	struct report_wait *rw;
	size_t i;

	rj->busy = false;
	if (j->rc != RC_OK) {
		for (i = rj->n; i > 0; i--) {
			rw = rj->waits[i - 1];
			rw->next = p->report_head;
			p->report_head = rw;
			if (rw->next == NULL)
				p->report_tail = &rw->next;
			p->report_count++;
		}
		if (j->rc == RC_BUG)
			p->env.fatal(p->env.arg, 70, j->err.text);
		if (j->rc != RC_AGAIN)
			log_err(LOG_LEVEL_WARN, "report.failed", &j->err, "reports=%zu", rj->n);
		p->settle_not_before_ms =
			clock_mono_ms() +
			(j->rc == RC_AGAIN ? 20 : pipeline_backoff(&p->settle_backoff_ms));
		pipeline_again_in(p, 20);
		return;
	}
	p->settle_backoff_ms = 0;
	mark_settled(p, rj);
	for (i = 0; i < rj->n; i++) {
		rw = rj->waits[i];
		switch (rj->items[i].answer) {
		case REPORT_APPLIED:
		case REPORT_REVISED:
			stat_inc(STAT_reports_applied);
			break;
		case REPORT_KEPT:
			log_event(LOG_LEVEL_DEBUG, "report.kept", "channel=%s key=%s",
				  rw->item.r.channel, rw->item.r.client_key);
			stat_inc(STAT_reports_kept);
			break;
		case REPORT_KNOWN:
			break;
		case REPORT_CONFLICT:
			log_event(LOG_LEVEL_WARN, "report.conflict",
				  "id=%" PRId64 " code=%s text=\"the result stays as it was\"",
				  rj->items[i].msg_id, rw->item.r.code);
			break;
		}
		if (rw->way != NULL && rw->ends_page) {
			rw->way->pages--;
			if (rw->way->page_owed)
				report_page_taken(rw->way);
		}
		free(rw);
	}
	pipeline_pump(p);
}

void
report_some(struct pipeline *p)
{
	struct report_job *rj = &p->report;
	struct report_wait *rw;

	if (p->is_stopped || rj->busy || p->report_count == 0 ||
	    clock_mono_ms() < p->settle_not_before_ms)
		return;
	for (rj->n = 0; rj->n < rj->max && (rw = p->report_head) != NULL; rj->n++) {
		p->report_head = rw->next;
		if (p->report_head == NULL)
			p->report_tail = &p->report_head;
		p->report_count--;
		rj->waits[rj->n] = rw;
		rj->items[rj->n] = rw->item;
	}
	rj->p = p;
	rj->db.run = report_run;
	rj->db.done = report_done;
	rj->busy = true;
	if (session_submit(p->env.settle, &rj->db, true) != RC_OK) {
		rj->db.rc = RC_AGAIN;
		report_done(&rj->db);
	}
}
