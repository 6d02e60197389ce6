/* Rounds: how often each thread of the server has come round, in memory that outlives everything.
 * Shutdown waits on these ("one more statistics round") and so do the mistakes: a late touch is
 * certain, not a matter of time. */
#ifndef SERVER_ROUNDS_H
#define SERVER_ROUNDS_H

#include <atomic>
#include <chrono>
#include <thread>

namespace server
{

using Rounds = std::atomic<unsigned long>;

inline Rounds monitor_rounds, worker_rounds, web_rounds, requests_served;

/* Until `more` rounds have passed; gives up after ten seconds. */
inline bool await(Rounds &rounds, unsigned long more)
{
    const unsigned long start = rounds;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (rounds - start < more && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return rounds - start >= more;
}

} // namespace server

#endif
