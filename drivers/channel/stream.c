#include "config.h"
#include "drivers/channel/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent/text.h"

/* Data that nobody acknowledges: the kernel gives the connection up after this time. */
#define UNACKNOWLEDGED_MS 60000
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_EVERY_S 15

struct stream {
	struct stream_target t;
	const struct stream_events *events;
	void *owner;
	struct evdns_getaddrinfo_request *lookup;
	struct evutil_addrinfo *addresses, *next;
	struct event *timer;	  /* connect timeout; also carries a failure out of stream_open() */
	struct event *connecting; /* the socket is writable */
	int fd;
	struct bufferevent *bev;
	char protocol[16];
	struct err why;
	bool is_up, is_down, is_untrusted;
	bool *was_closed; /* set by stream_close() under data() */
};

/* ---- ending ---- */

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(ev, &tv);
}

static void
stop(struct stream *s)
{
	if (s->lookup != NULL)
		evdns_getaddrinfo_cancel(s->lookup);
	s->lookup = NULL;
	if (s->connecting != NULL)
		event_free(s->connecting);
	s->connecting = NULL;
	if (s->bev != NULL)
		bufferevent_free(s->bev); /* closes the socket */
	else if (s->fd >= 0)
		close(s->fd);
	s->bev = NULL;
	s->fd = -1;
}

/* s->why is filled; the owner is told from the timer, never from inside a call of his. */
static void
fail(struct stream *s)
{
	if (s->is_down)
		return;
	s->is_down = true;
	stop(s);
	arm(s->timer, 0);
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct stream *s = user;

	(void)fd;
	(void)what;
	if (!s->is_down) {
		err_set(&s->why, RC_LOST, ETIMEDOUT, "stream",
			s->bev != NULL
				? "%s:%s is reached and begins no TLS; is it the port for TLS?"
				: "no connection to %s:%s in time",
			s->t.host, s->t.port);
		s->is_down = true;
		stop(s);
	}
	s->events->down(s->owner, &s->why, s->is_untrusted);
}

void
stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->was_closed != NULL)
		*s->was_closed = true;
	if (s->bev != NULL && s->is_up && s->t.tls != NULL) {
		SSL *ssl = bufferevent_openssl_get_ssl(s->bev);

		ERR_clear_error();
		(void)SSL_shutdown(ssl);
	}
	stop(s);
	if (s->addresses != NULL)
		evutil_freeaddrinfo(s->addresses);
	event_free(s->timer);
	free(s);
}

/* ---- TLS ---- */

static const char *
openssl_says(char *buf, size_t size)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	(void)text_copy(buf, size, reason != NULL ? reason : "unknown");
	ERR_clear_error();
	return buf;
}

enum rc
stream_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
	       struct ssl_ctx_st **out, struct err *e)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	char text[120];

	*out = NULL;
	if (tls == NULL)
		return err_set(e, RC_NOMEM, 0, "stream.tls", "no memory for TLS");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
		goto refused;
	if (ca_file != NULL ? SSL_CTX_load_verify_locations(tls, ca_file, NULL) != 1
			    : SSL_CTX_set_default_verify_paths(tls) != 1) {
		err_set(e, RC_CONFIG, 0, "stream.tls",
			"ca_file %s holds no certificates that can be used: %s",
			ca_file != NULL ? ca_file : "(of the system)",
			openssl_says(text, sizeof text));
		goto out;
	}
	if (cert_file != NULL && SSL_CTX_use_certificate_chain_file(tls, cert_file) != 1) {
		err_set(e, RC_CONFIG, 0, "stream.tls", "cert_file %s cannot be used: %s", cert_file,
			openssl_says(text, sizeof text));
		goto out;
	}
	if (cert_file != NULL &&
	    (SSL_CTX_use_PrivateKey_file(tls, key_file != NULL ? key_file : cert_file,
					 SSL_FILETYPE_PEM) != 1 ||
	     SSL_CTX_check_private_key(tls) != 1)) {
		err_set(e, RC_CONFIG, 0, "stream.tls", "key_file does not fit cert_file %s: %s",
			cert_file, openssl_says(text, sizeof text));
		goto out;
	}
	*out = tls;
	return RC_OK;
refused:
	err_set(e, RC_CONFIG, 0, "stream.tls", "OpenSSL refuses TLS 1.2: %s",
		openssl_says(text, sizeof text));
out:
	SSL_CTX_free(tls);
	return e->rc;
}

void
stream_tls_free(struct ssl_ctx_st *tls)
{
	SSL_CTX_free(tls);
}

/* The name, or the address, that the certificate must carry. */
static bool
expect_host(SSL *ssl, const char *host)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

static void
explain_tls(struct stream *s)
{
	SSL *ssl = bufferevent_openssl_get_ssl(s->bev);
	long verdict = SSL_get_verify_result(ssl);
	unsigned long code, first = 0;
	const char *reason;

	while ((code = bufferevent_get_openssl_error(s->bev)) != 0)
		if (first == 0)
			first = code;
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
	/* OpenSSL 3 calls an end an error; as a balancer without a centre behind it does, it is no
	 * refusal. */
	if (!s->is_up && ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		first = 0;
#endif
	reason = first != 0 ? ERR_reason_error_string(first) : NULL;
	if (!s->is_up && verdict != X509_V_OK) {
		s->is_untrusted = true;
		err_set(&s->why, RC_CONFIG, (int)verdict, "stream",
			"the certificate of %s:%s is not accepted: %s", s->t.host, s->t.port,
			X509_verify_cert_error_string(verdict));
	} else if (!s->is_up) {
		s->is_untrusted = reason != NULL;
		err_set(&s->why, reason != NULL ? RC_CONFIG : RC_LOST, 0, "stream",
			"no TLS with %s:%s: %s", s->t.host, s->t.port,
			reason != NULL ? reason : "the connection was cut");
	} else {
		err_set(&s->why, RC_LOST, errno, "stream", "the connection to %s:%s broke: %s",
			s->t.host, s->t.port,
			reason != NULL ? reason : evutil_socket_error_to_string(errno));
	}
}

/* ---- reading and writing ---- */

static void
on_read(struct bufferevent *bev, void *user)
{
	struct stream *s = user;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t have, done;
	bool closed = false;

	if (s->is_down)
		return;
	s->was_closed = &closed;
	while ((have = evbuffer_get_length(in)) > 0) {
		const unsigned char *p = evbuffer_pullup(in, -1);

		if (p == NULL) {
			err_set(&s->why, RC_NOMEM, ENOMEM, "stream", "no memory for what %s sends",
				s->t.host);
			fail(s);
			break;
		}
		done = s->events->data(s->owner, p, have);
		if (closed)
			return;
		evbuffer_drain(in, done);
		if (done == 0 || s->is_down)
			break;
	}
	s->was_closed = NULL;
}

static void
set_up(struct stream *s)
{
	const char *name = "plain";

	if (s->t.tls != NULL)
		name = SSL_get_version(bufferevent_openssl_get_ssl(s->bev));
	(void)text_copy(s->protocol, sizeof s->protocol, name);
	s->is_up = true;
	evtimer_del(s->timer);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
	s->events->up(s->owner);
}

static void
on_event(struct bufferevent *bev, short what, void *user)
{
	struct stream *s = user;

	(void)bev;
	if (s->is_down)
		return;
	if (what & BEV_EVENT_CONNECTED) {
		set_up(s);
		return;
	}
	if (what & BEV_EVENT_EOF)
		err_set(&s->why, RC_LOST, 0, "stream", "%s:%s closed the connection", s->t.host,
			s->t.port);
	else if (s->t.tls != NULL)
		explain_tls(s);
	else
		err_set(&s->why, RC_LOST, errno, "stream", "the connection to %s:%s broke: %s",
			s->t.host, s->t.port, evutil_socket_error_to_string(errno));
	fail(s);
}

enum rc
stream_write(struct stream *s, const void *p, size_t n, struct err *e)
{
	if (!s->is_up || s->is_down)
		return err_set(e, RC_LOST, 0, "stream.write", "there is no connection to %s:%s",
			       s->t.host, s->t.port);
	if (bufferevent_write(s->bev, p, n) != 0)
		return err_set(e, RC_NOMEM, ENOMEM, "stream.write", "no memory for %zu bytes", n);
	return RC_OK;
}

size_t
stream_unsent(const struct stream *s)
{
	return s->bev != NULL ? evbuffer_get_length(bufferevent_get_output(s->bev)) : 0;
}

void
stream_flush(struct stream *s)
{
	struct evbuffer *out;
	struct evbuffer_iovec part;
	ssize_t sent = 0;

	if (s->bev == NULL || !s->is_up || s->is_down)
		return;
	/* It writes from the loop alone, by itself. */
	bufferevent_disable(s->bev, EV_WRITE);
	out = bufferevent_get_output(s->bev);
	(void)evbuffer_unfreeze(out, 1);
	while (evbuffer_peek(out, -1, NULL, &part, 1) > 0 && part.iov_len > 0) {
		if (s->t.tls != NULL) {
			ERR_clear_error();
			sent = SSL_write(bufferevent_openssl_get_ssl(s->bev), part.iov_base,
					 part.iov_len > INT_MAX ? INT_MAX : (int)part.iov_len);
		} else {
			sent = send(s->fd, part.iov_base, part.iov_len, MSG_NOSIGNAL);
		}
		if (sent <= 0 || evbuffer_drain(out, (size_t)sent) != 0)
			break;
	}
}

const char *
stream_protocol(const struct stream *s)
{
	return s->protocol;
}

/* ---- connecting ---- */

static void try_next(struct stream *s);

static void
begin_bytes(struct stream *s)
{
	SSL *ssl;

	if (s->t.tls == NULL) {
		s->bev = bufferevent_socket_new(s->t.base, s->fd,
						BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	} else {
		ssl = SSL_new(s->t.tls);
		if (ssl != NULL && !expect_host(ssl, s->t.host)) {
			SSL_free(ssl);
			ssl = NULL;
		}
		if (ssl != NULL)
			s->bev = bufferevent_openssl_socket_new(
				s->t.base, s->fd, ssl, BUFFEREVENT_SSL_CONNECTING,
				BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	}
	if (s->bev == NULL) {
		err_set(&s->why, RC_NOMEM, ENOMEM, "stream", "no memory for a connection to %s",
			s->t.host);
		fail(s);
		return;
	}
	bufferevent_setcb(s->bev, on_read, NULL, on_event, s);
	bufferevent_setwatermark(s->bev, EV_READ, 0, s->t.input_max);
	if (s->t.tls == NULL)
		set_up(s);
}

static void
on_connected(evutil_socket_t fd, short what, void *user)
{
	struct stream *s = user;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)what;
	event_free(s->connecting);
	s->connecting = NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error == 0) {
		begin_bytes(s);
		return;
	}
	err_set(&s->why, RC_LOST, error, "stream", "no connection to %s:%s: %s", s->t.host,
		s->t.port, strerror(error));
	close(s->fd);
	s->fd = -1;
	try_next(s);
}

static int
bind_source(const struct stream *s, int fd, int family)
{
	struct sockaddr_storage own;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&own;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&own;

	if (s->t.source == NULL || s->t.source[0] == '\0')
		return 0;
	memset(&own, 0, sizeof own);
	own.ss_family = (sa_family_t)family;
	if (inet_pton(family, s->t.source,
		      family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr) != 1) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	return bind(fd, (struct sockaddr *)&own, family == AF_INET ? sizeof *v4 : sizeof *v6);
}

static void
set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS },
	};
	size_t i;

	/* Each makes a dead peer known earlier; the timers of the protocol find it without. */
	for (i = 0; i < sizeof options / sizeof options[0]; i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof options[i].value);
}

static void
try_next(struct stream *s)
{
	const struct evutil_addrinfo *a;

	while ((a = s->next) != NULL) {
		s->next = a->ai_next;
		s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			       IPPROTO_TCP);
		if (s->fd >= 0 && bind_source(s, s->fd, a->ai_family) == 0) {
			set_options(s->fd);
			if (connect(s->fd, a->ai_addr, (socklen_t)a->ai_addrlen) == 0 ||
			    errno == EINPROGRESS) {
				s->connecting =
					event_new(s->t.base, s->fd, EV_WRITE, on_connected, s);
				if (s->connecting != NULL && event_add(s->connecting, NULL) == 0)
					return;
				errno = ENOMEM;
			}
		}
		err_set(&s->why, RC_LOST, errno, "stream", "no connection to %s:%s: %s", s->t.host,
			s->t.port, strerror(errno));
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
	}
	fail(s);
}

void
stream_names_again(struct evdns_base *dns)
{
	/* What is being looked up waits, and is asked anew. /etc/hosts is left out: it would be
	 * added to what is known of it. */
	evdns_base_clear_nameservers_and_suspend(dns);
	evdns_base_search_clear(dns);
	(void)evdns_base_resolv_conf_parse(
		dns, DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC,
		"/etc/resolv.conf");
	evdns_base_resume(dns);
}

static void
on_addresses(int result, struct evutil_addrinfo *list, void *user)
{
	struct stream *s = user;

	if (result == EVUTIL_EAI_CANCEL)
		return;
	s->lookup = NULL;
	s->addresses = s->next = list;
	if (result != 0 || list == NULL) {
		err_set(&s->why, RC_LOST, result, "stream", "no address for %s: %s", s->t.host,
			result != 0 ? evutil_gai_strerror(result) : "none was told");
		fail(s);
		return;
	}
	try_next(s);
}

enum rc
stream_open(const struct stream_target *t, const struct stream_events *events, void *owner,
	    struct stream **out, struct err *e)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC,
					 .ai_socktype = SOCK_STREAM,
					 .ai_protocol = IPPROTO_TCP };
	struct stream *s = calloc(1, sizeof *s);
	struct evdns_getaddrinfo_request *lookup;

	*out = NULL;
	if (s == NULL)
		return err_set(e, RC_NOMEM, ENOMEM, "stream.open", "no memory");
	s->t = *t;
	s->events = events;
	s->owner = owner;
	s->fd = -1;
	s->timer = evtimer_new(t->base, on_timer, s);
	if (s->timer == NULL) {
		free(s);
		return err_set(e, RC_NOMEM, ENOMEM, "stream.open", "no memory");
	}
	*out = s;
	arm(s->timer, t->connect_timeout_ms);
	/* An address needs no look-up and comes back at once: then nothing is left to cancel. */
	lookup = evdns_getaddrinfo(t->dns, t->host, t->port, &hints, on_addresses, s);
	if (lookup != NULL && s->addresses == NULL && !s->is_down)
		s->lookup = lookup;
	return RC_OK;
}
