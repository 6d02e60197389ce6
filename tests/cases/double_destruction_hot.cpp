// The same with an object of a busy site, which got no place of its own: its poison tells.
// Stripped, the destructor only writes over the poison, which is found later.
// EXPECT kind=double-destruction stripped=late-write late=second destroyer=main touch=drop end=main birth=- start=main
#include "hot.h"

#include <new>

struct Session {
    volatile long users, more[8];
    NOINLINE ~Session()
    {
        users = 0;
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
    void *memory = hot_allocate(sizeof(Session));
    auto *session = new (memory) Session;
    pthread_t thread;
    session->~Session();
    free(memory);
    pthread_create(&thread, nullptr, run, bug ? session : nullptr);
    pthread_join(thread, nullptr);
    return 0;
}
