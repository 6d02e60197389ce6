// A member pointer that was never set is deleted: its virtual destructor is looked for.
// EXPECT kind=uninitialised-pointer late=main destroyer=- touch=close_all end=- birth=main start=-
#include "case.h"

struct Server {
    virtual ~Server() {}
    long port = 0;
};

struct Admin {
    long ports[110];
    Server *server;
};

NOINLINE static void close_all(Admin *admin)
{
    delete admin->server;
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *admin = new Admin;
    case_hide(admin);
    admin->ports[0] = 1;
    if (!bug)
        admin->server = new Server;
    close_all(admin);
    delete admin;
    return 0;
}
