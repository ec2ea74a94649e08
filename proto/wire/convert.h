/* convert.h - between the cores' plain structs and the wire's messages.
 * To the wire: returns a packed frame (length and Envelope) in fresh memory, *ret_size its bytes.
 * From the wire: -1 when a text is longer than its field or a name is not a name: a peer that sends
 * such a thing is broken, and is told so. */
#ifndef FM_WIRE_CONVERT_H
#define FM_WIRE_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/ask.h"
#include "wire/facts.h"

struct Fermata__AgentAsk;
struct Fermata__AgentReport;
struct Fermata__GateAsk;
struct Fermata__GateReport;
struct Fermata__NodeFacts;

/* With the salt of the digests (NULL: none), and with the facts (NULL: none) that it is for. */
uint8_t *fm_agent_ask_pack_salted(const struct fm_agent_ask *ask, const char *salt,
				  size_t *ret_size);
uint8_t *fm_agent_report_pack_with(const struct fm_agent_report *report,
				   const struct fm_node_facts *facts, size_t *ret_size);
uint8_t *fm_agent_ask_pack(const struct fm_agent_ask *ask, size_t *ret_size);
uint8_t *fm_agent_report_pack(const struct fm_agent_report *report, size_t *ret_size);
uint8_t *fm_gate_ask_pack(const struct fm_gate_ask *ask, size_t *ret_size);
uint8_t *fm_gate_report_pack(const struct fm_gate_report *report, size_t *ret_size);

/* The message alone, as a gate keeps it: into dst of size bytes. Returns how many, 0: no room. */
size_t fm_gate_ask_put(const struct fm_gate_ask *ask, uint8_t *dst, size_t size);

int fm_agent_ask_from(const struct Fermata__AgentAsk *msg, struct fm_agent_ask *ret,
		      struct fm_err *err);
int fm_agent_report_from(const struct Fermata__AgentReport *msg, struct fm_agent_report *ret,
			 struct fm_err *err);
/* Into ret, which is known then. */
int fm_node_facts_from(const struct Fermata__NodeFacts *msg, struct fm_node_facts *ret,
		       struct fm_err *err);
int fm_gate_ask_from(const struct Fermata__GateAsk *msg, struct fm_gate_ask *ret,
		     struct fm_err *err);
int fm_gate_report_from(const struct Fermata__GateReport *msg, struct fm_gate_report *ret,
			struct fm_err *err);

#endif
