/* smpp_session.h - one SMPP connection: found, bound, kept alive, its window, its end; and made
 * again.
 *
 * Loop thread. A session belongs to the channel that opened it and calls back only from the loop
 * and from smpp_session_tick(), never from inside another call; smpp_session_free() is not allowed
 * in a call back. Each request that was handed over comes back once: by answer(), or by gone() when
 * no definite answer will come on this connection. Milliseconds of the monotonic clock.
 * Source: SMPP 3.4 2.2 to 2.9, 4.1, 4.2, 4.11, 7.2. */
#ifndef MTRELAY_SMPP_SESSION_H
#define MTRELAY_SMPP_SESSION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/channel/smpp_pdu.h"
#include "drivers/channel/smpp_setup.h"

struct event_base;
struct evdns_base;
struct smpp_session;

enum smpp_role { SMPP_TRANSCEIVER, SMPP_TRANSMITTER, SMPP_RECEIVER };
enum smpp_session_state {
	SMPP_SESSION_DOWN, /* waits for the next try */
	SMPP_SESSION_CONNECTING,
	SMPP_SESSION_BINDING,
	SMPP_SESSION_BOUND,
	SMPP_SESSION_ENDING, /* nothing new; what is under way is answered, then unbind */
};

struct smpp_session_events {
	void (*bound)(void *owner, struct smpp_session *s);
	/* The answer to request; pdu is borrowed. */
	void (*answer)(void *owner, struct smpp_session *s, void *request,
		       const struct smpp_pdu *pdu);
	/* No answer came in time, or what came could not be read, or the connection ended. sequence
	 * is 0 when no answer can come any more, else for smpp_session_expect_late(). */
	void (*gone)(void *owner, struct smpp_session *s, void *request, uint32_t sequence);
	/* The answer to a request that is gone. */
	void (*late)(void *owner, struct smpp_session *s, const char *client_key,
		     const struct smpp_pdu *pdu);
	/* A deliver_sm or data_sm; to be answered by smpp_session_confirm(). */
	void (*deliver)(void *owner, struct smpp_session *s, const struct smpp_pdu *pdu);
	/* Everything that had come was worked on. */
	void (*rest)(void *owner, struct smpp_session *s);
	/* is_refused: an operator must act. retry_ms: until the next try. */
	void (*down)(void *owner, struct smpp_session *s, const struct err *why, bool is_refused,
		     int64_t retry_ms);
};

/* All kept by reference. */
struct smpp_session_env {
	struct event_base *base;
	struct evdns_base *dns;
	const struct smpp_setup *setup;
	const struct smpp_session_events *events;
	void *owner;
};

/* The first try comes with the next tick. NULL: no memory. */
struct smpp_session *smpp_session_new(const struct smpp_session_env *env, enum smpp_role role);
/* Ends it at once, without call backs: what was handed over is the caller's again. */
void smpp_session_free(struct smpp_session *s);

/* Ends it for good; what was handed over comes back by gone(). */
void smpp_session_abandon(struct smpp_session *s);

/* Timers; about every smpp_session_tick_ms(). is_late: the loop stood still, answers may wait in
 * the socket: nothing is given up by its age this time. */
void smpp_session_tick(struct smpp_session *s, int64_t now_ms, bool is_late);
int64_t smpp_session_tick_ms(const struct smpp_setup *setup);

enum smpp_session_state smpp_session_state(const struct smpp_session *s);
/* May requests be sent on it at all? */
bool smpp_session_sends(const struct smpp_session *s);
/* Requests that fit into the window now. */
unsigned smpp_session_room(const struct smpp_session *s);
unsigned smpp_session_outstanding(const struct smpp_session *s);
/* The centre said that it knows optional parameters (interface version 3.4). */
bool smpp_session_takes_tlvs(const struct smpp_session *s);
/* Sends a request with the next sequence number. RC_LOST, RC_NOMEM: not a byte of it was taken. */
enum rc smpp_session_submit(struct smpp_session *s, struct smpp_pdu *pdu, void *request,
			    struct err *e) MUST_USE;
/* In gone() alone. */
void smpp_session_expect_late(struct smpp_session *s, uint32_t sequence, const char *client_key);
/* Answers the request with that sequence, if it came on the present connection. */
void smpp_session_confirm(struct smpp_session *s, uint64_t connection, uint32_t command,
			  uint32_t sequence, uint32_t status);
/* Tells connections of one session apart. */
uint64_t smpp_session_connection(const struct smpp_session *s);
/* No new work: answers are waited for a moment, then unbind. It stays down. */
void smpp_session_end(struct smpp_session *s);
/* This bind is of no use any more: ends it and binds anew. */
void smpp_session_rebind(struct smpp_session *s, const struct err *why);
/* "smsc1:3550", "TLSv1.3", name that the centre gave itself; "" while not bound. */
const char *smpp_session_peer(const struct smpp_session *s);
const char *smpp_session_protocol(const struct smpp_session *s);
const char *smpp_session_centre(const struct smpp_session *s);

#endif
