#include "config.h"
#include "drivers/channel/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "agent/clock.h"
#include "agent/conf.h"
#include "agent/log.h"
#include "drivers/channel/http_setup.h"

#define IDLE_CALLS_MAX 16
#define KEEP_BUFFER_BYTES (64 * 1024)
/* Beyond connect_timeout, for requests that wait for a connection of another one. */
#define START_MARGIN_MS 2000
#define RETRY_AFTER_MAX_MS INT64_C(3600000)
/* A timer that comes later than this was not waited for by a loop that slept: the answer may lie in
 * the socket, in more pieces than one turn reads. */
#define OVERSLEPT_MS 100
#define OVERSLEPT_GRACE_MS 1000

struct watch {
	struct http *h;
	struct event *ev;
	curl_socket_t fd;
};

struct http_call {
	struct http *h;
	struct http_call *next;
	struct http_call *prev;
	CURL *easy;
	struct event *timer;
	/* the request */
	const char *body;
	size_t body_n;
	bool (*leaving)(void *arg);
	void (*done)(void *arg, const struct http_answer *a);
	void *arg;
	size_t answer_max;
	/* how far it is */
	bool asked; /* leaving() was asked */
	bool left;  /* and said yes */
	bool vetoed;
	bool too_large;
	size_t body_read; /* old libcurl: given to it so far */
	long port;	  /* old libcurl: local port that the body goes out of */
	int64_t due_ms;	  /* when the timer was to fire */
	bool overslept;	  /* and has been given its grace */
	int64_t retry_ms;
	int64_t retry_at_s; /* Retry-After as a date, -1 none */
	int64_t date_s;	    /* Date, -1 none */
	char *buf;
	size_t buf_n;
	size_t buf_size;
	char errbuf[CURL_ERROR_SIZE];
};

struct http {
	struct event_base *base;
	const struct conf_channel *cf;
	CURLM *multi;
	struct event *timer;
	struct curl_slist *get_headers;
	struct curl_slist *post_headers;
	struct http_call *live;
	struct http_call *idle;
	unsigned idle_n;
	char peer[300];
	struct http_stats stats;
};

/* --- a call --- */

static int64_t
date_seconds(const char *p, size_t n)
{
	char text[64];
	time_t t;

	if (n >= sizeof text)
		return -1;
	memcpy(text, p, n);
	text[n] = '\0';
	t = curl_getdate(text, NULL);
	return t < 0 ? -1 : (int64_t)t;
}

static bool
header_is(const char *line, size_t n, const char *name, const char **value, size_t *value_n)
{
	size_t name_n = strlen(name);

	if (n <= name_n || strncasecmp(line, name, name_n) != 0 || line[name_n] != ':')
		return false;
	line += name_n + 1;
	n -= name_n + 1;
	for (; n > 0 && (*line == ' ' || *line == '\t'); n--)
		line++;
	while (n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL)
		n--;
	*value = line;
	*value_n = n;
	return n > 0;
}

static size_t
on_header(char *line, size_t size, size_t count, void *user)
{
	struct http_call *c = user;
	const char *v;
	size_t n;

	if (header_is(line, size * count, "Date", &v, &n)) {
		c->date_s = date_seconds(v, n);
	} else if (header_is(line, size * count, "Retry-After", &v, &n)) {
		if (n <= 6 && v[0] >= '0' && v[0] <= '9')
			c->retry_ms = INT64_C(1000) * strtol(v, NULL, 10);
		else
			c->retry_at_s = date_seconds(v, n);
	}
	return size * count;
}

static size_t
on_data(char *p, size_t size, size_t count, void *user)
{
	struct http_call *c = user;
	size_t n = size * count;

	if (n > c->answer_max || c->buf_n > c->answer_max - n) {
		c->too_large = true;
		return 0;
	}
	if (c->buf_size - c->buf_n < n) {
		size_t more = c->buf_size == 0 ? 16384 : c->buf_size;
		char *buf;

		while (more - c->buf_n < n)
			more *= 2;
		buf = realloc(c->buf, more);
		if (buf == NULL)
			return 0;
		c->buf = buf;
		c->buf_size = more;
	}
	memcpy(c->buf + c->buf_n, p, n);
	c->buf_n += n;
	return n;
}

static void
wait_for(struct http_call *c, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	c->due_ms = clock_mono_ms() + ms;
	evtimer_add(c->timer, &tv);
}

/* The last moment before bytes may leave. From here on the answer has its time, whatever connecting
 * took. */
static bool
may_leave(struct http_call *c)
{
	c->asked = true;
	c->left = c->leaving == NULL || c->leaving(c->arg);
	if (c->left && c->timer != NULL)
		wait_for(c, c->h->cf->answer_timeout_ms);
	return c->left;
}

static void
veto(struct http_call *c)
{
	c->vetoed = true;
	if (c->h != NULL)
		c->h->stats.vetoed++;
}

#ifdef HAVE_CURLOPT_PREREQFUNCTION
static int
on_request(void *user, char *ip, char *local_ip, int port, int local_port)
{
	struct http_call *c = user;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (!c->asked)
		return may_leave(c) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
	/* A GET may be sent again: what it asked for was not handed out as far as we can know, and
	 * nobody is texted. */
	if (c->body == NULL)
		return CURL_PREREQFUNC_OK;
	veto(c);
	return CURL_PREREQFUNC_ABORT;
}

static CURLcode
set_witness(struct http_call *c)
{
	CURLcode r = curl_easy_setopt(c->easy, CURLOPT_PREREQFUNCTION, on_request);

	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_PREREQDATA, c);
	if (r == CURLE_OK && c->body != NULL)
		r = curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
	return r;
}
#else
/* On another connection than the first it gives nothing: libcurl begins anew without asking when it
 * had taken the body but not written a byte of it yet. */
static size_t
on_body(char *p, size_t size, size_t count, void *user)
{
	struct http_call *c = user;
	size_t n = c->body_n - c->body_read;
	long port = 0;

	curl_easy_getinfo(c->easy, CURLINFO_LOCAL_PORT, &port);
	if (!c->asked) {
		c->port = port;
		if (!may_leave(c))
			return CURL_READFUNC_ABORT;
	} else if (port != c->port) {
		veto(c);
		return CURL_READFUNC_ABORT;
	}
	if (n > size * count)
		n = size * count;
	memcpy(p, c->body + c->body_read, n);
	c->body_read += n;
	return n;
}

static int
on_rewind(void *user, curl_off_t offset, int origin)
{
	(void)offset;
	(void)origin;
	veto(user);
	return CURL_SEEKFUNC_FAIL;
}

static CURLcode
set_witness(struct http_call *c)
{
	CURLcode r;

	if (c->body == NULL) {
		c->asked = c->left = true;
		return CURLE_OK;
	}
	r = curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_body);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, on_rewind);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c);
	return r;
}
#endif

static void
answer_of(struct http_call *c, CURLcode r, struct http_answer *a)
{
	long status = 0;
	long version = 0;

	memset(a, 0, sizeof *a);
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->easy, CURLINFO_HTTP_VERSION, &version);
	a->status = (int)status;
	a->body = c->buf_n > 0 ? c->buf : "";
	a->body_n = c->buf_n;
	a->retry_after_ms = c->retry_ms;
	/* A date is taken against the provider's own clock. */
	if (c->retry_at_s >= 0 && c->date_s >= 0)
		a->retry_after_ms =
			c->retry_at_s > c->date_s ? (c->retry_at_s - c->date_s) * 1000 : 0;
	if (a->retry_after_ms > RETRY_AFTER_MAX_MS)
		a->retry_after_ms = RETRY_AFTER_MAX_MS;
	a->fate = r == CURLE_OK ? HTTP_ANSWERED : c->left ? HTTP_MAYBE_SENT : HTTP_NOT_SENT;
	if (a->fate == HTTP_ANSWERED) {
		if (c->h != NULL)
			c->h->stats.version = version == CURL_HTTP_VERSION_2_0 ? 20 : 11;
		return;
	}
	a->held = c->asked && !c->left;
	if (a->held)
		err_set(&a->err, RC_AGAIN, 0, "http", "held back before the first byte");
	else if (c->vetoed)
		err_set(&a->err, RC_UNSURE, (int)r, "http",
			"the connection was cut before the answer; a silent second sending was "
			"prevented");
	else if (c->too_large)
		err_set(&a->err, RC_UNSURE, (int)r, "http", "the answer is larger than %zu bytes",
			c->answer_max);
}

static void
unlink_call(struct http_call *c)
{
	struct http *h = c->h;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		h->live = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->next = c->prev = NULL;
}

static void
free_call(struct http_call *c)
{
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->easy != NULL)
		curl_easy_cleanup(c->easy);
	free(c->buf);
	free(c);
}

/* Back into the pool; live connections stay with the multi handle. */
static void
recycle(struct http_call *c)
{
	struct http *h = c->h;

	if (h->idle_n >= IDLE_CALLS_MAX) {
		free_call(c);
		return;
	}
	if (c->buf_size > KEEP_BUFFER_BYTES) {
		free(c->buf);
		c->buf = NULL;
		c->buf_size = 0;
	}
	c->next = h->idle;
	h->idle = c;
	h->idle_n++;
}

static void
stop_call(struct http_call *c)
{
	evtimer_del(c->timer);
	curl_multi_remove_handle(c->h->multi, c->easy);
}

static void
count_connections(struct http_call *c)
{
	long opened = 0;

	curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &opened);
	c->h->stats.connections += (uint64_t)opened;
}

static void
finish(struct http_call *c, CURLcode r)
{
	struct http *h = c->h;
	struct http_answer a;

	count_connections(c);
	answer_of(c, r, &a);
	if (a.fate != HTTP_ANSWERED && a.err.rc == RC_OK)
		http_explain(h->cf, h->peer, c->easy, r, c->errbuf, &a);
	h->stats.answered += a.fate == HTTP_ANSWERED;
	h->stats.not_sent += a.fate == HTTP_NOT_SENT;
	h->stats.maybe_sent += a.fate == HTTP_MAYBE_SENT;
	stop_call(c);
	unlink_call(c);
	c->done(c->arg, &a);
	recycle(c);
}

/* Our own watch over a request: connecting and waiting for a connection first, then the answer. */
static void
on_late(evutil_socket_t fd, short what, void *user)
{
	struct http_call *c = user;

	(void)fd;
	(void)what;
	/* Reports are handed out once: a page that has come must not be thrown away for our own
	 * sleep. A request with messages is given up in time, whatever of it is not written yet. */
	if (c->body == NULL && !c->overslept && clock_mono_ms() - c->due_ms > OVERSLEPT_MS) {
		wait_for(c, OVERSLEPT_GRACE_MS);
		c->overslept = true;
		return;
	}
	if (c->errbuf[0] == '\0')
		snprintf(c->errbuf, sizeof c->errbuf, "%s",
			 c->left ? "no answer in time (answer_timeout)"
				 : "no connection in time (connect_timeout)");
	finish(c, CURLE_OPERATION_TIMEDOUT);
}

static struct http_call *
new_call(struct http *h, struct err *e)
{
	struct http_call *c = h->idle;
	CURLcode r;

	if (c != NULL) {
		h->idle = c->next;
		h->idle_n--;
		c->next = NULL;
		return c;
	}
	c = calloc(1, sizeof *c);
	if (c == NULL)
		goto nomem;
	c->h = h;
	c->timer = evtimer_new(h->base, on_late, c);
	c->easy = curl_easy_init();
	if (c->timer == NULL || c->easy == NULL)
		goto nomem;
	return c;
nomem:
	if (c != NULL)
		free_call(c);
	r = CURLE_OUT_OF_MEMORY;
	err_set(e, RC_NOMEM, (int)r, "http.start", "no memory for a request");
	return NULL;
}

static CURLcode
set_request(struct http_call *c, const struct http_request *q, struct curl_slist *headers)
{
	CURLcode r;

	/* Cheap, and nothing of the request before can be left in it; the connections are the multi
	 * handle's. */
	curl_easy_reset(c->easy);
	r = http_set_common(c->easy, c->h->cf, c->errbuf);
	if (r == CURLE_OK)
		r = http_set_url(c->easy, c->h->cf, q->path);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	if (r == CURLE_OK && q->body != NULL)
		r = curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
	if (r == CURLE_OK && q->body != NULL)
		r = curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_n);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	if (r == CURLE_OK)
		r = curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	if (r == CURLE_OK)
		r = set_witness(c);
	return r;
}

enum rc
http_start(struct http *h, const struct http_request *q, struct http_call **out, struct err *e)
{
	struct http_call *c = new_call(h, e);
	CURLcode r;
	CURLMcode m;

	if (c == NULL)
		return RC_NOMEM;
	c->body = q->body;
	c->body_n = q->body_n;
	c->leaving = q->leaving;
	c->done = q->done;
	c->arg = q->arg;
	c->answer_max = q->answer_max;
	c->asked = c->left = c->vetoed = c->too_large = c->overslept = false;
	c->body_read = c->buf_n = 0;
	c->retry_ms = c->retry_at_s = c->date_s = -1;
	c->errbuf[0] = '\0';
	r = set_request(c, q, q->body != NULL ? h->post_headers : h->get_headers);
	if (r != CURLE_OK) {
		recycle(c);
		return err_set(e, r == CURLE_OUT_OF_MEMORY ? RC_NOMEM : RC_CONFIG, (int)r,
			       "http.start", "channel %s: libcurl refuses an option: %s",
			       h->cf->name, curl_easy_strerror(r));
	}
	m = curl_multi_add_handle(h->multi, c->easy);
	if (m != CURLM_OK) {
		recycle(c);
		return err_set(e, m == CURLM_OUT_OF_MEMORY ? RC_NOMEM : RC_BUG, (int)m,
			       "http.start", "libcurl takes no request: %s",
			       curl_multi_strerror(m));
	}
	c->prev = NULL;
	c->next = h->live;
	if (h->live != NULL)
		h->live->prev = c;
	h->live = c;
	h->stats.started++;
	wait_for(c, h->cf->connect_timeout_ms + START_MARGIN_MS);
	*out = c;
	return RC_OK;
}

void
http_cancel(struct http_call *c)
{
	stop_call(c);
	unlink_call(c);
	recycle(c);
}

/* --- libcurl on the loop --- */

static void
collect(struct http *h)
{
	CURLMsg *m;
	int rest;

	while ((m = curl_multi_info_read(h->multi, &rest)) != NULL) {
		struct http_call *c = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
		finish(c, m->data.result);
	}
}

static void
drive(struct http *h, curl_socket_t fd, int what)
{
	int running;
	CURLMcode m = curl_multi_socket_action(h->multi, fd, what, &running);

	if (m != CURLM_OK)
		log_event(LOG_LEVEL_ERROR, "http.multi", "channel=%s text=\"%s\"", h->cf->name,
			  curl_multi_strerror(m));
	collect(h);
}

static void
on_ready(evutil_socket_t fd, short what, void *user)
{
	struct watch *w = user;

	drive(w->h, fd,
	      (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	drive(user, CURL_SOCKET_TIMEOUT, 0);
}

static int
want_timer(CURLM *multi, long ms, void *user)
{
	struct http *h = user;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		evtimer_del(h->timer);
	else
		evtimer_add(h->timer, &tv);
	return 0;
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *mine)
{
	struct http *h = user;
	struct watch *w = mine;
	short flags = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			event_free(w->ev);
			free(w);
		}
		return 0;
	}
	if (what & CURL_POLL_IN)
		flags |= EV_READ;
	if (what & CURL_POLL_OUT)
		flags |= EV_WRITE;
	if (w == NULL) {
		w = calloc(1, sizeof *w);
		if (w == NULL)
			return -1;
		w->h = h;
		w->ev = event_new(h->base, fd, flags, on_ready, w);
		if (w->ev == NULL) {
			free(w);
			return -1;
		}
		curl_multi_assign(h->multi, fd, w);
	} else {
		event_del(w->ev);
		event_assign(w->ev, h->base, fd, flags, on_ready, w);
	}
	event_add(w->ev, NULL);
	return 0;
}

static CURLMcode
set_multi(struct http *h)
{
	CURLMcode m = curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);

	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	/* Beside the requests with messages: one for reports, one for questions. */
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
				      (long)h->cf->connections + 2);
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->cf->connections + 2);
	return m;
}

enum rc
http_open(struct event_base *base, const struct conf_channel *cf, const char *authorization,
	  struct http **out, struct err *e)
{
	struct http *h;
	enum rc rc;

	*out = NULL;
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "http.open", "no memory for channel %s",
			       cf->name);
	h->base = base;
	h->cf = cf;
	rc = http_check_options(cf, h->peer, sizeof h->peer, e);
	if (rc != RC_OK) {
		free(h);
		return rc;
	}
	/* Counted by libcurl: each open has its cleanup in http_close(). */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return err_set(e, RC_NOMEM, 0, "http.open", "libcurl cannot be started");
	}
	h->multi = curl_multi_init();
	h->timer = evtimer_new(base, on_timer, h);
	h->get_headers = http_make_headers(authorization, false);
	h->post_headers = http_make_headers(authorization, true);
	if (h->multi == NULL || h->timer == NULL || h->get_headers == NULL ||
	    h->post_headers == NULL || set_multi(h) != CURLM_OK) {
		http_close(h);
		return err_set(e, RC_NOMEM, 0, "http.open", "no memory for channel %s", cf->name);
	}
	*out = h;
	return RC_OK;
}

const struct http_stats *
http_stats(const struct http *h)
{
	return &h->stats;
}

const char *
http_peer(const struct http *h)
{
	return h->peer;
}

void
http_close(struct http *h)
{
	struct http_call *c;

	if (h == NULL)
		return;
	while ((c = h->live) != NULL) {
		h->live = c->next;
		stop_call(c);
		free_call(c);
	}
	while ((c = h->idle) != NULL) {
		h->idle = c->next;
		free_call(c);
	}
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	if (h->timer != NULL)
		event_free(h->timer);
	http_free_headers(h->get_headers);
	http_free_headers(h->post_headers);
	free(h);
	curl_global_cleanup();
}

/* --- one blocking question --- */

struct once {
	struct http_call call;
	char tls[16];
};

static int
on_debug(CURL *easy, curl_infotype type, char *text, size_t n, void *user)
{
	struct once *o = user;
	const char *p;

	(void)easy;
	if (type != CURLINFO_TEXT || n < 8)
		return 0;
	p = memmem(text, n, "TLSv1.", 6);
	if (p != NULL && memmem(text, n, "connection using", 16) != NULL && p + 7 <= text + n)
		snprintf(o->tls, sizeof o->tls, "%.7s", p);
	return 0;
}

enum rc
http_once(const struct conf_channel *cf, const char *authorization, const char *path, char *buf,
	  size_t size, struct http_answer *a, char tls[16], struct err *e)
{
	struct once o;
	struct http_request q = { .path = path, .answer_max = size - 1 };
	struct curl_slist *headers = NULL;
	struct http self;
	char peer[sizeof self.peer];
	CURLcode r;
	enum rc rc;

	memset(&o, 0, sizeof o);
	memset(&self, 0, sizeof self);
	memset(a, 0, sizeof *a);
	rc = http_check_options(cf, peer, sizeof peer, e);
	if (rc != RC_OK)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, RC_NOMEM, 0, "http.once", "libcurl cannot be started");
	self.cf = cf;
	o.call.h = &self;
	o.call.answer_max = q.answer_max;
	o.call.retry_ms = o.call.retry_at_s = o.call.date_s = -1;
	o.call.easy = curl_easy_init();
	headers = http_make_headers(authorization, false);
	r = o.call.easy == NULL || headers == NULL ? CURLE_OUT_OF_MEMORY
						   : set_request(&o.call, &q, headers);
	if (r == CURLE_OK)
		r = curl_easy_setopt(o.call.easy, CURLOPT_TIMEOUT_MS,
				     (long)(cf->connect_timeout_ms + cf->answer_timeout_ms));
	if (r == CURLE_OK)
		r = curl_easy_setopt(o.call.easy, CURLOPT_DEBUGFUNCTION, on_debug);
	if (r == CURLE_OK)
		r = curl_easy_setopt(o.call.easy, CURLOPT_DEBUGDATA, &o);
	if (r == CURLE_OK)
		r = curl_easy_setopt(o.call.easy, CURLOPT_VERBOSE, 1L);
	if (r != CURLE_OK) {
		rc = err_set(e, r == CURLE_OUT_OF_MEMORY ? RC_NOMEM : RC_CONFIG, (int)r,
			     "http.once", "channel %s: libcurl refuses an option: %s", cf->name,
			     curl_easy_strerror(r));
		goto out;
	}
	r = curl_easy_perform(o.call.easy);
	answer_of(&o.call, r, a);
	if (a->fate != HTTP_ANSWERED && a->err.rc == RC_OK)
		http_explain(cf, peer, o.call.easy, r, o.call.errbuf, a);
	snprintf(buf, size, "%.*s", (int)o.call.buf_n, o.call.buf_n > 0 ? o.call.buf : "");
	a->body = NULL;
	a->body_n = 0;
	snprintf(tls, 16, "%s", o.tls[0] != '\0' ? o.tls : "no TLS");
out:
	if (o.call.easy != NULL)
		curl_easy_cleanup(o.call.easy);
	free(o.call.buf);
	http_free_headers(headers);
	curl_global_cleanup();
	return rc;
}
