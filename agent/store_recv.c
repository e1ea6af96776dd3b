#include "config.h"
#include <stdlib.h>
#include "agent/store_int.h"

/* Messages from phones.
 *
 * DIAGNOSTICS: what a driver returns goes up unchanged, but RC_DATA, which stays with the message
 * that stands alone. */

#define RECV_ARGS 11

static void
put_args(struct db_value *a, const struct store_received *r, bool has_time)
{
	size_t k = 0;

	a[k++] = store_v_text(r->channel);
	a[k++] = store_v_some(r->provider_id);
	a[k++] = store_v_some(r->from);
	a[k++] = store_v_some(r->to);
	a[k++] = store_v_some(r->text);
	a[k++] = r->parts > 0 ? v_int(r->reference) : v_null();
	a[k++] = r->parts > 0 ? v_int(r->parts) : v_null();
	a[k++] = r->parts > 0 ? v_int(r->part) : v_null();
	a[k++] = has_time ? store_v_some(r->sent_at) : v_null();
	a[k++] = store_v_text(r->channel);
	a[k++] = store_v_some(r->provider_id);
}

static enum rc
add_once(struct store *s, struct store_received *r, size_t n, bool has_time, struct err *e)
{
	int64_t added[STORE_LIST_MAX];
	enum rc rc = store_begin(s, e);

	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		put_args(&s->many[RECV_ARGS * i], &r[i], has_time);
	rc = store_run_many(s, "recv_add", s->many, n, added, e);
	if (rc == RC_OK)
		rc = store_commit(s, e);
	if (rc != RC_OK)
		store_rollback(s);
	/* None added: it is there already, and as good. */
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		r[i].is_stored = true;
	return rc;
}

/* Halves until what the database refuses stands alone. */
static enum rc
add_range(struct store *s, struct store_received *r, size_t n, struct err *e)
{
	struct err why;
	enum rc rc = add_once(s, r, n, true, &why);

	if (rc == RC_DATA && n > 1) {
		rc = add_range(s, r, n / 2, e);
		return rc == RC_OK ? add_range(s, r + n / 2, n - n / 2, e) : rc;
	}
	/* Another agent has just stored the same one, which is seen now; or the database does not
	 * know the time that somebody's clock wrote, and a message without it is better than none.
	 */
	if (rc == RC_DATA)
		rc = add_once(s, r, 1, false, &why);
	if (rc == RC_DATA) {
		r->err = why;
		return RC_OK;
	}
	if (rc != RC_OK && e != NULL)
		*e = why;
	return rc;
}

enum rc
store_received(struct store *s, struct store_received *r, size_t n, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < n; i++)
		r[i].is_stored = false;
	for (size_t from = 0; rc == RC_OK && from < n; from += STORE_LIST_MAX)
		rc = add_range(s, r + from, n - from < STORE_LIST_MAX ? n - from : STORE_LIST_MAX,
			       e);
	return rc;
}
