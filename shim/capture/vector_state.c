/* Vector state: see vector_state.h. */
#include "capture/vector_state.h"

#include <cpuid.h>
#include <stdint.h>

/* What XSAVE keeps here (Intel SDM volume 1, 13.1): the vector registers, and where these are wider
 * than SSE's their upper parts. 0: there is no XSAVE. */
#define VECTORS UINT32_C(0xe6) /* SSE, AVX, AVX-512 */
uint32_t vector_state_mask __attribute__((visibility("hidden")));
uint32_t vector_state_size __attribute__((visibility("hidden"))) = 512;

void vector_state_measure(void)
{
    uint32_t a, b, c, d, low, high;
    if (vector_state_mask != 0 || __get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0)
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    vector_state_size = 512 + 64;
    for (uint32_t component = 2; component < 8; component++)
        if (((low & VECTORS) >> component & 1) != 0 &&
            __get_cpuid_count(0xd, component, &a, &b, &c, &d) != 0 && a + b > vector_state_size)
            vector_state_size = a + b;
    vector_state_mask = low & VECTORS;
}
