// A thread notifies a condition variable that main has destroyed; the mutex beside it lives.
// EXPECT kind=use-after-destroy late=worker destroyer=main touch=tell end=main start=main says=pthread_cond_
#include "case.h"

#include <condition_variable>
#include <optional>

static std::optional<std::condition_variable> changed;
static volatile bool may_go_on;

NOINLINE static void tell(std::condition_variable *condition)
{
    condition->notify_all();
    case_sink++;
}

static void *run(void *argument)
{
    std::condition_variable *condition = &*changed;
    case_name("worker");
    tell(condition);
    case_round();
    while (!may_go_on)
        sched_yield();
    if (argument != nullptr)
        tell(condition);
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    changed.emplace();
    pthread_t thread;
    pthread_create(&thread, nullptr, run, bug ? &changed : nullptr);
    case_await_from(0, 1);
    changed.reset();
    if (!bug)
        changed.emplace(); // in its place: a new one
    may_go_on = true;
    pthread_join(thread, nullptr);
    return 0;
}
