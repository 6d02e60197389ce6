// A thread is inside a member function of an object when that is deleted. It may only have had to
// return, so this is but a note.
// EXPECT kind=touch-during-destruction grade=possible stripped=nothing options=watch=Monitor late=worker destroyer=main touch=run end=main birth=main start=main exit=0 says=inside.Monitor::run
#include "case.h"

struct Monitor {
    bool bug;
    pthread_t thread{};
    explicit Monitor(bool is_bug) : bug(is_bug) {}
    NOINLINE ~Monitor()
    {
        if (!bug) {
            case_tell_stop();
            pthread_join(thread, nullptr);
        }
    }
    NOINLINE void run()
    {
        while (!case_stopped())
            case_round();
    }
};

static void *start(void *argument)
{
    case_name("worker");
    static_cast<Monitor *>(argument)->run();
    case_sink++;
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *monitor = new Monitor(bug);
    pthread_create(&monitor->thread, nullptr, start, monitor);
    pthread_t thread = monitor->thread;
    case_await(2);
    delete monitor;
    case_tell_stop();
    if (bug)
        pthread_join(thread, nullptr);
    return 0;
}
