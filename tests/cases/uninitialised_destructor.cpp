// A member pointer that was never set is deleted: its destructor is entered with a wild `this`.
// EXPECT kind=uninitialised-pointer stripped=uninitialised-pointer late=main destroyer=- touch=close_all end=- birth=main start=- says=entered.a.destructor.with.a.wild
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
    Admin *volatile admin = new Admin;
    admin->ports[0] = 1;
    if (!bug)
        admin->page = nullptr;
    close_all(admin);
    delete admin;
    return 0;
}
