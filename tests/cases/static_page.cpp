// A worker reads a table of pointers, larger than a page, that exit has destroyed; it follows none.
// EXPECT kind=late-touch stripped=nothing late=worker destroyer=main touch=look end=~Table start=main says=global.Table.table
#include "case.h"

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

struct Table {
    int *volatile places[4096];
    NOINLINE ~Table()
    {
        case_sink = (uintptr_t)places[0];
    }
};

static Table table;

static int number;

NOINLINE static bool look(unsigned at)
{
    return table.places[at % 4096] != nullptr;
}

static void *work(void *)
{
    case_name("worker");
    while (!case_stopped()) {
        for (unsigned at = 0; at < 4096; at += 16)
            case_sink = (uintptr_t)look(at);
        case_round();
    }
    case_rounds = 1000000;
    return nullptr;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    for (int *volatile &place : table.places)
        place = &number;
    pthread_t thread;
    pthread_create(&thread, nullptr, work, nullptr);
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    return 0;
}
