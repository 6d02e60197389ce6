// A library that is loaded, used, unloaded and loaded again many times, by several threads at once.
// Usage: plugins LIBRARY ROUNDS [bug]
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>

static const char *path;
static int rounds;

static long round_of(bool bug)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        printf("%s\n", dlerror());
        exit(3);
    }
    auto use = reinterpret_cast<long (*)(int)>(dlsym(library, "use"));
    long sum = use(bug);
    dlclose(library);
    return sum;
}

static void *run(void *)
{
    long sum = 0;
    for (int i = 0; i < rounds; i++)
        sum += round_of(false);
    return reinterpret_cast<void *>(sum);
}

int main(int count, char **arguments)
{
    path = arguments[1];
    rounds = atoi(arguments[2]);
    pthread_t threads[3];
    long all = 0;
    for (auto &thread : threads)
        pthread_create(&thread, nullptr, run, nullptr);
    for (auto thread : threads) {
        void *sum;
        pthread_join(thread, &sum);
        all += reinterpret_cast<long>(sum);
    }
    for (int i = 0; i < rounds; i++) // now it goes and comes back each time
        all += round_of(false);
    printf("%ld\n", all);
    if (count > 3)
        round_of(true);
    return 0;
}
