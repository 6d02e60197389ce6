/* Own descriptor: those that the shim holds. The program may neither close nor replace them; where
 * it wants their very number (dup2 onto it) the shim moves out of its way. Used by base/output.c
 * and heap/back_end.c, asked by the hooks. Async-signal-safe; adding happens at start. */
#ifndef OUTLIVE_BASE_OWN_DESCRIPTOR_H
#define OUTLIVE_BASE_OWN_DESCRIPTOR_H

#include <stdbool.h>

/* *number, where it is not negative, is the shim's for as long as the process lives. */
void own_descriptor_add(int *number);
bool own_descriptor_is(int number);
/* Whoever holds that number holds another one afterwards, or -1. */
void own_descriptor_yield(int number);

/* A duplicate, closed on exec, or -1. Low numbers belong to the program: some hand them out by
 * position, or use them with select(). */
int own_descriptor_duplicate(int number);

#endif
