// A thread that was created detached detaches itself.
// EXPECT kind=double-detach late=worker destroyer=- touch=work end=- birth=main start=main exit=0 says=created.detached
#include "case.h"

static volatile bool detaches;

NOINLINE static void *work(void *argument)
{
    case_name("worker");
    if (detaches)
        pthread_detach(pthread_self());
    case_round();
    return argument;
}

int main(int count, char **arguments)
{
    detaches = case_is_bug(count, arguments);
    pthread_attr_t attributes;
    pthread_t worker;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    unsigned before = case_rounds_now();
    pthread_create(&worker, &attributes, work, NULL);
    case_await_from(before, 1);
    pthread_attr_destroy(&attributes);
    return 0;
}
