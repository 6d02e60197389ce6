/* Workers: threads that accept connections and answer a line protocol:
 * `GET host`, `STATS`, `FILTER word`, `SHUTDOWN`, `QUIT`. */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include "monitor.h"
#include "statistics.h"

#include <atomic>
#include <thread>
#include <vector>

namespace server
{

class Workers
{
    int listener = -1;
    std::vector<std::thread> threads;
    Statistics *statistics;
    Monitor *monitor;
    bool polls;

    void run(unsigned number);
    void serve(int connection);
    bool answer(int connection, const std::string &line);

  public:
    /* polls_flag: threads look at the statistics' flag in each round. */
    Workers(Statistics *shared, Monitor *hosts, bool polls_flag);
    /* Listens on a loopback port (0: any) and starts `count` threads; returns the port. */
    int start(int port, unsigned count);
    void stop();
    /* Leaves the threads running and nobody to join them. */
    void forget();
};

} // namespace server

#endif
