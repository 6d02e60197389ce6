// quick_exit destroys nothing: what threads use stays.
// EXPECT silent twin_exit=6
#include "case.h"

#include <set>
#include <string>

static std::set<std::string> names = {"a name that is too long for its own object"};

static void *work(void *)
{
    case_name("worker");
    for (;;) {
        case_sink = (uintptr_t)names.count("a name that is too long for its own object");
        case_round();
    }
    return nullptr;
}

static void last()
{
    case_await(2);
    printf("quick\n");
    fflush(stdout);
}

int main(int count, char **arguments)
{
    (void)case_is_bug(count, arguments);
    at_quick_exit(last);
    pthread_t thread;
    pthread_create(&thread, nullptr, work, nullptr);
    case_await(2);
    quick_exit(6);
}
