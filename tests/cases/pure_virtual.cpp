// A thread calls a virtual function while the base class' destructor waits for it: the derived part
// is gone, the call is pure.
// EXPECT kind=pure-virtual-call late=worker destroyer=- touch=call end=- birth=main start=main
#include "case.h"

struct Task {
    bool bug;
    pthread_t thread{};
    explicit Task(bool is_bug) : bug(is_bug) {}
    virtual ~Task()
    {
        if (bug)
            case_await(2); // the worker should have been stopped by the derived destructor
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    virtual void step() = 0;
};

struct Job : Task {
    volatile long steps = 0;
    using Task::Task;
    ~Job() override
    {
        if (!bug) {
            case_tell_stop();
            case_await(1);
        }
    }
    void step() override
    {
        steps = steps + 1;
    }
};

NOINLINE static void call(Task *task)
{
    task->step();
    case_sink++;
}

static void *run(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        call(static_cast<Task *>(argument));
        case_round();
    }
    case_rounds = case_rounds + 2;
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    Task *task = new Job(bug);
    pthread_create(&task->thread, nullptr, run, task);
    case_await(2);
    delete task;
    return 0;
}
