// Operators new and delete of a program's own, beside its home-made malloc: their blocks never come
// through malloc or free, and carry a mark that malloc's have not.
#include <cstddef>
#include <cstdlib>
#include <new>

extern "C" void *home_allocate(size_t size, size_t alignment);
extern "C" void home_release(void *block);

static const size_t front = 16, mark = 0x6e6577;

static void *make(size_t size)
{
    auto *words = static_cast<size_t *>(home_allocate(size + front, 16));
    if (words == nullptr)
        return nullptr;
    words[0] = mark;
    words[1] = size;
    return words + 2;
}

static void end(void *block)
{
    if (block == nullptr)
        return;
    size_t *words = static_cast<size_t *>(block) - 2;
    if (words[0] != mark)
        abort();
    words[0] = 0;
    home_release(words);
}

void *operator new(size_t size)
{
    if (void *block = make(size))
        return block;
    throw std::bad_alloc();
}

void *operator new[](size_t size)
{
    return operator new(size);
}

void *operator new(size_t size, const std::nothrow_t &) noexcept
{
    return make(size);
}

void *operator new[](size_t size, const std::nothrow_t &) noexcept
{
    return make(size);
}

void operator delete(void *block) noexcept
{
    end(block);
}

void operator delete[](void *block) noexcept
{
    end(block);
}

void operator delete(void *block, size_t size) noexcept
{
    if (block != nullptr && static_cast<size_t *>(block)[-1] != size)
        abort();
    end(block);
}

void operator delete[](void *block, size_t) noexcept
{
    end(block);
}

void operator delete(void *block, const std::nothrow_t &) noexcept
{
    end(block);
}

void operator delete[](void *block, const std::nothrow_t &) noexcept
{
    end(block);
}
