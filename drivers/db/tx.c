#include "config.h"
#include "drivers/db/tx.h"

enum rc
tx_check_call(const struct tx *t, const char *where, struct err *e)
{
	if (t->lost)
		return err_set(e, RC_LOST, 0, where, "the session was lost before; open a new one");
	if (t->failed)
		return err_set(e, RC_BUG, 0, where,
			       "a statement of this transaction failed; roll back first");
	return RC_OK;
}

enum rc
tx_check_begin(const struct tx *t, const char *where, struct err *e)
{
	enum rc rc = tx_check_call(t, where, e);

	if (rc == RC_OK && t->open)
		return err_set(e, RC_BUG, 0, where, "a transaction is open already");
	return rc;
}

enum rc
tx_check_commit(const struct tx *t, const char *where, struct err *e)
{
	enum rc rc = tx_check_call(t, where, e);

	if (rc == RC_OK && !t->open)
		return err_set(e, RC_BUG, 0, where, "no transaction is open");
	return rc;
}

enum rc
tx_failed(struct tx *t, enum tx_call call, enum rc rc)
{
	switch (rc) {
	case RC_OK:
	case RC_AGAIN:
		return rc;
	case RC_DATA:
		/* A constraint that is checked at COMMIT refuses it for certain. */
		t->failed = t->open;
		return rc;
	case RC_CONFIG:
	case RC_NOMEM:
	case RC_BUG:
		t->failed = t->open;
		if (call != TX_COMMIT)
			return rc;
		/* A COMMIT that fails for another reason (I/O error, error in the binary log) may
		 * have reached the disk or a replica all the same. */
		t->lost = true;
		return RC_UNSURE;
	case RC_LOST:
	case RC_UNSURE:
		t->lost = true;
		return call == TX_COMMIT || (call == TX_WRITE && !t->open) ? RC_UNSURE : RC_LOST;
	}
	return rc;
}
