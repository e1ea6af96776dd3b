/* conf.h - the configuration: read, checked as a whole, immutable, counted.
 *
 * Owns everything that it points to; what hangs below a struct conf lives until the last
 * conf_unref(). Main (loop) thread only; other threads read what they were given while a reference
 * is held for them. A reload loads a new struct and swaps one pointer, or keeps the old one. Fields
 * are named as the options, which stand with default, range and meaning in agent/conf.def: a
 * duration is int64_t <name>_ms, a size int64_t <name>_bytes, a string const char * (NULL when
 * unset), a number int64_t, a list const char **<name> with <name>_count, a word its enum. */
#ifndef MTRELAY_CONF_H
#define MTRELAY_CONF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "agent/err.h"
#include "agent/log.h"
#include "drivers/channel/channel.h"
#include "drivers/db/db.h"

enum conf_http { CONF_HTTP_AUTO, CONF_HTTP_1_1, CONF_HTTP_2 };
enum conf_tls { CONF_TLS_ON, CONF_TLS_OFF };
enum conf_bind { CONF_BIND_TRANSCEIVER, CONF_BIND_PAIR };
enum conf_split { CONF_SPLIT_PAYLOAD, CONF_SPLIT_UDH, CONF_SPLIT_SAR };
enum conf_id { CONF_ID_TEXT, CONF_ID_DECIMAL, CONF_ID_HEX };
enum conf_on_unknown {
	CONF_UNKNOWN_AUTO,
	CONF_UNKNOWN_HOLD,
	CONF_UNKNOWN_RESEND,
	CONF_UNKNOWN_CLOSE
};
enum conf_text { CONF_TEXT_KEEP, CONF_TEXT_MASK, CONF_TEXT_DROP };

#define CONF_IN_AGENT 0x001
#define CONF_IN_DATABASE 0x002
#define CONF_IN_CHANNEL 0x004
#define CONF_IN_ROUTE 0x008
#define CONF_IN_REPORT 0x010
#define CONF_IN_TIMES 0x020
#define CONF_IN_LIMITS 0x040
#define CONF_IN_LOG 0x080
#define CONF_IN_ALL 0xfff

#define CONF_S(n) (INT64_C(1000) * (n))
#define CONF_MIN(n) (INT64_C(60000) * (n))
#define CONF_H(n) (INT64_C(3600000) * (n))
#define CONF_D(n) (INT64_C(86400000) * (n))
#define CONF_KIB(n) (INT64_C(1024) * (n))
#define CONF_MIB(n) (INT64_C(1048576) * (n))

struct conf_agent {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_AGENT
#include "agent/conf.def"
};
struct conf_database {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_DATABASE
#include "agent/conf.def"
};
struct conf_channel {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_CHANNEL
#include "agent/conf.def"
	uint64_t files_stamp; /* tells whether the files that it names are still the same */
};
struct conf_route {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_ROUTE
#include "agent/conf.def"
};
struct conf_report {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_REPORT
#include "agent/conf.def"
};
struct conf_times {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_TIMES
#include "agent/conf.def"
};
struct conf_limits {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_LIMITS
#include "agent/conf.def"
};
struct conf_log {
#define CONF_AS_FIELDS
#define CONF_WANT CONF_IN_LOG
#include "agent/conf.def"
};

struct conf {
	struct conf_agent agent;
	struct conf_database database;
	struct conf_channel *channels;
	size_t channel_count;
	struct conf_route *routes;
	size_t route_count;
	struct conf_report report;
	struct conf_times times;
	struct conf_limits limits;
	struct conf_log log;
	unsigned refs;
	struct conf_origin *origin; /* where each value came from, and the memory of all of it */
};

/* What is wrong with a file: one sentence each, in the order of the lines. line 0: the file as a
 * whole. */
struct conf_problem {
	char *file;
	int line;
	char *text;
};
struct conf_problems {
	struct conf_problem *v;
	size_t n;
};
/* "FILE:LINE: sentence\n" each. */
void conf_problems_print(FILE *f, const struct conf_problems *p);
void conf_problems_free(struct conf_problems *p);

/* Before the first conf_load(): this process leaves its terminal, so a log without a place goes to
 * syslog. */
void conf_set_background(void);
/* Reads and checks all but the other files that it names. RC_OK gives *out with one reference,
 * everything else NULL and at least one problem. p starts as zeroes and is added to. */
enum rc conf_load(const char *path, struct conf **out, struct conf_problems *p) MUST_USE;
/* Adds a problem for each named file that this process, as the user that it is now, cannot use, and
 * for each secret that others may read. RC_CONFIG when there was one. */
enum rc conf_check_files(const struct conf *c, struct conf_problems *p) MUST_USE;
struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c); /* NULL is allowed */

/* NULL when there is none of that name. */
const struct conf_channel *conf_channel_find(const struct conf *c, const char *name);
/* The route of a type, NULL when there is none. */
const struct conf_route *conf_route_find(const struct conf *c, enum msg_type t);
/* True when host means this machine and nothing else: unset, "localhost" (RFC 6761), or a literal
 * loopback address. */
bool conf_is_loopback(const char *host);

/* The effective values in the form of the file, each with "default", "derived" or FILE:LINE behind
 * it; no secret is read, so none can be shown. */
void conf_dump(const struct conf *c, FILE *f);
void conf_print_sample(FILE *f);
/* The OPTIONS part of mtrelay.conf(5), as man source. */
void conf_print_man(FILE *f);

/* Writes the START options that differ, comma separated, into buf; false and "" when there are
 * none. A reload with such a difference is refused: the process would run with half of it. */
bool conf_reload_check(const struct conf *old_conf, const struct conf *new_conf, char *buf,
		       size_t size);

/* All options alike, and the contents of the files that they name: a reload may leave such a
 * channel alone. */
bool conf_channel_equal(const struct conf_channel *a, const struct conf_channel *b);

/* Reads the first line of a secret's file, without the line end. The caller wipes buf with
 * conf_secret_wipe(). */
enum rc conf_secret_read(const char *path, char *buf, size_t size, struct err *e) MUST_USE;
void conf_secret_wipe(char *buf, size_t size);

#endif
