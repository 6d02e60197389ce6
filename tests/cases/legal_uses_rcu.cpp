// Readers that reload a shared pointer in every round, while a writer replaces and frees what it
// points to: after a grace period, in which each reader was seen outside (RCU), or when no reader
// is in an epoch as old as the object (epoch-based reclamation). The readers sleep between two
// rounds, and may keep an old pointer in a register or a slot that they do not read again.
// EXPECT silent
#include "waits.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

struct Node {
    std::mutex mutex;
    int reads = 0;
    NOINLINE void read()
    {
        std::lock_guard<std::mutex> lock(mutex);
        reads++;
    }
};

enum { READERS = 3 };

struct Shared {
    std::atomic<Node *> node{new Node};
    std::atomic<unsigned> epoch{2};
    std::atomic<unsigned> inside[READERS] = {}; /* the epoch it is in; 0: outside */
    std::atomic<unsigned> quiet[READERS] = {};  /* times it was seen outside */
    unsigned pause;
};

static void read_for_ever(Shared *shared, int number)
{
    for (;;) {
        shared->inside[number] = shared->epoch.load();
        Node *node = shared->node;
        node->read();
        shared->inside[number] = 0;
        shared->quiet[number]++;
        case_round();
        usleep(shared->pause);
    }
}

static void await_grace(Shared *shared)
{
    for (auto &quiet : shared->quiet) {
        unsigned before = quiet;
        while (quiet - before < 2) /* the one in between began after */
            usleep(50);
    }
}

static void await_epoch(Shared *shared)
{
    unsigned now = ++shared->epoch;
    for (auto &inside : shared->inside)
        while (inside != 0 && inside < now)
            sched_yield();
}

static void run(bool epochs, unsigned pause)
{
    auto *shared = new Shared; /* for good */
    shared->pause = pause;
    for (int i = 0; i < READERS; i++)
        std::thread(read_for_ever, shared, i).detach();
    for (int i = 0; i < 8; i++) {
        case_await(4 * READERS); /* each node is read time and again */
        Node *old = shared->node.exchange(new Node);
        if (epochs)
            await_epoch(shared);
        else
            await_grace(shared);
        delete old;
    }
}

int main(int count, char **arguments)
{
    case_is_bug(count, arguments);
    run(false, 300);
    run(true, 300);
    run(true, 20000);
    return 0;
}
