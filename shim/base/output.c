/* Output: see output.h. */
#include "base/output.h"

#include "base/memory.h"
#include "base/own_descriptor.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a descriptor stands for, by which a reused number is told from the one we knew. */
struct identity {
    dev_t device, kind;
    ino_t file;
    bool known;
};

/* A file named by the user, held open; reopened by path when the program took the number away. */
struct log_file {
    const char *pattern;
    char path[OPTION_TEXT_SIZE + 32];
    int descriptor;
    struct identity identity;
};

static struct identity standard_error;
static int duplicate = -1; /* of standard error at start; -1: none held */
static struct log_file text_log = {.descriptor = -1}, json_log = {.descriptor = -1};
static char text_pattern[OPTION_TEXT_SIZE * 2], json_pattern[OPTION_TEXT_SIZE * 2 + 8];
static struct status private_status;
static struct status *status_page = &private_status;

static struct identity identify(int descriptor)
{
    struct stat status = {0};
    if (system_fstat(descriptor, &status) != 0)
        return (struct identity){.known = false};
    return (struct identity){status.st_dev, status.st_rdev, status.st_ino, true};
}

/* Where a seccomp filter forbids to ask, what was known is believed. */
static bool same(struct identity left, struct identity right)
{
    if (system_is_refused(SYS_fstat))
        return left.known || right.known;
    return left.known && right.known && left.device == right.device && left.file == right.file &&
           left.kind == right.kind;
}

static bool open_log(struct log_file *log)
{
    struct text path = text_in(log->path, sizeof log->path);
    for (const char *c = log->pattern; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'p') {
            text_add_decimal(&path, (uint64_t)system_process());
            c++;
        } else if (c[0] == '%' && c[1] == '%') {
            text_add_char(&path, *c++);
        } else {
            text_add_char(&path, *c);
        }
    }
    long descriptor = system_open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return false;
    int moved = own_descriptor_duplicate((int)descriptor);
    if (moved >= 0) {
        (void)system_close((int)descriptor);
        descriptor = moved;
    }
    log->descriptor = (int)descriptor;
    log->identity = identify(log->descriptor);
    return true;
}

static bool log_ready(struct log_file *log)
{
    if (log->descriptor >= 0 && same(identify(log->descriptor), log->identity))
        return true;
    log->descriptor = -1;
    return open_log(log);
}

/* Waits for a reader that is slow, not for one that is stuck: the program's end must not hang on a
 * non-blocking pipe that nobody empties. */
#define WAITS_MOST 2000

static bool write_rest(int descriptor, const char *bytes, size_t length)
{
    for (int waits = 0; length > 0;) {
        long written = system_write(descriptor, bytes, length);
        if (written == -EINTR)
            continue;
        if (written == -EAGAIN && waits++ < WAITS_MOST) {
            system_sleep_ms(1);
            continue;
        }
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* A closed pipe must not kill a program that never wrote to it: the SIGPIPE we cause is taken back.
 */
static bool write_all(int descriptor, const char *bytes, size_t length)
{
    uint64_t pipe_signal = UINT64_C(1) << (SIGPIPE - 1), before = 0, pending = 0;
    const struct timespec now = {0, 0};
    (void)system_call4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&pipe_signal, (long)&before, 8);
    (void)system_call3(SYS_rt_sigpending, (long)&pending, 8, 0);
    bool ok = write_rest(descriptor, bytes, length);
    if (!ok && (pending & pipe_signal) == 0)
        (void)system_call4(SYS_rt_sigtimedwait, (long)&pipe_signal, 0, (long)&now, 8);
    (void)system_call4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8);
    return ok;
}

static void spill(const char *bytes, size_t length)
{
    uint32_t at = atomic_fetch_add(&status_page->spill_length, (uint32_t)length);
    if (status_page == &private_status || at + length > STATUS_SPILL_SIZE)
        return;
    __builtin_memcpy(status_page->spill + at, bytes, length);
}

void output_text(const char *bytes, size_t length)
{
    if (text_log.pattern != NULL) {
        if (log_ready(&text_log) && write_all(text_log.descriptor, bytes, length))
            return;
        output_tell_once("cannot write to the file for reports; they go to standard error",
                         text_log.path);
    }
    if (same(identify(STDERR_FILENO), standard_error) && write_all(STDERR_FILENO, bytes, length))
        return;
    if (duplicate >= 0 && write_all(duplicate, bytes, length))
        return;
    spill(bytes, length);
}

bool output_wants_json(void)
{
    return json_log.pattern != NULL;
}

void output_json(const char *bytes, size_t length)
{
    if (json_log.pattern != NULL &&
        (!log_ready(&json_log) || !write_all(json_log.descriptor, bytes, length)))
        output_tell_once("cannot write to the file for JSON; findings are missing there",
                         json_log.path);
}

void output_redirected(void)
{
    standard_error = identify(STDERR_FILENO);
}

struct status *output_status(void)
{
    return status_page;
}

void output_tell_once(const char *what, const char *detail)
{
    static const char *_Atomic told[64];
    for (size_t i = 0; i < 64; i++) {
        const char *empty = NULL;
        if (atomic_compare_exchange_strong(&told[i], &empty, what))
            break;
        if (empty == what)
            return;
    }
    char line[1600];
    struct text text = text_in(line, sizeof line);
    text_format(&text, "==%d==outlive: %s%s%s\n", system_process(), what,
                detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
    output_text(text.data, text.length);
}

/* The program may change its directory or root later: paths are made absolute now. */
static const char *absolute(char *buffer, size_t size, const char *path, const char *suffix)
{
    struct text text = text_in(buffer, size);
    if (path[0] != '/') {
        char directory[OPTION_TEXT_SIZE];
        if (system_call3(SYS_getcwd, (long)directory, sizeof directory, 0) > 0)
            text_format(&text, "%s/", directory);
    }
    text_format(&text, "%s%s", path, suffix);
    return buffer;
}

static void start_log(struct log_file *log, const char *option)
{
    if (!open_log(log)) {
        char detail[OPTION_TEXT_SIZE + 64];
        struct text text = text_in(detail, sizeof detail);
        text_format(&text, "%s '%s'; reports go to standard error", option, log->path);
        log->pattern = NULL;
        output_tell_once("cannot open the file for reports; give a path that can be written",
                         text.data);
    }
}

static void map_status(char **environment)
{
    private_status.magic = STATUS_MAGIC;
    for (char **entry = environment; *entry != NULL; entry++) {
        size_t length = sizeof STATUS_VARIABLE - 1;
        if (__builtin_strncmp(*entry, STATUS_VARIABLE "=", length + 1) != 0)
            continue;
        uint64_t descriptor = 0;
        const char *value = *entry + length + 1;
        if (!text_parse_size(value, text_length(value), &descriptor))
            return;
        long page = system_call6(SYS_mmap, 0, STATUS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                                 (long)descriptor, 0);
        if (page < 0 && page > -4096)
            return;
        struct stat status = {0};
        if (system_fstat((int)descriptor, &status) != 0 || status.st_size < (off_t)STATUS_SIZE ||
            ((struct status *)page)->magic != STATUS_MAGIC) {
            memory_unmap((void *)page, STATUS_SIZE);
            return;
        }
        status_page = (struct status *)page;
        (void)system_close((int)descriptor);
        for (char **move = entry; *move != NULL; move++)
            move[0] = move[1];
        return;
    }
}

void output_start(const struct options *options, char **environment)
{
    map_status(environment);
    own_descriptor_add(&duplicate);
    own_descriptor_add(&text_log.descriptor);
    own_descriptor_add(&json_log.descriptor);
    standard_error = identify(STDERR_FILENO);
    struct stat status = {0};
    /* A held pipe would keep its reader waiting after the program became a daemon. */
    if (standard_error.known && system_fstat(STDERR_FILENO, &status) == 0 &&
        (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode)))
        duplicate = own_descriptor_duplicate(STDERR_FILENO);
    if (options->log_path[0] != '\0') {
        text_log.pattern = absolute(text_pattern, sizeof text_pattern, options->log_path, "");
        start_log(&text_log, "log_path");
    }
    if (options->json_path[0] != '\0') {
        json_log.pattern = absolute(json_pattern, sizeof json_pattern, options->json_path, "");
        start_log(&json_log, "json_path");
    } else if (text_log.pattern != NULL) {
        json_log.pattern = absolute(json_pattern, sizeof json_pattern, options->log_path, ".jsonl");
        start_log(&json_log, "json_path");
    }
}

void output_forked(void)
{
    struct log_file *logs[] = {&text_log, &json_log};
    for (size_t i = 0; i < 2; i++) {
        if (logs[i]->pattern == NULL || text_find(logs[i]->pattern, "%p") == NULL)
            continue;
        if (logs[i]->descriptor >= 0 && same(identify(logs[i]->descriptor), logs[i]->identity))
            (void)system_close(logs[i]->descriptor);
        logs[i]->descriptor = -1; /* opened again, under the child's name, when there is a word */
    }
}
