// Two threads both close the same message queue, which is a descriptor.
// EXPECT kind=double-close late=second destroyer=main touch=drop end=drop birth=main start=main says=mq_open()
#include "case.h"

#include <fcntl.h>
#include <mqueue.h>

NOINLINE static void drop(int descriptor)
{
    mq_close(descriptor);
    case_sink++;
}

static void *run(void *argument)
{
    case_name("second");
    drop((int)(intptr_t)argument);
    return NULL;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    char name[64];
    mqd_t ends[2];
    pthread_t thread;
    snprintf(name, sizeof name, "/outlive-case-%d", (int)getpid());
    ends[0] = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
    ends[1] = mq_open(name, O_RDWR);
    mq_unlink(name);
    if (ends[0] < 0 || ends[1] < 0)
        return 3;
    drop(ends[0]);
    pthread_create(&thread, NULL, run, (void *)(intptr_t)ends[bug ? 0 : 1]);
    pthread_join(thread, NULL);
    return 0;
}
