/* registry.h - how a driver that is not part of the product (mem.c) gets into the list.
 *
 * Main thread, before any session is opened. d must live for ever. */
#ifndef MTRELAY_REGISTRY_H
#define MTRELAY_REGISTRY_H
#include "drivers/db/db.h"

void db_driver_add(const struct db_driver *d);

#endif
