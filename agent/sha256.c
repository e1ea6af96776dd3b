#include "config.h"
#include "agent/sha256.h"
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include "agent/log.h"

void
sha256(const struct sha256_piece *pieces, size_t count, unsigned char out[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned size = 0;
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < count; i++)
		ok = pieces[i].n == 0 || EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, &size) == 1 && size == SHA256_BYTES;
	EVP_MD_CTX_free(ctx);
	if (!ok) {
		log_event(LOG_LEVEL_ERROR, "bug.sha256",
			  "text=\"OpenSSL cannot compute SHA-256; check memory and the crypto "
			  "policy of this host\"");
		abort();
	}
}
