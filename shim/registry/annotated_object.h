/* Annotated object: lives that the program tells by include/outlive.h, in memory of any sort. Known
 * by the address where they begin, dead ones too until it is told as born anew, or until their
 * place in the table is needed. Objects that begin at one address (a base, a first member) are one,
 * which dies with the last. Telling takes a lock of a part of the table: between guard_enter() and
 * guard_leave(). Questions take none and are async-signal-safe, unless said otherwise. */
#ifndef OUTLIVE_REGISTRY_ANNOTATED_OBJECT_H
#define OUTLIVE_REGISTRY_ANNOTATED_OBJECT_H

#include "registry/stack.h"
#include "registry/thread.h"

#include <stdatomic.h>

#define ANNOTATION_NAME_SIZE 64

struct annotated_object {
    _Atomic uintptr_t address; /* 0: none */
    _Atomic uint32_t lives;    /* births that no death was told of; 0: dead */
    _Atomic uint32_t next;     /* in its chain: place + 1 */
    size_t size;
    char name[ANNOTATION_NAME_SIZE]; /* "": none was told */
    thread_reference birth_thread, end_thread;
    uint32_t birth_stack, end_stack; /* kept */
    uint64_t birth_ticks, end_ticks; /* end: of the last death */
};

/* Once something annotates; again, it does nothing. False: no memory. While no other thread does.
 */
bool annotated_object_start(void);

/* A name of the program's, which may be NULL, with no character that reports must not have. */
void annotation_copy_name(char copy[ANNOTATION_NAME_SIZE], const char *name);

/* name may be NULL. False: all places hold live objects. */
bool annotated_object_born(uintptr_t address, size_t size, const char *name, struct caller caller);
/* The last of the lives at the address has ended: a copy. False: nothing was known to live there,
 * or something still does. */
bool annotated_object_died(uintptr_t address, struct caller caller, struct annotated_object *copy);
/* Any context: a birth at the address could not be told. What was dead there may live. */
void annotated_object_missed(uintptr_t address);

/* What was born last at the address, and may be dead: a copy. */
bool annotated_object_at(uintptr_t address, struct annotated_object *copy);
/* The smallest that was told between first and first + size and holds the address `at`. Looks at
 * all: for reports. */
bool annotated_object_around(uintptr_t first, size_t size, uintptr_t at,
                             struct annotated_object *copy);
/* It may be dead: then annotated_object_is_dead(), which takes the lock, tells for certain. */
bool annotated_object_seems_dead(uintptr_t address);
bool annotated_object_is_dead(uintptr_t address, struct annotated_object *copy);

void annotated_object_prepare_fork(void);
void annotated_object_forked(bool child);

#endif
