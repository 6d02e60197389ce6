/* One life, told in C99 and C++98 alike. */
#ifndef OUTLIVE_TESTS_LIFE_H
#define OUTLIVE_TESTS_LIFE_H

#include <outlive.h>

static __inline__ void life(int late)
{
    static int element[16];
    outlive_born(element, sizeof element, "element");
    outlive_thread_needs(element);
    outlive_handed_over(element);
    if (!late)
        outlive_touched(element);
    outlive_died(element);
    if (late)
        outlive_touched(element);
}

#endif
