/* versions.h - which libraries are linked, for --version. Pure; any thread. */
#ifndef MTRELAY_VERSIONS_H
#define MTRELAY_VERSIONS_H
#include <stddef.h>

/* "libcurl/7.88.1 OpenSSL/3.0.19 ...; libevent 2.1.12; ...", of the library loaded where it tells,
 * otherwise of its header; returns buf. */
const char *versions_text(char *buf, size_t size);

#endif
