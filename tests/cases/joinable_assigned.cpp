// A std::thread in an object is started again without a join.
// EXPECT kind=joinable-thread-destroyed late=main destroyer= touch=start birth=start start=- says=neither.joined stripped=joinable-thread-destroyed stripped_grade=possible stripped_exit=134
#include "case.h"

#include <thread>

struct server {
    std::thread worker;

    NOINLINE void start()
    {
        worker = std::thread([] {
            case_name("worker");
            while (!case_stopped())
                case_round();
        });
        case_sink++;
    }

    NOINLINE void stop()
    {
        case_tell_stop();
        worker.join();
        case_stop = false;
    }
};

int main(int count, char **arguments)
{
    bool bug = case_is_bug(count, arguments);
    server *one = new server;
    one->start();
    case_await(2);
    if (!bug)
        one->stop();
    one->start();
    case_await(2);
    one->stop();
    delete one;
    return 0;
}
