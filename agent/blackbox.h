/* blackbox.h - which row was being worked on when the process died of itself.
 *
 * A small file of the state folder, mapped and shared: the page cache has it however the process
 * ends. Each thread notes in a place of its own the row that it works on (plain stores); the
 * handler of SEGV, BUS, FPE, ILL and ABRT marks that place before the signal does what it always
 * does. A kill and a power failure mark nothing. The next start blames the rows of marked places,
 * and one that was blamed BLACKBOX_LIMIT times without having come to an end is shunned: it is
 * not worked on any more.
 *
 * The box is of one program version and one journal; of another it starts anew, and so does one
 * that cannot be read: the counts are forgotten, nothing else. Without a file everything here does
 * nothing. blackbox_open(), blackbox_close() and blackbox_blame(): main thread; the others: any
 * thread. The notes of one thread do not nest. */
#ifndef MTRELAY_BLACKBOX_H
#define MTRELAY_BLACKBOX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLACKBOX_LIMIT 3
#define BLACKBOX_SLOTS 8 /* threads that work on rows */
#define BLACKBOX_SUSPECTS 16
#define BLACKBOX_KEY 32

enum box_step {
	BOX_IDLE,
	BOX_READ,   /* its columns become a message */
	BOX_JUDGE,  /* the rules */
	BOX_ENCODE, /* it is written into a request */
	BOX_ANSWER, /* the provider's answer about it */
	BOX_REPORT, /* a report about it */
	BOX_SETTLE, /* its change in the database */
	BOX_STEPS
};

/* Steps in which evidence about a row ended the process: without it the row may be harmless. */
#define BOX_EVIDENCE (1u << BOX_ANSWER | 1u << BOX_REPORT | 1u << BOX_SETTLE)
/* As made: the row was gone when the start looked for it; whatever is claimed with its msg_id is
 * another. */
#define BLACKBOX_GONE UINT32_MAX

struct blackbox_crash {
	int64_t msg_id; /* 0: only the key is known */
	uint32_t made;	/* tells messages of one msg_id apart, 0 not known */
	char key[BLACKBOX_KEY];
	enum box_step step;
	int signal; /* 0: the thread did not come back and the process was ended */
};

/* Opens dir/blackbox, puts up the handlers, and gives the crashes of the process before (at most
 * BLACKBOX_SLOTS); a box that cannot be had is logged. owner is the journal's id. */
size_t blackbox_open(const char *dir, const char *owner, struct blackbox_crash *crashes);
void blackbox_close(void);

/* made: blackbox_made() of created_at, or 0. */
void blackbox_at(enum box_step step, int64_t msg_id, uint32_t made);
/* For who knows no more of the row than its client key. */
void blackbox_at_key(enum box_step step, const char *key);
void blackbox_off(void);
uint32_t blackbox_made(const char *created_at);
/* Another thread did not come back from a row and the process is about to end. */
void blackbox_stuck(void);

/* How often it was blamed by now. */
unsigned blackbox_blame(const struct blackbox_crash *c);
/* What the note did not know: the msg_id of one that was blamed by its key, or made. */
void blackbox_name(const struct blackbox_crash *c);
/* Known by another made, the suspect's row is gone and its msg_id was given to this one: forgotten.
 */
bool blackbox_shuns(int64_t msg_id, uint32_t made);
/* And one of its crashes was in one of these steps, a bit each. */
bool blackbox_shuns_in(int64_t msg_id, unsigned steps);
bool blackbox_shuns_key(const char *key);
/* It has come to an end. */
void blackbox_forget(int64_t msg_id);

/* "judge"; never NULL. */
const char *blackbox_step_name(enum box_step step);

#endif
