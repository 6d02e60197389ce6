// Two threads use two dead objects at the same moment: two whole reports, in turn.
// EXPECT kind=late-touch late=* destroyer=main touch=* end=main birth=main start=main reports=2
#include "case.h"

#include <atomic>

struct First {
    volatile long value = 1;
};
struct Second {
    volatile long value = 2;
};

static std::atomic<int> ready;
static std::atomic<bool> go;
static bool is_bug;

static void meet()
{
    ready++;
    while (!go)
        sched_yield();
}

static void *first(void *argument)
{
    case_name("first");
    auto *object = static_cast<First *>(argument);
    case_sink = (uintptr_t)object->value;
    meet();
    if (is_bug)
        case_sink = (uintptr_t)object->value;
    return nullptr;
}

static void *second(void *argument)
{
    case_name("second");
    auto *object = static_cast<Second *>(argument);
    case_sink = (uintptr_t)object->value;
    meet();
    if (is_bug)
        case_sink = (uintptr_t)object->value;
    return nullptr;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    auto *a = new First;
    auto *b = new Second;
    pthread_t threads[2];
    pthread_create(&threads[0], nullptr, first, a);
    pthread_create(&threads[1], nullptr, second, b);
    while (ready != 2)
        sched_yield();
    delete a;
    delete b;
    go = true;
    pthread_join(threads[0], nullptr);
    pthread_join(threads[1], nullptr);
    return 0;
}
