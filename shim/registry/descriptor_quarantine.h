/* Descriptor quarantine: numbers of closed descriptors that are kept from reuse. Where a file was,
 * a stand-in takes its number in the same step (dup3 of an O_PATH descriptor): reads, writes and
 * polls fail on it as on a closed one (open(2), O_PATH); hooks answer for the calls that would not.
 * A few, the oldest leave first. Between guard_enter() and guard_leave(). */
#ifndef OUTLIVE_REGISTRY_DESCRIPTOR_QUARANTINE_H
#define OUTLIVE_REGISTRY_DESCRIPTOR_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTOR_QUARANTINE_MOST 64

/* Once, at start: how many numbers may be kept. Never more than an eighth of RLIMIT_NOFILE. */
void descriptor_quarantine_start(uint64_t most);

/* Whether there is room in the sense of the limits: ask before the end of a descriptor. */
bool descriptor_quarantine_takes(int number);
/* Closes the file and keeps its number, which descriptor_end() has marked as kept. False: nothing
 * was done, and the mark is taken back. */
bool descriptor_quarantine_keep(int number);
/* The number is no longer kept: the caller is about to put a file there, or to close it. */
void descriptor_quarantine_yield(int number);
/* The number goes back, if it is kept. */
void descriptor_quarantine_release(int number);
/* All numbers go back. False: there were none. */
bool descriptor_quarantine_empty(void);
/* From now on none are kept, or again: while the program reads the list of its descriptors. */
void descriptor_quarantine_pause(bool pause);
/* The program got that number: near its limit it needs them all. */
void descriptor_quarantine_saw(int number);

void descriptor_quarantine_prepare_fork(void);
void descriptor_quarantine_forked(bool child);

#endif
