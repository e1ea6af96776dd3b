/* ctl_agent.c - the commands that ask the running agent over its control socket. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>
#include "agent/ctl.h"

#define ANSWER_MAX (1u << 20)
#define WAIT_S 10
#define LABEL 10 /* columns of the word in front of a line of status */
#define WIDTH 100

static const char *
socket_path(struct ctl *c, int *status)
{
	*status = 0;
	if (c->socket != NULL)
		return c->socket;
	*status = ctl_need_conf(c);
	return *status == 0 ? c->conf->agent.control_socket : NULL;
}

/* Sends one line and reads one object. NULL: *status is what to end with, the sentence is printed.
 */
static json_t *
ask(struct ctl *c, int argc, char **argv, int *status)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval limit = { WAIT_S, 0 };
	json_error_t why;
	json_t *root = NULL;
	const char *path;
	char line[512], *answer;
	size_t n = 0;
	ssize_t got = 0;
	int fd, i, used = 0;

	path = socket_path(c, status);
	if (path == NULL)
		return NULL;
	for (i = 0; i < argc && used < (int)sizeof line - 1; i++)
		used += snprintf(line + used, sizeof line - (size_t)used, "%s%s", i == 0 ? "" : " ",
				 argv[i]);
	if (used >= (int)sizeof line - 1) {
		*status = ctl_complain(c, EX_USAGE, "the arguments are too long");
		return NULL;
	}
	if (strlen(path) >= sizeof sa.sun_path || strchr(line, '\n') != NULL) {
		*status = ctl_complain(c, EX_USAGE, "socket path or argument cannot be used");
		return NULL;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	line[used] = '\n';
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	answer = malloc(ANSWER_MAX);
	if (fd < 0 || answer == NULL || connect(fd, (struct sockaddr *)&sa, sizeof sa) != 0) {
		*status =
			errno == EACCES
				? ctl_complain(c, EX_NOPERM,
					       "%s may not be used by this user; run mtrelayctl as "
					       "root or as a member of mtrelayd's group",
					       path)
				: ctl_complain(c, EX_UNAVAILABLE,
					       "no agent answers at %s (%s); is mtrelayd running?",
					       path, strerror(errno));
		goto out;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (send(fd, line, (size_t)used + 1, MSG_NOSIGNAL) == used + 1)
		while (n < ANSWER_MAX - 1 &&
		       (got = recv(fd, answer + n, ANSWER_MAX - 1 - n, 0)) > 0)
			n += (size_t)got;
	root = json_loadb(answer, n, 0, &why);
	if (root == NULL) {
		*status = ctl_complain(c, EX_UNAVAILABLE,
				       "the agent at %s gave no answer within %d s", path, WAIT_S);
		goto out;
	}
	if (!json_is_true(json_object_get(root, "ok"))) {
		*status = ctl_complain(c, CTL_FAIL, "%s",
				       json_string_value(json_object_get(root, "error")) != NULL
					       ? json_string_value(json_object_get(root, "error"))
					       : "refused");
		json_decref(root);
		root = NULL;
	}
out:
	if (fd >= 0)
		close(fd);
	free(answer);
	return root;
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static long long
number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static bool
is_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* Healthy, or what a monitor should wake somebody for. */
static int
judge(const json_t *root)
{
	const json_t *channels = json_object_get(json_object_get(root, "pipeline"), "channels"),
		     *ch;
	size_t i;
	int status = CTL_OK;

	json_array_foreach(channels, i, ch)
	{
		if (strcmp(text_of(ch, "state"), "REFUSED") == 0 ||
		    strcmp(text_of(ch, "state"), "CLOSED") == 0)
			return CTL_FAIL;
		if (strcmp(text_of(ch, "state"), "UP") != 0 &&
		    strcmp(text_of(ch, "state"), "STARTING") != 0)
			status = CTL_WARN;
	}
	if (is_true(root, "is_frozen") || !is_true(root, "database_ok"))
		return CTL_FAIL;
	return number_of(root, "held") > 0 || is_true(root, "is_draining") ? CTL_WARN : status;
}

/* Words in lines of at most WIDTH columns, the first behind a label that is printed already. */
static void
print_words(const char *text)
{
	size_t used = LABEL;

	for (const char *p = text + strspn(text, " "); *p != '\0'; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (used > LABEL && used + 1 + n > WIDTH) {
			printf("\n%*s", LABEL, "");
			used = LABEL;
		}
		used += (size_t)printf("%s%.*s", used > LABEL ? " " : "", (int)n, p);
		p += n;
	}
	printf("\n");
}

static void
print_lanes(const json_t *lanes)
{
	const json_t *lane;
	char span[32];
	size_t i;

	printf("%-*s", LABEL, "lanes");
	json_array_foreach(lanes, i, lane)
	{
		long long busy_ms = number_of(lane, "busy_ms");

		printf("%s%s %s%s", i > 0 ? ", " : "", text_of(lane, "name"),
		       busy_ms == 0 ? "idle" : "in one call for ",
		       busy_ms == 0 ? "" : ctl_span(span, sizeof span, busy_ms));
	}
	printf("\n");
}

static void
print_status(const json_t *root)
{
	const json_t *p = json_object_get(root, "pipeline"), *ch;
	long long due_ms = number_of(root, "oldest_due_ms");
	char span[32];
	size_t i;

	printf("%-*s%s, version %s, process %lld, up for %s, start no. %lld%s\n", LABEL, "agent",
	       text_of(root, "agent"), text_of(root, "version"), number_of(root, "pid"),
	       ctl_span(span, sizeof span, number_of(root, "up_s") * 1000),
	       number_of(root, "incarnation"),
	       is_true(root, "is_draining") ? ", DRAINING: nothing more is claimed" : "");
	printf("%-*s%s, %s%s\n", LABEL, "database", text_of(root, "dialect"),
	       is_true(root, "database_ok") ? "answers" : "NOT REACHED",
	       is_true(root, "is_frozen") ? ", FROZEN: see the log, then mtrelayctl unfreeze" : "");
	printf("%-*s%lld waiting, %lld unknown, %lld held", LABEL, "rows",
	       number_of(root, "waiting"), number_of(root, "unknown"), number_of(root, "held"));
	if (due_ms >= 1000)
		printf(", the oldest due for %s", ctl_span(span, sizeof span, due_ms));
	printf("\n%-*s%lld messages of at most %lld, %lld to settle, %lld reports, %lld received\n",
	       LABEL, "memory", number_of(p, "in_memory"), number_of(p, "in_memory_most"),
	       number_of(p, "settle_waiting"), number_of(p, "reports_waiting"),
	       number_of(p, "received_waiting"));
	json_array_foreach(json_object_get(p, "channels"), i, ch)
	{
		printf("%-*s%s is %s, %lld under way, %lld to be sent, room for %lld\n", LABEL,
		       "channel", text_of(ch, "name"), text_of(ch, "state"), number_of(ch, "sent"),
		       number_of(ch, "ready"), number_of(ch, "room"));
		if (*text_of(ch, "facts") != '\0') {
			printf("%*s", LABEL, "");
			print_words(text_of(ch, "facts"));
		}
	}
	print_lanes(json_object_get(root, "lanes"));
	if (*text_of(root, "last_error") != '\0') {
		printf("%-*s", LABEL, "trouble");
		print_words(text_of(root, "last_error"));
	}
}

int
ctl_status(struct ctl *c, int argc, char **argv)
{
	json_t *root;
	int status;

	root = ask(c, argc, argv, &status);
	if (root == NULL)
		return status;
	status = judge(root);
	if (c->is_json) {
		ctl_print_json(root);
		return status;
	}
	print_status(root);
	json_decref(root);
	return status;
}

int
ctl_stats(struct ctl *c, int argc, char **argv)
{
	const char *name;
	json_t *root, *value;
	int status;

	root = ask(c, argc, argv, &status);
	if (root == NULL)
		return status;
	if (c->is_json) {
		ctl_print_json(root);
		return 0;
	}
	json_object_foreach(json_object_get(root, "stats"), name, value)
		printf("%-24s %lld\n", name, (long long)json_integer_value(value));
	json_decref(root);
	return 0;
}

int
ctl_words(struct ctl *c, int argc, char **argv)
{
	static const char *const done[][2] = {
		{ "pause", "paused: what is under way is finished, nothing more is claimed" },
		{ "resume", "the pause is over" },
		{ "drain", "the agent finishes what is under way and ends" },
		{ "reload", "the configuration was taken over" },
		{ "log", "the log has this level until the next start or reload" },
	};
	json_t *root;
	int status;

	root = ask(c, argc, argv, &status);
	if (root == NULL)
		return status;
	if (c->is_json) {
		ctl_print_json(root);
		return 0;
	}
	json_decref(root);
	for (size_t i = 0; i < sizeof done / sizeof *done; i++)
		if (strcmp(argv[0], done[i][0]) == 0)
			printf("%s\n", done[i][1]);
	return 0;
}
