/* control.h - the local socket by which mtrelayctl talks to the running agent.
 *
 * One request a connection: a line of words ("pause infobip"), then one JSON object as the answer
 * and the end:
 *   {"ok": true, ...} or {"ok": false, "error": "sentence"}
 * The words stand in agent/control.def. The socket is 0660: who may use it is decided by its user,
 * its group and the folder it lies in. Requests are at most 512 bytes and must be complete within 5
 * seconds. Loop thread only. */
#ifndef MTRELAY_CONTROL_H
#define MTRELAY_CONTROL_H
#include "agent/err.h"

struct control;
struct event_base;
struct relay;

/* RC_CONFIG when the path cannot be used; a socket that nobody listens on is replaced. */
enum rc control_open(struct relay *r, struct event_base *base, const char *path,
		     struct control **out, struct err *e) MUST_USE;
void control_close(struct control *c); /* removes the socket; NULL is allowed */

#endif
