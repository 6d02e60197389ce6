// Exit handlers that are left by exit and by longjmp; one that ends its thread is the last.
// EXPECT silent twin_exit=5
#include "case.h"

#include <setjmp.h>
#include <string>

static jmp_buf back;
static int rounds;

static struct Object {
    std::string name = "a name that is too long for its own object";
    NOINLINE ~Object()
    {
        printf("%s ends in round %d\n", name.c_str(), rounds);
        fflush(stdout);
    }
} object;

static void leaves_by_longjmp()
{
    printf("leaves\n");
    if (rounds++ < 2)
        longjmp(back, 1);
}

static void exits_again()
{
    printf("exits again\n");
    exit(5);
}

static void one_more()
{
    printf("one more\n");
}

int main(int count, char **arguments)
{
    (void)case_is_bug(count, arguments);
    atexit(one_more);
    atexit(exits_again);
    atexit(leaves_by_longjmp);
    if (setjmp(back) != 0) {
        char *block = new char[100];
        case_hide(block);
        delete[] block;
        atexit(leaves_by_longjmp);
    }
    exit(4);
}
