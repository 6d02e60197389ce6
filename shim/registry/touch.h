/* Touch: what threads do in guarded objects: calls that wait for or take a lock in one, and member
 * functions that are watched. Kept by the thread itself, read by the thread that destroys the
 * object. Between guard_enter() and guard_leave(); touch_members() and touch_holds() by any thread.
 */
#ifndef OUTLIVE_REGISTRY_TOUCH_H
#define OUTLIVE_REGISTRY_TOUCH_H

#include "registry/object.h"
#include "registry/stack.h"

/* A thread that entered a destructor on a guarded object which is not yet freed. While there is
 * none only calls that wait are kept. */
extern _Atomic uint32_t destructions_running __attribute__((visibility("hidden")));

static inline bool destruction_any(void)
{
    return __builtin_expect(atomic_load_explicit(&destructions_running, memory_order_relaxed) != 0,
                            0);
}

/* False: it runs inside an earlier destructor of the same object, by the calling thread. */
bool destruction_begin(struct object *object, uintptr_t function, struct caller caller);
/* The object is about to be freed, or the calling thread ends. */
void destruction_end(void);
void destruction_forked(void);

/* The calling thread is about to wait in `function` (a static text) for the lock at `address`, in
 * that object, or just to take it. NULL: not kept. */
struct thread_touch *touch_begin(struct object *object, const void *address, bool is_mutex,
                                 const char *function, struct caller caller);
static inline void touch_end(struct thread_touch *touch)
{
    if (touch != NULL)
        atomic_store_explicit(&touch->inside, false, memory_order_release);
}

/* The calling thread enters a member function, and is inside it as long as its return slot holds
 * its return address and the stack has not come above. */
void touch_member(uintptr_t function, void *self, struct caller caller);
/* Copies what the thread seems to be inside of, innermost first; returns how many. The thread
 * itself, or its stack, may know better. */
size_t touch_members(const struct thread *thread, struct thread_member *members);

/* Whether the thread holds the lock of a touch, by glibc's own record of the owner. The lock's
 * memory must still be there. */
bool touch_holds(const struct thread *thread, const struct thread_touch *touch);

#endif
