/* stream.h - one connection of bytes on the loop, TLS or (to loopback only) plain: found, made,
 * verified, written and read.
 *
 * For protocols with long-lived sessions; requests and answers over HTTPS are http.c's. Loop
 * thread. A stream belongs to whoever opened it; down() is the last call back, after it only
 * stream_close() may follow. Nothing is tried again here, and nothing is reconnected. Call backs
 * never come from inside stream_open() or stream_write(). Verification: the chain up to ca_file or
 * the system's authorities and the name or address that was asked for; TLS 1.2 or later. */
#ifndef MTRELAY_STREAM_H
#define MTRELAY_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"

struct event_base;
struct evdns_base;
struct ssl_ctx_st;
struct stream;

struct stream_events {
	void (*up)(void *owner);
	/* Bytes that have come; says how many of them are done with, the others come again with
	 * what follows them. May close the stream. */
	size_t (*data)(void *owner, const unsigned char *p, size_t n);
	/* is_untrusted: no connection in time is not the cause, the peer's certificate is. */
	void (*down)(void *owner, const struct err *why, bool is_untrusted);
};

/* Everything is kept by reference until stream_close(). */
struct stream_target {
	struct event_base *base;
	struct evdns_base *dns;	    /* names are looked up here, never by a blocking call */
	struct ssl_ctx_st *tls;	    /* from stream_tls_new(); NULL: plain */
	const char *host;	    /* name or address */
	const char *port;	    /* digits */
	const char *source;	    /* own address to connect from, NULL or "" any */
	int64_t connect_timeout_ms; /* for all of it: name, TCP and TLS */
	size_t input_max;	    /* bytes that data() may leave over */
};

enum rc stream_tls_new(const char *ca_file, const char *cert_file, const char *key_file,
		       struct ssl_ctx_st **out, struct err *e) MUST_USE;
void stream_tls_free(struct ssl_ctx_st *tls); /* NULL is allowed */

/* Reads /etc/resolv.conf again: for a machine that had no network at its start, or has another one
 * now. */
void stream_names_again(struct evdns_base *dns);

enum rc stream_open(const struct stream_target *t, const struct stream_events *events, void *owner,
		    struct stream **out, struct err *e) MUST_USE;
/* All of it goes out in order, as fast as the peer takes it. RC_NOMEM: nothing was taken. */
enum rc stream_write(struct stream *s, const void *p, size_t n, struct err *e) MUST_USE;
/* Bytes written and not yet handed to TLS or the kernel. */
size_t stream_unsent(const struct stream *s);
/* "TLSv1.3", "plain", "" while not up. */
const char *stream_protocol(const struct stream *s);
/* Hands over what the socket takes at once, for a peer that is to know why it ends. Only
 * stream_close() may follow. */
void stream_flush(struct stream *s);
/* Ends it at once; a TLS close is sent when the socket takes it. No call back. NULL is allowed. */
void stream_close(struct stream *s);

#endif
