// A thread returns early and does not unlock.
// EXPECT kind=lock-held-at-end grade=imminent exit=0 late=worker touch=refresh start=main says=returned.from.its.start
#include "case.h"

#include <mutex>

static std::mutex mutex;

NOINLINE static bool refresh(bool bug)
{
    pthread_mutex_lock(mutex.native_handle()); // the one frame that is kept where malloc locks, too
    if (bug) {
        case_sink++;
        return false; // the early way out
    }
    mutex.unlock();
    return true;
}

static void *run(void *argument)
{
    case_name("worker");
    refresh(argument != nullptr);
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t thread;
    pthread_create(&thread, nullptr, run, bug ? &mutex : nullptr);
    pthread_join(thread, nullptr);
    return 0;
}
