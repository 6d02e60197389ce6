/* Mistake: the one lifetime mistake that --mistake selects; none by default. */
#ifndef SERVER_MISTAKE_H
#define SERVER_MISTAKE_H

#include <string>

namespace server
{

enum class Mistake {
    none,
    monitor,          // monitor object deleted while its thread, never joined, looks hosts up
    monitor_detached, // the same with a detached thread
    worker,           // statistics deleted while a worker, never joined, still locks them
    web,              // statistics deleted while the web server still answers
    flag,             // a thread polls a plain flag of a deleted object
    uninitialised,    // a member that was never set is deleted, since the web server was off
    double_free,      // statistics deleted by their owner and by the admin
    pure_virtual,     // a check runs while its base class' destructor does
    exit_from_worker, // a worker ends the program while the monitor uses what an exit handler frees
};

struct MistakeRow {
    Mistake mistake;
    const char *name;
    const char *kind; // what Outlive is to find
};

inline constexpr MistakeRow mistakes[] = {
    {Mistake::monitor, "monitor", "late-touch"},
    {Mistake::monitor_detached, "monitor-detached", "late-touch"},
    {Mistake::worker, "worker", "late-touch"},
    {Mistake::web, "web", "late-touch"},
    {Mistake::flag, "flag", "late-touch"},
    {Mistake::uninitialised, "uninitialised", "uninitialised-pointer"},
    {Mistake::double_free, "double-free", "double-free"},
    {Mistake::pure_virtual, "pure-virtual", "pure-virtual-call"},
    {Mistake::exit_from_worker, "exit-from-worker", "late-touch"},
};

} // namespace server

#endif
