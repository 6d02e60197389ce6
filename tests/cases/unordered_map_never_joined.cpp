// A thread that is never joined uses an unordered_map of a deleted object.
// EXPECT kind=late-touch late=monitor destroyer=main touch=look_up end=main birth=main start=main
#include "case.h"

#include <string>
#include <unordered_map>

struct Monitor {
    std::unordered_map<std::string, int> hosts;
};

NOINLINE static int look_up(Monitor *monitor, const std::string &name)
{
    return (int)monitor->hosts.count(name);
}

static void *run(void *argument)
{
    case_name("monitor");
    const std::string name = "mysql1:3306";
    while (!case_stopped()) {
        case_sink = (uintptr_t)look_up(static_cast<Monitor *>(argument), name);
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *monitor = new Monitor;
    monitor->hosts["mysql1:3306"] = 1;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, monitor);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    delete monitor;
    if (bug)
        case_await(2);
    return 0;
}
