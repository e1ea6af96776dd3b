/* http_setup.h - how http.c sets libcurl up, and what it says about a request that failed.
 *
 * Internal to http.c. Loop thread; stateless. */
#ifndef MTRELAY_HTTP_SETUP_H
#define MTRELAY_HTTP_SETUP_H
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include "agent/err.h"
#include "drivers/channel/http.h"

/* Whatever can be told wrong without a connection; writes "host:port" to peer. */
enum rc http_check_options(const struct conf_channel *cf, char *peer, size_t size, struct err *e)
	MUST_USE;
/* What every handle has. Returns the first refusal of libcurl. */
CURLcode http_set_common(CURL *easy, const struct conf_channel *cf, char *errbuf) MUST_USE;
CURLcode http_set_url(CURL *easy, const struct conf_channel *cf, const char *path) MUST_USE;
/* NULL without memory. */
struct curl_slist *http_make_headers(const char *authorization, bool post);
/* Wipes them, as one holds the key. NULL is allowed. */
void http_free_headers(struct curl_slist *list);
/* Says in a what the end r of a request that was not answered means; a->fate is set. */
void http_explain(const struct conf_channel *cf, const char *peer, CURL *easy, CURLcode r,
		  const char *errbuf, struct http_answer *a);

#endif
