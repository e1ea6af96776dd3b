/* mtrelayctl.c - the control program: options, the table of commands, what all commands need. */
#include "config.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "agent/ctl.h"
#include "agent/log.h"

static const struct ctl_command commands[] = {
#define CTL_DEF(name, function, args, sentence) { #name, args, sentence, function },
#include "agent/ctl.def"
#undef CTL_DEF
};

int
ctl_complain(const struct ctl *c, int status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fprintf(stderr, "mtrelayctl: %s\n", text);
	if (c->is_json)
		ctl_print_json(json_pack("{s:b, s:s}", "ok", false, "error", text));
	return status;
}

int
ctl_fail(const struct ctl *c, const struct err *e)
{
	switch (e->rc) {
	case RC_CONFIG:
		return ctl_complain(c, EX_CONFIG, "%s", e->text);
	case RC_LOST:
	case RC_UNSURE:
	case RC_AGAIN:
		return ctl_complain(c, EX_UNAVAILABLE, "%s", e->text);
	case RC_OK:
	case RC_DATA:
	case RC_NOMEM:
	case RC_BUG:
		break;
	}
	return ctl_complain(c, CTL_FAIL, "%s", e->text);
}

/* A right that this login lacks, in the words of each database. */
static bool
lacks_right(const struct err *e)
{
	static const int mysql_codes[] = { 1044, 1142, 1143, 1227, 1370 };
	size_t i;

	for (i = 0; i < sizeof mysql_codes / sizeof *mysql_codes; i++)
		if (e->native == mysql_codes[i])
			return true;
	return strcmp(e->sqlstate, "42501") == 0 ||
	       strstr(e->text, "readonly database") != NULL; /* SQLite */
}

int
ctl_fail_as(const struct ctl *c, const struct err *e, const char *who)
{
	if (!lacks_right(e))
		return ctl_fail(c, e);
	return ctl_complain(c, EX_NOPERM,
			    "%s. This needs %s: name that login by --user and --password-file, "
			    "before the command",
			    e->text, who);
}

void
ctl_print_json(json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);

	puts(text != NULL ? text : "{}");
	free(text);
	json_decref(root);
}

int
ctl_need_conf(struct ctl *c)
{
	struct conf_problems p = { NULL, 0 };
	enum rc rc;

	if (c->conf != NULL)
		return 0;
	if (access(c->conf_path, R_OK) != 0 && errno == EACCES) {
		return ctl_complain(c, EX_NOPERM,
				    "%s may not be read by this user; run it as root or as the "
				    "user of mtrelayd",
				    c->conf_path);
	}
	rc = conf_load(c->conf_path, &c->conf, &p);
	if (rc != RC_OK)
		conf_problems_print(stderr, &p);
	conf_problems_free(&p);
	return rc == RC_OK ? 0 : EX_CONFIG;
}

void
ctl_use_login(struct ctl *c)
{
	if (c->user != NULL)
		c->conf->database.user = c->user;
	if (c->password_file != NULL)
		c->conf->database.password_file = c->password_file;
}

int
ctl_need_setup(struct ctl *c)
{
	struct err e;
	enum rc rc;
	int status;

	status = ctl_need_conf(c);
	if (status != 0 || c->has_setup)
		return status;
	ctl_use_login(c);
	rc = store_setup(&c->setup, c->conf, &e);
	if (rc != RC_OK)
		return ctl_fail(c, &e);
	c->has_setup = true;
	return 0;
}

int
ctl_need_store(struct ctl *c, struct store **out)
{
	struct err e;
	int status;

	*out = NULL;
	status = ctl_need_setup(c);
	if (status != 0)
		return status;
	if (store_open(&c->setup.cfg, out, &e) != RC_OK)
		return ctl_fail(c, &e);
	return 0;
}

static void
print_help(FILE *f)
{
	size_t i;

	fprintf(f,
		"usage: mtrelayctl [options] command [arguments]\n\n"
		"  -c, --config FILE         configuration (default %s)\n"
		"  -j, --json                one JSON object instead of text\n"
		"      --socket PATH         control socket of the agent\n"
		"      --user NAME           database login other than the agent's\n"
		"      --password-file FILE  and its password\n"
		"      --version, -h, --help\n\n",
		MTRELAY_CONF_FILE);
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(f, "  %-9s %-33s %s\n", commands[i].name, commands[i].args,
			commands[i].sentence);
	fprintf(f, "\nSee mtrelayctl(8).\n");
}

enum { OPT_SOCKET = 256, OPT_USER, OPT_PASSWORD, OPT_VERSION };

/* --json may also stand behind the command; behind "--" it is text. */
static void
take_json(struct ctl *c, int *argc, char **argv)
{
	int from, to = 1;

	for (from = 1; from < *argc && strcmp(argv[from], "--") != 0; from++) {
		if (strcmp(argv[from], "--json") == 0 || strcmp(argv[from], "-j") == 0)
			c->is_json = true;
		else
			argv[to++] = argv[from];
	}
	while (from < *argc)
		argv[to++] = argv[from++];
	argv[to] = NULL;
	*argc = to;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "user", required_argument, NULL, OPT_USER },
		{ "password-file", required_argument, NULL, OPT_PASSWORD },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl c = { .conf_path = MTRELAY_CONF_FILE };
	int opt, status = EX_USAGE;
	size_t i;

	/* "+": options behind the command are the command's. */
	while ((opt = getopt_long(argc, argv, "+c:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			c.conf_path = optarg;
			break;
		case 'j':
			c.is_json = true;
			break;
		case OPT_SOCKET:
			c.socket = optarg;
			break;
		case OPT_USER:
			c.user = optarg;
			break;
		case OPT_PASSWORD:
			c.password_file = optarg;
			break;
		case OPT_VERSION:
			printf("mtrelayctl %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			return EX_USAGE;
		}
	}
	if (optind >= argc) {
		print_help(stderr);
		return EX_USAGE;
	}
	log_set_level(LOG_LEVEL_ERROR);
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, argv[optind]) == 0)
			break;
	if (i == sizeof commands / sizeof *commands) {
		status = ctl_complain(&c, EX_USAGE,
				      "there is no command \"%s\"; mtrelayctl --help lists them",
				      argv[optind]);
	} else {
		argc -= optind;
		argv += optind;
		take_json(&c, &argc, argv);
		optind = 0; /* glibc: start over for the command's own options */
		status = commands[i].run(&c, argc, argv);
	}
	if (c.has_setup)
		store_setup_free(&c.setup);
	conf_unref(c.conf);
	if (fflush(stdout) != 0 || ferror(stdout))
		return EX_IOERR;
	return status;
}
