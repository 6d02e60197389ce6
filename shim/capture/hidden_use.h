/* Hidden use: whether a program reaches the inside of an allocator that it links in by other ways
 * than the entries that are taken over: by copies of these that the compiler put into their
 * callers, or by further functions, which may take blocks. Called by allocator.c, at start. */
#ifndef OUTLIVE_CAPTURE_HIDDEN_USE_H
#define OUTLIVE_CAPTURE_HIDDEN_USE_H

#include "patch/module_file.h"

struct hidden_use {
    const struct module_file *file;
    uintptr_t bias;
    const struct function *entries; /* the file's own addresses */
    size_t count;
    /* A known allocator from an archive: what takes blocks lies between its entries. */
    bool by_range;
};

/* False also where nothing can be said: no memory, no frames. Needs patch_start(). */
bool hidden_use_any(const struct hidden_use *use);

#endif
