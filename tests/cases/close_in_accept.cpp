// A listening socket is closed while a thread waits for connections. The twin calls shutdown()
// first, which wakes the thread.
// EXPECT kind=close-while-in-use grade=imminent exit=0 late=listener destroyer=main touch=serve end=drop birth=main start=main says=accept()
#include "waits.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

NOINLINE static void serve(int listener)
{
    int connection = accept(listener, NULL, NULL);
    case_sink = (uintptr_t)connection;
}

NOINLINE static void drop(int descriptor)
{
    close(descriptor);
    case_sink++;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        return 3;
    std::thread thread([&] {
        case_name("listener");
        waits_note();
        serve(listener);
        case_sink++;
    });
    waits_await(SYS_accept);
    if (!bug)
        shutdown(listener, SHUT_RDWR);
    drop(listener);
    if (bug) { // it still waits
        int client = socket(AF_INET, SOCK_STREAM, 0);
        connect(client, (struct sockaddr *)&address, length);
    }
    thread.join();
    return 0;
}
