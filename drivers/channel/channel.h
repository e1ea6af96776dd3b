/* channel.h - the contract between the pipeline and a way to a provider.
 *
 * All calls and call-backs are on the loop thread. A driver has no globals, calls back only through
 * channel_events and never from inside submit() or resolve(). It says what happened; only the
 * pipeline decides what to do. Each message of a submit() that returned RC_OK gets exactly one
 * outcome through done(); close() returns what is left first (UNSURE when wire() had said yes for
 * it, DEFERRED otherwise). Before the first byte of a request can leave the machine the driver
 * calls wire() with all its messages: that is the journal mark and the test of the write deadline.
 * When wire() refuses, nothing may be sent and the messages go back as DEFERRED. After wire() said
 * yes only a definite answer or a proof that not a byte was written is anything else than UNSURE.
 * Connecting, backing off, re-binding and the rate are the driver's; windows and times of another
 * try are the pipeline's. */
#ifndef MTRELAY_CHANNEL_H
#define MTRELAY_CHANNEL_H
#include "agent/err.h"
#include "agent/message.h"

struct channel;
struct event_base;
struct conf_channel;

enum channel_state {
	CHANNEL_STARTING,
	CHANNEL_UP,
	CHANNEL_THROTTLED, /* the provider asked for less */
	CHANNEL_DOWN,	   /* cannot be reached; the driver tries again */
	CHANNEL_REFUSED, /* login, certificate or account: an operator must act; tried again slowly
			  */
};
const char *channel_state_name(enum channel_state s);

enum number_form { NUMBER_E164_DIGITS, NUMBER_E164_PLUS, NUMBER_NATIONAL };
enum channel_charset { CHARSET_UNICODE, CHARSET_CP949 };

struct channel_caps {
	unsigned types;		 /* bits 1 << enum msg_type */
	unsigned batch_max;	 /* messages in one submit() */
	int64_t dedup_window_ms; /* the provider recognises our key this long; 0: not relied upon */
	bool query_by_key;	 /* resolve() can ask for a message by client key */
	bool has_reports;	 /* false: accepted is the end (channel null) */
	enum number_form number_form;
	enum channel_charset charset;
	bool letters_in_sender; /* alphanumeric senders are possible */
	unsigned sms_bytes;	/* longest SMS, in bytes as the carrier counts */
	unsigned lms_bytes;
};

/* The answer to a question about one attempt whose outcome is unknown. */
enum resolve_kind {
	RESOLVE_ACCEPTED,  /* the provider has it; report.class may already be final */
	RESOLVE_NOT_FOUND, /* asked properly and not there: counts only after the quiet time */
	RESOLVE_FAILED,	   /* could not be asked now: ask again later */
};
struct query {
	int64_t msg_id;
	int64_t fence;
	char client_key[CLIENT_KEY_LEN + 1];
	/* the answer */
	enum resolve_kind kind;
	struct outcome outcome; /* with ACCEPTED: provider_id, provider_code, parts */
	struct report report;	/* with ACCEPTED: class PENDING, OK or FAIL */
};

/* A message from a phone (MO). Everything is borrowed for the call; "" where there is nothing. */
struct received {
	const char *from; /* numbers as the provider wrote them */
	const char *to;
	const char *text;	 /* UTF-8 */
	const char *provider_id; /* "": none, so that one that comes twice is stored twice */
	const char *sent_at;	 /* provider's time as UTC "YYYY-MM-DD HH:MM:SS.mmm" */
	/* parts 0: not divided; else the parts of one message share reference, from and to */
	unsigned reference, parts, part;
};

struct channel_events {
	/* True: the marks are written, bytes may leave now. False: drop the request, nothing left.
	 */
	bool (*wire)(void *owner, struct message **m, size_t n);
	/* Gives the n messages back, with one outcome each. */
	void (*done)(void *owner, struct message **m, const struct outcome *o, size_t n);
	/* Reports of one page. The driver asks for no further page (and confirms none) before
	 * reports_taken(). With n = 0 the call is not made. */
	void (*reports)(void *owner, const struct report *r, size_t n);
	/* The driver confirms it to the provider when received_taken() says that the database has
	 * it; number is the driver's own and comes back there. */
	void (*received)(void *owner, const struct received *r, uint64_t number);
	/* The answers to one resolve(); q is the caller's array handed back. */
	void (*resolved)(void *owner, struct query *q, size_t n);
	void (*state)(void *owner, enum channel_state s, const struct err *why);
	/* room() may have grown. */
	void (*room)(void *owner);
};

struct channel_env {
	struct event_base *base;
	const struct channel_events *events;
	void *owner;
	const char *state_dir;
};

struct channel_driver {
	const char *name;
	/* Reads the configuration (kept by reference until close()), does no network traffic that
	 * could send a message. */
	enum rc (*open)(const struct channel_env *env, const struct conf_channel *cf,
			struct channel **out, struct err *e);
	const struct channel_caps *(*caps)(const struct channel *c);
	/* How many messages submit() would take at this moment: rate, window, state. */
	unsigned (*room)(const struct channel *c);
	/* RC_OK takes all n (at most caps->batch_max) messages, anything else none. */
	enum rc (*submit)(struct channel *c, struct message **m, size_t n, struct err *e);
	/* NULL without query_by_key. RC_OK borrows q until resolved(). */
	enum rc (*resolve)(struct channel *c, struct query *q, size_t n, struct err *e);
	/* The page handed over last is durable. */
	void (*reports_taken)(struct channel *c);
	/* NULL: nothing is received by this channel. Not stored: the provider must bring it again.
	 */
	void (*received_taken)(struct channel *c, uint64_t number, bool is_stored);
	/* No new work: finish what is under way (in_flight() goes to 0), pull no further reports.
	 */
	void (*drain)(struct channel *c);
	size_t (*in_flight)(const struct channel *c);
	/* Login and address are right? One authorised request that sends nothing; *sentence tells
	 * what was seen. Blocks up to the answer timeout: for mtrelayctl check only. */
	enum rc (*check)(const struct conf_channel *cf, char *sentence, size_t size, struct err *e);
	/* "key=value" facts for status and stats: connections, requests, throttled ... */
	void (*describe)(const struct channel *c, char *buf, size_t size);
	void (*close)(struct channel *c);
};

/* NULL when there is no driver of that name. */
const struct channel_driver *channel_driver_find(const char *name);
const char *channel_driver_names(void);

#endif
