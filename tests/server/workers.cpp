/* Workers: see workers.h. */
#include "workers.h"

#include "rounds.h"

#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <set>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace server
{

/* Words that are not answered; set before any thread starts, destroyed after the last has ended. */
static std::set<std::string> filters = {"drop", "truncate"};

static std::atomic<bool> stop_workers;

Workers::Workers(Statistics *shared, Monitor *hosts, bool polls_flag)
    : statistics(shared), monitor(hosts), polls(polls_flag)
{
}

int Workers::start(int port, unsigned count)
{
    sockaddr_in address{};
    socklen_t length = sizeof address;
    int on = 1;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr *>(&address), &length) != 0)
        throw std::runtime_error("cannot listen on the port");
    for (unsigned i = 0; i < count; i++)
        threads.emplace_back(&Workers::run, this, i);
    return ntohs(address.sin_port);
}

bool Workers::answer(int connection, const std::string &line)
{
    std::string reply = "?\n";
    statistics->count_request();
    if (line.rfind("GET ", 0) == 0)
        reply = std::to_string(monitor->port_of(line.substr(4))) + "\n";
    else if (line.rfind("FILTER ", 0) == 0)
        reply = filters.count(line.substr(7)) != 0 ? "filtered\n" : "passed\n";
    else if (line == "STATS")
        reply = statistics->text() + "\n";
    else if (line == "SHUTDOWN")
        kill(getpid(), SIGTERM);
    else if (line == "QUIT")
        return false;
    requests_served++;
    return send(connection, reply.data(), reply.size(), MSG_NOSIGNAL) == (ssize_t)reply.size();
}

void Workers::serve(int connection)
{
    std::string text;
    char buffer[512];
    ssize_t got;
    while ((got = recv(connection, buffer, sizeof buffer, 0)) > 0) {
        text.append(buffer, static_cast<size_t>(got));
        size_t end;
        while ((end = text.find('\n')) != std::string::npos) {
            if (!answer(connection, text.substr(0, end)))
                return;
            text.erase(0, end + 1);
        }
    }
}

void Workers::run(unsigned number)
{
    const std::string name = "worker " + std::to_string(number);
    pthread_setname_np(pthread_self(), name.c_str());
    const int own_listener = listener;
    Statistics *const own_statistics = statistics;
    while (!stop_workers) {
        pollfd waiting = {own_listener, POLLIN, 0};
        if (poll(&waiting, 1, 5) > 0) {
            int connection = accept4(own_listener, nullptr, nullptr, SOCK_CLOEXEC);
            if (connection >= 0) {
                serve(connection);
                close(connection);
            }
        }
        if (polls && own_statistics->draining)
            stop_workers = true;
        worker_rounds++;
    }
}

void Workers::stop()
{
    stop_workers = true;
    for (auto &thread : threads)
        thread.join();
    threads.clear();
    close(listener);
}

void Workers::forget()
{
    new std::vector<std::thread>(std::move(threads));
}

} // namespace server
