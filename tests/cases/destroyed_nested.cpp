// A thread takes the mutex of an object while its destructor runs, which deletes another object
// first, and still holds it when the memory is freed. The twin's destructor joins it.
// EXPECT kind=touch-during-destruction grade=imminent stripped=destroy-while-in-use stripped_grade=imminent late=worker destroyer=main touch=run end=main birth=main start=main exit=0 says=holds.the.mutex
#include "case.h"

#include <mutex>

static volatile bool is_dying;

struct Part {
    unsigned uses = 0;
    NOINLINE ~Part()
    {
        case_sink += uses;
    }
};

struct Session {
    bool bug;
    Part *part = new Part;
    pthread_t thread;
    std::mutex lock;
    explicit Session(bool is_bug);
    NOINLINE ~Session()
    {
        delete part;
        is_dying = true;
        if (bug)
            case_await_from(0, 1);
        else
            pthread_join(thread, nullptr);
    }
};

NOINLINE static void *run(void *argument)
{
    auto *session = static_cast<Session *>(argument);
    bool bug = session->bug;
    case_name("worker");
    while (!is_dying)
        sched_yield();
    session->lock.lock();
    case_round();
    if (!bug)
        session->lock.unlock();
    while (bug && !case_stopped())
        sched_yield();
    return nullptr;
}

Session::Session(bool is_bug) : bug(is_bug)
{
    pthread_create(&thread, nullptr, run, this);
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *session = new Session(bug);
    pthread_t thread = session->thread;
    delete session;
    case_tell_stop();
    if (bug)
        pthread_join(thread, nullptr);
    return 0;
}
