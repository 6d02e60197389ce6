// A thread takes a rwlock whose owner was destroyed in place. libc leaves no sign of that in it.
// EXPECT kind=use-after-destroy late=reader destroyer=main touch=look end=~Table start=main says=the.rwlock
#include "case.h"

#include <new>

class Table
{
  public:
    Table()
    {
        pthread_rwlock_init(&lock, nullptr);
    }
    NOINLINE ~Table()
    {
        pthread_rwlock_destroy(&lock);
        case_sink = 1;
    }
    NOINLINE void look()
    {
        pthread_rwlock_rdlock(&lock);
        pthread_rwlock_unlock(&lock);
        case_sink = 2;
    }

  private:
    pthread_rwlock_t lock;
};

alignas(Table) static char place[sizeof(Table)];
static volatile bool may_go_on;

static void *run(void *argument)
{
    auto *table = static_cast<Table *>(argument);
    case_name("reader");
    table->look();
    case_round();
    while (!may_go_on && !case_stopped())
        sched_yield();
    if (!case_stopped())
        table->look();
    case_round();
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *table = new (place) Table;
    pthread_t thread;
    pthread_create(&thread, nullptr, run, table);
    case_await_from(0, 1);
    if (bug) {
        table->~Table();
        may_go_on = true;
        case_await_from(0, 2);
        return 0;
    }
    case_tell_stop();
    pthread_join(thread, nullptr);
    table->~Table();
    return 0;
}
