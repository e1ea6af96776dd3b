/* sha256.h - SHA-256 over several pieces of memory, through OpenSSL.
 *
 * The only file of base and core that knows OpenSSL's digests. Any thread. The process ends when
 * the library cannot work (no memory, or a policy that forbids SHA-256): a wrong fingerprint
 * would make another message's key. Source: FIPS 180-4. */
#ifndef MTRELAY_SHA256_H
#define MTRELAY_SHA256_H
#include <stddef.h>

#define SHA256_BYTES 32

/* p may be NULL when n is 0. */
struct sha256_piece {
	const void *p;
	size_t n;
};

void sha256(const struct sha256_piece *pieces, size_t count, unsigned char out[SHA256_BYTES]);

#endif
