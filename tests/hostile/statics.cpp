// Libraries with static objects that are closed and opened again, while the program runs and while
// it exits; handlers that throw, or end their thread. Usage: statics LIBRARY closed|thrown|ended
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

static const char *path;

static void *open_and_use()
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::printf("%s\n", dlerror());
        std::_Exit(3);
    }
    std::printf("%d\n", reinterpret_cast<int (*)()>(dlsym(library, "use"))());
    return library;
}

static void *still_open;

// The library's objects have ended before, since it was opened later.
static void close_late()
{
    dlclose(still_open);
    dlclose(still_open);
    dlclose(open_and_use());
    std::printf("closed while the program exits\n");
}

static void end_at_once()
{
    std::printf("terminate\n");
    std::fflush(stdout);
    _exit(8);
}

static void throws()
{
    try {
        throw std::runtime_error("inside a handler");
    } catch (const std::exception &error) {
        std::printf("caught: %s\n", error.what());
    }
    throw std::runtime_error("out of a handler");
}

static void ends_thread()
{
    std::printf("the thread ends\n");
    std::fflush(stdout);
    pthread_exit(nullptr);
}

static void *watch(void *main_thread)
{
    pthread_join(*static_cast<pthread_t *>(main_thread), nullptr);
    std::printf("the other thread goes on\n");
    std::fflush(stdout);
    _exit(9);
}

static std::string first = "the first object has a name that is long";

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    path = arguments[1];
    if (std::strcmp(arguments[2], "closed") == 0) {
        std::atexit(close_late);
        for (int i = 0; i < 50; i++)
            dlclose(open_and_use());
        still_open = open_and_use();
        still_open = open_and_use();
        return 4;
    }
    if (std::strcmp(arguments[2], "thrown") == 0) {
        std::atexit(throws);
        std::set_terminate(end_at_once);
        std::exit(5);
    }
    static pthread_t self = pthread_self();
    pthread_t thread;
    pthread_create(&thread, nullptr, watch, &self);
    std::atexit(ends_thread);
    return 7;
}
