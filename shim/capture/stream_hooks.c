/* Stream hooks: FILEs and DIRs own a descriptor, which libc opens and closes out of sight. */
#include "capture/real.h"

#include "base/output.h"
#include "event/descriptor.h"

/* The standard streams are every thread's, and anybody closes or replaces their descriptors. */
static const void *owner(FILE *stream)
{
    return stream == stdin || stream == stdout || stream == stderr ? NULL : stream;
}

/* -1 for a stream without one, in memory or of the program's own functions. The headers promise
 * that it is not NULL, which programs do not keep. */
static int number_of(FILE *stream)
{
    __asm__("" : "+r"(stream));
    int saved = errno, number = stream == NULL ? -1 : fileno(stream);
    errno = saved;
    return number;
}

static int number_of_directory(DIR *stream)
{
    __asm__("" : "+r"(stream));
    int saved = errno, number = stream == NULL ? -1 : dirfd(stream);
    errno = saved;
    return number;
}

static void opened(int number, const void *stream, const char *path, const char *how,
                   struct caller caller)
{
    if (number < 0)
        return;
    event_opened(number, how, caller);
    event_stream_opened(number, stream);
    event_opened_path(number, path);
}

#define FILE_HOOK(name, parameters, arguments, path)                                               \
    EXPORT FILE *name parameters                                                                   \
    {                                                                                              \
        real_need();                                                                               \
        FILE *stream = real.name arguments;                                                        \
        if (stream == NULL && errno == EMFILE && event_descriptors_scarce())                       \
            stream = real.name arguments;                                                          \
        opened(number_of(stream), stream, path, #name, CALLER_HERE());                             \
        return stream;                                                                             \
    }

FILE_HOOK(fopen, (const char *restrict path, const char *restrict mode), (path, mode), path)
FILE_HOOK(fopen64, (const char *restrict path, const char *restrict mode), (path, mode), path)
FILE_HOOK(tmpfile, (void), (), NULL)
FILE_HOOK(tmpfile64, (void), (), NULL)
FILE_HOOK(popen, (const char *command, const char *mode), (command, mode), NULL)

EXPORT FILE *fdopen(int descriptor, const char *mode)
{
    real_need();
    if (event_is_kept(descriptor)) {
        errno = EBADF;
        event_use_failed(descriptor, "fdopen", false, CALLER_HERE());
        return NULL;
    }
    FILE *stream = real.fdopen(descriptor, mode);
    if (stream == NULL && errno == EBADF)
        event_use_failed(descriptor, "fdopen", false, CALLER_HERE());
    event_stream_opened(descriptor, stream);
    return stream;
}

EXPORT DIR *opendir(const char *path)
{
    real_need();
    event_opening_path(path);
    DIR *stream = real.opendir(path);
    if (stream == NULL && errno == EMFILE && event_descriptors_scarce())
        stream = real.opendir(path);
    opened(number_of_directory(stream), stream, path, "opendir", CALLER_HERE());
    return stream;
}

EXPORT DIR *fdopendir(int descriptor)
{
    real_need();
    DIR *stream = NULL;
    if (event_is_kept(descriptor))
        errno = EBADF;
    else
        stream = real.fdopendir(descriptor);
    if (stream == NULL && errno == EBADF)
        event_use_failed(descriptor, "fdopendir", false, CALLER_HERE());
    event_stream_opened(descriptor, stream);
    return stream;
}

#define CLOSE_HOOK(name, type, number, closing_owner, failure)                                     \
    EXPORT int name(type *stream)                                                                  \
    {                                                                                              \
        real_need();                                                                               \
        bool refused =                                                                             \
            event_stream_closing(number(stream), closing_owner(stream), #name, CALLER_HERE());     \
        int result = real.name(stream);                                                            \
        if (__builtin_expect(!refused, 1))                                                         \
            return result;                                                                         \
        errno = EBADF; /* what it closed was the shim's stand-in */                                \
        return failure;                                                                            \
    }

static const void *directory(DIR *stream)
{
    return stream;
}

CLOSE_HOOK(fclose, FILE, number_of, owner, EOF)
CLOSE_HOOK(pclose, FILE, number_of, owner, result)
CLOSE_HOOK(closedir, DIR, number_of_directory, directory, -1)

/* The stream may get another number, or keep its own. */
#define REOPEN_HOOK(name)                                                                          \
    EXPORT FILE *name(const char *restrict path, const char *restrict mode, FILE *restrict stream) \
    {                                                                                              \
        real_need();                                                                               \
        int before = number_of(stream);                                                            \
        (void)event_stream_closing(before, stream, #name, CALLER_HERE());                          \
        FILE *result = real.name(path, mode, stream);                                              \
        if (guard_active && result != NULL && stream == stderr)                                    \
            output_redirected();                                                                   \
        if (result != NULL)                                                                        \
            opened(number_of(result), owner(result), NULL, #name, CALLER_HERE());                  \
        return result;                                                                             \
    }

REOPEN_HOOK(freopen)
REOPEN_HOOK(freopen64)
