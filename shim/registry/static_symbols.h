/* Static symbols: what the symbols of loaded modules say of registered exit handlers: whether the
 * function is a destructor, and how large the object is. Read when the first object dies, since a
 * program that ends by other means needs none of it. Takes the loader's lock for the time of
 * reading (some milliseconds for a large program): between guard_enter() and guard_leave(), and not
 * in signal handlers. */
#ifndef OUTLIVE_REGISTRY_STATIC_SYMBOLS_H
#define OUTLIVE_REGISTRY_STATIC_SYMBOLS_H

#include "patch/elf_image.h"
#include "registry/exit_handler.h"

/* What the handler's function is; its `size` is then known as well. The first question reads the
 * symbols for all handlers of then. */
enum exit_function static_symbols_of(struct exit_handler *handler);
/* The object that covers the address, by its symbol; for arrays. False: none is known. */
bool static_symbols_around(uintptr_t address, uintptr_t *start, size_t *size);
/* The data of the loaded module that the address lies in: that very segment, or, of an address in
 * its code, the largest; both 0: in none's. */
void static_symbols_data(uintptr_t address, uintptr_t *start, uintptr_t *end);

void static_symbols_prepare_fork(void);
void static_symbols_forked(bool child);

/* An address that is asked for, and what was found there. What follows is pure; for tests, too. */
struct static_key {
    uintptr_t address; /* in the process */
    uint32_t handler;
    bool is_function;
    bool found;
    uint8_t sort;  /* of a function */
    uint64_t size; /* of an object that begins there; 0 unknown */
};

void static_symbols_sort(struct static_key *keys, size_t count);
/* Looks through .symtab and .dynsym; keys are sorted by address. */
void static_symbols_look_up(const struct elf_image *image, uintptr_t bias, struct static_key *keys,
                            size_t count);

#endif
