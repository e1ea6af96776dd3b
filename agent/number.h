/* number.h - the shapes of recipients and senders, and their form on the wire. Pure functions, any
 * thread.
 *
 * A number as written may carry '-', blanks and tabs anywhere, line ends around it and one '+' in
 * front; brackets, dots and other digits than ASCII are refused, because they are more often a
 * wrong column than a number. "+CC..." and "00CC..." are international (7 to 15 digits, ITU-T
 * E.164), "0..." is national to the configured country; a 0 that was kept behind the own country
 * code is dropped. Anything else is refused as a recipient: a lost leading zero must not reach
 * somebody else's phone.
 *
 * In Korea (82) the code decides the length: 010 and 070 have 11 digits; 011 and 016 to 019, area
 * codes (02: 9 or 10), 060 and 080 10 or 11; 030 and 050 11 or 12. An area code does not stand
 * before a service number (02-1588-..., 02-070-...). Senders may also be representative numbers
 * (15, 16 and 18 with 8 digits, no area code). Shape only: whether the number exists or is
 * registered is the provider's business.
 *
 * Reasons name the column and the remedy, show a number only masked, and have no final full
 * stop. */
#ifndef MTRELAY_NUMBER_H
#define MTRELAY_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include "drivers/channel/channel.h"

#define NUMBER_WIRE_SIZE 40
#define NUMBER_WHY_SIZE 128
#define NUMBER_COUNTRY "82"
#define NUMBER_ALPHA_MAX 11

struct number_rules {
	const char *country;   /* country code of "0...", digits; NULL: NUMBER_COUNTRY */
	enum number_form form; /* national form of a foreign number is "00CC..." */
	bool letters;	       /* a sender may be a name of letters, digits, blank and - . _ & */
};

/* False: why tells. wire has NUMBER_WIRE_SIZE bytes, why NUMBER_WHY_SIZE. */
bool number_recipient(const char *p, size_t n, const struct number_rules *r, char *wire, char *why);
/* A sender of the own country keeps its national form ("0212345678", "15881234") whatever
 * r->form says. */
bool number_sender(const char *p, size_t n, const struct number_rules *r, char *wire, char *why);

#endif
