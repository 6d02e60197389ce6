// Legal destructions that look like mistakes. Both ways must be silent. Functions are not inlined,
// so that every destructor is entered.
// EXPECT silent
#include "case.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <semaphore.h>
#include <setjmp.h>
#include <stdexcept>
#include <thread>
#include <vector>

struct Counted {
    volatile long number = 7;
    std::mutex lock;
    NOINLINE Counted() = default;
    NOINLINE ~Counted()
    {
        number = number - 1;
        case_sink++;
    }
};

// How a destructor can wait for its worker.
enum How { JOIN, CONDITION, SEMAPHORE, YIELD, SLEEP, SPIN, LOCK, HOWS };

struct Waiting {
    How how;
    std::mutex lock;
    pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
    sem_t done;
    bool is_done = false;
    std::atomic<bool> stop{false}, spun{false};
    std::thread thread;

    NOINLINE void work()
    {
        while (!stop) {
            std::lock_guard<std::mutex> hold(lock);
            case_sink++;
        }
        lock.lock();
        is_done = true;
        if (how == CONDITION)
            pthread_cond_signal(&ended);
        lock.unlock();
        if (how == SEMAPHORE)
            sem_post(&done);
        spun = true; // the last touch in all other ways
    }
    NOINLINE explicit Waiting(How given) : how(given)
    {
        sem_init(&done, 0, 0);
        thread = std::thread([this] { work(); });
        if (how != JOIN)
            thread.detach();
    }
    NOINLINE ~Waiting()
    {
        stop = true;
        if (how == CONDITION) {
            lock.lock();
            while (!is_done)
                pthread_cond_wait(&ended, lock.native_handle());
            lock.unlock();
        }
        if (how == SEMAPHORE)
            sem_wait(&done);
        for (bool seen = false; how == LOCK && !seen;) {
            std::lock_guard<std::mutex> hold(lock);
            seen = is_done;
        }
        if (how == JOIN)
            thread.join();
        while (!spun)
            if (how == YIELD)
                sched_yield();
            else if (how == SLEEP)
                usleep(100);
    }
};

static void waiting()
{
    for (int i = 0; i < 4; i++)
        for (int how = JOIN; how < HOWS; how++) {
            delete new Waiting(static_cast<How>(how));
            Waiting on_stack(static_cast<How>(how));
        }
}

// POSIX's own example: a waiter that was told leaves its wait when the condition variable is gone;
// the mutex is another object's.
static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;
struct Condition {
    pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
    NOINLINE ~Condition()
    {
        pthread_cond_broadcast(&ready);
        pthread_cond_destroy(&ready);
    }
};
static Condition *condition;

static void *wait_once(void *)
{
    pthread_mutex_lock(&outer);
    case_round();
    pthread_cond_wait(&condition->ready, &outer);
    pthread_mutex_unlock(&outer);
    return nullptr;
}

static void condition_first()
{
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        unsigned start = case_rounds_now();
        condition = new Condition;
        pthread_create(&thread, nullptr, wait_once, nullptr);
        case_await_from(start, 1);
        pthread_mutex_lock(&outer);
        delete condition;
        pthread_mutex_unlock(&outer);
        pthread_join(thread, nullptr);
    }
}

// A member is destroyed and made anew while others work on its owner.
struct Owner {
    std::optional<Counted> first; // at offset 0
    std::mutex lock;
    NOINLINE ~Owner()
    {
        case_sink++;
    }
};

static void *lock_often(void *argument)
{
    auto *owner = static_cast<Owner *>(argument);
    while (!case_stopped()) {
        owner->lock.lock();
        case_sink++;
        owner->lock.unlock();
        case_round();
    }
    return nullptr;
}

static void members()
{
    auto *owner = new Owner;
    pthread_t threads[2];
    for (auto &thread : threads)
        pthread_create(&thread, nullptr, lock_often, owner);
    for (int i = 0; i < 200; i++) {
        owner->lock.lock();
        owner->first.emplace();
        sched_yield();
        owner->first.emplace();
        owner->first.reset();
        owner->lock.unlock();
        sched_yield();
    }
    case_tell_stop();
    for (auto &thread : threads)
        pthread_join(thread, nullptr);
    delete owner;
}

// Memory that is used again and again.
static void places()
{
    std::vector<char> buffer(4 * sizeof(Counted));
    alignas(Counted) static char still[sizeof(Counted)];
    for (int i = 0; i < 100; i++) {
        auto *block = static_cast<Counted *>(malloc(4 * sizeof(Counted)));
        for (int j = 0; j < 4; j++)
            new (block + j) Counted;
        for (int j = 0; j < 4; j++)
            (block + j)->~Counted();
        for (int j = 0; j < 3; j++) // once more, in the same block
            (new (block) Counted)->~Counted();
        free(block);
        (new (buffer.data()) Counted)->~Counted();
        (new (still) Counted)->~Counted();
        delete[] new Counted[3];
        auto unique = std::make_unique<Counted>();
        auto shared = std::make_shared<Counted>();
        auto again = shared;
        shared.reset();
        std::optional<Counted> optional;
        optional.emplace();
        optional.emplace();
        std::vector<std::unique_ptr<Counted>> many;
        many.push_back(std::move(unique));
        many.emplace_back(new Counted);
        many.pop_back();
    }
}

struct Top {
    long top = 1;
    NOINLINE virtual ~Top()
    {
        case_sink += (uintptr_t)top;
    }
};
struct Left : virtual Top {
    long left = 2;
    NOINLINE ~Left() override
    {
        case_sink += (uintptr_t)(left + top);
    }
};
struct Right : virtual Top {
    Counted member;
    NOINLINE ~Right() override
    {
        case_sink += (uintptr_t)top;
    }
};
struct Bottom : Left, Right {
    NOINLINE ~Bottom() override
    {
        case_sink += (uintptr_t)(top + left);
    }
};
struct Second {
    long second = 3;
    NOINLINE virtual ~Second()
    {
        case_sink += (uintptr_t)second;
    }
};
struct Both : Top, Second {
    NOINLINE ~Both() override
    {
        case_sink++;
    }
};

static void bases()
{
    for (int i = 0; i < 30; i++) {
        delete static_cast<Top *>(new Bottom);
        delete static_cast<Right *>(new Bottom);
        delete static_cast<Second *>(new Both);
        Bottom on_stack;
        delete static_cast<Top *>(new Both);
    }
}

struct Throwing {
    Counted member;
    NOINLINE ~Throwing() noexcept(false)
    {
        throw std::runtime_error("from a destructor");
    }
};
struct Catching {
    Throwing *inner = new Throwing;
    NOINLINE ~Catching()
    {
        try {
            delete inner;
        } catch (const std::runtime_error &) {
            case_sink++;
        }
    }
};

static jmp_buf back;
struct Jumping {
    long number = 1;
    NOINLINE ~Jumping()
    {
        if (number == 1)
            longjmp(back, 1);
    }
};

static void leaving()
{
    for (int i = 0; i < 30; i++) {
        delete new Catching;
        try {
            Throwing on_stack;
        } catch (const std::runtime_error &) {
            case_sink++;
        }
        static Jumping *jumping;
        jumping = new Jumping;
        if (setjmp(back) == 0)
            delete jumping;
        jumping->number = 2; // it lives still: its destructor did not end
        delete jumping;
    }
}

struct Ending {
    bool cancelled;
    Counted member;
    NOINLINE ~Ending() noexcept(false)
    {
        if (cancelled)
            for (;;)
                pause();
        pthread_exit(nullptr);
    }
};

static void *end_inside(void *argument)
{
    auto *ending = static_cast<Ending *>(argument);
    case_round();
    ending->~Ending();
    return nullptr;
}

static void ends()
{
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        unsigned start = case_rounds_now();
        auto *ending = static_cast<Ending *>(::operator new(sizeof(Ending)));
        new (ending) Ending{i % 2 == 0, {}};
        pthread_create(&thread, nullptr, end_inside, ending);
        case_await_from(start, 1);
        if (i % 2 == 0)
            pthread_cancel(thread);
        pthread_join(thread, nullptr);
        ::operator delete(ending);
    }
}

// As deep as the bare program just can on a stack of this size.
struct Node {
    std::unique_ptr<Node> next;
    long number = 0;
    NOINLINE ~Node()
    {
        next.reset();
        case_sink++;
    }
};

static void deep()
{
    std::unique_ptr<Node> list;
    for (int i = 0; i < 40000; i++) {
        auto node = std::make_unique<Node>();
        node->next = std::move(list);
        list = std::move(node);
    }
}

// The last reference goes right after another thread unlocked the mutex in the object.
static void last_reference()
{
    for (int i = 0; i < 300; i++) {
        auto shared = std::make_shared<Counted>();
        auto *plain = new Counted;
        auto *users = new std::atomic<int>(2);
        auto work = [shared, plain, users] {
            {
                std::lock_guard<std::mutex> hold(shared->lock);
                shared->number = shared->number + 1;
            }
            {
                std::lock_guard<std::mutex> hold(plain->lock);
                plain->number = plain->number + 1;
            }
            if (--*users == 0) {
                delete plain;
                delete users;
            }
        };
        std::thread one(work), two(std::move(work));
        shared.reset();
        one.join();
        two.join();
    }
}

// A thread counts itself out under the object's mutex; who comes last destroys it.
struct Session {
    std::mutex lock;
    int users = 3;
    NOINLINE ~Session()
    {
        case_sink++;
    }
};

static void *leave(void *argument)
{
    auto *session = static_cast<Session *>(argument);
    for (int i = 0; i < 20; i++) {
        std::lock_guard<std::mutex> hold(session->lock);
        case_sink++;
    }
    session->lock.lock();
    bool last = --session->users == 0;
    session->lock.unlock();
    if (last)
        delete session;
    return nullptr;
}

static void sessions()
{
    for (int i = 0; i < 200; i++) {
        auto *session = new Session;
        pthread_t threads[3];
        for (auto &thread : threads)
            pthread_create(&thread, nullptr, leave, session);
        for (auto &thread : threads)
            pthread_join(thread, nullptr);
    }
}

// A caller in the same file may know which registers a destructor leaves alone, and keep values
// there (gcc's -fipa-ra).
struct Frugal {
    volatile long number = 7;
    NOINLINE ~Frugal()
    {
        number = 8;
    }
};

static void registers()
{
    for (int i = 0; i < 30; i++) {
        auto *object = new (malloc(sizeof(Frugal))) Frugal;
        void *memory = object;
        long sum;
        delete new Frugal;
        __asm__ volatile("mov %%rsp, %%rbx\n"
                         "lea -128(%%rsp), %%rsp\n"
                         "and $-16, %%rsp\n"
                         "mov $8, %%r8d\n"
                         "mov $9, %%r9d\n"
                         "mov $10, %%r10d\n"
                         "mov $11, %%r11d\n"
                         "movq %%r11, %%xmm15\n"
                         "call _ZN6FrugalD2Ev\n"
                         "movq %%xmm15, %%rax\n"
                         "add %%r8, %%rax\n"
                         "add %%r9, %%rax\n"
                         "add %%r10, %%rax\n"
                         "add %%r11, %%rax\n"
                         "mov %%rbx, %%rsp\n"
                         : "=a"(sum), "+D"(object)
                         :
                         : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm15", "memory",
                           "cc");
        free(memory);
        if (sum != 8 + 9 + 10 + 11 + 11)
            abort();
    }
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    registers();
    waiting();
    condition_first();
    places();
    bases();
    leaving();
    ends();
    deep();
    last_reference();
    sessions();
    members();
    return 0;
}
