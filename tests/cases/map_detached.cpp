// A detached thread looks a host up in a std::map whose owner was deleted.
// EXPECT kind=late-touch late=monitor destroyer=main touch=look_up end=main birth=main start=main
#include "case.h"

#include <map>
#include <string>
#include <thread>

struct Monitor {
    std::map<std::string, int> hosts;
};

NOINLINE static int look_up(Monitor *monitor, const std::string &name)
{
    auto found = monitor->hosts.find(name);
    return found == monitor->hosts.end() ? 0 : found->second;
}

static void run(Monitor *monitor)
{
    case_name("monitor");
    const std::string name = "mysql1:3306";
    while (!case_stopped()) {
        case_sink = (uintptr_t)look_up(monitor, name);
        case_round();
    }
    case_rounds = 1000000;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *monitor = new Monitor;
    monitor->hosts["mysql1:3306"] = 1;
    monitor->hosts["mysql2:3306"] = 2;
    std::thread(run, monitor).detach();
    case_await(2);
    if (!bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    delete monitor;
    if (bug)
        case_await(2);
    return 0;
}
