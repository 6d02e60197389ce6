// A thread's lambda has captured a reference to an object that its creator deletes.
// EXPECT kind=late-touch late=refresher destroyer=main touch=refresh end=main birth=main start=*
#include "case.h"

#include <thread>

struct Cache {
    volatile int version = 1;
};

NOINLINE static int refresh(const Cache &cache)
{
    return cache.version;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *cache = new Cache;
    std::thread thread([&object = *cache] {
        case_name("refresher");
        while (!case_stopped()) {
            case_sink = (uintptr_t)refresh(object);
            case_round();
        }
    });
    case_await(2);
    if (!bug) {
        case_tell_stop();
        thread.join();
    }
    delete cache;
    if (bug) {
        case_await(2);
        case_tell_stop();
        thread.join();
    }
    return 0;
}
