/* Static poison: see static_poison.h. */
#include "heap/static_poison.h"

#include "base/memory.h"
#include "heap/poison.h"

#include <sys/mman.h>

_Static_assert(STATIC_OBJECTS <= POISON_IDS / 2, "freed blocks have the lower numbers");

static uint64_t first_word(const struct static_object *object)
{
    return poison_first(POISON_FREED, POISON_IDS - 1 - object->number, object->check);
}

/* Numbers may look like low addresses, where programs at a fixed address have their data and heap:
 * there only what is aligned as objects are counts. */
bool static_poison_is_pointer(uint64_t word, bool (*is_mapped)(uintptr_t address))
{
    if (word < UINT64_C(65536) || word >> 56 != 0)
        return false;
    if (word >> 32 == 0 && word % 8 != 0)
        return false;
    return is_mapped((uintptr_t)word);
}

/* The words of [start, end), all of the object's from the first aligned one on having numbers.
 * Returns how many became poison. */
static uint32_t poison_part(const struct static_object *object, uintptr_t start, uintptr_t end)
{
    uint32_t poisoned = 0;
    uintptr_t first = ROUND_UP(object->address, 8);
    for (uintptr_t at = ROUND_UP(start, 8); at + 8 <= end; at += 8) {
        uint64_t *word = (uint64_t *)at;
        size_t offset = (at - first) / 8;
        if (offset >= POISON_WORDS)
            break;
        if (static_poison_is_pointer(__atomic_load_n(word, __ATOMIC_RELAXED), memory_is_mapped)) {
            poisoned++;
            __atomic_store_n(word, poison_word(first_word(object), offset), __ATOMIC_RELAXED);
        }
    }
    return poisoned;
}

void static_poison_bury(struct static_object *object)
{
    uintptr_t end = object->address + object->size;
    uintptr_t first_page = ROUND_UP(object->address, PAGE_SIZE), last_page = end & ~(PAGE_SIZE - 1);
    uint32_t inside = 0; /* counted only where no trap tells of what is made there */
    if (first_page < last_page) {
        object->protected = first_page;
        object->protected_size = last_page - first_page;
        inside = poison_part(object, first_page, last_page);
        if (!memory_protect((void *)first_page, object->protected_size, PROT_NONE))
            object->protected_size = 0;
    }
    if (first_page >= last_page) {
        object->poisoned = poison_part(object, object->address, end);
        return;
    }
    object->poisoned = poison_part(object, object->address, first_page) +
                       poison_part(object, last_page, end) +
                       (object->protected_size == 0 ? inside : 0);
}

bool static_poison_read(const struct static_object *object, uintptr_t address)
{
    void *page = (void *)(address & ~(PAGE_SIZE - 1));
    uintptr_t first = ROUND_UP(object->address, 8), at = address & ~(uintptr_t)7;
    if (!memory_protect(page, PAGE_SIZE, PROT_READ))
        return false;
    uint64_t word = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
    size_t offset = (at - first) / 8;
    return !(offset < POISON_WORDS && word == poison_word(first_word(object), offset)) &&
           !static_poison_is_pointer(word, memory_is_mapped);
}

bool static_poison_reopen(struct static_object *object)
{
    return object->protected_size > 0 &&
           memory_protect((void *)object->protected, object->protected_size,
                          PROT_READ | PROT_WRITE);
}

struct static_object *static_poison_find(uint64_t word, uint64_t *offset)
{
    struct poison poison = poison_parts(word);
    if (poison.kind != POISON_FREED || poison.id < POISON_IDS - STATIC_OBJECTS)
        return NULL;
    struct static_object *object = static_object_of_number(POISON_IDS - 1 - poison.id);
    if (object == NULL || atomic_load(&object->state) == STATIC_UNUSED ||
        poison_start(word) != first_word(object))
        return NULL;
    *offset = ROUND_UP(object->address, 8) - object->address + (uint64_t)poison.offset * 8;
    return *offset < object->size ? object : NULL;
}

static uint32_t standing_in(const struct static_object *object, uintptr_t start, uintptr_t end)
{
    uintptr_t first = ROUND_UP(object->address, 8);
    uint32_t standing = 0;
    for (uintptr_t at = ROUND_UP(start, 8); at + 8 <= end && (at - first) / 8 < POISON_WORDS;
         at += 8)
        standing += *(const uint64_t *)at == poison_word(first_word(object), (at - first) / 8);
    return standing;
}

bool static_poison_stands(const struct static_object *object)
{
    uintptr_t end = object->address + object->size;
    if (object->poisoned == 0)
        return true;
    uint32_t standing =
        object->protected_size == 0
            ? standing_in(object, object->address, end)
            : standing_in(object, object->address, object->protected) +
                  standing_in(object, object->protected + object->protected_size, end);
    return standing == object->poisoned;
}
