// Live objects: a program ends with two million objects alive in a table of strings, which the
// destructors of main's variables free. What is measured is the shutdown alone: the mark is where
// it begins. Usage: live_objects [OBJECTS]
#include "mark.h"

#include <cstdlib>
#include <string>
#include <unordered_map>

static std::unordered_map<unsigned, std::string> table;

int main(int count, char **arguments)
{
    long entries = (count > 1 ? atol(arguments[1]) : 2000000) / 2; // a node and a long string each
    unsigned key = 1;
    for (long i = 0; i < entries; i++) {
        key = key * 1664525 + 1013904223;
        table.emplace(key, std::string(24 + key % 64, 'x'));
    }
    mark();
    return 0;
}
