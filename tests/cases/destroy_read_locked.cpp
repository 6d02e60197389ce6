// A rwlock is destroyed while another thread has it for reading; nothing in it tells who.
// EXPECT kind=destroy-while-in-use grade=imminent exit=0 late=reader destroyer=main touch=look end=~Table start=main says=holds.the.rwlock
#include "case.h"

#include <new>

class Table
{
  public:
    NOINLINE ~Table()
    {
        pthread_rwlock_destroy(&lock);
        case_sink = 1;
    }
    NOINLINE void look()
    {
        pthread_rwlock_rdlock(&lock);
        case_sink = 2;
    }
    void leave()
    {
        pthread_rwlock_unlock(&lock);
    }

  private:
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
};

alignas(Table) static char place[sizeof(Table)];
static bool is_bug;

static void *run(void *argument)
{
    auto *table = static_cast<Table *>(argument);
    case_name("reader");
    table->look();
    case_round();
    while (!case_stopped())
        sched_yield();
    if (!is_bug)
        table->leave();
    return nullptr;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    auto *table = new (place) Table;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, table);
    case_await_from(0, 1);
    if (is_bug) {
        table->~Table();
        exit(0); // with the reader inside
    }
    case_tell_stop();
    pthread_join(thread, nullptr);
    table->~Table();
    return 0;
}
