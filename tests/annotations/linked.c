/* A library that the program is linked with. */
#include "life.h"

void linked_life(int late);

void linked_life(int late)
{
    life(late);
}
