/* Runs the conformance test of the database drivers against one target.
 *
 * Without MTRELAY_DB_DRIVER that is "mem", so that make check needs no server; test_db_odbc does
 * SQLite through ODBC. The target is named by MTRELAY_DB_ and one of DRIVER, HOST, PORT, SOCKET,
 * NAME, USER, PASSWORD, TLS (off, on, verify), CA_FILE, CERT_FILE, KEY_FILE, CONNECTION; PROXY_PORT
 * or PROXY_CONNECTION is the way through the cutting proxy of the Python test. With the argument
 * "open" it only opens a session and prints what came of it. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/unit.h"
#include "drivers/db/mem.h"
#include "tests/unit/db_contract.h"

static unsigned
number(const char *text)
{
	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static enum db_tls
tls(const char *word)
{
	if (word == NULL || strcmp(word, "off") == 0)
		return DB_TLS_OFF;
	return strcmp(word, "on") == 0 ? DB_TLS_ON : DB_TLS_VERIFY;
}

static int
try_open(const struct db_target *t)
{
	const struct db_driver *d = db_driver_find(t->driver);
	struct db_session *s = NULL;
	struct err e = { .rc = RC_OK };
	enum rc rc;

	if (d == NULL || d->process_init(&e) != RC_OK)
		return 1;
	rc = d->open(&t->params, &s, &e);
	printf("%s %d [%s] %s\n", rc_name(rc), e.native, e.sqlstate,
	       rc == RC_OK ? d->product(s) : e.text);
	d->close(s);
	d->process_fini();
	return 0;
}

int
main(int argc, char **argv)
{
	const char *proxy_port = getenv("MTRELAY_DB_PROXY_PORT"),
		   *proxy = getenv("MTRELAY_DB_PROXY_CONNECTION");
	struct db_target t = {
		.driver = getenv("MTRELAY_DB_DRIVER"),
		.params = {
			.host = getenv("MTRELAY_DB_HOST"),
			.port = number(getenv("MTRELAY_DB_PORT")),
			.socket = getenv("MTRELAY_DB_SOCKET"),
			.name = getenv("MTRELAY_DB_NAME"),
			.user = getenv("MTRELAY_DB_USER"),
			.password = getenv("MTRELAY_DB_PASSWORD"),
			.tls = tls(getenv("MTRELAY_DB_TLS")),
			.ca_file = getenv("MTRELAY_DB_CA_FILE"),
			.cert_file = getenv("MTRELAY_DB_CERT_FILE"),
			.key_file = getenv("MTRELAY_DB_KEY_FILE"),
			.connection = getenv("MTRELAY_DB_CONNECTION"),
			.connect_timeout_ms = 5000,
			.statement_timeout_ms = 10000,
		},
	};
	char path[] = "/tmp/mtrelay-contract-XXXXXX";
	int fd = -1, failed;

	db_mem_register();
	if (t.driver == NULL) {
		t.driver = "mem";
		fd = mkstemp(path);
		t.params.name = path;
	}
	t.title = t.driver;
	t.has_proxy = proxy_port != NULL || proxy != NULL;
	t.proxy = t.params;
	t.proxy.connection = proxy;
	t.proxy.port = number(proxy_port);
	if (argc > 1 && strcmp(argv[1], "open") == 0)
		return try_open(&t);
	failed = db_contract_run(&t);
	if (fd >= 0)
		remove(path);
	return failed;
}
