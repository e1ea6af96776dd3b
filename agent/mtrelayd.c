/* mtrelayd.c - the daemon's outer shell: options, configuration, user, log, pid file, supervisor.
 * relay_run() is the inside.
 *
 * DIAGNOSTICS. Until the log is open every failure is one sentence on stderr. Exit status by
 * sysexits.h: 64 wrong option, 69 or 75 from inside, 75 also when another instance runs, 77 the
 * user could not be changed, 78 configuration. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#ifdef HAVE_MALLOPT
#include <malloc.h>
#endif
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "agent/conf.h"
#include "agent/failpoint.h"
#include "agent/log.h"
#include "agent/relay.h"
#include "agent/supervise.h"
#include "agent/text.h"
#include "drivers/versions.h"

/* The leak checker looks into its own process, which a process that is not dumpable forbids. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_DUMPABLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_DUMPABLE 1
#endif
#endif
#ifndef IS_DUMPABLE
#define IS_DUMPABLE 0
#endif

struct shell {
	char conf_path[PATH_MAX]; /* absolute: a reload comes after chdir() */
	struct conf *conf;
	bool is_daemon;
	bool is_supervised;
	bool is_test;
	bool is_dump;
	int pid_fd;   /* holds the lock; -1: no pid file */
	int ready_fd; /* the parent of a daemon waits for a byte here; -1: none */
};

static int complain(int status, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int
complain(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("mtrelayd: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* ---- options ---- */

static void
print_help(void)
{
	printf("mtrelayd - sends the rows of mt_send and writes their results to mt_result\n\n"
	       "  -c, --config FILE   configuration (default %s)\n"
	       "  -t, --test          check the configuration and the files that it names, and "
	       "exit\n"
	       "      --dump-config   print every effective value with its origin, and exit\n"
	       "      --print-sample  print a commented sample configuration, and exit\n"
	       "  -f, --foreground    stay in the foreground (default)\n"
	       "  -d, --daemon        go into the background, with a pid file\n"
	       "      --supervise     start again what ends by itself (for hosts without systemd)\n"
	       "      --version       print versions, and exit\n"
	       "  -h, --help          print this, and exit\n\n"
	       "Signals: TERM or INT finish and end (twice: end now), HUP reload, USR1 open the "
	       "log anew.\n"
	       "See mtrelayd(8) and mtrelay.conf(5).\n",
	       MTRELAY_CONF_FILE);
}

static void
print_version(void)
{
	char text[512];

	printf("mtrelayd %s\n", PACKAGE_VERSION);
	printf("database drivers: %s\n", db_driver_names());
	printf("channel drivers: %s\n", channel_driver_names());
	printf("libraries: %s\n", versions_text(text, sizeof text));
	if (FAILPOINTS_BUILT)
		printf("failpoints: built in, for tests only\n");
}

enum { OPT_DUMP = 256, OPT_SAMPLE, OPT_MAN, OPT_SUPERVISE, OPT_VERSION };

/* -1: go on; otherwise the exit status. */
static int
read_options(struct shell *sh, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "dump-config", no_argument, NULL, OPT_DUMP },
		{ "print-sample", no_argument, NULL, OPT_SAMPLE },
		{ "print-man", no_argument, NULL,
		  OPT_MAN }, /* for our own build: the option list of mtrelay.conf(5) */
		{ "foreground", no_argument, NULL, 'f' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "supervise", no_argument, NULL, OPT_SUPERVISE },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = MTRELAY_CONF_FILE;
	char cwd[PATH_MAX];
	int c;

	while ((c = getopt_long(argc, argv, "c:tfdh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 't':
			sh->is_test = true;
			break;
		case 'f':
			sh->is_daemon = false;
			break;
		case 'd':
			sh->is_daemon = true;
			break;
		case 'h':
			print_help();
			return EX_OK;
		case OPT_DUMP:
			sh->is_dump = true;
			break;
		case OPT_SAMPLE:
			conf_print_sample(stdout);
			return EX_OK;
		case OPT_MAN:
			conf_print_man(stdout);
			return EX_OK;
		case OPT_SUPERVISE:
			sh->is_supervised = true;
			break;
		case OPT_VERSION:
			print_version();
			return EX_OK;
		default:
			return complain(EX_USAGE, "see mtrelayd --help");
		}
	}
	if (optind < argc)
		return complain(EX_USAGE, "\"%s\" is no option; see mtrelayd --help", argv[optind]);
	if (path[0] == '/' || getcwd(cwd, sizeof cwd) == NULL)
		cwd[0] = '\0';
	if ((size_t)snprintf(sh->conf_path, sizeof sh->conf_path, "%s%s%s", cwd,
			     cwd[0] != '\0' ? "/" : "", path) >= sizeof sh->conf_path)
		return complain(EX_USAGE, "the path of the configuration is too long");
	return -1;
}

/* ---- user and folders ---- */

/* The folder, and its missing parents as root's, when it is not there: /run is empty after a boot.
 */
static int
make_folder(const char *path, const struct passwd *pw)
{
	char part[PATH_MAX];

	if (!text_copy(part, sizeof part, path))
		return complain(EX_CONFIG, "%s: the path is too long", path);
	for (char *p = strchr(part + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		/* Our umask is not for them: the user that we become has to pass through. */
		if (mkdir(part, 0755) == 0)
			(void)chmod(part, 0755);
		else if (errno != EEXIST)
			return complain(EX_CONFIG, "cannot make %s: %s", part, strerror(errno));
		*p = '/';
	}
	if (mkdir(part, 0750) != 0)
		return errno == EEXIST
			       ? -1
			       : complain(EX_CONFIG, "cannot make %s: %s", part, strerror(errno));
	if (chown(part, pw->pw_uid, pw->pw_gid) != 0)
		return complain(EX_CONFIG, "cannot give %s to user %s: %s", part, pw->pw_name,
				strerror(errno));
	return -1;
}

static int
make_folder_of(const char *file, const struct passwd *pw)
{
	const char *slash = strrchr(file, '/');
	char folder[PATH_MAX];

	if (slash == NULL || slash == file ||
	    !text_copy_n(folder, sizeof folder, file, (size_t)(slash - file)))
		return -1;
	return make_folder(folder, pw);
}

static int
make_folders(const struct conf *c, const struct passwd *pw)
{
	int status = make_folder(c->agent.state_dir, pw);

	if (status == -1)
		status = make_folder_of(c->agent.control_socket, pw);
	if (status == -1)
		status = make_folder_of(c->agent.pid_file, pw);
	if (status == -1 && c->log.file != NULL)
		status = make_folder_of(c->log.file, pw);
	return status;
}

/* -1: we are who we should be. Started by somebody else than root we stay who we are. */
static int
become_user(const struct conf *c, bool with_folders)
{
	const struct passwd *pw;
	int status;

	if (geteuid() != 0)
		return -1;
	errno = 0;
	pw = getpwnam(c->agent.user);
	if (pw == NULL)
		return complain(EX_CONFIG,
				"agent.user: there is no user \"%s\"; make it (useradd --system "
				"%s) or name another",
				c->agent.user, c->agent.user);
	status = with_folders ? make_folders(c, pw) : -1;
	if (status != -1 || pw->pw_uid == 0)
		return status;
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
	    setuid(pw->pw_uid) != 0)
		return complain(EX_NOPERM, "cannot become user %s: %s", pw->pw_name,
				strerror(errno));
	if (setuid(0) == 0)
		return complain(EX_NOPERM,
				"user %s could become root again; the agent does not start",
				pw->pw_name);
	return -1;
}

/* Message texts and keys lie in memory: no core files, no reading by others of the same user. */
static void
close_memory(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, IS_DUMPABLE);
}

/* Until somebody handles them: an end that is asked for before the loop runs is an end in order all
 * the same. */
static void
hold_signals(int how)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&set, numbers[i]);
	(void)sigprocmask(how, &set, NULL);
}

/* ---- background ---- */

static int
wait_for_daemon(int fd, pid_t daemon)
{
	char byte;
	ssize_t n;
	int status;

	hold_signals(SIG_UNBLOCK);
	do
		n = read(fd, &byte, 1);
	while (n == -1 && errno == EINTR);
	if (n == 1)
		return EX_OK;
	/* It said why it could not start on the stderr that it shares with us. */
	if (waitpid(daemon, &status, 0) == daemon && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EX_SOFTWARE;
}

/* -1: this is the daemon. */
static int
go_background(struct shell *sh)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return complain(EX_OSERR, "no pipe to be had: %s", strerror(errno));
	pid = fork();
	if (pid == -1)
		return complain(EX_OSERR, "no process to be had: %s", strerror(errno));
	if (pid > 0) {
		close(fds[1]);
		return wait_for_daemon(fds[0], pid);
	}
	close(fds[0]);
	sh->ready_fd = fds[1];
	if (setsid() == -1 || chdir("/") != 0)
		return complain(EX_OSERR, "cannot leave the terminal: %s", strerror(errno));
	return -1;
}

/* Lets the parent go. stderr stays where the log goes there. */
static void
end_background(struct shell *sh)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null != -1) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		if (sh->conf->log.sink != LOG_SINK_STDERR)
			(void)dup2(null, STDERR_FILENO);
		close(null);
	}
	if (write(sh->ready_fd, "", 1) != 1)
		log_event(LOG_LEVEL_WARN, "daemon.parent",
			  "text=\"the process that started us is gone\"");
	close(sh->ready_fd);
	sh->ready_fd = -1;
}

/* The lock, not the number, says that we run: it ends with the last of our processes, however that
 * ends. */
static int
write_pid_file(struct shell *sh)
{
	const char *path = sh->conf->agent.pid_file;
	char text[32] = "";
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd == -1)
		return complain(EX_CONFIG, "agent.pid_file: cannot open %s: %s", path,
				strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (read(fd, text, sizeof text - 1) < 0)
			text[0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		close(fd);
		return complain(EX_TEMPFAIL,
				"the agent runs already as process %s, says %s; stop it first",
				text, path);
	}
	snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		close(fd);
		return complain(EX_CONFIG, "agent.pid_file: cannot write %s: %s", path,
				strerror(errno));
	}
	sh->pid_fd = fd;
	return -1;
}

/* ---- life ---- */

static int
run_relay(void *ctx)
{
	struct shell *sh = ctx;

	return relay_run(sh->conf_path, sh->conf);
}

/* Reads the configuration anew, as a service manager's start would: it may have been reloaded
 * since. */
static int
run_supervised(void *ctx)
{
	struct shell *sh = ctx;
	struct conf_problems problems = { 0 };
	struct conf *fresh;
	bool is_good;

	is_good = conf_load(sh->conf_path, &fresh, &problems) == RC_OK &&
		  conf_check_files(fresh, &problems) == RC_OK;
	for (size_t i = 0; i < problems.n; i++)
		log_event(LOG_LEVEL_ERROR, "conf.problem", "file=%s line=%d text=\"%s\"",
			  problems.v[i].file, problems.v[i].line, problems.v[i].text);
	conf_problems_free(&problems);
	if (is_good) {
		conf_unref(sh->conf);
		sh->conf = conf_ref(fresh);
	}
	conf_unref(fresh);
	return is_good ? run_relay(sh) : EX_CONFIG;
}

static int
open_log(struct shell *sh)
{
	struct err e = { 0 };
	const struct conf_log *log = &sh->conf->log;

	if (log_open(log->sink, log->file, log->level, &e) != RC_OK)
		return complain(EX_CONFIG, "%s", e.text);
	return -1;
}

static int
live(struct shell *sh)
{
	const struct supervise supervise = {
		.child = run_supervised,
		.ctx = sh,
		.pause_min_ms = 1000,
		.pause_max_ms = 60000,
		.good_run_ms = 60000,
		.stuck_ms = sh->conf->times.stuck_limit_ms,
	};
	int status = -1;

	if (sh->is_daemon)
		status = go_background(sh);
	if (status == -1)
		status = open_log(sh);
	if (status == -1 && (sh->is_daemon || sh->is_supervised))
		status = write_pid_file(sh);
	if (status != -1)
		return status;
	if (sh->ready_fd != -1)
		end_background(sh);
	(void)signal(SIGPIPE, SIG_IGN);
	status = sh->is_supervised ? supervise_run(&supervise) : run_relay(sh);
	if (sh->pid_fd != -1)
		(void)unlink(sh->conf->agent.pid_file);
	log_close();
	return status;
}

static int
shell_main(struct shell *sh)
{
	struct conf_problems problems = { 0 };
	int status = -1;

	if (sh->is_daemon)
		conf_set_background();
	if (conf_load(sh->conf_path, &sh->conf, &problems) == RC_OK && sh->conf != NULL &&
	    !sh->is_dump) {
		status = become_user(sh->conf, !sh->is_test);
		close_memory();
		if (status == -1 && conf_check_files(sh->conf, &problems) != RC_OK)
			status = EX_CONFIG;
	}
	conf_problems_print(stderr, &problems);
	conf_problems_free(&problems);
	if (sh->conf == NULL)
		return EX_CONFIG;
	if (sh->is_dump)
		conf_dump(sh->conf, stdout);
	else if (status == -1 && sh->is_test)
		printf("%s is right\n", sh->conf_path);
	if (status != -1 || sh->is_dump || sh->is_test)
		return status != -1 ? status : EX_OK;
	return live(sh);
}

/* Requests, answers and batches come and go in pieces of 64 KiB and more. By default glibc raises
 * the size from which it maps by itself with the first such piece that is freed, and keeps an arena
 * a thread: both hold memory that nobody uses. */
static void
bound_heap(void)
{
#ifdef HAVE_MALLOPT
	(void)mallopt(M_ARENA_MAX, 2);
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
#endif
}

int
main(int argc, char **argv)
{
	struct shell sh = { .pid_fd = -1, .ready_fd = -1 };
	int status;

	umask(027);
	bound_heap();
	status = read_options(&sh, argc, argv);
	if (status == -1) {
		hold_signals(SIG_BLOCK);
		status = shell_main(&sh);
	}
	conf_unref(sh.conf);
	return status;
}
