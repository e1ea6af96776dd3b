/* http.h - what HTTPS channels share: requests over libcurl on the event loop.
 *
 * Owns one curl multi handle, its connections and a pool of easy handles. Loop thread only
 * (http_once() blocks and is for mtrelayctl). TLS 1.2 or newer with verified certificate and host
 * name; plain HTTP to a literal loopback address only; no redirect, no Expect, no environment
 * proxy. Milliseconds throughout.
 *
 * The witness. libcurl sends a POST a second time by itself when a kept connection dies before the
 * answer begins (seen on 7.88; CURLOPT_PREREQFUNCTION since 7.80 is called before each of them).
 * The first call asks leaving(), which is the last moment before bytes may leave; a second call is
 * refused, and the request ends as HTTP_MAYBE_SENT. Where libcurl has no such call
 * (HAVE_CURLOPT_PREREQFUNCTION), the body is read by a callback whose first call is the witness and
 * which gives nothing to a second connection.
 *
 * leaving() must not call back into this module; done() may start requests, but not close. */
#ifndef MTRELAY_HTTP_H
#define MTRELAY_HTTP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "agent/err.h"

struct conf_channel;
struct event_base;
struct http;
struct http_call;

enum http_fate {
	HTTP_ANSWERED,	 /* whole answer read: status and body count */
	HTTP_NOT_SENT,	 /* proof that not a byte of the request was written */
	HTTP_MAYBE_SENT, /* neither */
};

struct http_answer {
	enum http_fate fate;
	bool held;	  /* NOT_SENT because leaving() said no */
	bool unreachable; /* no name, no connection, no TLS: nobody was asked */
	bool untrusted; /* certificate, host name, TLS version, our own files: somebody must act */
	int status;	/* 0: none was seen */
	const char *
		body; /* borrowed until done() returns; without ANSWERED what came before the cut */
	size_t body_n;
	int64_t retry_after_ms; /* -1: not told */
	struct err err;		/* why, without ANSWERED */
};

struct http_request {
	const char *path; /* with query; copied */
	const char *body; /* NULL: GET. Kept by reference until done() */
	size_t body_n;
	size_t answer_max;	    /* a longer answer is cut off and counts as none */
	bool (*leaving)(void *arg); /* POST only */
	void (*done)(void *arg, const struct http_answer *a);
	void *arg;
};

struct http_stats {
	uint64_t started;
	uint64_t answered;
	uint64_t not_sent;
	uint64_t maybe_sent;
	uint64_t vetoed;      /* silent second sendings prevented */
	uint64_t connections; /* opened */
	int version;	      /* of the last answer: 11, 20; 0 none yet */
};

/* cf is kept by reference. authorization is the whole header line; it is copied, and wiped by
 * http_close(). RC_CONFIG: one sentence about the option that is wrong. */
enum rc http_open(struct event_base *base, const struct conf_channel *cf, const char *authorization,
		  struct http **out, struct err *e) MUST_USE;
/* RC_OK: done() will be called once, later. *out is for http_cancel() and dies with done(). */
enum rc http_start(struct http *h, const struct http_request *r, struct http_call **out,
		   struct err *e) MUST_USE;
/* Ends the call without done(); its bytes may have left if leaving() said yes. */
void http_cancel(struct http_call *c);
const struct http_stats *http_stats(const struct http *h);
/* "host:port" as the sentences name it. */
const char *http_peer(const struct http *h);
void http_close(struct http *h);

/* One blocking GET. The body is copied into buf (cut and ended with a NUL); a->body is not set. tls
 * gets the words "TLSv1.3" or "no TLS". */
enum rc http_once(const struct conf_channel *cf, const char *authorization, const char *path,
		  char *buf, size_t size, struct http_answer *a, char tls[16], struct err *e)
	MUST_USE;

#endif
