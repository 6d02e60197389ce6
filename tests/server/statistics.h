/* Statistics: what the server has done; shared by all its threads. */
#ifndef SERVER_STATISTICS_H
#define SERVER_STATISTICS_H

#include <mutex>
#include <string>

namespace server
{

class Statistics
{
    std::mutex lock;
    long requests = 0, lookups = 0;

  public:
    volatile bool draining = false;

    void count_request()
    {
        std::lock_guard<std::mutex> hold(lock);
        requests++;
    }
    void count_lookup()
    {
        std::lock_guard<std::mutex> hold(lock);
        lookups++;
    }
    std::string text()
    {
        std::lock_guard<std::mutex> hold(lock);
        return "requests " + std::to_string(requests) + " lookups " + std::to_string(lookups);
    }
};

} // namespace server

#endif
