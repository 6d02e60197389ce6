// The destructor of one global object uses another, which exit has destroyed before it.
// EXPECT kind=use-after-destruction stripped=nothing late=main destroyer=main touch=write_line end=~Log says=global.Log.a_log exit=134
#include "case.h"

static bool is_bug;

class Log
{
  public:
    NOINLINE Log() : sink(buffer) {}
    NOINLINE ~Log()
    {
        used = 0;
    }
    NOINLINE void write_line()
    {
        sink[used++ % sizeof buffer] = 'x';
    }

  private:
    volatile char *sink;
    unsigned long used = 0;
    static volatile char buffer[64];
};

volatile char Log::buffer[64];

extern Log a_log;

static struct Session {
    NOINLINE ~Session()
    {
        if (is_bug)
            a_log.write_line();
    }
} session;

Log a_log;

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    a_log.write_line();
    return 0;
}
