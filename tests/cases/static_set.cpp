// A detached worker looks a name up in a global set that exit has destroyed.
// EXPECT kind=late-touch stripped=late-touch late=worker destroyer=main touch=is_wanted start=main says=std::set.*wanted
#include "case.h"

#include <set>
#include <string>
#include <thread>

static bool is_bug;

/* Registered first, so called last: exit goes on for as long as the worker needs. */
static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

static std::set<std::string> wanted;

NOINLINE static bool is_wanted(const std::string &name)
{
    return wanted.find(name) != wanted.end();
}

static void work()
{
    case_name("worker");
    const std::string name = "a name that is longer than its own string object";
    while (!case_stopped()) {
        case_sink = (uintptr_t)is_wanted(name);
        case_round();
    }
    case_rounds = 1000000;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    wanted.insert("another name that is longer than its string");
    std::thread(work).detach();
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    return 0;
}
