#ifndef OUTLIVE_REGISTRY_ORDER_H
#define OUTLIVE_REGISTRY_ORDER_H

#include "registry/thread.h"

enum order { ORDER_BEFORE, ORDER_NONE, ORDER_UNKNOWN };

enum order order_between(thread_reference thread, uint64_t ticks, thread_reference by,
                         uint64_t until) __attribute__((weak));

#endif
