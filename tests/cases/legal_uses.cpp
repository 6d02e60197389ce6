// What threads may do with objects that others destroy, where locks and joins order it: shared
// owners, done flags under a condition variable, futures, drained pools whose workers go idle for a
// time or for ever, objects freed by their own thread, a logger that never touches what died. The
// threads are alive at the end, asleep where they slept between two uses, and hold what they used.
// EXPECT silent
#include "waits.h"

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <sys/syscall.h>
#include <thread>
#include <vector>

using std::chrono::milliseconds;

struct Thing {
    std::mutex mutex;
    int uses = 0;
    NOINLINE void use()
    {
        std::lock_guard<std::mutex> lock(mutex);
        uses++;
    }
};

/* The last owner destroys it, whoever that is. */
static void share()
{
    auto thing = std::make_shared<Thing>();
    std::shared_ptr<Thing> other(new Thing);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
        threads.emplace_back([thing, other]() mutable {
            for (int round = 0; round < 4; round++) {
                thing->use();
                other->use();
                usleep(500);
            }
            other.reset();
        });
    thing.reset();
    for (auto &thread : threads)
        thread.join();
}

/* Its user says that it is done, and lives on. */
struct Done {
    std::mutex mutex;
    std::condition_variable condition;
    bool done = false;
};
static Done done;

static void use_and_stay(Thing *thing)
{
    for (int round = 0; round < 5; round++) {
        thing->use();
        usleep(500);
    }
    {
        std::lock_guard<std::mutex> lock(done.mutex);
        done.done = true;
    }
    done.condition.notify_all();
    for (;;)
        usleep(500);
}

static void wait_for_done()
{
    auto *thing = new Thing;
    std::thread(use_and_stay, thing).detach();
    {
        std::unique_lock<std::mutex> lock(done.mutex);
        done.condition.wait(lock, [] { return done.done; });
    }
    delete thing;
}

/* It asks under a lock, in every round, whether the object is still there. */
static std::mutex present_mutex;
static Thing *present;

static void ask_first(Thing *thing)
{
    for (;;) {
        {
            std::lock_guard<std::mutex> lock(present_mutex);
            if (present == thing)
                thing->use();
        }
        case_round();
        usleep(300);
    }
}

static void take_away_under_lock()
{
    auto *thing = new Thing;
    present = thing;
    std::thread(ask_first, thing).detach();
    case_await(6);
    {
        std::lock_guard<std::mutex> lock(present_mutex);
        present = nullptr;
    }
    delete thing;
}

/* Workers take what is queued; when all is done they are idle, and the things go. */
struct Pool {
    std::mutex mutex;
    std::condition_variable more, drained;
    std::deque<Thing *> queue;
    int busy = 0;
};

static void work(Pool *pool, bool timed)
{
    Thing *thing = nullptr;
    std::unique_lock<std::mutex> lock(pool->mutex);
    for (;;) {
        while (pool->queue.empty())
            if (timed)
                pool->more.wait_for(lock, milliseconds(1));
            else
                pool->more.wait(lock);
        thing = pool->queue.front();
        pool->queue.pop_front();
        pool->busy++;
        lock.unlock();
        thing->use();
        usleep(100);
        lock.lock();
        pool->busy--;
        pool->drained.notify_all();
    }
}

static void drain(bool timed)
{
    auto *pool = new Pool; /* for good */
    auto *thing = new Thing;
    for (int i = 0; i < 3; i++)
        std::thread(work, pool, timed).detach();
    for (int round = 0; round < 6; round++) {
        std::unique_lock<std::mutex> lock(pool->mutex);
        pool->queue.push_back(thing);
        pool->queue.push_back(thing);
        pool->more.notify_all();
        pool->drained.wait(lock, [pool] { return pool->queue.empty() && pool->busy == 0; });
    }
    delete thing;
}

/* What all its workers use goes before they are told to stop, which they look at first. */
struct Context {
    std::mutex mutex;
    std::condition_variable more, drained;
    int tasks = 0, busy = 0;
    bool stop = false;
    Thing *thing = new Thing;
};

static void *work_in(void *argument)
{
    auto *context = static_cast<Context *>(argument);
    std::unique_lock<std::mutex> lock(context->mutex);
    while (!context->stop) {
        context->more.wait_for(lock, milliseconds(1000),
                               [context] { return context->stop || context->tasks > 0; });
        for (; context->tasks > 0; context->drained.notify_all()) {
            context->tasks--;
            context->busy++;
            lock.unlock();
            context->thing->use();
            lock.lock();
            context->busy--;
        }
    }
    return nullptr;
}

static void drain_first()
{
    auto *context = new Context;
    pthread_t threads[3];
    for (auto &thread : threads)
        pthread_create(&thread, nullptr, work_in, context);
    for (int round = 0; round < 6; round++) {
        std::unique_lock<std::mutex> lock(context->mutex);
        context->tasks = 6;
        context->more.notify_all();
        context->drained.wait(lock, [context] { return context->tasks + context->busy == 0; });
        lock.unlock();
        usleep(500);
    }
    delete context->thing;
    {
        std::lock_guard<std::mutex> lock(context->mutex);
        context->stop = true;
    }
    context->more.notify_all();
    for (auto &thread : threads)
        pthread_join(thread, nullptr);
    delete context;
}

static void wait_for_future()
{
    auto *thing = new Thing;
    std::promise<void> promise;
    std::future<void> future = promise.get_future();
    std::thread(
        [thing](std::promise<void> said) {
            for (int round = 0; round < 3; round++) {
                thing->use();
                usleep(300);
            }
            said.set_value();
            usleep(50000000);
        },
        std::move(promise))
        .detach();
    future.wait();
    delete thing;
    auto other = std::make_unique<Thing>();
    std::async(std::launch::async, [&other] { other->use(); }).get();
}

/* Made by one thread, ended by the one that uses it. */
static void free_its_own()
{
    auto *thing = new Thing;
    thing->use();
    std::thread([thing] {
        for (int round = 0; round < 4; round++) {
            thing->use();
            usleep(300);
        }
        delete thing;
        case_rounds = 1000000;
        usleep(50000000);
    }).detach();
    while (case_rounds < 1000000)
        sched_yield();
}

/* It was told of an object at its start, and reads no more than a number of it, at once. */
struct Setting {
    int pause;
    std::promise<void> taken;
};

static void *log_for_ever(void *argument)
{
    auto *setting = static_cast<Setting *>(argument);
    int pause = setting->pause;
    setting->taken.set_value();
    for (;;)
        usleep((useconds_t)pause);
}

static void start_logger()
{
    auto *setting = new Setting{300, {}};
    pthread_t thread;
    pthread_create(&thread, nullptr, log_for_ever, setting);
    pthread_detach(thread);
    setting->taken.get_future().wait();
    usleep(2000);
    delete setting;
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    share();
    wait_for_done();
    take_away_under_lock();
    drain(false);
    drain(true);
    drain_first();
    wait_for_future();
    free_its_own();
    start_logger();
    return 0;
}
