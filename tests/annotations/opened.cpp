// A library that the program loads with dlopen: its constructor annotates, by the C++ forms.
#include "life.h"

#include <cstdlib>
#include <cstring>

namespace
{

struct Part {
    outlive::object life;
    int value;
    Part() : life(this, sizeof *this, "Part"), value(0) {}
};

struct Whole : outlive::object {
    Part part;
    Whole() : outlive::object(this, sizeof(Whole), "Whole") {}
};

struct Runs {
    Runs()
    {
        const char *text = std::getenv("LIFE");
        bool late = text != NULL && std::strcmp(text, "late") == 0;
        {
            Whole whole;
            Whole copy(whole);
            whole = copy;
            whole.touched();
            copy.part.life.touched();
            outlive::ignore ignored;
        }
        life(late);
    }
} runs;

} // namespace

extern "C" void opened_life(int late);

void opened_life(int late)
{
    life(late);
}
