#include "config.h"
#include "drivers/channel/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "agent/conf.h"
#include "agent/log.h"

#define AGENT_NAME "mtrelay/" PACKAGE_VERSION
#define IDLE_CALLS_MAX 16
#define KEEP_BUFFER_BYTES (64 * 1024)
/* Beyond connect_timeout, for requests that wait for a connection of another one. */
#define START_MARGIN_MS 2000
#define RETRY_AFTER_MAX_MS INT64_C(3600000)

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
	bool running;
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
	size_t body_read;    /* old libcurl: given to it so far */
	long port;           /* old libcurl: local port that the body goes out of */
	int64_t retry_ms;
	int64_t retry_at_s;  /* Retry-After as a date, -1 none */
	int64_t date_s;      /* Date, -1 none */
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

/* --- addresses and options ---------------------------------------------------------------------------- */

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* True for 127.x.y.z and ::1 written as numbers: a name may be made to point elsewhere. */
static bool
literal_loopback(const char *host)
{
	unsigned char v4[4];
	unsigned char v6[16];
	static const unsigned char one[16] = { [15] = 1 };

	if (inet_pton(AF_INET, host, v4) == 1)
		return v4[0] == 127;
	return inet_pton(AF_INET6, host, v6) == 1 && memcmp(v6, one, sizeof one) == 0;
}

struct address {
	bool tls;
	char host[256];
	char port[8];
	bool path;
};

/* Takes scheme://host[:port][/path] apart; NULL or what is wrong with it. */
static const char *
split_url(const char *url, struct address *a)
{
	const char *p = strstr(url, "://");
	const char *end;
	const char *colon;

	memset(a, 0, sizeof *a);
	if (p == NULL)
		return "has no https:// in front";
	a->tls = strncasecmp(url, "https://", 8) == 0;
	if (!a->tls && strncasecmp(url, "http://", 7) != 0)
		return "is neither https:// nor http://";
	p += 3;
	end = p + strcspn(p, "/?#");
	if (*end == '?' || *end == '#')
		return "has a query or fragment; give the base address only";
	if (strpbrk(end, "?#") != NULL)
		return "has a query or fragment; give the base address only";
	if (memchr(p, '@', (size_t)(end - p)) != NULL)
		return "holds a user or password; secrets come from files";
	if (strpbrk(url, " \t\r\n\\\"<>") != NULL)
		return "holds blanks or characters that no address has";
	a->path = end[0] == '/' && end[1] != '\0';
	if (*p == '[') {
		colon = memchr(p, ']', (size_t)(end - p));
		if (colon == NULL)
			return "has no ] behind its address";
		p++;
	} else {
		colon = memchr(p, ':', (size_t)(end - p));
		if (colon == NULL)
			colon = end;
	}
	if (colon == p || (size_t)(colon - p) >= sizeof a->host)
		return "has no host name or one that is too long";
	memcpy(a->host, p, (size_t)(colon - p));
	if (*colon == ']')
		colon++;
	if (colon < end && *colon == ':' && (size_t)(end - colon - 1) < sizeof a->port)
		memcpy(a->port, colon + 1, (size_t)(end - colon - 1));
	if (colon < end && (a->port[0] == '\0' || strspn(a->port, "0123456789") != strlen(a->port)))
		return "has a port that is no number";
	if (a->port[0] == '\0')
		snprintf(a->port, sizeof a->port, "%s", a->tls ? "443" : "80");
	return NULL;
}

static enum rc
check_file(const struct conf_channel *cf, const char *option, const char *path, struct err *e)
{
	if (!is_set(path) || access(path, R_OK) == 0)
		return RC_OK;
	return err_set(e, RC_CONFIG, errno, "http.open", "channel %s: %s %s cannot be read: %s", cf->name, option, path,
		       strerror(errno));
}

/* Whatever can be told wrong without a connection; writes "host:port" to peer. */
static enum rc
check_options(const struct conf_channel *cf, char *peer, size_t size, struct err *e)
{
	struct address a;
	struct address proxy;
	const char *wrong;
	enum rc rc;

	if (!is_set(cf->url))
		return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: url is not set", cf->name);
	wrong = split_url(cf->url, &a);
	if (wrong != NULL)
		return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: url %s", cf->name, wrong);
	if (!a.tls && !literal_loopback(a.host))
		return err_set(e, RC_CONFIG, 0, "http.open",
			       "channel %s: url is plain http to %s; beyond 127.0.0.1 and [::1] it must be https",
			       cf->name, a.host);
	if (is_set(cf->proxy)) {
		wrong = split_url(cf->proxy, &proxy);
		if (wrong == NULL && (proxy.tls || proxy.path))
			wrong = "must be http://host:port (TLS to the provider goes through it)";
		if (wrong == NULL && !a.tls)
			wrong = "cannot be used with a plain http url";
		if (wrong != NULL)
			return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: proxy %s", cf->name, wrong);
	}
	if (is_set(cf->cert_file) != is_set(cf->key_file))
		return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: cert_file and key_file belong together",
			       cf->name);
	rc = check_file(cf, "ca_file", cf->ca_file, e);
	if (rc == RC_OK)
		rc = check_file(cf, "cert_file", cf->cert_file, e);
	if (rc == RC_OK)
		rc = check_file(cf, "key_file", cf->key_file, e);
	snprintf(peer, size, strchr(a.host, ':') != NULL ? "[%s]:%s" : "%s:%s", a.host, a.port);
	return rc;
}

static long
http_version(const struct conf_channel *cf)
{
	switch (cf->http_version) {
	case CONF_HTTP_1_1:
		return CURL_HTTP_VERSION_1_1;
	case CONF_HTTP_AUTO:
	case CONF_HTTP_2:
		return CURL_HTTP_VERSION_2TLS;
	}
	return CURL_HTTP_VERSION_1_1;
}

/* What every handle has. Returns the first refusal of libcurl. */
static CURLcode
set_common(CURL *easy, const struct conf_channel *cf, char *errbuf)
{
	char source[80];
	CURLcode bad = CURLE_OK;
	CURLcode r;
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_NOPROGRESS, 1 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_SSL_VERIFYPEER, 1 },
		{ CURLOPT_SSL_VERIFYHOST, 2 },
		{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
		{ CURLOPT_TCP_KEEPALIVE, 1 },
		{ CURLOPT_HTTP_VERSION, http_version(cf) },
		{ CURLOPT_PIPEWAIT, cf->http_version != CONF_HTTP_1_1 },
		{ CURLOPT_CONNECTTIMEOUT_MS, (long)cf->connect_timeout_ms },
		{ CURLOPT_HEADEROPT, CURLHEADER_SEPARATE }, /* our key is not for the proxy */
	};
	const struct {
		CURLoption option;
		const char *value;
	} strings[] = {
		{ CURLOPT_USERAGENT, AGENT_NAME },
		{ CURLOPT_PROXY, is_set(cf->proxy) ? cf->proxy : "" }, /* "" also keeps the environment out */
		{ CURLOPT_NOPROXY, "" },
		{ CURLOPT_ERRORBUFFER, errbuf },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		r = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
		/* A libcurl without HTTP/2 is good enough unless HTTP/2 was asked for. */
		if (r != CURLE_OK && numbers[i].option == CURLOPT_HTTP_VERSION && cf->http_version == CONF_HTTP_AUTO)
			r = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
		if (bad == CURLE_OK)
			bad = r;
	}
	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		r = curl_easy_setopt(easy, strings[i].option, strings[i].value);
		if (bad == CURLE_OK)
			bad = r;
	}
	if (is_set(cf->ca_file)) {
		/* Only these authorities: without the second line libcurl would trust the system's too. */
		r = curl_easy_setopt(easy, CURLOPT_CAINFO, cf->ca_file);
		if (r == CURLE_OK)
			r = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		if (bad == CURLE_OK)
			bad = r;
	}
	if (is_set(cf->cert_file)) {
		r = curl_easy_setopt(easy, CURLOPT_SSLCERT, cf->cert_file);
		if (r == CURLE_OK)
			r = curl_easy_setopt(easy, CURLOPT_SSLKEY, cf->key_file);
		if (bad == CURLE_OK)
			bad = r;
	}
	if (is_set(cf->source_address)) {
		snprintf(source, sizeof source, "host!%s", cf->source_address);
		r = curl_easy_setopt(easy, CURLOPT_INTERFACE, source);
		if (bad == CURLE_OK)
			bad = r;
	}
	return bad;
}

static CURLcode
set_url(CURL *easy, const struct conf_channel *cf, const char *path)
{
	size_t base = strlen(cf->url);
	char *url;
	CURLcode r;

	while (base > 0 && cf->url[base - 1] == '/')
		base--;
	url = malloc(base + strlen(path) + 1);
	if (url == NULL)
		return CURLE_OUT_OF_MEMORY;
	memcpy(url, cf->url, base);
	memcpy(url + base, path, strlen(path) + 1);
	r = curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	return r;
}

static struct curl_slist *
make_headers(const char *authorization, bool post)
{
	const char *lines[] = {
		authorization, "Accept: application/json",
		/* Waiting for "100 Continue" is a second way to send twice. */
		"Expect:", post ? "Content-Type: application/json" : NULL,
	};
	struct curl_slist *list = NULL;

	for (size_t i = 0; i < sizeof lines / sizeof lines[0] && lines[i] != NULL; i++) {
		struct curl_slist *more = curl_slist_append(list, lines[i]);

		if (more == NULL) {
			curl_slist_free_all(list);
			return NULL;
		}
		list = more;
	}
	return list;
}

static void
free_headers(struct curl_slist *list)
{
	for (struct curl_slist *s = list; s != NULL; s = s->next)
		conf_secret_wipe(s->data, strlen(s->data));
	curl_slist_free_all(list);
}

/* --- sentences ---------------------------------------------------------------------------------------- */

static const char *
certificate_fault(long verify)
{
	switch (verify) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "its certificate has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "its certificate is not valid yet (or the clock of this host is wrong)";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "its certificate is self-signed";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "its certificate was signed by an authority that ca_file or the system does not know";
	case X509_V_ERR_CERT_REVOKED:
		return "its certificate was revoked";
	default:
		return NULL;
	}
}

/* A TLS failure that the other side or a setting causes again and again, NULL for what may pass by itself. */
static const char *
tls_fault(const char *text)
{
	static const struct {
		const char *part;
		const char *says;
	} known[] = {
		{ "protocol version", "it does not speak TLS 1.2 or newer" },
		{ "version too low", "it does not speak TLS 1.2 or newer" },
		{ "unsupported protocol", "it does not speak TLS 1.2 or newer" },
		{ "unsupported or unknown protocol", "it does not speak TLS 1.2 or newer" },
		{ "wrong version number", "it does not speak TLS on this port" },
		{ "http request", "it does not speak TLS on this port" },
		{ "certificate required", "it asks for a client certificate: set cert_file and key_file" },
		{ "bad certificate", "it refuses our client certificate (cert_file)" },
		{ "alert unknown ca", "it does not know the authority of our client certificate (cert_file)" },
		{ "certificate unknown", "it refuses our client certificate (cert_file)" },
		{ "alert handshake failure", "it refuses the handshake (a client certificate or cipher is missing)" },
		{ "dh key too small", "its keys are too weak" },
		{ "ee key too small", "its certificate's key is too weak" },
		{ "ca md too weak", "its certificate's signature is too weak" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strstr(text, known[i].part) != NULL)
			return known[i].says;
	return NULL;
}

/* Says in a what the end of a request that was not answered means. */
static void
explain(const struct conf_channel *cf, const char *peer, CURL *easy, CURLcode r, const char *errbuf,
	struct http_answer *a)
{
	const char *text = errbuf[0] != '\0' ? errbuf : curl_easy_strerror(r);
	const char *fault = tls_fault(text);
	long verify = 0;

	curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	switch ((int)r) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		a->unreachable = a->untrusted = true;
		fault = certificate_fault(verify);
		if (fault == NULL && strstr(text, "subject name") != NULL)
			fault = "its certificate is for another host name: check url";
		err_set(&a->err, RC_CONFIG, (int)r, "http", "%s is not trusted: %s", peer, fault != NULL ? fault : text);
		return;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ENGINE_NOTFOUND:
		a->unreachable = a->untrusted = true;
		err_set(&a->err, RC_CONFIG, (int)r, "http",
			"channel %s: ca_file, cert_file or key_file cannot be used: %s", cf->name, text);
		return;
	case CURLE_SSL_CONNECT_ERROR:
		a->unreachable = true;
		a->untrusted = fault != NULL;
		if (fault == NULL && strstr(text, "SSL_ERROR_SYSCALL") != NULL)
			text = "it broke the handshake off; perhaps it does not speak TLS 1.2 or newer, or wants a client "
			       "certificate";
		err_set(&a->err, fault != NULL ? RC_CONFIG : RC_LOST, (int)r, "http", "no TLS with %s: %s", peer,
			fault != NULL ? fault : text);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		a->unreachable = true;
		err_set(&a->err, RC_LOST, (int)r, "http", "no address for the host of %s: check url, proxy and the name service",
			peer);
		return;
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		a->unreachable = true;
		err_set(&a->err, RC_LOST, (int)r, "http", "no connection to %s: %s", peer, text);
		return;
	default:
		break;
	}
	if (fault != NULL && a->fate != HTTP_ANSWERED) {
		/* TLS 1.3: the refusal of a client certificate comes after the handshake. */
		a->untrusted = true;
		err_set(&a->err, RC_CONFIG, (int)r, "http", "no TLS with %s: %s", peer, fault);
	} else if (a->fate == HTTP_NOT_SENT) {
		a->unreachable = true;
		err_set(&a->err, RC_LOST, (int)r, "http", "no connection to %s: %s", peer, text);
	} else {
		err_set(&a->err, RC_UNSURE, (int)r, "http", "no whole answer from %s: %s", peer, text);
	}
}

/* --- a call ------------------------------------------------------------------------------------------- */

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

	evtimer_add(c->timer, &tv);
}

/* The last moment before bytes may leave. From here on the answer has its time, whatever connecting took. */
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
	/* A GET may be sent again: what it asked for was not handed out as far as we can know, and nobody is texted. */
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
/* On another connection than the first it gives nothing: libcurl begins anew without asking when it had taken the
 * body but not written a byte of it yet. */
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
		a->retry_after_ms = c->retry_at_s > c->date_s ? (c->retry_at_s - c->date_s) * 1000 : 0;
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
			"the connection was cut before the answer; a silent second sending was prevented");
	else if (c->too_large)
		err_set(&a->err, RC_UNSURE, (int)r, "http", "the answer is larger than %zu bytes", c->answer_max);
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
	c->running = false;
	unlink_call(c);
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
		explain(h->cf, h->peer, c->easy, r, c->errbuf, &a);
	h->stats.answered += a.fate == HTTP_ANSWERED;
	h->stats.not_sent += a.fate == HTTP_NOT_SENT;
	h->stats.maybe_sent += a.fate == HTTP_MAYBE_SENT;
	stop_call(c);
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
	if (c->errbuf[0] == '\0')
		snprintf(c->errbuf, sizeof c->errbuf, "%s", c->left ? "no answer in time (answer_timeout)" :
								       "no connection in time (connect_timeout)");
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

	/* Cheap, and nothing of the request before can be left in it; the connections are the multi handle's. */
	curl_easy_reset(c->easy);
	r = set_common(c->easy, c->h->cf, c->errbuf);
	if (r == CURLE_OK)
		r = set_url(c->easy, c->h->cf, q->path);
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
	c->asked = c->left = c->vetoed = c->too_large = false;
	c->body_read = c->buf_n = 0;
	c->retry_ms = c->retry_at_s = c->date_s = -1;
	c->errbuf[0] = '\0';
	r = set_request(c, q, q->body != NULL ? h->post_headers : h->get_headers);
	if (r != CURLE_OK) {
		recycle(c);
		return err_set(e, r == CURLE_OUT_OF_MEMORY ? RC_NOMEM : RC_CONFIG, (int)r, "http.start",
			       "channel %s: libcurl refuses an option: %s", h->cf->name, curl_easy_strerror(r));
	}
	m = curl_multi_add_handle(h->multi, c->easy);
	if (m != CURLM_OK) {
		recycle(c);
		return err_set(e, m == CURLM_OUT_OF_MEMORY ? RC_NOMEM : RC_BUG, (int)m, "http.start",
			       "libcurl takes no request: %s", curl_multi_strerror(m));
	}
	c->running = true;
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
	recycle(c);
}

/* --- libcurl on the loop ------------------------------------------------------------------------------ */

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
		log_event(LOG_LEVEL_ERROR, "http.multi", "channel=%s text=\"%s\"", h->cf->name, curl_multi_strerror(m));
	collect(h);
}

static void
on_ready(evutil_socket_t fd, short what, void *user)
{
	struct watch *w = user;

	drive(w->h, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
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
		m = curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)h->cf->connections + 2);
	if (m == CURLM_OK)
		m = curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->cf->connections + 2);
	return m;
}

enum rc
http_open(struct event_base *base, const struct conf_channel *cf, const char *authorization, struct http **out,
	  struct err *e)
{
	struct http *h;
	enum rc rc;

	*out = NULL;
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "http.open", "no memory for channel %s", cf->name);
	h->base = base;
	h->cf = cf;
	rc = check_options(cf, h->peer, sizeof h->peer, e);
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
	h->get_headers = make_headers(authorization, false);
	h->post_headers = make_headers(authorization, true);
	if (h->multi == NULL || h->timer == NULL || h->get_headers == NULL || h->post_headers == NULL ||
	    set_multi(h) != CURLM_OK) {
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
	if (h == NULL)
		return;
	while (h->live != NULL)
		http_cancel(h->live);
	while (h->idle != NULL) {
		struct http_call *c = h->idle;

		h->idle = c->next;
		free_call(c);
	}
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	if (h->timer != NULL)
		event_free(h->timer);
	free_headers(h->get_headers);
	free_headers(h->post_headers);
	free(h);
	curl_global_cleanup();
}

/* --- one blocking question ---------------------------------------------------------------------------- */

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
http_once(const struct conf_channel *cf, const char *authorization, const char *path, char *buf, size_t size,
	  struct http_answer *a, char tls[16], struct err *e)
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
	rc = check_options(cf, peer, sizeof peer, e);
	if (rc != RC_OK)
		return rc;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, RC_NOMEM, 0, "http.once", "libcurl cannot be started");
	self.cf = cf;
	o.call.h = &self;
	o.call.answer_max = q.answer_max;
	o.call.retry_ms = o.call.retry_at_s = o.call.date_s = -1;
	o.call.easy = curl_easy_init();
	headers = make_headers(authorization, false);
	r = o.call.easy == NULL || headers == NULL ? CURLE_OUT_OF_MEMORY : set_request(&o.call, &q, headers);
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
		rc = err_set(e, r == CURLE_OUT_OF_MEMORY ? RC_NOMEM : RC_CONFIG, (int)r, "http.once",
			     "channel %s: libcurl refuses an option: %s", cf->name, curl_easy_strerror(r));
		goto out;
	}
	r = curl_easy_perform(o.call.easy);
	answer_of(&o.call, r, a);
	if (a->fate != HTTP_ANSWERED && a->err.rc == RC_OK)
		explain(cf, peer, o.call.easy, r, o.call.errbuf, a);
	snprintf(buf, size, "%.*s", (int)o.call.buf_n, o.call.buf_n > 0 ? o.call.buf : "");
	a->body = NULL;
	a->body_n = 0;
	snprintf(tls, 16, "%s", o.tls[0] != '\0' ? o.tls : "no TLS");
out:
	if (o.call.easy != NULL)
		curl_easy_cleanup(o.call.easy);
	free(o.call.buf);
	free_headers(headers);
	curl_global_cleanup();
	return rc;
}
