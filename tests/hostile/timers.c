/* A thousand timers with threads of libc's for their notifications are made and deleted while
 * another one goes on: that one's function is called as before. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int right, wrong;

static void of_the_first(union sigval value)
{
    atomic_fetch_add(value.sival_int == 42 ? &right : &wrong, 1);
}

static void of_the_others(union sigval value)
{
    (void)value;
    atomic_fetch_add(&wrong, 1);
}

static timer_t make(void (*notify)(union sigval), int number)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = notify,
                             .sigev_value.sival_int = number};
    return timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 ? timer : NULL;
}

static void await(int count)
{
    for (int i = 0; i < 500 && atomic_load(&right) < count && atomic_load(&wrong) == 0; i++)
        usleep(10000);
}

int main(void)
{
    const struct itimerspec period = {{0, 20000000}, {0, 20000000}};
    timer_t first = make(of_the_first, 42);
    if (first == NULL || timer_settime(first, 0, &period, NULL) != 0)
        return 2;
    await(2);
    for (int i = 0; i < 3000; i++) {
        timer_t other = make(of_the_others, i);
        if (other == NULL)
            return 3;
        timer_delete(other);
    }
    await(atomic_load(&right) + 3);
    timer_delete(first);
    printf("right: %s, wrong: %s\n", right > 0 ? "yes" : "no", wrong > 0 ? "yes" : "no");
    return wrong > 0;
}
