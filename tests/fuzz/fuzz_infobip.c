/* Whatever a provider says is read without harm, and an answer that cannot be read accepts and
 * refuses nothing. */
#include "config.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/channel/infobip_codec.h"
#include "drivers/channel/isotime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = { "41aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
				    "42aaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

static void
read_answer(const char *p, size_t n, const struct codemap *codes)
{
	static struct message m[2];
	struct message *list[] = { &m[0], &m[1] };
	struct outcome o[2];
	struct infobip_tally t;
	struct err e;
	enum rc rc;

	for (size_t i = 0; i < 2; i++)
		snprintf(m[i].client_key, sizeof m[i].client_key, "%s", keys[i]);
	rc = infobip_read_answer(p, n, codes, list, 2, o, &t, &e);
	for (size_t i = 0; i < 2; i++)
		if ((rc != RC_OK && o[i].kind != OUT_UNSURE) ||
		    (o[i].kind == OUT_REJECTED && o[i].code[0] == '\0'))
			abort();
}

static void
read_page(const char *p, size_t n, const struct codemap *codes)
{
	struct infobip_page page;
	struct err e;

	if (infobip_read_reports(p, n, codes, "fuzz", &page, &e) == RC_OK &&
	    page.items != page.n + page.broken)
		abort();
	for (size_t i = 0; i < page.n; i++)
		if (page.r[i].provider_id[0] == '\0' ||
		    (page.r[i].class == REPORT_FAIL && page.r[i].code[0] == '\0'))
			abort();
	free(page.r);
}

static void
read_logs(const char *p, size_t n, const struct codemap *codes)
{
	struct query q[2];
	struct err e;

	memset(q, 0, sizeof q);
	for (size_t i = 0; i < 2; i++) {
		snprintf(q[i].client_key, sizeof q[i].client_key, "%s", keys[i]);
		q[i].kind = RESOLVE_FAILED;
	}
	if (infobip_read_logs(p, n, codes, "fuzz", q, 2, &e) != RC_OK &&
	    (q[0].kind != RESOLVE_FAILED || q[1].kind != RESOLVE_FAILED))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codemap *codes;
	char *p = malloc(size + 1);
	char code[24];
	char text[64];
	struct err e;
	struct codemap *other;

	if (p == NULL || (codes == NULL && codemap_builtin("infobip", &codes, &e) != RC_OK))
		abort();
	memcpy(p, data, size);
	p[size] = '\0';
	read_answer(p, size, codes);
	read_page(p, size, codes);
	read_logs(p, size, codes);
	infobip_read_error(p, size, code, sizeof code, text, sizeof text);
	isotime_utc(p, text, sizeof text);
	if (codemap_parse("fuzz", p, size, &other, &e) == RC_OK)
		codemap_free(other);
	free(p);
	return 0;
}
