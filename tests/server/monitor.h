/* Monitor: a thread that looks after backend hosts, kept in a map by name. */
#ifndef SERVER_MONITOR_H
#define SERVER_MONITOR_H

#include "mistake.h"
#include "statistics.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace server
{

struct Host {
    int port = 3306;
    long checks = 0;
    bool online = true;
};

/* One way of checking a host; the monitor calls it in each round. */
class Check
{
  public:
    virtual ~Check() = default;
    virtual bool passes(const Host &)
    {
        return true;
    }
};

class PortCheck : public Check
{
  public:
    bool passes(const Host &host) override
    {
        return host.port > 0;
    }
};

/* For the mistake `pure-virtual`: its destructor lets the round under way finish, too late. */
class StrictCheck : public Check
{
  public:
    ~StrictCheck() override;
    bool passes(const Host &host) override = 0;
};

class StrictPortCheck : public StrictCheck
{
  public:
    bool passes(const Host &host) override
    {
        return host.port == 3306;
    }
};

class Monitor
{
    std::map<std::string, Host> hosts;
    std::mutex lock;
    Statistics *statistics;
    Check *check;
    std::thread thread;

    static void run(Monitor *monitor);
    void round(const std::string &name);

  public:
    explicit Monitor(Statistics *shared, Mistake selected);
    ~Monitor();
    void start();
    /* Ends the thread and waits for it. */
    void stop();
    void detach();
    /* Leaves the thread running and nobody to join it. */
    void forget();
    void drop_check();
    int port_of(const std::string &name);
};

} // namespace server

#endif
