/* Admin: see admin.h. */
#include "admin.h"

#include "client.h"
#include "rounds.h"

#include <cstdio>
#include <cstdlib>
#include <pthread.h>

namespace server
{

static Monitor *monitor_of_exit;

static void clean_up_at_exit()
{
    delete monitor_of_exit;
    await(monitor_rounds, 2);
}

void exit_from_worker(Monitor *monitor)
{
    monitor_of_exit = monitor;
    atexit(clean_up_at_exit);
    std::thread([] {
        pthread_setname_np(pthread_self(), "terminator");
        exit(0);
    }).detach();
    for (;;)
        std::this_thread::sleep_for(std::chrono::hours(1));
}

Admin::Admin(Mistake selected, bool with_web)
    : mistake(selected), statistics(new Statistics), monitor(new Monitor(statistics, selected)),
      workers(new Workers(statistics, monitor, selected == Mistake::flag))
{
    if (with_web)
        web = new Web(statistics);
    else if (mistake != Mistake::uninitialised)
        web = nullptr;
}

void Admin::start(int wanted_port, int page_port, unsigned worker_count)
{
    monitor->start();
    port = workers->start(wanted_port, worker_count);
    if (mistake != Mistake::uninitialised && web != nullptr)
        web_port = web->start(page_port);
    printf("listening on 127.0.0.1:%d web %d\n", port, web_port);
    fflush(stdout);
    await(monitor_rounds, 1);
    await(worker_rounds, 1);
}

/* First the threads, those that give work before those that do it, then what they use. */
void Admin::shut_down_rightly()
{
    workers->stop();
    delete web;
    monitor->stop();
    delete workers;
    delete monitor;
    delete statistics;
}

void Admin::shut_down_with_mistake()
{
    switch (mistake) {
    case Mistake::monitor:
        monitor->forget();
        delete monitor;
        await(monitor_rounds, 2);
        break;
    case Mistake::monitor_detached:
        monitor->detach();
        delete monitor;
        await(monitor_rounds, 2);
        break;
    case Mistake::worker:
    case Mistake::flag:
        monitor->stop();
        delete web;
        workers->forget();
        delete statistics;
        if (mistake == Mistake::worker)
            request(port, "STATS"); // one more client, as there always is
        else
            await(worker_rounds, 4);
        break;
    case Mistake::web:
        workers->stop();
        monitor->stop();
        delete statistics;
        request(web_port, "GET / HTTP/1.0\r\n\r"); // a last look at the page
        break;
    case Mistake::double_free: {
        shut_down_rightly();
        std::thread second([shared = statistics] {
            pthread_setname_np(pthread_self(), "cleaner");
            delete shared;
        });
        second.join();
        break;
    }
    case Mistake::pure_virtual:
        monitor->drop_check();
        break;
    case Mistake::exit_from_worker:
        monitor->detach();
        exit_from_worker(monitor);
        break;
    default:
        shut_down_rightly();
        break;
    }
}

Admin::~Admin()
{
    if (mistake == Mistake::none)
        shut_down_rightly();
    else
        shut_down_with_mistake();
}

} // namespace server
