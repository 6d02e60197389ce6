// A detached thread was handed an object once, uses it in all its rounds, and holds it nowhere but
// in its frame or a register, asleep, when it is deleted: it may come back, and nothing has ordered
// it.
// EXPECT kind=late-thread grade=possible exit=0 late=user destroyer=main touch=use end=main birth=main start=main options=linger=0
#include "waits.h"

#include <atomic>
#include <mutex>
#include <sys/syscall.h>
#include <thread>

struct Thing {
    std::mutex mutex;
    int uses = 0;
};

static std::atomic<Thing *> handed;

NOINLINE static void use(Thing *thing)
{
    pthread_mutex_lock(thing->mutex.native_handle());
    thing->uses++;
    pthread_mutex_unlock(thing->mutex.native_handle());
    case_sink++; // no tail call
}

/* Its pause is the same as ever, but for so long that nobody waits for its end. */
static volatile useconds_t pause_now = 500;

static void run()
{
    Thing *thing = handed.exchange(nullptr);
    case_name("user");
    waits_note();
    for (unsigned i = 1; !case_stopped(); i++) {
        use(thing);
        case_rounds = i;
        usleep(pause_now);
    }
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *thing = new Thing;
    handed = thing;
    std::thread thread(run);
    case_await(3);
    if (bug) {
        pause_now = 60000000;
        case_await(1);
        waits_await(SYS_clock_nanosleep);
        thread.detach();
    } else {
        case_tell_stop();
        thread.join();
    }
    delete thing;
    return 0;
}
