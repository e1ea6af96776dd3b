/* conf_check.c - what single values cannot tell: what belongs together, what follows from what, the
 * files named, and what a reload may change.
 *
 * DIAGNOSTICS. Each check adds one sentence at the line of the option to be changed, and none about
 * an option that was refused already. */
#include "config.h"
#include "agent/conf.h"
#include "agent/conf_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/failpoint.h"
#include "agent/text.h"

struct checker {
	const struct conf *c;
	struct conf_problems *p;
};

/* ---- addresses ---- */

static bool
is_loopback_literal(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool
conf_is_loopback(const char *host)
{
	return host == NULL || strcmp(host, "localhost") == 0 || is_loopback_literal(host);
}

struct url {
	bool is_tls;
	bool has_login;
	bool has_query;
	char host[256];
};

/* False when it is no http or https address of a host. */
static bool
url_parse(const char *text, struct url *u)
{
	const char *at, *end, *host, *host_end;
	int64_t port;

	memset(u, 0, sizeof *u);
	if (strncasecmp(text, "https://", 8) == 0)
		u->is_tls = true;
	else if (strncasecmp(text, "http://", 7) != 0)
		return false;
	host = text + (u->is_tls ? 8 : 7);
	end = host + strcspn(host, "/?#");
	u->has_query = strpbrk(end, "?#") != NULL;
	at = memchr(host, '@', (size_t)(end - host));
	if (at != NULL) {
		u->has_login = true;
		host = at + 1;
	}
	if (*host == '[') {
		host++;
		host_end = memchr(host, ']', (size_t)(end - host));
		if (host_end == NULL || (host_end + 1 != end && host_end[1] != ':'))
			return false;
		at = host_end + 1;
	} else {
		host_end = memchr(host, ':', (size_t)(end - host));
		if (host_end == NULL)
			host_end = end;
		at = host_end;
	}
	if (at != end && !text_i64_n(at + 1, (size_t)(end - at - 1), 1, 65535, &port))
		return false;
	return host_end > host && memchr(text, ' ', strlen(text)) == NULL &&
	       text_copy_n(u->host, sizeof u->host, host, (size_t)(host_end - host));
}

/* ---- helpers ---- */

static const struct conf_option *
opt(enum conf_section s, const char *name)
{
	const struct conf_option *o = conf_option_find(s, name);

	if (o == NULL)
		abort();
	return o;
}

static bool
is_given(const struct conf *c, size_t i, const struct conf_option *o)
{
	const struct conf_place *at = conf_place(c, i, o);

	return at->file != NULL;
}

static bool
is_refused(const struct conf *c, size_t i, const struct conf_option *o)
{
	return conf_place(c, i, o)->is_refused || c->origin->section[o->section][i].is_refused;
}

static int64_t
number_of(const struct conf *c, size_t i, const struct conf_option *o)
{
	int64_t v;

	memcpy(&v, (const char *)conf_group(c, o->section, i) + o->offset, sizeof v);
	return v;
}

static const char *
string_of(const struct conf *c, size_t i, const struct conf_option *o)
{
	const char *v;

	memcpy(&v, (const char *)conf_group(c, o->section, i) + o->offset, sizeof v);
	return v;
}

static bool
is_only_of(const char *s, const char *allowed)
{
	return s[strspn(s, allowed)] == '\0';
}

#define WORD_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static void
require(struct checker *k, enum conf_section s, size_t i, const char *name, const char *why)
{
	const struct conf_option *o = opt(s, name);
	char label[96];

	if (is_given(k->c, i, o) || is_refused(k->c, i, o))
		return;
	conf_problem_at(k->p, k->c, i, o, "%s must be set%s", conf_name(label, sizeof label, o, i),
			why);
}

static bool
is_default(const struct conf *c, size_t i, const struct conf_option *o)
{
	bool flag;
	int word;

	if (o->kind == KIND_INT || o->kind == KIND_MS || o->kind == KIND_BYTES)
		return number_of(c, i, o) == o->def;
	if (o->kind == KIND_BOOL) {
		memcpy(&flag, (const char *)conf_group(c, o->section, i) + o->offset, sizeof flag);
		return flag == (o->def != 0);
	}
	if (o->kind == KIND_LIST)
		return false;
	if (o->kind != KIND_ENUM)
		return string_of(c, i, o) == NULL;
	memcpy(&word, (const char *)conf_group(c, o->section, i) + o->offset, sizeof word);
	return word == o->def;
}

/* For options that have no effect here; one that says its default does no harm (--dump-config
 * writes them all). */
static void
refuse(struct checker *k, enum conf_section s, size_t i, const char *name, const char *why)
{
	const struct conf_option *o = opt(s, name);
	char label[96];

	if (!is_given(k->c, i, o) || is_refused(k->c, i, o) || is_default(k->c, i, o))
		return;
	conf_problem_at(k->p, k->c, i, o, "%s %s", conf_name(label, sizeof label, o, i), why);
}

/* ---- values that follow from others ---- */

static void
derive_id(struct conf *c)
{
	char host[256];

	if (gethostname(host, sizeof host) != 0)
		return;
	host[sizeof host - 1] = '\0';
	host[opt(CONF_AGENT, "id")->max] = '\0';
	for (char *p = host; *p != '\0'; p++) {
		if (strchr(WORD_CHARS, *p) == NULL)
			*p = '-';
	}
	if (host[0] != '\0')
		c->agent.id = conf_strdup(c, host);
}

static bool is_background;

void
conf_set_background(void)
{
	is_background = true;
}

static void
mix(uint64_t *stamp, uint64_t part)
{
	*stamp = (*stamp ^ part) * UINT64_C(0x100000001b3);
	*stamp ^= *stamp >> 29;
}

/* Which contents the files of a channel have now, as far as the file system tells. */
static void
stamp_files(struct conf *c)
{
	struct stat st;

	for (size_t n = 0; n < conf_option_count; n++) {
		const struct conf_option *o = &conf_options[n];

		if (o->section != CONF_CHANNELS || (o->kind != KIND_FILE && o->kind != KIND_SECRET))
			continue;
		for (size_t i = 0; i < c->channel_count; i++) {
			uint64_t *stamp = &c->channels[i].files_stamp;
			const char *path = string_of(c, i, o);

			if (path == NULL || stat(path, &st) != 0)
				continue;
			mix(stamp, n);
			mix(stamp, (uint64_t)st.st_ino);
			mix(stamp, (uint64_t)st.st_size);
			mix(stamp, (uint64_t)st.st_mtim.tv_sec);
			mix(stamp, (uint64_t)st.st_mtim.tv_nsec);
		}
	}
}

void
conf_derive(struct conf *c)
{
	const struct conf_option *id = opt(CONF_AGENT, "id"), *tls = opt(CONF_DATABASE, "tls"),
				 *sink = opt(CONF_LOG, "sink"),
				 *bytes = opt(CONF_CHANNELS, "sms_bytes");

	if (!is_given(c, 0, id)) {
		derive_id(c);
		conf_place(c, 0, id)->is_derived = true;
	}
	if (!is_given(c, 0, tls)) {
		/* With odbc it is said in the connection string. */
		if ((c->database.driver != NULL && strcmp(c->database.driver, "odbc") == 0) ||
		    c->database.socket != NULL || conf_is_loopback(c->database.host))
			c->database.tls = DB_TLS_OFF;
		conf_place(c, 0, tls)->is_derived = true;
	}
	if (!is_given(c, 0, sink)) {
		if (c->log.file != NULL)
			c->log.sink = LOG_SINK_FILE;
		else if (getenv("JOURNAL_STREAM") != NULL)
			c->log.sink = LOG_SINK_JOURNAL;
		else if (is_background)
			c->log.sink = LOG_SINK_SYSLOG;
		conf_place(c, 0, sink)->is_derived = true;
	}
	for (size_t i = 0; i < c->channel_count; i++) {
		struct conf_channel *ch = &c->channels[i];

		/* Where there is no LMS a long text goes as an SMS of parts. */
		if (ch->driver == NULL || strcmp(ch->driver, "smpp") != 0 || ch->lms ||
		    is_given(c, i, bytes))
			continue;
		ch->sms_bytes = bytes->max;
		conf_place(c, i, bytes)->is_derived = true;
	}
	stamp_files(c);
}

/* ---- agent and log ---- */

static void
check_absolute(struct checker *k)
{
	static const struct {
		enum conf_section section;
		const char *name;
	} paths[] = { { CONF_AGENT, "state_dir" },
		      { CONF_AGENT, "control_socket" },
		      { CONF_AGENT, "pid_file" },
		      { CONF_LOG, "file" },
		      { CONF_DATABASE, "socket" } };
	char label[96];

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		const struct conf_option *o = opt(paths[i].section, paths[i].name);
		const char *path = string_of(k->c, 0, o);

		if (path != NULL && path[0] != '/' && !is_refused(k->c, 0, o))
			conf_problem_at(k->p, k->c, 0, o,
					"%s = \"%s\" is no absolute path; begin it with /",
					conf_name(label, sizeof label, o, 0), path);
	}
	for (size_t n = 0; n < conf_option_count; n++) {
		const struct conf_option *o = &conf_options[n];

		if (o->kind != KIND_FILE && o->kind != KIND_SECRET)
			continue;
		for (size_t i = 0; i < conf_group_count(k->c, o->section); i++) {
			const char *path = string_of(k->c, i, o);

			if (path != NULL && path[0] != '/')
				conf_problem_at(k->p, k->c, i, o,
						"%s = \"%s\" is no absolute path; begin it with /",
						conf_name(label, sizeof label, o, i), path);
		}
	}
}

static void
check_agent(struct checker *k)
{
	const struct conf *c = k->c;
	const struct conf_option *id = opt(CONF_AGENT, "id"), *user = opt(CONF_AGENT, "user");

	if (c->agent.id == NULL && !is_refused(c, 0, id))
		conf_problem_at(k->p, c, 0, id,
				"agent.id must be set, because this host has no name");
	else if (c->agent.id != NULL && !is_only_of(c->agent.id, WORD_CHARS))
		conf_problem_at(k->p, c, 0, id,
				"agent.id = \"%s\": use letters, digits and . _ - only",
				c->agent.id);
	if (c->agent.production && strcmp(c->agent.user, "root") == 0)
		conf_problem_at(k->p, c, 0, user,
				"agent.user = \"root\" in production: name a user without rights");
	if (FAILPOINTS_BUILT && c->agent.production)
		conf_problem_at(k->p, c, 0, opt(CONF_AGENT, "production"),
				"agent.production = true: this mtrelayd was built with failpoints, "
				"which are for tests; "
				"install one that was built without --enable-failpoints");
	if (c->log.sink == LOG_SINK_FILE && c->log.file == NULL)
		conf_problem_at(k->p, c, 0, opt(CONF_LOG, "sink"),
				"log.sink = \"file\" needs log.file; set it");
	if (c->log.sink != LOG_SINK_FILE && c->log.file != NULL)
		conf_problem_at(k->p, c, 0, opt(CONF_LOG, "file"),
				"log.file has no effect with this log.sink; remove one of them");
}

/* ---- database ---- */

static bool
holds_password(const char *connection)
{
	for (const char *p = connection; p != NULL; p = strchr(p, ';')) {
		size_t n;

		p += strspn(p, "; \t");
		n = strcspn(p, "= \t;");
		if (p[0] != '\0' && p[n + strspn(p + n, " \t")] == '=' &&
		    (text_equal_nocase(p, n, "pwd") || text_equal_nocase(p, n, "password")))
			return true;
	}
	return false;
}

static void
check_mysql(struct checker *k)
{
	const struct conf_database *d = &k->c->database;
	const struct conf_option *tls = opt(CONF_DATABASE, "tls");

	require(k, CONF_DATABASE, 0, "name", " with driver mysql");
	refuse(k, CONF_DATABASE, 0, "connection",
	       "is for driver odbc; use host, port, name and user");
	if (d->socket != NULL)
		refuse(k, CONF_DATABASE, 0, "host",
		       "and database.socket exclude each other; remove one of them");
	else if (d->tls == DB_TLS_OFF && !conf_is_loopback(d->host) && !is_refused(k->c, 0, tls))
		conf_problem_at(k->p, k->c, 0, tls,
				"database.tls = \"off\" to %s: unencrypted only to this machine; "
				"write \"verify\"",
				d->host);
}

static void
check_odbc(struct checker *k)
{
	static const char *const not_here[] = { "host",	   "port",	"socket",  "name",
						"ca_file", "cert_file", "key_file" };
	const struct conf_option *tls = opt(CONF_DATABASE, "tls");

	require(k, CONF_DATABASE, 0, "connection", " with driver odbc");
	for (size_t i = 0; i < sizeof not_here / sizeof not_here[0]; i++)
		refuse(k, CONF_DATABASE, 0, not_here[i],
		       "is for driver mysql; say it in database.connection");
	if (k->c->database.tls != DB_TLS_OFF && !is_refused(k->c, 0, tls))
		conf_problem_at(k->p, k->c, 0, tls,
				"database.tls is for driver mysql; say it in database.connection");
	if (k->c->database.connection != NULL && holds_password(k->c->database.connection))
		conf_problem_at(k->p, k->c, 0, opt(CONF_DATABASE, "connection"),
				"database.connection holds a password; put it into a file and name "
				"that as password_file");
}

static void
check_database(struct checker *k)
{
	static const char *const dialects[] = { "mysql", "postgresql", "sqlite" };
	const struct conf_database *d = &k->c->database;
	bool known = d->dialect == NULL;

	if (k->c->origin->section[CONF_DATABASE][0].is_refused)
		return;
	require(k, CONF_DATABASE, 0, "driver", ": mysql or odbc");
	if (d->driver != NULL && db_driver_find(d->driver) == NULL)
		conf_problem_at(k->p, k->c, 0, opt(CONF_DATABASE, "driver"),
				"database.driver = \"%s\" is not in this build; it has: %s",
				d->driver, db_driver_names());
	else if (d->driver != NULL && strcmp(d->driver, "mysql") == 0)
		check_mysql(k);
	else if (d->driver != NULL && strcmp(d->driver, "odbc") == 0)
		check_odbc(k);
	for (size_t i = 0; !known && i < sizeof dialects / sizeof dialects[0]; i++)
		known = strcmp(d->dialect, dialects[i]) == 0;
	if (!known)
		conf_problem_at(
			k->p, k->c, 0, opt(CONF_DATABASE, "dialect"),
			"database.dialect = \"%s\" is not known; use mysql, postgresql or sqlite",
			d->dialect);
	if (d->prefix[0] != '\0' && !text_is_identifier(d->prefix, 16))
		conf_problem_at(
			k->p, k->c, 0, opt(CONF_DATABASE, "prefix"),
			"database.prefix = \"%s\": use letters, digits and _ only, no digit first",
			d->prefix);
	if (d->cert_file != NULL && d->key_file == NULL)
		require(k, CONF_DATABASE, 0, "key_file", ", because cert_file is");
	if (d->key_file != NULL && d->cert_file == NULL)
		require(k, CONF_DATABASE, 0, "cert_file", ", because key_file is");
	if (d->password_file != NULL && d->user == NULL)
		require(k, CONF_DATABASE, 0, "user", ", because password_file is");
}

/* ---- channels and routes ---- */

/* What a driver cannot do without, and which groups of options mean something to it. */
#define FOR_HTTPS 1u
#define FOR_SMPP 2u
#define FOR_NULL 4u
#define FOR_NETWORK 8u
static const struct {
	const char *driver;
	unsigned groups;
	const char *needs[3];
} channel_rules[] = {
	{ "infobip", FOR_HTTPS | FOR_NETWORK, { "url", "api_key_file" } },
	{ "smpp", FOR_SMPP | FOR_NETWORK, { "hosts", "system_id" } },
	{ "null", FOR_NULL, { NULL } },
};
/* Options that are not listed mean something to all of them. */
static const struct {
	unsigned group;
	const char *name;
} channel_groups[] = {
	{ FOR_HTTPS, "url" },
	{ FOR_HTTPS, "api_key_file" },
	{ FOR_HTTPS, "proxy" },
	{ FOR_HTTPS, "http_version" },
	{ FOR_HTTPS, "dedup_window" },
	{ FOR_HTTPS, "log_queries_per_minute" },
	{ FOR_NETWORK, "ca_file" },
	{ FOR_NETWORK, "cert_file" },
	{ FOR_NETWORK, "key_file" },
	{ FOR_NETWORK, "source_address" },
	{ FOR_NETWORK, "code_map" },
	{ FOR_SMPP, "hosts" },
	{ FOR_SMPP, "tls" },
	{ FOR_SMPP, "system_id" },
	{ FOR_SMPP, "password_file" },
	{ FOR_SMPP, "system_type" },
	{ FOR_SMPP, "address_range" },
	{ FOR_SMPP, "service_type" },
	{ FOR_SMPP, "bind" },
	{ FOR_SMPP, "sessions" },
	{ FOR_SMPP, "window" },
	{ FOR_SMPP, "enquire_link" },
	{ FOR_SMPP, "throttle_pause" },
	{ FOR_SMPP, "charsets" },
	{ FOR_SMPP, "split" },
	{ FOR_SMPP, "parts_max" },
	{ FOR_SMPP, "single_octets" },
	{ FOR_SMPP, "part_octets" },
	{ FOR_SMPP, "lms" },
	{ FOR_SMPP, "source_ton" },
	{ FOR_SMPP, "source_npi" },
	{ FOR_SMPP, "dest_ton" },
	{ FOR_SMPP, "dest_npi" },
	{ FOR_SMPP, "short_digits" },
	{ FOR_SMPP, "short_ton" },
	{ FOR_SMPP, "short_npi" },
	{ FOR_SMPP, "validity" },
	{ FOR_SMPP, "receipts" },
	{ FOR_SMPP, "intermediate" },
	{ FOR_SMPP, "user_reference" },
	{ FOR_SMPP, "key_tag" },
	{ FOR_SMPP, "tlvs" },
	{ FOR_SMPP, "id_submit" },
	{ FOR_SMPP, "id_receipt" },
	{ FOR_SMPP, "id_tlv" },
	{ FOR_SMPP, "id_bits" },
	{ FOR_SMPP, "id_any_case" },
	{ FOR_SMPP, "id_strip_zeros" },
	{ FOR_SMPP, "receipt_zone" },
	{ FOR_SMPP, "plain_receipts" },
	{ FOR_SMPP, "strict" },
	{ FOR_NULL, "latency" },
};

static void
check_channel_driver(struct checker *k, size_t i, const char *driver)
{
	char need[64], none[96];

	snprintf(need, sizeof need, " with driver %s", driver);
	snprintf(none, sizeof none, "means nothing to driver %s; remove the line", driver);
	for (size_t d = 0; d < sizeof channel_rules / sizeof channel_rules[0]; d++) {
		if (strcmp(channel_rules[d].driver, driver) != 0)
			continue;
		for (size_t n = 0; n < 3 && channel_rules[d].needs[n] != NULL; n++)
			require(k, CONF_CHANNELS, i, channel_rules[d].needs[n], need);
		for (size_t n = 0; n < sizeof channel_groups / sizeof channel_groups[0]; n++)
			if ((channel_groups[n].group & channel_rules[d].groups) == 0)
				refuse(k, CONF_CHANNELS, i, channel_groups[n].name, none);
	}
}

/* "host:port", "[::1]:2775". */
static bool
host_parse(const char *text, char *host, size_t size)
{
	const char *colon = strrchr(text, ':');
	const char *end = colon;
	int64_t port;

	if (colon == NULL || !text_i64(colon + 1, 1, 65535, &port))
		return false;
	if (*text == '[') {
		if (end[-1] != ']')
			return false;
		text++;
		end--;
	} else if (memchr(text, ':', (size_t)(end - text)) != NULL) {
		return false;
	}
	return end > text && text[strcspn(text, " /@")] == '\0' &&
	       text_copy_n(host, size, text, (size_t)(end - text));
}

static void
check_hosts(struct checker *k, size_t i)
{
	const struct conf_channel *ch = &k->c->channels[i];
	char host[256];

	for (size_t n = 0; n < ch->hosts_count; n++) {
		if (!host_parse(ch->hosts[n], host, sizeof host))
			conf_problem_at(k->p, k->c, i, opt(CONF_CHANNELS, "hosts"),
					"channels[%zu].hosts: \"%s\" is no address; write "
					"host:port, as smsc1:3550 or [::1]:2775",
					i, ch->hosts[n]);
		else if (ch->tls == CONF_TLS_OFF && !is_loopback_literal(host))
			conf_problem_at(k->p, k->c, i, opt(CONF_CHANNELS, "tls"),
					"channels[%zu].tls = \"off\" goes unencrypted to %s; leave "
					"it out (off only to a loopback address, as 127.0.0.1)",
					i, host);
	}
	if (ch->split != CONF_SPLIT_PAYLOAD && ch->parts_max > ch->window)
		conf_problem_at(k->p, k->c, i, opt(CONF_CHANNELS, "parts_max"),
				"channels[%zu].parts_max (%" PRId64 ") must not be more than "
				"window (%" PRId64 "); lower it or raise window",
				i, ch->parts_max, ch->window);
	if (ch->id_bits != 0 && ch->id_bits != 32 && ch->id_bits != 64)
		conf_problem_at(k->p, k->c, i, opt(CONF_CHANNELS, "id_bits"),
				"channels[%zu].id_bits = %" PRId64 "; write 0, 32 or 64", i,
				ch->id_bits);
}

static void
check_urls(struct checker *k, size_t i)
{
	const struct conf_channel *ch = &k->c->channels[i];
	const struct conf_option *url = opt(CONF_CHANNELS, "url"),
				 *proxy = opt(CONF_CHANNELS, "proxy"),
				 *source = opt(CONF_CHANNELS, "source_address");
	unsigned char addr[sizeof(struct in6_addr)];
	struct url u;

	if (ch->url != NULL && !url_parse(ch->url, &u))
		conf_problem_at(
			k->p, k->c, i, url,
			"channels[%zu].url is no address; write https://host or https://host:port",
			i);
	else if (ch->url != NULL && (u.has_login || u.has_query))
		conf_problem_at(
			k->p, k->c, i, url,
			"channels[%zu].url may hold neither a login nor ? or #; write https://host",
			i);
	else if (ch->url != NULL && !u.is_tls && !is_loopback_literal(u.host))
		conf_problem_at(k->p, k->c, i, url,
				"channels[%zu].url goes unencrypted to %s; write https:// (http:// "
				"only to a loopback address, as 127.0.0.1)",
				i, u.host);
	if (ch->proxy != NULL && (!url_parse(ch->proxy, &u) || u.has_login || u.has_query))
		conf_problem_at(k->p, k->c, i, proxy,
				"channels[%zu].proxy: write http://host:port, without a login", i);
	if (ch->source_address != NULL && inet_pton(AF_INET, ch->source_address, addr) != 1 &&
	    inet_pton(AF_INET6, ch->source_address, addr) != 1)
		conf_problem_at(k->p, k->c, i, source,
				"channels[%zu].source_address = \"%s\" is no IP address; "
				"use one that this host has",
				i, ch->source_address);
}

static void
check_channel(struct checker *k, size_t i)
{
	const struct conf_channel *ch = &k->c->channels[i];
	const struct conf_option *name = opt(CONF_CHANNELS, "name"),
				 *driver = opt(CONF_CHANNELS, "driver");

	if (k->c->origin->section[CONF_CHANNELS][i].is_refused)
		return;
	require(k, CONF_CHANNELS, i, "name", "");
	require(k, CONF_CHANNELS, i, "driver", ": infobip, smpp or null");
	if (ch->name != NULL && !is_only_of(ch->name, WORD_CHARS))
		conf_problem_at(k->p, k->c, i, name,
				"channels[%zu].name = \"%s\": use letters, digits and . _ - only",
				i, ch->name);
	for (size_t n = 0; ch->name != NULL && n < i; n++) {
		if (k->c->channels[n].name != NULL &&
		    strcasecmp(k->c->channels[n].name, ch->name) == 0)
			conf_problem_at(
				k->p, k->c, i, name,
				"channels[%zu].name = \"%s\" is the name of channels[%zu] already; "
				"give each its own",
				i, ch->name, n);
	}
	if (ch->driver != NULL && channel_driver_find(ch->driver) == NULL)
		conf_problem_at(k->p, k->c, i, driver,
				"channels[%zu].driver = \"%s\" is not in this build; it has: %s", i,
				ch->driver, channel_driver_names());
	else if (ch->driver != NULL)
		check_channel_driver(k, i, ch->driver);
	check_urls(k, i);
	check_hosts(k, i);
	if (ch->cert_file != NULL && ch->key_file == NULL)
		require(k, CONF_CHANNELS, i, "key_file", ", because cert_file is");
	if (ch->key_file != NULL && ch->cert_file == NULL)
		require(k, CONF_CHANNELS, i, "cert_file", ", because key_file is");
	if (ch->lms_bytes < ch->sms_bytes)
		conf_problem_at(k->p, k->c, i, opt(CONF_CHANNELS, "lms_bytes"),
				"channels[%zu].lms_bytes = %" PRId64
				" is less than sms_bytes = %" PRId64 "; raise it",
				i, ch->lms_bytes, ch->sms_bytes);
}

static const char *
channel_name_at(const void *ctx, size_t i)
{
	const struct conf *c = ctx;

	/* A channel without a name has its own problem; "" is near to nothing. */
	return i >= c->channel_count	     ? NULL
	       : c->channels[i].name != NULL ? c->channels[i].name
					     : "";
}

static bool
stands_before(const char **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(list[i], list[n]) == 0)
			return true;
	}
	return false;
}

static void
check_route(struct checker *k, size_t i)
{
	const struct conf *c = k->c;
	const struct conf_route *r = &c->routes[i];
	const struct conf_option *type = opt(CONF_ROUTES, "type"),
				 *channels = opt(CONF_ROUTES, "channels");
	const struct conf_route *first;
	const char *near;

	if (c->origin->section[CONF_ROUTES][i].is_refused)
		return;
	require(k, CONF_ROUTES, i, "type", ", as [\"SMS\"]");
	require(k, CONF_ROUTES, i, "channels", ", as [\"infobip\"]");
	for (size_t n = 0; n < r->type_count; n++) {
		enum msg_type t = msg_type_parse(r->type[n], strlen(r->type[n]));

		if (t == MSG_TYPE_AUTO) {
			conf_problem_at(k->p, c, i, type,
					"routes[%zu].type: AUTO becomes SMS or LMS; write those",
					i);
			continue;
		}
		if (t == MSG_TYPE_NONE) {
			conf_problem_at(k->p, c, i, type,
					"routes[%zu].type = \"%s\" is no type; write SMS, LMS, "
					"MMS, AT or BM",
					i, r->type[n]);
			continue;
		}
		first = conf_route_find(c, t);
		if (first != r)
			conf_problem_at(k->p, c, i, type,
					"routes[%zu].type = \"%s\" stands in routes[%zu] already; "
					"join their channels there",
					i, r->type[n], (size_t)(first - c->routes));
		else if (stands_before(r->type, n))
			conf_problem_at(k->p, c, i, type,
					"routes[%zu].type = \"%s\" stands there twice; remove one",
					i, r->type[n]);
	}
	for (size_t n = 0; n < r->channels_count; n++) {
		near = NULL;
		if (stands_before(r->channels, n))
			conf_problem_at(
				k->p, c, i, channels,
				"routes[%zu].channels: \"%s\" stands there twice; remove one", i,
				r->channels[n]);
		else if (conf_channel_find(c, r->channels[n]) == NULL) {
			near = conf_nearest(r->channels[n], channel_name_at, c);
			conf_problem_at(k->p, c, i, channels,
					"routes[%zu].channels: there is no channel \"%s\"%s%s%s", i,
					r->channels[n],
					near != NULL ? "; did you mean " : "; add it to channels",
					near != NULL ? near : "", near != NULL ? "?" : "");
		}
	}
}

/* ---- times ---- */

/* a must be less than b (or equal, when is_equal_fine): said at the line of whichever was given, of
 * a when both were. */
static void
check_order(struct checker *k, enum conf_section sa, const char *na, enum conf_section sb,
	    const char *nb, int64_t factor, bool is_equal_fine)
{
	const struct conf_option *a = opt(sa, na), *b = opt(sb, nb), *at;
	int64_t va = number_of(k->c, 0, a) * factor, vb = number_of(k->c, 0, b);
	char ta[32], tb[32], times[32] = "";

	if (va < vb || (is_equal_fine && va == vb) || is_refused(k->c, 0, a) ||
	    is_refused(k->c, 0, b))
		return;
	at = is_given(k->c, 0, a) || !is_given(k->c, 0, b) ? a : b;
	if (factor > 1)
		snprintf(times, sizeof times, "%" PRId64 " x ", factor);
	conf_problem_at(k->p, k->c, 0, at,
			"%s%s.%s (%s) must %s %s.%s (%s); lower the first or raise the second",
			times, conf_sections[sa].name, na, conf_number(ta, sizeof ta, a->kind, va),
			is_equal_fine ? "not be more than" : "be less than", conf_sections[sb].name,
			nb, conf_number(tb, sizeof tb, b->kind, vb));
}

static int64_t
longest_answer_ms(const struct conf_channel *ch)
{
	bool is_null = ch->driver != NULL && strcmp(ch->driver, "null") == 0;

	return is_null ? ch->latency_ms : ch->answer_timeout_ms;
}

/* From before the claim to the end of an answer the row must be ours with something to spare, or
 * another agent takes it while its bytes are under way. */
static void
check_lease(struct checker *k)
{
	const struct conf *c = k->c;
	const struct conf_option *lease = opt(CONF_TIMES, "row_lease");
	const struct conf_channel *slow = NULL;
	int64_t margin = c->times.row_lease_ms / 10;
	char a[32], b[32], d[32], e[32];

	for (size_t i = 0; i < c->channel_count; i++) {
		if (slow == NULL || longest_answer_ms(&c->channels[i]) > longest_answer_ms(slow))
			slow = &c->channels[i];
	}
	if (slow == NULL || is_refused(c, 0, lease) ||
	    c->times.write_deadline_ms + longest_answer_ms(slow) + margin < c->times.row_lease_ms)
		return;
	conf_problem_at(k->p, c, 0, lease,
			"times.row_lease (%s) must be more than times.write_deadline (%s) + "
			"answer_timeout of channel %s (%s) "
			"+ a tenth of itself (%s); raise it or lower the others",
			text_ms_format(a, sizeof a, c->times.row_lease_ms),
			text_ms_format(b, sizeof b, c->times.write_deadline_ms),
			slow->name != NULL ? slow->name : "?",
			text_ms_format(d, sizeof d, longest_answer_ms(slow)),
			text_ms_format(e, sizeof e, margin));
}

static void
check_times(struct checker *k)
{
	check_order(k, CONF_TIMES, "heartbeat", CONF_TIMES, "agent_lease", 3, true);
	check_lease(k);
	check_order(k, CONF_TIMES, "care_pass", CONF_TIMES, "row_lease", 1, false);
	check_order(k, CONF_TIMES, "unknown_look", CONF_REPORT, "close_after", 1, false);
	check_order(k, CONF_TIMES, "quiet_time", CONF_REPORT, "close_after", 1, false);
	check_order(k, CONF_REPORT, "close_after", CONF_REPORT, "window", 1, false);
	check_order(k, CONF_TIMES, "row_lease", CONF_REPORT, "late", 1, true);
	check_order(k, CONF_DATABASE, "statement_timeout", CONF_TIMES, "stuck_limit", 2, true);
	check_order(k, CONF_LIMITS, "batch", CONF_LIMITS, "in_flight", 1, true);
}

void
conf_cross_check(struct conf *c, struct conf_problems *p)
{
	struct checker k = { c, p };

	check_agent(&k);
	check_absolute(&k);
	check_database(&k);
	if (c->channel_count == 0)
		conf_problem(p, c->origin->path, 0,
			     "channels is missing or empty; write channels: ( { name = ...; driver "
			     "= ...; } );");
	for (size_t i = 0; i < c->channel_count; i++)
		check_channel(&k, i);
	if (c->route_count == 0)
		conf_problem(p, c->origin->path, 0,
			     "routes is missing or empty; write routes: ( { type = [\"SMS\"]; "
			     "channels = [...]; } );");
	for (size_t i = 0; i < c->route_count; i++)
		check_route(&k, i);
	check_times(&k);
}

/* ---- files ---- */

static bool
check_file(struct checker *k, size_t i, const struct conf_option *o, const char *path)
{
	char label[96];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int error = errno;
	bool is_good = false;

	conf_name(label, sizeof label, o, i);
	if (fd == -1) {
		conf_problem_at(k->p, k->c, i, o,
				"%s: cannot open %s (%s); make the file, readable for the user of "
				"the agent",
				label, path, strerror(error));
		return false;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		conf_problem_at(k->p, k->c, i, o, "%s: %s is no regular file", label, path);
	else if (st.st_size == 0)
		conf_problem_at(k->p, k->c, i, o, "%s: %s is empty", label, path);
	else if (o->kind == KIND_SECRET && (st.st_mode & 07) != 0)
		conf_problem_at(k->p, k->c, i, o,
				"%s: everybody may read %s; chmod 640 it, with the group of the "
				"agent",
				label, path);
	else
		is_good = true;
	close(fd);
	return is_good;
}

static bool
check_folder(struct checker *k, const struct conf_option *o, const char *path, const char *what)
{
	char label[96];

	/* One that is not there yet is made at the start, or the journal says why not. */
	if (access(path, W_OK | X_OK) == 0 || errno == ENOENT)
		return true;
	conf_problem_at(k->p, k->c, 0, o,
			"%s: %s%s is not writable (%s); give it to the user of the agent",
			conf_name(label, sizeof label, o, 0), what, path, strerror(errno));
	return false;
}

enum rc
conf_check_files(const struct conf *c, struct conf_problems *p)
{
	struct checker k = { c, p };
	char folder[256], *slash;
	bool is_good = true;

	for (size_t n = 0; n < conf_option_count; n++) {
		const struct conf_option *o = &conf_options[n];

		if (o->kind != KIND_FILE && o->kind != KIND_SECRET)
			continue;
		for (size_t i = 0; i < conf_group_count(c, o->section); i++) {
			const char *path = string_of(c, i, o);

			if (path != NULL)
				is_good = check_file(&k, i, o, path) && is_good;
		}
	}
	is_good = check_folder(&k, opt(CONF_AGENT, "state_dir"), c->agent.state_dir, "") && is_good;
	if (c->log.file != NULL && text_copy(folder, sizeof folder, c->log.file)) {
		slash = strrchr(folder, '/');
		if (slash != NULL)
			slash[1] = '\0';
		is_good = check_folder(&k, opt(CONF_LOG, "file"), folder, "the folder ") && is_good;
	}
	return is_good ? RC_OK : RC_CONFIG;
}

/* ---- reload ---- */

static bool
same_value(const struct conf_option *o, const char *a, const char *b)
{
	const char *x, *y;

	switch (o->kind) {
	case KIND_STR:
	case KIND_FILE:
	case KIND_SECRET:
		memcpy(&x, a + o->offset, sizeof x);
		memcpy(&y, b + o->offset, sizeof y);
		return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
	case KIND_BOOL:
		return memcmp(a + o->offset, b + o->offset, sizeof(bool)) == 0;
	case KIND_INT:
	case KIND_MS:
	case KIND_BYTES:
		return memcmp(a + o->offset, b + o->offset, sizeof(int64_t)) == 0;
	case KIND_ENUM:
		return memcmp(a + o->offset, b + o->offset, sizeof(int)) == 0;
	case KIND_LIST:
		break; /* no START option is a list */
	}
	return true;
}

static void
name_change(char *buf, size_t size, const char *name)
{
	size_t n = strlen(buf);

	snprintf(buf + n, size - n, "%s%s", n > 0 ? ", " : "", name);
}

static void
compare_groups(enum conf_section s, const char *a, const char *b, const char *label, char *buf,
	       size_t size)
{
	char name[96];

	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];

		if (o->section != s || !o->is_start || same_value(o, a, b))
			continue;
		snprintf(name, sizeof name, "%s.%s", label, o->name);
		name_change(buf, size, name);
	}
}

/* A channel that comes or goes takes rows, windows and sockets with it: that is a restart. */
bool
conf_channel_equal(const struct conf_channel *a, const struct conf_channel *b)
{
	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];

		if (o->section == CONF_CHANNELS && !same_value(o, (const char *)a, (const char *)b))
			return false;
	}
	return a->files_stamp == b->files_stamp;
}

static void
compare_channels(const struct conf *a, const struct conf *b, char *buf, size_t size)
{
	char label[80];

	for (size_t i = 0; i < a->channel_count; i++) {
		const struct conf_channel *other = conf_channel_find(b, a->channels[i].name);

		snprintf(label, sizeof label, "channels[%s]%s", a->channels[i].name,
			 other != NULL ? "" : " (removed)");
		if (other == NULL)
			name_change(buf, size, label);
		else
			compare_groups(CONF_CHANNELS, (const char *)&a->channels[i],
				       (const char *)other, label, buf, size);
	}
	for (size_t i = 0; i < b->channel_count; i++) {
		snprintf(label, sizeof label, "channels[%s] (added)", b->channels[i].name);
		if (conf_channel_find(a, b->channels[i].name) == NULL)
			name_change(buf, size, label);
	}
}

bool
conf_reload_check(const struct conf *old_conf, const struct conf *new_conf, char *buf, size_t size)
{
	buf[0] = '\0';
	for (enum conf_section s = 0; s < CONF_SECTIONS; s++) {
		if (s == CONF_CHANNELS)
			compare_channels(old_conf, new_conf, buf, size);
		else if (!conf_sections[s].is_list)
			compare_groups(s, conf_group(old_conf, s, 0), conf_group(new_conf, s, 0),
				       conf_sections[s].name, buf, size);
	}
	return buf[0] != '\0';
}

/* ---- secrets ---- */

enum rc
conf_secret_read(const char *path, char *buf, size_t size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = 1;
	char *end;

	buf[0] = '\0';
	if (fd == -1)
		return err_set(e, RC_CONFIG, errno, "conf.secret", "cannot open %s (%s)", path,
			       strerror(errno));
	while (n < size && got > 0) {
		got = read(fd, buf + n, size - n);
		if (got > 0)
			n += (size_t)got;
		else if (got == -1 && errno == EINTR)
			got = 1;
	}
	close(fd);
	end = memchr(buf, '\n', n);
	if (end == NULL && n < size)
		end = buf + n;
	if (got == -1 || end == NULL || end == buf || *buf == '\r' ||
	    memchr(buf, '\0', (size_t)(end - buf)) != NULL) {
		conf_secret_wipe(buf, size);
		return err_set(e, RC_CONFIG, 0, "conf.secret",
			       "%s: the first line must be the secret alone, of 1 to %zu bytes",
			       path, size - 1);
	}
	*end = '\0';
	if (end[-1] == '\r')
		end[-1] = '\0';
	/* Whatever came behind the first line is nobody's business either. */
	text_wipe(end, size - (size_t)(end - buf));
	return RC_OK;
}

void
conf_secret_wipe(char *buf, size_t size)
{
	text_wipe(buf, size);
}
