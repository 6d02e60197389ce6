// A thread waits for a condition of an object, with the object's mutex, when the object is deleted.
// EXPECT kind=touch-during-destruction grade=imminent stripped=destroy-while-in-use stripped_grade=imminent late=worker destroyer=main touch=run end=main birth=main start=main exit=0 says=is.in.pthread_cond_wait
#include "case.h"

struct Queue {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
    bool stop = false;
    NOINLINE ~Queue()
    {
        case_sink++;
    }
};

static volatile pid_t worker;

// Until the kernel says that it sleeps: before that it still reads the condition variable.
static void await_sleep()
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", worker);
    while (state != 'S') {
        FILE *file = fopen(path, "r");
        if (file == nullptr || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
            abort();
        fclose(file);
        sched_yield();
    }
}

NOINLINE static void *run(void *argument)
{
    auto *queue = static_cast<Queue *>(argument);
    case_name("worker");
    worker = gettid();
    pthread_mutex_lock(&queue->lock);
    case_round();
    while (!queue->stop)
        pthread_cond_wait(&queue->ready, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *queue = new Queue;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, queue);
    case_await_from(0, 1);
    pthread_mutex_lock(&queue->lock); // it waits now
    queue->stop = !bug;
    if (!bug)
        pthread_cond_signal(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
    if (bug)
        await_sleep();
    else
        pthread_join(thread, nullptr);
    delete queue;
    return 0;
}
