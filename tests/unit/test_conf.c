/* test_conf.c - good and bad files with the exact sentence and line, each row of the table, dump,
 * sample and reload. */
#include "config.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/conf.h"
#include "agent/conf_table.h"
#include "agent/text.h"
#include "tests/unit/unit.h"

static char folder[64];

static const char *
file_in(const char *name)
{
	static char path[2][160];
	static unsigned turn;

	turn = (turn + 1) % 2;
	snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
	return path[turn];
}

static const char *
write_file(const char *name, const char *text, mode_t mode)
{
	const char *path = file_in(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static struct conf *
load_good(const char *name)
{
	struct conf_problems p = { 0 };
	struct conf *c;

	if (conf_load(file_in(name), &c, &p) != RC_OK) {
		conf_problems_print(stderr, &p);
		fail_msg("%s was refused", name);
	}
	assert_int_equal(p.n, 0);
	return c;
}

/* The least that a configuration must say, on lines 1 to 3. */
#define DATABASE "database: { driver = \"mysql\"; name = \"shop\"; };\n"
#define CHANNELS "channels: ( { name = \"dry\"; driver = \"null\"; } );\n"
#define ROUTES "routes: ( { type = [\"SMS\"]; channels = [\"dry\"]; } );\n"
#define LEAST DATABASE CHANNELS ROUTES
#define INFOBIP "name = \"ib\"; driver = \"infobip\"; api_key_file = \"/k\"; "

struct bad {
	const char *text;
	struct {
		int line;
		const char *text;
	} want[10];
};

static const struct bad bad_files[] = {
	/* syntax */
	{ LEAST "agent: { id = ; };\n",
	  { { 4, "syntax error here or on the line before; look for a missing ; or , or quote or "
		 "bracket" } } },
	{ LEAST "agent: {\n id = \"a\";\n id = \"b\"; };\n",
	  { { 6, "this name stands twice in its group; remove one of them" } } },
	{ LEAST "agent: { };\nagent: { };\n",
	  { { 5, "this name stands twice in its group; remove one of them" } } },
	/* unknown names */
	{ LEAST "agnet: { };\n",
	  { { 4, "agnet: there is no such section; did you mean agent?" } } },
	{ LEAST "colours: { };\n",
	  { { 4, "colours: there is no such section; see mtrelay.conf(5)" } } },
	{ LEAST "times: { heart_beat = \"5s\"; };\n",
	  { { 4, "times.heart_beat: there is no such option; did you mean heartbeat?" } } },
	{ LEAST "times: { close_after = \"5s\"; };\n",
	  { { 4, "times.close_after: there is no such option here; it belongs into report" } } },
	{ LEAST "times: { qqqqqqqq = 1; };\n",
	  { { 4, "times.qqqqqqqq: there is no such option; see mtrelay.conf(5)" } } },
	/* types */
	{ LEAST "agent: { id = 5;\n production = 1; };\n",
	  { { 4, "agent.id: wrong type; write a text in double quotes" },
	    { 5, "agent.production: wrong type; write true or false without quotes" } } },
	{ LEAST "limits: { batch = \"5\";\n in_flight = 1.5; };\n",
	  { { 4, "limits.batch: wrong type; write a whole number without quotes" },
	    { 5, "limits.in_flight: wrong type; write a whole number without quotes" } } },
	{ LEAST "times: { drain = 35;\n walk = \"5 s\";\n care_pass = \"5sec\"; };\n",
	  { { 4, "times.drain: wrong type; write a whole number with its unit in quotes: ms, s, "
		 "min, h or d, as \"5s\"" },
	    { 5, "times.walk: wrong type; write a whole number with its unit in quotes: ms, s, "
		 "min, h or d, as \"5s\"" },
	    { 6, "times.care_pass: wrong type; write a whole number with its unit in quotes: ms, "
		 "s, min, h or d, as \"5s\"" } } },
	{ LEAST "limits: { body = 16384;\n journal_segment = \"5MB\"; };\n",
	  { { 4, "limits.body: wrong type; write a whole number with its unit in quotes: KiB, MiB "
		 "or GiB, as \"16MiB\"" },
	    { 5, "limits.journal_segment: wrong type; write a whole number with its unit in "
		 "quotes: KiB, MiB or GiB, as \"16MiB\"" } } },
	{ LEAST "log: { level = \"loud\"; };\n",
	  { { 4, "log.level: write one of error|warn|info|debug in double quotes" } } },
	{ LEAST "agent = 5;\n",
	  { { 4, "agent: wrong type; write options in braces, as agent: { ... };" } } },
	{ DATABASE ROUTES "channels: { name = \"dry\"; };\n",
	  { { 0,
	      "channels is missing or empty; write channels: ( { name = ...; driver = ...; } );" },
	    { 2, "routes[0].channels: there is no channel \"dry\"; add it to channels" },
	    { 3, "channels: wrong type; it is a list of groups, write channels: ( { ... }, { ... } "
		 ");" } } },
	{ DATABASE CHANNELS "routes: ( { type = \"SMS\"; channels = [ ]; } );\n",
	  { { 3, "routes[0].type: wrong type; write a list of texts, as [\"one\", \"two\"]" },
	    { 3, "routes[0].channels has 0 entries; write 1 to 16" } } },
	/* ranges */
	{ LEAST "limits: { batch = 0;\n in_flight = 100001;\n body = \"2MiB\"; };\n",
	  { { 4, "limits.batch = 0 is out of range; write 1 to 5000" },
	    { 5, "limits.in_flight = 100001 is out of range; write 1 to 100000" },
	    { 6, "limits.body = 2MiB is out of range; write 4KiB to 1MiB" } } },
	{ LEAST "times: { heartbeat = \"2h\"; };\n",
	  { { 4, "times.heartbeat = 2h is out of range; write 50ms to 1min" } } },
	{ LEAST "agent: { installation = 4294967296L; };\n",
	  { { 4, "agent.installation = 4294967296 is out of range; write 0 to 4294967295, with an "
		 "L behind what is above 2147483647" } } },
	{ LEAST "agent: { id = \"123456789012345678901234567890123\"; };\n",
	  { { 4, "agent.id has 33 bytes; at most 32 are allowed" } } },
	{ LEAST "agent: { id = \"\";\n user = \"a\\nb\"; };\n",
	  { { 4, "agent.id is empty; give a value or remove the line" },
	    { 5, "agent.user holds a control character; remove it" } } },
	/* agent and log */
	{ LEAST "agent: { id = \"a b\"; state_dir = \"state\"; };\n",
	  { { 4, "agent.id = \"a b\": use letters, digits and . _ - only" },
	    { 4, "agent.state_dir = \"state\" is no absolute path; begin it with /" } } },
	{ LEAST "log: { sink = \"file\"; };\n",
	  { { 4, "log.sink = \"file\" needs log.file; set it" } } },
	{ LEAST "log: { sink = \"syslog\"; file = \"/x\"; };\n",
	  { { 4, "log.file has no effect with this log.sink; remove one of them" } } },
	/* database */
	{ CHANNELS ROUTES, { { 0, "database.driver must be set: mysql or odbc" } } },
	{ CHANNELS ROUTES "database: { driver = \"mysql\"; };\n",
	  { { 3, "database.name must be set with driver mysql" } } },
	{ CHANNELS ROUTES "database: { driver = \"odbc\"; };\n",
	  { { 3, "database.connection must be set with driver odbc" } } },
	{ CHANNELS ROUTES
	  "database: { driver = \"mysql\"; name = \"x\"; host = \"db1\";\n tls = \"off\"; };\n",
	  { { 4, "database.tls = \"off\" to db1: unencrypted only to this machine; write "
		 "\"verify\"" } } },
	{ CHANNELS ROUTES
	  "database: { driver = \"mysql\"; name = \"x\"; host = \"db1\"; socket = \"/s\"; };\n",
	  { { 3, "database.host and database.socket exclude each other; remove one of them" } } },
	{ CHANNELS ROUTES "database: { driver = \"odbc\"; connection = \"DSN=a; Pwd = x\";\n host "
			  "= \"b\"; tls = \"verify\"; };\n",
	  { { 3, "database.connection holds a password; put it into a file and name that as "
		 "password_file" },
	    { 4, "database.host is for driver mysql; say it in database.connection" },
	    { 4, "database.tls is for driver mysql; say it in database.connection" } } },
	{ CHANNELS ROUTES
	  "database: { driver = \"mysql\"; name = \"x\"; dialect = \"oracle\"; prefix = \"9\";\n"
	  "password_file = \"pw\"; cert_file = \"/c\"; };\n",
	  { { 3, "database.dialect = \"oracle\" is not known; use mysql, postgresql or sqlite" },
	    { 3, "database.prefix = \"9\": use letters, digits and _ only, no digit first" },
	    { 3, "database.key_file must be set, because cert_file is" },
	    { 3, "database.user must be set, because password_file is" },
	    { 4, "database.password_file = \"pw\" is no absolute path; begin it with /" } } },
	/* channels */
	{ DATABASE "channels: ( { }, 5 );\n"
		   "routes: ( { type = [\"SMS\"]; channels = [\"x\"]; } );\n",
	  { { 2, "channels: wrong type; write options in braces, as channels: ( { ... } );" },
	    { 2, "channels[0].name must be set" },
	    { 2, "channels[0].driver must be set: infobip, smpp or null" },
	    { 3, "routes[0].channels: there is no channel \"x\"; add it to channels" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; url = \"https://x\"; },\n"
		   "{ name = \"DRY\"; driver = \"infobip\"; latency = \"1s\"; } );\n" ROUTES,
	  { { 2, "channels[0].url means nothing to driver null; remove the line" },
	    { 3,
	      "channels[1].name = \"DRY\" is the name of channels[0] already; give each its own" },
	    { 3, "channels[1].url must be set with driver infobip" },
	    { 3, "channels[1].api_key_file must be set with driver infobip" },
	    { 3, "channels[1].latency means nothing to driver infobip; remove the line" } } },
	{ DATABASE
	  "channels: ( { name = \"dry\"; driver = \"null\"; sessions = 2;\n tlvs = [\"a\"]; },\n"
	  "{ name = \"smsc\"; driver = \"smpp\"; url = \"https://a.b\";\n hosts = [\"smsc1\", "
	  "\"::1:2775\", \"[::1]:2775\", \"smsc2:2775\"];\n tls = \"off\";\n split = \"udh\"; "
	  "parts_max = "
	  "20;\n id_bits = 16; } );\n" ROUTES,
	  { { 2, "channels[0].sessions means nothing to driver null; remove the line" },
	    { 3, "channels[0].tlvs means nothing to driver null; remove the line" },
	    { 4, "channels[1].system_id must be set with driver smpp" },
	    { 4, "channels[1].url means nothing to driver smpp; remove the line" },
	    { 5, "channels[1].hosts: \"smsc1\" is no address; write host:port, as smsc1:3550 or "
		 "[::1]:2775" },
	    { 5, "channels[1].hosts: \"::1:2775\" is no address; write host:port, as smsc1:3550 or "
		 "[::1]:2775" },
	    { 6, "channels[1].tls = \"off\" goes unencrypted to smsc2; leave it out (off only to a "
		 "loopback address, as "
		 "127.0.0.1)" },
	    { 7, "channels[1].parts_max (20) must not be more than window (10); lower it or raise "
		 "window" },
	    { 8, "channels[1].id_bits = 16; write 0, 32 or 64" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; },\n"
		   "{ " INFOBIP "url = \"http://127.0.0.1.example.com\"; } );\n" ROUTES,
	  { { 3, "channels[1].url goes unencrypted to 127.0.0.1.example.com; write https:// "
		 "(http:// only to a loopback address, "
		 "as 127.0.0.1)" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; },\n"
		   "{ " INFOBIP "url = \"http://localhost\"; } );\n" ROUTES,
	  { { 3, "channels[1].url goes unencrypted to localhost; write https:// (http:// only to a "
		 "loopback address, as "
		 "127.0.0.1)" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; },\n"
		   "{ " INFOBIP "url = \"https://me:pw@host\"; proxy = \"proxy:3128\"; "
		   "source_address = \"eth0\"; } );\n" ROUTES,
	  { { 3, "channels[1].url may hold neither a login nor ? or #; write https://host" },
	    { 3, "channels[1].proxy: write http://host:port, without a login" },
	    { 3, "channels[1].source_address = \"eth0\" is no IP address; use one that this host "
		 "has" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; },\n"
		   "{ " INFOBIP "url = \"ftp://host\"; } );\n" ROUTES,
	  { { 3, "channels[1].url is no address; write https://host or https://host:port" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; sms_bytes = 100; lms_bytes = "
		   "90; } );\n" ROUTES,
	  { { 2, "channels[0].lms_bytes = 90 is less than sms_bytes = 100; raise it" } } },
	/* routes */
	{ DATABASE CHANNELS,
	  { { 0, "routes is missing or empty; write routes: ( { type = [\"SMS\"]; channels = "
		 "[...]; } );" } } },
	{ DATABASE CHANNELS "routes: ( { type = [\"AUTO\", \"FAX\", \"LMS\", \"lms\"]; channels = "
			    "[\"drx\", \"dry\", \"dry\"]; },\n"
			    "{ type = [\"LMS\"]; } );\n",
	  { { 3, "routes[0].type: AUTO becomes SMS or LMS; write those" },
	    { 3, "routes[0].type = \"FAX\" is no type; write SMS, LMS, MMS, AT or BM" },
	    { 3, "routes[0].type = \"lms\" stands there twice; remove one" },
	    { 3, "routes[0].channels: there is no channel \"drx\"; did you mean dry?" },
	    { 3, "routes[0].channels: \"dry\" stands there twice; remove one" },
	    { 4, "routes[1].channels must be set, as [\"infobip\"]" },
	    { 4, "routes[1].type = \"LMS\" stands in routes[0] already; join their channels "
		 "there" } } },
	/* times against each other */
	{ LEAST "times: { heartbeat = \"11s\"; };\n",
	  { { 4, "3 x times.heartbeat (33s) must not be more than times.agent_lease (30s); lower "
		 "the first or raise the second" } } },
	{ DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; }, { " INFOBIP
		   "url = \"https://x\"; } );\n" ROUTES "times: { row_lease = \"50s\"; };\n",
	  { { 4, "times.row_lease (50s) must be more than times.write_deadline (20s) + "
		 "answer_timeout of channel ib (30s) + a tenth "
		 "of itself (5s); raise it or lower the others" } } },
	{ LEAST "report: { close_after = \"48h\"; };\n",
	  { { 4, "report.close_after (48h) must be less than report.window (48h); lower the first "
		 "or raise the second" } } },
	{ LEAST "report: { window = \"1min\"; close_after = \"50s\"; };\n",
	  { { 4, "times.quiet_time (10min) must be less than report.close_after (50s); lower the "
		 "first or raise the second" } } },
	{ LEAST "database_: 1;\ntimes: { stuck_limit = \"29s\"; };\n",
	  { { 4, "database_: there is no such section; did you mean database?" },
	    { 5, "2 x database.statement_timeout (30s) must not be more than times.stuck_limit "
		 "(29s); lower the first or raise the "
		 "second" } } },
	{ LEAST "limits: { batch = 5000; };\n",
	  { { 4, "limits.batch (5000) must not be more than limits.in_flight (4000); lower the "
		 "first or raise the second" } } },
};

static void
a_bad_file_gets_each_sentence_at_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
		const struct bad *b = &bad_files[i];
		const char *path = write_file("bad.conf", b->text, 0644);
		struct conf_problems p = { 0 };
		struct conf *c = (struct conf *)&p;
		size_t n = 0;

		assert_int_equal(conf_load(path, &c, &p), RC_CONFIG);
		assert_null(c);
		for (; n < sizeof b->want / sizeof b->want[0] && b->want[n].text != NULL; n++) {
			if (n >= p.n || p.v[n].line != b->want[n].line ||
			    strcmp(p.v[n].text, b->want[n].text) != 0) {
				conf_problems_print(stderr, &p);
				fail_msg("file %zu, sentence %zu, wanted at %d: %s", i, n,
					 b->want[n].line, b->want[n].text);
			}
			assert_string_equal(p.v[n].file, path);
		}
		if (p.n != n) {
			conf_problems_print(stderr, &p);
			fail_msg("file %zu: %zu sentences, wanted %zu", i, p.n, n);
		}
		conf_problems_free(&p);
	}
}

static void
a_missing_file_and_a_folder_are_named(void **state)
{
	struct conf_problems p = { 0 };
	struct conf *c;

	(void)state;
	assert_int_equal(conf_load(file_in("none.conf"), &c, &p), RC_CONFIG);
	assert_string_equal(
		p.v[0].text,
		"cannot be opened (No such file or directory); name the configuration with -c");
	conf_problems_free(&p);
	assert_int_equal(conf_load(folder, &c, &p), RC_CONFIG);
	assert_string_equal(p.v[0].text, "is a folder; name a file with -c");
	conf_problems_free(&p);
}

static void
a_problem_in_an_included_file_names_that_file(void **state)
{
	struct conf_problems p = { 0 };
	struct conf *c;

	(void)state;
	write_file("more.conf", "\nagent: { idd = \"x\"; };\n", 0644);
	write_file("main.conf", LEAST "@include \"more.conf\"\n", 0644);
	assert_int_equal(conf_load(file_in("main.conf"), &c, &p), RC_CONFIG);
	assert_int_equal(p.n, 1);
	/* libconfig says it as it was written or with the folder, by its version. */
	assert_non_null(strstr(p.v[0].file, "more.conf"));
	assert_int_equal(p.v[0].line, 2);
	conf_problems_free(&p);
}

static void
the_least_file_gets_every_default(void **state)
{
	struct conf *c;

	(void)state;
	write_file("least.conf", LEAST, 0644);
	c = load_good("least.conf");
	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];
		const char *field = (const char *)conf_group(c, o->section, 0) + o->offset;
		const struct conf_place *at = conf_place(c, 0, o);
		const char *s;
		int64_t v;
		int word;
		bool b;
		size_t count;

		if (at->file != NULL || at->is_derived)
			continue;
		switch (o->kind) {
		case KIND_STR:
		case KIND_FILE:
		case KIND_SECRET:
			memcpy(&s, field, sizeof s);
			if (o->def_text == NULL)
				assert_null(s);
			else
				assert_string_equal(s, o->def_text);
			break;
		case KIND_BOOL:
			memcpy(&b, field, sizeof b);
			assert_int_equal(b, o->def);
			break;
		case KIND_INT:
		case KIND_MS:
		case KIND_BYTES:
			memcpy(&v, field, sizeof v);
			assert_true(v == o->def && o->min <= v && v <= o->max);
			break;
		case KIND_ENUM:
			memcpy(&word, field, sizeof word);
			assert_int_equal(word, o->def);
			break;
		case KIND_LIST:
			memcpy(&count, (const char *)field - o->offset + o->count_offset,
			       sizeof count);
			assert_int_equal(count, 0);
		}
	}
	assert_non_null(c->agent.id);
	assert_int_equal(c->database.tls, DB_TLS_OFF); /* no host: the local socket */
	assert_int_equal(c->channel_count, 1);
	assert_int_equal(c->routes[0].type_count, 1);
	assert_string_equal(c->routes[0].channels[0], "dry");
	conf_unref(c);
}

/* Every row: its least and its greatest value are read back, one beyond is refused, a wrong type is
 * refused. */
static void
try_option(const struct conf_option *o, const char *value, bool is_good)
{
	char text[2048], label[96];
	const char *si = conf_sections[o->section].name;
	struct conf_problems p = { 0 };
	struct conf *c;
	bool is_named = false;

	if (o->section == CONF_DATABASE)
		snprintf(text, sizeof text, CHANNELS ROUTES "%s: { %s = %s; };\n", si, o->name,
			 value);
	else if (o->section == CONF_CHANNELS)
		snprintf(text, sizeof text, DATABASE ROUTES "%s: ( { %s = %s; } );\n", si, o->name,
			 value);
	else if (o->section == CONF_ROUTES)
		snprintf(text, sizeof text, DATABASE CHANNELS "%s: ( { %s = %s; } );\n", si,
			 o->name, value);
	else
		snprintf(text, sizeof text, LEAST "%s: { %s = %s; };\n", si, o->name, value);
	if (conf_load(write_file("row.conf", text, 0644), &c, &p) == RC_OK)
		conf_unref(c);
	conf_name(label, sizeof label, o, 0);
	for (size_t i = 0; i < p.n; i++) {
		/* Not what the checks of meaning say about it. */
		if (strstr(p.v[i].text, "out of range") != NULL ||
		    strstr(p.v[i].text, "wrong type") != NULL ||
		    strstr(p.v[i].text, "write one of") != NULL ||
		    strstr(p.v[i].text, "at most") != NULL)
			is_named = is_named || strncmp(p.v[i].text, label, strlen(label)) == 0;
	}
	if (is_named == is_good) {
		conf_problems_print(stderr, &p);
		fail_msg("%s = %s was %s", label, value, is_good ? "refused" : "taken");
	}
	conf_problems_free(&p);
}

static void
every_row_takes_its_range_and_no_more(void **state)
{
	char value[1200], number[64];
	char word[32];

	(void)state;
	for (size_t k = 0; k < conf_option_count; k++) {
		const struct conf_option *o = &conf_options[k];

		assert_true(strlen(o->text) > 10 && o->text[strlen(o->text) - 1] == '.');
		switch (o->kind) {
		case KIND_STR:
		case KIND_FILE:
		case KIND_SECRET:
			snprintf(value, sizeof value, "\"/%0*d\"", (int)o->max - 1, 0);
			try_option(o, value, true);
			snprintf(value, sizeof value, "\"/%0*d\"", (int)o->max, 0);
			try_option(o, value, false);
			try_option(o, "5", false);
			break;
		case KIND_BOOL:
			try_option(o, "true", true);
			try_option(o, "false", true);
			try_option(o, "\"true\"", false);
			break;
		case KIND_INT:
			for (int i = 0; i < 4; i++) {
				int64_t v = i == 0   ? o->min
					    : i == 1 ? o->max
					    : i == 2 ? o->min - 1
						     : o->max + 1;

				snprintf(value, sizeof value, "%lldL", (long long)v);
				try_option(o, value, i < 2);
			}
			try_option(o, "\"5\"", false);
			break;
		case KIND_MS:
		case KIND_BYTES:
			snprintf(value, sizeof value, "\"%s\"",
				 conf_number(number, sizeof number, o->kind, o->min));
			try_option(o, value, true);
			snprintf(value, sizeof value, "\"%s\"",
				 conf_number(number, sizeof number, o->kind, o->max));
			try_option(o, value, true);
			snprintf(value, sizeof value, "\"%lld%s\"",
				 (long long)(o->kind == KIND_MS ? o->max + 1 : o->max / 1024 + 1),
				 o->kind == KIND_MS ? "ms" : "KiB");
			try_option(o, value, false);
			try_option(o, "5", false);
			break;
		case KIND_ENUM:
			for (size_t n = 0; conf_word(o->words, n, word, sizeof word); n++) {
				snprintf(value, sizeof value, "\"%s\"", word);
				try_option(o, value, true);
			}
			assert_true(conf_word(o->words, (size_t)o->def, word, sizeof word));
			try_option(o, "\"nonsense\"", false);
			try_option(o, "1", false);
			break;
		case KIND_LIST:
			try_option(o, "[\"SMS\"]", true);
			try_option(o, "\"SMS\"", false);
			try_option(o, "[1]", false);
			break;
		}
	}
}

static void
sample_is_clean_and_its_dump_reads_back_the_same(void **state)
{
	char *first = NULL, *second = NULL, *line, *rest_a, *rest_b, *other;
	size_t n;
	struct conf *c, *d;
	FILE *f;

	(void)state;
	f = fopen(file_in("sample.conf"), "w");
	assert_non_null(f);
	conf_print_sample(f);
	fclose(f);
	c = load_good("sample.conf");
	f = open_memstream(&first, &n);
	conf_dump(c, f);
	fclose(f);
	write_file("dump.conf", first, 0644);
	d = load_good("dump.conf");
	f = open_memstream(&second, &n);
	conf_dump(d, f);
	fclose(f);
	/* All but the origin behind each value. */
	line = strtok_r(first, "\n", &rest_a);
	other = strtok_r(second, "\n", &rest_b);
	for (; line != NULL && other != NULL;
	     line = strtok_r(NULL, "\n", &rest_a), other = strtok_r(NULL, "\n", &rest_b)) {
		if (strstr(line, "; # ") != NULL)
			*strstr(line, "; # ") = '\0';
		if (strstr(other, "; # ") != NULL)
			*strstr(other, "; # ") = '\0';
		assert_string_equal(line, other);
	}
	assert_true(line == NULL && other == NULL);
	free(first);
	free(second);
	conf_unref(c);
	conf_unref(d);
}

static void
dump_says_where_a_value_came_from_and_no_secret(void **state)
{
	char *text = NULL;
	size_t n;
	struct conf *c;
	FILE *f;

	(void)state;
	write_file("secret", "topsecret\n", 0600);
	write_file("dump2.conf",
		   CHANNELS ROUTES "database: { driver = \"mysql\"; name = \"x\\\"\\\\y\"; user = "
				   "\"u\"; host = \"db1\";\n"
				   "password_file = \"/nowhere/secret\"; };\n",
		   0644);
	c = load_good("dump2.conf");
	f = open_memstream(&text, &n);
	conf_dump(c, f);
	fclose(f);
	assert_non_null(strstr(text, "password_file = \"/nowhere/secret\"; # "));
	assert_non_null(strstr(text, "dump2.conf:4\n"));
	assert_non_null(strstr(text, "name = \"x\\\"\\\\y\"; # "));
	assert_non_null(strstr(text, "heartbeat = \"5s\"; # default\n"));
	assert_non_null(strstr(text, "tls = \"verify\"; # derived\n"));
	assert_null(strstr(text, "topsecret"));
	free(text);
	conf_unref(c);
}

static void
man_names_every_option(void **state)
{
	char *text = NULL, head[80];
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	conf_print_man(f);
	fclose(f);
	for (size_t k = 0; k < conf_option_count; k++) {
		snprintf(head, sizeof head, ".TP\n.B %s\n", conf_options[k].name);
		assert_non_null(strstr(text, head));
	}
	free(text);
}

static void
reload_names_what_needs_a_restart(void **state)
{
	struct conf *a, *b;
	char buf[256];

	(void)state;
	write_file("a.conf", LEAST, 0644);
	write_file("b.conf", LEAST "times: { heartbeat = \"1s\"; };\n", 0644);
	a = load_good("a.conf");
	b = load_good("b.conf");
	assert_false(conf_reload_check(a, b, buf, sizeof buf));
	assert_string_equal(buf, "");
	conf_unref(b);
	write_file("b.conf",
		   DATABASE "channels: ( { name = \"other\"; driver = \"null\"; } );\n"
			    "routes: ( { type = [\"SMS\"]; channels = [\"other\"]; } );\n"
			    "agent: { state_dir = \"/x\"; };\nlimits: { in_flight = 5000; };\n",
		   0644);
	b = load_good("b.conf");
	assert_true(conf_reload_check(a, b, buf, sizeof buf));
	assert_string_equal(buf, "agent.state_dir, channels[dry] (removed), channels[other] "
				 "(added), limits.in_flight");
	conf_unref(b);
	write_file("b.conf",
		   "channels: ( { " INFOBIP
		   "url = \"https://x\"; }, { name = \"dry\"; driver = \"infobip\"; "
		   "url = \"https://x\"; api_key_file = \"/x\"; } );\n" DATABASE ROUTES,
		   0644);
	b = load_good("b.conf");
	assert_true(conf_reload_check(a, b, buf, sizeof buf));
	assert_string_equal(buf, "channels[dry].driver, channels[ib] (added)");
	conf_unref(conf_ref(b));
	assert_string_equal(conf_channel_find(b, "ib")->url, "https://x");
	assert_null(conf_channel_find(b, "nobody"));
	assert_ptr_equal(conf_route_find(b, MSG_TYPE_SMS), &b->routes[0]);
	assert_null(conf_route_find(b, MSG_TYPE_LMS));
	conf_unref(a);
	conf_unref(b);
	conf_unref(NULL);
}

static void
tls_follows_from_the_host(void **state)
{
	static const struct {
		const char *database;
		enum db_tls want;
	} cases[] = {
		{ "host = \"db1\"", DB_TLS_VERIFY },
		{ "host = \"127.0.0.1\"", DB_TLS_OFF },
		{ "host = \"127.9.9.9\"", DB_TLS_OFF },
		{ "host = \"::1\"", DB_TLS_OFF },
		{ "host = \"localhost\"", DB_TLS_OFF },
		{ "socket = \"/s\"", DB_TLS_OFF },
		{ "host = \"128.0.0.1\"", DB_TLS_VERIFY },
		{ "host = \"db1\"; tls = \"on\"", DB_TLS_ON },
	};
	char text[512];
	struct conf *c;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text,
			 CHANNELS ROUTES "database: { driver = \"mysql\"; name = \"x\"; %s; };\n",
			 cases[i].database);
		write_file("tls.conf", text, 0644);
		c = load_good("tls.conf");
		assert_int_equal(c->database.tls, cases[i].want);
		conf_unref(c);
	}
}

static void
good_addresses_are_taken(void **state)
{
	static const char *const urls[] = { "https://x.api.infobip.com",
					    "https://10.0.0.1:8443/base",
					    "https://[fe80::1]:443",
					    "http://127.0.0.1:8080",
					    "http://[::1]",
					    "HTTPS://X" };
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		snprintf(text, sizeof text,
			 DATABASE "channels: ( { name = \"dry\"; driver = \"null\"; },\n{ " INFOBIP
				  "url = \"%s\"; proxy = \"http://[::1]:3128\"; source_address = "
				  "\"10.0.0.5\"; } );\n" ROUTES,
			 urls[i]);
		write_file("url.conf", text, 0644);
		conf_unref(load_good("url.conf"));
	}
}

static void
files_are_checked_as_the_present_user(void **state)
{
	struct conf_problems p = { 0 };
	struct conf *c;
	char text[2048], path[200];

	(void)state;
	write_file("open.key", "key\n", 0644);
	write_file("good.key", "key\n", 0640);
	write_file("empty.pem", "", 0644);
	snprintf(text, sizeof text,
		 DATABASE ROUTES "agent: { state_dir = \"%s/not-made-yet\"; };\nchannels: ( { name "
				 "= \"dry\"; driver = \"null\"; },\n"
				 "{ name = \"a\"; driver = \"infobip\"; url = \"https://x\"; "
				 "api_key_file = \"%s/good.key\"; },\n"
				 "{ name = \"b\"; driver = \"infobip\"; url = \"https://x\"; "
				 "api_key_file = \"%s/open.key\"; },\n"
				 "{ name = \"c\"; driver = \"infobip\"; url = \"https://x\"; "
				 "api_key_file = \"%s/gone\"; },\n"
				 "{ name = \"d\"; driver = \"infobip\"; url = \"https://x\"; "
				 "api_key_file = \"%s\"; ca_file = "
				 "\"%s/empty.pem\"; } );\n",
		 folder, folder, folder, folder, folder, folder);
	write_file("files.conf", text, 0644);
	c = load_good("files.conf");
	assert_int_equal(conf_check_files(c, &p), RC_CONFIG);
	assert_int_equal(p.n, 4);
	snprintf(text, sizeof text,
		 "channels[2].api_key_file: everybody may read %s; chmod 640 it, with the group of "
		 "the agent",
		 file_in("open.key"));
	assert_string_equal(p.v[0].text, text);
	assert_int_equal(p.v[0].line, 6);
	snprintf(path, sizeof path, "cannot open %s (No such file", file_in("gone"));
	assert_non_null(strstr(p.v[1].text, path));
	assert_non_null(strstr(p.v[2].text, "is no regular file"));
	assert_non_null(strstr(p.v[3].text, "empty.pem is empty"));
	conf_problems_free(&p);
	conf_unref(c);
}

static void
a_secret_is_the_first_line_alone(void **state)
{
	struct err e = { 0 };
	char buf[16];

	(void)state;
	write_file("s", "abc\r\nsecond line\n", 0600);
	assert_int_equal(conf_secret_read(file_in("s"), buf, sizeof buf, &e), RC_OK);
	assert_string_equal(buf, "abc");
	for (size_t i = 3; i < sizeof buf; i++)
		assert_int_equal(buf[i], 0);
	write_file("s", "123456789012345", 0600);
	assert_int_equal(conf_secret_read(file_in("s"), buf, sizeof buf, &e), RC_OK);
	assert_string_equal(buf, "123456789012345");
	conf_secret_wipe(buf, sizeof buf);
	assert_int_equal(buf[0], 0);
	write_file("s", "1234567890123456", 0600);
	assert_int_equal(conf_secret_read(file_in("s"), buf, sizeof buf, &e), RC_CONFIG);
	assert_non_null(
		strstr(e.text, "the first line must be the secret alone, of 1 to 15 bytes"));
	assert_int_equal(buf[0], 0);
	write_file("s", "\nabc\n", 0600);
	assert_int_equal(conf_secret_read(file_in("s"), buf, sizeof buf, &e), RC_CONFIG);
	assert_int_equal(conf_secret_read(file_in("gone-secret"), buf, sizeof buf, &e), RC_CONFIG);
	assert_non_null(strstr(e.text, "cannot open"));
	assert_int_equal(conf_secret_read(folder, buf, sizeof buf, &e), RC_CONFIG);
}

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/mtr-conf-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = {
		"bad.conf",  "more.conf",  "main.conf", "least.conf", "row.conf",  "sample.conf",
		"dump.conf", "dump2.conf", "secret",	"a.conf",     "b.conf",	   "tls.conf",
		"url.conf",  "files.conf", "open.key",	"good.key",   "empty.pem", "s"
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		(void)unlink(file_in(names[i]));
	return rmdir(folder);
}

static void
needs_both_database_drivers(void **state)
{
	(void)state;
	print_message("this build has only %s; the sentences are tested with mysql and odbc\n",
		      db_driver_names());
	skip();
}

int
main(void)
{
	const struct CMUnitTest nothing[] = { cmocka_unit_test(needs_both_database_drivers) };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_file_gets_each_sentence_at_its_line),
		cmocka_unit_test(a_missing_file_and_a_folder_are_named),
		cmocka_unit_test(a_problem_in_an_included_file_names_that_file),
		cmocka_unit_test(the_least_file_gets_every_default),
		cmocka_unit_test(every_row_takes_its_range_and_no_more),
		cmocka_unit_test(sample_is_clean_and_its_dump_reads_back_the_same),
		cmocka_unit_test(dump_says_where_a_value_came_from_and_no_secret),
		cmocka_unit_test(man_names_every_option),
		cmocka_unit_test(reload_names_what_needs_a_restart),
		cmocka_unit_test(tls_follows_from_the_host),
		cmocka_unit_test(good_addresses_are_taken),
		cmocka_unit_test(files_are_checked_as_the_present_user),
		cmocka_unit_test(a_secret_is_the_first_line_alone),
	};

	if (db_driver_find("mysql") == NULL || db_driver_find("odbc") == NULL)
		return cmocka_run_group_tests(nothing, NULL, NULL);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
