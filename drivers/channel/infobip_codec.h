/* infobip_codec.h - what goes to Infobip's SMS API v3 and what comes back, as pure functions.
 *
 * No network, no state, any thread; all of it is fuzzed. Sources: Infobip's public API reference
 * (POST /sms/3/messages, GET /sms/3/reports, GET /sms/3/logs) and its list of statuses and errors,
 * which etc/codes/infobip.codes maps. Whatever came over the wire is bounded: nesting, size of an
 * item, lengths of what is kept. An item of an answer belongs to the message that its messageId
 * names, which is our client key, never to the one at its place. */
#ifndef MTRELAY_INFOBIP_CODEC_H
#define MTRELAY_INFOBIP_CODEC_H
#include <stdbool.h>
#include <stddef.h>
#include "agent/codemap.h"
#include "agent/err.h"
#include "agent/message.h"
#include "drivers/channel/channel.h"

#define INFOBIP_FAMILY "sms"
#define INFOBIP_VALIDITY_MAX_S (48 * 3600)

/* The request for n messages as JSON; the caller frees *body. RC_DATA: message *bad cannot be said
 * in JSON or breaks a field's form, and code says how; nothing was built. */
enum rc infobip_build(struct message *const *m, size_t n, enum number_form form, char **body,
		      size_t *body_n, size_t *bad, char code[RESULT_CODE_LEN + 1], struct err *e)
	MUST_USE;

/* What an answer held, for the log and for the channel's state. */
struct infobip_tally {
	size_t accepted;
	size_t rejected;
	size_t again;	/* refused, another attempt may be taken */
	size_t stopped; /* refused for want of credit or contract */
	size_t route;	/* refused for want of a route */
	size_t missing; /* no usable item */
	size_t unknown; /* items that nobody asked for */
	size_t twice;	/* second items for one message */
};

/* Reads the 200 answer to a request with these messages and writes o[0..n): each is filled, UNSURE
 * where the answer says nothing usable. RC_DATA: the answer as a whole could not be read and all
 * are UNSURE. */
enum rc infobip_read_answer(const char *p, size_t p_n, const struct codemap *codes,
			    struct message *const *m, size_t n, struct outcome *o,
			    struct infobip_tally *t, struct err *e) MUST_USE;

/* The body of an error answer, in both of the forms in use: code for programs and text for people,
 * "" when there is none. Runs of digits are masked: they may be numbers. */
void infobip_read_error(const char *p, size_t n, char *code, size_t code_size, char *text,
			size_t text_size);

/* A page of reports. Reports are handed out once, so each item that can be read is taken, whatever
 * the rest is. */
struct infobip_page {
	struct report *r; /* the caller frees it */
	size_t n;
	size_t items; /* with the broken ones */
	size_t broken;
	bool damaged; /* the frame around the items was not what it should be: cut, garbled */
};
enum rc infobip_read_reports(const char *p, size_t n, const struct codemap *codes,
			     const char *channel, struct infobip_page *page, struct err *e)
	MUST_USE;

/* Answers q[0..n) from a page of logs: ACCEPTED or NOT_FOUND. RC_DATA: it could not be read and q
 * is unchanged. */
enum rc infobip_read_logs(const char *p, size_t p_n, const struct codemap *codes,
			  const char *channel, struct query *q, size_t n, struct err *e) MUST_USE;

#endif
