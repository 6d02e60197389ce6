/* Load for memcached, for which Debian has no client: one thread, each connection sends a request
 * when it has the answer to the one before; one in four is a set. Prints the answers per second.
 * memcached-load PORT CONNECTIONS SECONDS */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MOST = 1000, KEYS = 10000, VALUE_MOST = 2000 };

static uint32_t next_random(void)
{
    static uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool ask(int connection)
{
    static char request[VALUE_MOST + 100];
    uint32_t key = next_random() % KEYS;
    int length;
    if (next_random() % 4 == 0) {
        int size = 10 + (int)(next_random() % (VALUE_MOST - 10));
        length =
            snprintf(request, sizeof request, "set key%u 0 0 %d\r\n%0*u\r\n", key, size, size, key);
    } else {
        length = snprintf(request, sizeof request, "get key%u\r\n", key);
    }
    return write(connection, request, (size_t)length) == length;
}

/* True once the answer is whole: the values hold no line ends, so its last line tells. */
static bool ends(const char *answer, size_t length)
{
    static const char *const lasts[] = {"END\r\n", "STORED\r\n"};
    for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++) {
        size_t size = strlen(lasts[i]);
        if (length >= size && memcmp(answer + length - size, lasts[i], size) == 0)
            return true;
    }
    return false;
}

int main(int count, char **arguments)
{
    static struct pollfd polled[CONNECTIONS_MOST];
    static char answers[CONNECTIONS_MOST][VALUE_MOST + 100];
    static size_t lengths[CONNECTIONS_MOST];
    int connections = count == 4 ? atoi(arguments[2]) : 0;
    if (connections < 1 || connections > CONNECTIONS_MOST)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(arguments[1])),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < connections; i++) {
        polled[i] = (struct pollfd){socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0};
        if (connect(polled[i].fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            !ask(polled[i].fd))
            return perror("memcached-load: connect"), 1;
    }
    double start = now(), end = start + atof(arguments[3]);
    uint64_t answered = 0;
    while (now() < end) {
        if (poll(polled, (nfds_t)connections, 1000) < 0)
            return perror("memcached-load: poll"), 1;
        for (int i = 0; i < connections; i++) {
            if (polled[i].revents == 0)
                continue;
            ssize_t got =
                read(polled[i].fd, answers[i] + lengths[i], sizeof answers[i] - lengths[i]);
            if (got <= 0)
                return fputs("memcached-load: a connection broke\n", stderr), 1;
            lengths[i] += (size_t)got;
            if (!ends(answers[i], lengths[i]))
                continue;
            lengths[i] = 0;
            answered++;
            if (!ask(polled[i].fd))
                return perror("memcached-load: write"), 1;
        }
    }
    printf("%.0f\n", (double)answered / (now() - start));
    return 0;
}
