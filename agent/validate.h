/* validate.h - may this row be sent now, as what, and in which form? Decides and changes nothing.
 *
 * Pure but for memory of the message's batch (text with its variables filled in), so it runs on the
 * thread that owns the message. The first thing found wrong decides, in this order: 3007 cancelled,
 * 2011 repeated key, 2013 date, 3008 expired, 2006 type or priority, 2009 JSON, then in the body
 * 2004 more than is read, 2005 UTF-8 and NUL, 2010 variable, 2003 nothing to be seen, 2005
 * characters, 2004 length, then the subject (not of an SMS), 2001 recipient, 2002 sender.
 *
 * Texts are UTF-8. In subject and body #{name} is replaced by the text, number or boolean of
 * that name in vars, once; what comes in is not looked through again. Without vars a text is
 * sent as it stands, "#{" included. A name has 1 to 64 bytes and no line end; "#{" that begins
 * no name is text. */
#ifndef MTRELAY_VALIDATE_H
#define MTRELAY_VALIDATE_H
#include "agent/message.h"
#include "drivers/channel/channel.h"

#define VERDICT_TEXT_SIZE 128
#define VALIDATE_SMS_BYTES 90 /* AUTO becomes LMS above this where no route says otherwise */
#define VALIDATE_NAME_MAX 64

/* What the first channel of a type's route can take: struct channel_caps, but one length. */
struct validate_type {
	enum number_form number_form;
	enum channel_charset charset;
	bool letters_in_sender;
	unsigned max_bytes; /* of the body, as the carrier counts; 0: no limit */
};

/* Constant while the configuration lives. */
struct validate_rules {
	unsigned types; /* bits 1 << enum msg_type that some route covers; AUTO needs none */
	struct validate_type by_type[MSG_TYPE_COUNT]; /* read for those types */
	size_t text_cap_bytes; /* texts are read up to here, and no longer with their variables */
	const char *country;   /* NULL: Korea */
};

enum verdict_kind {
	VERDICT_SEND,
	VERDICT_REFUSE, /* never: code and text are its result */
	/* Nothing is wrong with the row, but no route takes verdict.type now, or memory is short.
	 */
	VERDICT_WAIT,
};

struct verdict {
	enum verdict_kind kind;
	char code[RESULT_CODE_LEN + 1]; /* "" with SEND and WAIT */
	/* One sentence: column, fault, remedy; numbers masked, no message text. */
	char text[VERDICT_TEXT_SIZE];
	enum msg_type type; /* resolved, with SEND and WAIT */
	unsigned bytes;	    /* of the body as the carrier counts */
	char to_wire[40];
	char from_wire[40];
	/* With variables filled in, otherwise the message's own; an SMS has no subject. */
	struct text subject;
	struct text body;
};

void validate_message(const struct message *m, const struct validate_rules *r, struct verdict *v);
/* Writes a verdict of SEND into m. From then on body and subject are no longer what the table
 * has: the fingerprint of a later client key is that of the first (key_decode), never computed
 * anew from them. */
void validate_apply(const struct verdict *v, struct message *m);

#endif
