/* mtrelay.pml - the state machine of messages as an executable model. README.md says what it leaves out.
 *
 * Messages NM, agents NA, one database whose transactions are atomic, a provider, a network. Everything that may happen next
 * is one guarded step, in any order and with any delay: a pause of an agent is nothing but its steps coming late. All faults
 * have a budget, so that every run ends; where nothing can happen any more, the monitor at the end judges.
 *
 * A status changes only by GO(m, KIND) with KIND from the table below, which check-transitions compares with
 * agent/transition.def. Fences are numbers, so that a database that went back repeats them, as a real one does.
 *
 * Configuration: POLICY, DEDUP, QUERY, REPORTS, FALLBACK and the budgets. BAD_*: mistakes that must be found, each where it would
 * be made. */

#ifndef NM
#define NM 1
#endif
#ifndef NA
#define NA 2
#endif
#ifndef TRIES
#define TRIES 2		/* claims and re-sends of a message, all legs together */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef UNSURES
#define UNSURES 1	/* lost COMMIT answers */
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0	/* 1: the database goes back once, by any number of commits */
#endif
#ifndef NEWJOURNALS
#define NEWJOURNALS 0	/* journal missing or broken, or another boot */
#endif
#ifndef REPEATS
#define REPEATS 0	/* reports that come once more */
#endif
#ifndef REFUSALS
#define REFUSALS 0	/* 1: for a while the database refuses result rows (trigger, foreign key) */
#endif

/* what the route says of unknown outcomes */
#define HOLD_IT 0
#define AUTO 1
#define RESEND_IT 2
#define CLOSE_IT 3
#ifndef POLICY
#define POLICY HOLD_IT
#endif

#ifndef ORDERS
#define ORDERS 0	/* of an operator: send it again, send it anew */
#endif
#if POLICY == RESEND_IT || ORDERS > 0
#define NG 3		/* generations of a key */
#else
#define NG 2
#endif

/* ---- the transitions: from which statuses, to which ---- */

#define READY 0
#define SENDING 1
#define ACCEPTED 2
#define UNKNOWN 3
#define HELD 4
#define DEFERRED 5
#define GONE 6
#define SAME 7

#define S0 1
#define S1 2
#define S2 4
#define S3 8
#define S4 16
#define S5 32

#define FROM_CLAIM (S0)
#define TO_CLAIM SENDING
#define FROM_RESEND (S3)
#define TO_RESEND SENDING
#define FROM_ACCEPT (S0 + S1 + S3 + S4 + S5)
#define TO_ACCEPT ACCEPTED
#define FROM_ACCEPT_OLDER (S0 + S1 + S3 + S4 + S5)
#define TO_ACCEPT_OLDER ACCEPTED
#define FROM_UNKNOWN (S1)
#define TO_UNKNOWN UNKNOWN
#define FROM_LEASE_OVER (S1)
#define TO_LEASE_OVER UNKNOWN
#define FROM_RELEASE (S1 + S3 + S4)
#define TO_RELEASE READY
#define FROM_DEFER (S1)
#define TO_DEFER DEFERRED
#define FROM_READY (S5)
#define TO_READY READY
#define FROM_LOOK (S3)
#define TO_LOOK UNKNOWN
#define FROM_TAKE (S3)
#define TO_TAKE UNKNOWN
#define FROM_HOLD (S3)
#define TO_HOLD HELD
#ifdef BAD_TOUCHED
#define FROM_TOUCHED (S0 + S5)
#else
#define FROM_TOUCHED (S0 + S1 + S3 + S4 + S5)
#endif
#define TO_TOUCHED UNKNOWN
#define FROM_WAIT (S0 + S1 + S2 + S3 + S4 + S5)
#define TO_WAIT SAME
#define FROM_WAIT_OLDER (S0 + S1 + S5)
#define TO_WAIT_OLDER UNKNOWN
#define FROM_PART (S0 + S1 + S2 + S3 + S4 + S5)
#define TO_PART SAME
#define FROM_NEXT_LEG (S1 + S2 + S3 + S4)
#define TO_NEXT_LEG READY
#define FROM_RESULT (S0 + S1 + S2 + S3 + S4 + S5)
#define TO_RESULT GONE
#define FROM_PEND (S0 + S1 + S2 + S3 + S4 + S5)
#define TO_PEND HELD
#define FROM_OP_RESEND (S3 + S4)
#define TO_OP_RESEND READY
#define FROM_OP_REQUEUE (S4)
#define TO_OP_REQUEUE READY
#define FROM_FOREIGN (S1 + S2 + S3 + S4 + S5)
#define TO_FOREIGN READY

#define MAY(m, K) ((FROM_##K / (1 << row[m].st)) % 2)
/* Without the fence; only to show that the way is allowed. */
#define LIKE(m, K) assert((FROM_##K / (1 << row[m].st)) % 2)
#define GO(m, K) \
	assert((FROM_##K / (1 << row[m].st)) % 2); \
	assert(row[m].fence < 31); \
	row[m].st = (TO_##K == SAME -> row[m].st : TO_##K); \
	row[m].fence = row[m].fence + 1

/* ---- the database ---- */

typedef Row {
	unsigned st : 3;
	unsigned fence : 5;
	unsigned try : 3;
	unsigned gen : 2;
	unsigned key : 3;	/* client_key: 0 none, else 1 + the generation in it */
	unsigned owner : 2;
	unsigned inc : 3;
	unsigned fs : 2;	/* first_sent_at: 0 NULL, 1 in the provider's window, 2 before it */
	unsigned pend : 2;	/* pend_class when it is an outcome */
	bit leg;
	bit again;		/* pend_class = OPEN: an older attempt with this key is open */
	bit foreign		/* an application wrote the columns of the agent */
}
typedef Try {
	unsigned s : 2;		/* mt_try: 0 nothing, 1 open, 2 closed as failed */
	unsigned t : 3		/* the last attempt with its key */
}
typedef Result {
	unsigned c : 2;
	unsigned key : 3;
	unsigned try : 3;
	bit leg
}
typedef Kept {			/* mt_report */
	unsigned c : 2;
	unsigned gen : 2;
	bit leg
}
#define OK 1
#define FAIL 2
#define UNK 3

Row row[NM];
Try try[NM * NG];
Result res[NM];
Kept kept[NM];
byte db_inc[NA];
byte db_seq[NA];		/* mt_agent.claim_seq */
bit frozen;
bit replayed[NA];
bit refusing;			/* the result table takes nothing */
#ifndef IDENTITY
#define IDENTITY 0		/* a database that went back shows another identity: 0 no, 1 to the running, 2 to all agents */
#endif

#if ROLLBACKS > 0
Row old_row[NM];
Try old_try[NM * NG];
Result old_res[NM];
Kept old_kept[NM];
byte old_inc[NA];
byte old_seq[NA];
unsigned copied : 2;		/* 1: the copy lags from here on, 2: it has become the database */
#endif

/* ---- agents: memory, and the journal under it ---- */

#define NOWHERE 0
#define CLAIMED 1		/* in memory, not marked */
#define WIRE 2			/* SUBMIT stands, the answer is awaited */
#define SETTLE 3		/* the outcome is decided */

#define NO_MARK 0
#define SUBMIT 1
#define ANSWER 2

/* answers, and what they are decided to be */
#define NOTHING 0
#define FLYING 1		/* the request is on its way */
#define YES 2
#define DUPLICATE 3
#define NO 4
#define LATER 5			/* not taken, may come again with this key */
#define ENDED 6			/* not taken, and the key is used up */
#define UNSURE 7

/* The marks of an attempt that is not settled are what a crash leaves of it. */
typedef Mem {
	unsigned where : 2;
	unsigned mark : 2;
	unsigned fence : 5;
	unsigned try : 3;
	unsigned gen : 2;	/* in the key */
	unsigned answer : 3;
	unsigned outcome : 3;
	bit leg;
	bit again;		/* is_resend */
	bit older;		/* older_open */
	bit late		/* the write deadline is over */
}
/* All SUBMIT marks of a message in all segments: one bit a try, and its key. */
typedef Scan {
	byte tries[2];
	byte gens[2]		/* of the newest */
}
Mem mem[NA * NM];
Scan scan[NA * NM];
#define RUNNING (2 * NM + 1)
byte up[NA];			/* 0 down, then the steps of the recovery */
byte inc[NA];
byte seq[NA];			/* the claim counter that it remembers */
#if ROLLBACKS > 0
byte seen[NA];			/* the same in the journal */
#endif
byte whole_since[NA];		/* unbroken_since of the journal */
bit unsure[NA];			/* rows may be ours that nobody knows */
#if IDENTITY > 0
bit strange[NA];		/* the database is another one than it remembers */
#endif
#ifdef FOREIGN_ROWS
#define OURS(m) (!row[m].foreign)
#else
#define OURS(m) 1
#endif

/* ---- the provider, the network, the phones ---- */

typedef Prov {
	unsigned has : 2;	/* 0 no, 1 taken and delivered, 2 taken and will fail, 3 refused and used up */
	unsigned report : 2;	/* 1 to come, 2 gone */
	unsigned net : 2;	/* requests on their way that nobody waits for */
	bit forgot;		/* its window is over */
	bit ended		/* ghost: the row was told that the key is used up */
}
Prov prov[NM * 2 * NG];
byte phone[NM * 2];

/* what is left of the budgets */
byte crashes = CRASHES;
byte unsures = UNSURES;
byte newjournals = NEWJOURNALS;
byte repeats = REPEATS;
byte refusals = REFUSALS;
byte orders = ORDERS;

/* ghosts: what was known at some time and must not be forgotten */
byte told[NM * 2];		/* final report that was confirmed to the provider */
bit refused[NM * 2];		/* a definite refusal was decided upon */
byte sent[NM * 2];
bit twice[NM];			/* an operator confirmed that it may come twice */
byte last_key[NM];		/* BAD_RANDOM_KEY */

/* Registers: set and used inside of one step, no part of the state. Agent, message; leg, generation, fence and try of some
 * evidence; class of a result and the key in it. */
hidden byte a, m, l, g, f, t, class, k, keeps, n;

#define I(a, m) ((a) * NM + (m))
#define P(m, l, g) (((m) * 2 + (l)) * NG + (g))
#define OWN(m, l, g) (row[m].key == (g) + 1 && row[m].leg == (l))
#define DEAD_ROW(m) (row[m].st == GONE)
#define IS_RUNNING(a) (up[a] == RUNNING)
#define PHONES(m) (phone[2 * (m)] + phone[2 * (m) + 1])
#if NG == 3
#define TRIES_OPEN(m) ((try[(m) * NG].s == 1) + (try[(m) * NG + 1].s == 1) + (try[(m) * NG + 2].s == 1))
#else
#define TRIES_OPEN(m) ((try[(m) * NG].s == 1) + (try[(m) * NG + 1].s == 1))
#endif
#define OWN_CLOSED(m) (row[m].key > 0 && try[(m) * NG + row[m].key - 1].s == 2)
#ifdef BAD_NO_FENCE
#define HAS_FENCE(m, f) (!DEAD_ROW(m))
#else
#define HAS_FENCE(m, f) (!DEAD_ROW(m) && row[m].fence == (f))
#endif

/* A SUBMIT of this try or a later one stands in some segment. */
#define MARKED_SINCE(a, m, t) (scan[I(a, m)].tries[row[m].leg] >= (1 << (t)))
/* The newest SUBMIT of this leg is of a later try than the database knows. */
#define MAY_TOUCH(m) (MAY(m, TOUCHED) && row[m].pend != OK)	/* delivered is delivered */
#ifdef BAD_TOUCHED
#define IS_LATER(a, m) (MAY_TOUCH(m) && MARKED_SINCE(a, m, row[m].try + 1))
#else
#define IS_LATER(a, m) (MAY_TOUCH(m) && (MARKED_SINCE(a, m, row[m].try + 1) || \
	(row[m].leg == 0 && scan[I(a, m)].tries[1] > 0)))
#endif
/* Or of the same try, and the claim of that is another agent's: it was made in a database that had lost ours. */
#ifdef BAD_TOUCHED
#define IS_LOST(a, m) IS_LATER(a, m)
#else
#define IS_LOST(a, m) (IS_LATER(a, m) || (MAY_TOUCH(m) && MARKED_SINCE(a, m, row[m].try) && row[m].owner != (a)))
#endif

/* t: the newest try that is marked. */
inline newest()
{
	t = 0;
	do
	:: scan[I(a, m)].tries[row[m].leg] >= (1 << (t + 1)) -> t = t + 1
	:: else -> break
	od
}

/* ---- what is right at every moment ---- */

inline check_result()
{
#ifndef PHONES_ONLY
	assert(!(res[m].c == FAIL && PHONES(m) > 0));	/* no failure that a phone got */
#endif
	assert(!(res[m].c == OK && PHONES(m) == 0))	/* no success without a delivery */
}

inline ring()
{
	phone[2 * (m) + l] = phone[2 * (m) + l] + 1;
#if POLICY != RESEND_IT
	assert(PHONES(m) <= 1 || twice[m]);		/* never twice, over both legs */
#endif
	check_result()
}

/* ---- store_apply.c ---- */

inline clear_row()
{
	row[m].fence = 0; row[m].try = 0; row[m].gen = 0; row[m].key = 0; row[m].owner = 0; row[m].inc = 0;
	row[m].fs = 0; row[m].pend = 0; row[m].leg = 0; row[m].again = 0; row[m].foreign = 0
}

/* class; k: the key of the change, 0 takes the row's. */
inline finish()
{
	if
	:: refusing ->
		GO(m, PEND);
		row[m].pend = class; row[m].again = 0
	:: else ->
		assert(res[m].c == 0);			/* exactly one result */
		res[m].c = class;
		res[m].leg = row[m].leg;
		res[m].key = (k == 0 -> row[m].key : k);
		res[m].try = row[m].try;
		GO(m, RESULT);
		clear_row();
		check_result()
	fi
}

inline keep_waiting()
{
	row[m].gen = (row[m].st == READY || row[m].st == DEFERRED -> row[m].gen + 1 : row[m].gen);
	GO(m, WAIT);
	row[m].st = (row[m].st == SENDING -> UNKNOWN : row[m].st)
}

inline forget_tries()
{
	try[(m) * NG].s = 0; try[(m) * NG].t = 0; try[(m) * NG + 1].s = 0; try[(m) * NG + 1].t = 0;
#if NG == 3
	try[(m) * NG + 2].s = 0; try[(m) * NG + 2].t = 0
#endif
}

inline next_leg()
{
	GO(m, NEXT_LEG);
	row[m].leg = 1; row[m].gen = 0; row[m].key = 0; row[m].fs = 0; row[m].again = 0; row[m].pend = 0;
	forget_tries()
}

inline fail_leg()
{
	if
#ifdef FALLBACK
	:: row[m].leg == 0 && MAY(m, NEXT_LEG) -> next_leg()
	:: !(row[m].leg == 0 && MAY(m, NEXT_LEG)) -> class = FAIL; finish()
#else
	:: true -> class = FAIL; finish()
#endif
	fi
}

/* Refused by our own rules, expired, cancelled. */
inline fail_by_rule()
{
	if
	:: TRIES_OPEN(m) == 0 && !row[m].again -> class = FAIL; k = 0; finish()
	:: else -> GO(m, WAIT_OLDER)
	fi
}

#define KEEP_TRY(m, how) try[(m) * NG + row[m].key - 1].s = how; try[(m) * NG + row[m].key - 1].t = row[m].try

inline fail_own()
{
	if
	:: TRIES_OPEN(m) == 0 -> k = g + 1; fail_leg()
	:: else ->
		if
		:: !OWN_CLOSED(m) -> KEEP_TRY(m, 2)
		:: else
		fi;
		keep_waiting()
	fi
}

/* t: an answer speaks of its own try, a report (0) of whatever the provider has under the key. */
#ifdef BAD_TRY
#define SPEAKS_OF(t, of) 1
#else
#define SPEAKS_OF(t, of) ((t) == 0 || (t) == (of))
#endif

inline fail_older()
{
	if
	:: try[(m) * NG + (g)].s == 1 && SPEAKS_OF(t, try[(m) * NG + (g)].t) ->
		try[(m) * NG + (g)].s = 2;
		if
		:: TRIES_OPEN(m) == 0 && OWN_CLOSED(m) -> k = g + 1; fail_leg()
		:: else -> keep_waiting()
		fi
	:: else
	fi
}

/* Evidence about a row that has its result. */
inline meet_result()
{
	if
	:: class == OK && res[m].c == UNK && res[m].leg == (l) -> res[m].c = OK; check_result()
	:: class == FAIL && res[m].c == UNK && res[m].leg == (l) ->
		if
		:: try[(m) * NG + (g)].s == 1 && SPEAKS_OF(t, try[(m) * NG + (g)].t) -> try[(m) * NG + (g)].s = 2
		:: else
		fi;
		if
		:: TRIES_OPEN(m) == 0 && res[m].key == g + 1 && SPEAKS_OF(t, res[m].try) -> res[m].c = FAIL; check_result()
		:: else
		fi
#ifdef BAD_REPORT_FLIPS
	:: class == FAIL && res[m].c == OK -> res[m].c = FAIL; check_result()
	:: class == OK && res[m].c == OK
	:: class == FAIL && res[m].c == FAIL
	:: class == OK && res[m].c == FAIL
	:: res[m].c == UNK && res[m].leg != (l)
#else
	:: else			/* known, of another leg, or a conflict: the result stays */
#endif
	fi
}

/* A final report; class: what it says. */
inline apply_report()
{
	t = 0;
	if
	:: DEAD_ROW(m) -> meet_result()
	:: !DEAD_ROW(m) && OWN(m, l, g) ->
		LIKE(m, PART);		/* of a message in parts: what is said of all but the last */
		if
#ifdef BAD_REPORT_DROPPED
		:: row[m].st == SENDING		/* not accepted yet: unknown */
#endif
		:: class == OK -> class = OK; k = g + 1; finish()
		:: else -> fail_own()
		fi
	:: !DEAD_ROW(m) && !OWN(m, l, g) ->
		if
		:: row[m].leg == (l) && try[(m) * NG + (g)].s != 0 ->
			if
			:: class == OK -> class = OK; k = g + 1; finish()
			:: else -> fail_older()
			fi
		:: row[m].leg < (l) || (row[m].leg == (l) && row[m].key == 0) ->
			kept[m].c = class; kept[m].leg = l; kept[m].gen = g
		:: else		/* of a leg that is over */
		fi
	fi
}

#define KEPT_FITS(m) (kept[m].c != 0 && (DEAD_ROW(m) || row[m].leg > kept[m].leg || (row[m].leg == kept[m].leg && row[m].key > 0)))

inline apply_kept()
{
	class = kept[m].c; l = kept[m].leg; g = kept[m].gen;
	kept[m].c = 0; kept[m].leg = 0; kept[m].gen = 0;
	apply_report()
}

inline apply_accept()
{
	if
	:: DEAD_ROW(m)
	:: !DEAD_ROW(m) && OWN(m, l, g) ->
		/* Only what the provider knows. 3, refused and its key used up, without anybody having heard it, looks like a
		 * duplicate: presumed to be accepted, and UNKNOWN in the end. */
		assert(prov[P(m, l, g)].has != 0);
#ifndef REPORTS
		class = OK; k = g + 1; finish()
#else
		if
		:: row[m].st == ACCEPTED
#ifdef BAD_PEND
		:: row[m].st != ACCEPTED ->
#else
		:: row[m].pend != 0		/* its outcome is known already, it is only not written yet */
		:: row[m].st != ACCEPTED && row[m].pend == 0 ->
#endif
			GO(m, ACCEPT);
			row[m].again = 0; row[m].pend = 0;
			row[m].fs = (row[m].fs == 0 -> 1 : row[m].fs)
		fi
#endif
	:: !DEAD_ROW(m) && !OWN(m, l, g) ->
		if
#ifdef BAD_PEND
		:: row[m].leg == (l) && try[(m) * NG + (g)].s == 1 && row[m].st != ACCEPTED ->
#else
		:: row[m].leg == (l) && try[(m) * NG + (g)].s == 1 && row[m].st != ACCEPTED && row[m].pend == 0 ->
#endif
			GO(m, ACCEPT_OLDER);
			row[m].again = 0; row[m].pend = 0;
			row[m].fs = (row[m].fs == 0 -> 1 : row[m].fs)
		:: else
		fi
	fi
}

inline apply_refusal()
{
	if
	:: DEAD_ROW(m) -> class = FAIL; meet_result()
#ifdef BAD_ANY_REFUSAL
	:: !DEAD_ROW(m) && OWN(m, l, g) -> fail_own()
	:: !DEAD_ROW(m) && !OWN(m, l, g) ->
#else
	/* An answer does not undo an acceptance: that was of another attempt with this key. */
	:: !DEAD_ROW(m) && OWN(m, l, g) && row[m].try == (t) && row[m].st != ACCEPTED -> fail_own()
	:: !DEAD_ROW(m) && !(OWN(m, l, g) && row[m].try == (t) && row[m].st != ACCEPTED) ->
#endif
		if
		:: !OWN(m, l, g) && row[m].leg == (l) && row[m].fence != (f) + 1 && try[(m) * NG + (g)].s != 0 ->
			fail_older()
		:: else
		fi
	fi
}

inline apply_unknown()
{
	if
	:: HAS_FENCE(m, f) && row[m].st == SENDING -> GO(m, UNKNOWN)
	:: else
	fi
}

/* keeps: an older attempt is open. */
inline apply_release()
{
	if
	:: HAS_FENCE(m, f) && MAY(m, RELEASE) && row[m].owner == a ->
		GO(m, RELEASE);
		row[m].fs = (keeps -> row[m].fs : 0);
		row[m].again = keeps; row[m].pend = 0
	:: else
	fi
}

inline apply_defer()
{
	if
	:: HAS_FENCE(m, f) && row[m].st == SENDING && row[m].owner == a ->
		GO(m, DEFER);
		row[m].fs = (keeps -> row[m].fs : 0);
		row[m].gen = row[m].gen + 1;
		prov[P(m, l, g)].ended = 1;
#ifdef BAD_USED_UP_KEY
		row[m].again = keeps;
#else
		row[m].again = 0;	/* no attempt with the next key is open */
#endif
		row[m].pend = 0
	:: else
	fi
}

inline push_touched()
{
	if
	:: IS_LOST(a, m) ->
		if
		:: row[m].leg == 0 && scan[I(a, m)].tries[1] > 0 -> row[m].leg = 1; forget_tries()
		:: else
		fi;
		newest();
		GO(m, TOUCHED);
		row[m].try = t;
		row[m].gen = scan[I(a, m)].gens[row[m].leg];
		row[m].key = row[m].gen + 1;
		row[m].owner = a; row[m].inc = db_inc[a];
		row[m].fs = (row[m].fs == 0 -> 1 : row[m].fs);
		row[m].again = 0; row[m].pend = 0
	:: else
	fi
}

/* ---- one agent at one message ---- */

#define MEM mem[I(a, m)]

inline forget()
{
	MEM.where = NOWHERE; MEM.mark = NO_MARK; MEM.fence = 0; MEM.try = 0; MEM.gen = 0; MEM.leg = 0;
	MEM.outcome = NOTHING; MEM.again = 0; MEM.older = 0; MEM.late = 0
}

/* Nobody waits for this request any more; it may arrive all the same. */
inline let_fly()
{
	n = P(m, MEM.leg, MEM.gen);
	prov[n].net = prov[n].net + (MEM.answer == FLYING);
	MEM.answer = NOTHING
}

inline remember()
{
	MEM.where = CLAIMED; MEM.fence = row[m].fence; MEM.try = row[m].try; MEM.gen = row[m].key - 1;
	MEM.leg = row[m].leg; MEM.again = row[m].again; MEM.older = row[m].gen > 0 && TRIES_OPEN(m) > 0
}

inline claim()
{
	GO(m, CLAIM);
	row[m].owner = a; row[m].inc = inc[a]; row[m].try = row[m].try + 1;
	row[m].fs = (row[m].fs == 0 -> 1 : row[m].fs);
#ifdef BAD_RANDOM_KEY
	row[m].key = 1 + last_key[m] % NG; last_key[m] = last_key[m] + 1;
#else
	row[m].key = (row[m].again && row[m].key != 0 -> row[m].key : row[m].gen + 1);
#endif
#if ROLLBACKS == 0
	assert(!prov[P(m, row[m].leg, row[m].key - 1)].ended);	/* a key that is known to be used up is not used again */
#endif
	db_seq[a] = db_seq[a] + 1
}

/* The answer to a COMMIT tells the claim counter. */
#if ROLLBACKS > 0
#define KNOW_SEQ seq[a] = db_seq[a]; seen[a] = seq[a]
#else
#define KNOW_SEQ seq[a] = db_seq[a]
#endif
#ifdef BAD_COUNT
#define COUNT_RESEND skip
#define KNOW_RESEND skip
#else
#define COUNT_RESEND db_seq[a] = db_seq[a] + 1
#define KNOW_RESEND KNOW_SEQ
#endif

/* n: with a new generation of the key. */
inline resend()
{
	if
	:: n == 1 ->
		KEEP_TRY(m, 1);
		row[m].gen = row[m].gen + 1; row[m].key = row[m].gen + 1
	:: else
	fi;
#ifdef BAD_SECOND_CHANNEL
	prov[P(m, row[m].leg, row[m].key - 1)].forgot = 1;	/* what this one took, the other does not know */
#endif
#ifdef BAD_RANDOM_KEY
	row[m].key = 1 + last_key[m] % NG; last_key[m] = last_key[m] + 1;
#endif
	LIKE(m, TAKE);
	GO(m, RESEND);
	row[m].owner = a; row[m].inc = inc[a]; row[m].try = row[m].try + 1; row[m].again = n == 0;
	COUNT_RESEND
}

inline hold()
{
	LIKE(m, TAKE);
#ifdef BAD_FALLBACK_ON_UNKNOWN
	if
	:: row[m].leg == 0 -> next_leg()
	:: else -> GO(m, HOLD)
	fi
#else
	GO(m, HOLD)
#endif
}

/* pipeline_decide() */
inline decide()
{
	MEM.outcome = MEM.answer;
	if
#ifdef BAD_DUPLICATE_FINAL
	:: MEM.answer == DUPLICATE -> MEM.outcome = NO
#else
	:: MEM.answer == DUPLICATE -> MEM.outcome = (MEM.again -> YES : UNSURE)
#endif
#ifndef BAD_REFUSAL_FINAL
	:: MEM.again && MEM.answer >= NO -> MEM.outcome = UNSURE
#endif
	:: else
	fi;
	MEM.answer = NOTHING
}

inline settle()
{
	l = MEM.leg; g = MEM.gen; f = MEM.fence; t = MEM.try; keeps = MEM.older;
	if
	:: MEM.outcome == YES -> apply_accept()
	:: MEM.outcome == NO -> apply_refusal()
	:: MEM.outcome == LATER -> apply_release()
	:: MEM.outcome == ENDED -> apply_defer()
	:: MEM.outcome == UNSURE -> apply_unknown()
	fi
}

inline give_back()
{
	f = MEM.fence; keeps = 0;
	if
	:: MEM.again || MEM.older -> apply_unknown()
	:: else -> apply_release()
	fi;
	forget()
}

/* Who connects looks at the identity of the database before anything else. */
#if IDENTITY > 0 && !defined(BAD_IDENTITY)
#define KNOWS_DB(a) (!strange[a])
#else
#define KNOWS_DB(a) 1
#endif
#define IS_IDLE(a, m) (mem[I(a, m)].where == NOWHERE && mem[I(a, m)].mark == NO_MARK)
#define MAY_SEND(a) (IS_RUNNING(a) && !frozen && db_inc[a] == inc[a] && KNOWS_DB(a))
#ifdef BAD_COUNT
#define MAY_RESEND(a) MAY_SEND(a)
#else
#define MAY_RESEND(a) (MAY_SEND(a) && seq[a] == db_seq[a])
#endif
#define CAN_CLAIM(a, m) (MAY_SEND(a) && !unsure[a] && seq[a] == db_seq[a] && row[m].st == READY && IS_IDLE(a, m) && \
	row[m].try < TRIES && row[m].gen < NG)
/* A lease lasts many heartbeats: by the time that somebody looks at an UNKNOWN row the claim counter is known. */
#define CAN_LOOK(a, m) (IS_RUNNING(a) && seq[a] >= db_seq[a] && row[m].st == UNKNOWN && OURS(m) && IS_IDLE(a, m))

/* The database has lost commits that an agent saw, and nobody has noticed yet. Assumed: nothing is refused by our own rules,
 * expires or is cancelled in these few seconds. */
#if ROLLBACKS > 0
#define UNNOTICED (!frozen && (seen[0] > db_seq[0] || seen[NA - 1] > db_seq[NA - 1]))
#else
#define UNNOTICED 0
#endif
#define MAY_REFUSE (!UNNOTICED && !frozen)
#ifdef BAD_WALK
#define MAY_EXPIRE (!UNNOTICED)
#else
#define MAY_EXPIRE MAY_REFUSE
#endif

/* No attempt with this key is under way any more; NA is 1 or 2. */
#define ON_ITS_WAY(a, m, l, g) (mem[I(a, m)].gen == (g) && mem[I(a, m)].leg == (l) && \
	(mem[I(a, m)].answer == FLYING || (mem[I(a, m)].where == CLAIMED && !mem[I(a, m)].late)))
#define QUIET(m, l, g) (prov[P(m, l, g)].net == 0 && !ON_ITS_WAY(0, m, l, g) && !ON_ITS_WAY(NA - 1, m, l, g))
#ifdef BAD_NO_QUIET
#define IS_QUIET(m) 1
#else
#define IS_QUIET(m) QUIET(m, row[m].leg, row[m].key - 1)
#endif
#define PROVIDER_HAS(m) (prov[P(m, row[m].leg, row[m].key - 1)].has % 3 != 0)

#ifdef DEDUP
#ifdef BAD_LATE_RESEND
#define CAN_REPEAT(m) (row[m].try < TRIES)
#else
#define CAN_REPEAT(m) (row[m].fs == 1 && row[m].try < TRIES)
#endif
#define KNOWS(k) (prov[k].has != 0 && !prov[k].forgot)
#else
#define CAN_REPEAT(m) 0
#define KNOWS(k) 0
#endif
#ifdef BAD_NO_DEADLINE
#define IN_TIME(a, m) 1
#else
#define IN_TIME(a, m) (!mem[I(a, m)].late)
#endif
/* Who knows of the freeze sends nothing. */
#define MAY_LEAVE(a, m) (IS_RUNNING(a) && mem[I(a, m)].where == CLAIMED && IN_TIME(a, m) && !(frozen && replayed[a]))
#ifdef REFUSES_KNOWN
#define DOES_REFUSE(k) 1		/* throttled, or the account is closed: before it looks at the key */
#else
#define DOES_REFUSE(k) (!KNOWS(k))
#endif

/* The provider takes a request with this key; class: what will become of it. */
inline take()
{
	n = P(m, l, g);
	prov[n].report = 1; prov[n].forgot = 0;
	if
	:: class == OK -> prov[n].has = 1; ring()
	:: else -> prov[n].has = (prov[n].has == 1 -> 1 : 2)
	fi
}

#define ARRIVES(a, m) (mem[I(a, m)].answer == FLYING)
#define KEY_OF(a, m) P(m, mem[I(a, m)].leg, mem[I(a, m)].gen)
#define AT a = aa; m = mm

proctype Work(byte aa; byte mm)
{
end:	do
	/* the request arrives */
	:: d_step { ARRIVES(aa, mm) && !KNOWS(KEY_OF(aa, mm)) ->
		AT; MEM.answer = YES; l = MEM.leg; g = MEM.gen; class = OK; take() }
#ifdef REPORTS
	/* it arrives, is taken, and will fail later */
	:: d_step { ARRIVES(aa, mm) && !KNOWS(KEY_OF(aa, mm)) ->
		AT; MEM.answer = YES; l = MEM.leg; g = MEM.gen; class = FAIL; take() }
#endif
	/* the provider knows the key */
	:: d_step { ARRIVES(aa, mm) && KNOWS(KEY_OF(aa, mm)) -> AT; MEM.answer = DUPLICATE }
	/* it refuses */
	:: d_step { ARRIVES(aa, mm) && DOES_REFUSE(KEY_OF(aa, mm)) -> AT; MEM.answer = NO }
	/* it does not take it now */
	:: d_step { ARRIVES(aa, mm) && DOES_REFUSE(KEY_OF(aa, mm)) -> AT; MEM.answer = LATER }
	/* it does not take it now, and not with this key again */
	:: d_step { ARRIVES(aa, mm) && prov[KEY_OF(aa, mm)].has == 0 && mem[I(aa, mm)].gen + 1 < NG ->
		AT; prov[KEY_OF(a, m)].has = 3; MEM.answer = ENDED }

	/* a claim */
	:: d_step { CAN_CLAIM(aa, mm) -> AT; claim(); KNOW_SEQ; remember() }
	/* a claim whose COMMIT gets no answer: done, */
	:: d_step { unsures > 0 && CAN_CLAIM(aa, mm) -> AT; unsures = unsures - 1; claim(); unsure[a] = 1 }
	/* or not done */
#ifdef BAD_SEND_UNSURE
	:: d_step { unsures > 0 && CAN_CLAIM(aa, mm) ->
		AT; unsures = unsures - 1;
		MEM.where = CLAIMED; MEM.fence = row[m].fence + 1; MEM.try = row[m].try + 1; MEM.leg = row[m].leg; MEM.gen = row[m].gen }
#else
	:: d_step { unsures > 0 && CAN_CLAIM(aa, mm) && !unsure[aa] -> AT; unsures = unsures - 1; unsure[a] = 1 }
#endif
	/* the mark; the request leaves */
	:: d_step { MAY_LEAVE(aa, mm) ->
		AT;
		assert(!(MEM.leg == 1 && phone[2 * m] > 0));	/* no second leg when the first arrived */
		MEM.where = WIRE; MEM.answer = FLYING;
#ifndef BAD_MARK_AFTER_WIRE
		MEM.mark = SUBMIT;
		scan[I(a, m)].tries[MEM.leg] = scan[I(a, m)].tries[MEM.leg] | (1 << MEM.try);
		scan[I(a, m)].gens[MEM.leg] = MEM.gen;
#endif
		sent[2 * m + MEM.leg] = (sent[2 * m + MEM.leg] == 0 -> 1 : 2) }
	/* nothing left: too late, paused, draining, no credit */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == CLAIMED ->
		AT; give_back() }
	/* refused by our own rules, or cancelled; that is judged right after the claim */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == CLAIMED && !mem[I(aa, mm)].late && MAY_REFUSE ->
		AT;
		if
		:: HAS_FENCE(m, MEM.fence) && OWN(m, MEM.leg, MEM.gen) -> fail_by_rule()
		:: else
		fi;
		forget() }
	/* the channel cannot send it at all, and found out before the wire and in time */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == CLAIMED && !mem[I(aa, mm)].again && !mem[I(aa, mm)].late &&
		    MAY_REFUSE ->
		AT; l = MEM.leg; g = MEM.gen; f = MEM.fence; t = MEM.try;
		apply_refusal(); forget() }
	/* the answer */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == WIRE && mem[I(aa, mm)].answer >= YES ->
		AT;
		decide();
#ifndef BAD_SETTLE_BEFORE_ANSWER
		MEM.mark = ANSWER;
#endif
		refused[2 * m + MEM.leg] = refused[2 * m + MEM.leg] || MEM.outcome == NO;
		MEM.where = SETTLE }
	/* none in time, cut, or one that says nothing */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == WIRE ->
		AT;
		let_fly();
		MEM.outcome = UNSURE; MEM.mark = ANSWER; MEM.where = SETTLE }
	/* it is settled */
	:: d_step { IS_RUNNING(aa) && mem[I(aa, mm)].where == SETTLE -> AT; settle(); forget() }
	/* it is settled, and nobody knows: again, then */
	:: d_step { unsures > 0 && IS_RUNNING(aa) && mem[I(aa, mm)].where == SETTLE ->
		AT; unsures = unsures - 1; settle(); unsure[a] = 1 }

	/* what became of it? hold it */
#if POLICY == HOLD_IT
	:: d_step { CAN_LOOK(aa, mm) -> AT; hold() }
#endif
#if POLICY == CLOSE_IT
	/* close it */
	:: d_step { CAN_LOOK(aa, mm) -> AT; LIKE(m, TAKE); class = UNK; k = 0; finish() }
#endif
#if defined(DEDUP) && (POLICY == AUTO || POLICY == RESEND_IT)
	/* send it again with its key; the same without an answer to its COMMIT */
	:: d_step { CAN_LOOK(aa, mm) && MAY_RESEND(aa) && CAN_REPEAT(mm) -> AT; n = 0; resend(); remember(); KNOW_RESEND }
	:: d_step { unsures > 0 && CAN_LOOK(aa, mm) && MAY_RESEND(aa) && CAN_REPEAT(mm) ->
		AT; unsures = unsures - 1; n = 0; resend(); unsure[a] = 1 }
#endif
#if POLICY == RESEND_IT
	/* send it again with another key */
	:: d_step { CAN_LOOK(aa, mm) && MAY_RESEND(aa) && !CAN_REPEAT(mm) && row[mm].try < TRIES && row[mm].gen + 1 < NG ->
		AT; n = 1; resend(); remember(); KNOW_RESEND }
	:: d_step { unsures > 0 && CAN_LOOK(aa, mm) && MAY_RESEND(aa) && !CAN_REPEAT(mm) && row[mm].try < TRIES &&
		    row[mm].gen + 1 < NG ->
		AT; unsures = unsures - 1; n = 1; resend(); unsure[a] = 1 }
	/* often enough: hold it */
	:: d_step { CAN_LOOK(aa, mm) && !CAN_REPEAT(mm) && row[mm].try >= TRIES -> AT; hold() }
#endif
#if POLICY == AUTO && !defined(QUERY)
	/* no way to find out: hold it */
	:: d_step { CAN_LOOK(aa, mm) && !CAN_REPEAT(mm) -> AT; hold() }
#endif
#if POLICY == AUTO && defined(QUERY)
	/* asked: the provider has it, and perhaps knows its end */
	:: d_step { CAN_LOOK(aa, mm) && !CAN_REPEAT(mm) && PROVIDER_HAS(mm) ->
		AT; LIKE(m, TAKE);
		l = row[m].leg; g = row[m].key - 1; apply_accept() }
#ifdef REPORTS
	:: d_step { CAN_LOOK(aa, mm) && !CAN_REPEAT(mm) && PROVIDER_HAS(mm) ->
		AT; LIKE(m, TAKE);
		l = row[m].leg; g = row[m].key - 1; class = prov[P(m, l, g)].has; apply_report() }
#endif
	/* it has not: that counts after the quiet time, before it the row is looked at again later */
	:: d_step { CAN_LOOK(aa, mm) && MAY_RESEND(aa) && !CAN_REPEAT(mm) && !PROVIDER_HAS(mm) && IS_QUIET(mm) ->
		AT; LIKE(m, LOOK);
		if
		:: row[m].try < TRIES -> n = 0; resend(); remember(); KNOW_RESEND
		:: else -> hold()
		fi }
#endif
	od
}

/* ---- care: what any agent does for any row, by the clock of the database ---- */

proctype Care(byte mm)
{
end:	do
	/* The leases of the row and of its agent are over; who could still send in time would have. */
	:: d_step { row[mm].st == SENDING && OURS(mm) ->
		m = mm; a = row[m].owner;
		MEM.late = MEM.late || (MEM.where == CLAIMED && MEM.fence == row[m].fence);
#ifdef BAD_RECLAIM
		GO(m, RELEASE)
#else
		GO(m, LEASE_OVER)
#endif
		}
	/* its time has come */
	:: d_step { row[mm].st == DEFERRED && OURS(mm) -> m = mm; GO(m, READY) }
	/* 47 h */
	:: d_step { (row[mm].st == ACCEPTED || row[mm].st == UNKNOWN || row[mm].st == HELD) && OURS(mm) && row[mm].pend == 0 ->
		m = mm; k = 0;
#ifdef BAD_CLOSE_AS_FAILED
		class = FAIL;
#else
		class = UNK;
#endif
		finish() }
	/* expired unsent, or cancelled */
	:: d_step { (row[mm].st == READY || row[mm].st == DEFERRED) && OURS(mm) && MAY_EXPIRE ->
		m = mm; fail_by_rule() }
	/* an outcome that could not be written before */
	:: d_step { row[mm].st == HELD && row[mm].pend != 0 && !refusing -> m = mm; class = row[m].pend; k = 0; finish() }
	/* a report that fits now */
	:: d_step { KEPT_FITS(mm) -> m = mm; apply_kept() }
#ifdef FOREIGN_ROWS
	/* not the agent's columns: a new message */
	:: d_step { row[mm].foreign -> m = mm; GO(m, FOREIGN); row[m].fence = 0; row[m].foreign = 0 }
#endif
	od
}

#if ORDERS > 0
proctype Operator(byte mm)
{
end:	do
	/* send it again: with its key where the provider recognises that for as long as it may be sent */
#ifdef DEDUP
	:: d_step { orders > 0 && (row[mm].st == UNKNOWN || row[mm].st == HELD) && OURS(mm) && row[mm].pend == 0 && row[mm].fs == 1 &&
		    TRIES_OPEN(mm) == 0 && !OWN_CLOSED(mm) ->
		m = mm; orders = orders - 1; GO(m, OP_RESEND); row[m].again = 1 }
#endif
	/* with another key, confirmed */
	:: d_step { orders > 0 && (row[mm].st == UNKNOWN || row[mm].st == HELD) && OURS(mm) && row[mm].pend == 0 &&
		    row[mm].gen + 1 < NG ->
		m = mm; orders = orders - 1;
		if
		:: !OWN_CLOSED(m) -> KEEP_TRY(m, 1)
		:: else
		fi;
		GO(m, OP_RESEND);
		row[m].gen = row[m].gen + 1; row[m].key = row[m].gen + 1; row[m].again = 0; twice[m] = 1 }
	/* send it anew: it certainly failed, and its result could not be written */
	:: d_step { orders > 0 && row[mm].st == HELD && OURS(mm) && row[mm].pend == FAIL && TRIES_OPEN(mm) == 0 && row[mm].gen + 1 < NG ->
		m = mm; orders = orders - 1;
		if
		:: row[m].key > 0 && !OWN_CLOSED(m) -> KEEP_TRY(m, 2)
		:: else
		fi;
		GO(m, OP_REQUEUE);
		row[m].gen = row[m].gen + 1; row[m].key = row[m].gen + 1; row[m].again = 0; row[m].pend = 0; row[m].fs = 0 }
	od
}
#endif

/* ---- the life of an agent ---- */

#define EACH_MESSAGE m = 0; do :: m < NM ->
#define NEXT_MESSAGE m = m + 1 :: else -> break od; m = 0

inline end_process()
{
	EACH_MESSAGE
		let_fly();
		if
		:: MEM.mark == NO_MARK -> forget()
		:: else -> MEM.where = NOWHERE; MEM.late = 0; MEM.older = 0
		fi;
	NEXT_MESSAGE;
	up[a] = 0; unsure[a] = 0; seq[a] = 0
}


/* Which marks are looked at, to tell whether an attempt was ever on the wire? */
#ifdef BAD_LIVE_MARKS
#define WAS_MARKED(a, m) 0
#else
#define WAS_MARKED(a, m) MARKED_SINCE(a, m, row[m].try)
#endif
#ifdef BAD_ORPHANS_BY_LIVE_MARKS
#define IS_ORPHAN(a, m) 1
#else
#define IS_ORPHAN(a, m) (!MARKED_SINCE(a, m, row[m].try) && row[m].inc == inc[a])
#endif
#ifdef BAD_EMPTY_JOURNAL
#define IS_WHOLE(a, m) 1
#else
#define IS_WHOLE(a, m) (row[m].inc >= whole_since[a])
#endif

/* What a live mark knows of this message goes to the database. */
inline replay()
{
	if
	:: MEM.mark == ANSWER ->
		if
		:: IS_LATER(a, m) -> push_touched(); MEM.fence = row[m].fence
		:: else
		fi;
		settle()
	:: MEM.mark == SUBMIT ->
		f = MEM.fence;
		if
		:: IS_LATER(a, m) -> push_touched()
		:: else -> apply_unknown()
		fi
	:: else
	fi
}

/* A row of ours that no live mark names. */
inline own_row()
{
	if
	:: row[m].st == SENDING && row[m].owner == a && OURS(m) ->
		f = row[m].fence; keeps = TRIES_OPEN(m) > 0;
		if
		:: !WAS_MARKED(a, m) && IS_WHOLE(a, m) && !row[m].again && !keeps -> apply_release()
		:: else -> apply_unknown()
		fi
	:: else
	fi
}

/* Commits are lost: nobody claims before everybody has said what its journal knows. What is in memory and not marked goes back
 * first, or it could be sent after all have told. */
inline tell_all()
{
	EACH_MESSAGE
#ifndef BAD_DRIVER
		if
		:: MEM.where == CLAIMED -> give_back()
		:: else
		fi;
#endif
		push_touched();
	NEXT_MESSAGE;
	replayed[a] = 1
}

inline freeze()
{
#ifdef BAD_NO_FREEZE
	skip
#else
	frozen = 1; replayed[0] = 0; replayed[NA - 1] = 0
#endif
}

/* A start compares the database with what the journal has seen: known says whether there is one. */
inline start_process(known)
{
	db_inc[a] = db_inc[a] + 1; inc[a] = db_inc[a]; seq[a] = db_seq[a]; up[a] = 1;
#if ROLLBACKS > 0
	if
#if IDENTITY > 0
	:: known && (seen[a] > db_seq[a] || strange[a]) -> freeze()
#else
	:: known && seen[a] > db_seq[a] -> freeze()
#endif
	:: else
	fi;
	seen[a] = db_seq[a];
#if IDENTITY > 0
	strange[a] = 0;
#endif
	if
	:: frozen && !replayed[a] -> tell_all()
	:: else
	fi
#endif
}

proctype Life(byte aa)
{
end:	do
	/* a crash */
	:: d_step { crashes > 0 && up[aa] > 0 -> a = aa; crashes = crashes - 1; end_process() }
	/* a start */
	:: d_step { up[aa] == 0 -> a = aa; start_process(1) }
#if NEWJOURNALS > 0
	/* another journal: nothing is known */
	:: d_step { newjournals > 0 && up[aa] == 0 ->
		a = aa;
		newjournals = newjournals - 1;
		EACH_MESSAGE
			forget();
			scan[I(a, m)].tries[0] = 0; scan[I(a, m)].tries[1] = 0;
			scan[I(a, m)].gens[0] = 0; scan[I(a, m)].gens[1] = 0;
		NEXT_MESSAGE;
		start_process(0);
		whole_since[a] = inc[a] }
	/* broken, or after a reboot: what it says is used, what it does not say proves nothing */
	:: d_step { newjournals > 0 && up[aa] == 0 ->
		a = aa; newjournals = newjournals - 1; start_process(1); whole_since[a] = inc[a] }
#endif
	/* recovery: first the marks, then the rows */
	:: d_step { up[aa] > 0 && up[aa] <= NM -> a = aa; m = up[a] - 1; replay(); forget(); up[a] = up[a] + 1 }
	/* the same without an answer to its COMMIT: it ends, and starts again */
	:: d_step { unsures > 0 && up[aa] > 0 && up[aa] <= NM && mem[I(aa, up[aa] - 1)].mark != NO_MARK ->
		a = aa; unsures = unsures - 1; m = up[a] - 1; replay(); end_process() }
	/* recovery: rows of ours without a mark */
	:: d_step { up[aa] > NM && up[aa] <= 2 * NM ->
		a = aa; m = up[a] - NM - 1; own_row(); up[a] = up[a] + 1 }
	/* after a call without an answer: what is ours and unknown here goes back */
	:: d_step { IS_RUNNING(aa) && unsure[aa] && !frozen ->
		a = aa;
		EACH_MESSAGE
			f = row[m].fence; keeps = TRIES_OPEN(m) > 0;
			if
			:: row[m].st == SENDING && row[m].owner == a && OURS(m) && IS_IDLE(a, m) ->
				if
				:: row[m].again || keeps || !IS_ORPHAN(a, m) -> apply_unknown()
				:: else -> apply_release()
				fi
			:: else
			fi;
		NEXT_MESSAGE;
		unsure[a] = 0 }
	/* heartbeat: the claim counter after a COMMIT without an answer */
	:: d_step { IS_RUNNING(aa) && db_seq[aa] > seq[aa] && db_inc[aa] == inc[aa] -> seq[aa] = db_seq[aa] }
#if ROLLBACKS > 0
	/* heartbeat: another process has this id, or the database has forgotten this start */
	:: d_step { IS_RUNNING(aa) && db_inc[aa] != inc[aa] -> a = aa; end_process() }
	/* heartbeat: the claim counter went back */
	:: d_step { IS_RUNNING(aa) && db_inc[aa] == inc[aa] && db_seq[aa] < seq[aa] ->
		a = aa; seq[a] = db_seq[a]; seen[a] = seq[a]; freeze(); tell_all() }
#if IDENTITY > 0
	/* heartbeat: another database */
	:: d_step { IS_RUNNING(aa) && strange[aa] ->
		a = aa; strange[a] = 0;
		if
		:: frozen
		:: else -> freeze()
		fi;
		tell_all() }
#endif
	/* heartbeat: frozen by another agent */
	:: d_step { IS_RUNNING(aa) && frozen && !replayed[aa] -> a = aa; tell_all() }
#endif
	od
}

/* ---- the provider by itself ---- */

#define OF_KEY m = kk / (2 * NG); l = (kk / NG) % 2; g = kk % NG
#define M(k) ((k) / (2 * NG))
#define ANY_RUNNING (IS_RUNNING(0) || IS_RUNNING(NA - 1))
/* A report that fits nothing is kept; there is one place for it. */
#define CAN_REPORT(k) (ANY_RUNNING && kept[M(k)].c == 0)

inline get_report()
{
	class = prov[P(m, l, g)].has;
	told[2 * m + l] = (told[2 * m + l] == OK -> OK : class);
	apply_report()
}

proctype Key(byte kk)
{
end:	do
	/* a request that nobody waits for any more arrives */
	:: d_step { prov[kk].net > 0 && !KNOWS(kk) -> OF_KEY; prov[kk].net = prov[kk].net - 1; class = OK; take() }
#ifdef REPORTS
	/* it arrives, and will fail later */
	:: d_step { prov[kk].net > 0 && !KNOWS(kk) -> OF_KEY; prov[kk].net = prov[kk].net - 1; class = FAIL; take() }
#endif
	/* it never arrives, or is refused */
	:: d_step { prov[kk].net > 0 -> prov[kk].net = prov[kk].net - 1 }
#ifdef REPORTS
	/* A report is journalled, synced, confirmed, written; between these it is safe in the journal, so that it is one step
	 * here, which may come at any time, */
	:: d_step { prov[kk].report == 1 && CAN_REPORT(kk) -> OF_KEY; prov[kk].report = 2; get_report() }
	/* or never, */
	:: d_step { prov[kk].report == 1 -> prov[kk].report = 2 }
	/* or more than once */
	:: d_step { repeats > 0 && prov[kk].report == 1 && CAN_REPORT(kk) -> OF_KEY; repeats = repeats - 1; get_report() }
#ifdef BAD_CONFIRM_FIRST
	/* confirmed, and lost with the process */
	:: d_step { crashes > 0 && prov[kk].report == 1 && CAN_REPORT(kk) ->
		OF_KEY; crashes = crashes - 1; prov[kk].report = 2; told[2 * m + l] = prov[kk].has }
#endif
#ifdef DEDUP
	/* "failed: duplicate", about a second request with the key */
	:: d_step { repeats > 0 && prov[kk].has == 1 && CAN_REPORT(kk) ->
		OF_KEY;
		repeats = repeats - 1;
#ifdef BAD_DUPLICATE_FAILED
		class = FAIL; apply_report()
#else
		apply_accept()
#endif
		}
#endif
#endif
#ifdef WINDOW
	/* The provider forgets the key. The agent keeps a margin: nothing with it is on its way by then. */
	:: d_step { prov[kk].has != 0 && !prov[kk].forgot && QUIET(M(kk), (kk / NG) % 2, kk % NG) ->
		OF_KEY;
		prov[kk].forgot = 1;
		row[m].fs = (row[m].leg == l && row[m].fs == 1 -> 2 : row[m].fs) }
#endif
	od
}

/* ---- the database by itself ---- */

#if ROLLBACKS > 0
#define copy_try(to, from, j) to##try[j].s = from##try[j].s; to##try[j].t = from##try[j].t
#if NG == 3
#define copy_tries(to, from) copy_try(to, from, m * NG); copy_try(to, from, m * NG + 1); copy_try(to, from, m * NG + 2)
#else
#define copy_tries(to, from) copy_try(to, from, m * NG); copy_try(to, from, m * NG + 1)
#endif
#define copy_message(to, from) \
	to##row[m].st = from##row[m].st; to##row[m].fence = from##row[m].fence; \
	to##row[m].try = from##row[m].try; to##row[m].gen = from##row[m].gen; \
	to##row[m].key = from##row[m].key; to##row[m].owner = from##row[m].owner; \
	to##row[m].inc = from##row[m].inc; to##row[m].fs = from##row[m].fs; \
	to##row[m].pend = from##row[m].pend; to##row[m].leg = from##row[m].leg; \
	to##row[m].again = from##row[m].again; to##row[m].foreign = from##row[m].foreign; \
	copy_tries(to, from); \
	to##res[m].c = from##res[m].c; to##res[m].key = from##res[m].key; to##res[m].try = from##res[m].try; to##res[m].leg = from##res[m].leg; \
	to##kept[m].c = from##kept[m].c; to##kept[m].gen = from##kept[m].gen; to##kept[m].leg = from##kept[m].leg
#define clear_copy() \
	old_row[m].st = 0; old_row[m].fence = 0; old_row[m].try = 0; old_row[m].gen = 0; old_row[m].key = 0; \
	old_row[m].owner = 0; old_row[m].inc = 0; old_row[m].fs = 0; old_row[m].pend = 0; old_row[m].leg = 0; \
	old_row[m].again = 0; old_row[m].foreign = 0; \
	old_try[m * NG].s = 0; old_try[m * NG + 1].s = 0; old_try[m * NG + NG - 1].s = 0; \
	old_try[m * NG].t = 0; old_try[m * NG + 1].t = 0; old_try[m * NG + NG - 1].t = 0; \
	old_res[m].c = 0; old_res[m].key = 0; old_res[m].try = 0; old_res[m].leg = 0; \
	old_kept[m].c = 0; old_kept[m].gen = 0; old_kept[m].leg = 0
#endif

proctype Database()
{
end:	do
#if ROLLBACKS > 0
	/* from here on the copy lags, and any number of commits later */
	:: d_step { copied == 0 ->
		copied = 1;
		EACH_MESSAGE
			copy_message(old_, );
		NEXT_MESSAGE;
		a = 0;
		do
		:: a < NA -> old_inc[a] = db_inc[a]; old_seq[a] = db_seq[a]; a = a + 1
		:: else -> break
		od }
	/* the copy is the database: commits are lost */
	:: d_step { copied == 1 ->
		copied = 2;
		EACH_MESSAGE
			copy_message( , old_);
			clear_copy();
		NEXT_MESSAGE;
		a = 0;
		do
		:: a < NA ->
			db_inc[a] = old_inc[a]; db_seq[a] = old_seq[a]; old_inc[a] = 0; old_seq[a] = 0;
			unsure[a] = unsure[a] || IS_RUNNING(a);	/* the connections are gone, too */
#if IDENTITY > 0
			strange[a] = IDENTITY == 2 || up[a] > 0;
#endif
			a = a + 1
		:: else -> break
		od }
#endif
	/* every agent has told: the freeze ends */
	:: d_step { frozen && replayed[0] && replayed[NA - 1] -> frozen = 0; replayed[0] = 0; replayed[NA - 1] = 0 }
#if REFUSALS > 0
	/* a trigger or a foreign key refuses results; for a while */
	:: d_step { refusals > 0 && !refusing -> refusals = refusals - 1; refusing = 1 }
	/* that is over */
	:: d_step { refusing -> refusing = 0 }
#endif
	od
}

/* ---- the end ---- */

/* What was confirmed to the provider must show in the result: a delivery always, a failure and a refusal where no other attempt
 * was ever begun. (What a database forgets is forgotten.) */
#if ROLLBACKS > 0
#define judge_reports(l)
#elif POLICY == RESEND_IT || ORDERS > 0
#define judge_reports(l) assert(!(res[m].c == UNK && res[m].leg == l && told[2 * m + l] == OK))
#else
#define judge_reports(l) assert(!(res[m].c == UNK && res[m].leg == l && told[2 * m + l] != 0))
#endif
#if ROLLBACKS == 0 && NEWJOURNALS == 0 && ORDERS == 0 && (POLICY == HOLD_IT || POLICY == CLOSE_IT)
#define judge_refusals(l) assert(!(res[m].c == UNK && res[m].leg == l && refused[2 * m + l] && sent[2 * m + l] == 1))
#else
#define judge_refusals(l)
#endif

proctype Monitor()
{
	/* nothing can happen any more */
	timeout -> d_step {
		EACH_MESSAGE
			assert(row[m].st == GONE);	/* no message stays, */
			assert(res[m].c != 0);		/* each has its result, */
			check_result();			/* and it is right */
			judge_reports(0); judge_reports(1);
			judge_refusals(0); judge_refusals(1);
		NEXT_MESSAGE }
}

init {
	byte x;

	atomic {
		for (x : 0 .. NA - 1) {
			db_inc[x] = 1; inc[x] = 1; whole_since[x] = 1; up[x] = RUNNING
		}
#ifdef FOREIGN_ROWS
		row[0].foreign = 1;
		if
		:: row[0].st = SENDING
		:: row[0].st = ACCEPTED
		:: row[0].st = UNKNOWN
		:: row[0].st = HELD
		:: row[0].st = DEFERRED
		fi;
#endif
		run Monitor();
		run Database();
		for (x : 0 .. NM - 1) { run Care(x) }
#if ORDERS > 0
		for (x : 0 .. NM - 1) { run Operator(x) }
#endif
		for (x : 0 .. NA - 1) { run Life(x) }
		for (x : 0 .. NA * NM - 1) { run Work(x / NM, x % NM) }
		for (x : 0 .. NM * 2 * NG - 1) { run Key(x) }
	}
}
