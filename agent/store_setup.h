/* store_setup.h - from the configuration to what the store needs, with the database's password read
 * from its file.
 *
 * Used by mtrelayd and mtrelayctl. The setup owns the password, which it keeps for reconnects and
 * wipes at the end; everything else points into the configuration, which must outlive it. */
#ifndef MTRELAY_STORE_SETUP_H
#define MTRELAY_STORE_SETUP_H
#include "agent/conf.h"
#include "agent/store.h"

struct store_setup {
	struct store_config cfg;
	char password[256];
};

/* Also runs the client library's process_init(). RC_CONFIG: unknown driver, unreadable password
 * file. */
enum rc store_setup(struct store_setup *s, const struct conf *c, struct err *e) MUST_USE;
void store_setup_free(struct store_setup *s);

#endif
