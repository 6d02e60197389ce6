// A library for statics.cpp: static objects with pointers, an array, handlers, and a class that
// throws.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

struct Table {
    std::mutex lock;
    std::map<std::string, std::string> names;
    Table *self = this;
    __attribute__((noinline)) ~Table()
    {
        std::lock_guard<std::mutex> hold(lock);
        std::printf("table with %zu names ends, %d\n", names.size(), self == this);
    }
};

static Table table, several[3];

static void handler()
{
    std::printf("handler of the library\n");
}

extern "C" int use()
{
    static Table local;
    std::lock_guard<std::mutex> hold(table.lock);
    table.names["a name that is too long for its own object"] =
        "and a value that is as long as that";
    local.names["one"] = "two";
    several[1].names["three"] = "four";
    std::atexit(handler);
    return static_cast<int>(table.names.size());
}
