// A detached thread reads a long std::string of a deleted object.
// EXPECT kind=late-touch late=reporter destroyer=main touch=measure end=main birth=main start=main
#include "case.h"

#include <string>

struct Settings {
    std::string banner;
};

NOINLINE static unsigned measure(const Settings *settings)
{
    unsigned total = 0;
    for (char c : settings->banner)
        total += (unsigned char)c;
    return total;
}

static void *run(void *argument)
{
    case_name("reporter");
    while (!case_stopped()) {
        case_sink = measure(static_cast<Settings *>(argument));
        case_round();
    }
    case_rounds = 1000000;
    return nullptr;
}

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    auto *settings = new Settings;
    settings->banner.assign(200, 'x');
    pthread_t thread;
    pthread_create(&thread, nullptr, run, settings);
    pthread_detach(thread);
    case_await(2);
    if (!bug) {
        case_tell_stop();
        while (case_rounds < 1000000)
            sched_yield();
    }
    delete settings;
    if (bug)
        case_await(2);
    return 0;
}
