/* A row of bytes: two for the facts, then recipient, sender, body, subject, vars, payload,
 * send_at and type, parted by line feeds (0x1f stands for a line feed inside). Checks what must
 * hold for every verdict. */
#include "config.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "agent/batch.h"
#include "agent/result.h"
#include "agent/text.h"
#include "agent/validate.h"

#define CAP_BYTES 4096
#define FIELDS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* As the store reads: up to the cap and the first NUL, with the true length. */
static struct text
field(struct batch *b, const uint8_t **p, const uint8_t *end)
{
	const uint8_t *stop = *p < end ? memchr(*p, '\n', (size_t)(end - *p)) : NULL;
	size_t n = (size_t)((stop != NULL ? stop : end) - *p);
	const uint8_t *nul = n > 0 ? memchr(*p, '\0', n) : NULL;
	struct text t = { NULL, nul != NULL ? (size_t)(nul - *p) : n, n };
	char *copy;

	if (t.n > CAP_BYTES)
		t.n = CAP_BYTES;
	copy = batch_text(b, (const char *)*p, t.n);
	must(copy != NULL);
	for (size_t i = 0; i < t.n; i++)
		if (copy[i] == 0x1f)
			copy[i] = '\n';
	t.p = copy;
	*p = stop != NULL ? stop + 1 : end;
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct validate_rules r = { .text_cap_bytes = CAP_BYTES };
	const uint8_t *p, *end;
	struct text fields[FIELDS];
	struct message *m;
	struct batch *b;
	struct verdict v;

	if (size < 2 || size > (size_t)4 * CAP_BYTES)
		return 0;
	p = data + 2;
	end = data + size;
	b = batch_new(1 << 20);
	m = batch_message(b);
	for (int i = 0; i < FIELDS; i++)
		fields[i] = field(b, &p, end);
	m->recipient = fields[0];
	m->sender = fields[1];
	m->body = fields[2];
	m->subject = fields[3];
	m->vars = fields[4];
	m->payload = fields[5];
	m->send_at = fields[6];
	m->type_text = fields[7];
	m->type = msg_type_parse(m->type_text.p, m->type_text.n);
	m->priority = (data[0] & 3);
	m->expire_in_s = (data[0] & 4) != 0 ? -1 : 60;
	r.types = (unsigned)data[1] & 7u << 1;
	for (int i = 0; i < MSG_TYPE_COUNT; i++)
		r.by_type[i] = (struct validate_type){
			.number_form = (enum number_form)(data[0] >> 4 & 1),
			.charset = (data[0] & 32) != 0 ? CHARSET_UNICODE : CHARSET_CP949,
			.letters_in_sender = (data[0] & 64) != 0,
			.max_bytes = i == MSG_TYPE_SMS ? 90 : 2000,
		};
	r.country = (data[0] & 128) != 0 ? "1" : NULL;

	validate_message(m, &r, &v);
	if (v.kind == VERDICT_SEND) {
		must(v.code[0] == '\0' && v.bytes > 0 && v.bytes <= r.by_type[v.type].max_bytes);
		must(v.to_wire[0] != '\0' && v.from_wire[0] != '\0');
		must(text_utf8_check(v.body.p, v.body.n, NULL) && strlen(v.body.p) == v.body.n);
		validate_apply(&v, m);
	} else if (v.kind == VERDICT_REFUSE) {
		must(result_find(v.code) != NULL && v.text[0] != '\0' &&
		     strlen(v.text) < sizeof v.text - 1);
		must(text_utf8_check(v.text, strlen(v.text), NULL));
	}
	batch_let_go(m);
	return 0;
}
