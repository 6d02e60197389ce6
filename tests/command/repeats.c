/* Writes to a closed descriptor three times, from one place. */
#include <unistd.h>

int main(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        return 3;
    close(ends[1]);
    for (int i = 0; i < 3; i++)
        if (write(ends[1], "x", 1) == 1)
            return 4;
    return 0;
}
