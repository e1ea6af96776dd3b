#include "config.h"
#include "drivers/channel/channel.h"

#include <string.h>
#include "drivers/channel/drivers.h"

static const struct channel_driver *const drivers[] = { &channel_infobip, &channel_smpp,
							&channel_null };

const struct channel_driver *
channel_driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const char *
channel_driver_names(void)
{
	return "infobip, smpp, null";
}

const char *
channel_state_name(enum channel_state s)
{
	switch (s) {
	case CHANNEL_STARTING:
		return "STARTING";
	case CHANNEL_UP:
		return "UP";
	case CHANNEL_THROTTLED:
		return "THROTTLED";
	case CHANNEL_DOWN:
		return "DOWN";
	case CHANNEL_REFUSED:
		return "REFUSED";
	}
	return "?";
}
