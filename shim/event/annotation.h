/* Annotation events: what the program tells by include/outlive.h, as the calling thread's. Any
 * context, a signal handler's too; without the guard; keep errno. A call that comes while the
 * thread is inside the shim is left out, in such a way that no finding comes of it. */
#ifndef OUTLIVE_EVENT_ANNOTATION_H
#define OUTLIVE_EVENT_ANNOTATION_H

#include "event/event.h"

/* Before the first of the others; false: no memory for it, which was told. */
bool event_annotation_start(void);

void event_annotated_born(const void *address, size_t size, const char *name, struct caller caller);
void event_annotated_died(const void *address, struct caller caller);
void event_annotated_touched(const void *address, struct caller caller);
void event_annotated_shutdown(const char *name);
void event_annotated_need(const void *address, struct caller caller);
void event_annotated_handed_over(const void *address);
void event_annotated_ignore(bool begins);

#endif
