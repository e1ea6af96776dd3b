/* message.h - one claimed row on its way, and the words that the core and the channels share about
 * it.
 *
 * A message belongs to the pipeline (loop thread). submit() lends it to a channel until exactly one
 * outcome came back; the channel reads it and changes nothing. Texts live in the arena of the batch
 * that was claimed together and die when the last message of the batch is let go. */
#ifndef MTRELAY_MESSAGE_H
#define MTRELAY_MESSAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_KEY_LEN 30
#define RESULT_CODE_LEN 4
#define PROVIDER_ID_MAX 100
#define PROVIDER_CODE_MAX 32
#define CARRIER_MAX 16
#define CHANNEL_NAME_MAX 32

/* What is to be sent. MSG_TYPE_AUTO is resolved before a channel sees the message. The names stand
 * in agent/msg_type.def. */
enum msg_type {
#define MSG_TYPE_DEF(id, name, text) MSG_TYPE_##id,
#include "agent/msg_type.def"
#undef MSG_TYPE_DEF
	MSG_TYPE_COUNT,
	MSG_TYPE_NONE = MSG_TYPE_COUNT
};
/* "SMS"; "" for MSG_TYPE_NONE. */
const char *msg_type_name(enum msg_type t);
/* Reads trimmed and without case; MSG_TYPE_NONE when it is no type that mtrelay knows. NULL and ""
 * are AUTO. */
enum msg_type msg_type_parse(const char *p, size_t n);

#define PRIORITY_COUNT 3 /* 0 urgent, 1 normal, 2 bulk */

/* Text with a length. p may be NULL when n is 0; it ends in a NUL that n does not count. full is
 * the length in the table: full > n means that it was cut at the cap or holds a NUL byte. */
struct text {
	const char *p;
	size_t n;
	size_t full;
};

/* What happened to one hand-over. A driver says this; only the pipeline decides what to do. */
enum outcome_kind {
	OUT_ACCEPTED, /* the provider has it */
	OUT_REJECTED, /* the provider definitely refused it: no phone gets it from this attempt */
	OUT_DEFERRED, /* certain that nothing left or that nothing was taken: may be tried again
			 later */
	OUT_UNSURE,   /* bytes may have left and no definite answer came */
};

struct outcome {
	enum outcome_kind kind;
	bool duplicate;	      /* with ACCEPTED: the provider said that it knows the key already */
	bool is_final;	      /* with ACCEPTED: no report will come, this is the result; set by the
				 pipeline from the capabilities */
	bool certainly_ended; /* with DEFERRED: the provider took and dropped this key (a new
				 generation is due) */
	char code[RESULT_CODE_LEN + 1]; /* our code, with REJECTED; a hint otherwise */
	uint32_t retry_after_ms;	/* with DEFERRED: not before; 0: the pipeline's own pause */
	unsigned parts;			/* 0: not told */
	char provider_code[PROVIDER_CODE_MAX + 1];
	char provider_id[PROVIDER_ID_MAX + 1];
	/* With ACCEPTED of several parts that have ids and reports of their own: the ids of parts 2
	 * and on in order, a blank between them. NULL otherwise. Borrowed for the call. */
	const char *more_ids;
	char text[128]; /* for people, without personal data */
};

enum report_class { REPORT_OK, REPORT_FAIL, REPORT_PENDING };

/* One delivery report in normalised form: no personal data, so that it may lie in the journal. */
struct report {
	enum report_class class;
	bool duplicate; /* it says "duplicate key": never evidence of a failure */
	char client_key[CLIENT_KEY_LEN + 1];   /* "" when the provider gave none */
	char provider_id[PROVIDER_ID_MAX + 1]; /* "" when there is none */
	char channel[33];
	char code[RESULT_CODE_LEN + 1];
	char provider_code[PROVIDER_CODE_MAX + 1];
	char carrier[CARRIER_MAX + 1];
	unsigned parts;
	char done_at[32]; /* provider's time as UTC "YYYY-MM-DD HH:MM:SS.mmm", "" unknown */
};

/* Where a message is; msg_move() is the only writer. */
enum msg_where { AT_NONE, AT_PIPELINE, AT_CHANNEL, AT_SETTLE };

struct batch; /* the arena behind messages claimed together */

struct message {
	uint32_t magic;
	enum msg_where where;
	struct message *next;	   /* list of whoever has it */
	struct message *hash_next; /* the pipeline's table by msg_id */
	struct batch *batch;

	int64_t msg_id;
	int64_t fence; /* as our last own write left it */
	int32_t try_no;
	int32_t leg;
	int32_t generation;
	enum msg_type type; /* resolved */
	enum msg_type asked_type;
	int priority;
	int64_t deadline_boot_ms; /* past this nothing of it may be handed to TLS any more */
	int64_t expire_in_s;	  /* validity left, by the database, at the claim */
	bool is_resend;		  /* an attempt with this key is open: "duplicate" means accepted */
	bool older_open;	  /* an attempt of this leg with another key is open */
	bool touched;		  /* wire() said yes for this attempt */
	bool is_ad;
	bool cancel;	  /* cancel_yn was Y after the claim */
	bool is_repeated; /* mt_result has this req_key already: 2011 */
	bool is_shunned;  /* working on it ended the process again and again: it has no texts */
	char client_key[CLIENT_KEY_LEN + 1];
	char channel[CHANNEL_NAME_MAX + 1]; /* that it goes by; "" while the rules have not run */
	char created_at[32];   /* exact text form, only to be handed back to the database */
	char to_wire[40];      /* recipient in international form, digits only: "821012345678" */
	char from_wire[40];    /* sender as digits or letters, national form kept */
	unsigned bytes;	       /* of the body as the carrier counts, after encoding */
	struct text type_text; /* as written, for 2006 */
	struct text req_key, sender, recipient, subject, body, vars, profile_key, template_code,
		payload, file_key, fallback_type, fallback_subject, fallback_body,
		fallback_file_key, group_key, dept_code, origin_code, etc1, etc2, etc3, etc4,
		send_at;
	void *channel_ref;  /* the channel's, while it has the message */
	void *pipeline_ref; /* the pipeline's */
};

/* Moves m from one place to the next and aborts when it is not where the caller believes. */
void msg_move(struct message *m, enum msg_where from, enum msg_where to);
/* Messages now at that place, for status and for the check claimed = settled + in flight. */
size_t msg_count(enum msg_where where);

#endif
