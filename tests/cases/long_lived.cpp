// An object born after ten million other allocations, a hundred thousand of them from its own site,
// is used by a thread after its deletion.
// EXPECT kind=late-touch late=monitor destroyer=main touch=poll end=* birth=* start=main
#include "case.h"

#include <map>

struct Watch {
    virtual ~Watch() {}
    virtual int poll() const
    {
        return (int)hosts.size();
    }
    std::map<int, int> hosts;
};

NOINLINE static Watch *make()
{
    return new Watch;
}

NOINLINE static int poll(const Watch *watch)
{
    return watch->poll();
}

static void *run(void *argument)
{
    case_name("monitor");
    while (!case_stopped()) {
        case_sink = (uintptr_t)poll(static_cast<Watch *>(argument));
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    for (int i = 0; i < 9900000; i++) {
        void *other = malloc((size_t)(16 + i % 200));
        case_sink = (uintptr_t)other;
        free(other);
    }
    Watch *watch = nullptr;
    for (int i = 0; i < 100000; i++) {
        Watch *next = make();
        delete watch;
        watch = next;
    }
    pthread_t thread;
    pthread_create(&thread, nullptr, run, watch);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    delete watch;
    if (bug)
        case_await(2);
    return 0;
}
