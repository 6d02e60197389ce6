// A worker sends the text of a global object that exit has destroyed.
// EXPECT kind=late-touch stripped=late-touch stripped_grade=possible late=worker destroyer=main touch=send_banner end=~Banner start=main says=handed.write()
#include "case.h"

#include <fcntl.h>

static bool is_bug;

static struct Gate {
    ~Gate()
    {
        if (is_bug)
            case_await(2);
    }
} gate;

struct Banner {
    char text[24] = "220 the server is ready";
    NOINLINE ~Banner()
    {
        memset(text, 0, sizeof text);
        case_sink = (uintptr_t)text;
    }
};

static Banner banner;

NOINLINE static void send_banner(int place)
{
    case_sink = (uintptr_t)write(place, banner.text, sizeof banner.text);
}

static void *work(void *argument)
{
    case_name("worker");
    while (!case_stopped()) {
        send_banner(*(int *)argument);
        case_round();
    }
    return nullptr;
}

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    static int place = open("/dev/null", O_WRONLY);
    pthread_t thread;
    pthread_create(&thread, nullptr, work, &place);
    case_await(2);
    if (!is_bug) {
        case_tell_stop();
        pthread_join(thread, nullptr);
    }
    return 0;
}
