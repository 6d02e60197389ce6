// A member pointer that was never set is deleted: freed as it is.
// EXPECT kind=uninitialised-pointer late=main destroyer=- touch=close_all end=- birth=main start=-
#include "case.h"

struct Page {
    long hits;
};

struct Admin {
    long ports[10];
    Page *page; // only set when the web server is on
};

NOINLINE static void close_all(Admin *admin)
{
    delete admin->page;
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *admin = new Admin;
    case_hide(admin);
    admin->ports[0] = 1;
    if (!bug)
        admin->page = nullptr;
    close_all(admin);
    delete admin;
    return 0;
}
