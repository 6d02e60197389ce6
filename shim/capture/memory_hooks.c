/* Memory hooks: a program that locks all its memory would also populate the shim's large sparse
 * tables, page by page. Pages are then locked when they are first touched, and no stacks of
 * finished threads are kept, since their addresses would count. */
#include "capture/real.h"

#include "base/output.h"
#include "registry/guard.h"
#include "registry/thread_stack.h"

#include <errno.h>
#include <sys/mman.h>

EXPORT int mlockall(int flags)
{
    real_need();
    if (!guard_active)
        return real.mlockall(flags);
    if (guard_enter()) {
        thread_stack_stop();
        guard_leave();
    }
    int result = real.mlockall(flags | MCL_ONFAULT);
    int saved = errno;
    output_tell_once("mlockall() locks pages when they are touched, not at once", NULL);
    errno = saved;
    return result;
}
