// Allocations whose types outlive-resolver is asked for: each has a size of its own, by which
// check-resolver knows what must be answered. Those of impostors() look like a class and are none.
#include <array>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#define SEPARATE __attribute__((noinline))

template <size_t Size> struct Sized {
    long words[Size / 8];
};

namespace made
{
struct Called : Sized<400> {
    SEPARATE Called(long value)
    {
        words[0] = value;
    }
};
struct Inlined : Sized<408> {
    Inlined(long value)
    {
        words[0] = value;
    }
};
struct Derived : Called {
    long more[2];
    Derived(long value) : Called(value), more{value, value} {}
};
template <class T> struct Generic : Sized<424> {
    Generic(T value)
    {
        words[0] = value;
    }
};
struct Inner : Sized<432> {
    SEPARATE Inner()
    {
        words[0] = 1;
    }
};
struct Unique : Sized<440> {
    Inner *inner;
    Unique() : inner(new Inner) {}
};
struct Buffered : Sized<456> {
    void *buffer;
    Buffered() : buffer(malloc(2000)) {}
};
} // namespace made

struct Aggregate {
    made::Called first;
    long more[5];
};
struct Wrapper {
    made::Inlined only;
    long more[4];
};
struct Twin : Sized<480> {
    Twin(long value)
    {
        for (long &word : words)
            word = value;
    }
};
struct Trivial : Sized<480> {
};
struct Same : Sized<488> {
    SEPARATE Same(long value)
    {
        words[0] = value;
    }
};
struct SameAggregate {
    Same same;
};

void *volatile kept;

SEPARATE void classes(long value)
{
    kept = new made::Called(value);
    kept = new made::Inlined(value);
    kept = new made::Derived(value);
    kept = new made::Generic<long>(value);
    kept = std::make_unique<made::Unique>().release();
    kept = new made::Buffered;
}

SEPARATE void containers(size_t count)
{
    std::map<int, std::array<char, 500>> map;
    map[1][0] = 1;
    std::list<std::array<char, 540>> list;
    list.emplace_back();
    std::unordered_map<int, std::array<char, 560>> hashed;
    hashed[1][0] = 1;
    std::vector<short> numbers;
    numbers.resize(count);
    std::vector<made::Called> many;
    many.reserve(3);
    auto shared = std::make_shared<std::array<char, 600>>();
    kept = shared.get();
}

SEPARATE void impostors(long value)
{
    kept = new Aggregate{made::Called(value), {}};
    kept = new Wrapper{made::Inlined(value), {}};
    kept = new Trivial;
    Twin twin(value);
    memcpy(kept, &twin, sizeof twin);
    kept = new SameAggregate{Same(value)};
    kept = new char[496];
}

int main(int count, char **)
{
    classes(count);
    containers((size_t)count + 350);
    impostors(count);
}
