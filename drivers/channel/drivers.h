/* drivers.h - the channel drivers that are compiled in, for the registry and for the drivers
 * themselves. */
#ifndef MTRELAY_DRIVERS_H
#define MTRELAY_DRIVERS_H
#include "drivers/channel/channel.h"

extern const struct channel_driver channel_infobip;
extern const struct channel_driver channel_null;
extern const struct channel_driver channel_smpp;

#endif
