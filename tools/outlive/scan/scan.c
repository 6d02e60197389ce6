/* scan: the subcommand that tells what Outlive will see of a program or library and what it cannot,
 * from the file alone. Called by main.c. */
#include "outlive/scan/scan.h"

#include "outlive/command.h"
#include "outlive/elf_file.h"
#include "outlive/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int usage(FILE *stream, int status)
{
    fputs("usage: outlive scan [--json] [--refused] BINARY\n\n"
          "Tells what Outlive will see of a program or a shared library, and what it cannot; runs "
          "nothing of it.\n\n"
          "  --json      one JSON object (docs/scan.md)\n"
          "  --refused   also every function that could not be patched, with the reason\n",
          stream);
    return status;
}

static int refuse(const char *path, const char *why)
{
    fprintf(stderr, "outlive: %s %s\n", path, why);
    return COMMAND_MISUSE;
}

/* One line for files that cannot be read, and for those that are nothing to scan. */
static int check(const char *path, struct stat *status)
{
    unsigned char header[sizeof(Elf64_Ehdr)];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0 || fstat(file, status) != 0) {
        int why = errno;
        if (file >= 0)
            close(file);
        return refuse(path, why == ENOENT ? "was not found; check the name" : strerror(why));
    }
    ssize_t size = S_ISREG(status->st_mode) ? read(file, header, sizeof header) : 0;
    close(file);
    if (S_ISDIR(status->st_mode))
        return refuse(path, "is a directory; name a program or a library");
    if (!S_ISREG(status->st_mode))
        return refuse(path, "is not a regular file; name a program or a library");
    enum elf_refusal refusal = elf_inspect_header(header, size < 0 ? 0 : (size_t)size);
    return refusal == ELF_FINE ? 0 : refuse(path, elf_refusal_text(refusal));
}

/* Why it is no file to scan, though it begins like one; NULL: it is. */
static const char *damage(const struct elf_image *image)
{
    Elf64_Shdr text;
    Elf64_Phdr segment;
    if (elf_image_section_named(image, ".text", &text) && text.sh_type == SHT_NOBITS)
        return "holds debug information only; name the program or library itself";
    if (image->header.e_phnum == 0 || elf_interpreter(image) == NULL)
        return elf_refusal_text(ELF_BROKEN);
    for (unsigned i = 0; elf_image_segment(image, i, &segment); i++)
        if (segment.p_type == PT_LOAD &&
            elf_image_bytes(image, segment.p_offset, segment.p_filesz) == NULL)
            return "is a damaged ELF file: its end is missing";
    return NULL;
}

int scan_program(int count, char **arguments)
{
    static struct scan scan;
    static char path[PATH_MAX];
    struct stat status;
    const char *given = NULL;
    char capability[64];
    bool json = false, refused = false, options = true;
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i];
        if (options && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
            return usage(stdout, 0);
        if (options && strcmp(word, "--json") == 0) {
            json = true;
        } else if (options && strcmp(word, "--refused") == 0) {
            refused = true;
        } else if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if ((options && word[0] == '-') || given != NULL) {
            fprintf(stderr, "outlive: %s '%s'; write: outlive scan [--json] [--refused] BINARY\n",
                    given != NULL ? "one file at a time, not also" : "unknown option", word);
            return COMMAND_MISUSE;
        } else {
            given = word;
        }
    }
    if (given == NULL) {
        fputs("outlive: no file named; write: outlive scan [--json] [--refused] BINARY\n", stderr);
        return COMMAND_MISUSE;
    }
    if (access(given, F_OK) == 0 || target_find(given, path) != 0)
        snprintf(path, sizeof path, "%s", given);
    int wrong = check(path, &status);
    if (wrong != 0)
        return wrong;
    if (!module_file_open(&scan.file, path))
        return refuse(path, elf_refusal_text(ELF_BROKEN));
    const char *broken = damage(&scan.file.image);
    if (broken != NULL)
        return refuse(path, broken);
    scan.path = path;
    scan.setuid = (status.st_mode & S_ISUID) != 0;
    scan.setgid = (status.st_mode & S_ISGID) != 0;
    scan.capabilities = getxattr(path, "security.capability", capability, sizeof capability) > 0;
    (void)module_file_open_debug(&scan.file);
    if (!scan_read(&scan)) {
        fputs("outlive: out of memory\n", stderr);
        return COMMAND_MISUSE;
    }
    scan_find_libraries(&scan);
    if (json)
        scan_print_json(&scan, refused, stdout);
    else
        scan_print(&scan, refused, stdout);
    scan_free(&scan);
    module_file_close(&scan.file);
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    fprintf(stderr, "outlive: cannot write: %s\n", strerror(errno));
    return COMMAND_MISUSE;
}
