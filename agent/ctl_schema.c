/* ctl_schema.c - mtrelayctl schema: prints, makes, upgrades and compares the tables.
 *
 * --print and --grants need no database when the dialect is named or follows from the
 * configuration. */
#include "config.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include "agent/ctl.h"
#include "agent/dialect.h"
#include "agent/schema.h"
#include "agent/text.h"

enum action { ACTION_NONE, ACTION_PRINT, ACTION_GRANTS, ACTION_APPLY, ACTION_CHECK };

struct request {
	enum action action;
	const char *dialect, *prefix;
	char served[16]; /* the dialect that the server told */
	struct schema_roles roles;
};

enum {
	OPT_PRINT = 256,
	OPT_GRANTS,
	OPT_APPLY,
	OPT_CHECK,
	OPT_DIALECT,
	OPT_PREFIX,
	OPT_AGENT,
	OPT_APPLICATION,
	OPT_READER
};

static int
wrong_use(const struct ctl *c)
{
	return ctl_complain(c, EX_USAGE,
			    "usage: schema --print [--dialect D] [--prefix P] | --grants "
			    "[--dialect D] [--prefix P] "
			    "[--agent U] [--application U] [--reader U] | --apply | --check");
}

static int
parse(const struct ctl *c, int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "print", no_argument, NULL, OPT_PRINT },
		{ "grants", no_argument, NULL, OPT_GRANTS },
		{ "apply", no_argument, NULL, OPT_APPLY },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "dialect", required_argument, NULL, OPT_DIALECT },
		{ "prefix", required_argument, NULL, OPT_PREFIX },
		{ "agent", required_argument, NULL, OPT_AGENT },
		{ "application", required_argument, NULL, OPT_APPLICATION },
		{ "reader", required_argument, NULL, OPT_READER },
		{ NULL, 0, NULL, 0 },
	};
	unsigned actions = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case OPT_PRINT:
		case OPT_GRANTS:
		case OPT_APPLY:
		case OPT_CHECK:
			q->action = ACTION_PRINT + (opt - OPT_PRINT);
			actions++;
			break;
		case OPT_DIALECT:
			q->dialect = optarg;
			break;
		case OPT_PREFIX:
			q->prefix = optarg;
			break;
		case OPT_AGENT:
			q->roles.agent = optarg;
			break;
		case OPT_APPLICATION:
			q->roles.application = optarg;
			break;
		case OPT_READER:
			q->roles.reader = optarg;
			break;
		default:
			return wrong_use(c);
		}
	}
	if (actions != 1 || optind < argc)
		return wrong_use(c);
	if (q->dialect != NULL && !dialect_is_known(q->dialect))
		return ctl_complain(c, EX_USAGE, "--dialect %s: name mysql, postgresql or sqlite",
				    q->dialect);
	if (q->prefix != NULL && *q->prefix != '\0' &&
	    !text_is_identifier(q->prefix, DIALECT_PREFIX_MAX))
		return ctl_complain(c, EX_USAGE,
				    "--prefix %s: at most %d letters, digits and _, no digit first",
				    q->prefix, DIALECT_PREFIX_MAX);
	return 0;
}

int
ctl_need_session(struct ctl *c, struct schema_db *db)
{
	struct err e;
	int status;

	status = ctl_need_setup(c);
	if (status != 0)
		return status;
	*db = (struct schema_db){ .driver = c->setup.cfg.driver, .prefix = c->setup.cfg.prefix };
	if (db->driver->open(&c->setup.cfg.params, &db->session, &e) != RC_OK)
		return ctl_fail(c, &e);
	db->dialect = c->conf->database.dialect != NULL ? c->conf->database.dialect
							: db->driver->dialect(db->session);
	if (!dialect_is_known(db->dialect)) {
		status = ctl_complain(c, EX_CONFIG,
				      "%s is no database that mtrelay knows; set database.dialect "
				      "to mysql, postgresql or sqlite",
				      db->driver->product(db->session));
		db->driver->close(db->session);
	}
	return status;
}

/* Dialect and prefix from the options, then from the configuration, at last from the server. */
static int
find_dialect(struct ctl *c, struct request *q)
{
	struct schema_db db;
	int status;

	if (q->dialect == NULL) {
		status = ctl_need_conf(c);
		if (status != 0)
			return status;
		if (q->prefix == NULL)
			q->prefix = c->conf->database.prefix;
		if (q->roles.agent == NULL)
			q->roles.agent = c->conf->database.user;
		q->dialect = c->conf->database.dialect;
		if (q->dialect == NULL && strcmp(c->conf->database.driver, "mysql") == 0)
			q->dialect = "mysql";
	}
	if (q->dialect == NULL) {
		status = ctl_need_session(c, &db);
		if (status != 0)
			return status;
		(void)text_copy(q->served, sizeof q->served, db.dialect);
		q->dialect = q->served;
		db.driver->close(db.session);
	}
	if (q->prefix == NULL)
		q->prefix = "mt_";
	return 0;
}

static int
print_script(struct ctl *c, struct request *q)
{
	struct err e;
	enum rc rc;
	int status;

	status = find_dialect(c, q);
	if (status != 0)
		return status;
	rc = q->action == ACTION_PRINT
		     ? schema_script(q->dialect, q->prefix, stdout, &e)
		     : schema_grants(q->dialect, q->prefix, &q->roles, stdout, &e);
	return rc == RC_OK ? CTL_OK : ctl_fail(c, &e);
}

static int
apply(struct ctl *c)
{
	struct schema_db db;
	struct err e;
	char text[256];
	int from = 0, status;

	status = ctl_need_session(c, &db);
	if (status != 0)
		return status;
	if (schema_apply(&db, &from, &e) != RC_OK) {
		status = ctl_fail_as(
			c, &e, "a database user who may create tables and owns those that exist");
		goto out;
	}
	if (from == 0)
		snprintf(text, sizeof text,
			 "met no tables %s...; made them, version %d, with their codes and views",
			 db.prefix, STORE_SCHEMA_VERSION);
	else if (from < STORE_SCHEMA_VERSION)
		snprintf(text, sizeof text,
			 "met tables %s... of version %d; upgraded them to version %d", db.prefix,
			 from, STORE_SCHEMA_VERSION);
	else
		snprintf(
			text, sizeof text,
			"met tables %s... of version %d, which is right; made codes and views anew",
			db.prefix, from);
	if (c->is_json)
		ctl_print_json(json_pack("{s:b, s:s, s:i, s:i, s:s}", "ok", true, "dialect",
					 db.dialect, "from", from, "to", STORE_SCHEMA_VERSION,
					 "text", text));
	else
		printf("%s: %s\n%s", db.driver->product(db.session), text,
		       from == 0 && strcmp(db.dialect, "sqlite") != 0
			       ? "next: the rights of agent, applications and readers (mtrelayctl "
				 "schema --grants)\n"
			       : "");
out:
	db.driver->close(db.session);
	return status;
}

static int
check(struct ctl *c)
{
	struct ctl_report r;
	struct schema_db db;
	struct err e;
	unsigned fails;
	int status;

	status = ctl_need_session(c, &db);
	if (status != 0)
		return status;
	ctl_report_begin(&r, c);
	if (schema_check(&db, ctl_report_finding, &r, &fails, &e) != RC_OK)
		ctl_report_line(&r, CTL_FAIL, "schema", "%s", e.text);
	db.driver->close(db.session);
	return ctl_report_end(&r);
}

int
ctl_schema(struct ctl *c, int argc, char **argv)
{
	struct request q = { .action = ACTION_NONE };
	int status;

	status = parse(c, argc, argv, &q);
	if (status != 0)
		return status;
	switch (q.action) {
	case ACTION_PRINT:
	case ACTION_GRANTS:
		return print_script(c, &q);
	case ACTION_APPLY:
		return apply(c);
	case ACTION_CHECK:
		return check(c);
	case ACTION_NONE:
		break;
	}
	return wrong_use(c);
}
