/* smpp_setup.h - the options of an SMPP channel in the form that the codec takes.
 *
 * Owns all of it; constant between smpp_setup_new() and smpp_setup_free(). Loop thread. cf is kept
 * by reference. RC_CONFIG: one sentence that names the option. */
#ifndef MTRELAY_SMPP_SETUP_H
#define MTRELAY_SMPP_SETUP_H
#include "agent/conf.h"
#include "drivers/channel/smpp_receipt.h"
#include "drivers/channel/smpp_text.h"

#define SMPP_HOSTS_MAX 8
#define SMPP_EXTRA_TLVS_MAX 8
#define SMPP_EXTRA_TLV_BYTES 64

struct ssl_ctx_st;

struct smpp_setup {
	const struct conf_channel *cf;
	struct smpp_host {
		char name[256]; /* or address, without brackets */
		char port[6];
	} host[SMPP_HOSTS_MAX];
	size_t host_n;
	struct ssl_ctx_st *tls; /* NULL: plain, to loopback */
	char password[SMPP_PASSWORD_SIZE];
	struct codemap *codes;
	struct smpp_text_rules text;
	struct smpp_number_rules source, destination;
	struct smpp_receipt_rules receipts;
	struct {
		uint16_t tag;
		size_t n;
		uint8_t bytes[SMPP_EXTRA_TLV_BYTES];
	} extra[SMPP_EXTRA_TLVS_MAX];
	size_t extra_n;
	unsigned lax; /* enum smpp_lax */
};

enum rc smpp_setup_new(const struct conf_channel *cf, struct smpp_setup **out, struct err *e)
	MUST_USE;
void smpp_setup_free(struct smpp_setup *s); /* NULL is allowed */

#endif
