#include "config.h"
#include "drivers/channel/smpp_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/text.h"
#include "drivers/channel/stream.h"

/* "host:port" or "[v6]:port"; conf_check.c has seen that it is one of these. */
static void
read_host(struct smpp_setup *s, const char *text)
{
	struct smpp_host *h = &s->host[s->host_n];
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);

	if (n > 1 && text[0] == '[') {
		text++;
		n -= 2;
	}
	(void)text_copy_n(h->name, sizeof h->name, text, n);
	(void)text_copy(h->port, sizeof h->port, colon != NULL ? colon + 1 : "2775");
	s->host_n++;
}

static enum rc
read_password(struct smpp_setup *s, struct err *e)
{
	char line[128];
	enum rc rc;

	if (s->cf->password_file == NULL)
		return RC_OK;
	rc = conf_secret_read(s->cf->password_file, line, sizeof line, e);
	if (rc == RC_OK && !text_copy(s->password, sizeof s->password, line)) {
		conf_secret_wipe(s->password, sizeof s->password);
		rc = err_set(e, RC_CONFIG, 0, "smpp.setup",
			     "channel %s: the password in password_file is longer than the %d "
			     "characters that SMPP has room "
			     "for; ask the provider for a shorter one",
			     s->cf->name, SMPP_PASSWORD_SIZE - 1);
	}
	conf_secret_wipe(line, sizeof line);
	return rc;
}

/* "gsm", "ksc5601:0" */
static enum rc
read_charset(struct smpp_setup *s, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	char name[16];
	enum smpp_charset charset;
	int64_t coding;

	if (!text_copy_n(name, sizeof name, text,
			 colon != NULL ? (size_t)(colon - text) : strlen(text)) ||
	    !smpp_charset_parse(name, &charset))
		return err_set(e, RC_CONFIG, 0, "smpp.setup",
			       "channel %s: charsets: \"%s\" is none of gsm, ascii, latin1, "
			       "ksc5601, cp949 and ucs2",
			       s->cf->name, text);
	coding = smpp_charset_data_coding(charset);
	if (colon != NULL && !text_i64(colon + 1, 0, 255, &coding))
		return err_set(e, RC_CONFIG, 0, "smpp.setup",
			       "channel %s: charsets: \"%s\": write the data_coding behind the "
			       "colon, 0 to 255",
			       s->cf->name, text);
	s->text.coding[s->text.coding_n].charset = charset;
	s->text.coding[s->text.coding_n++].data_coding = (uint8_t)coding;
	return RC_OK;
}

static enum rc
read_texts(struct smpp_setup *s, struct err *e)
{
	static const enum smpp_split splits[] = {
		[CONF_SPLIT_PAYLOAD] = SMPP_SPLIT_PAYLOAD,
		[CONF_SPLIT_UDH] = SMPP_SPLIT_UDH,
		[CONF_SPLIT_SAR] = SMPP_SPLIT_SAR,
	};
	static const char *const usual[] = { "gsm", "ucs2" };
	const struct conf_channel *cf = s->cf;
	const char *const *list = cf->charsets_count > 0 ? cf->charsets : usual;
	size_t n = cf->charsets_count > 0 ? cf->charsets_count : sizeof usual / sizeof usual[0];
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < n && i < SMPP_CODINGS_MAX; i++)
		rc = read_charset(s, list[i], e);
	s->text.split = splits[cf->split];
	s->text.parts_max = (unsigned)cf->parts_max;
	s->text.single_octets = (unsigned)cf->single_octets;
	s->text.part_octets = (unsigned)cf->part_octets;
	return rc;
}

static bool
read_value(const char *kind, size_t kind_n, const char *text, uint8_t *p, size_t *n)
{
	int64_t v;

	if (kind_n == 4 && memcmp(kind, "text", 4) == 0) {
		*n = strlen(text) + 1;
		if (*n > SMPP_EXTRA_TLV_BYTES)
			return false;
		memcpy(p, text, *n);
		return true;
	}
	if (kind_n == 3 && memcmp(kind, "hex", 3) == 0) {
		*n = strlen(text) / 2;
		return *n <= SMPP_EXTRA_TLV_BYTES && text_unhex(text, p, *n);
	}
	if (kind_n != 4 || memcmp(kind, "int", 3) != 0 || strchr("124", kind[3]) == NULL ||
	    !text_i64(text, 0, UINT32_MAX, &v))
		return false;
	*n = (size_t)(kind[3] - '0');
	if (*n < 4 && v >> (8 * *n) != 0)
		return false;
	for (size_t i = 0; i < *n; i++)
		p[i] = (uint8_t)(v >> (8 * (*n - 1 - i)));
	return true;
}

/* "0x1400=text:RESELLER1" */
static enum rc
read_extra(struct smpp_setup *s, const char *text, struct err *e)
{
	const char *equals = strchr(text, '=');
	const char *colon = equals != NULL ? strchr(equals, ':') : NULL;
	uint8_t tag[2];
	char digits[5];
	size_t i = s->extra_n;

	if (colon == NULL || equals - text != 6 || memcmp(text, "0x", 2) != 0 ||
	    !text_copy_n(digits, sizeof digits, text + 2, 4) || !text_unhex(digits, tag, 2) ||
	    !read_value(equals + 1, (size_t)(colon - equals - 1), colon + 1, s->extra[i].bytes,
			&s->extra[i].n))
		return err_set(e, RC_CONFIG, 0, "smpp.setup",
			       "channel %s: tlvs: \"%s\" cannot be used; write as "
			       "0x1400=text:RESELLER1, 0x1401=hex:00ff or "
			       "0x1402=int2:7, %d bytes at most",
			       s->cf->name, text, SMPP_EXTRA_TLV_BYTES);
	s->extra[i].tag = (uint16_t)(tag[0] << 8 | tag[1]);
	s->extra_n++;
	return RC_OK;
}

static void
read_numbers(struct smpp_setup *s)
{
	const struct conf_channel *cf = s->cf;

	s->source.ton = (int)cf->source_ton;
	s->source.npi = (int)cf->source_npi;
	s->source.short_digits = (unsigned)cf->short_digits;
	s->source.short_ton = (uint8_t)cf->short_ton;
	s->source.short_npi = (uint8_t)cf->short_npi;
	s->destination = s->source;
	s->destination.ton = (int)cf->dest_ton;
	s->destination.npi = (int)cf->dest_npi;
}

static enum rc
read_receipts(struct smpp_setup *s, struct err *e)
{
	static const enum smpp_id_form forms[] = {
		[CONF_ID_TEXT] = SMPP_ID_TEXT,
		[CONF_ID_DECIMAL] = SMPP_ID_DECIMAL,
		[CONF_ID_HEX] = SMPP_ID_HEX,
	};
	const struct conf_channel *cf = s->cf;
	struct smpp_id_rules *ids = &s->receipts.ids;
	enum rc rc = cf->code_map != NULL ? codemap_read(cf->code_map, &s->codes, e)
					  : codemap_builtin("smpp", &s->codes, e);

	s->receipts.codes = s->codes;
	s->receipts.channel = cf->name;
	s->receipts.zone_min = (int)cf->receipt_zone;
	s->receipts.plain_text = cf->plain_receipts;
	ids->form[SMPP_ID_OF_SUBMIT] = forms[cf->id_submit];
	ids->form[SMPP_ID_OF_TEXT] = forms[cf->id_receipt];
	ids->form[SMPP_ID_OF_TLV] = forms[cf->id_tlv];
	ids->width_bits = (unsigned)cf->id_bits;
	ids->fold_case = cf->id_any_case;
	ids->strip_zeros = cf->id_strip_zeros;
	return rc;
}

enum rc
smpp_setup_new(const struct conf_channel *cf, struct smpp_setup **out, struct err *e)
{
	struct smpp_setup *s = calloc(1, sizeof *s);
	enum rc rc;

	*out = NULL;
	if (s == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "smpp.setup", "no memory for channel %s",
			       cf->name);
	s->cf = cf;
	s->lax = cf->strict ? 0 : SMPP_LAX_ID_END | SMPP_LAX_TLV_LENGTH | SMPP_LAX_REST;
	for (size_t i = 0; i < cf->hosts_count && i < SMPP_HOSTS_MAX; i++)
		read_host(s, cf->hosts[i]);
	read_numbers(s);
	rc = read_password(s, e);
	if (rc == RC_OK)
		rc = read_texts(s, e);
	for (size_t i = 0; rc == RC_OK && i < cf->tlvs_count && i < SMPP_EXTRA_TLVS_MAX; i++)
		rc = read_extra(s, cf->tlvs[i], e);
	if (rc == RC_OK)
		rc = read_receipts(s, e);
	if (rc == RC_OK && cf->tls == CONF_TLS_ON)
		rc = stream_tls_new(cf->ca_file, cf->cert_file, cf->key_file, &s->tls, e);
	if (rc != RC_OK) {
		smpp_setup_free(s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

void
smpp_setup_free(struct smpp_setup *s)
{
	if (s == NULL)
		return;
	conf_secret_wipe(s->password, sizeof s->password);
	codemap_free(s->codes);
	stream_tls_free(s->tls);
	free(s);
}
