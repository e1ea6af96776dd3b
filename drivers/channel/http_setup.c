#include "config.h"
#include "drivers/channel/http_setup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "agent/conf.h"

#define AGENT_NAME "mtrelay/" PACKAGE_VERSION

/* --- addresses and options --- */

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
	return err_set(e, RC_CONFIG, errno, "http.open", "channel %s: %s %s cannot be read: %s",
		       cf->name, option, path, strerror(errno));
}

enum rc
http_check_options(const struct conf_channel *cf, char *peer, size_t size, struct err *e)
{
	struct address a;
	struct address proxy;
	const char *wrong;
	enum rc rc;

	if (!is_set(cf->url))
		return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: url is not set",
			       cf->name);
	wrong = split_url(cf->url, &a);
	if (wrong != NULL)
		return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: url %s", cf->name, wrong);
	if (!a.tls && !literal_loopback(a.host))
		return err_set(e, RC_CONFIG, 0, "http.open",
			       "channel %s: url is plain http to %s; beyond 127.0.0.1 and [::1] it "
			       "must be https",
			       cf->name, a.host);
	if (is_set(cf->proxy)) {
		wrong = split_url(cf->proxy, &proxy);
		if (wrong == NULL && (proxy.tls || proxy.path))
			wrong = "must be http://host:port (TLS to the provider goes through it)";
		if (wrong == NULL && !a.tls)
			wrong = "cannot be used with a plain http url";
		if (wrong != NULL)
			return err_set(e, RC_CONFIG, 0, "http.open", "channel %s: proxy %s",
				       cf->name, wrong);
	}
	if (is_set(cf->cert_file) != is_set(cf->key_file))
		return err_set(e, RC_CONFIG, 0, "http.open",
			       "channel %s: cert_file and key_file belong together", cf->name);
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

CURLcode
http_set_common(CURL *easy, const struct conf_channel *cf, char *errbuf)
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
		{ CURLOPT_PROXY,
		  is_set(cf->proxy) ? cf->proxy : "" }, /* "" also keeps the environment out */
		{ CURLOPT_NOPROXY, "" },
		{ CURLOPT_ERRORBUFFER, errbuf },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		r = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
		/* A libcurl without HTTP/2 is good enough unless HTTP/2 was asked for. */
		if (r != CURLE_OK && numbers[i].option == CURLOPT_HTTP_VERSION &&
		    cf->http_version == CONF_HTTP_AUTO)
			r = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
					     (long)CURL_HTTP_VERSION_1_1);
		if (bad == CURLE_OK)
			bad = r;
	}
	for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
		r = curl_easy_setopt(easy, strings[i].option, strings[i].value);
		if (bad == CURLE_OK)
			bad = r;
	}
	if (is_set(cf->ca_file)) {
		/* Only these authorities: without the second line libcurl would trust the system's
		 * too. */
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

CURLcode
http_set_url(CURL *easy, const struct conf_channel *cf, const char *path)
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

struct curl_slist *
http_make_headers(const char *authorization, bool post)
{
	const char *lines[] = {
		authorization,
		"Accept: application/json",
		/* Waiting for "100 Continue" is a second way to send twice. */
		"Expect:",
		post ? "Content-Type: application/json" : NULL,
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

void
http_free_headers(struct curl_slist *list)
{
	for (struct curl_slist *s = list; s != NULL; s = s->next)
		conf_secret_wipe(s->data, strlen(s->data));
	curl_slist_free_all(list);
}

/* --- sentences --- */

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
		return "its certificate was signed by an authority that ca_file or the system does "
		       "not know";
	case X509_V_ERR_CERT_REVOKED:
		return "its certificate was revoked";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return "the key of its certificate or authority is too weak";
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "the signature of its certificate is too weak";
	case X509_V_ERR_INVALID_PURPOSE:
		return "its certificate is not one for a server";
	case X509_V_ERR_INVALID_CA:
		return "its certificate was signed by one that may not sign others";
	default:
		return NULL;
	}
}

/* A TLS failure that the other side or a setting causes again and again, NULL for what may pass by
 * itself. */
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
		{ "certificate required",
		  "it asks for a client certificate: set cert_file and key_file" },
		{ "bad certificate", "it refuses our client certificate (cert_file)" },
		{ "alert unknown ca",
		  "it does not know the authority of our client certificate (cert_file)" },
		{ "certificate unknown", "it refuses our client certificate (cert_file)" },
		{ "alert handshake failure",
		  "it refuses the handshake (a client certificate or cipher is missing)" },
		{ "dh key too small", "its keys are too weak" },
		{ "ee key too small", "its certificate's key is too weak" },
		{ "ca md too weak", "its certificate's signature is too weak" },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strstr(text, known[i].part) != NULL)
			return known[i].says;
	return NULL;
}

void
http_explain(const struct conf_channel *cf, const char *peer, CURL *easy, CURLcode r,
	     const char *errbuf, struct http_answer *a)
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
		err_set(&a->err, RC_CONFIG, (int)r, "http", "%s is not trusted: %s", peer,
			fault != NULL ? fault : text);
		return;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_ENGINE_NOTFOUND:
		a->unreachable = a->untrusted = true;
		err_set(&a->err, RC_CONFIG, (int)r, "http",
			"channel %s: ca_file, cert_file or key_file cannot be used: %s", cf->name,
			text);
		return;
	case CURLE_SSL_CONNECT_ERROR:
		a->unreachable = true;
		a->untrusted = fault != NULL;
		if (fault == NULL && strstr(text, "SSL_ERROR_SYSCALL") != NULL)
			text = "it broke the handshake off; perhaps it does not speak TLS 1.2 or "
			       "newer, or wants a client "
			       "certificate";
		err_set(&a->err, fault != NULL ? RC_CONFIG : RC_LOST, (int)r, "http",
			"no TLS with %s: %s", peer, fault != NULL ? fault : text);
		return;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		a->unreachable = true;
		err_set(&a->err, RC_LOST, (int)r, "http",
			"no address for the host of %s: check url, proxy and the name service",
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
		err_set(&a->err, RC_UNSURE, (int)r, "http", "no whole answer from %s: %s", peer,
			text);
	}
}
