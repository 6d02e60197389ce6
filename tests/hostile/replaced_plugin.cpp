// A library for replaced.cpp, built twice: its destructor differs in its last bytes only, those of
// the constant, and is so short that they all make room for a jump.
static volatile int value;

struct Part {
    __attribute__((noinline, noclone)) ~Part();
};
Part::~Part()
{
    value = VALUE;
}

struct Base { // its table of virtual functions wants the C++ library
    virtual ~Base();
};
Base::~Base() = default;

extern "C" int use()
{
    {
        Part part;
    }
    return value;
}
