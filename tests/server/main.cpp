/* Sample server: ProxySQL in miniature, for tests and the demo. Workers answer a line protocol, a
 * monitor thread looks after hosts, libmicrohttpd serves a page, an admin object owns them. Ends on
 * SIGTERM or SIGINT, or after --shutdown-after rounds of its monitor. */
#include "admin.h"
#include "rounds.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>

using namespace server;

static int usage()
{
    fputs("usage: sample-server [--port=N] [--web-port=N] [--no-web] [--workers=N]\n"
          "                     [--shutdown-after=ROUNDS] [--mistake=NAME] [--list-mistakes]\n",
          stderr);
    return 2;
}

static bool option(const char *argument, const char *name, const char **value)
{
    const size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=')
        return false;
    *value = argument + length + 1;
    return true;
}

int main(int count, char **arguments)
{
    Mistake mistake = Mistake::none;
    bool with_web = true;
    int port = 0, web_port = 0;
    unsigned workers = 4;
    unsigned long rounds = 0;
    for (int i = 1; i < count; i++) {
        const char *value;
        if (option(arguments[i], "--port", &value))
            port = atoi(value);
        else if (option(arguments[i], "--web-port", &value))
            web_port = atoi(value);
        else if (option(arguments[i], "--workers", &value))
            workers = static_cast<unsigned>(atoi(value));
        else if (option(arguments[i], "--shutdown-after", &value))
            rounds = strtoul(value, nullptr, 10);
        else if (strcmp(arguments[i], "--no-web") == 0)
            with_web = false;
        else if (strcmp(arguments[i], "--list-mistakes") == 0) {
            for (const auto &row : mistakes)
                printf("%s %s\n", row.name, row.kind);
            return 0;
        } else if (option(arguments[i], "--mistake", &value)) {
            for (const auto &row : mistakes)
                if (strcmp(row.name, value) == 0)
                    mistake = row.mistake;
            if (mistake == Mistake::none) {
                fprintf(stderr, "sample-server: no mistake '%s'; --list-mistakes\n", value);
                return 2;
            }
        } else
            return usage();
    }
    if (mistake == Mistake::uninitialised)
        with_web = false;
    sigset_t termination;
    sigemptyset(&termination);
    sigaddset(&termination, SIGTERM);
    sigaddset(&termination, SIGINT);
    pthread_sigmask(SIG_BLOCK, &termination, nullptr);
    auto *admin = new Admin(mistake, with_web);
    admin->start(port, web_port, workers);
    if (rounds > 0)
        await(monitor_rounds, rounds);
    else {
        int number;
        sigwait(&termination, &number);
    }
    delete admin;
    puts("stopped");
    return 0;
}
