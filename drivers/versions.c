#include "config.h"
#include "drivers/versions.h"

#include <stdio.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <libconfig.h>

#ifdef HAVE_MYSQL
#include <mysql.h>
#define MYSQL_VERSION_TEXT() mysql_get_client_info()
#else
#define MYSQL_VERSION_TEXT() "none"
#endif

const char *
versions_text(char *buf, size_t size)
{
	snprintf(buf, size, "%s; libevent %s; jansson %s; libconfig %d.%d.%d; mysql client %s",
		 curl_version(), event_get_version(), JANSSON_VERSION, LIBCONFIG_VER_MAJOR,
		 LIBCONFIG_VER_MINOR, LIBCONFIG_VER_REVISION, MYSQL_VERSION_TEXT());
	return buf;
}
