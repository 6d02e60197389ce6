// A member pointer was overwritten with text; its object is destroyed.
// EXPECT kind=wild-destructor stripped=nothing late=closer destroyer=- touch=close_all end=- birth=- start=main
#include "case.h"

struct Page {
    long hits = 0;
    NOINLINE ~Page()
    {
        hits = *const_cast<volatile long *>(&hits) + 1;
        case_sink++;
    }
};

struct Admin {
    char name[8];
    Page *page;
};

NOINLINE static void close_all(Admin *admin)
{
    delete admin->page;
    case_sink++;
}

static void *run(void *argument)
{
    case_name("closer");
    close_all(static_cast<Admin *>(argument));
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *admin = new Admin;
    admin->page = new Page;
    if (bug)
        memcpy(static_cast<void *>(admin), "a name too long", 16);
    pthread_t thread;
    pthread_create(&thread, nullptr, run, admin);
    pthread_join(thread, nullptr);
    delete admin;
    return 0;
}
