/* journal.h - the append-only marks beside the database: what has touched the wire, what came back.
 *
 * Order is everything: SUBMIT before the first byte of an attempt, ANSWER and REPORT before their
 * settle, SETTLED after the database has it. Marks are write(2)n, which survives the death of this
 * process; only reports that a provider hands out once are also synced, by a lane, through
 * journal_sync_fd(). No mark holds personal data.
 *
 * A journal is a folder of segments "journal.NNNNNNNN" of one size, allocated when made, so that a
 * full disk stops new SUBMIT and REPORT marks but never an ANSWER. Each new segment begins with all
 * that is still live; older ones are kept, up to keep_bytes, for the day when the database has lost
 * commits (journal_scan). Loop thread only, but journal_open() may be called before the loop runs.
 */
#ifndef MTRELAY_JOURNAL_H
#define MTRELAY_JOURNAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"
#include "agent/message.h"

#define JOURNAL_ID_LEN 32

struct journal;

struct journal_info {
	int64_t claim_seq;	     /* of the newest SEEN mark, -1 none */
	uint64_t identity;	     /* of the database then, 0 none */
	char id[JOURNAL_ID_LEN + 1]; /* random, for life */
	char boot_id[40];	     /* of this start of the host */
	bool is_new;		     /* nothing was found */
	bool is_broken; /* marks were lost in the middle: nothing can be inferred from a mark that
			   is absent */
	bool same_boot;
	int64_t last_incarnation; /* of the newest START mark, 0 none */
	int64_t unbroken_since;	  /* absent marks prove something for rows of this incarnation and
				     later; INT64_MAX never */
	size_t live, reports;	  /* attempts and reports not yet settled */
};

/* One attempt: the name of everything that is marked. */
struct journal_mark {
	int64_t msg_id;
	int64_t fence; /* of the row as the claim left it */
	int32_t leg, generation, try_no;
	bool is_resend; /* an older attempt with this key was open */
	char client_key[CLIENT_KEY_LEN + 1];
	char channel[33];
};

/* Locks dir (RC_CONFIG names the holder's process when another has it), reads what is there and
 * starts a new segment. */
enum rc journal_open(const char *dir, int64_t segment_bytes, int64_t keep_bytes,
		     struct journal **out, struct journal_info *info, struct err *e) MUST_USE;
void journal_close(struct journal *j); /* NULL is allowed */

/* The START mark of this incarnation. */
enum rc journal_start(struct journal *j, int64_t incarnation, struct err *e) MUST_USE;
/* What the database had acknowledged when it was last claimed from: the next start compares.
 * identity is any number that is another one for another server. */
enum rc journal_seen(struct journal *j, int64_t claim_seq, uint64_t identity, struct err *e)
	MUST_USE;
/* All n marks or none; RC_AGAIN when the disk is full. Only after RC_OK may a byte leave. */
enum rc journal_submit(struct journal *j, const struct journal_mark *m, size_t n, struct err *e)
	MUST_USE;
/* The room for these two was reserved by the SUBMIT, but for the ids of parts: when the disk is
 * full an answer is marked without them. */
enum rc journal_answer(struct journal *j, const struct journal_mark *m, const struct outcome *o,
		       size_t n, struct err *e) MUST_USE;
enum rc journal_settled(struct journal *j, const struct journal_mark *m, size_t n, struct err *e)
	MUST_USE;
/* Gives each report the number by which it is settled. */
enum rc journal_report(struct journal *j, const struct report *r, uint64_t *number, size_t n,
		       struct err *e) MUST_USE;
enum rc journal_report_settled(struct journal *j, const uint64_t *number, size_t n, struct err *e)
	MUST_USE;
/* A duplicate of the segment's descriptor, to be fdatasync()ed and closed by a lane. -1 when there
 * is none left. */
int journal_sync_fd(const struct journal *j);

/* Is there a SUBMIT mark of this attempt that is not settled? */
bool journal_knows(const struct journal *j, int64_t msg_id, int32_t leg, int32_t try_no);
/* Every attempt not yet settled; o is NULL when there is no ANSWER. The call-back may settle. What
 * o->more_ids points to lives until the attempt is settled. */
void journal_each(const struct journal *j,
		  void (*each)(void *arg, const struct journal_mark *m, const struct outcome *o),
		  void *arg);
void journal_each_report(const struct journal *j,
			 void (*each)(void *arg, const struct report *r, uint64_t number),
			 void *arg);
/* Every SUBMIT mark in all segments that are kept, oldest first, settled or not. *is_whole false:
 * some could not be read, so that an absent mark proves nothing. */
enum rc journal_scan(const struct journal *j, void (*each)(void *arg, const struct journal_mark *m),
		     void *arg, bool *is_whole, struct err *e) MUST_USE;
size_t journal_live(const struct journal *j);

#endif
