/* store_setup.c - see store_setup.h. */
#include "config.h"
#include <string.h>
#include "agent/store_setup.h"

enum rc
store_setup(struct store_setup *s, const struct conf *c, struct err *e)
{
	const struct conf_database *d = &c->database;
	enum rc rc;

	memset(s, 0, sizeof *s);
	s->cfg.driver = db_driver_find(d->driver);
	if (s->cfg.driver == NULL)
		return err_set(e, RC_CONFIG, 0, "database.driver",
			       "there is no database driver \"%s\"; built in are %s", d->driver,
			       db_driver_names());
	if (d->password_file != NULL) {
		rc = conf_secret_read(d->password_file, s->password, sizeof s->password, e);
		if (rc != RC_OK)
			return rc;
		s->cfg.params.password = s->password;
	}
	s->cfg.params.host = d->host;
	s->cfg.params.port = (unsigned)d->port;
	s->cfg.params.socket = d->socket;
	s->cfg.params.name = d->name;
	s->cfg.params.user = d->user;
	s->cfg.params.tls = d->tls;
	s->cfg.params.ca_file = d->ca_file;
	s->cfg.params.cert_file = d->cert_file;
	s->cfg.params.key_file = d->key_file;
	s->cfg.params.connection = d->connection;
	s->cfg.params.connect_timeout_ms = (unsigned)d->connect_timeout_ms;
	s->cfg.params.statement_timeout_ms = (unsigned)d->statement_timeout_ms;
	s->cfg.prefix = d->prefix;
	s->cfg.agent_id = c->agent.id;
	s->cfg.agent_lease_ms = c->times.agent_lease_ms;
	s->cfg.row_lease_ms = c->times.row_lease_ms;
	s->cfg.close_after_ms = c->report.close_after_ms;
	s->cfg.expire_after_ms = c->times.expire_after_ms;
	s->cfg.late_ms = c->report.late_ms;
	s->cfg.body_cap_bytes = c->limits.body_bytes;
	switch (c->report.text) {
	case CONF_TEXT_KEEP:
		s->cfg.text_policy = TEXT_KEEP;
		break;
	case CONF_TEXT_MASK:
		s->cfg.text_policy = TEXT_MASK;
		break;
	case CONF_TEXT_DROP:
		s->cfg.text_policy = TEXT_DROP;
		break;
	}
	rc = s->cfg.driver->process_init(e);
	if (rc != RC_OK)
		conf_secret_wipe(s->password, sizeof s->password);
	return rc;
}

void
store_setup_free(struct store_setup *s)
{
	if (s->cfg.driver != NULL)
		s->cfg.driver->process_fini();
	conf_secret_wipe(s->password, sizeof s->password);
	s->cfg.driver = NULL;
}
