/* first.h - the first process of a container. */
#ifndef AG_FIRST_H
#define AG_FIRST_H

/* Where we are process 1: a child goes on as the agent, and here remains what a first process is for. It
 * buries whoever ends without a parent, hands signals on, and ends as the agent does. So what others leave behind
 * in the container does not come to the agent, which takes the orphans that it gets for the application's.
 * Returns in whoever is to be the agent. */
void ag_first_split(void);

#endif
