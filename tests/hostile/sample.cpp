// Sample: what a small threaded program asks of the shim: cold and hot objects, threads joined and
// not, a child by fork, a signal handler, a second round of allocation after the rest was freed.
// `bug` adds a late touch. Prints the same lines in every run; the fault injection compares them.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static std::atomic<long> sum{0};

static void on_signal(int)
{
    sum.fetch_add(1);
}

static void work(int number)
{
    std::map<int, std::string> names;
    for (int i = 0; i < 5; i++)
        names[i] = std::string(static_cast<size_t>(20 + i), static_cast<char>('a' + number));
    for (const auto &name : names)
        sum.fetch_add(static_cast<long>(name.second.size()));
    void *block = std::malloc(3000);
    std::memset(block, 1, 3000);
    block = std::realloc(block, 6000);
    std::free(block);
}

int main(int count, char **arguments)
{
    bool bug = count > 1 && std::strcmp(arguments[1], "bug") == 0;
    std::signal(SIGUSR1, on_signal);
    std::signal(SIGTERM, on_signal);
    for (int round = 0; round < 2; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; i++)
            threads.emplace_back(work, i);
        for (auto &thread : threads)
            thread.join();
    }
    std::raise(SIGUSR1);
    pid_t child = fork();
    if (child == 0) {
        auto own = std::make_unique<std::string>(200, 'x');
        _exit(own->size() == 200 ? 7 : 8);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::printf("sum %ld child %d\n", sum.load(), WEXITSTATUS(status));
    std::fflush(stdout);
    if (bug) {
        auto *text = new std::string(100, 'y');
        std::atomic<bool> destroyed{false};
        std::thread late([&] {
            while (!destroyed.load())
                std::this_thread::yield();
            sum.fetch_add(static_cast<long>(text->size()));
        });
        std::string *volatile hidden = text;
        delete hidden;
        destroyed.store(true);
        late.join();
    }
    return 3;
}
