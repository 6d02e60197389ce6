// A request on the stack of a client thread waits in a queue; the client is cancelled and joined,
// and the server answers it.
// EXPECT kind=late-touch ended=yes late=server destroyer=client touch=answer end=ask birth=main start=main says=had.ended.by.cancellation
#include "case.h"

struct Request {
    volatile int question, reply;
};

static Request *volatile queue;
static volatile bool go;

NOINLINE static void put(Request *request)
{
    queue = request;
}

NOINLINE static void answer(Request *request)
{
    request->reply = 42;
    case_round();
}

static void *ask(void *)
{
    Request request = {1, 0};
    case_name("client");
    put(&request);
    while (request.reply == 0)
        usleep(1000);
    return nullptr;
}

static void *serve(void *)
{
    case_name("server");
    while (!go)
        usleep(1000);
    answer(queue);
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    pthread_t client, server;
    pthread_create(&client, nullptr, ask, nullptr);
    pthread_create(&server, nullptr, serve, nullptr);
    while (queue == nullptr)
        sched_yield();
    if (bug)
        pthread_cancel(client);
    else
        go = true;
    pthread_join(client, nullptr);
    go = true;
    pthread_join(server, nullptr);
    return 0;
}
