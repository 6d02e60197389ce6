// Two owners both destroy an object; the second one only runs the destructor, as a pool does.
// EXPECT kind=double-destruction stripped=late-touch late=second destroyer=main touch=drop end=main birth=main start=main says=type.Session
#include "case.h"

struct Session {
    long users = 1;
    NOINLINE ~Session()
    {
        users = *const_cast<volatile long *>(&users) - 1;
        case_sink++;
    }
};

NOINLINE static void drop(Session *session)
{
    session->~Session();
    case_sink++;
}

static void *run(void *argument)
{
    case_name("second");
    if (argument != nullptr)
        drop(static_cast<Session *>(argument));
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *session = new Session;
    pthread_t thread;
    delete session;
    pthread_create(&thread, nullptr, run, bug ? session : nullptr);
    pthread_join(thread, nullptr);
    return 0;
}
