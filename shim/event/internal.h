/* Shared by the files of event/ only. */
#ifndef OUTLIVE_EVENT_INTERNAL_H
#define OUTLIVE_EVENT_INTERNAL_H

#include "event/event.h"
#include "report/report.h"

void heap_events_start(const struct options *options, const struct allocator *allocator);
/* Frees that the thread was told of and that its quarantine has not taken yet. */
void finish_frees(struct thread_block *owner);
void tell_late_write(const struct block *block, uint32_t word, uint64_t found);

/* Reports; does not return where the finding stops the program. */
void report_or_stop(struct finding *finding);
/* From when the object's end is filled in until its memory is taken away: who is still in it? */
void tell_touches(struct object *object);
/* If the word is true poison: reports what it names and returns true. */
bool report_poison(const struct touch *touch, uint64_t word);

#endif
