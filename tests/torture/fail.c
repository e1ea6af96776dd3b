#include "config.h"
#include <curl/curl.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>
#include "tests/torture/fail.h"

#define LIVE_MAX (1u << 17)

static atomic_ulong calls[FAIL_KINDS];
static atomic_int armed_kind = FAIL_KINDS;
static atomic_ulong armed_at;
static atomic_bool armed_later, came;
static atomic_uint armed_how;
static const char *_Atomic what = "";

void
fail_at(enum fail_kind kind, unsigned long nth, bool later, unsigned how)
{
	atomic_store(&armed_kind, FAIL_KINDS);
	for (int i = 0; i < FAIL_KINDS; i++)
		atomic_store(&calls[i], 0);
	atomic_store(&armed_at, nth);
	atomic_store(&armed_later, later);
	atomic_store(&armed_how, how);
	atomic_store(&came, false);
	if (nth != 0)
		atomic_store(&armed_kind, (int)kind);
}

bool
fail_came(void)
{
	return atomic_load(&came);
}

unsigned long
fail_calls(enum fail_kind kind)
{
	return atomic_load(&calls[kind]);
}

const char *
fail_what(void)
{
	return atomic_load(&what);
}

static bool
now(enum fail_kind kind, const char *name)
{
	unsigned long n = atomic_fetch_add(&calls[kind], 1) + 1;

	if (atomic_load(&armed_kind) != (int)kind ||
	    (n != atomic_load(&armed_at) &&
	     !(atomic_load(&armed_later) && n > atomic_load(&armed_at))))
		return false;
	atomic_store(&came, true);
	atomic_store(&what, name);
	return true;
}

/* ---- by the environment ---- */

static void
write_counts(void)
{
	const char *path = getenv("MTRELAY_TORTURE_COUNT");
	FILE *f;

	atomic_store(&armed_kind, FAIL_KINDS);
	f = path != NULL ? fopen(path, "a") : NULL;
	if (f == NULL)
		return;
	fprintf(f, "%lu %lu %lu %d %s\n", fail_calls(FAIL_ALLOC), fail_calls(FAIL_SYSTEM),
		fail_calls(FAIL_LIBRARY), fail_came(), fail_what());
	fclose(f);
}

__attribute__((constructor)) static void
read_environment(void)
{
	const char *order = getenv("MTRELAY_TORTURE"), *at;
	char *end;
	unsigned long nth;

	if (getenv("MTRELAY_TORTURE_COUNT") != NULL)
		atexit(write_counts);
	if (order == NULL || (at = strchr(order, ':')) == NULL)
		return;
	nth = strtoul(at + 1, &end, 10);
	fail_at(order[0] == 'a'	  ? FAIL_ALLOC
		: order[0] == 's' ? FAIL_SYSTEM
				  : FAIL_LIBRARY,
		nth, *end == '+',
		(at = strchr(end, ':')) != NULL ? (unsigned)strtoul(at + 1, NULL, 10) : 0);
}

/* ---- the end by own choice ---- */

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);

_Noreturn void
__wrap_abort(void)
{
	if (!fail_came())
		__real_abort();
	write_counts();
	__real__exit(FAIL_OWN_END);
}

/* The way past atexit(). */
_Noreturn void
__wrap__exit(int status)
{
	write_counts();
	__real__exit(status);
}

/* ---- allocations ---- */

static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static void *live[LIVE_MAX];
static size_t live_count;

#define GONE ((void *)&live_count)

static void
born(void *p)
{
	size_t i = (uintptr_t)p / 16 * 2654435761u % LIVE_MAX;

	if (p == NULL)
		return;
	pthread_mutex_lock(&live_lock);
	while (live[i] != NULL && live[i] != GONE)
		i = (i + 1) % LIVE_MAX;
	live[i] = p;
	live_count++;
	pthread_mutex_unlock(&live_lock);
}

/* Memory that a library allocated is not known here. */
static void
died(const void *p)
{
	size_t i = (uintptr_t)p / 16 * 2654435761u % LIVE_MAX;

	if (p == NULL)
		return;
	pthread_mutex_lock(&live_lock);
	while (live[i] != NULL && live[i] != p)
		i = (i + 1) % LIVE_MAX;
	if (live[i] == p) {
		live[i] = live[(i + 1) % LIVE_MAX] == NULL ? NULL : GONE;
		live_count--;
	}
	pthread_mutex_unlock(&live_lock);
}

size_t
fail_live(void)
{
	size_t n;

	pthread_mutex_lock(&live_lock);
	n = live_count;
	pthread_mutex_unlock(&live_lock);
	return n;
}

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(void *, malloc, size_t n)
{
	void *p;

	if (now(FAIL_ALLOC, "malloc")) {
		errno = ENOMEM;
		return NULL;
	}
	p = __real_malloc(n);
	born(p);
	return p;
}

WRAP(void *, calloc, size_t n, size_t size)
{
	void *p;

	if (now(FAIL_ALLOC, "calloc")) {
		errno = ENOMEM;
		return NULL;
	}
	p = __real_calloc(n, size);
	born(p);
	return p;
}

WRAP(void *, realloc, void *p, size_t n)
{
	void *more;

	if (now(FAIL_ALLOC, "realloc")) {
		errno = ENOMEM;
		return NULL;
	}
	died(p);
	more = __real_realloc(p, n);
	born(more);
	return more;
}

WRAP(char *, strdup, const char *s)
{
	char *p;

	if (now(FAIL_ALLOC, "strdup")) {
		errno = ENOMEM;
		return NULL;
	}
	p = __real_strdup(s);
	born(p);
	return p;
}

WRAP(void, free, void *p)
{
	died(p);
	__real_free(p);
}

/* ---- objects of libraries ---- */

/* jansson's reader and libevent's buffers do not survive every failure of their own allocations
 * (2.14, 2.1.12), so it is their functions that fail here. */
WRAP(json_t *, json_loadb, const char *p, size_t n, size_t flags, json_error_t *e)
{
	if (!now(FAIL_LIBRARY, "json_loadb"))
		return __real_json_loadb(p, n, flags, e);
	if (e != NULL)
		memset(e, 0, sizeof *e);
	return NULL;
}

WRAP(char *, json_dumps, const json_t *root, size_t flags)
{
	return now(FAIL_LIBRARY, "json_dumps") ? NULL : __real_json_dumps(root, flags);
}

WRAP(json_t *, json_object, void)
{
	return now(FAIL_LIBRARY, "json_object") ? NULL : __real_json_object();
}

WRAP(json_t *, json_array, void)
{
	return now(FAIL_LIBRARY, "json_array") ? NULL : __real_json_array();
}

WRAP(json_t *, json_string, const char *p)
{
	return now(FAIL_LIBRARY, "json_string") ? NULL : __real_json_string(p);
}

WRAP(json_t *, json_stringn, const char *p, size_t n)
{
	return now(FAIL_LIBRARY, "json_stringn") ? NULL : __real_json_stringn(p, n);
}

WRAP(json_t *, json_integer, json_int_t v)
{
	return now(FAIL_LIBRARY, "json_integer") ? NULL : __real_json_integer(v);
}

json_t *__wrap_json_pack(const char *fmt, ...);

json_t *
__wrap_json_pack(const char *fmt, ...)
{
	va_list ap;
	json_t *root;

	va_start(ap, fmt);
	root = json_vpack_ex(NULL, 0, fmt,
			     ap); /* what it was given is its own, also when it fails */
	va_end(ap);
	if (now(FAIL_LIBRARY, "json_pack")) {
		json_decref(root);
		return NULL;
	}
	return root;
}

WRAP(struct event *, event_new, struct event_base *base, evutil_socket_t fd, short on,
     event_callback_fn fn, void *arg)
{
	return now(FAIL_LIBRARY, "event_new") ? NULL : __real_event_new(base, fd, on, fn, arg);
}

WRAP(struct bufferevent *, bufferevent_socket_new, struct event_base *base, evutil_socket_t fd,
     int options)
{
	return now(FAIL_LIBRARY, "bufferevent_socket_new")
		       ? NULL
		       : __real_bufferevent_socket_new(base, fd, options);
}

WRAP(struct evconnlistener *, evconnlistener_new_bind, struct event_base *base,
     evconnlistener_cb cb, void *arg, unsigned flags, int backlog, const struct sockaddr *sa,
     int len)
{
	if (now(FAIL_LIBRARY, "evconnlistener_new_bind")) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_evconnlistener_new_bind(base, cb, arg, flags, backlog, sa, len);
}

WRAP(char *, evbuffer_readln, struct evbuffer *b, size_t *n, enum evbuffer_eol_style eol)
{
	return now(FAIL_LIBRARY, "evbuffer_readln") ? NULL : __real_evbuffer_readln(b, n, eol);
}

WRAP(CURL *, curl_easy_init, void)
{
	return now(FAIL_LIBRARY, "curl_easy_init") ? NULL : __real_curl_easy_init();
}

WRAP(CURLM *, curl_multi_init, void)
{
	return now(FAIL_LIBRARY, "curl_multi_init") ? NULL : __real_curl_multi_init();
}

WRAP(struct curl_slist *, curl_slist_append, struct curl_slist *list, const char *text)
{
	return now(FAIL_LIBRARY, "curl_slist_append") ? NULL : __real_curl_slist_append(list, text);
}

/* ---- system calls ---- */

/* Stands for a write that took half of it. */
#define EHALF 4095

/* Which of the ways it fails in this time; 0: it does not. */
#define ERR(...) \
	one_of((const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static int
one_of(const int *list, size_t n)
{
	int error = list[atomic_load(&armed_how) % n];

	/* A signal does not interrupt the same call for ever. */
	if ((error == EINTR || error == EHALF) && atomic_load(&armed_later) &&
	    (fail_calls(FAIL_SYSTEM) - atomic_load(&armed_at)) % 2 == 1)
		return 0;
	return error;
}

#define FAILS(name, ...)                                               \
	if (now(FAIL_SYSTEM, name) && (errno = ERR(__VA_ARGS__)) != 0) \
	return -1

WRAP(int, open, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	FAILS("open", EMFILE, EIO, EINTR, ENOSPC);
	return __real_open(path, flags, mode);
}

WRAP(int, openat, int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	FAILS("openat", EMFILE, EIO, EINTR, ENOSPC);
	return __real_openat(dir, path, flags, mode);
}

WRAP(FILE *, fopen, const char *path, const char *mode)
{
	if (now(FAIL_SYSTEM, "fopen")) {
		errno = ERR(EMFILE, EIO, ENOMEM);
		return NULL;
	}
	return __real_fopen(path, mode);
}

WRAP(ssize_t, read, int fd, void *p, size_t n)
{
	FAILS("read", EIO, EINTR, EIO, EINTR);
	return __real_read(fd, p, n);
}

WRAP(ssize_t, pread, int fd, void *p, size_t n, off_t at)
{
	FAILS("pread", EIO, EINTR);
	return __real_pread(fd, p, n, at);
}

WRAP(ssize_t, write, int fd, const void *p, size_t n)
{
	int error = now(FAIL_SYSTEM, "write") ? ERR(ENOSPC, EIO, EINTR, EHALF) : 0;

	if (error == EHALF) {
		n = n > 1 ? n / 2 : n;
	} else if (error != 0) {
		errno = error;
		return -1;
	}
	return __real_write(fd, p, n);
}

WRAP(ssize_t, pwrite, int fd, const void *p, size_t n, off_t at)
{
	FAILS("pwrite", ENOSPC, EIO);
	return __real_pwrite(fd, p, n, at);
}

WRAP(int, fsync, int fd)
{
	FAILS("fsync", EIO, ENOSPC);
	return __real_fsync(fd);
}

WRAP(int, fdatasync, int fd)
{
	FAILS("fdatasync", EIO, ENOSPC);
	return __real_fdatasync(fd);
}

WRAP(int, renameat, int from_dir, const char *from, int to_dir, const char *to)
{
	FAILS("renameat", EIO, ENOSPC);
	return __real_renameat(from_dir, from, to_dir, to);
}

WRAP(int, posix_fallocate, int fd, off_t at, off_t n)
{
	if (now(FAIL_SYSTEM, "posix_fallocate"))
		return ERR(ENOSPC, EIO);
	return __real_posix_fallocate(fd, at, n);
}

WRAP(int, ftruncate, int fd, off_t n)
{
	FAILS("ftruncate", EIO, ENOSPC);
	return __real_ftruncate(fd, n);
}

WRAP(int, flock, int fd, int how)
{
	FAILS("flock", ENOLCK, EINTR);
	return __real_flock(fd, how);
}

WRAP(void *, mmap, void *at, size_t n, int prot, int flags, int fd, off_t from)
{
	if (now(FAIL_SYSTEM, "mmap")) {
		errno = ERR(ENOMEM, EIO);
		return MAP_FAILED;
	}
	return __real_mmap(at, n, prot, flags, fd, from);
}

WRAP(void *, fdopendir, int fd)
{
	if (now(FAIL_SYSTEM, "fdopendir")) {
		errno = ERR(ENOMEM);
		return NULL;
	}
	return __real_fdopendir(fd);
}

WRAP(void *, readdir, void *d)
{
	if (now(FAIL_SYSTEM, "readdir")) {
		errno = ERR(EIO);
		return NULL;
	}
	return __real_readdir(d);
}

WRAP(int, socket, int domain, int type, int protocol)
{
	FAILS("socket", EMFILE, ENOMEM);
	return __real_socket(domain, type, protocol);
}

WRAP(int, connect, int fd, const struct sockaddr *sa, socklen_t n)
{
	FAILS("connect", ECONNREFUSED, EINTR, ETIMEDOUT);
	return __real_connect(fd, sa, n);
}

WRAP(ssize_t, sendto, int fd, const void *p, size_t n, int flags, const struct sockaddr *sa,
     socklen_t len)
{
	FAILS("sendto", ENOBUFS, EINTR);
	return __real_sendto(fd, p, n, flags, sa, len);
}

WRAP(int, eventfd, unsigned value, int flags)
{
	FAILS("eventfd", EMFILE, ENOMEM);
	return __real_eventfd(value, flags);
}

WRAP(int, fcntl, int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	FAILS("fcntl", EMFILE);
	return __real_fcntl(fd, cmd, arg);
}

WRAP(ssize_t, getrandom, void *p, size_t n, unsigned flags)
{
	FAILS("getrandom", EINTR, ENOSYS);
	return __real_getrandom(p, n, flags);
}

WRAP(int, pthread_create, pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
     void *arg)
{
	if (now(FAIL_SYSTEM, "pthread_create"))
		return ERR(EAGAIN);
	return __real_pthread_create(out, attr, run, arg);
}
