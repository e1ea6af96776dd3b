#include "config.h"
#include "agent/key.h"
#include <string.h>
#include "agent/sha256.h"

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

#define FINGERPRINT_MASK ((UINT64_C(1) << 40) - 1)

static void
length_be(unsigned char out[8], size_t n)
{
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
}

uint64_t
key_fingerprint(const char *created_at, const char *recipient, size_t recipient_n, const char *body,
		size_t body_n)
{
	unsigned char lengths[3][8], digest[SHA256_BYTES];
	size_t created_n = created_at != NULL ? strlen(created_at) : 0;
	const struct sha256_piece pieces[] = {
		{ lengths[0], 8 },	    { created_at, created_n }, { lengths[1], 8 },
		{ recipient, recipient_n }, { lengths[2], 8 },	       { body, body_n },
	};
	uint64_t f = 0;

	/* Without the lengths a digit could move from one field to the next and leave the same
	 * bytes. */
	length_be(lengths[0], created_n);
	length_be(lengths[1], recipient_n);
	length_be(lengths[2], body_n);
	sha256(pieces, sizeof pieces / sizeof pieces[0], digest);
	for (int i = 0; i < 5; i++)
		f = f << 8 | digest[i];
	return f;
}

/* The key as one number of 150 bits, in three words with the least significant first. */
struct wide {
	uint64_t w[3];
};

static void
wide_push(struct wide *k, uint64_t value, unsigned bits)
{
	if (bits == 64) {
		k->w[2] = k->w[1];
		k->w[1] = k->w[0];
		k->w[0] = value;
		return;
	}
	k->w[2] = k->w[2] << bits | k->w[1] >> (64 - bits);
	k->w[1] = k->w[1] << bits | k->w[0] >> (64 - bits);
	k->w[0] = k->w[0] << bits | value;
}

static uint64_t
wide_pop(struct wide *k, unsigned bits)
{
	uint64_t value;

	if (bits == 64) {
		value = k->w[0];
		k->w[0] = k->w[1];
		k->w[1] = k->w[2];
		k->w[2] = 0;
		return value;
	}
	value = k->w[0] & ((UINT64_C(1) << bits) - 1);
	k->w[0] = k->w[0] >> bits | k->w[1] << (64 - bits);
	k->w[1] = k->w[1] >> bits | k->w[2] << (64 - bits);
	k->w[2] >>= bits;
	return value;
}

void
key_encode(const struct key_parts *k, char *out)
{
	struct wide v = { { 0, 0, 0 } };

	wide_push(&v, k->version & 0xf, 4);
	wide_push(&v, k->installation, 32);
	wide_push(&v, (uint64_t)k->msg_id, 64);
	wide_push(&v, k->leg < KEY_LEG_MAX ? k->leg : KEY_LEG_MAX, 4);
	wide_push(&v, k->generation < KEY_GENERATION_MAX ? k->generation : KEY_GENERATION_MAX, 6);
	wide_push(&v, k->fingerprint & FINGERPRINT_MASK, 40);
	for (int i = CLIENT_KEY_LEN - 1; i >= 0; i--)
		out[i] = alphabet[wide_pop(&v, 5)];
	out[CLIENT_KEY_LEN] = '\0';
}

bool
key_decode(const char *p, size_t n, struct key_parts *k)
{
	struct wide v = { { 0, 0, 0 } };

	if (p == NULL || n != CLIENT_KEY_LEN)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *c = p[i] != '\0' ? strchr(alphabet, p[i]) : NULL;

		if (c == NULL)
			return false;
		wide_push(&v, (uint64_t)(c - alphabet), 5);
	}
	k->fingerprint = wide_pop(&v, 40);
	k->generation = (unsigned)wide_pop(&v, 6);
	k->leg = (unsigned)wide_pop(&v, 4);
	k->msg_id = (int64_t)wide_pop(&v, 64);
	k->installation = (uint32_t)wide_pop(&v, 32);
	k->version = (unsigned)wide_pop(&v, 4);
	return k->version == KEY_VERSION;
}
