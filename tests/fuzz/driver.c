/* Driver: runs a libFuzzer target without libFuzzer, so that ctest fuzzes with any compiler.
 * Mutates the seed files deterministically. Usage: TARGET ROUNDS SEED-FILE... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Returns the new size. */
static size_t mutate(uint8_t *data, size_t size, size_t room)
{
    for (uint64_t times = next() % 8 + 1; times > 0; times--) {
        size_t at = size == 0 ? 0 : next() % size;
        switch (next() % 6) {
        case 0:
            if (size > 0)
                data[at] ^= (uint8_t)(1u << next() % 8);
            break;
        case 1:
            if (size > 0)
                data[at] = (uint8_t)next();
            break;
        case 2:
            size = size == 0 ? 0 : next() % size;
            break;
        case 3:
            if (size + 8 <= room) {
                memmove(data + at + 8, data + at, size - at);
                for (int i = 0; i < 8; i++)
                    data[at + (size_t)i] = (uint8_t)next();
                size += 8;
            }
            break;
        case 4: /* a large number where one may be read */
            if (size >= at + 8)
                memset(data + at, 0xff, 8);
            break;
        default:
            if (size >= at + 4)
                memset(data + at, 0, 4);
            break;
        }
    }
    return size;
}

int main(int count, char **arguments)
{
    static uint8_t seed[1 << 20];
    if (count < 3)
        return 2;
    long rounds = strtol(arguments[1], NULL, 10);
    for (int i = 2; i < count; i++) {
        FILE *file = fopen(arguments[i], "rb");
        if (file == NULL)
            return 2;
        size_t size = fread(seed, 1, sizeof seed / 2, file);
        fclose(file);
        for (long round = 0; round < rounds; round++) {
            uint8_t *data = malloc(size + 128); /* exact enough for ASan */
            memcpy(data, seed, size);
            size_t used = mutate(data, size, size + 128);
            uint8_t *exact = malloc(used == 0 ? 1 : used);
            memcpy(exact, data, used);
            free(data);
            (void)LLVMFuzzerTestOneInput(exact, used);
            free(exact);
        }
    }
    printf("%ld rounds for each of %d seeds\n", rounds, count - 2);
    return 0;
}
