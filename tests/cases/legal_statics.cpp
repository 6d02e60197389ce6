// Legal things that objects of static storage do at exit: singletons that come back or know that
// they are gone, objects that are never destroyed, streams, arrays, handlers that make handlers.
// What is written tells the order, which must be the bare program's.
// EXPECT silent twin_exit=3
#include "case.h"

#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

/* Reads its own flag after its end. */
class Registry
{
  public:
    static bool is_alive()
    {
        return instance().alive;
    }
    static Registry &instance()
    {
        static Registry registry;
        return registry;
    }
    ~Registry()
    {
        alive = false;
        names.clear();
    }
    std::map<std::string, int> names;
    volatile bool alive = true;
};

/* The same, where the flag lies in a page that holds nothing else. */
struct BigRegistry {
    char before[8192];
    std::string name = "a registry with a name that is quite long";
    volatile bool alive = true;
    char after[8192];
    NOINLINE ~BigRegistry()
    {
        alive = false;
    }
    void put(char character)
    {
        if (alive)
            before[0] = after[0] = character;
    }
};
static BigRegistry big_registry;

/* Comes back when it is needed after its end (Alexandrescu, Modern C++ Design, 6.6). */
class Phoenix
{
  public:
    static Phoenix &instance()
    {
        if (place == nullptr) {
            if (destroyed)
                come_back();
            else
                make();
        }
        return *place;
    }
    NOINLINE void write(const char *line)
    {
        std::lock_guard<std::mutex> lock(mutex);
        lines.push_back(line);
        printf("phoenix: %s, %zu lines\n", lines.back().c_str(), lines.size());
    }
    NOINLINE virtual ~Phoenix()
    {
        printf("phoenix ends\n");
        place = nullptr;
        destroyed = true;
    }

  private:
    static void make()
    {
        static Phoenix made;
        place = &made;
        storage = &made;
    }
    static void kill()
    {
        place->~Phoenix();
    }
    static void come_back()
    {
        place = new (storage) Phoenix;
        destroyed = false;
        atexit(kill);
    }
    static Phoenix *place;
    static void *storage;
    static bool destroyed;
    std::mutex mutex;
    std::vector<std::string> lines;
};

Phoenix *Phoenix::place;
void *Phoenix::storage;
bool Phoenix::destroyed;

/* The same, larger than a page and without a pointer. */
class BigPhoenix
{
  public:
    NOINLINE ~BigPhoenix()
    {
        destroyed = true;
        printf("big phoenix ends\n");
    }
    volatile int numbers[4096];
    static bool destroyed;
};

bool BigPhoenix::destroyed;
static BigPhoenix big;

struct Trivial {
    const char *name;
    int numbers[2000];
};
static Trivial trivial = {"trivial", {}};

static std::string *never_destroyed()
{
    static std::string *name = new std::string("a name that outlives all others, and is long");
    return name;
}

struct Speaker {
    std::string name;
    explicit Speaker(const char *given) : name(given) {}
    NOINLINE ~Speaker()
    {
        std::cout << name << " ends" << std::endl;
        printf("registry is %s\n", Registry::is_alive() ? "alive" : "gone");
        big_registry.put('s');
        Phoenix::instance().write(name.c_str());
        case_sink = (uintptr_t)trivial.name[0] + (uintptr_t)never_destroyed()->size();
    }
};

static Speaker first("first speaker with a name that is quite long");

static Speaker several[2][2] = {{Speaker("one"), Speaker("two")},
                                {Speaker("three"), Speaker("four")}};
static std::unique_ptr<Speaker> owner(new Speaker("an owned one"));
static const std::string &extended = std::string("a temporary whose life is extended");

static void handler_of_handler()
{
    printf("handler of a handler\n");
    if (BigPhoenix::destroyed) {
        auto *again = new (&big) BigPhoenix;
        for (volatile int &number : again->numbers)
            number = 1;
        again->~BigPhoenix();
    }
}

static void handler()
{
    printf("handler, %s\n", extended.c_str());
    atexit(handler_of_handler);
}

static void with_status(int status, void *argument)
{
    printf("status %d, %s\n", status, static_cast<const char *>(argument));
}

/* Legal where an object is alive: the threads are not told of its end. */
static void *write_on(void *)
{
    case_name("writer");
    for (;;) {
        std::cerr.good();
        case_sink = (uintptr_t)fileno(stdout) + (uintptr_t)never_destroyed()->size() +
                    (uintptr_t)trivial.numbers[7];
        (void)Registry::is_alive();
        case_sink = big_registry.alive;
        case_round();
    }
    return nullptr;
}

static void last()
{
    case_await(2);
    fflush(stdout);
}

static void early()
{
    atexit(last);
}

__attribute__((constructor(101))) static void first_of_all()
{
    early();
}

int main(int count, char **arguments)
{
    (void)case_is_bug(count, arguments);
    Registry::instance().names["one"] = 1;
    Phoenix::instance().write("first line");
    atexit(handler);
    on_exit(with_status, const_cast<char *>("its argument"));
    static Speaker local("local speaker with a name that is quite long");
    for (volatile int &number : big.numbers)
        number = 2;
    pthread_t thread;
    pthread_create(&thread, nullptr, write_on, nullptr);
    case_await(2);
    return 3;
}
