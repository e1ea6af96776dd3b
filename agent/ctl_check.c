/* ctl_check.c - mtrelayctl check: one line for each thing that mtrelayd needs, with the
 * remedy. Sends no message.
 *
 * What mtrelayd does at its start is looked at by the same functions, so that both say the same
 * sentence. Started by root, everything is looked at as the user that mtrelayd becomes: files in a
 * child process, and from the connection to the database on this process is that user. */
#include "config.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "agent/ctl.h"

/* statfs(2): what a lock or a sync cannot be relied upon, and what a reboot empties. */
static const struct {
	unsigned long magic;
	int level;
	const char *text;
} folders[] = {
	{ 0x6969, CTL_FAIL, "is on NFS" },
	{ 0x517B, CTL_FAIL, "is on a Windows share (SMB)" },
	{ 0xFE534D42, CTL_FAIL, "is on a Windows share (SMB)" },
	{ 0xFF534D42, CTL_FAIL, "is on a Windows share (CIFS)" },
	{ 0x01021994, CTL_WARN, "is in memory (tmpfs), a reboot loses what it holds" },
};

/* ---- files ---- */

static void
say_problems(struct ctl_report *r, FILE *f)
{
	char line[1024];

	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		ctl_report_line(r, CTL_FAIL, "files", "%s", line);
	}
}

/* For good. */
static bool
become(const struct passwd *pw)
{
	return initgroups(pw->pw_name, pw->pw_gid) == 0 && setgid(pw->pw_gid) == 0 &&
	       setuid(pw->pw_uid) == 0;
}

/* Runs in the child: never returns. */
static void
look_as(const struct conf *conf, const struct passwd *pw, int fd)
{
	struct conf_problems p = { NULL, 0 };
	FILE *f = fdopen(fd, "w");

	if (f == NULL)
		_exit(CTL_FAIL);
	if (pw != NULL && !become(pw)) {
		fprintf(f, "cannot become user %s (%s)\n", pw->pw_name, strerror(errno));
	} else if (conf_check_files(conf, &p) != RC_OK) {
		conf_problems_print(f, &p);
		conf_problems_free(&p);
	}
	fflush(f);
	_exit(0);
}

/* pw: NULL when this process stays who it is. */
static void
check_files(struct ctl_report *r, const struct conf *conf, const struct passwd *pw)
{
	unsigned before = r->count[CTL_FAIL];
	int fds[2];
	FILE *f;
	pid_t child, got;
	int ended = 0;

	fflush(stdout);
	if (pipe(fds) != 0 || (child = fork()) < 0) {
		ctl_report_line(r, CTL_FAIL, "files", "cannot be looked at (%s)", strerror(errno));
		return;
	}
	if (child == 0) {
		close(fds[0]);
		look_as(conf, pw, fds[1]);
	}
	close(fds[1]);
	f = fdopen(fds[0], "r");
	if (f != NULL) {
		say_problems(r, f);
		fclose(f);
	} else {
		close(fds[0]);
	}
	while ((got = waitpid(child, &ended, 0)) < 0 && errno == EINTR)
		;
	if (f == NULL || got != child || ended != 0)
		ctl_report_line(r, CTL_FAIL, "files", "could not all be looked at");
	if (r->count[CTL_FAIL] == before)
		ctl_report_line(r, CTL_OK, "files",
				"those that the configuration names can be used by %s",
				pw != NULL ? pw->pw_name : "this user");
}

static void
check_state_dir(struct ctl_report *r, const struct conf *conf)
{
	const char *dir = conf->agent.state_dir;
	int64_t want = (conf->limits.journal_keep + 1) * conf->limits.journal_segment_bytes;
	struct statfs fs;
	struct statvfs space;

	if (statfs(dir, &fs) != 0) {
		if (errno == ENOENT)
			ctl_report_line(
				r, CTL_OK, "state_dir",
				"%s is not there yet; mtrelayd makes it when it starts as root",
				dir);
		else
			ctl_report_line(r, CTL_FAIL, "state_dir", "%s cannot be looked at (%s)",
					dir, strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		if ((unsigned long)fs.f_type != folders[i].magic)
			continue;
		ctl_report_line(r, folders[i].level, "state_dir",
				"%s %s: set agent.state_dir to a folder on a local disk", dir,
				folders[i].text);
		return;
	}
	if (statvfs(dir, &space) == 0 && (uint64_t)space.f_bavail * space.f_frsize < (uint64_t)want)
		ctl_report_line(
			r, CTL_WARN, "state_dir",
			"%s has less room left than the journal may take (%lld MiB): free some",
			dir, (long long)(want >> 20));
	else
		ctl_report_line(r, CTL_OK, "state_dir", "%s is local and has room", dir);
}

/* False: there is no such user, and the line is said. */
static bool
find_user(struct ctl_report *r, const struct conf *conf, const struct passwd **pw)
{
	*pw = NULL;
	if (geteuid() != 0)
		return true;
	*pw = getpwnam(conf->agent.user);
	if (*pw == NULL)
		ctl_report_line(r, CTL_FAIL, "user",
				"there is no user %s, that mtrelayd is to become: useradd "
				"--system %s, or set agent.user",
				conf->agent.user, conf->agent.user);
	return *pw != NULL;
}

/* ---- database ---- */

static void
check_facts(struct ctl_report *r, struct ctl *c)
{
	struct store_facts f;
	struct store *st = NULL;
	struct err e;
	enum rc rc;

	rc = store_open(&c->setup.cfg, &st, &e);
	if (rc == RC_OK)
		rc = store_facts_read(st, &f, &e);
	store_close(st);
	if (rc != RC_OK) {
		ctl_report_line(r, CTL_FAIL, "durability", "cannot be read: %s", e.text);
		return;
	}
	switch (f.durability) {
	case DURABLE:
		ctl_report_line(r, CTL_OK, "durability", "%s", f.durability_text);
		break;
	case DURABLE_RISKY:
		ctl_report_line(r, CTL_WARN, "durability", "%s", f.durability_text);
		break;
	case DURABLE_NOT:
		if (c->conf->database.accept_weak_durability)
			ctl_report_line(r, CTL_WARN, "durability",
					"%s (accepted by database.accept_weak_durability)",
					f.durability_text);
		else
			ctl_report_line(r, CTL_FAIL, "durability",
					"%s; until then mtrelayd refuses to send, unless "
					"database.accept_weak_durability is set",
					f.durability_text);
		break;
	}
	if (f.is_frozen)
		ctl_report_line(r, CTL_FAIL, "freeze",
				"nothing is sent (%s): see what the agents' logs say, then "
				"mtrelayctl unfreeze",
				f.freeze_reason);
}

static void
check_database(struct ctl_report *r, struct ctl *c)
{
	struct schema_db db = { .prefix = c->conf->database.prefix };
	struct err e;
	unsigned fails = 0;

	db.driver = c->setup.cfg.driver;
	if (db.driver->open(&c->setup.cfg.params, &db.session, &e) != RC_OK) {
		ctl_report_line(r, CTL_FAIL, "database", "%s", e.text);
		return;
	}
	db.dialect = c->conf->database.dialect != NULL ? c->conf->database.dialect
						       : db.driver->dialect(db.session);
	if (*db.dialect == '\0') {
		ctl_report_line(r, CTL_FAIL, "database",
				"%s is none that mtrelay knows: set database.dialect to mysql, "
				"postgresql or sqlite",
				db.driver->product(db.session));
		goto out;
	}
	ctl_report_line(r, CTL_OK, "database", "%s answers (dialect %s)",
			db.driver->product(db.session), db.dialect);
	if (schema_check(&db, ctl_report_finding, r, &fails, &e) != RC_OK)
		ctl_report_line(r, CTL_FAIL, "schema", "%s", e.text);
	check_facts(r, c);
out:
	db.driver->close(db.session);
}

/* Reads the password, which an operator may have named for this call alone. False: the line is
 * said. */
static bool
set_up_database(struct ctl_report *r, struct ctl *c)
{
	struct err e;

	ctl_use_login(c);
	if (store_setup(&c->setup, c->conf, &e) != RC_OK) {
		ctl_report_line(r, CTL_FAIL, "database", "%s", e.text);
		return false;
	}
	c->has_setup = true;
	return true;
}

/* ---- channels ---- */

static void
check_channel(struct ctl_report *r, const struct conf_channel *cf)
{
	const struct channel_driver *driver = channel_driver_find(cf->driver);
	char thing[64], sentence[256] = "";
	struct err e = { .rc = RC_OK };
	enum rc rc;

	snprintf(thing, sizeof thing, "channel %s", cf->name);
	rc = driver->check(cf, sentence, sizeof sentence, &e);
	ctl_report_line(r, rc == RC_OK ? CTL_OK : CTL_FAIL, thing, "%s",
			rc == RC_OK ? sentence : e.text);
}

/* False: the lines say why. */
static bool
read_conf(struct ctl_report *r, struct ctl *c)
{
	struct conf_problems p = { NULL, 0 };

	if (access(c->conf_path, R_OK) != 0 && errno == EACCES) {
		ctl_report_line(r, CTL_FAIL, "configuration",
				"%s may not be read by this user; run it as root or as the user of "
				"mtrelayd",
				c->conf_path);
		return false;
	}
	if (conf_load(c->conf_path, &c->conf, &p) == RC_OK)
		ctl_report_line(r, CTL_OK, "configuration", "%s is right", c->conf_path);
	for (size_t i = 0; i < p.n; i++)
		ctl_report_line(r, CTL_FAIL, "configuration", "%s:%d: %s", p.v[i].file, p.v[i].line,
				p.v[i].text);
	conf_problems_free(&p);
	return c->conf != NULL;
}

int
ctl_check(struct ctl *c, int argc, char **argv)
{
	struct ctl_report r;
	const struct passwd *pw;
	bool has_database;

	(void)argv;
	if (argc > 1)
		return ctl_complain(c, EX_USAGE, "usage: check [--json]");
	ctl_report_begin(&r, c);
	if (read_conf(&r, c)) {
		if (find_user(&r, c->conf, &pw))
			check_files(&r, c->conf, pw);
		check_state_dir(&r, c->conf);
		has_database = set_up_database(&r, c);
		if (pw != NULL && !become(pw))
			ctl_report_line(&r, CTL_FAIL, "user", "cannot become %s (%s)", pw->pw_name,
					strerror(errno));
		if (has_database)
			check_database(&r, c);
		for (size_t i = 0; i < c->conf->channel_count; i++)
			check_channel(&r, &c->conf->channels[i]);
	}
	return ctl_report_end(&r);
}
