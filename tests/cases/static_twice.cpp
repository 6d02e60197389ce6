// An exit handler destroys a global object that exit has destroyed already.
// EXPECT kind=double-destruction stripped=nothing late=main destroyer=main touch=~List end=~List says=global.List.list exit=134
#include "case.h"

static bool is_bug;

struct List {
    List *next = this;
    NOINLINE ~List()
    {
        case_sink = (uintptr_t)this;
    }
};

extern List list;

static void clean_up()
{
    if (is_bug)
        list.~List();
}

static struct First {
    First()
    {
        atexit(clean_up);
    }
} first;

List list;

int main(int count, char **arguments)
{
    is_bug = case_is_bug(count, arguments);
    return 0;
}
