/* key.h - the client key: the name by which a provider knows one attempt of one message.
 *
 * 30 digits and letters of one case (base32 without i l o u) for 150 bits, most significant
 * first: version 4, installation 32, msg_id 64, leg 4, generation 6, fingerprint 40 (SHA-256 of
 * created_at, recipient and body, each with its length). It is derived, never random: a database
 * that lost the last commits computes the same key again. Pure functions. */
#ifndef MTRELAY_KEY_H
#define MTRELAY_KEY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/message.h"

#define KEY_VERSION 1
#define KEY_LEG_MAX 15
#define KEY_GENERATION_MAX 63

struct key_parts {
	unsigned version;
	uint32_t installation;
	int64_t msg_id;
	unsigned leg;
	unsigned generation;
	uint64_t fingerprint; /* 40 bits */
};

uint64_t key_fingerprint(const char *created_at, const char *recipient, size_t recipient_n,
			 const char *body, size_t body_n);
/* out has CLIENT_KEY_LEN + 1 bytes. */
void key_encode(const struct key_parts *k, char *out);
/* False when it is no key of ours (length, alphabet, version); upper case is not ours either. */
bool key_decode(const char *p, size_t n, struct key_parts *k);

#endif
