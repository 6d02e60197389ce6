/* Monitor: see monitor.h. */
#include "monitor.h"

#include "rounds.h"

#include <pthread.h>

namespace server
{

static std::atomic<bool> stop_monitor;

StrictCheck::~StrictCheck()
{
    await(monitor_rounds, 2);
}

Monitor::Monitor(Statistics *shared, Mistake selected) : statistics(shared), check(new PortCheck)
{
    if (selected == Mistake::pure_virtual) {
        delete check;
        check = new StrictPortCheck;
    }
    for (int i = 1; i <= 8; i++)
        hosts["mysql" + std::to_string(i) + ":3306"] = Host{};
}

Monitor::~Monitor()
{
    delete check;
}

void Monitor::round(const std::string &name)
{
    auto found = hosts.find(name);
    if (found == hosts.end())
        return;
    found->second.checks++;
    found->second.online = check->passes(found->second);
    statistics->count_lookup();
}

void Monitor::run(Monitor *monitor)
{
    pthread_setname_np(pthread_self(), "monitor");
    for (unsigned turn = 0; !stop_monitor; turn++) {
        monitor->round("mysql" + std::to_string(turn % 8 + 1) + ":3306");
        monitor_rounds++;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
}

void Monitor::start()
{
    thread = std::thread(run, this);
}

void Monitor::stop()
{
    stop_monitor = true;
    if (thread.joinable())
        thread.join();
}

void Monitor::detach()
{
    thread.detach();
}

void Monitor::forget()
{
    new std::thread(std::move(thread));
}

void Monitor::drop_check()
{
    delete check;
    check = nullptr;
}

int Monitor::port_of(const std::string &name)
{
    auto found = hosts.find(name);
    return found == hosts.end() ? 0 : found->second.port;
}

} // namespace server
