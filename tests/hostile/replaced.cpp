// A library that is unloaded, replaced by another build under the same name, and loaded again, as
// programs update their plugins: the new code runs, also where it comes to the old one's place.
// Usage: replaced LIBRARY LIBRARY, whose use() give 1 and 2
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <unistd.h>

static int use(const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        printf("%s\n", dlerror());
        exit(3);
    }
    int value = reinterpret_cast<int (*)()>(dlsym(library, "use"))();
    dlclose(library);
    return value;
}

int main(int, char **arguments)
{
    char directory[] = "/tmp/outlive-replaced.XXXXXX";
    if (mkdtemp(directory) == nullptr || chdir(directory) != 0)
        return 3;
    for (int i = 0; i < 6; i++) {
        if (symlink(arguments[1 + i % 2], "live.so") != 0)
            return 3;
        printf("%d\n", use("./live.so"));
        unlink("live.so");
    }
    rmdir(directory);
    return 0;
}
