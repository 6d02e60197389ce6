// What may be told: objects in one another, born anew in their place, on stacks and in freed
// memory, copies and arrays, deaths that were not told, names of any sort, needs that end,
// hand-over by atomics, what is ignored, from signal handlers and in children.
// EXPECT silent
#include "case.h"

#include <outlive.h>
#include <sys/wait.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

struct Part {
    outlive::object life;
    long value = 0;
    Part() : life(this, sizeof *this, "Part") {}
    void use()
    {
        life.touched();
        value++;
    }
};

/* Base and first member begin where the whole begins. */
struct Whole : outlive::object {
    Part first, second;
    Whole() : outlive::object(this, sizeof(Whole), "Whole") {}
    void use()
    {
        touched();
        first.use();
        second.use();
    }
};

NOINLINE static void nest()
{
    Whole whole, copy(whole);
    copy = whole;
    whole.use();
    copy.use();
    std::vector<Whole> several(9);
    several.resize(40); /* moves them */
    for (Whole &one : several)
        one.use();
    auto shared = std::make_shared<Whole>();
    shared->use();
}

/* The first member dies, the whole lives on. */
NOINLINE static void outer_stays()
{
    static long outer[8];
    outlive_born(outer, sizeof outer, "outer");
    outlive_born(outer, sizeof outer[0], "inner");
    outlive_died(outer);
    outlive_touched(outer);
    outlive_died(outer);
    outlive_born(outer, sizeof outer, "again");
    outlive_touched(outer);
}

/* Whose death was never told: the next object there is a new one. */
NOINLINE static void forgotten()
{
    static long place[8];
    for (int i = 0; i < 10; i++) {
        outlive_born(place, sizeof place, "forgotten");
        outlive_touched(place);
    }
    outlive_died(place);
    outlive_born(place, sizeof place, "forgotten");
    outlive_touched(place);
    outlive_died(place + 1);
    outlive_died(NULL);
    outlive_touched(NULL);
    outlive_touched(reinterpret_cast<const void *>(8));
    outlive_thread_needs(place + 1);
    outlive_handed_over(&place);
    outlive_born(NULL, 8, "nowhere");
    outlive_born(place + 4, 0, "nothing");
    outlive_born(place + 5, 8, NULL);
    outlive_born(place + 6, 8,
                 "a name that is longer than any name of an object has a right to be, really");
    outlive_born(place + 7, 8, "\1\2\3\n%s");
}

struct Message {
    std::atomic<bool> ready{false};
    long value[4] = {};
};

NOINLINE static void hand_over()
{
    Message message;
    auto *record = static_cast<long *>(std::malloc(40));
    outlive_born(&message, sizeof message, "message");
    std::thread producer([&] {
        outlive_thread_needs(&message);
        outlive_thread_needs(record);
        outlive_touched(&message);
        message.value[0] = record[0] = 1;
        outlive_handed_over(&message);
        outlive_handed_over(record);
        message.ready.store(true, std::memory_order_release);
        while (!case_stopped())
            case_round();
    });
    while (!message.ready.load(std::memory_order_acquire))
        sched_yield();
    outlive_died(&message);
    std::free(record);
    case_tell_stop();
    producer.join();
}

NOINLINE static void needs_end()
{
    static long table[4];
    outlive_born(table, sizeof table, "table");
    outlive_thread_needs(table); /* who ends it may have needed it */
    for (int i = 0; i < 8; i++)
        std::thread([] { outlive_thread_needs(table); }).join();
    outlive_died(table);
}

NOINLINE static void ignored()
{
    static long benign[4];
    outlive_born(benign, sizeof benign, "benign");
    outlive_died(benign);
    outlive::ignore outer;
    {
        outlive::ignore inner;
        outlive_touched(benign);
    }
    outlive_touched(benign);
    outlive_ignore_begin();
    outlive_ignore_end();
}

/* Runs in several threads at once: each has an object of its own. */
static void handler(int)
{
    long of_handler[4];
    outlive_born(of_handler, sizeof of_handler, "of a handler");
    outlive_touched(of_handler);
    outlive_died(of_handler);
    outlive_ignore_begin();
    outlive_ignore_end();
}

/* A handler comes at any moment of the calls. */
NOINLINE static void churn(int thread)
{
    struct Item {
        outlive::object life;
        long values[3];
        Item() : life(this, sizeof *this, "Item") {}
    };
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 3000; i++) {
        items.push_back(std::make_unique<Item>());
        items[static_cast<size_t>(i) / 2]->life.touched();
        if (i % 8 == thread)
            items[items.size() - 1].reset(new Item);
        if (i % 500 == 0)
            raise(SIGUSR1);
    }
}

NOINLINE static void child()
{
    static long kept[4];
    outlive_born(kept, sizeof kept, "kept");
    pid_t pid = fork();
    if (pid == 0) {
        outlive_touched(kept);
        outlive_died(kept);
        outlive_born(kept, sizeof kept, "kept");
        outlive_touched(kept);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    outlive_touched(kept);
    outlive_died(kept);
}

int main(int count, char **arguments)
{
    (void)case_is_bug(count, arguments);
    signal(SIGUSR1, handler);
    nest();
    outer_stays();
    forgotten();
    hand_over();
    needs_end();
    ignored();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back(churn, i);
    for (int i = 0; i < 50; i++)
        kill(getpid(), SIGUSR1);
    child();
    for (std::thread &thread : threads)
        thread.join();
    outlive_shutdown_begins("end\n");
    outlive_shutdown_begins(NULL);
    return 0;
}
