/* control.c - see control.h.
 *
 * DIAGNOSTICS (events): control.accept (a caller cannot be served for want of a descriptor). */
#include "config.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/control.h"
#include "agent/log.h"
#include "agent/relay.h"
#include "agent/text.h"

#define REQUEST_MAX 512
#define WORDS_MAX 4
#define CONNECTIONS_MAX 32
#define TIMEOUT_S 5
#define ACCEPT_PAUSE_S 1

struct control {
	struct relay *relay;
	struct evconnlistener *listener;
	struct event *again; /* listens again after a pause */
	struct connection *connections;
	unsigned count;
	char path[108];
};

struct connection {
	struct connection *next;
	struct control *control;
	struct bufferevent *bev;
	bool answered;
};

/* ---- the words ---- */

/* A sentence may quote what somebody typed or what stands in a file: JSON takes UTF-8 only. */
static json_t *
refused(const char *text)
{
	char clean[2048];
	size_t bad;

	(void)text_copy(clean, sizeof clean, text);
	while (!text_utf8_check(clean, strlen(clean), &bad))
		clean[bad] = '?';
	return json_pack("{s:b, s:s}", "ok", false, "error", clean);
}

static json_t *
ok_with(json_t *body)
{
	json_object_set_new(body, "ok", json_true());
	return body;
}

static json_t *
do_status(struct relay *r, const char *arg)
{
	(void)arg;
	return ok_with(relay_status(r));
}

static json_t *
do_stats(struct relay *r, const char *arg)
{
	json_t *root = json_object();

	(void)arg;
	json_object_set_new(root, "stats", relay_stats(r));
	return ok_with(root);
}

static json_t *
set_pause(struct relay *r, const char *channel, bool is_paused)
{
	struct err e;

	if (relay_pause(r, channel, is_paused, &e) != RC_OK)
		return refused(e.text);
	return ok_with(json_object());
}

static json_t *
do_pause(struct relay *r, const char *arg)
{
	return set_pause(r, arg, true);
}

static json_t *
do_resume(struct relay *r, const char *arg)
{
	return set_pause(r, arg, false);
}

static json_t *
do_drain(struct relay *r, const char *arg)
{
	(void)arg;
	relay_drain(r);
	return ok_with(json_object());
}

static json_t *
do_reload(struct relay *r, const char *arg)
{
	char text[2048];

	(void)arg;
	if (!relay_reload(r, text, sizeof text))
		return refused(text);
	return ok_with(json_object());
}

static json_t *
do_log(struct relay *r, const char *arg)
{
	enum log_level level;

	(void)r;
	if (arg == NULL || !log_level_parse(arg, &level))
		return refused("log takes one of error, warn, info, debug");
	log_set_level(level);
	return ok_with(json_object());
}

static const struct word {
	const char *name, *args;
	bool changes;
	json_t *(*run)(struct relay *r, const char *arg);
} words[] = {
#define CONTROL_DEF(word, args, changes, sentence) { #word, args, changes, do_##word },
#include "agent/control.def"
#undef CONTROL_DEF
};

static json_t *
answer(struct relay *r, char *line)
{
	char *word[WORDS_MAX + 1] = { NULL }, *at = line;
	size_t n = 0, i;

	while (n <= WORDS_MAX && *(at += strspn(at, " \t\r")) != '\0') {
		word[n++] = at;
		at += strcspn(at, " \t\r");
		if (*at != '\0')
			*at++ = '\0';
	}
	if (n == 0)
		return refused("the request is empty");
	for (i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(words[i].name, word[0]) != 0)
			continue;
		if (n > (words[i].args[0] == '\0' ? 1u : 2u))
			return refused("too many words in the request");
		if (words[i].changes)
			log_event(LOG_LEVEL_INFO, "operator.command", "command=%s argument=%s",
				  word[0], word[1] != NULL ? word[1] : "");
		return words[i].run(r, word[1]);
	}
	return refused("the agent does not know this command; are mtrelayctl and mtrelayd of the "
		       "same version?");
}

/* ---- connections ---- */

static void
connection_end(struct connection *c)
{
	c->control->count--;
	bufferevent_free(c->bev);
	free(c);
}

static void
connection_free(struct connection *c)
{
	struct connection **p;

	for (p = &c->control->connections; *p != NULL && *p != c; p = &(*p)->next)
		;
	if (*p != NULL)
		*p = c->next;
	connection_end(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	connection_free(arg);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	if (c->answered && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		connection_free(c);
}

static void
on_request(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	json_t *root;
	char *line, *text;
	size_t n;

	if (c->answered)
		return;
	line = evbuffer_readln(in, &n, EVBUFFER_EOL_LF);
	if (line == NULL && evbuffer_get_length(in) < REQUEST_MAX)
		return;
	root = line == NULL || n >= REQUEST_MAX || strlen(line) != n
		       ? refused("the request is no line of text")
		       : answer(c->control->relay, line);
	free(line);
	text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(root);
	c->answered = true;
	bufferevent_disable(bev, EV_READ);
	evbuffer_add_printf(bufferevent_get_output(bev), "%s\n",
			    text != NULL ? text : "{\"ok\":false,\"error\":\"out of memory\"}");
	free(text);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	const struct timeval limit = { TIMEOUT_S, 0 };
	struct control *ctl = arg;
	struct connection *c;

	(void)sa;
	(void)len;
	if (ctl->count >= CONNECTIONS_MAX || (c = calloc(1, sizeof *c)) == NULL) {
		close(fd);
		return;
	}
	c->bev = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		close(fd);
		free(c);
		return;
	}
	c->control = ctl;
	c->next = ctl->connections;
	ctl->connections = c;
	ctl->count++;
	bufferevent_setwatermark(c->bev, EV_READ, 0, REQUEST_MAX);
	bufferevent_set_timeouts(c->bev, &limit, &limit);
	bufferevent_setcb(c->bev, on_request, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* Whoever waits stays readable: without a pause the loop would do nothing else. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	const struct timeval pause = { ACCEPT_PAUSE_S, 0 };
	struct control *ctl = arg;
	int why = EVUTIL_SOCKET_ERROR();

	log_event(LOG_LEVEL_WARN, "control.accept", "text=\"mtrelayctl cannot be answered: %s\"",
		  strerror(why));
	evconnlistener_disable(l);
	event_add(ctl->again, &pause);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(ctl->listener);
}

/* ---- the socket ---- */

static bool
somebody_listens(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

enum rc
control_open(struct relay *r, struct event_base *base, const char *path, struct control **out,
	     struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	struct stat st;
	mode_t old;

	*out = NULL;
	if (strlen(path) >= sizeof sa.sun_path)
		return err_set(e, RC_CONFIG, 0, "control.open",
			       "agent.control_socket %s is too long for a socket", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return err_set(e, RC_CONFIG, 0, "control.open",
				       "agent.control_socket %s exists and is no socket", path);
		if (somebody_listens(&sa))
			return err_set(e, RC_CONFIG, 0, "control.open",
				       "agent.control_socket %s belongs to another running process",
				       path);
		unlink(path);
	}
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return err_set(e, RC_NOMEM, 0, "control.open", "out of memory");
	c->again = evtimer_new(base, on_again, c);
	if (c->again == NULL) {
		free(c);
		return err_set(e, RC_NOMEM, 0, "control.open", "out of memory");
	}
	c->relay = r;
	memcpy(c->path, path, strlen(path) + 1);
	old = umask(0117);
	c->listener = evconnlistener_new_bind(base, on_accept, c,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 8,
					      (struct sockaddr *)&sa, (int)sizeof sa);
	umask(old);
	if (c->listener == NULL) {
		int why = errno;

		event_free(c->again);
		free(c);
		return err_set(e, RC_CONFIG, why, "control.open",
			       "cannot listen on agent.control_socket %s: %s", path, strerror(why));
	}
	evconnlistener_set_error_cb(c->listener, on_accept_error);
	*out = c;
	return RC_OK;
}

void
control_close(struct control *c)
{
	struct connection *one;

	if (c == NULL)
		return;
	while ((one = c->connections) != NULL) {
		c->connections = one->next;
		connection_end(one);
	}
	evconnlistener_free(c->listener);
	event_free(c->again);
	unlink(c->path);
	free(c);
}
