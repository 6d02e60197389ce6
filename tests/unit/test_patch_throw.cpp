// Exceptions through patched functions, for test_patch.c.
extern "C" int catch_through(int (*called)(void));
extern "C" void throw_number(void);

int catch_through(int (*called)(void))
{
    try {
        called();
    } catch (int number) {
        return number;
    }
    return -1;
}

void throw_number(void)
{
    throw 42;
}
