/* Target: see target.h. Called by run.c. */
#include "target.h"

#include "command.h"
#include "elf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MISSING = 127, NOT_EXECUTABLE = 126, SCRIPTS_MOST = 4 };

/* As execvp() looks: past folders and files that may not be run, but they are named if nothing
 * else is found. */
int target_find(const char *program, char *path)
{
    struct stat status;
    char second_best[PATH_MAX] = "";
    if (strchr(program, '/') != NULL) {
        snprintf(path, PATH_MAX, "%s", program);
        return access(path, F_OK);
    }
    const char *directories = getenv("PATH");
    if (*program == '\0')
        return -1;
    for (const char *at = directories == NULL ? "/bin:/usr/bin" : directories;; at++) {
        size_t length = strcspn(at, ":");
        int used = snprintf(path, PATH_MAX, "%.*s/%s", length == 0 ? 1 : (int)length,
                            length == 0 ? "." : at, program);
        if (used < PATH_MAX && stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            if (access(path, X_OK) == 0)
                return 0;
            if (second_best[0] == '\0')
                memcpy(second_best, path, (size_t)used + 1);
        }
        at += length;
        if (*at == '\0')
            break;
    }
    memcpy(path, second_best, sizeof second_best);
    return second_best[0] == '\0' ? -1 : 0;
}

static int refuse(int status, const char *path, const char *why)
{
    fprintf(stderr, "outlive: %s %s\n", path, why);
    return status;
}

/* A script is run by its interpreter, which is what gets the shim. */
static int interpreter_of(const char *bytes, size_t size, char *path)
{
    size_t at = 2, length = 0;
    while (at < size && (bytes[at] == ' ' || bytes[at] == '\t'))
        at++;
    while (at + length < size && strchr(" \t\r\n", bytes[at + length]) == NULL)
        length++;
    if (length == 0 || length >= PATH_MAX)
        return -1;
    memcpy(path, bytes + at, length);
    path[length] = '\0';
    return 0;
}

/* env is what the loader puts the shim into; what it starts in its own place is not followed. A
 * run that watches nothing must not look green. */
static void warn_of_env(const char *script, const char *interpreter)
{
    const char *slash = strrchr(interpreter, '/');
    if (strcmp(slash == NULL ? interpreter : slash + 1, "env") == 0)
        fprintf(stderr,
                "outlive: %s is started through %s, behind which nothing is watched; add "
                "--follow_exec=1, or name the interpreter: outlive run -- INTERPRETER %s\n",
                script, interpreter, script);
}

/* It runs the program itself, out of the loader's sight. */
static bool is_valgrind(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash == NULL ? path : slash + 1, "valgrind") == 0;
}

static int check_privileges(const char *path, const struct stat *status)
{
    char capability[64];
    if ((status->st_mode & S_ISUID) != 0 && status->st_uid != geteuid())
        return refuse(COMMAND_MISUSE, path,
                      "is setuid: the loader ignores preloaded libraries; run it as its owner");
    if ((status->st_mode & S_ISGID) != 0 && status->st_gid != getegid())
        return refuse(COMMAND_MISUSE, path,
                      "is setgid: the loader ignores preloaded libraries; run it as its group");
    if (geteuid() != 0 && getxattr(path, "security.capability", capability, sizeof capability) > 0)
        return refuse(COMMAND_MISUSE, path,
                      "has file capabilities: the loader ignores preloaded libraries; run a copy "
                      "without them");
    return 0;
}

int target_check(const char *program, bool follow_exec)
{
    char path[PATH_MAX];
    if (target_find(program, path) != 0)
        return refuse(MISSING, program, "was not found; check the name and PATH");
    if (is_valgrind(path))
        return refuse(COMMAND_MISUSE, path,
                      "cannot watch a program together with Outlive; run it under one of them");
    for (int depth = 0; depth < SCRIPTS_MOST; depth++) {
        struct stat status;
        if (stat(path, &status) != 0)
            return refuse(MISSING, path, strerror(errno));
        if (S_ISDIR(status.st_mode))
            return refuse(NOT_EXECUTABLE, path, "is a directory; name a program");
        if (!S_ISREG(status.st_mode))
            return refuse(NOT_EXECUTABLE, path, "is not a regular file; name a program");
        if (access(path, X_OK) != 0)
            return refuse(NOT_EXECUTABLE, path,
                          "is not executable; chmod +x it, or name a program");
        int privileges = check_privileges(path, &status);
        if (privileges != 0)
            return privileges;
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return 0; /* executable but not readable: nothing to see, let it run */
        size_t size = (size_t)status.st_size;
        unsigned char *bytes =
            size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        close(file);
        if (bytes == MAP_FAILED)
            return refuse(NOT_EXECUTABLE, path, "is empty or cannot be read");
        if (size > 2 && bytes[0] == '#' && bytes[1] == '!') {
            int failed = interpreter_of((const char *)bytes, size, path);
            munmap(bytes, size);
            if (failed != 0)
                return refuse(NOT_EXECUTABLE, program, "is a script without an interpreter");
            if (!follow_exec)
                warn_of_env(program, path);
            continue;
        }
        enum elf_refusal refusal = elf_inspect(bytes, size);
        munmap(bytes, size);
        if (refusal == ELF_FINE)
            return 0;
        return refuse(COMMAND_MISUSE, path, elf_refusal_text(refusal));
    }
    return 0;
}
