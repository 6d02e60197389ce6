// The handle of a detached std::thread is used to raise its priority, long after it ended.
// EXPECT kind=stale-thread-handle late=main destroyer=main touch=rename_worker end=detach birth=thread start=- says=detached.and.has.ended
#include "case.h"

#include <thread>

NOINLINE static void rename_worker(pthread_t handle)
{
    case_sink = (uintptr_t)pthread_setname_np(handle, "late");
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    static volatile pid_t tid;
    std::thread worker([&] {
        case_name("worker");
        tid = gettid();
        while (!case_stopped())
            case_round();
    });
    case_await(2);
    pthread_t handle = worker.native_handle();
    worker.detach();
    if (!bug)
        rename_worker(handle);
    case_tell_stop();
    time_t end = time(NULL) + 10;
    while (tgkill(getpid(), tid, 0) == 0 && time(NULL) < end)
        sched_yield();
    if (bug)
        rename_worker(handle);
    return 0;
}
